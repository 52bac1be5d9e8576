"""Layers with equalized learning rate (Karras et al., ProGAN, ICLR 2018, section 4.1)."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class EqualizedConv2d(nn.Conv2d):
    """3x3 or other square convolution whose weights are N(0, 1) and scaled at run time by ``gain / sqrt(fan_in)``.

    The scaling stands outside the parameter, so that Adam's step has the same relative size in every layer.

    Args:
        in_channels, out_channels: channels.
        kernel_size: side of the kernel; the padding keeps the size for odd kernels.
        gain: sqrt(2) before a leaky ReLU, 1 before a linear output.
        bias_init: start value of the bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        gain: float = math.sqrt(2),
        bias_init: float = 0.0,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        nn.init.normal_(self.weight)
        nn.init.constant_(self.bias, bias_init)
        self.weight_scale = gain / math.sqrt(in_channels * kernel_size**2)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.weight_scale, self.bias, padding=self.padding)

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, weight_scale={self.weight_scale:.4g}'


class NormalizedConv2d(EqualizedConv2d):
    """EqualizedConv2d whose output is instance-normalised next, and which has no bias for that reason.

    Normalisation takes every constant out again: the true gradient of a bias is zero and the computed one rounding
    noise, which Adam, dividing by its size, would turn into full steps of any sign.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        self.bias = None  # taken out, not left out: a seed gives the weights that it gave when there was one

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        state_dict.pop(f'{prefix}bias', None)  # in files of before, without effect
        super()._load_from_state_dict(state_dict, prefix, *args)


class EqualizedLinear(nn.Linear):
    """Linear layer with weights N(0, 1) and the run-time scale ``gain / sqrt(in_features)``."""

    def __init__(self, in_features: int, out_features: int, gain: float = math.sqrt(2)) -> None:
        super().__init__(in_features, out_features)
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)
        self.weight_scale = gain / math.sqrt(in_features)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.weight_scale, self.bias)

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, weight_scale={self.weight_scale:.4g}'


def compare_constants(state_dict: dict[str, Any], prefix: str, errors: list[str], **constants: float) -> None:
    """Take out of ``state_dict`` the constructor arguments that files of before hold as buffers.

    Args:
        state_dict, prefix, errors: as ``nn.Module._load_from_state_dict`` gets them; an argument of another value is
            added to the errors, since such weights do not fit.
        constants: the arguments of the network that is being filled.
    """
    for name, value in constants.items():
        saved = state_dict.pop(prefix + name, None)
        if saved is not None and saved.float().item() != torch.tensor(value).float().item():
            errors.append(f'trained with {name}: {saved.item():.7g}, not {value}')


SLOPE = 0.2


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.2, as in ProGAN; used in every network of this package. Written over ``x``.

    So what a layer gives is not kept beside its activation, half of what a discriminator keeps for its gradient.
    """
    return F.leaky_relu(x, SLOPE, inplace=True)


def in_full_precision(layer: nn.Module, x: Tensor, like: Tensor) -> Tensor:
    """``layer(x)`` in the format of ``like``, under autocast too.

    For last layers: 16 bits hold an image to no more than 1/256 of its range.
    """
    if x.is_meta or not torch.is_autocast_enabled(x.device.type):
        return layer(x)
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.to(like.dtype))


def lerp(old: Tensor, new: Tensor, alpha: float) -> Tensor:
    """Fade from ``old`` (alpha 0) to ``new`` (alpha 1)."""
    return old + (new - old) * alpha


def count_parameters(module: nn.Module) -> int:
    """Number of parameters, trainable or not; buffers do not count."""
    return sum(parameter.numel() for parameter in module.parameters())
