"""Signals, failing disks, broken files, dying workers: the run says what happened and nothing is lost."""

import os
import re
import shutil
import signal
import subprocess
import time
import zipfile
from functools import partial
from pathlib import Path

import pytest
import torch
from fault_kit import (
    Run,
    assert_identical,
    clock_goes_backwards,
    complete,
    data_set_raises,
    fail_at_iteration,
    file_size_limit,
    kill_a_worker_at_iteration,
    make_workplace,
    options,
    refused,
    result,
    slow_down,
    stay_in_iteration,
)


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    folder = make_workplace(tmp_path_factory.mktemp('undisturbed'))
    complete(folder, options())
    return folder


@pytest.fixture(scope='module')
def expected(undisturbed):
    return result(undisturbed)


@pytest.fixture
def workplace(tmp_path):
    return make_workplace(tmp_path)


def states(folder: Path):
    return sorted(int(path.stem) for path in (folder / 'experiments/run/training_states').glob('*.state'))


# ----- signals -----


@pytest.mark.parametrize(
    'number, workers', [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGTERM, 2), (signal.SIGINT, 2)]
)
def test_signal_ends_the_run_after_a_saved_iteration(workplace, expected, number, workers):
    opt = options(logger__save_checkpoint_freq=100, datasets__train__num_worker_per_gpu=workers)
    run = Run(workplace, opt, sabotage=partial(slow_down, 0.5))
    run.wait_for('iter:       2')
    os.killpg(run.process.pid, number)  # as the terminal and job schedulers do: workers get it too
    assert run.wait() == 128 + number, run.output()
    assert f'Stopped by {number.name} after iteration' in run.output() and '--auto_resume' in run.output()
    assert 'Traceback' not in run.output()
    (saved,) = states(workplace)
    assert f'after iteration {saved} of 11' in run.output() and saved < 11
    complete(workplace, options(), '--auto_resume')
    assert_identical(result(workplace), expected)


def test_second_ctrl_c_interrupts_at_once(workplace):
    run = Run(workplace, options(), sabotage=partial(slow_down, 60))
    run.wait_for('slow step')
    run.signal(signal.SIGINT)
    time.sleep(2.2)
    run.signal(signal.SIGINT)
    assert run.wait() == 130
    assert run.output().splitlines()[-1].startswith('error: interrupted')


# ----- disks -----


def mount_tmpfs(folder: Path, size: str) -> None:
    folder.mkdir()
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip('needs the right to mount a tmpfs')


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / 'disk'
    mount_tmpfs(folder, '700k')
    yield make_workplace(folder)
    subprocess.run(['umount', '-l', str(folder)], check=True)


def test_full_disk_keeps_the_checkpoints_before(small_disk, expected):
    message = refused(small_disk, options())
    assert 'experiments/run' in message and 'No space left' in message
    saved = states(small_disk)
    assert saved and 11 not in saved
    assert not [path for path in small_disk.rglob('.*.pth.*')]  # half-written files do not fill the disk up
    subprocess.run(['mount', '-o', 'remount,size=10M', str(small_disk)], check=True)
    complete(small_disk, options(), '--auto_resume')
    assert_identical(result(small_disk), expected)


def test_file_too_large_for_the_quota(workplace, expected):
    opt = options()
    message = refused(workplace, opt, sabotage=partial(file_size_limit, 40_000))
    assert re.search(r'cannot write the checkpoint \S*experiments/run/(models|training_states)/\S+', message)
    complete(workplace, opt, '--auto_resume')
    assert_identical(result(workplace), expected)


def test_read_only_disk_is_refused_before_training(small_disk):
    inner = small_disk / 'experiments'
    inner.mkdir()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'ro', 'tmpfs', str(inner)], check=True)
    try:
        message = refused(small_disk, options())
        assert 'experiments/run cannot be used (Read-only file system)' in message
    finally:
        subprocess.run(['umount', '-l', str(inner)], check=True)


# ----- broken checkpoints -----


