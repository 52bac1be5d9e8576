"""Pixels of a crop: resized, rounded, encoded."""
import cv2
import numpy as np
import torch

from selfsr_plugin.ops import bicubic_resize


def shrink_to(image: np.ndarray, size: int) -> np.ndarray:
    """Antialiased bicubic, (H, W, 3) -> (size, size, 3) float64, neither rounded nor clipped.

    In double precision: rounded to 8 bits, the result is then the same on every processor.
    """
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).double()
    return bicubic_resize(planes, size).numpy().transpose(1, 2, 0)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Round and clip to 0...255."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def encode_png(image: np.ndarray, compression: int) -> bytes:
    """A PNG file of (H, W, 3) uint8, BGR; compression from 0 (fast) to 9 (small)."""
    return cv2.imencode('.png', image, [cv2.IMWRITE_PNG_COMPRESSION, compression])[1].tobytes()
