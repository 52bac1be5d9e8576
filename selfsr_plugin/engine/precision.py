"""The number formats that networks are trained in: which a device does well, and how networks are run in them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from basicsr.utils import get_root_logger
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from ..errors import UserError

_AMPERE, _VOLTA = (8, 0), (7, 0)  # compute capabilities: of the first GPUs with bf16 and TF32, and with fp16 matrices
_SIXTEEN_BITS = {'bf16': torch.bfloat16, 'fp16': torch.float16}


class Precision:
    """How networks are run in training.

    'bf16' and 'fp16' are torch's autocast: matrix products and convolutions in 16 bits, weights and what is learnt in
    32. Only networks run so. Images, losses, R1, bicubic kernels and warping are in single precision, and so are the
    statistics of normalisation and the last layer of each network of this package, which makes images, flows or logits.
    'tf32' rounds the factors of convolutions to 10 bits, on GPUs; with 'bf16' and 'fp16' the convolutions that are left
    in single precision are so rounded, with 'fp32' none are.

    Args:
        precision: 'auto', 'fp32', 'tf32', 'bf16' or 'fp16'; 'auto' is what the device does well: bf16 on GPUs since
            Ampere, fp16 on Volta and Turing, else fp32.
        device: that the networks are on.

    Raises:
        UserError: the device cannot do it.
    """

    def __init__(self, precision: str, device: torch.device) -> None:
        self.device = device
        self.name = _best(device) if precision == 'auto' else precision
        if self.name in ('tf32', 'bf16') and device.type == 'cuda' and _capability(device) < _AMPERE:
            raise UserError(
                f'precision: {self.name}: {torch.cuda.get_device_name(device)} has no such format, which GPUs have '
                'since Ampere (A100): write precision: auto.'
            )
        if self.name == 'tf32' and device.type != 'cuda':
            raise UserError(
                'precision: tf32: it is a format of NVIDIA GPUs, and this run computes on the CPU: write precision: '
                'auto.'
            )
        if self.name in _SIXTEEN_BITS and device.type != 'cuda':
            get_root_logger().warning(
                f'precision: {self.name}: this run computes on the CPU, and most CPUs are slower in that format, '
                'some many times, than in fp32, which precision: auto is here.'
            )
        self.dtype = _SIXTEEN_BITS.get(self.name, torch.float32)

    def choose_convolutions(self) -> None:
        """Let cuDNN round the factors of convolutions in single precision, or not; this is a setting of the process."""
        if self.device.type == 'cuda':
            torch.backends.cudnn.allow_tf32 = self.name != 'fp32'

    def runs(self, net: nn.Module) -> Callable[..., Any]:
        """``net``, to be called with the same arguments; what it returns is in single precision or better."""
        return net if self.dtype is torch.float32 else partial(self._run, net)

    def _run(self, net: nn.Module, *args: Any, **kwargs: Any) -> Any:
        with torch.autocast(self.device.type, self.dtype):
            return tree_map(_widened, net(*args, **kwargs))


def _capability(device: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(device)


def _best(device: torch.device) -> str:
    if device.type != 'cuda' or _capability(device) < _VOLTA:
        return 'fp32'
    return 'bf16' if _capability(device) >= _AMPERE else 'fp16'


def _widened(value: Any) -> Any:
    is_narrow = isinstance(value, Tensor) and value.dtype in _SIXTEEN_BITS.values()
    return value.float() if is_narrow else value
