"""The HR discriminator, which grows with the super-resolution network (section III-B)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .growing import GrowingNetwork
from .layers import (
    EqualizedConv2d,
    EqualizedLinear,
    compare_constants,
    count_parameters,
    in_full_precision,
    leaky_relu,
    lerp,
)


class DownBlock(nn.Module):
    """Two 3x3 convs and 2x2 average pooling."""

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__()
        self.conv1 = EqualizedConv2d(in_width, in_width)
        self.conv2 = EqualizedConv2d(in_width, out_width)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(leaky_relu(self.conv2(leaky_relu(self.conv1(x)))), 2)


def minibatch_stddev(x: Tensor, group: int) -> Tensor:
    """Append one channel: the standard deviation over a group of samples, averaged over channels and places.

    ProGAN, section 3. A group holds neighbouring samples of the batch, so that two processes that share a batch
    half and half compute what one process computes. A batch that ``group`` does not divide takes the largest
    smaller group that does.
    """
    n, c, height, width = x.shape
    group = next(size for size in range(min(group, n), 0, -1) if n % size == 0)
    groups = x.to(torch.promote_types(x.dtype, torch.float32)).reshape(n // group, group, c, height, width)
    deviation = groups.var(dim=1, unbiased=False).add(1e-8).sqrt()
    deviation = deviation.mean(dim=(1, 2, 3)).repeat_interleave(group)
    return torch.cat((x, deviation.to(x.dtype).reshape(n, 1, 1, 1).expand(n, 1, height, width)), dim=1)


class ProgressiveDiscriminator(GrowingNetwork):
    """ProGAN-style discriminator of Eqs. 7 and 9 with equalized learning rate.

    One input conv (fromRGB) for each output resolution of the generator; blocks halve the resolution down to the
    last map, where the minibatch standard deviation comes in. Our reconstruction (the paper describes no layout);
    18,324,545 parameters for 128x128 with the defaults.

    Works as ``network_d`` in BasicSR's SRGANModel: ``net(img)`` judges the full size.

    Args:
        size: side of the full HR image: 4 to 7 times a power of two.
        num_in_ch: image channels.
        num_level: levels of the generator, 2 for x4, 3 for x8.
        feat_base: a map of side r has ``min(2 * feat_base / r, feat_max)`` channels at its input.
        feat_max: bound of the channels.
        stddev_group: samples in a group of the minibatch standard deviation.

    Raises:
        ValueError: a size that cannot be halved often enough, or too small a ``feat_base``.
    """

    def __init__(
        self,
        size: int = 128,
        num_in_ch: int = 3,
        num_level: int = 3,
        feat_base: int = 4096,
        feat_max: int = 512,
        stddev_group: int = 4,
    ) -> None:
        super().__init__()
        sides = [size]
        while sides[-1] >= 8 and sides[-1] % 2 == 0:
            sides.append(sides[-1] // 2)
        if not 4 <= sides[-1] < 8 or num_level > len(sides) - 1:
            raise ValueError(
                f'ProgressiveDiscriminator: size {size} does not fit {num_level} levels: it must be 4 to '
                f'7 times a power of two, and at least 4 * 2 ** num_level = {4 * 2**num_level}.'
            )
        if num_level < 1 or stddev_group < 1:
            raise ValueError(
                'ProgressiveDiscriminator: num_level and stddev_group must be 1 or more, got '
                f'{num_level} and {stddev_group}.'
            )
        widths = [min(2 * feat_base // side, feat_max) for side in sides]
        if widths[0] < 1:
            raise ValueError(
                f'ProgressiveDiscriminator: feat_base {feat_base} leaves no channel at {size}x{size}; '
                f'it must be at least {size // 2}.'
            )
        self.size, self.num_level, self.stddev_group = size, num_level, stddev_group
        self.from_rgb = nn.ModuleList(EqualizedConv2d(num_in_ch, width, 1) for width in widths[:num_level])
        self.blocks = nn.ModuleList(DownBlock(width, below) for width, below in zip(widths, widths[1:]))
        self.conv = EqualizedConv2d(widths[-1] + 1, widths[-1])
        self.linear = EqualizedLinear(widths[-1] * sides[-1] ** 2, widths[-1])
        self.to_logit = EqualizedLinear(widths[-1], 1, gain=1.0)
        self.grow_to(num_level)

    def forward(self, x: Tensor, level: int | None = None, alpha: float | None = None) -> Tensor:
        """Judge images of the size of one level.

        Args:
            x: (N, C, S, S) in [0, 1] with S = size / 2 ** (num_level - level).
            level: level of the generator; by default the last one, or that of :meth:`grow_to`.
            alpha: weight of this level's input conv against the one below, which sees the image at half the size; 1 by
                default.

        Returns:
            Tensor (N, 1), logits.

        Raises:
            ValueError: images of another size.
        """
        level, alpha = self.growth(level, alpha)
        first = self.num_level - level
        side = self.size >> first
        if x.shape[-2:] != (side, side):
            raise ValueError(
                f'ProgressiveDiscriminator(size={self.size}, num_level={self.num_level}) at level {level} '
                f'judges images of {side}x{side}, not {x.shape[-2]}x{x.shape[-1]}.'
            )
        x = x * 2 - 1
        h = self.blocks[first](leaky_relu(self.from_rgb[first](x)))
        if alpha < 1 and level > 1:
            h = lerp(leaky_relu(self.from_rgb[first + 1](F.avg_pool2d(x, 2))), h, alpha)
        for block in self.blocks[first + 1 :]:
            h = block(h)
        h = leaky_relu(self.conv(minibatch_stddev(h, self.stddev_group)))
        return in_full_precision(self.to_logit, leaky_relu(self.linear(h.flatten(1))), x)

    def active_modules(self, level: int, fading: bool) -> list[nn.Module]:
        first = self.num_level - level
        inputs = self.from_rgb[first : first + (2 if fading and level > 1 else 1)]
        return [*inputs, *self.blocks[first:], self.conv, self.linear, self.to_logit]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        compare_constants(state_dict, prefix, args[-1], stddev_group=self.stddev_group)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        return (
            f'size={self.size}, num_level={self.num_level}, stddev_group={self.stddev_group}, '
            f'{count_parameters(self):,} parameters'
        )
