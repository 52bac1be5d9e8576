"""Less memory for the gradient: what is cheap to compute is computed again in the backward pass and not kept."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


def keeps_less(x: Tensor) -> bool:
    """Whether less is kept of what is computed from ``x``: on GPUs.

    On CPUs that takes longer (docs/performance.md), and torch.compile chooses by itself what to keep.
    """
    return x.device.type != 'cpu' and torch.is_grad_enabled() and not torch.compiler.is_compiling()


def computed_again(output: Tensor, function: Callable[..., Tensor], *inputs: Tensor) -> AbstractContextManager[Any]:
    """In this context what would keep ``output`` for its gradient keeps ``inputs``, where :func:`keeps_less` says so.

    Args:
        output: what an operation in the context is given.
        function: gives ``output`` again, bit for bit, from the inputs. It is called without gradients: those go through
            ``output``, and there are no second ones.
        inputs: kept elsewhere already, or smaller than ``output``.
    """
    if not keeps_less(output):
        return nullcontext()
    storage, detached = output.untyped_storage()._cdata, [each.detach() for each in inputs]

    def pack(tensor: Tensor) -> Tensor | None:
        return None if tensor.untyped_storage()._cdata == storage else tensor

    def unpack(kept: Tensor | None) -> Tensor:
        return function(*detached) if kept is None else kept

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)
