"""Checkpoints: their names and places, files that are whole or absent, and loading that never runs code from a file.

The file of a network, ``net_<label>_<iteration>.pth``, is BasicSR's, with keys of ours beside it that BasicSR ignores::

    params         name -> weights
    params_ema     the same of the moving average, if one is kept
    architecture   the section network_<label> of the option file, with the defaults of what it leaves out
    level, alpha   where a growing network stood: those above the level have not been trained

A ``.safetensors`` file holds the weights alone, and in its header, under the key ``selfsr_plugin``, the rest as JSON.
"""

import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from os import path as osp
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..files import no_checkpoint, whole_file, write_file

_HEADER_KEY = 'selfsr_plugin'

# ----- names and places -----


def weights_path(opt: Mapping[str, Any], label: str, current_iter: int) -> str:
    """BasicSR's name for the weights of one network at one iteration; -1 is 'latest'."""
    return osp.join(opt['path']['models'], f'net_{label}_{"latest" if current_iter == -1 else current_iter}.pth')


def checkpoint_iterations(training_states: str | Path) -> list[int]:
    """Iterations of the training states in a folder, newest first."""
    return sorted(
        (int(path.stem) for path in Path(training_states).glob('*.state') if path.stem.isdecimal()), reverse=True
    )


def remove_old_checkpoints(opt: Mapping[str, Any], keep: int, needed: Iterable[str]) -> None:
    """Leave the newest ``keep`` checkpoints; weights named in ``needed`` and ``net_*_latest.pth`` stay.

    The state goes first, so that a state on the disk always has its networks.
    """
    states, models = Path(opt['path']['training_states']), Path(opt['path']['models'])
    for iteration in checkpoint_iterations(states)[keep:]:
        (states / f'{iteration}.state').unlink()
        for path in models.glob(f'net_*_{iteration}.pth'):
            if path.name not in needed:
                path.unlink()


# ----- files -----


def save_checkpoint(content: Any, path: str | Path) -> None:
    """Write ``content`` with ``torch.save`` so that ``path`` holds either the old file or the whole new one.

    Raises:
        OSError: naming ``path``, when it cannot be written; a file that was there before is untouched.
    """
    try:
        with whole_file(path) as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise OSError(
            f'cannot write the checkpoint {path}: {error}. Checkpoints written before are unharmed; free '
            'space or fix the permissions and resume with --auto_resume.'
        ) from error


def load_checkpoint(path: str | Path) -> Any:
    """Read a file of ``torch.save`` or of safetensors onto the CPU; tensors and plain containers only, no code.

    The checksums that ``torch.save`` writes are verified, which ``torch.load`` does not do: a flipped bit would become
    a wrong weight without a word. So are those that :func:`save_safetensors` writes.

    Returns:
        What was saved; of a ``.safetensors`` file what a ``.pth`` file with the same weights holds, under 'params'.

    Raises:
        FileNotFoundError, UserError: naming ``path``, when there is no such file or it is broken.
    """
    try:
        if is_safetensors(path):
            return _read_safetensors(path)
        if zipfile.is_zipfile(path):  # the format of torch < 1.6 has no checksums
            with zipfile.ZipFile(path) as archive:
                broken = archive.testzip()
            if broken is not None:
                raise zipfile.BadZipFile(broken)
        return torch.load(path, map_location='cpu', weights_only=True)
    except FileNotFoundError:
        raise no_checkpoint(path) from None
    except IsADirectoryError as error:
        raise UserError(f'{path} is a folder: give a file, such as the net_g_latest.pth of a models folder.') from error
    except PermissionError as error:
        raise UserError(f'{path} may not be read by this user: change its permissions.') from error
    except Exception as error:  # torch raises many kinds, with long texts, for a truncated or foreign file
        raise UserError(
            f'{path} cannot be read as a checkpoint: it {_what_it_is(path)} ({type(error).__name__}).'
        ) from error


def _what_it_is(path: str | Path) -> str:
    """What a file is that cannot be read, by its first bytes, with the remedy; the start of a clause."""
    with open(path, 'rb') as file:
        start = file.read(64)
    if not start:
        return 'is empty: get it again'
    if start.startswith(b'version https://git-lfs'):
        return 'is a pointer of Git LFS, not the file itself: run git lfs pull where it comes from'
    if start.lstrip()[:1] == b'<':
        return 'is a web page: download the file itself'
    if is_safetensors(path):
        made_by_torch = zipfile.is_zipfile(path)
        return 'was made by torch.save: name it .pth' if made_by_torch else 'is damaged or no safetensors file'
    if start[8:9] == b'{' and int.from_bytes(start[:8], 'little') < Path(path).stat().st_size:
        return 'is a safetensors file: name it .safetensors'
    return 'is damaged, was not made by torch.save, or holds more than tensors and plain values'


