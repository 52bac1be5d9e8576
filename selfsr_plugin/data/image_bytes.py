"""Images as bytes on their way from the workers to a GPU: the same values in a quarter of the memory."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import default_collate


class ImageBytes(NamedTuple):
    """Images in [0, 1] that are stored ones, of 255 grey levels.

    A tuple, so that DataLoader puts it into pinned memory; and a type of its own, since a data set of somebody else may
    give bytes that are no images.

    Args:
        levels: uint8 (N, C, H, W).
    """

    levels: Tensor

    def images(self, device: torch.device) -> Tensor:
        """float32 on ``device``, bit for bit what they were before; without a wait for a GPU."""
        levels = self.levels.to(device, non_blocking=True)
        # Divided by a tensor: GPUs multiply by 1 / 255 where a number is to divide, and round otherwise than CPUs.
        return levels.float().div_(torch.full((), 255.0, device=device))


def collate_bytes(samples: Sequence[Any]) -> Any:
    """torch's ``default_collate``, with :class:`ImageBytes` for the images of a dictionary that can be had as such.

    Resized images have values between the levels, and stay as they are.
    """
    batch = default_collate(samples)
    return {key: _bytes_of(value) for key, value in batch.items()} if isinstance(batch, dict) else batch


def _bytes_of(value: Any) -> Any:
    if not isinstance(value, Tensor) or value.dim() != 4 or value.dtype != torch.float32:
        return value
    found = ImageBytes(value.mul(255).add_(0.5).clamp_(0, 255).byte())
    return found if torch.equal(found.images(value.device), value) else value
