"""FSRNet, a row of Table I, and with a discriminator FSRGAN."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...ops import log2_of_scale
from .upsampling import enlarge


class FSRNetParts(NamedTuple):
    """What FSRNet computes on its way: all of it is supervised."""

    coarse: Tensor
    """(N, 3, H, W), about [0, 1]: the coarse super-resolved image."""
    prior: Tensor
    """(N, num_landmark + num_parsing, H/2, W/2): heatmaps of landmarks, then parsing maps; targets in [-1, 1]."""
    image: Tensor
    """(N, 3, H, W), about [0, 1]: the result."""


def _reflected(in_width: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(in_width, width, 3, padding=1, bias=False, padding_mode='reflect')


class ResidualBlock(nn.Module):
    """conv, BatchNorm, ReLU, conv, BatchNorm, plus the input; reflection padding."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = _reflected(width, width), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = _reflected(width, width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))


class BlockChain(nn.Module):
    """``count`` residual blocks one after the other; ``share``: one block that is applied ``count`` times."""

    def __init__(self, width: int, count: int, share: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(1 if share else count))
        self.repeats = count if share else 1

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.repeats):
            for block in self.blocks:
                x = block(x)
        return x


class Bottleneck(nn.Module):
    """Pre-activation bottleneck of stacked hourglass networks: 1x1 to half the channels, 3x3, 1x1, plus the input."""

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(in_width), nn.Conv2d(in_width, width // 2, 1)
        self.norm2, self.conv2 = nn.BatchNorm2d(width // 2), nn.Conv2d(width // 2, width // 2, 3, padding=1)
        self.norm3, self.conv3 = nn.BatchNorm2d(width // 2), nn.Conv2d(width // 2, width, 1)
        self.skip = nn.Identity() if in_width == width else nn.Conv2d(in_width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for norm, conv in ((self.norm1, self.conv1), (self.norm2, self.conv2), (self.norm3, self.conv3)):
            h = conv(F.relu(norm(h)))
        return h + self.skip(x)


class Hourglass(nn.Module):
    """Down by maxima and up again ``depth`` times, with a bottleneck beside each step (Newell et al., ECCV 2016)."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.beside, self.down, self.up = (Bottleneck(width, width) for _ in range(3))
        self.inner = Hourglass(width, depth - 1) if depth > 1 else Bottleneck(width, width)

    def forward(self, x: Tensor) -> Tensor:
        beside = self.beside(x)
        h = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        return beside + F.interpolate(h, scale_factor=2, mode='nearest')


class FSRNet(nn.Module):
    """Face super-resolution with facial priors (Chen et al., "FSRNet", CVPR 2018, arXiv 1711.10703).

    A coarse network cleans the enlarged LR image; from its image an encoder takes features and a prior network with
    hourglasses takes landmarks and parsing maps, both at half the size; a decoder makes the result of the two.

    The 2.15 M parameters of Table I are those of cs-giung/FSRNet-pytorch, where the residual blocks of a part are one
    block applied again and again: 2,152,512 without heads, 2,153,931 with 11 parsing maps. The paper of FSRNet has
    separate blocks: ``share_blocks=False``. From that implementation are also the convolutions' biases (before
    BatchNorm without effect) and layers the paper does not state.

    Args:
        num_feat: channels; the prior network has twice as many.
        num_parsing: parsing maps that are predicted (11 for CelebA: skin, brows, eyes, ears, nose, mouth, lips).
        num_landmark: landmark heatmaps that are predicted (194 for Helen).
        share_blocks: residual blocks of a part share their weights.
        num_block: residual blocks of the coarse network, the encoder and the decoder.
        num_hourglass: hourglasses of the prior network.
        depth: halvings in an hourglass.
        scale: a power of two, 2 or more.

    Raises:
        ValueError: a scale that is no power of two, or not three numbers of blocks.
    """

    def __init__(
        self,
        num_feat: int = 64,
        num_parsing: int = 11,
        num_landmark: int = 0,
        share_blocks: bool = True,
        num_block: Sequence[int] = (3, 12, 3),
        num_hourglass: int = 2,
        depth: int = 3,
        scale: int = 8,
    ) -> None:
        super().__init__()
        log2_of_scale('FSRNet', scale)
        if len(num_block) != 3:
            raise ValueError(
                'FSRNet: num_block takes three numbers, for the coarse network, the encoder and the decoder, '
                f'not {list(num_block)}.'
            )
        self.scale, self.multiple = scale, 2 ** (depth + 1)
        wide = num_feat * 2
        coarse, encoder, decoder = (BlockChain(num_feat, count, share_blocks) for count in num_block)
        self.coarse = nn.Sequential(
            _reflected(3, num_feat), nn.BatchNorm2d(num_feat), nn.ReLU(), coarse, _reflected(num_feat, 3), nn.Tanh()
        )
        self.encoder = nn.Sequential(
            nn.Conv2d(3, num_feat, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(num_feat),
            nn.ReLU(),
            encoder,
            _reflected(num_feat, num_feat),
            nn.Tanh(),
        )
        self.prior = nn.Sequential(
            nn.Conv2d(3, num_feat, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(num_feat),
            nn.ReLU(),
            Bottleneck(num_feat, wide),
            ResidualBlock(wide),
            ResidualBlock(wide),
            *(Hourglass(wide, depth) for _ in range(num_hourglass)),
        )
        self.heads = nn.ModuleList(nn.Conv2d(wide, count, 1) for count in (num_landmark, num_parsing) if count)
        self.decoder = nn.Sequential(
            nn.Conv2d(num_feat + wide, num_feat, 3, padding=1, bias=False),
            nn.BatchNorm2d(num_feat),
            nn.ReLU(),
            nn.ConvTranspose2d(num_feat, num_feat, 3, stride=2, padding=1, output_padding=1, bias=False),
            nn.BatchNorm2d(num_feat),
            nn.ReLU(),
            decoder,
            _reflected(num_feat, 3),
            nn.Tanh(),
        )

    def forward(self, lq: Tensor, return_parts: bool = False) -> Tensor | FSRNetParts:
        """Super-resolve a face.

        Args:
            lq: (N, 3, h, w) in [0, 1]; h * scale and w * scale must be multiples of 2 ** (depth + 1).
            return_parts: give the coarse image and the priors too.

        Returns:
            Tensor (N, 3, h * scale, w * scale) in [0, 1], or :class:`FSRNetParts`.

        Raises:
            ValueError: a size that the hourglasses cannot halve.
        """
        height, width = (side * self.scale for side in lq.shape[-2:])
        if height % self.multiple or width % self.multiple:
            raise ValueError(f'FSRNet makes images whose sides are multiples of {self.multiple}, not {height}x{width}.')
        coarse = self.coarse(enlarge(lq, self.scale).clamp(0, 1) * 2 - 1)
        features, prior = self.encoder(coarse), self.prior(coarse)
        image = (self.decoder(torch.cat((features, prior), dim=1)) + 1) / 2
        if not return_parts:
            return image
        maps = [head(prior) for head in self.heads] or [prior[:, :0]]
        return FSRNetParts((coarse + 1) / 2, torch.cat(maps, dim=1), image)