def is_safetensors(path: str | Path) -> bool:
    """Whether a file is one of safetensors, by its name, as every program that reads them decides."""
    return Path(path).suffix.lower() == '.safetensors'


def save_safetensors(weights: Mapping[str, Tensor], described: Mapping[str, Any], path: str | Path) -> None:
    """Write weights to a ``.safetensors`` file, whole or not at all; the same content gives the same bytes.

    Args:
        weights: name -> tensor.
        described: what a ``.pth`` file holds beside them (architecture, level, alpha); plain values.
        path: where to.

    Raises:
        OSError: naming ``path``, when it cannot be written; a file that was there before is untouched.
    """
    from safetensors.torch import save

    weights = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    header = json.dumps({**described, 'crc32': _checksum(weights)})
    # One key only: safetensors writes several in an order that changes from call to call.
    write_file(path, save(weights, {_HEADER_KEY: header}), sync=True)


def _read_safetensors(path: str | Path) -> dict[str, Any]:
    from safetensors.torch import load

    data = Path(path).read_bytes()
    weights = load(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], 'little')])
    described = (header.get('__metadata__') or {}).get(_HEADER_KEY)
    if described is None:  # written by another program
        return dict(params=weights)
    described = json.loads(described)
    if described.pop('crc32') != _checksum(weights):
        raise ValueError('the weights do not have the checksum that was written with them')
    return dict(params=weights, **described)


def _checksum(weights: Mapping[str, Tensor]) -> int:
    found = 0
    for name in sorted(weights):
        found = zlib.crc32(weights[name].flatten().view(torch.uint8).numpy(), found)
    return found


# ----- networks in files -----


def save_networks(
    path: str | Path, nets: Mapping[str, nn.Module], level: int | None = None, alpha: float | None = None
) -> None:
    """Write the file of a network.

    Args:
        path: where to.
        nets: by the keys 'params' and 'params_ema'; what ``engine.networks.build_network`` built is described.
        level, alpha: where a growing network stands.

    Raises:
        OSError: naming ``path``, when it cannot be written; a file that was there before is untouched.
    """
    content: dict[str, Any] = {
        key: {name: value.cpu().contiguous() for name, value in net.state_dict().items()} for key, net in nets.items()
    }
    architecture = getattr(nets['params'], 'built_from', None)
    if architecture is not None:
        content['architecture'] = architecture
    if level is not None:
        content.update(level=level, alpha=alpha)
    save_checkpoint(content, path)


def grow_as_saved(net: nn.Module, path: str | Path, content: Any) -> None:
    """Let a growing network run, unless it is told a level, at the one at which its file was saved.

    Args:
        net: with the weights of the file.
        path: of the file, for messages.
        content: of the file; one without a level (those of before, of BasicSR, of other networks) changes nothing.

    Raises:
        UserError: ``net`` has no such level.
    """
    if not isinstance(content, Mapping) or content.get('level') is None or not hasattr(net, 'grow_to'):
        return
    try:
        net.grow_to(content['level'], content['alpha'])
    except (ValueError, TypeError, KeyError) as error:  # of a file that others have written to
        raise UserError(f'{path} was saved at level {content["level"]}: {error}') from error


def refuse_not_finite(weights: Mapping[str, Tensor], path: str | Path) -> None:
    """Refuse weights of which nothing but NaN comes out.

    Raises:
        UserError: naming the file and the first of them.
    """
    broken = [name for name, value in weights.items() if not torch.isfinite(value).all()]
    if broken:
        raise UserError(
            f'{path} holds values that are not finite (NaN or infinity), the first in {broken[0]}: use an '
            'earlier checkpoint.'
        )


def select_weights(content: Any, path: str | Path, key: str | None = None) -> tuple[str | None, dict[str, Tensor]]:
    """The weights in what :func:`load_checkpoint` read.

    The rule for all commands and option files: the moving average if the file has one, unless ``key`` asks for the
    other ('params').

    Args:
        content: of the file; bare weights without a key will do.
        path: of the file, for messages.
        key: 'params' or 'params_ema'; by default the rule.

    Returns:
        The key (None for bare weights) and name -> weights, without the 'module.' of DistributedDataParallel.

    Raises:
        UserError: there are no weights under ``key``, or none at all.
    """
    found = [name for name in ('params_ema', 'params') if isinstance(content, Mapping) and name in content]
    if key is None and found:
        key = found[0]
    if key is not None and key not in found:
        has = f'; it has {", ".join(found)}.' if found else '.'
        raise UserError(f"{path} has no weights under the key '{key}'{has}")
    weights = content if key is None else content[key]
    if not isinstance(weights, Mapping) or not weights or not all(torch.is_tensor(value) for value in weights.values()):
        raise UserError(
            f'{path} holds no weights of a network{"" if key is None else f" under {key!r}"}: give a '
            "net_*.pth from a run's models folder."
        )
    return key, {name.removeprefix('module.'): value for name, value in weights.items()}
