"""The training loop of this package's models."""

import datetime
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn

from basicsr.utils import AvgTimer, get_root_logger
from torch.utils.data import DataLoader

from ..engine.checkpoint import checkpoint_iterations, remove_old_checkpoints
from ..engine.finite import NonFiniteError
from ..errors import UserError, is_out_of_memory, lost_a_process
from ..files import cannot_write, printable
from .collapse_watch import CollapseWatch
from .fingerprint import differences, run_options
from .folder import copy_option_file, make_folders, refuse_input_inside
from .processes import all_processes_agree_on, raise_in_all
from .progress import ProgressLog, TimeLeft, parts
from .rehearsal import check_memory, look_at_images, raise_explained, rehearse_training, try_metrics, warn_of_sizes
from .resume import find_resume_state
from .setup import build, build_datasets, log_options, log_to_folder, seed_generators, start_log
from .stop_signals import StopSignals
from .training_data import TrainingData
from .writers import prepare_writers, start_tensorboard


def train(opt: dict[str, Any], option_file: str, at_end: ExitStack) -> signal.Signals | None:
    """Build everything, then iterate; ``at_end`` gets what is to be done when the run is over, however it ends.

    Returns:
        The signal that ended the run early, after a checkpoint; None at its end.
    """
    start_log(opt)
    train_set = build_datasets(opt, 'train')[0][1]
    val_sets = build_datasets(opt, 'val')
    resume_state = find_resume_state(opt)
    start_iter = resume_state['iter'] if resume_state else 0
    all_processes_agree_on(start_iter, opt, 'the checkpoint to resume from')
    seed_generators(opt, (resume_state or {}).get('run_options'))
    settings = run_options(opt)
    _check_same_run(resume_state, opt)
    if start_iter > opt['train']['total_iter']:
        raise UserError(
            f'train.total_iter: {opt["train"]["total_iter"]}, and the checkpoint is of iteration {start_iter}: give '
            'a larger number, or another name to start a run of its own.'
        )
    if resume_state is None:
        refuse_input_inside(opt, option_file)
    log_options(opt)
    logger = get_root_logger()
    if opt['auto_resume'] and resume_state is None:
        logger.info('--auto_resume: there is no checkpoint of this run yet; it starts from the beginning.')
    total_iter = opt['train']['total_iter']
    data = TrainingData(train_set, opt, start_iter)
    logger.info(
        f'{len(train_set)} training images, {data.batch_size} in a batch over {opt["world_size"]} processes, '
        f'{total_iter} iterations, {total_iter * data.batch_size / len(train_set):.1f} epochs.'
    )
    data.check_memory()
    opt['run_options'], opt['training_images'] = settings, _count_images(train_set)
    _warn_of_other_data(resume_state, opt)
    model = build(opt)
    if resume_state:
        try:
            model.resume_training(resume_state)
        except (ValueError, FileNotFoundError) as error:
            raise UserError(str(error)) from error
        logger.info(f'Resumed after iteration {start_iter}.')
    run_parts = parts(opt)
    check_memory(model, data, run_parts, start_iter, opt)
    look_at_images(model, val_sets, opt)
    try_metrics(val_sets, opt)
    first_batch = _first_batch(data, start_iter + 1) if start_iter < total_iter else None
    rehearsed: dict[int, float] = {}
    if first_batch is not None:
        logger.info('Trying an iteration of each stage and level; on a CPU, at a large batch, that takes minutes.')
        rehearsed = rehearse_training(model, first_batch, run_parts, start_iter, opt)
        logger.info(
            'Seconds for an iteration, tried without a step: '
            f'{", ".join(f"{seconds:.3f} from {first}" for first, seconds in rehearsed.items())}.'
        )
    warn_of_sizes([('train', train_set), *val_sets], opt)
    tb_logger = _open_folder(opt, option_file, resume_state is not None, at_end)

    freq = {**opt['logger'], **(opt.get('val') or {})}
    every = {'checkpoint': freq['save_checkpoint_freq'], **({'validation': freq['val_freq']} if val_sets else {})}
    time_left = TimeLeft([part.first for part in run_parts], total_iter, every, rehearsed)
    progress = ProgressLog(opt, tb_logger)
    collapse = CollapseWatch(freq['collapse_iter'])
    data_timer, iter_timer, started = AvgTimer(), AvgTimer(), time.monotonic()
    val_loaders = [DataLoader(dataset) for _, dataset in val_sets]
    failures: list[str] = []
    validated, stopped_by = None, None
    if resume_state and val_loaders and start_iter % freq['val_freq'] == 0:
        # Checkpoints are saved before the validation of their iteration, which the run may not have come to.
        began = time.monotonic()
        failures += _validate(model, val_loaders, start_iter, tb_logger, freq['save_img'])
        time_left.add('validation', time.monotonic() - began)
        validated = start_iter

    with _naming_the_last_checkpoint(opt), StopSignals(opt['dist']) as signals:
        for current_iter in range(start_iter + 1, total_iter + 1):
            began = time.monotonic()
            batch = first_batch if current_iter == start_iter + 1 else _next_batch(data, model, current_iter)
            first_batch = None
            data_timer.record()

            model.update_learning_rate(current_iter)
            model.feed_data(batch)
            _step(model, current_iter, opt, first=current_iter == start_iter + 1)
            iter_timer.record()

            epoch = data.epoch(current_iter)
            time_left.add(current_iter, time.monotonic() - began)
            if current_iter % freq['print_freq'] == 0:
                log = model.get_current_log()
                progress(
                    current_iter,
                    epoch,
                    model.get_current_learning_rate(),
                    iter_timer.get_avg_time(),
                    data_timer.get_avg_time(),
                    time_left(current_iter),
                    log,
                )
                collapse.update(current_iter, log, model.gan_type)
            stopped_by = signals.requested()
            if current_iter % freq['save_checkpoint_freq'] == 0 or stopped_by:
                began = time.monotonic()
                _save(model, epoch, current_iter, opt)
                time_left.add('checkpoint', time.monotonic() - began)
            if stopped_by:
                break
            if val_loaders and current_iter % freq['val_freq'] == 0:
                began = time.monotonic()
                failures += _validate(model, val_loaders, current_iter, tb_logger, freq['save_img'])
                time_left.add('validation', time.monotonic() - began)
                validated = current_iter
            data_timer.start()
            iter_timer.start()

    if stopped_by:
        logger.info(
            f'Stopped by {stopped_by.name} after iteration {current_iter} of {total_iter}, which is saved. The same '
            'command with --auto_resume goes on from there.'
        )
    else:
        with _naming_the_last_checkpoint(opt):
            model.save(epoch=-1, current_iter=-1)
        if val_loaders and validated != total_iter:
            failures += _validate(model, val_loaders, total_iter, tb_logger, freq['save_img'])
        logger.info(
            f'End of training, {datetime.timedelta(seconds=int(time.monotonic() - started))}. '
            f'The networks are in {printable(opt["path"]["models"])}.'
        )
    if failures:
        logger.warning(f'Validations that were not complete: {len(failures)}. The first: {failures[0]}')
    return stopped_by


