"""Whole training runs in processes that can be killed, and the ways in which they are sabotaged.

The processes are forked from a server that has everything imported, so that a run costs a second and not ten.
"""

import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any
from collections.abc import Callable, Sequence

import torch
import yaml
from common_kit import assert_identical, write_faces  # noqa: F401  for the tests

from selfsr_plugin.options import read_option_file

ROOT = Path(__file__).resolve().parents[2]
WAIT = 600  # seconds after which a run counts as hanging; a second is ten on a busy machine

_context = multiprocessing.get_context('forkserver')
_context.set_forkserver_preload(['selfsr_plugin.run.training', 'selfsr_plugin.run.testing'])


# ----- data and options -----


def options(model: str = 'SelFSRModel', **changes: Any) -> dict[str, Any]:
    """A run of a second that passes through everything: both stages, a growth step with fading, R1, EMA, validation.

    11 HR faces and batches of 2: checkpoints lie within epochs, and epochs end within batches.
    """
    opt = read_option_file(str(ROOT / 'options/train_selfsr_demo.yml'))
    opt.update(name='run', num_gpu=0, model_type=model)
    opt['datasets']['train'].update(dataroot_gt='data/hr', dataroot_lq='data/lr', batch_size_per_gpu=2)
    opt['datasets']['val'] = dict(name='people', type='PairedFaceDataset', dataroot_gt='data/test_hr')
    opt['network_deg'].update(num_feat=2, num_block=1)
    opt['network_d_lq'].update(num_feat=2)
    opt['network_g'].update(widths=[6, 4], num_block=1, cond_ratio=2)
    opt['network_d'].update(feat_base=64, feat_max=4)
    stage1, stage2 = opt['train']['degradation'], opt['train']['sr']
    stage1.update(total_iter=4, scheduler=dict(type='LinearDecayLR', decay_from=2))
    stage2.update(
        total_iter=7,
        grow_at=[2],
        fade_iter=2,
        net_d_reg_every=2,
        ema_decay=0.9,
        scheduler=dict(type='LinearDecayLR', decay_from=3),
    )
    opt['train']['total_iter'] = 11
    if model == 'CycleGANDegradationModel':
        adam, l1 = stage1['optim_deg'], stage1['identity_opt']
        opt['train'] = dict(
            total_iter=7,
            optim_deg=adam,
            optim_clean=adam,
            optim_d_lq=adam,
            optim_d_clean=adam,
            gan_opt=dict(type='GANLoss', gan_type='lsgan', loss_weight=1.0),
            cycle_opt=l1,
            identity_opt=l1,
            pool_size=5,
            scheduler=stage1['scheduler'],
        )
        generator = dict(type='CycleGANGenerator', num_feat=2, num_block=1)
        opt.update(network_deg=generator, network_clean=generator, network_d_clean=opt['network_d_lq'])
    if model == 'FlowDegradationModel':
        opt['train'] = dict(stage1, total_iter=7)
    if model in ('FlowDegradationModel', 'CycleGANDegradationModel'):
        opt = {key: value for key, value in opt.items() if key not in ('network_g', 'network_d')}
    elif model == 'SelfCondSRModel':
        opt['train'] = dict(stage2, supervision='unpaired')
        del opt['train']['lq_noise']
        opt = {key: value for key, value in opt.items() if key not in ('network_deg', 'network_d_lq')}
    opt['logger'].update(print_freq=1, save_checkpoint_freq=2, use_tb_logger=False)
    opt['val']['val_freq'] = 3
    for path, value in changes.items():
        *sections, last = path.split('__')
        node = opt
        for section in sections:
            node = node[section]
        node[last] = value
    return opt


def make_workplace(folder: Path) -> Path:
    write_faces(folder / 'data/hr', 11, 64, 0)
    write_faces(folder / 'data/lr', 7, 16, 1)
    write_faces(folder / 'data/test_hr', 2, 64, 2)
    return folder


# ----- runs -----


