"""BasicSR's own loops around option files that use this package: what they read is checked before they start, and what
they end at is a sentence."""

import argparse
import contextlib
import inspect
import logging
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import path as osp
from pathlib import Path
from typing import Any
from urllib.error import URLError

import basicsr
import torch
from basicsr.models.sr_model import SRModel
from basicsr.models.srgan_model import SRGANModel

from ..basicsr_compat.distributed import check_started
from ..basicsr_compat.root import results_root
from ..engine.checkpoint import load_checkpoint
from ..errors import UserError, one_sentence_errors
from ..files import printable
from ..option_check import words_of
from ..option_sections import (
    DatasetOptions,
    FileOptions,
    LoggerOptions,
    TestValOptions,
    TrainDatasetOptions,
    TrainValOptions,
    check_folder_name,
)
from ..registration import uses_plugin
from ..schema import (
    AdversarialLoss,
    FeatureLoss,
    ImageLoss,
    Loss,
    Optimizer,
    Scheduler,
    Section,
    check_values,
    is_section,
    no_numbers_as_text,
    one_of,
    option,
    options_of,
    parse,
    registered,
    require,
)

_KINDS_OF_LOSSES = {'pixel_opt': ImageLoss, 'perceptual_opt': FeatureLoss, 'gan_opt': AdversarialLoss}
_SCHEDULES = ['CosineAnnealingRestartLR', 'MultiStepLR', 'MultiStepRestartLR']  # that BasicSR's models know


@dataclass(kw_only=True)
class _Learning(Section):
    total_iter: float = option('number of iterations', least=1)
    warmup_iter: int = option('iterations in which the rate rises', default=-1)
    ema_decay: float = option('share of the moving average that a step keeps', default=0.0, least=0, below=1)


@dataclass(kw_only=True)
class _Loader(Section):
    persistent_workers: bool = option('whether the processes that read images outlive an epoch', default=False)
    dataset_enlarge_ratio: float = option('how often an epoch takes each image', default=1, least=0)


def check_loop(opt: Mapping[str, Any], args: argparse.Namespace, is_train: bool) -> None:
    """Check the values that BasicSR's loop reads, how its processes were started, and what it would go on from.

    Args:
        opt: the options; the keys that the loop needs are there.
        args: the command line.
        is_train: whether they are of a training.

    Raises:
        UserError: naming the key or the option.
    """
    check_values(FileOptions, opt, '', ('name', 'num_gpu', 'manual_seed'))
    check_folder_name(opt['name'], 'name')
    if opt['num_gpu'] not in ('auto', 0) and not torch.cuda.is_available():
        raise UserError(
            f'num_gpu: {opt["num_gpu"]} GPUs are asked for and this machine shows none; write num_gpu: auto.'
        )
    if is_train:
        known = options_of(LoggerOptions)
        mine = {name: value for name, value in _spelled_whole(opt['logger']).items() if name in known}
        parse(LoggerOptions, mine, 'logger')
        check_values(_Learning, _spelled_whole(opt['train']), 'train')
    if opt.get('val') is not None:
        check_values(TrainValOptions if is_train else TestValOptions, _spelled_whole(opt['val']), 'val')
    for phase, settings in opt['datasets'].items():
        _check_dataset(str(phase), settings, is_train)
    if is_train and 'train' not in opt['datasets']:
        raise UserError('datasets: there is no section train.')
    _check_launcher(args.launcher)
    if is_train:
        _check_resume(opt, args)


