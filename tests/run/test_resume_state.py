"""From which state a run goes on."""

from pathlib import Path

import pytest
import torch
from common_kit import refused
from run_kit import options, start, workplace  # noqa: F401  a fixture

from selfsr_plugin.errors import UserError
from selfsr_plugin.run.resume import find_resume_state


@pytest.fixture
def states(tmp_path):
    for iteration in (10, 20):
        torch.save(dict(iter=iteration, optimizers=[], schedulers=[]), tmp_path / f'{iteration}.state')
    return tmp_path


def found(states, auto_resume, named=None):
    path = dict(training_states=str(states), models=str(states), resume_state=named and str(states / named))
    state = find_resume_state(dict(path=path, auto_resume=auto_resume, rank=0))
    return state and state['iter']


def test_the_newest_of_the_run_wins_over_the_named_one(states):
    assert found(states, True, '10.state') == found(states, True) == 20
    assert found(states, False, '10.state') == 10
    assert found(states, False) is None


def test_the_named_one_serves_where_the_run_has_none(states, tmp_path):
    named = str(states / '10.state')
    opt = dict(
        path=dict(training_states=str(tmp_path / 'none'), models=str(states), resume_state=named),
        auto_resume=True,
        rank=0,
    )
    assert find_resume_state(opt)['iter'] == 10
    (states / '20.state').write_bytes(b'broken')
    (states / '10.state').rename(states / 'kept.state')
    assert found(states, True, 'kept.state') == 10  # none of its own is whole


def test_what_cannot_be_read_is_named(states):
    (states / '10.state').write_bytes(b'broken')
    with pytest.raises(UserError, match=r'path\.resume_state: .*10\.state'):
        found(states, False, '10.state')
    assert found(states, True) == 20
    (states / '20.state').write_bytes(b'broken')
    with pytest.raises(UserError, match='none of the 2 states'):
        found(states, True)


def test_a_state_of_another_run_is_told_from_one_that_is_broken(states):
    torch.save(dict(iter=10, optimizers=[], schedulers=[], weights=['net_g_10.pth']), states / '10.state')
    with pytest.raises(UserError, match=r'10\.state belongs with net_g_10\.pth, not found in .*give its name'):
        found(states, False, '10.state')


def test_a_run_that_is_past_its_end_is_not_relabelled(workplace, capsys):
    start(options())
    before = Path('experiments/tiny/models/net_g_latest.pth').read_bytes()
    message = refused(capsys, lambda _: start(options(train__total_iter=5, train__sr__total_iter=3), '--auto_resume'))
    assert 'train.total_iter' in message
    assert Path('experiments/tiny/models/net_g_latest.pth').read_bytes() == before
