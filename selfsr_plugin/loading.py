"""Networks from their files alone: no option file, no trainer."""
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple, Type, Union

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import Tensor, nn

from .errors import UserError
from .engine.checkpoint import load_checkpoint


def load(path: Union[str, Path], key: Optional[str] = None, expected: Type[nn.Module] = nn.Module) -> nn.Module:
    """Build the network that ``path`` holds: class and constructor arguments are recovered from its weights.

    Args:
        path: a file that this package's or BasicSR's models saved of one of this package's networks.
        key: 'params' or 'params_ema'; by default the moving average if the file has one.
        expected: the class that is needed, if only one will do.

    Returns:
        The network on the CPU, in eval mode.

    Raises:
        FileNotFoundError: no such file.
        UserError: no checkpoint, no such key, or a network of another kind.
    """
    try:
        content = load_checkpoint(path)
    except ValueError as error:
        raise UserError(str(error)) from error
    weights = _select(content, path, key)
    for cls, arguments in _candidates(weights):
        with torch.device('meta'):  # shapes only: no memory, no random numbers
            shapes = {name: value.shape for name, value in cls(**arguments).state_dict().items()}
        if shapes == {name: value.shape for name, value in weights.items()}:
            net = cls(**arguments)
            net.load_state_dict(weights)
            if not isinstance(net, expected):
                raise UserError(f'{path} holds a {cls.__name__}, and a {expected.__name__} is needed.')
            return net.eval()
    known = ', '.join(cls.__name__ for cls in _architectures())
    raise UserError(f"{path} holds the weights of none of this package's networks ({known}); load those of another "
                    'architecture with the code that made them.')


def _select(content: Any, path: Union[str, Path], key: Optional[str]) -> Dict[str, Tensor]:
    found = [name for name in ('params_ema', 'params') if isinstance(content, Mapping) and name in content]
    if key is None and found:
        key = found[0]
    if key is not None and key not in found:
        has = f'; it has {", ".join(found)}.' if found else '.'
        raise UserError(f"{path} has no weights under the key '{key}'{has}")
    weights = content if key is None else content[key]
    if not isinstance(weights, Mapping) or not weights or not all(torch.is_tensor(value) for value in weights.values()):
        raise UserError(f"{path} holds no weights of a network: give a net_*.pth from a run's models folder.")
    return {name.removeprefix('module.'): value for name, value in weights.items()}


def _architectures() -> Iterator[Type[nn.Module]]:
    for _, cls in ARCH_REGISTRY:
        if inspect.isclass(cls) and cls.__module__.startswith('selfsr_plugin.') and hasattr(
                cls, 'arguments_from_state_dict'):
            yield cls


def _candidates(weights: Dict[str, Tensor]) -> Iterator[Tuple[Type[nn.Module], Dict[str, Any]]]:
    """The classes whose parameters can be read off the weights; most say at once that these are not theirs."""
    for cls in _architectures():
        try:
            yield cls, cls.arguments_from_state_dict(weights)
        except (KeyError, IndexError, ValueError, ZeroDivisionError, StopIteration):
            continue
