"""DeepDeblur, a row of Table II."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...ops import log2_of_scale
from .upsampling import enlarge


class DeepDeblurParts(NamedTuple):
    """The images of all scales, each of which is supervised."""

    images: list[Tensor]
    """(N, C, H, W), (N, C, H/2, W/2), ...: fine to coarse, about [0, 1]; the first is the result."""


class ResidualBlock(nn.Module):
    """conv, ReLU, conv, plus the input."""

    def __init__(self, width: int, kernel_size: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, kernel_size, padding=kernel_size // 2)
        self.conv2 = nn.Conv2d(width, width, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(x)))


class DeepDeblur(nn.Module):
    """Multi-scale deblurring (Nah et al., "Deep Multi-scale Convolutional Neural Network for Dynamic Scene Deblurring",
    CVPR 2017), made to super-resolve.

    The coarsest scale is restored first; each finer one sees the coarser result, enlarged, beside its own input.
    11,721,321 parameters with the defaults; layout after the authors' PyTorch port. How the paper super-resolves with
    it is not known. Ours: the inputs are the LR image, enlarged to each of the sizes by the bicubic kernel, so that the
    coarsest one at x4 and three scales is the LR image itself.

    Args:
        num_in_ch: image channels.
        num_feat: channels.
        num_block: residual blocks of each scale.
        kernel_size: side of the kernels, odd.
        num_scale: scales.
        scale: a power of two, at least 2 ** (num_scale - 1).
        img_range: what 1 is inside (255 in the port).

    Raises:
        ValueError: a scale that is no power of two, or smaller than that of the coarsest image.
    """

    def __init__(
        self,
        num_in_ch: int = 3,
        num_feat: int = 64,
        num_block: int = 19,
        kernel_size: int = 5,
        num_scale: int = 3,
        scale: int = 4,
        img_range: float = 255.0,
    ) -> None:
        super().__init__()
        log2_of_scale('DeepDeblur', scale)
        if 2 ** (num_scale - 1) > scale:
            raise ValueError(
                f'DeepDeblur: with num_scale {num_scale} the coarsest image would be smaller than the LR image '
                f'at x{scale}.'
            )
        self.scale, self.img_range = scale, img_range
        padding = kernel_size // 2
        self.bodies = nn.ModuleList(  # fine to coarse
            nn.Sequential(
                nn.Conv2d(num_in_ch if coarsest else 2 * num_in_ch, num_feat, kernel_size, padding=padding),
                *(ResidualBlock(num_feat, kernel_size) for _ in range(num_block)),
                nn.Conv2d(num_feat, num_in_ch, kernel_size, padding=padding),
            )
            for coarsest in [False] * (num_scale - 1) + [True]
        )
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(num_in_ch, 4 * num_in_ch, kernel_size, padding=padding), nn.PixelShuffle(2))
            for _ in range(num_scale - 1)
        )

    def forward(self, lq: Tensor, return_parts: bool = False) -> Tensor | DeepDeblurParts:
        """(N, C, h, w) in [0, 1] -> (N, C, h * scale, w * scale), about [0, 1], not clamped, or the parts."""
        images: list[Tensor] = []
        for i in reversed(range(len(self.bodies))):
            factor = self.scale >> i
            x = ((enlarge(lq, factor) if factor > 1 else lq) - 0.5) * self.img_range
            if images:
                x = torch.cat((x, self.ups[i](images[0])), dim=1)
            images.insert(0, self.bodies[i](x))
        images = [image / self.img_range + 0.5 for image in images]
        return DeepDeblurParts(images) if return_parts else images[0]
