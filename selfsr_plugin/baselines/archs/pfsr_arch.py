"""Generator and discriminator of progressive face super-resolution, a row of Table I."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...archs.growing import GrowingNetwork
from ...archs.layers import EqualizedConv2d, lerp


class ResidualBlock(nn.Module):
    """Twice: convolution of equalized learning rate, BatchNorm, ReLU; plus the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = EqualizedConv2d(width, width), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = EqualizedConv2d(width, width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class PFSRNet(GrowingNetwork):
    """Progressive face super-resolution (Kim et al., "Progressive Face Super-Resolution via Attention to Facial
    Landmark", BMVC 2019, arXiv 1908.08239).

    Each level doubles the resolution and halves the channels. 8,969,097 parameters with the defaults: the 8.97 M of
    Table I. Layout after the authors' published code, which has no training.

    Args:
        num_in_ch, num_out_ch: image channels.
        num_feat: channels at the size of the LR image, a multiple of 2 ** num_level.
        num_level: doublings.

    Raises:
        ValueError: channels that cannot be halved so often.
    """

    def __init__(self, num_in_ch: int = 3, num_out_ch: int = 3, num_feat: int = 512, num_level: int = 3) -> None:
        super().__init__()
        if num_level < 1 or num_feat % 2**num_level:
            raise ValueError(
                f'PFSRNet: num_feat must be a multiple of 2 ** num_level, and num_level 1 or more, not {num_feat} '
                f'and {num_level}.'
            )
        self.num_level = num_level
        widths = [num_feat >> i for i in range(num_level + 1)]
        self.stem = nn.Sequential(nn.Conv2d(num_in_ch, num_feat, 3, padding=1), nn.BatchNorm2d(num_feat), nn.ReLU())
        self.levels = nn.ModuleList(
            nn.Sequential(
                ResidualBlock(width),
                nn.ConvTranspose2d(width, below, 4, stride=2, padding=1),
                nn.BatchNorm2d(below),
                nn.ReLU(),
            )
            for width, below in zip(widths, widths[1:])
        )
        self.to_rgb = nn.ModuleList(nn.Conv2d(width, num_out_ch, 1) for width in widths[1:])
        self.grow_to(num_level)

    @property
    def scale(self) -> int:
        """How much larger ``forward(lq)`` makes an image."""
        return 2**self.level

    def forward(self, lq: Tensor, level: int | None = None, alpha: float | None = None) -> Tensor:
        """Super-resolve by 2 ** level.

        Args:
            lq: (N, C, h, w) in [0, 1].
            level: 1 is x2, 2 is x4, ...; by default all levels, or that of :meth:`grow_to`.
            alpha: weight of the newest level against the level below it, enlarged; by default 1.

        Returns:
            Tensor (N, C, h * 2 ** level, w * 2 ** level), about [0, 1], not clamped.

        Raises:
            ValueError: the network has no such level.
        """
        level, alpha = self.growth(level, alpha)
        x = below = self.stem(lq * 2 - 1)
        for module in self.levels[:level]:
            below, x = x, module(x)
        rgb = self.to_rgb[level - 1](x)
        if alpha < 1 and level > 1:
            rgb = lerp(F.interpolate(self.to_rgb[level - 2](below), scale_factor=2, mode='nearest'), rgb, alpha)
        return (rgb + 1) / 2

    def active_modules(self, level: int, fading: bool) -> list[nn.Module]:
        return [self.stem, *self.levels[:level], *self.to_rgb[level - (2 if fading and level > 1 else 1) : level]]


class PFSRDiscriminator(GrowingNetwork):
    """The discriminator of PFSRNet, which grows with it; 8,065,537 parameters with the defaults.

    Two convolutions and average pooling for each level down to the size of the LR image, one number for how much the
    images of the batch differ, a convolution, the mean over all places, and two linear layers. As in the published
    code, nothing bends between the last three.

    Args:
        num_in_ch: image channels.
        num_feat: channels at the full size; twice as many at half of it, and so on.
        num_level: levels of the generator.
        num_hidden: features between the two linear layers.

    Raises:
        ValueError: no level.
    """

    def __init__(self, num_in_ch: int = 3, num_feat: int = 64, num_level: int = 3, num_hidden: int = 2048) -> None:
        super().__init__()
        if num_level < 1:
            raise ValueError(f'PFSRDiscriminator: num_level must be 1 or more, not {num_level}.')
        self.num_level = num_level
        widths = [num_feat << i for i in range(num_level + 1)]  # from the full size down
        self.from_rgb = nn.ModuleList(nn.Conv2d(num_in_ch, width, 1) for width in widths[:-1])
        self.blocks = nn.ModuleList(
            nn.Sequential(
                EqualizedConv2d(width, below),
                nn.LeakyReLU(0.2),
                EqualizedConv2d(below, below),
                nn.LeakyReLU(0.2),
                nn.AvgPool2d(2),
            )
            for width, below in zip(widths, widths[1:])
        )
        self.conv = EqualizedConv2d(widths[-1] + 1, widths[-1])
        self.linear = nn.Linear(widths[-1], num_hidden)
        self.to_logit = nn.Linear(num_hidden, 1)
        self.grow_to(num_level)

    def forward(self, x: Tensor, level: int | None = None, alpha: float | None = None) -> Tensor:
        """Judge images of the size of one level.

        Args:
            x: (N, C, H, W) in [0, 1], H and W multiples of 2 ** level.
            level: level of the generator; by default the last one, or that of :meth:`grow_to`.
            alpha: weight of this level's first block against the input of the one below; by default 1.

        Returns:
            Tensor (N, 1), logits.

        Raises:
            ValueError: the network has no such level.
        """
        level, alpha = self.growth(level, alpha)
        x = x * 2 - 1
        first = self.num_level - level
        h = self.blocks[first](self.from_rgb[first](x))
        if alpha < 1 and level > 1:
            h = lerp(self.from_rgb[first + 1](F.avg_pool2d(x, 2)), h, alpha)
        for block in self.blocks[first + 1 :]:
            h = block(h)
        # One image differs from none: the deviation of a batch of one is not a number.
        # not std: where a pixel is alike in all images its gradient is infinite, and that of R1 is NaN
        spread = x.var(dim=0).clamp(min=1e-24).sqrt().mean() if len(x) > 1 else x.new_zeros(())
        h = self.conv(torch.cat((h, spread.expand_as(h[:, :1])), dim=1))
        return self.to_logit(self.linear(h.mean(dim=(2, 3))))

    def active_modules(self, level: int, fading: bool) -> list[nn.Module]:
        first = self.num_level - level
        inputs = self.from_rgb[first : first + (2 if fading and level > 1 else 1)]
        return [*inputs, *self.blocks[first:], self.conv, self.linear, self.to_logit]
