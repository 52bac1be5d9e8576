"""Networks from their files alone, and back into them: no option file, no trainer."""

import importlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import archs
from .engine.checkpoint import (
    grow_as_saved,
    is_safetensors,
    load_checkpoint,
    refuse_not_finite,
    save_safetensors,
    select_weights,
)
from .errors import UserError
from .files import SHIPPED_NETWORK, printable, write_file
from .registration import ENTRIES

Weights = Mapping[str, Tensor]


def load(path: str | Path | None = None, key: str | None = None, expected: type[nn.Module] = nn.Module) -> nn.Module:
    """Build the network that ``path`` holds, as the file describes it.

    A growing network runs at the level at which the file was saved: the ``scale`` of a SelfCondSRNet that was saved
    while training at x2 is 2.

    Files that this package wrote before they described their networks, and those that BasicSR's models write, have
    weights alone; there the class and the arguments are read off the shapes, for networks of this package.

    Args:
        path: a file that this package's or BasicSR's models saved, or a ``.safetensors`` file; by default the network
            that comes with this package.
        key: 'params' or 'params_ema'; by default the moving average if the file has one.
        expected: the class that is needed, if only one will do.

    Returns:
        The network on the CPU, in eval mode, in float32, whatever precision the file has.

    Raises:
        FileNotFoundError: no such file.
        UserError: no checkpoint, no such key, a network of another kind, or weights that are not finite.
    """
    path = SHIPPED_NETWORK if path is None else path
    if path == SHIPPED_NETWORK and not path.exists():
        raise UserError(
            f'this installation lacks the network that comes with the package, {path}: install the package again, or '
            'give the file of a network (--model FILE, load(FILE)).'
        )
    content = load_checkpoint(path)
    _, weights = select_weights(content, path, key)
    refuse_not_finite(weights, path)
    architecture = content.get('architecture') if isinstance(content, Mapping) else None
    described = isinstance(architecture, Mapping)
    net = _described(architecture, path) if described else _guessed(weights, path)
    if not isinstance(net, expected):
        raise UserError(f'{path} holds a {type(net).__name__}, and a {expected.__name__} is needed.')
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f'{path}: the weights do not fit the {type(net).__name__} that the file describes: '
            f'{" ".join(str(error).split())[:600]}'
        ) from error
    grow_as_saved(net, path, content)
    return net.eval()


def load_for_images(path: str | Path | None = None, key: str | None = None) -> archs.SelfCondSRNet:
    """:func:`load` for a super-resolution network of colour images; UserError if the file holds another."""
    net = load(path, key, archs.SelfCondSRNet)
    if net.arguments['num_in_ch'] != 3 or net.arguments['num_out_ch'] != 3:
        raise UserError(f'{path}: the network is not one of colour images, and image files are read in colour.')
    return net


def save(net: nn.Module, path: str | Path, fp16: bool = False) -> None:
    """Write a network to a file from which alone :func:`load` builds it again, at the level at which it runs.

    Args:
        net: what :func:`load` gave, or a SelfCondSRNet.
        path: ends with ``.safetensors`` or ``.pth``; a file that is there is replaced.
        fp16: weights in half precision: half the size, each weight rounded to 11 bits.

    Raises:
        UserError: another ending, a network that does not say how it was built, or a weight that is too large for half
            precision.
        OSError: naming ``path``, when it cannot be written; a file that was there before is untouched.
    """
    if Path(path).suffix.lower() not in ('.safetensors', '.pth'):
        raise UserError(f'{printable(path)} must end with .safetensors or .pth.')
    architecture = getattr(net, 'built_from', None)
    if architecture is None and hasattr(net, 'arguments'):
        architecture = dict(type=type(net).__name__, **net.arguments)
    if architecture is None:
        raise UserError(f'this {type(net).__name__} does not say how it was built: save one that load() has given.')
    weights = net.state_dict()
    if fp16:
        weights = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
        broken = [name for name, value in weights.items() if not torch.isfinite(value).all()]
        if broken:
            raise UserError(f'{broken[0]} has values that half precision cannot hold: save the network without it.')
    described = dict(architecture=architecture)
    if hasattr(net, 'grow_to'):
        described.update(level=net.level, alpha=net.alpha)
    if is_safetensors(path):
        save_safetensors(weights, described, path)
    else:
        file = io.BytesIO()  # torch reports a full disk as RuntimeError
        torch.save(dict(params=dict(weights), **described), file)
        write_file(path, file.getvalue(), sync=True)


def _described(architecture: Mapping[str, Any], path: str | Path) -> nn.Module:
    arguments = dict(architecture)
    name = arguments.pop('type', None)
    cls = next((each for each in _READERS if each.__name__ == name), None) or _registered(name)
    if cls is None:
        raise UserError(
            f'{path} holds a {name}, which neither this package nor BasicSR has: import the code that '
            'registers it in ARCH_REGISTRY first.'
        )
    try:
        net = cls(**arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f'{path} describes a {name} that cannot be built: {error}') from error
    net.built_from = dict(architecture)
    return net


