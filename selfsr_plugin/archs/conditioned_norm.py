"""Eq. 6 with the activation after it: normalise, scale by sigma(y), leaky ReLU, in the memory of its inputs."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .layers import SLOPE, leaky_relu
from .less_memory import keeps_less

EPS = 1e-5  # of F.instance_norm


def conditioned_norm(x: Tensor, sigma: Tensor) -> Tensor:
    """``leaky_relu(instance_norm(x) * sigma)``, all (N, C, H, W).

    The gradient is that of these functions, which keep three tensors beside x and sigma for it: the normalised x, the
    product and its activation. On GPUs only x and sigma are kept (:class:`ConditionedNorm`) and the others computed
    again.
    """
    if torch.compiler.is_compiling():  # torch's normalisation would lose channels_last
        return _forward(x, sigma)[0]
    return ConditionedNorm.apply(x, sigma) if keeps_less(x) else leaky_relu(F.instance_norm(x) * sigma)


class ConditionedNorm(torch.autograd.Function):
    """:func:`conditioned_norm`, keeping x, sigma and the statistics; no second derivatives.

    Statistics and the gradient are in single precision or better, whatever the inputs are in, and the layout in memory
    (channels_last) is kept, which torch's normalisation does not do.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, sigma: Tensor) -> Tensor:
        output, mean, rstd = _forward(x, sigma)
        ctx.save_for_backward(x, sigma, mean, rstd)
        return output

    @staticmethod
    def again(x: Tensor, sigma: Tensor) -> Tensor:
        """What ``apply`` gave, bit for bit, without a graph."""
        return _forward(x, sigma)[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, sigma, mean, rstd = ctx.saved_tensors
        normalised = torch.addcmul(-mean * rstd, x.to(mean.dtype), rstd)
        grad = torch.ops.aten.leaky_relu_backward(grad.to(mean.dtype), normalised * sigma, SLOPE, False)
        grad_sigma = grad * normalised
        grad = grad * sigma
        # Through the statistics: less its mean, and less its share along the normalised x.
        along = (grad * normalised).mean((2, 3), keepdim=True)
        grad = grad.sub_(grad.mean((2, 3), keepdim=True))
        grad_x = torch.addcmul(grad, normalised, along, value=-1).mul_(rstd)
        return grad_x.to(x.dtype), grad_sigma.to(sigma.dtype)


def _forward(x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The output; mean and 1 / deviation of every channel of every image, (N, C, 1, 1)."""
    exact = x.to(torch.promote_types(x.dtype, torch.float32))
    var, mean = torch.var_mean(exact, (2, 3), correction=0, keepdim=True)
    rstd = (var + EPS).rsqrt()
    normalised = torch.addcmul(-mean * rstd, exact, rstd)
    return leaky_relu((normalised * sigma).to(x.dtype)), mean, rstd
