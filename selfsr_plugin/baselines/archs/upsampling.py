"""What several of the networks need to make an image larger."""

from torch import Tensor

from ...ops import bicubic_resize


def log2_of_scale(network: str, scale: int) -> int:
    """How often ``scale`` doubles; ValueError, naming the network, unless it is 2, 4, 8, ..."""
    if scale < 2 or scale & (scale - 1):
        raise ValueError(f'{network}: scale must be a power of two from 2 on, not {scale}.')
    return scale.bit_length() - 1


def enlarge(lq: Tensor, scale: int) -> Tensor:
    """(N, C, h, w) -> (N, C, h * scale, w * scale) by the bicubic kernel, not clamped."""
    height, width = lq.shape[-2:]
    return bicubic_resize(lq, (height * scale, width * scale))