def damage_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_bit(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:  # in the middle of its longest record: between records nothing is read
        longest = max(archive.infolist(), key=lambda each: each.file_size)
        content = archive.read(longest)
    data = bytearray(path.read_bytes())
    data[data.index(content) + len(content) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize(
    'damage',
    [damage_half, damage_bit, lambda path: path.write_bytes(b''), Path.unlink],
    ids=['truncated', 'bit flipped', 'empty', 'missing'],
)
@pytest.mark.parametrize('victim', ['training_states/10.state', 'models/net_g_10.pth', 'models/net_d_10.pth'])
def test_broken_newest_checkpoint_is_passed_over(undisturbed, expected, workplace, victim, damage):
    shutil.copytree(undisturbed / 'experiments', workplace / 'experiments')
    damage(workplace / 'experiments/run' / victim)
    run = complete(workplace, options(), '--auto_resume')
    if not (victim.endswith('.state') and damage is Path.unlink):  # then there is nothing to skip
        assert 'Skipped the state of iteration 10' in run.output()
    assert 'Resumed after iteration 8' in run.output()
    assert_identical(result(workplace), expected)


def test_a_complete_run_tries_nothing(workplace):
    opt = options(logger__save_checkpoint_freq=11)  # iterations, as many as there are
    complete(workplace, opt)
    before = result(workplace)
    run = complete(workplace, opt, '--auto_resume')
    assert 'Resumed after iteration 11' in run.output() and 'an iteration' not in run.output()
    assert_identical(result(workplace), before)


def test_weights_of_stage_1_belong_to_the_checkpoints_of_stage_2(undisturbed, expected, workplace):
    shutil.copytree(undisturbed / 'experiments', workplace / 'experiments')
    damage_bit(workplace / 'experiments/run/models/net_deg_4.pth')
    run = complete(workplace, options(), '--auto_resume')
    assert 'Resumed after iteration 2' in run.output()
    assert_identical(result(workplace), expected)


def test_no_checkpoint_can_be_read(undisturbed, workplace):
    shutil.copytree(undisturbed / 'experiments', workplace / 'experiments')
    for path in (workplace / 'experiments/run/training_states').iterdir():
        path.write_bytes(b'')
    message = refused(workplace, options(), '--auto_resume')
    assert 'none of the 5 states' in message and 'leave --auto_resume out' in message
    assert not list((workplace / 'experiments').glob('*archived*'))


def test_every_flipped_bit_is_found(undisturbed, capsys):
    """Bits all over a state: each is refused, or leaves the values as they were."""
    from selfsr_plugin.engine.checkpoint import load_checkpoint

    original = undisturbed / 'experiments/run/models/net_g_10.pth'
    data, good = original.read_bytes(), torch.load(original, weights_only=True)
    copy = undisturbed / 'flipped.pth'
    bits, refusals = range(3, len(data) * 8, max(1, len(data) * 8 // 600)), 0
    for bit in bits:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        copy.write_bytes(flipped)
        try:
            found = load_checkpoint(copy)
        except ValueError as error:
            assert str(copy) in str(error)
            refusals += 1
            continue
        assert_identical(found, good, f'bit {bit}')
    assert refusals > 400
    with capsys.disabled():
        print(f' [{len(bits)} flipped bits in a checkpoint: {refusals} refused, the others without effect]', end='')


def test_old_checkpoints_are_removed_but_not_what_the_new_ones_need(workplace, expected):
    complete(workplace, options(logger__keep_checkpoints=2))
    assert states(workplace) == [8, 10]
    models = {path.name for path in (workplace / 'experiments/run/models').iterdir()}
    assert models == {'net_deg_4.pth', *(f'net_{label}_{when}.pth' for label in 'gd' for when in (8, 10, 'latest'))}
    (workplace / 'experiments/run/training_states/10.state').unlink()
    complete(workplace, options(logger__keep_checkpoints=2), '--auto_resume')
    assert_identical(result(workplace), expected)


# ----- other options, other runs -----


@pytest.mark.parametrize(
    'changes, key',
    [
        (dict(network_g__widths=[8, 4]), r'network_g\.widths \(\[6, 4\] -> \[8, 4\]\)'),
        (dict(train__sr__grow_at=[3]), r'train\.sr\.grow_at \(\[2\] -> \[3\]\)'),
        (dict(train__sr__optim_g__lr=0.001), r'train\.sr\.optim_g\.lr \(0\.003 -> 0\.001\)'),
        (dict(datasets__train__batch_size_per_gpu=3), r'batch_size_per_gpu x processes \(2 -> 3\)'),
        (dict(manual_seed=7), r'manual_seed \(0 -> 7\)'),
        (dict(train__sr__scheduler=None), r'train\.sr\.scheduler'),
    ],
)
def test_checkpoint_of_other_options_is_refused(undisturbed, workplace, changes, key):
    shutil.copytree(undisturbed / 'experiments', workplace / 'experiments')
    before = sorted(path.stat().st_mtime_ns for path in (workplace / 'experiments').rglob('*.pth'))
    message = refused(workplace, options(**changes), '--auto_resume')
    assert re.search(key, message), message
    assert before == sorted(path.stat().st_mtime_ns for path in (workplace / 'experiments').rglob('*.pth'))


def test_what_may_change_on_resuming(undisturbed, workplace):
    """Where the data lie, how it is read, logged and validated; and a constant rate lets a run be made longer."""
    opt = options(train__sr__scheduler=None)
    complete(workplace, opt)
    shutil.move(workplace / 'data', workplace / 'moved')
    opt = options(
        train__sr__scheduler=None,
        train__total_iter=13,
        train__sr__total_iter=9,
        datasets__train__dataroot_gt='moved/hr',
        datasets__train__dataroot_lq='moved/lr',
        datasets__val__dataroot_gt='moved/test_hr',
        datasets__train__num_worker_per_gpu=1,
        logger__print_freq=3,
        val__val_freq=13,
    )
    run = complete(workplace, opt, '--auto_resume')
    assert 'Resumed after iteration 10' in run.output() and states(workplace)[-1] == 12


def test_drawn_seed_is_kept_when_resuming(workplace):
    opt = options(manual_seed=None)
    complete(workplace, opt)
    first = result(workplace)
    for path in (workplace / 'experiments/run/training_states').iterdir():
        if int(path.stem) > 6:
            path.unlink()
    complete(workplace, opt, '--auto_resume')
    assert_identical(result(workplace), first)
    complete(workplace, opt)  # a new run draws a new one
    assert not torch.equal(
        first['net_g_latest.pth']['params']['stem.weight'],
        result(workplace)['net_g_latest.pth']['params']['stem.weight'],
    )


def test_second_run_in_the_same_folder_is_refused(workplace, expected):
    first = Run(workplace, options(), sabotage=partial(stay_in_iteration, 3))
    first.wait_for('iter:       2')
    second = Run(workplace, options(), '--auto_resume')
    second.log = workplace / 'output0.txt'
    assert second.wait() == 1
    (workplace / 'go_on').touch()
    assert first.wait() == 0
    assert 'is in use by another run' in first.output()  # both write to one log here
    assert_identical(result(workplace), expected)
    complete(workplace, options(), '--auto_resume')  # the lock went with the process


# ----- data -----


@pytest.mark.parametrize('iteration', [2, 8])
def test_killed_worker_is_replaced(workplace, expected, iteration):
    opt = options(datasets__train__num_worker_per_gpu=2)
    run = complete(workplace, opt, sabotage=partial(kill_a_worker_at_iteration, iteration))
    assert 'A worker process died before iteration' in run.output()
    assert_identical(result(workplace), expected)


def test_data_set_with_a_bug_loses_nothing(workplace, expected):
    opt = options(logger__save_checkpoint_freq=100)
    run = Run(workplace, opt, sabotage=partial(data_set_raises, 11))  # one more is read before, for the size of a batch
    assert run.wait() == 1
    assert 'KeyError' in run.output() and 'a bug in the data set' in run.output()
    assert states(workplace) == [5]
    complete(workplace, options(), '--auto_resume')
    assert_identical(result(workplace), expected)


def test_clock_going_backwards(workplace, expected):
    complete(workplace, options(), sabotage=clock_goes_backwards)
    assert_identical(result(workplace), expected)
    complete(workplace, options(), sabotage=clock_goes_backwards)  # archives the first, at an earlier time
    assert len(list((workplace / 'experiments').glob('run_archived_*'))) == 1


# ----- numbers -----


def test_nan_stops_the_run_and_names_the_loss(workplace):
    message = refused(workplace, options(), sabotage=partial(fail_at_iteration, 7, 'nan'))
    assert re.search(r'iteration 7: l_g_rec is nan\. .*the last checkpoint is that of iteration 6', message)
    assert states(workplace) == [2, 4, 6]


def test_nan_is_skipped_and_counted(workplace):
    opt = options(train__sr__nonfinite='skip')
    run = complete(workplace, opt, sabotage=partial(fail_at_iteration, 7, 'nan'))
    assert 'step of network_g is skipped, 1 so far' in run.output() and 'skipped_steps: 2' in run.output()
    weights = result(workplace)['net_g_latest.pth']
    assert all(value.isfinite().all() for key in ('params', 'params_ema') for value in weights[key].values())
