"""Training: ``python -m basicsr.train -opt ...`` with the start-up hook, ``python -m selfsr_plugin.train`` without.

Option files of this package's models are run by the loop below; all others by BasicSR's own ``train_pipeline``.
"""
import datetime
import signal
import sys
import time
from typing import Any, Dict, List, Optional, Sequence

from torch.utils.data import DataLoader

import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs

from basicsr.models import build_model
from basicsr.utils import AvgTimer, MessageLogger, get_root_logger
from basicsr.train import init_tb_loggers, train_pipeline
from basicsr.utils.options import copy_opt_file

from .run.resume import find_resume_state
from .run.collapse_watch import CollapseWatch
from .run.setup import (basicsr_root, build_datasets, is_plugin_model, load_options, seed_generators, set_up,
                        start_log)
from .errors import UserError, lost_a_process, one_sentence_errors
from .engine.checkpoint import checkpoint_iterations, remove_old_checkpoints
from .engine.update import NonFiniteError
from .run.fingerprint import differences, run_options
from .options import parse_arguments
from .run.processes import all_processes_agree_on, barrier
from .run.folder import archive, locked, make_folders
from .run.stop_signals import StopSignals
from .run.training_data import TrainingData


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Train as the option file on the command line says.

    Args:
        argv: the command line without the program's name; that of the process by default.
    """
    args = parse_arguments(argv)
    with one_sentence_errors(args.traceback):
        opt = load_options(args, is_train=True)
        if is_plugin_model(opt):
            set_up(opt, args, is_train=True)
            with locked(opt['path']['experiments_root'], opt):
                stopped_by = train(opt, args.opt)
            if stopped_by is not None:
                sys.exit(128 + stopped_by)  # as a shell reports a process that the signal ended
            return
    # BasicSR's own, which reads the command line itself, and shows its own tracebacks.
    sys.argv[1:] = [argument for argument in (sys.argv[1:] if argv is None else argv) if argument != '--traceback']
    train_pipeline(basicsr_root(opt))


def train(opt: Dict[str, Any], option_file: str) -> Optional[signal.Signals]:
    """Build everything, then iterate.

    Returns:
        The signal that ended the run early, after a checkpoint; None at its end.
    """
    # Data first: a missing folder must not cost the folder of an earlier run, which is renamed.
    train_set = build_datasets(opt, 'train')[0][1]
    val_loaders = [DataLoader(dataset) for _, dataset in build_datasets(opt, 'val')]
    resume_state = find_resume_state(opt)
    start_iter = resume_state['iter'] if resume_state else 0
    all_processes_agree_on(start_iter, opt, 'the checkpoint to resume from')
    seed_generators(opt, (resume_state or {}).get('run_options'))
    settings = run_options(opt)
    _check_same_run(resume_state, opt)
    if opt['rank'] == 0:
        make_folders(opt, keep=resume_state is not None)
        copy_opt_file(option_file, opt['path']['experiments_root'])
    barrier(opt)  # nobody goes on before the folders are there
    logger = start_log(opt, 'train')
    tb_logger = _tb_logger(opt, resume_state is not None)

    total_iter = opt['train']['total_iter']
    data = TrainingData(train_set, opt, start_iter)
    logger.info(f'{len(train_set)} training images, {data.batch_size} in a batch over {opt["world_size"]} processes, '
                f'{total_iter} iterations, {total_iter * data.batch_size / len(train_set):.1f} epochs.')
    opt['run_options'] = settings
    model = _build(opt)
    if resume_state:
        try:
            model.resume_training(resume_state)
        except (ValueError, FileNotFoundError) as error:
            raise UserError(str(error)) from error
        logger.info(f'Resumed after iteration {start_iter}.')
    message_logger = MessageLogger(opt, start_iter, tb_logger)
    freq = {**opt['logger'], **(opt.get('val') or {})}
    collapse = CollapseWatch(opt)
    data_timer, iter_timer, started = AvgTimer(), AvgTimer(), time.monotonic()
    validated, stopped_by = None, None
    if resume_state and val_loaders and start_iter % freq['val_freq'] == 0:
        # Checkpoints are saved before the validation of their iteration, which the run may not have come to.
        _validate(model, val_loaders, start_iter, tb_logger, freq['save_img'])
        validated = start_iter

    with StopSignals(opt['dist']) as signals:
        for current_iter in range(start_iter + 1, total_iter + 1):
            batch = _next_batch(data, model, current_iter)
            data_timer.record()

            model.update_learning_rate(current_iter, opt['train'].get('warmup_iter', -1))
            model.feed_data(batch)
            _step(model, current_iter, opt, first=current_iter == start_iter + 1)
            iter_timer.record()

            epoch = data.epoch(current_iter)
            if current_iter == 1:
                message_logger.reset_start_time()
            if current_iter % freq['print_freq'] == 0:
                log = model.get_current_log()
                message_logger({'epoch': epoch, 'iter': current_iter, 'lrs': model.get_current_learning_rate(),
                                'time': iter_timer.get_avg_time(), 'data_time': data_timer.get_avg_time(), **log})
                collapse.update(current_iter, log)
            stopped_by = signals.requested()
            if current_iter % freq['save_checkpoint_freq'] == 0 or stopped_by:
                _save(model, epoch, current_iter, opt)
            if stopped_by:
                break
            if val_loaders and current_iter % freq['val_freq'] == 0:
                _validate(model, val_loaders, current_iter, tb_logger, freq['save_img'])
                validated = current_iter
            data_timer.start()
            iter_timer.start()

    if stopped_by:
        logger.info(f'Stopped by {stopped_by.name} after iteration {current_iter} of {total_iter}, which is saved. The same '
                    'command with --auto_resume goes on from there.')
    else:
        model.save(epoch=-1, current_iter=-1)
        if val_loaders and validated != total_iter:
            _validate(model, val_loaders, total_iter, tb_logger, freq['save_img'])
        logger.info(f'End of training, {datetime.timedelta(seconds=int(time.monotonic() - started))}. '
                    f'The networks are in {opt["path"]["models"]}.')
    if tb_logger:
        tb_logger.close()
    return stopped_by


def _check_same_run(resume_state: Optional[Dict[str, Any]], opt: Dict[str, Any]) -> None:
    saved = (resume_state or {}).get('run_options')
    changed = differences(saved, opt) if saved else ''
    if changed:
        raise UserError(f'the checkpoint of iteration {resume_state["iter"]} was made with other options: {changed}. Put '
                        'them back to resume; for a run with the new ones give it another name, and start from trained '
                        'weights with path.pretrain_network_*.')


def _tb_logger(opt: Dict[str, Any], resuming: bool) -> Any:
    if opt['logger']['use_tb_logger'] and opt['rank'] == 0 and not resuming and 'debug' not in opt['name']:
        archive(f'{opt["root_path"]}/tb_logger/{opt["name"]}')
    return init_tb_loggers(opt)


def _build(opt: Dict[str, Any]) -> Any:
    try:
        return build_model(opt)
    except (ValueError, OSError) as error:  # weights that do not fit, impossible sizes
        raise UserError(str(error)) from error
    except Exception as error:  # a value that BasicSR or torch do not take
        raise UserError(f'the model cannot be built from these options: {" ".join(str(error).split())} '
                        f'({type(error).__name__}; --traceback shows where)') from error


def _next_batch(data: TrainingData, model: Any, current_iter: int) -> Dict[str, Any]:
    """The next batch. When there is none, what has been computed is saved before the error ends the run."""
    try:
        return data.next_batch(current_iter)
    except Exception:
        if current_iter > data.start_iter + 1:
            model.save(data.epoch(current_iter - 1), current_iter - 1)
        raise


def _step(model: Any, current_iter: int, opt: Dict[str, Any], first: bool) -> None:
    try:
        model.optimize_parameters(current_iter)
    except NonFiniteError as error:
        saved = checkpoint_iterations(opt['path']['training_states'])
        last = f'the last checkpoint is that of iteration {saved[0]}' if saved else 'there is no checkpoint yet'
        raise UserError(f'iteration {current_iter}: {error}. The run ends here; {last}. Lower the learning rate or look at '
                        'the data; nonfinite: skip, in the section train of this stage, leaves such steps out.') from None
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        # Networks and losses of BasicSR and torch find out about an impossible option only when they run.
        if not first or isinstance(error, UserError) or lost_a_process(error):
            raise
        raise UserError(f'iteration {current_iter} cannot be computed with these options: {" ".join(str(error).split())} '
                        f'({type(error).__name__}; --traceback shows where)') from error


def _save(model: Any, epoch: int, current_iter: int, opt: Dict[str, Any]) -> None:
    get_root_logger().info('Saving models and training states.')
    model.check_processes_agree()
    model.save(epoch, current_iter)
    keep = opt['logger'].get('keep_checkpoints')
    if keep and opt['rank'] == 0:
        remove_old_checkpoints(opt, keep, model.needed_weights)


def _validate(model: Any, loaders: List[DataLoader], current_iter: int, tb_logger: Any, save_img: bool) -> None:
    for loader in loaders:
        try:
            model.validation(loader, current_iter, tb_logger, save_img)
        except (ValueError, OSError) as error:  # an image that cannot be read, or not be written
            raise UserError(f'validation of {loader.dataset.opt["name"]} at iteration {current_iter}: {error}') from error


if __name__ == '__main__':
    main()
