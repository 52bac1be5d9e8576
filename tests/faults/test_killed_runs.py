"""A run killed at any moment and resumed ends with the bits of one that was never killed."""

import os
import random
import time
from functools import partial

import pytest
from fault_kit import (
    Run,
    assert_identical,
    complete,
    die_at_call,
    die_half_way_through_writing,
    make_workplace,
    options,
    result,
)

# How many kills each model must survive; more with SELFSR_FAULT_KILLS=1000.
KILLS = int(os.environ.get('SELFSR_FAULT_KILLS', '12'))
MODELS = ['FlowDegradationModel', 'CycleGANDegradationModel', 'SelfCondSRModel', 'SelFSRModel']


@pytest.fixture(scope='module')
def never_killed(tmp_path_factory):
    """For each model: its options, what the undisturbed run leaves, and how long it takes."""
    found = {}
    for model in MODELS:
        folder = make_workplace(tmp_path_factory.mktemp(model))
        opt = options(model)
        complete(folder, opt)  # the first run also warms the file cache
        started = time.monotonic()
        complete(folder, opt)
        found[model] = opt, result(folder), time.monotonic() - started
    return found


@pytest.mark.parametrize('model', MODELS)
def test_kills_at_random_times(never_killed, tmp_path, model, record_property, capsys):
    opt, expected, duration = never_killed[model]
    rng, kills, trials = random.Random(f'{model} {KILLS}'), 0, 0
    while kills < KILLS:
        folder = make_workplace(tmp_path / str(trials))
        trials += 1
        for _ in range(6):  # then the run may end
            opt['datasets']['train']['num_worker_per_gpu'] = rng.choice([0, 0, 1, 2])
            run = Run(folder, opt, '--auto_resume')
            run.process.join(rng.uniform(0, 1.1 * duration))
            if run.process.exitcode is not None:
                assert run.process.exitcode == 0, run.output()
                break
            run.kill()
            kills += 1
        complete(folder, opt, '--auto_resume')
        assert_identical(result(folder), expected, f'{model}, trial {trials}')
    record_property('kills_survived', kills)
    with capsys.disabled():
        print(f' [{model}: {kills} kills in {trials} runs survived]', end='')


STEP = 'torch.optim:Adam.step'
SAVE = 'selfsr_plugin.engine.checkpoint:save_checkpoint'
# Its phases are entered 8 times before the first iteration.
MODEL = 'selfsr_plugin.stages.selfcond_sr_model:SelfCondSRModel'


@pytest.mark.parametrize(
    'sabotage',
    [
        pytest.param(partial(die_at_call, STEP, 5, after=True), id='between the steps of G and D'),
        pytest.param(partial(die_at_call, STEP, 8), id='before the step of D'),
        pytest.param(partial(die_at_call, SAVE, 1), id='before anything is saved'),
        pytest.param(partial(die_at_call, SAVE, 4, after=True), id='one network saved, the other not'),
        pytest.param(partial(die_at_call, SAVE, 6), id='networks saved, the state not'),
        pytest.param(partial(die_at_call, SAVE, 6, after=True), id='right after a checkpoint'),
        pytest.param(partial(die_half_way_through_writing, 2), id='half a network written'),
        pytest.param(partial(die_half_way_through_writing, 6), id='half a state written'),
        pytest.param(partial(die_at_call, 'os:replace', 5), id='written, not renamed'),
        pytest.param(partial(die_at_call, 'os:fsync', 7), id='written, not synced'),
        pytest.param(partial(die_at_call, 'selfsr_plugin.engine.validation:calculate_metric', 3), id='in validation'),
        pytest.param(partial(die_at_call, MODEL + '.__init__', 2), id='between the stages, before stage 2 is built'),
        pytest.param(
            partial(die_at_call, MODEL + '.__init__', 2, after=True), id='between the stages, after stage 2 is built'
        ),
        pytest.param(partial(die_at_call, MODEL + '._enter_phase', 11), id='at the growth step'),
        pytest.param(partial(die_at_call, MODEL + '._enter_phase', 12, after=True), id='right after growing'),
        pytest.param(
            partial(die_at_call, 'selfsr_plugin.engine.stage:move_average', 5), id='before the moving average'
        ),
        pytest.param(
            partial(die_at_call, 'selfsr_plugin.engine.checkpoint:Path.unlink', 3),
            id='while old checkpoints are removed',
        ),
        pytest.param(
            partial(die_at_call, 'selfsr_plugin.run.training:copy_option_file', 1), id='before the first iteration'
        ),
    ],
)
def test_kill_at_a_chosen_moment(never_killed, tmp_path, sabotage):
    opt, expected, _ = never_killed['SelFSRModel']
    opt = dict(opt, logger=dict(opt['logger'], keep_checkpoints=2))
    folder = make_workplace(tmp_path)
    run = Run(folder, opt, '--auto_resume', sabotage=sabotage)
    assert run.wait() == -9, f'the moment did not come:\n{run.output()}'
    complete(folder, opt, '--auto_resume')
    assert_identical(result(folder), expected)
    litter = [path for path in (folder / 'experiments/run').rglob('.*') if path.is_file()]
    assert len(litter) <= 1  # the file that was being written; a killed process cannot clean up


def test_kill_after_the_last_checkpoint_before_the_end(never_killed, tmp_path):
    """What is written at the end of a run is written by the resumed one too."""
    opt, expected, _ = never_killed['SelFSRModel']
    opt = dict(opt, logger=dict(opt['logger'], save_checkpoint_freq=11))
    folder = make_workplace(tmp_path)
    run = Run(folder, opt, sabotage=partial(die_at_call, SAVE, 4))  # net_deg of stage 1, net_g, net_d, then the state
    assert run.wait() == -9
    complete(folder, opt, '--auto_resume')
    run = Run(make_workplace(tmp_path / 'b'), opt, sabotage=partial(die_at_call, SAVE, 5))
    assert run.wait() == -9
    complete(tmp_path / 'b', opt, '--auto_resume')
    for finished in (folder, tmp_path / 'b'):
        found = result(finished)
        for name in ('net_g_latest.pth', 'net_d_latest.pth'):
            assert_identical(found[name], expected[name])
