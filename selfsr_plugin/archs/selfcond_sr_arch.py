"""The progressive, self-conditioned super-resolution network (section III-B, Figs. 3 and 4)."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from .conditioned_norm import ConditionedNorm, conditioned_norm
from .growing import GrowingNetwork
from .layers import EqualizedConv2d, NormalizedConv2d, count_parameters, in_full_precision, leaky_relu, lerp
from .less_memory import computed_again

Condition = Literal['scale', 'concat']


def _hidden_width(width: int, cond_ratio: int) -> int:
    return max(width // cond_ratio, 1)


class ConditionScale(nn.Module):
    """sigma(y) of Eq. 6: from the condition image to the standard deviation of every feature at every place.

    The last bias starts at 1, so that training begins near plain instance normalisation.

    Args:
        width: feature channels that are modulated.
        hidden: channels between the two convolutions.
        num_in_ch: channels of the condition image.
    """

    def __init__(self, width: int, hidden: int, num_in_ch: int) -> None:
        super().__init__()
        self.conv1 = EqualizedConv2d(num_in_ch, hidden)
        self.conv2 = EqualizedConv2d(hidden, width, gain=1.0, bias_init=1.0)

    def forward(self, condition: Tensor) -> Tensor:
        return self.conv2(leaky_relu(self.conv1(condition)))


class SelfConditionedBlock(nn.Module):
    """Residual block of two convolutions, each normalised and conditioned on the LR image (Fig. 4, Eq. 6).

    ``condition='scale'``: conv, instance normalisation, times sigma(y), leaky ReLU. ``condition='concat'``
    (the vanilla variant of Table IV): the condition image is concatenated to the input of each conv instead.
    The sum with the input is divided by sqrt(2), so that the variance does not grow with depth (ours).
    """

    def __init__(self, width: int, hidden: int, num_in_ch: int, condition: Condition) -> None:
        super().__init__()
        extra = num_in_ch if condition == 'concat' else 0
        self.conv1 = NormalizedConv2d(width + extra, width)
        self.conv2 = NormalizedConv2d(width + extra, width)
        if condition == 'scale':
            self.sigma1 = ConditionScale(width, hidden, num_in_ch)
            self.sigma2 = ConditionScale(width, hidden, num_in_ch)
        else:
            self.sigma1 = self.sigma2 = None

    @staticmethod
    def _layer(
        x: Tensor, y: Tensor, conv: nn.Module, sigma: nn.Module | None
    ) -> tuple[Tensor, AbstractContextManager[Any]]:
        """The features; and the context in which they are not kept for the gradient of what they are given to."""
        if sigma is None:
            return leaky_relu(F.instance_norm(conv(torch.cat((x, y), dim=1)))), nullcontext()
        x, deviation = conv(x), sigma(y)
        output = conditioned_norm(x, deviation)
        return output, computed_again(output, ConditionedNorm.again, x, deviation)

    def forward(self, x: Tensor, condition: Tensor, checkpointed: bool = False) -> Tensor:
        """x (N, width, H, W), condition (N, C, H, W); ``checkpointed`` if the whole block is computed again."""
        h, again = self._layer(x, condition, self.conv1, self.sigma1)
        with nullcontext() if checkpointed else again:
            h, _ = self._layer(h, condition, self.conv2, self.sigma2)
        return (x + h) / math.sqrt(2)


def _enlarged(x: Tensor) -> Tensor:
    if not torch.compiler.is_compiling():
        return F.interpolate(x, scale_factor=2, mode='nearest')
    # The same; compiled, the gradient of the line above is summed by atomic additions, that of this one in place.
    n, c, height, width = x.shape
    return x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).reshape(n, c, 2 * height, 2 * width)


class Level(nn.Module):
    """One doubling: nearest x2, a conv to the level's width, the blocks, and a conv to RGB that is called apart."""

    def __init__(
        self,
        in_width: int,
        width: int,
        num_block: int,
        cond_ratio: int,
        num_in_ch: int,
        num_out_ch: int,
        condition: Condition,
    ) -> None:
        super().__init__()
        self.conv = EqualizedConv2d(in_width, width)
        hidden = _hidden_width(width, cond_ratio)
        self.blocks = nn.ModuleList(SelfConditionedBlock(width, hidden, num_in_ch, condition) for _ in range(num_block))
        self.to_rgb = EqualizedConv2d(width, num_out_ch, gain=1.0)
        self.checkpointing = False

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        enlarged = _enlarged(x)
        with computed_again(enlarged, _enlarged, x):
            x = self.conv(enlarged)
        del enlarged
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, condition, True, use_reentrant=False, preserve_rng_state=False)
            else:
                x = block(x, condition)
        return x


