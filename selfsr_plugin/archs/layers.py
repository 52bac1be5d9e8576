"""Layers with equalized learning rate (Karras et al., ProGAN, ICLR 2018, section 4.1)."""
import math

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

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3, gain: float = math.sqrt(2),
                 bias_init: float = 0.0) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        nn.init.normal_(self.weight)
        nn.init.constant_(self.bias, bias_init)
        self.weight_scale = gain / math.sqrt(in_channels * kernel_size**2)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.weight_scale, self.bias, padding=self.padding)

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, weight_scale={self.weight_scale:.4g}'


class NormalizedConv2d(EqualizedConv2d):
    """EqualizedConv2d whose output is instance-normalised next: its bias has no effect and no gradient.

    Normalisation takes every constant out again, so the true gradient of the bias is zero and the computed one is
    rounding noise, which Adam, dividing by its size, would turn into full steps of any sign: the bias would walk away,
    and differently on two machines. The bias is kept, at its start value, for the parameter count of Table I.
    """

    def forward(self, x: Tensor) -> Tensor:
        # Times 0 rather than left out: DistributedDataParallel wants every trained parameter in the graph.
        return F.conv2d(x, self.weight * self.weight_scale, self.bias * 0, padding=self.padding)


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


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.2, as in ProGAN; used in every network of this package."""
    return F.leaky_relu(x, 0.2)


def lerp(old: Tensor, new: Tensor, alpha: float) -> Tensor:
    """Fade from ``old`` (alpha 0) to ``new`` (alpha 1)."""
    return old + (new - old) * alpha


def count_parameters(module: nn.Module) -> int:
    """Number of parameters, trainable or not; buffers do not count."""
    return sum(parameter.numel() for parameter in module.parameters())
