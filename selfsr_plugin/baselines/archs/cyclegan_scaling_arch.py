"""CycleGAN between LR and HR faces, a row of Table II."""

from torch import Tensor

from ...archs.cyclegan_generator_arch import CycleGANGenerator
from ...ops import bicubic_downsample, log2_of_scale
from .upsampling import enlarge


class _ScalingGenerator(CycleGANGenerator):
    def __init__(self, num_in_ch: int = 3, num_feat: int = 64, num_block: int = 6, scale: int = 4) -> None:
        super().__init__(num_in_ch, num_feat, num_block)
        log2_of_scale(type(self).__name__, scale)
        self.scale = scale


class CycleGANUpscaler(_ScalingGenerator):
    """From LR to HR faces: the enlarged image, translated at the full size.

    Neither the paper of CycleGAN nor ours says how sizes may differ; this is the simplest way, and ours.

    Args:
        num_in_ch, num_feat, num_block: of CycleGANGenerator.
        scale: a power of two, 2 or more.

    Raises:
        ValueError: a scale that is no power of two.
    """

    def forward(self, lq: Tensor) -> Tensor:
        """(N, C, h, w) in [0, 1] -> (N, C, h * scale, w * scale) in [0, 1]."""
        return super().forward(enlarge(lq, self.scale).clamp(0, 1))


class CycleGANDownscaler(_ScalingGenerator):
    """From HR to LR faces, the way back of CycleGANUpscaler: translated at the full size, then shrunk.

    Args and errors as of CycleGANUpscaler.
    """

    def forward(self, hr: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] -> (N, C, H / scale, W / scale), about [0, 1], not clamped."""
        return bicubic_downsample(super().forward(hr), self.scale)
