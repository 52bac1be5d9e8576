"""TensorBoard and Weights & Biases."""

import contextlib
import importlib
import os
from collections.abc import Callable
from os import path as osp
from typing import Any

from basicsr.utils import get_root_logger
from basicsr.utils.logger import init_tb_logger

from ..errors import REMEDIES, UserError
from ..files import archive
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


def start_tensorboard(opt: dict[str, Any], keep: bool, at_end: contextlib.ExitStack) -> Any:
    """BasicSR's writer into tb_logger/<name>, which ``at_end`` closes, or None for none.

    An earlier run of the name is renamed there unless ``keep``.
    """
    if not opt['logger']['use_tb_logger'] or opt['rank'] != 0 or 'debug' in opt['name']:
        return None
    if not keep:
        archive(_folder(opt))
    writer = init_tb_logger(log_dir=_folder(opt))
    at_end.callback(writer.close)
    return writer


def _folder(opt: dict[str, Any]) -> str:
    return osp.join(opt['root_path'], 'tb_logger', opt['name'])
