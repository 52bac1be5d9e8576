"""Several processes: faults in one of them, kills of all of them, and the run that one process would have made."""

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
from functools import partial
from typing import Any
from collections.abc import Sequence

import pytest
import torch
import yaml
from fault_kit import (
    Run,
    assert_identical,
    complete,
    fail_at_iteration,
    make_workplace,
    options,
    result,
    slow_down,
    stay_in_iteration,
)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


def start(folder, opt, *arguments: str, sabotage: Sequence[Any] | None = None, world_size: int = 2) -> list[Run]:
    port = free_port()
    sabotage = sabotage or [None] * world_size
    return [
        Run(folder, opt, *arguments, sabotage=sabotage[rank], rank=rank, world_size=world_size, port=port)
        for rank in range(world_size)
    ]


def two(**changes):
    return options(datasets__train__batch_size_per_gpu=1, **changes)


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    folder = make_workplace(tmp_path_factory.mktemp('undisturbed'))
    runs = start(folder, two())
    assert [run.wait() for run in runs] == [0, 0], runs[0].output() + runs[1].output()
    return folder


@pytest.mark.parametrize('kind, message', [('raise', 'this process has a problem of its own'), ('die', '')])
@pytest.mark.parametrize('rank', [0, 1])
def test_failure_of_one_process_ends_the_others(tmp_path, rank, kind, message):
    folder = make_workplace(tmp_path)
    sabotage = [None, None]
    sabotage[rank] = partial(fail_at_iteration, 5, kind)
    runs = start(folder, two(), sabotage=sabotage)
    status = [run.wait() for run in runs]
    assert status[rank] == (1 if kind == 'raise' else -9)
    assert message in runs[rank].output()
    assert status[1 - rank] == 1
    assert 'another process of this run has ended' in runs[1 - rank].output().splitlines()[-1]


def test_nan_in_one_process_stops_all(tmp_path):
    runs = start(make_workplace(tmp_path), two(), sabotage=[None, partial(fail_at_iteration, 7, 'nan')])
    assert [run.wait() for run in runs] == [1, 1]
    assert re.search('iteration 7: l_g_rec is nan', runs[1].output())
    assert re.search('iteration 7: .*the last checkpoint is that of iteration 6', runs[0].output())


def test_signal_to_one_process_stops_all_after_the_same_iteration(tmp_path, undisturbed):
    folder = make_workplace(tmp_path)
    runs = start(folder, two(), sabotage=[partial(slow_down, 0.5)] * 2)
    runs[0].wait_for('iter:       2')
    runs[1].signal(signal.SIGTERM)
    assert [run.wait() for run in runs] == [143, 143]
    assert 'Stopped by SIGTERM after iteration' in runs[0].output()
    runs = start(folder, two(), '--auto_resume')
    assert [run.wait() for run in runs] == [0, 0], runs[0].output()
    assert_identical(result(folder), result(undisturbed))


def test_killed_and_resumed(tmp_path, undisturbed):
    folder = make_workplace(tmp_path)
    runs = start(folder, two(), sabotage=[partial(fail_at_iteration, 8, 'die'), None])
    assert [run.wait() for run in runs] == [-9, 1]
    runs = start(folder, two(), '--auto_resume')
    assert [run.wait() for run in runs] == [0, 0], runs[0].output()
    assert_identical(result(folder), result(undisturbed))


def test_processes_that_drift_apart_are_found_at_the_checkpoint(tmp_path):
    runs = start(make_workplace(tmp_path), two(), sabotage=[None, drift])
    assert [run.wait() for run in runs] == [1, 1]
    assert 'weights of processes [1] are not those of process 0' in runs[0].output()
    assert not list((tmp_path / 'experiments/run/training_states').iterdir())


def drift() -> None:
    """One weight moves by one bit."""
    from selfsr_plugin.stages import FlowDegradationModel

    original = FlowDegradationModel.optimize_parameters

    def step(self: Any, current_iter: int) -> None:
        original(self, current_iter)
        if current_iter == 2:
            weight = next(self.net_deg.parameters()).data.view(-1)
            weight[0] = torch.nextafter(weight[0], weight[0] + 1)

    FlowDegradationModel.optimize_parameters = step


def test_folder_in_use_is_refused_in_all_processes(tmp_path):
    folder = make_workplace(tmp_path)
    first = Run(folder, options(), sabotage=partial(stay_in_iteration, 2))
    first.wait_for('iter:       1')
    runs = start(folder, two())
    assert [run.wait() for run in runs] == [1, 1]
    assert 'is in use by another run' in runs[1].output()
    first.kill()


def test_four_processes_train_what_one_does(tmp_path):
    """In single precision, with Adam: within two steps of each other after eleven (exactly: test_distributed.py)."""
    folder, single = make_workplace(tmp_path / 'four'), make_workplace(tmp_path / 'one')
    runs = start(folder, two(), world_size=4)
    assert [run.wait() for run in runs] == [0] * 4, runs[0].output()
    complete(single, options(datasets__train__batch_size_per_gpu=4))
    four, one = (result(each)['net_g_latest.pth']['params'] for each in (folder, single))
    for key in one:
        torch.testing.assert_close(four[key], one[key], rtol=0, atol=2 * 0.003, msg=key)


@pytest.mark.skipif(importlib.util.find_spec('_selfsr_autoload') is None, reason='the start-up hook is not installed')
def test_torchrun_from_any_folder(tmp_path):
    """As the README has it; results land in the folder that the user stands in."""
    folder = make_workplace(tmp_path)
    opt = two()
    (folder / 'options.yml').write_text(yaml.safe_dump(opt))
    command = [
        sys.executable,
        '-m',
        'torch.distributed.run',
        '--nproc_per_node=2',
        f'--master_port={free_port()}',
        '-m',
        'basicsr.train',
        '-opt',
        'options.yml',
        '--launcher',
        'pytorch',
    ]
    done = subprocess.run(
        command, cwd=folder, env=dict(os.environ, OMP_NUM_THREADS='1'), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / 'experiments/run/models/net_g_latest.pth').exists()
    (folder / 'data/hr').rename(folder / 'data/gone')
    done = subprocess.run(
        command, cwd=folder, env=dict(os.environ, OMP_NUM_THREADS='1'), capture_output=True, text=True, timeout=600
    )
    # Each process says it; the first to end has torchrun end the others, which may be before they could.
    said = re.search(r'^error( \(process 1\))?: datasets\.train: .*data/hr', done.stderr, re.MULTILINE)
    assert done.returncode != 0 and said, done.stderr[-3000:]
