"""Gradients by images that are learnt from in turn (R1), without those derivatives that are slow in torch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_X, _WEIGHT = [True, False, False], [False, True, False]  # which gradients are wanted of a convolution


def input_gradient(net: Callable[[Tensor], Tensor], images: Tensor) -> tuple[Tensor, Tensor]:
    """What a network makes of images, and the gradient of its sum by them, both with a graph.

    Args:
        net: of which each result depends on one image, or on little of the others.
        images: (N, C, H, W), without a graph.

    Returns:
        ``net(images)`` and a tensor of the shape of ``images``.
    """
    images = images.detach().requires_grad_()
    if images.device.type == 'cpu':  # where torch's is as fast
        output = net(images)
        (gradient,) = torch.autograd.grad(output.sum(), images, create_graph=True)
        return output, gradient
    with OwnDerivatives() as derivatives:
        output = net(images)
    return output, derivatives.gradient(output.sum(), images)


class OwnDerivatives(TorchFunctionMode):
    """Within it convolutions and 2x2 average pooling have derivatives of our own.

    A penalty on a gradient by images is learnt from through the derivative, by the weights, of a convolution's gradient
    by its input. torch computes it as a convolution whose kernels are as large as the images, with which R1 took an
    H100 four times as long at x8 (docs/performance.md); it is the common gradient by the weights, of other factors.
    The gradient of pooling is nearest enlargement, which takes half the time of torch's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.of_weights = True  # whether gradients by weights are wanted too

    def gradient(self, output: Tensor, images: Tensor) -> Tensor:
        """Of ``output``, which was computed within, by ``images``, with a graph."""
        self.of_weights = False  # a function of Python's cannot know by itself, and would compute them
        try:
            return torch.autograd.grad(output, images, create_graph=True)[0]
        finally:
            self.of_weights = True

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.conv2d:
            return self._conv2d(*args, **kwargs)
        if (
            func is F.avg_pool2d
            and args[1:] == (2,)
            and not kwargs
            and all(side % 2 == 0 for side in args[0].shape[-2:])
        ):
            return _HalfSize.apply(args[0])
        return func(*args, **kwargs)

    def _conv2d(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        if isinstance(padding, str) or torch.is_autocast_enabled(input.device.type):
            return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
        geometry = (
            *([each, each] if isinstance(each, int) else list(each) for each in (stride, padding, dilation)),
            groups,
        )
        return _Conv2d.apply(input, weight, bias, geometry, self)


def _gradients(grad: Tensor, x: Tensor, weight: Tensor, geometry: Any, wanted: list[bool]) -> tuple[Tensor, ...]:
    stride, padding, dilation, groups = geometry
    return torch.ops.aten.convolution_backward(
        grad, x, weight, None, stride, padding, dilation, False, [0, 0], groups, wanted
    )


class _Conv2d(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Any, mode: OwnDerivatives
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.mode = geometry, mode
        return F.conv2d(x, weight, bias, *geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad[:3]
        grad_x = grad_weight = grad_bias = None
        if of_x:
            grad_x = _InputGradient.apply(grad, weight, x.detach(), ctx.geometry)
        if of_weight and ctx.mode.of_weights:
            grad_weight = _gradients(grad, x, weight, ctx.geometry, _WEIGHT)[1]
        if of_bias and ctx.mode.of_weights:
            grad_bias = grad.sum((0, 2, 3))
        return grad_x, grad_weight, grad_bias, None, None


class _InputGradient(torch.autograd.Function):
    """The gradient of a convolution by its input, of which only the shape counts: linear in the other two."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor, x: Tensor, geometry: Any) -> Tensor:
        ctx.save_for_backward(grad, weight)
        ctx.geometry = geometry
        return _gradients(grad, x, weight, geometry, _X)[0]

    @staticmethod
    def backward(ctx: Any, second: Tensor) -> tuple[Tensor | None, ...]:
        grad, weight = ctx.saved_tensors
        of_grad, of_weight = ctx.needs_input_grad[:2]
        return (
            F.conv2d(second, weight, None, *ctx.geometry) if of_grad else None,
            _gradients(grad, second, weight, ctx.geometry, _WEIGHT)[1] if of_weight else None,
            None,
            None,
        )


class _HalfSize(torch.autograd.Function):
    """2x2 average pooling of even sides; it and its gradient are each other's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _Spread.apply(grad)


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return F.interpolate(x / 4, scale_factor=2, mode='nearest')

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _HalfSize.apply(grad)