def _check_dataset(phase: str, settings: Mapping[str, Any], is_train: bool) -> None:
    key = f'datasets.{phase}'
    check_values(DatasetOptions, settings, key, ('name',))
    check_folder_name(settings['name'], f'{key}.name')
    if not is_train:
        return
    if phase != 'train':
        if phase.split('_')[0] != 'val':
            raise UserError(f'{key}: unknown phase; use train or val, or val_1, val_2 ...')
        return
    check_values(TrainDatasetOptions, settings, key, ('batch_size_per_gpu', 'num_worker_per_gpu', 'pin_memory'))
    check_values(_Loader, settings, key)
    mode = settings.get('prefetch_mode')
    if mode not in (None, 'cpu', 'cuda'):
        raise UserError(f'{key}.prefetch_mode: {mode!r} must be cpu or cuda.')
    if mode == 'cuda' and not (settings.get('pin_memory') and torch.cuda.is_available()):
        raise UserError(f'{key}.prefetch_mode: cuda needs a GPU and pin_memory: true; write cpu.')


def _spelled_whole(node: Any) -> Any:
    """A section in which 5000.0, BasicSR's own ``!!float 5e3`` for a number of iterations, is a whole number."""
    if isinstance(node, dict):
        return {name: _spelled_whole(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_spelled_whole(value) for value in node]
    return int(node) if isinstance(node, float) and node.is_integer() else node


def check_learning(opt: Mapping[str, Any]) -> None:
    """What SRModel and SRGANModel learn by, and what derives from them and sets its training up as they do.

    Raises:
        UserError: naming the key.
    """
    no_numbers_as_text(opt['train'], 'train')
    model = registered('MODEL_REGISTRY', opt['model_type'])
    settings = getattr(model, 'init_training_settings', None)
    why = f'{opt["model_type"]} learns by it'
    if settings is SRGANModel.init_training_settings:
        require(opt, ['network_d'], '', why)
        require(opt['train'], ['optim_g', 'optim_d', 'gan_opt', 'scheduler'], 'train', why)
        _check_optimizer(model, opt['train']['optim_d'], 'train.optim_d')
    elif settings is SRModel.init_training_settings:
        losses = [] if opt['train'].get('perceptual_opt') else ['pixel_opt']
        require(opt['train'], ['optim_g', *losses, 'scheduler'], 'train', why)
    else:
        return
    _check_optimizer(model, opt['train']['optim_g'], 'train.optim_g')
    is_section(opt['train']['scheduler'], 'train.scheduler')
    one_of(opt['train']['scheduler'].get('type'), _SCHEDULES, 'train.scheduler.type')
    Scheduler.parse(_spelled_whole(opt['train']['scheduler']), 'train.scheduler')
    for name, section in opt['train'].items():
        if name.endswith('_opt') and section and name in words_of(model):
            _KINDS_OF_LOSSES.get(name, Loss).parse(section, f'train.{name}')


def _check_optimizer(model: type, settings: Any, key: str) -> None:
    Optimizer.parse(settings, key)
    known = re.findall(r"optim_type == '(\w+)'", inspect.getsource(model.get_optimizer))
    if known and settings['type'] not in known:  # a model with a get_optimizer of its own says so otherwise
        raise UserError(
            f'{key}.type: {model.__name__} cannot make {settings["type"]}: write {" or ".join(known)}, or use '
            'SelfCondSRModel, which takes any optimizer of torch.'
        )


def _check_launcher(launcher: str) -> None:
    problem = None
    try:
        check_started(launcher)
    except ValueError as error:
        problem = str(error)
    if (problem or launcher != 'none') and not torch.cuda.is_available():
        problem = (
            'several processes of BasicSR meet on GPUs alone (NCCL), and there is none here: start one, without '
            'torchrun, srun and --launcher.'
        )
    if problem:
        raise UserError(problem)


def _check_resume(opt: Mapping[str, Any], args: argparse.Namespace) -> None:
    """BasicSR takes the newest state without looking whether it is whole, and it writes under the final name."""
    option_given, state = 'path.resume_state', opt['path'].get('resume_state')
    if args.auto_resume:
        option_given, state = '--auto_resume', _newest_state(opt, args)
    if not state:
        return
    if not torch.cuda.is_available():
        raise UserError(
            f'{option_given}: {opt["model_type"]} is of BasicSR, which goes on from a checkpoint on a GPU alone, and '
            'there is none here: start from its weights by path.pretrain_network_g, under another name.'
        )
    try:
        content = load_checkpoint(osp.expanduser(state))
        if not isinstance(content, dict) or not isinstance(content.get('iter'), int):
            raise UserError(f'{printable(state)} is no training state.')
        for key in opt:
            if str(key).startswith('network_'):
                file = f'net_{key.removeprefix("network_")}_{content["iter"]}.pth'
                load_checkpoint(_folder(opt, args) / 'models' / file)
    except (OSError, UserError) as error:
        earlier = f', or remove {printable(state)}: then it is the one before' * args.auto_resume
        raise UserError(f'{option_given}: {str(error).rstrip(".")}: give another checkpoint{earlier}.') from error


def _folder(opt: Mapping[str, Any], args: argparse.Namespace) -> Path:
    name = opt['name']
    return Path(results_root(), 'experiments', f'debug_{name}' if args.debug and not name.startswith('debug') else name)


def _newest_state(opt: Mapping[str, Any], args: argparse.Namespace) -> str | None:
    states = {}
    for path in (_folder(opt, args) / 'training_states').glob('[!.]*.state'):
        try:
            states[float(path.stem)] = path
        except ValueError:
            raise UserError(
                f'--auto_resume: BasicSR takes {printable(path)} for a checkpoint, and its name is no iteration: '
                'move it elsewhere.'
            ) from None
    return str(states[max(states)]) if states else None


def run_pipeline(
    pipeline: Callable[[str], None], opt: Mapping[str, Any], args: argparse.Namespace, argv: Sequence[str] | None
) -> None:
    """BasicSR's ``train_pipeline`` or ``test_pipeline``, which reads the command line itself and shows its own
    tracebacks.

    Args:
        pipeline: takes BasicSR's root.
        opt: the options, checked.
        args: what ``argv`` says.
        argv: the command line without the program's name; None for that of the process.
    """
    given = sys.argv[1:] if argv is None else argv
    # Of an option given twice BasicSR takes the last.
    sys.argv[1:] = [*(argument for argument in given if argument != '--traceback'), '-opt', args.opt]
    if args.force_yml:
        sys.argv += ['--force_yml', *args.force_yml]
    # The root that files which use nothing of ours get is BasicSR's own choice.
    root = results_root() if uses_plugin(opt) else osp.dirname(osp.dirname(osp.abspath(basicsr.__file__)))
    with in_sentences(opt, args):
        pipeline(root)


@contextlib.contextmanager
def in_sentences(opt: Mapping[str, Any], args: argparse.Namespace) -> Iterator[None]:
    """BasicSR's loop runs in the block: Ctrl-C and what the file system refuses are one sentence, and so is a network
    that was not saved whole at the end, of which BasicSR goes on without a word more than a warning.

    Option files that use nothing of ours are BasicSR's alone, its tracebacks included.
    """
    if not uses_plugin(opt):
        yield
        return
    with one_sentence_errors(args.traceback):
        before = logging.raiseExceptions
        logging.raiseExceptions = args.traceback  # or a full disk is shown for each line of the log
        try:
            yield
            if os.environ.get('RANK', '0') == '0':
                _check_saved(_folder(opt, args) / 'models')
        except URLError as error:
            raise UserError(
                f'the model needs weights that cannot be downloaded here ({error.reason}): the line "Downloading" '
                'above says from where they come and where to put them.'
            ) from error
        finally:
            logging.raiseExceptions = before


def _check_saved(models: Path) -> None:
    broken = [path for path in sorted(models.glob('net_*_latest.pth')) if not zipfile.is_zipfile(path)]
    if broken:
        whole = [path for path in models.glob(broken[0].name.replace('latest', '*')) if zipfile.is_zipfile(path)]
        newest = max(whole, key=lambda path: path.stat().st_mtime, default=None)
        raise UserError(
            f'{printable(broken[0])} was not saved whole, the warnings above say why; '
            + (f'the newest that was is {printable(newest.name)}.' if newest else 'nor was one before.')
        )
