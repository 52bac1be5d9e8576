"""Wavelet-SRNet, a row of Table II."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...ops import log2_of_scale
from .wavelet_packets import inverse_haar_packets


class WaveletParts(NamedTuple):
    """What Wavelet-SRNet predicts, and the image of it; both are supervised."""

    packets: Tensor
    """(N, 3 * scale ** 2, h, w): Haar packets of the image, low frequencies first (``haar_packets``)."""
    image: Tensor
    """(N, 3, H, W), about [0, 1]."""


class ResidualBlock(nn.Module):
    """conv, BatchNorm, ReLU, conv, plus the input (by a 1x1 conv), BatchNorm, ReLU; the convolutions in ``groups``.

    Args:
        in_groups: groups of the first convolution.
        groups: groups of the second one.
        project: take the input through a 1x1 convolution even where its channels are as many.
    """

    def __init__(self, in_width: int, width: int, in_groups: int = 1, groups: int = 1, project: bool = False) -> None:
        super().__init__()
        wanted = project or in_width != width
        self.skip = nn.Conv2d(in_width, width, 1, bias=False) if wanted else nn.Identity()
        self.conv1 = nn.Conv2d(in_width, width, 3, padding=1, groups=in_groups, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, groups=groups, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.norm1(self.conv1(x))))
        return F.relu(self.norm2(h + self.skip(x)))


class WaveletSRNet(nn.Module):
    """Wavelet-SRNet (Huang et al., "Wavelet-SRNet: A Wavelet-based CNN for Multi-scale Face Super Resolution", ICCV
    2017).

    An embedding at the size of the LR image, and from it one branch for each group of wavelet packets of the HR image:
    1, 3, 12, 48, ... bands. 51,353,968 parameters at x4, 74,999,296 at x8. Layout after the authors' code.

    Args:
        num_in_ch: image channels.
        num_feat: channels of the embedding's first layer; its five parts have 1, 2, 4, 8 and 16 times as many.
        num_block: residual blocks of a part.
        wavelet_feat: channels for each band in a branch; twice as many in its second block.
        scale: 2 to the power of the depth of the packets.

    Raises:
        ValueError: a scale that is no power of two.
    """

    def __init__(
        self, num_in_ch: int = 3, num_feat: int = 64, num_block: int = 2, wavelet_feat: int = 32, scale: int = 4
    ) -> None:
        super().__init__()
        self.depth = log2_of_scale('WaveletSRNet', scale)
        widths = [num_feat * 2**i for i in range(5)]
        self.stem = nn.Sequential(
            nn.Conv2d(num_in_ch, num_feat, 3, padding=1, bias=False), nn.BatchNorm2d(num_feat), nn.ReLU()
        )
        self.embedding = nn.Sequential(
            *(
                ResidualBlock(before if i == 0 else width, width)
                for before, width in zip([num_feat, *widths], widths)
                for i in range(num_block)
            )
        )
        self.branches = nn.ModuleList()
        for bands in (1, *(3 * 4**i for i in range(self.depth))):
            width = wavelet_feat * bands
            self.branches.append(
                nn.Sequential(
                    ResidualBlock(widths[-1], width, groups=bands, project=True),
                    ResidualBlock(width, 2 * width, bands, bands),
                    nn.Conv2d(2 * width, num_in_ch * bands, 3, padding=1, groups=bands),
                )
            )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=math.sqrt(2 / (module.kernel_size[0] ** 2 * module.out_channels)))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, lq: Tensor, return_parts: bool = False) -> Tensor | WaveletParts:
        """(N, C, h, w) in [0, 1] -> (N, C, h * scale, w * scale), about [0, 1], not clamped, or the parts."""
        x = self.embedding(self.stem(lq))
        packets = torch.cat([branch(x) for branch in self.branches], dim=1)
        image = inverse_haar_packets(packets, self.depth)
        return WaveletParts(packets, image) if return_parts else image
