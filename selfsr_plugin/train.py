"""Training: ``python -m basicsr.train -opt ...`` with the start-up hook, ``python -m selfsr_plugin.train`` without.

Option files of this package's models are run by the loop below; all others by BasicSR's own ``train_pipeline``.
"""
import datetime
import sys
import time
from os import path as osp
from typing import Any, Dict, Iterator, List, Optional, Sequence

import torch
from torch.utils.data import DataLoader

import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs

from basicsr.models import build_model
from basicsr.utils import AvgTimer, MessageLogger, make_exp_dirs, mkdir_and_rename
from basicsr.train import init_tb_loggers, train_pipeline
from basicsr.utils.options import copy_opt_file

from .basicsr_compat.resume import find_resume_state
from .data import BadImageLog, build_train_loader
from .entry import (basicsr_root, build_datasets, is_plugin_model, load_options, one_sentence_errors, set_up,
                    start_log)
from .errors import UserError
from .options import parse_arguments


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Train as the option file on the command line says.

    Args:
        argv: the command line without the program's name; that of the process by default.
    """
    args = parse_arguments(argv)
    with one_sentence_errors(args.debug):
        opt = load_options(args, is_train=True)
        if is_plugin_model(opt):
            set_up(opt, args, is_train=True)
            train(opt, args.opt)
        else:
            if argv is not None:
                sys.argv[1:] = argv  # BasicSR reads the command line itself
            train_pipeline(basicsr_root(opt))


def train(opt: Dict[str, Any], option_file: str) -> None:
    """Build everything, then iterate."""
    # Data first: a missing folder must not cost the folder of an earlier run, which make_exp_dirs renames.
    train_set = build_datasets(opt, 'train')[0][1]
    val_loaders = [DataLoader(dataset) for _, dataset in build_datasets(opt, 'val')]
    resume_state = find_resume_state(opt)
    _make_folders(opt, resume_state is not None)
    if opt['rank'] == 0:
        copy_opt_file(option_file, opt['path']['experiments_root'])
    logger = start_log(opt, 'train')
    tb_logger = init_tb_loggers(opt)

    start_iter = resume_state['iter'] if resume_state else 0
    data_opt = opt['datasets']['train']
    loader = build_train_loader(train_set, data_opt, opt['manual_seed'], opt['rank'], opt['world_size'], start_iter)
    bad_images = _bad_image_log(train_set, data_opt)
    batch_size = data_opt['batch_size_per_gpu'] * opt['world_size']
    total_iter = opt['train']['total_iter']
    logger.info(f'{len(train_set)} training images, {batch_size} in a batch over {opt["world_size"]} processes, '
                f'{total_iter} iterations, {total_iter * batch_size / len(train_set):.1f} epochs.')

    model = _build(opt)
    if resume_state:
        model.resume_training(resume_state)
        logger.info(f'Resumed after iteration {start_iter}.')
    message_logger = MessageLogger(opt, start_iter, tb_logger)
    freq = {**opt['logger'], **(opt.get('val') or {})}
    data_timer, iter_timer, started = AvgTimer(), AvgTimer(), time.time()
    validated = None

    batches = iter(loader)
    for current_iter in range(start_iter + 1, total_iter + 1):
        data = _next_batch(batches, bad_images)
        data_timer.record()

        model.update_learning_rate(current_iter, opt['train'].get('warmup_iter', -1))
        model.feed_data(data)
        model.optimize_parameters(current_iter)
        iter_timer.record()

        epoch = current_iter * batch_size // len(train_set)
        if current_iter == 1:
            message_logger.reset_start_time()
        if current_iter % freq['print_freq'] == 0:
            message_logger({'epoch': epoch, 'iter': current_iter, 'lrs': model.get_current_learning_rate(),
                            'time': iter_timer.get_avg_time(), 'data_time': data_timer.get_avg_time(),
                            **model.get_current_log()})
        if current_iter % freq['save_checkpoint_freq'] == 0:
            logger.info('Saving models and training states.')
            model.save(epoch, current_iter)
        if val_loaders and current_iter % freq['val_freq'] == 0:
            _validate(model, val_loaders, current_iter, tb_logger, freq['save_img'])
            validated = current_iter
        data_timer.start()
        iter_timer.start()

    logger.info(f'End of training, {datetime.timedelta(seconds=int(time.time() - started))}. '
                f'The networks are in {opt["path"]["models"]}.')
    if start_iter < total_iter:
        model.save(epoch=-1, current_iter=-1)
        if val_loaders and validated != total_iter:
            _validate(model, val_loaders, total_iter, tb_logger, freq['save_img'])
    if tb_logger:
        tb_logger.close()


def _build(opt: Dict[str, Any]) -> Any:
    try:
        return build_model(opt)
    except (ValueError, OSError) as error:  # weights that do not fit, impossible sizes
        raise UserError(str(error)) from error


def _make_folders(opt: Dict[str, Any], resuming: bool) -> None:
    if opt['rank'] == 0 and not resuming:
        make_exp_dirs(opt)  # an earlier run of this name is renamed, not overwritten
        if opt['logger']['use_tb_logger'] and 'debug' not in opt['name']:
            mkdir_and_rename(osp.join(opt['root_path'], 'tb_logger', opt['name']))
    if opt['dist']:
        torch.distributed.barrier()


def _bad_image_log(train_set: Any, data_opt: Dict[str, Any]) -> Optional[BadImageLog]:
    """None for a data set of BasicSR, which does not report bad images."""
    counts = getattr(train_set, 'image_counts', None)
    return None if counts is None else BadImageLog(counts, data_opt.get('max_bad_share', 0.01))


def _next_batch(batches: Iterator[Dict[str, Any]], bad_images: Optional[BadImageLog]) -> Dict[str, Any]:
    """The next batch; too many bad images end the run."""
    try:
        data = next(batches)
        if bad_images is not None:
            bad_images.update(data['bad_images'])
    except ValueError as error:  # from a worker it comes with the worker's traceback before the message
        raise UserError(str(error).strip().splitlines()[-1].removeprefix('ValueError: ')) from error
    return data


def _validate(model: Any, loaders: List[DataLoader], current_iter: int, tb_logger: Any, save_img: bool) -> None:
    for loader in loaders:
        model.validation(loader, current_iter, tb_logger, save_img)


if __name__ == '__main__':
    main()
