"""What training and testing have in common before and around the work."""

import argparse
import logging
import os
import random
import sys
from collections.abc import Mapping
from logging.handlers import MemoryHandler
from os import path as osp
from typing import Any
from urllib.error import URLError

import torch
from basicsr.data import build_dataset
from basicsr.models import build_model
from basicsr.utils import get_env_info, get_root_logger, get_time_str, set_random_seed
from basicsr.utils.logger import initialized_logger
from basicsr.utils.options import dict2str
from basicsr.utils.registry import MODEL_REGISTRY

from ..basicsr_compat.distributed import init_distributed
from ..basicsr_compat.root import results_root
from ..errors import UserError
from ..files import cannot_write
from ..metrics import check_set_size
from ..option_check import check_options, shorten_options
from ..options import complete_options
from ..registration import is_ours
from ..schema import one_of, registered_names
from .guest_check import check_guest_parts


def check(opt: dict[str, Any], args: argparse.Namespace, is_train: bool) -> None:
    """Check the options of an option file if they are for one of this package's models, and carry out ``--shorten``.

    Raises:
        UserError: with what is wrong.
    """
    if is_plugin_model(opt):
        try:
            check_options(opt, is_train)
        except UserError as error:
            raise UserError(f'{args.opt}: {error}') from None
        if args.shorten and is_train:
            # A section of the options, so that the log shows it and a resumed run compares it.
            opt['shortened'] = {'by': args.shorten, **shorten_options(opt, args.shorten)}
    elif not isinstance(opt.get('model_type'), str):
        raise UserError(
            f'{args.opt}: model_type: this key is missing, or no text; it names the model that is trained, such '
            'as SelFSRModel.'
        )
    elif opt['model_type'] not in registered_names('MODEL_REGISTRY'):
        one_of(
            opt['model_type'],
            sorted(name for name in MODEL_REGISTRY.keys() if is_ours('MODEL_REGISTRY', name)),
            f'{args.opt}: model_type',
        )
    else:
        check_guest_parts(opt, args, is_train)
    if args.shorten and not (is_train and is_plugin_model(opt)):
        raise UserError("--shorten: it is for the training of this package's models; leave it out.")


def is_plugin_model(opt: dict[str, Any]) -> bool:
    """Whether ``model_type`` is one of this package's models or derives from one; our own loops run those."""
    return is_ours('MODEL_REGISTRY', opt.get('model_type'))


def set_up(opt: dict[str, Any], args: argparse.Namespace, is_train: bool) -> None:
    """Join the process group and complete the options.

    Raises:
        UserError: the processes were not started as the command line and ``num_gpu`` say.
    """
    use_gpu = opt['num_gpu'] != 0 and torch.cuda.is_available()
    dist_params = opt.get('dist_params') or {}
    try:
        rank, world_size = init_distributed(args.launcher, use_gpu, dist_params.get('port'))
    except ValueError as error:
        raise UserError(str(error)) from None
    _check_processes(opt['num_gpu'], world_size, args.launcher)
    complete_options(opt, args, results_root(), is_train, rank, world_size)
    torch.backends.cudnn.benchmark = True


def _check_processes(num_gpu: int | str, world_size: int, launcher: str) -> None:
    """``num_gpu``, as BasicSR's option files have it, is how many GPUs a machine gives; each needs a process."""
    if num_gpu == 'auto' or num_gpu < 2:
        return
    if launcher == 'none':
        raise UserError(
            f'num_gpu: {num_gpu}: one process uses one GPU, and this is one process: start {num_gpu}, with '
            f'torchrun --nproc_per_node={num_gpu} -m in place of python -m and with --launcher pytorch, or '
            'write num_gpu: auto.'
        )
    if num_gpu not in (world_size, int(os.environ.get('LOCAL_WORLD_SIZE', world_size))):
        raise UserError(
            f'num_gpu: {num_gpu}, but {world_size} processes were started, one for each GPU: write num_gpu: auto, '
            'or start as many.'
        )


