"""The residual dense network, a row of Table I."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...ops import log2_of_scale


class DenseBlock(nn.Module):
    """Convolutions of which each sees all outputs before it, a 1x1 fusion, plus the input (RDB of the paper)."""

    def __init__(self, num_feat: int, num_grow_ch: int, num_conv: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(num_feat + i * num_grow_ch, num_grow_ch, 3, padding=1) for i in range(num_conv)
        )
        self.fuse = nn.Conv2d(num_feat + num_conv * num_grow_ch, num_feat, 1)

    def forward(self, x: Tensor) -> Tensor:
        found = x
        for conv in self.convs:
            found = torch.cat((found, F.relu(conv(found))), dim=1)
        return x + self.fuse(found)


class RDN(nn.Module):
    """Residual dense network (Zhang et al., "Residual Dense Network for Image Super-Resolution", CVPR 2018).

    24,339,075 parameters with the defaults, which are the 24.34 M of Table I: one pixel shuffle by 8 at the end. The
    network that its authors published doubles step by step ('stepwise', 22,418,819). BasicSR 1.4.2 has no RDN.

    Args:
        num_in_ch, num_out_ch: image channels.
        num_feat: channels between the blocks (G0 of the paper).
        num_grow_ch: channels that a convolution of a block adds (G).
        num_block: residual dense blocks (D).
        num_conv: convolutions of a block (C).
        scale: a power of two, 2 or more.
        upsampler: 'direct', one pixel shuffle by ``scale``, or 'stepwise', one by 2 for each doubling.

    Raises:
        ValueError: a scale that is no power of two, or an unknown upsampler.
    """

    def __init__(
        self,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        num_feat: int = 64,
        num_grow_ch: int = 64,
        num_block: int = 16,
        num_conv: int = 8,
        scale: int = 8,
        upsampler: Literal['direct', 'stepwise'] = 'direct',
    ) -> None:
        super().__init__()
        if upsampler not in ('direct', 'stepwise'):
            raise ValueError(f"RDN: upsampler '{upsampler}' is unknown; use 'direct' or 'stepwise'.")
        doublings = log2_of_scale('RDN', scale)
        self.conv1 = nn.Conv2d(num_in_ch, num_feat, 3, padding=1)
        self.conv2 = nn.Conv2d(num_feat, num_feat, 3, padding=1)
        self.blocks = nn.ModuleList(DenseBlock(num_feat, num_grow_ch, num_conv) for _ in range(num_block))
        self.fuse1 = nn.Conv2d(num_block * num_feat, num_feat, 1)
        self.fuse2 = nn.Conv2d(num_feat, num_feat, 3, padding=1)
        factors = [scale] if upsampler == 'direct' else [2] * doublings
        self.up = nn.Sequential(
            *(
                layer
                for factor in factors
                for layer in (nn.Conv2d(num_feat, num_feat * factor**2, 3, padding=1), nn.PixelShuffle(factor))
            )
        )
        self.to_rgb = nn.Conv2d(num_feat, num_out_ch, 3, padding=1)

    def forward(self, lq: Tensor) -> Tensor:
        """(N, C, h, w) in [0, 1] -> (N, C, h * scale, w * scale), about [0, 1], not clamped."""
        first = self.conv1(lq)
        x, found = self.conv2(first), []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        x = first + self.fuse2(self.fuse1(torch.cat(found, dim=1)))
        return self.to_rgb(self.up(x))