class SelfCondSRNet(GrowingNetwork):
    """Self-conditioned face super-resolution network (section III-B).

    Every level doubles the resolution with about the same number of convolutions ("balanced"), and its blocks see
    the LR image again, upsampled to the level's resolution, as the condition term y of Eq. 6. The layout is our
    reconstruction: it meets every sentence of the paper and its 17.89 M parameters at x8 (Table I; 17,886,729
    here), which alone do not identify the original. How y is upsampled (bicubic) is ours too.

    Works as ``network_g`` in BasicSR's own SRModel and SRGANModel: ``net(lq)`` gives the full scale.

    Args:
        num_in_ch: channels of the LR image.
        num_out_ch: channels of the output.
        widths: feature channels of the levels x2, x4, x8, ...; their number sets the scale, 2 ** len(widths).
        num_block: self-conditioned blocks in each level.
        cond_ratio: sigma(y) has ``width // cond_ratio`` hidden channels.
        condition: 'scale' (Eq. 6) or 'concat' (the vanilla variant of Table IV).

    Raises:
        ValueError: an unknown ``condition``, no level or no block.
    """

    def __init__(
        self,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        widths: Sequence[int] = (384, 192, 96),
        num_block: int = 4,
        cond_ratio: int = 8,
        condition: Condition = 'scale',
    ) -> None:
        super().__init__()
        if condition not in ('scale', 'concat'):
            raise ValueError(f"SelfCondSRNet: condition '{condition}' is unknown; use 'scale' or 'concat'.")
        if not widths or min(widths) < 1 or num_block < 1:
            raise ValueError(
                'SelfCondSRNet: give one width for each doubling, e.g. widths: [384, 192], and at least '
                f'one block; got widths: {list(widths)}, num_block: {num_block}.'
            )
        self.arguments = dict(
            num_in_ch=num_in_ch,
            num_out_ch=num_out_ch,
            widths=list(widths),
            num_block=num_block,
            cond_ratio=cond_ratio,
            condition=condition,
        )
        self.num_level = len(widths)
        self.stem = EqualizedConv2d(num_in_ch, widths[0])
        in_widths = [widths[0], *widths[:-1]]
        self.levels = nn.ModuleList(
            Level(in_width, width, num_block, cond_ratio, num_in_ch, num_out_ch, condition)
            for in_width, width in zip(in_widths, widths)
        )
        self.grow_to(self.num_level)

    def use_checkpointing(self, use: bool = True) -> None:
        """Keep the input of each block alone for the gradient, and compute the block again when it is needed.

        The same gradient in less memory and more time: a third more work.
        """
        for level in self.levels:
            level.checkpointing = use

    @property
    def scale(self) -> int:
        """How much larger ``forward(lq)`` makes an image."""
        return 2**self.level

    def forward(self, lq: Tensor, level: int | None = None, alpha: float | None = None) -> Tensor:
        """Super-resolve by 2 ** level.

        Args:
            lq: (N, C, h, w) in [0, 1], any h and w.
            level: 1 is x2, 2 is x4, ...; by default all levels, or that of :meth:`grow_to`.
            alpha: weight of the newest level against the level below it, upsampled; 1, the newest level alone, by
                default.

        Returns:
            Tensor (N, C, h * 2 ** level, w * 2 ** level), about [0, 1], not clamped.

        Raises:
            ValueError: the network has no such level.
        """
        level, alpha = self.growth(level, alpha)
        lq = lq * 2 - 1
        x = below = self.stem(lq)
        for number, module in enumerate(self.levels[:level], start=1):
            below = x
            y = F.interpolate(lq, scale_factor=2**number, mode='bicubic', align_corners=False)
            x = module(x, y)
        rgb = in_full_precision(self.levels[level - 1].to_rgb, x, lq)
        if alpha < 1 and level > 1:
            old = in_full_precision(self.levels[level - 2].to_rgb, below, lq)
            old = F.interpolate(old, scale_factor=2, mode='nearest')
            rgb = lerp(old, rgb, alpha)
        return (rgb + 1) / 2

    def active_modules(self, level: int, fading: bool) -> list[nn.Module]:
        levels = self.levels[:level]
        modules = [self.stem] + [part for module in levels for part in (module.conv, module.blocks)]
        modules += [module.to_rgb for module in levels[level - (2 if fading and level > 1 else 1) :]]
        return modules

    def extra_repr(self) -> str:
        listed = ', '.join(f'{name}={value}' for name, value in self.arguments.items())
        return f'{listed}, x{self.scale}, {count_parameters(self):,} parameters'
