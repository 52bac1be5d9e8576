"""Between tensors (RGB in [0, 1]) and arrays (uint8 BGR, as OpenCV and BasicSR have them)."""

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError


def to_image(tensor: Tensor) -> np.ndarray:
    """(3, H, W), RGB, any device -> (H, W, 3) uint8 BGR: clamped to [0, 1] and rounded, as BasicSR's ``tensor2img``.

    Raises:
        UserError: values that are not finite, which would be drawn black.
    """
    tensor = tensor.detach().float()
    if not torch.isfinite(tensor).all():
        raise UserError(
            'an image holds values that are not finite (NaN or infinity), which cannot be drawn: the network '
            'that made it is broken; use an earlier checkpoint.'
        )
    levels = tensor.clamp(0, 1).mul(255).round().byte()
    return np.ascontiguousarray(levels.flip(0).permute(1, 2, 0).cpu().numpy())


def to_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 BGR -> float32 (3, H, W), RGB in [0, 1]."""
    import cv2  # here, for programs that have networks from us and no OpenCV

    # OpenCV takes the colours apart in a tenth of torch's time for the same
    return torch.from_numpy(np.stack(cv2.split(image)[::-1])).float().div_(255)
