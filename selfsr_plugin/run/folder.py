"""The folder of a run: one process group writes to it at a time, and earlier runs are kept."""
import contextlib
import fcntl
import os
import socket
from os import path as osp
from typing import Any, Dict, Iterator

import torch
from basicsr.utils import get_time_str

from ..errors import UserError


@contextlib.contextmanager
def locked(folder: str, opt: Dict[str, Any]) -> Iterator[None]:
    """Hold the run's folder against a second run of the same name, in all processes of this one.

    The lock is the kernel's (``lockf``) on a hidden file beside the folder, since the folder itself may be renamed. It
    ends with the process, however that ends, and worker processes do not inherit it (as they would ``flock``'s): no
    stale lock ever has to be removed.

    Raises:
        UserError: another run holds it, or the place cannot be written to; in every process.
    """
    file = None
    problem = [None]
    if opt['rank'] == 0:
        try:
            os.makedirs(osp.dirname(folder), exist_ok=True)
            file = open(osp.join(osp.dirname(folder), f'.{osp.basename(folder)}.lock'), 'a+', encoding='utf-8')
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(f'process {os.getpid()} on {socket.gethostname()} since {get_time_str()}')
            file.flush()
        except BlockingIOError:
            file.seek(0)
            problem = [f'{folder} is in use by another run ({file.read() or "unknown"}): wait until it ends, stop it, or '
                       'give this run another name.']
        except OSError as error:
            problem = [f'{folder} cannot be used ({error.strerror or error}): free space, correct the permissions, or run '
                       'from another folder.']
    if opt['dist']:
        torch.distributed.broadcast_object_list(problem, src=0)
    try:
        if problem[0]:
            raise UserError(problem[0])
        yield
    finally:
        if file is not None:
            file.close()


def make_folders(opt: Dict[str, Any], keep: bool) -> None:
    """Make the folders of a run; what an earlier run of the name left is renamed unless ``keep`` (resuming).

    BasicSR names the archive by the second, and fails when that name is taken: after two starts in one second, or
    when the clock was set back.

    Raises:
        UserError: naming the folder that cannot be made.
    """
    path = opt['path']
    folders = [path[key] for key in ('experiments_root', 'results_root', 'models', 'training_states', 'log',
                                     'visualization') if key in path]
    try:
        if not keep:
            archive(folders[0])
        for folder in folders:
            os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UserError(f'{error.filename or folders[0]} cannot be made ({error.strerror}): free space, correct the '
                        'permissions, or run from another folder.') from error


def archive(folder: str) -> None:
    """Rename a folder that exists to ``<folder>_archived_<time>``."""
    if not osp.exists(folder):
        return
    target = base = f'{folder}_archived_{get_time_str()}'
    number = 1
    while osp.exists(target):
        number += 1
        target = f'{base}_{number}'
    print(f'{folder} exists; it is renamed to {target}', flush=True)
    os.rename(folder, target)
