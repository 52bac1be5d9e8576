"""Random input of networks that a resumed and a distributed run draw as the one that was never stopped."""

import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def seeded_noise(opt: Mapping[str, Any], name: str, current_iter: int, like: Tensor, *shape: int) -> Tensor:
    """N(0, 1), a function of the seed, the iteration and the place in the batch of all processes.

    Args:
        opt: completed options.
        name: tells several kinds of noise of a run apart.
        current_iter: the iteration.
        like: images (N, ...) of this process; the noise goes to their device.
        shape: of one sample.

    Returns:
        Tensor (N, *shape).
    """
    seed = zlib.crc32(f'{opt["manual_seed"]} {name} {current_iter}'.encode())
    count, first = len(like), opt['rank'] * len(like)
    drawn = torch.randn(
        opt['world_size'] * count, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32
    )
    return drawn[first : first + count].to(like)