def _open_folder(opt: dict[str, Any], option_file: str, resuming: bool, at_end: ExitStack) -> Any:
    """The last thing before the first iteration: rename what an earlier run left, and write to the folder from here on.

    Returns:
        BasicSR's TensorBoard writer, or None.
    """
    problem, tb_logger = None, None
    try:
        prepare_writers(opt, at_end)
        if opt['rank'] == 0:
            make_folders(opt, keep=resuming)
            copy_option_file(option_file, opt['path']['experiments_root'])
            log_to_folder(opt, 'train')
            tb_logger = start_tensorboard(opt, resuming, at_end)
    except UserError as error:
        problem = str(error)
    except OSError as error:
        problem = str(cannot_write(error.filename or opt['path']['experiments_root'], error))
    raise_in_all(problem, opt)  # and nobody goes on before the folders are there
    return tb_logger


def _check_same_run(resume_state: dict[str, Any] | None, opt: dict[str, Any]) -> None:
    saved = (resume_state or {}).get('run_options')
    changed = differences(saved, opt) if saved else ''
    if changed:
        raise UserError(
            f'the checkpoint of iteration {resume_state["iter"]} was made with other options: {changed}. Put '
            'them back to resume; for a run with the new ones give it another name, and start from trained '
            'weights with path.pretrain_network_*.'
        )