def seed_generators(opt: dict[str, Any], resumed: Mapping[str, Any] | None = None) -> None:
    """Seed the generators alike in every process, with ``manual_seed`` or, if that is left out, at random.

    No process draws anything else than the others, so that several processes compute what one does. A drawn seed is
    written to the options, and a resumed run takes that of the run before (``resumed``, its ``run_options``).
    """
    if opt.get('manual_seed') is None:
        shared = [resumed['manual_seed'] if resumed else random.randint(1, 10000)]
        if opt['dist']:
            torch.distributed.broadcast_object_list(shared, src=0)
        opt['manual_seed'] = shared[0]
    set_random_seed(opt['manual_seed'])


def start_log(opt: dict[str, Any]) -> logging.Logger:
    """BasicSR's logger, to the terminal; :func:`log_to_folder` writes what it was told to the run's folder as well.

    So an earlier run's folder is left alone until everything that can go wrong has been tried.
    """
    initialized_logger.clear()
    logger = logging.getLogger('basicsr')
    logger.handlers.clear()
    get_root_logger()
    if opt['rank'] == 0:
        logger.setLevel(logging.INFO)
        logger.addHandler(MemoryHandler(sys.maxsize, flushLevel=sys.maxsize, flushOnClose=False))
    return logger


def log_options(opt: dict[str, Any]) -> None:
    """What BasicSR's logs begin with: the versions and all options."""
    get_root_logger().info(get_env_info())
    get_root_logger().info(dict2str(opt))


class _LogFile(logging.FileHandler):
    """The log of a run. That it cannot be written is said once, in place of a traceback for each line; the run goes on,
    since what it trains may still find room."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not getattr(self, 'reported', False):
            self.reported = True
            print(f'warning: {cannot_write(self.baseFilename, error)} The run goes on.', file=sys.stderr, flush=True)


def log_to_folder(opt: dict[str, Any], prefix: str) -> None:
    """Go on with the log in a file of the run's folder, after what was logged so far."""
    logger = get_root_logger()
    memory = next((handler for handler in logger.handlers if isinstance(handler, MemoryHandler)), None)
    if memory is None:  # not process 0
        return
    file = _LogFile(osp.join(opt['path']['log'], f'{prefix}_{opt["name"]}_{get_time_str()}.log'), 'w', 'utf-8')
    file.setFormatter(logger.handlers[0].formatter)
    memory.setTarget(file)
    memory.flush()
    logger.removeHandler(memory)
    logger.addHandler(file)


def build(opt: dict[str, Any]) -> Any:
    """The model of the options.

    Raises:
        UserError: weights that do not fit, sizes that are impossible, or values that BasicSR or torch do not take.
    """
    try:
        return build_model(opt)
    except URLError as error:
        raise UserError(
            f'the model needs weights that cannot be downloaded here ({error.reason}): the line "Downloading" above '
            'says from where they come and where to put them.'
        ) from error
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from error
    except Exception as error:
        raise UserError(
            f'the model cannot be built from these options: {" ".join(str(error).split())} '
            f'({type(error).__name__}; --traceback shows where)'
        ) from error


def build_datasets(opt: dict[str, Any], phase: str) -> list[tuple[str, Any]]:
    """The data sets of one phase ('train', 'val', 'test') with their keys in the option file.

    Raises:
        UserError: a data set cannot be used, with its key.
    """
    built = []
    for key, settings in opt['datasets'].items():
        if settings['phase'] != phase:
            continue
        try:
            dataset = build_dataset(settings)
            if phase != 'train':
                for metric in ((opt.get('val') or {}).get('metrics') or {}).values():
                    check_set_size(metric, len(dataset))
            built.append((key, dataset))
        except (ValueError, OSError) as error:
            raise UserError(f'datasets.{key}: {error}') from error
        except KeyError as error:  # BasicSR's data sets read their options without asking whether they are there
            raise UserError(
                f'datasets.{key}.{error.args[0]}: this key is missing; {settings["type"]} needs it.'
            ) from error
        except Exception as error:
            raise UserError(
                f'datasets.{key}: {settings["type"]} cannot be built from these options: '
                f'{" ".join(str(error).split())} ({type(error).__name__}; --traceback shows where)'
            ) from error
    return built