def _run(
    folder: str, arguments: Sequence[str], log: str, sabotage: Callable[[], None] | None, environment: dict[str, str]
) -> None:
    os.setsid()
    os.chdir(folder)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(environment)
    torch.set_num_threads(1)
    if sabotage is not None:
        sabotage()
    from selfsr_plugin import train

    train.main(arguments)


class Run:
    """``python -m selfsr_plugin.train -opt options0.yml ...`` in ``folder``, in a process of its own.

    Args:
        folder: where it runs; the option file is written there.
        opt: the options.
        arguments: more of the command line.
        sabotage: called in the process before it trains; a function of a module, or a ``functools.partial`` of one.
        rank, world_size: for a run of several processes, which meet at ``port``.
    """

    def __init__(
        self,
        folder: Path,
        opt: dict[str, Any],
        *arguments: str,
        sabotage: Callable | None = None,
        rank: int = 0,
        world_size: int = 1,
        port: int = 0,
    ) -> None:
        file = f'options{rank}.yml'  # of its own: another process may be reading
        (folder / file).write_text(yaml.safe_dump(opt))
        environment = {}
        if world_size > 1:
            arguments = (*arguments, '--launcher', 'pytorch')
            environment = dict(
                RANK=str(rank),
                LOCAL_RANK=str(rank),
                WORLD_SIZE=str(world_size),
                MASTER_ADDR='127.0.0.1',
                MASTER_PORT=str(port),
            )
        self.log = folder / f'output{rank}.txt'
        self.log.write_text('')
        self.process = _context.Process(
            target=_run, args=(str(folder), ['-opt', file, *arguments], str(self.log), sabotage, environment)
        )
        self.process.start()

    def wait(self) -> int:
        """Exit status; the negative of a signal's number. Fails if the run hangs."""
        self.process.join(WAIT)
        if self.process.exitcode is None:
            self.kill()
            raise AssertionError(f'the run hangs:\n{self.output()}')
        return self.process.exitcode

    def wait_for(self, text: str) -> None:
        """Until the output holds ``text``."""
        end = time.monotonic() + WAIT
        while text not in self.output():
            assert self.process.exitcode is None and time.monotonic() < end, self.output()
            time.sleep(0.01)

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL to the run and its workers, as a machine that loses its power."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            self.process.kill()
        self.process.join()

    def output(self) -> str:
        return self.log.read_text()


def complete(folder: Path, opt: dict[str, Any], *arguments: str, **settings: Any) -> Run:
    """A run that must end well."""
    run = Run(folder, opt, *arguments, **settings)
    assert run.wait() == 0, run.output()
    return run


def refused(folder: Path, opt: dict[str, Any], *arguments: str, **settings: Any) -> str:
    """A run that must end with one sentence and status 1; gives the sentence."""
    run = Run(folder, opt, *arguments, **settings)
    assert run.wait() == 1, run.output()
    lines = run.output().splitlines()
    assert not any(line.startswith('Traceback') for line in lines), run.output()
    sentences = [line for line in lines if line.startswith('error')]
    assert len(sentences) == 1, run.output()
    return sentences[0]


def result(folder: Path, name: str = 'run') -> dict[str, Any]:
    """All that a finished run leaves to go on from: weights, moving averages, and the newest training state."""
    experiment = folder / 'experiments' / name
    newest = max((experiment / 'training_states').glob('*.state'), key=lambda path: int(path.stem))
    found = {path.name: torch.load(path, weights_only=True) for path in experiment.glob('models/*_latest.pth')}
    state = torch.load(newest, weights_only=True)
    found['state'] = {key: state[key] for key in ('iter', 'optimizers', 'schedulers', 'best_metric_results', 'extra')}
    return found


