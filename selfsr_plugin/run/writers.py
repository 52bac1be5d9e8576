"""TensorBoard and Weights & Biases."""

import contextlib
import importlib
import os
import threading
from collections.abc import Callable
from os import path as osp
from typing import Any

from basicsr.utils import get_root_logger
from basicsr.utils.logger import init_tb_logger

from ..errors import REMEDIES, UserError
from ..files import archive, cannot_write
from .folder import check_writable


def prepare_writers(opt: dict[str, Any], at_end: contextlib.ExitStack) -> None:
    """Look for TensorBoard and its folder, and start Weights & Biases, if the options ask for them.

    Weights & Biases copies what TensorBoard is told. As in BasicSR neither is used in a run whose name holds 'debug'.
    ``at_end`` gets what ends Weights & Biases.

    Raises:
        UserError: a package is missing, the folder cannot be written to, or Weights & Biases cannot be started.
    """
    if opt['rank'] != 0 or 'debug' in opt['name']:
        return
    settings = opt['logger'].get('wandb') or {}
    if opt['logger']['use_tb_logger']:
        try:
            importlib.import_module('torch.utils.tensorboard')
        except ImportError as error:
            raise UserError(
                f'logger.use_tb_logger: TensorBoard cannot be imported ({error}): pip install tb-nightly, or write '
                'use_tb_logger: false.'
            ) from error
        folder = osp.join(opt['root_path'], 'tb_logger')
        new = not osp.lexists(folder)
        try:
            os.makedirs(folder, exist_ok=True)
            check_writable(folder)
            if new:  # what follows may refuse the run, which then leaves nothing; TensorBoard makes it again
                os.rmdir(folder)
        except OSError as error:
            raise UserError(
                f'{folder} cannot be written to ({error.strerror}): '
                f'{REMEDIES.get(error.errno, "correct the permissions")}, or write use_tb_logger: false.'
            ) from error
    if not settings.get('project'):
        return
    try:
        import wandb
    except ImportError:
        raise UserError('logger.wandb: the package is missing: pip install wandb, or write project: ~.') from None
    # wandb copies from the first value on if it is told the folder; else it waits ten seconds for others to compare.
    wandb.tensorboard.patch(root_logdir=_folder(opt))
    at_end.callback(wandb.tensorboard.unpatch)
    try:
        run = wandb.init(
            id=settings.get('resume_id'),
            resume='allow' if settings.get('resume_id') else None,
            name=opt['name'],
            project=settings['project'],
            config=opt,
            sync_tensorboard=True,
        )
    except Exception as error:  # no key, no network, a project that is not the user's
        raise UserError(
            f'logger.wandb: {" ".join(str(error).split()).rstrip(".")} ({type(error).__name__}). Log in with '
            'wandb login, or set WANDB_MODE=offline, or write project: ~.'
        ) from error
    at_end.push(_finish(run))
    get_root_logger().info(f'Weights & Biases: run {run.id} of the project {settings["project"]}.')


def _finish(run: Any) -> Callable[..., None]:
    """What ends a run of Weights & Biases when an ExitStack closes, with the exit status of this process.

    wandb's own hook at the exit of a process leaves that to the process that started wandb's service, which is not
    ours where WANDB_SERVICE is inherited: until then, the run stays open and its values are nowhere.
    """

    def finish(_: Any, error: BaseException | None, __: Any) -> None:
        status = error.code if isinstance(error, SystemExit) else int(error is not None)
        try:
            run.finish(exit_code=status)
        except Exception as problem:  # what is trained is on the disk all the same
            get_root_logger().warning(f'Weights & Biases did not end its run: {" ".join(str(problem).split())}')

    return finish


def start_tensorboard(opt: dict[str, Any], keep: bool, at_end: contextlib.ExitStack) -> '_Writer | None':
    """The writer into tb_logger/<name>, which ``at_end`` closes, or None for none.

    An earlier run of the name is renamed there unless ``keep``.
    """
    if not opt['logger']['use_tb_logger'] or opt['rank'] != 0 or 'debug' in opt['name']:
        return None
    if not keep:
        archive(_folder(opt))
    writer = _Writer(_folder(opt))
    at_end.callback(writer.close)
    return writer


class _Writer:
    """BasicSR's TensorBoard writer. That the disk takes no more is said once, and the run goes on without curves.

    Args:
        folder: where they go.

    Raises:
        OSError: the file cannot be begun.
    """

    def __init__(self, folder: str) -> None:
        self._folder, self._failed = folder, False
        self._writer = init_tb_logger(log_dir=folder)
        before = threading.excepthook

        def hook(args: Any) -> None:  # TensorBoard writes in a thread, whose error comes to add_scalar as well
            if not (isinstance(args.exc_value, OSError) and type(args.thread).__name__ == '_AsyncWriterThread'):
                before(args)

        threading.excepthook = hook

    def add_scalar(self, *arguments: Any) -> None:
        self._try(self._writer.add_scalar, *arguments)

    def close(self) -> None:
        self._try(self._writer.close)

    def _try(self, call: Callable[..., Any], *arguments: Any) -> None:
        if self._failed:
            return
        try:
            call(*arguments)
        except OSError as error:
            self._failed = True
            get_root_logger().warning(f'{cannot_write(self._folder, error)} The run goes on without TensorBoard.')


def _folder(opt: dict[str, Any]) -> str:
    return osp.join(opt['root_path'], 'tb_logger', opt['name'])