def _registered(name: Any) -> type[nn.Module] | None:
    """A network of the baselines, of BasicSR or of another project."""
    ours = ENTRIES['ARCH_REGISTRY'].get(name) if isinstance(name, str) else None
    if ours is not None:  # found without BasicSR, which it does not need
        return getattr(importlib.import_module(f'{__package__}.{ours}'), name)
    try:
        import basicsr.archs  # noqa: F401  registers those of BasicSR
        from basicsr.utils.registry import ARCH_REGISTRY
    except ImportError:
        return None
    return ARCH_REGISTRY.get(name) if isinstance(name, str) and name in ARCH_REGISTRY else None


# ----- files without a description -----


def _guessed(weights: Weights, path: str | Path) -> nn.Module:
    for cls, read_arguments in _READERS.items():
        try:
            arguments = read_arguments(weights)
            net = cls(**arguments)
            net.load_state_dict(weights)
        except (KeyError, IndexError, ValueError, ZeroDivisionError, StopIteration, RuntimeError):
            continue  # most say at once that these weights are not theirs
        net.built_from = dict(type=cls.__name__, **arguments)
        return net
    for mark, names in (('flow_head.weight', ('max_flow', 'center_flow')), ('from_rgb.0.weight', ('stddev_group',))):
        if mark in weights and names[0] not in weights:
            raise UserError(
                f'{path} does not say {" and ".join(names)}, which the weights do not show: build the '
                'network with what it was trained with, and fill it with load_state_dict.'
            )
    known = ', '.join(cls.__name__ for cls in _READERS)
    raise UserError(
        f"{path} holds the weights of none of this package's networks ({known}), and does not say of "
        'which; load them with the code that made them.'
    )


def _count(weights: Weights, prefix: str) -> int:
    return len({name[len(prefix) :].split('.')[0] for name in weights if name.startswith(prefix)})


def selfcond_sr_arguments(weights: Weights) -> dict[str, Any]:
    """The arguments of the SelfCondSRNet that has weights of these shapes.

    Raises:
        KeyError or another: they are not those of a SelfCondSRNet.
    """
    widths = [weights[f'levels.{i}.conv.weight'].shape[0] for i in range(_count(weights, 'levels.'))]
    found = dict(
        num_in_ch=weights['stem.weight'].shape[1],
        num_out_ch=weights['levels.0.to_rgb.weight'].shape[0],
        widths=widths,
        num_block=_count(weights, 'levels.0.blocks.'),
        condition='concat',
    )
    if 'levels.0.blocks.0.sigma1.conv1.weight' in weights:
        hidden = [weights[f'levels.{i}.blocks.0.sigma1.conv1.weight'].shape[0] for i in range(len(widths))]
        # Several ratios can give the same network.
        found.update(
            condition='scale',
            cond_ratio=next(
                ratio
                for ratio in range(1, max(widths) + 1)
                if all(max(width // ratio, 1) == each for width, each in zip(widths, hidden))
            ),
        )
    return found


def _progressive_discriminator(weights: Weights) -> dict[str, Any]:
    num_block, last = _count(weights, 'blocks.'), weights['conv.weight'].shape[0]
    size = round((weights['linear.weight'].shape[1] / last) ** 0.5) * 2**num_block
    widths = [weights[f'blocks.{i}.conv1.weight'].shape[1] for i in range(num_block)] + [last]
    # Several values of feat_base can give the same network.
    return dict(
        size=size,
        num_in_ch=weights['from_rgb.0.weight'].shape[1],
        num_level=_count(weights, 'from_rgb.'),
        feat_base=max(-(-width * (size >> i) // 2) for i, width in enumerate(widths)),
        feat_max=max(widths),
        stddev_group=int(weights['stddev_group']),
    )


def _flow_degradation(weights: Weights) -> dict[str, Any]:
    num_feat, num_in_ch = weights['stem.weight'].shape[:2]
    return dict(
        num_in_ch=num_in_ch,
        num_feat=num_feat,
        num_block=_count(weights, 'blocks.'),
        max_flow=float(f'{weights["max_flow"].item():.7g}'),
        center_flow=bool(weights['center_flow']),
    )


def _cyclegan_generator(weights: Weights) -> dict[str, Any]:
    num_in_ch, num_feat = weights['to_rgb.weight'].shape[:2]
    return dict(num_in_ch=num_in_ch, num_feat=num_feat, num_block=_count(weights, 'blocks.'))


def _domain_discriminator(weights: Weights) -> dict[str, Any]:
    num_feat, num_in_ch = weights['conv1.weight'].shape[:2]
    return dict(num_in_ch=num_in_ch, num_feat=num_feat)


_READERS: dict[type[nn.Module], Callable[[Weights], dict[str, Any]]] = {
    archs.SelfCondSRNet: selfcond_sr_arguments,
    archs.ProgressiveDiscriminator: _progressive_discriminator,
    archs.FlowDegradationNet: _flow_degradation,
    archs.CycleGANGenerator: _cyclegan_generator,
    archs.DomainDiscriminator: _domain_discriminator,
}