# ----- sabotage: functions that run in the process before it trains -----


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_call(target: str, number: int, after: bool = False) -> None:
    """SIGKILL at the ``number``-th call of ``module:attribute.path``, before it or right after it."""
    module, path = target.split(':')
    *owners, name = path.split('.')
    owner = __import__(module, fromlist=['_'])
    for each in owners:
        owner = getattr(owner, each)
    original, calls = getattr(owner, name), [0]

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == number and not after:
            _die()
        value = original(*args, **kwargs)
        if calls[0] == number:
            _die()
        return value

    setattr(owner, name, wrapper)


def die_half_way_through_writing(number: int) -> None:
    """SIGKILL in the ``number``-th ``torch.save``, with half of its bytes on the disk."""
    original, calls = torch.save, [0]

    def save(content: Any, file: Any) -> None:
        original(content, file)
        calls[0] += 1
        if calls[0] == number:
            file.flush()
            file.truncate(file.tell() // 2)
            os.fsync(file.fileno())
            _die()

    torch.save = save


def clock_goes_backwards() -> None:
    """Every look at the clock shows an earlier time than the one before."""
    start, calls = time.time(), [0]

    def backwards() -> float:
        calls[0] += 1
        return start - 10 * calls[0]

    time.time = backwards


def kill_a_worker_at_iteration(iteration: int) -> None:
    """SIGKILL to one of the processes that load images, in the middle of a training step."""
    from selfsr_plugin.stages import SelFSRModel

    original = SelFSRModel.optimize_parameters

    def step(self: Any, current_iter: int) -> None:
        if current_iter == iteration:
            children = Path(f'/proc/self/task/{os.getpid()}/children').read_text().split()
            os.kill(int(children[0]), signal.SIGKILL)
            time.sleep(0.2)
        original(self, current_iter)

    SelFSRModel.optimize_parameters = step


def data_set_raises(number: int) -> None:
    """The data set has a bug that shows at its ``number``-th item."""
    from selfsr_plugin.data import UnpairedFaceDataset

    original, calls = UnpairedFaceDataset.__getitem__, [0]

    def item(self: Any, index: int) -> Any:
        calls[0] += 1
        if self.training and calls[0] > number:
            raise KeyError('a bug in the data set')
        return original(self, index)

    UnpairedFaceDataset.__getitem__ = item


def slow_down(seconds: float) -> None:
    """Every training step takes longer, so that there is time to do something meanwhile."""
    from selfsr_plugin.stages import SelFSRModel

    original = SelFSRModel.optimize_parameters

    def step(self: Any, current_iter: int) -> None:
        print('slow step', flush=True)
        time.sleep(seconds)
        original(self, current_iter)

    SelFSRModel.optimize_parameters = step


def stay_in_iteration(iteration: int) -> None:
    """The run gets no further until it is killed, or its folder has a file ``go_on``."""
    from selfsr_plugin.stages import SelFSRModel

    original = SelFSRModel.optimize_parameters

    def step(self: Any, current_iter: int) -> None:
        while current_iter == iteration and not Path('go_on').exists():
            time.sleep(0.05)
        original(self, current_iter)

    SelFSRModel.optimize_parameters = step


def fail_at_iteration(iteration: int, kind: str) -> None:
    """This process raises, dies or meets a NaN at an iteration; with several processes the others know nothing."""
    from selfsr_plugin.errors import UserError
    from selfsr_plugin.stages import SelFSRModel

    original = SelFSRModel.feed_data

    def feed(self: Any, data: dict[str, Any]) -> None:
        feed.count += 1
        if feed.count == iteration:
            if kind == 'raise':
                raise UserError('this process has a problem of its own')
            if kind == 'die':
                _die()
            data['gt'][0, 0, 0, 0] = float('nan')
        original(self, data)

    feed.count = 0
    SelFSRModel.feed_data = feed


def file_size_limit(size: int) -> None:
    """No file can grow beyond ``size`` bytes: what a quota does."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def random_delays(seed: int, longest: float) -> list[float]:
    rng = random.Random(seed)
    return [rng.uniform(0, longest) for _ in range(4)]


if sys.platform != 'linux':
    raise ImportError('the fault suite needs Linux')
