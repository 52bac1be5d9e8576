"""Every network of the baselines, and what it computes in training and after it."""

from collections.abc import Callable
from typing import Any

import torch
from baseline_kit import SMALL, Small
from golden_kit import fill, gradients, images, normal, rounded
from torch import Tensor, nn

from selfsr_plugin.baselines import archs


def _fill(net: nn.Module) -> nn.Module:
    # Without normalisation the steps of DIC would grow to millions.
    fill(net, gain=0.6 if isinstance(net, (archs.DIC, archs.FeedbackHourglass)) else 1.0)
    with torch.no_grad():
        for key, buffer in net.named_buffers():
            if key.endswith(('_u', '_v')):  # the singular vectors that spectral normalisation starts from
                buffer.copy_(nn.functional.normalize(normal(key, tuple(buffer.shape)), dim=0))
    return net


def _named(output: Any, name: str = 'output') -> dict[str, Tensor]:
    """The tensors of an output, which may be named and lists."""
    if isinstance(output, Tensor):
        return {name: output}
    items = output._asdict().items() if hasattr(output, '_asdict') else enumerate(output)
    return {key: part for label, each in items for key, part in _named(each, f'{name} {label}').items()}


def _projection(part: Tensor, name: str) -> Tensor:
    return (part * normal(f'loss {name}', tuple(part.shape))).sum()


def _summary(part: Tensor, name: str) -> dict[str, Any]:
    """Shape, mean, deviation, and the product with fixed numbers, in which every value has its place."""
    return dict(
        shape=list(part.shape),
        mean=rounded(part.mean().item()),
        std=rounded(part.std().item()),
        projection=rounded(_projection(part, name).item()),
    )


def _observe(net: nn.Module, inputs: list[Tensor], *arguments: Any, **keywords: Any) -> dict[str, Any]:
    inputs[0].requires_grad_()
    parts = _named(net(*inputs, *arguments, **keywords))
    found = {name: _summary(part, name) for name, part in parts.items()}
    loss = sum(_projection(part, name) for name, part in parts.items())
    found['gradients'] = gradients(net, inputs[0], loss)
    with torch.no_grad():
        evaluated = _named(net.eval()(*inputs, *arguments, **keywords))
    return found | {f'{name} evaluated': _summary(part, name) for name, part in evaluated.items()}


def _small(small: Small, *arguments: Any) -> dict[str, Any]:
    net = _fill(small.cls(**small.arguments).double())
    inputs = [images('image', *small.given[0]), *(normal('noise', shape) for shape in small.given[1:])]
    return _observe(net, inputs, *arguments, **(dict(return_parts=True) if small.has_parts else {}))


def _second_step() -> dict[str, Any]:
    small = SMALL['FeedbackHourglass']
    net = _fill(small.cls(**small.arguments).double())
    inputs = [images('image', *small.given[0]), normal('hidden', (2, 8, 4, 8))]
    return _observe(net, inputs, return_parts=True)


CASES: dict[str, Callable[[], dict[str, Any]]] = {name: (lambda s=small: _small(s)) for name, small in SMALL.items()}
for _level, _alpha, _side in ((1, 1.0, 8), (2, 0.3, 16)):
    CASES[f'PFSRNet level {_level} alpha {_alpha}'] = lambda level=_level, alpha=_alpha: _small(
        SMALL['PFSRNet'], level, alpha
    )
    CASES[f'PFSRDiscriminator level {_level} alpha {_alpha}'] = lambda level=_level, alpha=_alpha, side=_side: _small(
        SMALL['PFSRDiscriminator']._replace(given=((3, 3, side, side),)), level, alpha
    )
CASES['FeedbackHourglass second step'] = _second_step


def compute(name: str) -> dict[str, Any]:
    """What the network of this name gives, with the gradients of a fixed combination of it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CASES[name]()