def _count_images(dataset: Any) -> int:
    """Of both domains; of a data set that is not this package's its items."""
    return sum(len(getattr(dataset, domain, None) or ()) for domain in ('gt', 'lq')) or len(dataset)


def _warn_of_other_data(resume_state: dict[str, Any] | None, opt: dict[str, Any]) -> None:
    """Data may be moved between a run and its resumption. Other numbers of images give other batches."""
    before, now = (resume_state or {}).get('training_images'), opt['training_images']
    if before not in (None, now):
        get_root_logger().warning(
            f'datasets.train: it has {now} images, and {before} when the checkpoint was made: the run sees other '
            'batches than one that was never stopped; if that is not meant, correct its folders.'
        )


def _first_batch(data: TrainingData, iteration: int) -> dict[str, Any]:
    """Data sets of BasicSR's and others' find out about an impossible option or image only when they are read."""
    try:
        return data.next_batch(iteration)
    except (UserError, OSError):
        raise
    except Exception as error:
        last = (str(error).strip().splitlines() or [''])[-1]  # from a worker the worker's traceback comes before
        raise UserError(
            f'datasets.train: the first batch cannot be read: {last} ({type(error).__name__}; --traceback shows where).'
        ) from error


def _next_batch(data: TrainingData, model: Any, current_iter: int) -> dict[str, Any]:
    """The next batch. When there is none, what has been computed is saved before the error ends the run."""
    try:
        return data.next_batch(current_iter)
    except Exception:
        if current_iter > data.start_iter + 1:
            model.save(data.epoch(current_iter - 1), current_iter - 1)
        raise


@contextmanager
def _naming_the_last_checkpoint(opt: dict[str, Any]) -> Iterator[None]:
    """A loss that is not finite ends the run. It is found when a line of the log or a checkpoint is due."""
    try:
        yield
    except NonFiniteError as error:
        saved = checkpoint_iterations(opt['path']['training_states'])
        last = f'the last checkpoint is that of iteration {saved[0]}' if saved else 'there is no checkpoint yet'
        raise UserError(
            f'iteration {error.iteration}: {error}. The run ends here; {last}. Lower the learning rate or look at '
            'the data; nonfinite: skip, in the section train of this stage, leaves such steps out.'
        ) from None


def _step(model: Any, current_iter: int, opt: dict[str, Any], first: bool) -> None:
    try:
        model.optimize_parameters(current_iter)
    except Exception as error:
        if first:
            raise_explained(error, current_iter, opt)
        if is_out_of_memory(error):
            _raise_that_memory_went(error, current_iter, opt)
        raise


def _raise_that_memory_went(error: Exception, current_iter: int, opt: dict[str, Any]) -> NoReturn:
    saved = checkpoint_iterations(opt['path']['training_states'])
    last = (
        f'The last checkpoint is that of iteration {saved[0]}; the same command with --auto_resume goes on from it.'
        if saved
        else 'There is no checkpoint yet.'
    )
    raise UserError(
        f'there is not enough memory for iteration {current_iter}, where there was enough before: free what other '
        f'processes have taken. {last}'
    ) from error


def _save(model: Any, epoch: int, current_iter: int, opt: dict[str, Any]) -> None:
    get_root_logger().info('Saving models and training states.')
    model.check_processes_agree()
    model.save(epoch, current_iter)
    keep = opt['logger'].get('keep_checkpoints')
    if keep and opt['rank'] == 0:
        remove_old_checkpoints(opt, keep, model.needed_weights)


def _validate(model: Any, loaders: list[DataLoader], current_iter: int, tb_logger: Any, save_img: bool) -> list[str]:
    """Validate every set. What goes wrong is logged and returned, a sentence for each set; the run goes on."""
    failures = []
    for loader in loaders:
        name = loader.dataset.opt['name']
        try:
            problems = model.validation(loader, current_iter, tb_logger, save_img)
        except Exception as error:
            if isinstance(error, RuntimeError) and lost_a_process(error):
                raise
            problems = [f'{" ".join(str(error).split())} ({type(error).__name__})']
        if problems:
            more = f' (and {len(problems) - 1} more)' if len(problems) > 1 else ''
            failures.append(f'{name} at iteration {current_iter}: {problems[0]}{more}')
            get_root_logger().error(f'Validation of {failures[-1]}. Training goes on.')
    return failures
