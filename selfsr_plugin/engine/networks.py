"""Networks: built from their section of the option file, described, and filled with weights."""

import inspect
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from basicsr import archs
from basicsr.utils import get_root_logger
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from ..errors import UserError
from ..files import printable
from .checkpoint import grow_as_saved, load_checkpoint, refuse_not_finite, select_weights


def build_network(opt: Mapping[str, Any], label: str, device: torch.device) -> nn.Module:
    """Build ``network_<label>``, load ``path.pretrain_network_<label>`` if given, and put it on ``device``.

    The initial weights are a function of ``manual_seed`` and the label alone: every process has the same, and a network
    that is built late (stage 2 of SelFSRModel) does not depend on what ran before.

    A growing network whose file was saved below its last level runs at that level until it is trained further.

    Args:
        opt: completed options.
        label: 'g' is network_g, pretrain_network_g, strict_load_g and param_key_g.
        device: where it goes.

    Raises:
        FileNotFoundError, UserError: the network does not take the values of its section; or the file of weights is
            missing, broken, or of another network.
    """
    section = opt[f'network_{label}']
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(f'{opt.get("manual_seed", 0)} {label}'.encode()))
        try:
            net = archs.build_network(section)
        except Exception as error:  # ValueError of ours; whatever torch and Python say of values they cannot use
            kind = '' if isinstance(error, ValueError) else f' ({type(error).__name__})'
            raise UserError(
                f'network_{label}: {section["type"]} does not take these values: '
                f'{" ".join(str(error).split()).rstrip(".")}{kind}; correct its keys.'
            ) from error
    net.built_from = describe(section)
    path = opt['path'].get(f'pretrain_network_{label}')
    if path is not None:
        content = load_checkpoint(path)
        strict = opt['path'].get(f'strict_load_{label}', True)
        load_weights(net, path, strict, opt['path'].get(f'param_key_{label}'), content, complete=not opt['is_train'])
        grow_as_saved(net, path, content)
        if hasattr(net, 'grow_to') and (net.level, net.alpha) != (net.num_level, 1):
            get_root_logger().warning(
                f'{path} was saved at level {net.level} of {net.num_level}, alpha {net.alpha:g}; '
                f'what is above has not been trained. Until it is, network_{label} runs at that '
                'level.'
            )
    return net.to(device)


def describe(section: Mapping[str, Any]) -> dict[str, Any]:
    """The section of a network in an option file, completed with the defaults of what it leaves out.

    This is what files of networks hold as 'architecture': plain values only, lists for tuples.
    """
    parameters = inspect.signature(ARCH_REGISTRY.get(section['type'])).parameters
    defaults = {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.default is not parameter.empty and name not in section
    }
    return {
        **{name: _plain(value) for name, value in section.items()},
        **{name: _plain(value) for name, value in defaults.items() if _is_plain(value)},
    }


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(each) for each in value)
    return value is None or type(value) in (bool, int, float, str)


def _plain(value: Any) -> Any:
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def load_weights(
    net: nn.Module,
    path: str | Path,
    strict: bool = True,
    key: str | None = None,
    content: Any = None,
    complete: bool = False,
) -> None:
    """Fill ``net``, which :func:`build_network` built, with weights saved by BasicSR or by us.

    Args:
        net: changed in place.
        path: of the file.
        strict: False takes the weights whose name and shape fit, whatever network the file is of; one must.
        key: 'params' or 'params_ema'; by default the rule of :func:`select_weights`.
        content: of the file, if it has been read already.
        complete: every parameter of ``net`` must come from the file: what is left random must not be scored.

    Raises:
        FileNotFoundError, UserError: naming the file, when it is missing, broken, or of another network.
    """
    content = load_checkpoint(path) if content is None else content
    key, weights = select_weights(content, path, key)
    refuse_not_finite(weights, path)
    logger = get_root_logger()
    if strict:
        _check_same_architecture(net, path, content)
    else:
        own = net.state_dict()
        weights = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
        if not weights:
            raise UserError(f'{path} has no weight that fits {type(net).__name__} as the option file describes it.')
        missing = sorted(own.keys() - weights.keys())
        if complete:
            refuse_random_parts(net, path, weights)
        if missing:
            logger.warning(
                f'{printable(path)} has no weights of this shape for {len(missing)} of {len(own)}: '
                f'{", ".join(missing)}.'
            )
    try:
        net.load_state_dict(weights, strict=strict)
    except RuntimeError as error:
        raise UserError(
            f'{path} does not fit {type(net).__name__} as the option file describes it: '
            f'{" ".join(str(error).split())[:600]}'
        ) from error
    logger.info(f'Loaded {type(net).__name__} from {printable(path)}, key {key}.')


def refuse_random_parts(net: nn.Module, path: str | Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Refuse to test a network of which ``strict_load_*: false`` leaves parameters as they were drawn.

    Raises:
        UserError: naming the file and the first of them.
    """
    random = [
        name for name, value in net.named_parameters() if getattr(weights.get(name), 'shape', None) != value.shape
    ]
    if random:
        raise UserError(
            f'{path} has no weights of this shape for {len(random)} parameters of {type(net).__name__}, the first of '
            f'them {random[0]}: a network that is random in part would be tested. Give a file of this network, or '
            'describe the one that the file holds.'
        )


def _check_same_architecture(net: nn.Module, path: str | Path, content: Any) -> None:
    """Files of before, and those of BasicSR, do not say what they hold: there the shapes alone decide."""
    saved = content.get('architecture') if isinstance(content, Mapping) else None
    built = getattr(net, 'built_from', None)
    if not isinstance(saved, Mapping) or 'type' not in saved or built is None:
        return
    names = [name for name in saved if saved[name] != built.get(name)]
    if 'type' in names:
        raise UserError(f'{path} holds a {saved["type"]}, and the option file describes a {built["type"]}.')
    if names:
        theirs, ours = (', '.join(f'{name}: {each.get(name)}' for name in names) for each in (saved, built))
        raise UserError(
            f'{path} holds a {saved["type"]} with {theirs}, and the option file describes one with {ours}; '
            'make the two equal.'
        )
