"""The folder of a run: one process group writes to it at a time, and earlier runs are kept."""

import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from os import path as osp
from typing import IO, Any

import torch
from basicsr.utils import get_time_str
from basicsr.utils.options import copy_opt_file

from ..errors import UserError
from ..files import archive, try_lock


@contextlib.contextmanager
def locked(folder: str, opt: dict[str, Any]) -> Iterator[None]:
    """Hold the run's folder against a second run of the same name, in all processes of this one.

    The lock is the kernel's (``lockf``) on a hidden file beside the folder, since the folder itself may be renamed. It
    ends with the process, however that ends, and worker processes do not inherit it (as they would ``flock``'s): no
    stale lock ever has to be removed. A run that was refused leaves nothing, the folder around its own included.

    Raises:
        UserError: another run holds it, or the place cannot be written to; in every process.
    """
    file = None
    problem = [None]
    parent = osp.dirname(folder)
    new = not osp.lexists(parent)
    if opt['rank'] == 0:
        try:
            file, is_locked = _lock_file(parent, f'.{osp.basename(folder)}.lock')
            if not is_locked:
                print(
                    f'warning: nothing can be locked in {parent}: make sure that no second run writes to {folder}.',
                    file=sys.stderr,
                    flush=True,
                )
            file.truncate(0)
            file.write(f'process {os.getpid()} on {socket.gethostname()} since {get_time_str()}')
            file.flush()
        except _Busy as busy:
            problem = [
                f'{folder} is in use by another run ({busy}): wait until it ends, stop it, or give this run another '
                'name.'
            ]
        except OSError as error:
            problem = [
                f'{folder} cannot be used ({error.strerror or error}): '
                + (
                    f'{parent} must be a folder, or a link to one.'
                    if isinstance(error, (FileExistsError, NotADirectoryError))
                    else 'free space, correct the permissions, or run from another folder.'
                )
            ]
    if opt['dist']:
        torch.distributed.broadcast_object_list(problem, src=0)
    try:
        if problem[0]:
            raise UserError(problem[0])
        yield
    finally:
        if file is not None:
            if not osp.lexists(folder):
                with contextlib.suppress(OSError):  # something else is in the folder by now
                    os.unlink(file.name)
                    if new:
                        os.rmdir(parent)
            file.close()


class _Busy(Exception):
    """Another process holds the lock; says which."""


def _lock_file(folder: str, name: str) -> tuple[IO, bool]:
    """A locked file in ``folder``, both made if need be, and whether files can be locked there."""
    while True:
        os.makedirs(folder, exist_ok=True)
        file = open(osp.join(folder, name), 'a+', encoding='utf-8')
        try:
            is_locked = try_lock(file)
        except BlockingIOError:
            with file:
                file.seek(0)
                raise _Busy(file.read() or 'unknown') from None
        if osp.exists(file.name) and osp.samestat(os.fstat(file.fileno()), os.stat(file.name)):
            return file, is_locked
        file.close()  # another run removed it in between


def run_folder(opt: dict[str, Any]) -> str:
    """The folder that holds everything of a run, and is renamed when a new run of its name starts."""
    return opt['path']['experiments_root' if opt['is_train'] else 'results_root']


def refuse_input_inside(opt: dict[str, Any], option_file: str) -> None:
    """Look whether this run reads anything that lies in the folder that it would rename.

    Raises:
        UserError: naming what lies there.
    """
    folder = run_folder(opt)
    inside = osp.join(osp.realpath(folder), '')
    read = [('the option file', option_file)]
    for section, node in opt.items():
        if section == 'path':
            node = {
                key: value for key, value in node.items() if key.startswith('pretrain_network') or key == 'resume_state'
            }
        if isinstance(node, dict):
            read += _existing_paths(node, section)
    for key, path in read:
        if osp.isdir(folder) and osp.join(osp.realpath(path), '').startswith(inside):
            instead = ', or go on with the earlier run by --auto_resume' if opt['is_train'] else ''
            raise UserError(
                f'{key}: {path} lies in {folder}, the folder of an earlier run of this name, which would be '
                f'renamed: give this run another name (--force_yml name=...){instead}.'
            )


def _existing_paths(node: Any, key: str) -> Iterator[tuple[str, str]]:
    """(dotted key, path) for every text in a section that is the path of a file or folder; names of things are none."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name not in ('name', 'type'):
                yield from _existing_paths(value, f'{key}.{name}')
    elif isinstance(node, list):
        for value in node:
            yield from _existing_paths(value, key)
    elif isinstance(node, str) and node and osp.exists(osp.expanduser(node)):
        yield key, osp.expanduser(node)


def make_folders(opt: dict[str, Any], keep: bool) -> None:
    """Make the folders of a run; what an earlier run of the name left is renamed unless ``keep`` (resuming).

    BasicSR names the archive by the second, and fails when that name is taken: after two starts in one second, or
    when the clock was set back.

    Raises:
        UserError: naming the folder that cannot be made or written to.
    """
    path = opt['path']
    folders = [
        path[key]
        for key in ('experiments_root', 'results_root', 'models', 'training_states', 'log', 'visualization')
        if key in path
    ]
    try:
        if not keep:
            archive(folders[0])
        for folder in folders:
            os.makedirs(folder, exist_ok=True)
            check_writable(folder)
    except OSError as error:
        raise UserError(
            f'{error.filename or folders[0]} cannot be made or written to ({error.strerror}): free space, '
            'correct the permissions, or run from another folder.'
        ) from error


def check_writable(folder: str) -> None:
    """Write and remove a file; OSError if that fails."""
    with tempfile.TemporaryFile(dir=folder):
        pass


def copy_option_file(option_file: str, folder: str) -> None:
    """Put a copy of the option file into the folder of the run, unless it is that copy with which a run is resumed."""
    target = osp.join(folder, osp.basename(option_file))
    if not (osp.exists(target) and osp.samefile(option_file, target)):
        copy_opt_file(option_file, folder)
