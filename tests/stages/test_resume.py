"""A run that is stopped and resumed ends with the same bits as one that was not."""

from pathlib import Path

import pytest
import torch
from model_kit import (
    assert_identical,
    both_stages_options,
    cyclegan_options,
    cyclegan_train,
    everything,
    loader,
    snapshot,
    stage1_options,
    stage1_train,
    stage2_options,
    stage2_train,
    start,
    train,
)

from selfsr_plugin.stages import FlowDegradationModel, SelfCondSRModel
from selfsr_plugin.engine.checkpoint import load_checkpoint
from selfsr_plugin.errors import UserError
from selfsr_plugin.run.resume import find_resume_state

TOTAL = 8
GROWTH = dict(
    grow_at=[3], fade_iter=2, ema_decay=0.9, net_d_reg_every=2, scheduler=dict(type='LinearDecayLR', decay_from=4)
)


def stage1(folder: Path):
    return stage1_options(folder)


def stage2(supervision: str, **changes):
    def make(folder: Path):
        opt = stage2_options(folder, supervision=supervision, **GROWTH, **changes)
        if supervision == 'pseudo':
            file = folder / 'deg.pth'
            if not file.exists():
                torch.save(dict(params=start(opt).net_deg.state_dict()), file)
            opt['path']['pretrain_network_deg'] = str(file)
        return opt

    return make


def both(folder: Path):
    return both_stages_options(
        folder,
        stage1_train(total_iter=2, scheduler=dict(type='LinearDecayLR', decay_from=1)),
        stage2_train(supervision='pseudo', **dict(GROWTH, grow_at=[2])),
    )


def cyclegan_and_stage2(folder: Path):
    first = cyclegan_train(total_iter=3, scheduler=None, model_type='CycleGANDegradationModel')
    return both_stages_options(folder, first, stage2_train(supervision='pseudo', **dict(GROWTH, grow_at=[2])))


def final(model):
    return everything(getattr(model, 'stage', model))


@pytest.mark.parametrize(
    'make, stops',
    [
        (stage1, (1, 4, 6)),
        (cyclegan_options, (1, 2, 5)),  # while the pool of 6 fills by 4, and after
        (cyclegan_and_stage2, (2, 3, 4)),
        (stage2('paired'), (2, 3, 4, 5, 7)),  # before, at and within the growth step and its fade, and after
        (stage2('unpaired'), (3,)),
        (stage2('pseudo', lq_noise=3.0), (4,)),
        (both, (1, 2, 3, 4, 5, 7)),  # in stage 1, at its end, and in stage 2
    ],
    ids=['stage1', 'cyclegan', 'cyclegan+stage2', 'paired', 'unpaired', 'pseudo', 'both'],
)
def test_resumed_run_is_bit_identical(tmp_path, make, stops):
    expected = final(train(start(make(tmp_path), seed_heads=False), range(1, TOTAL + 1), save_at=stops))
    for stop in stops:
        torch.manual_seed(stop)  # the random state of the process must not matter
        state = load_checkpoint(tmp_path / 'training_states' / f'{stop}.state')
        assert state['iter'] == stop
        model = start(make(tmp_path), seed_heads=False)
        model.resume_training(state)
        assert_identical(final(train(model, range(stop + 1, TOTAL + 1))), expected, f'stopped after {stop}')


def test_resumed_twice(tmp_path):
    expected = final(train(start(both(tmp_path), seed_heads=False), range(1, TOTAL + 1), save_at=[1]))
    first = start(both(tmp_path), seed_heads=False)
    first.resume_training(load_checkpoint(tmp_path / 'training_states/1.state'))
    train(first, range(2, 6), save_at=[5])
    second = start(both(tmp_path), seed_heads=False)
    second.resume_training(load_checkpoint(tmp_path / 'training_states/5.state'))
    assert_identical(final(train(second, range(6, TOTAL + 1))), expected)


def test_stage_of_the_state_decides(tmp_path):
    model = train(start(both(tmp_path), seed_heads=False), range(1, 4), save_at=[2, 3])
    for stop, stage in ((2, FlowDegradationModel), (3, SelfCondSRModel)):
        resumed = start(both(tmp_path), seed_heads=False)
        resumed.resume_training(load_checkpoint(tmp_path / 'training_states' / f'{stop}.state'))
        assert type(resumed.stage) is stage
    assert_identical(snapshot(resumed.stage.net_deg), snapshot(model.stage.net_deg))


def test_networks_are_written_before_the_state(tmp_path, monkeypatch):
    # A state on the disk always has its networks.
    from selfsr_plugin.engine import checkpoint

    names = []
    monkeypatch.setattr(checkpoint, 'save_checkpoint', lambda _, path: names.append(Path(path).name))
    train(start(stage1(tmp_path)), [1], save_at=[1])
    assert names == ['net_deg_1.pth', 'net_d_lq_1.pth', '1.state']


def test_missing_network_of_a_state_is_named(tmp_path):
    train(start(stage1(tmp_path)), [1], save_at=[1])
    (tmp_path / 'models' / 'net_d_lq_1.pth').unlink()
    with pytest.raises(FileNotFoundError, match='net_d_lq_1.pth'):
        start(stage1(tmp_path)).resume_training(load_checkpoint(tmp_path / 'training_states/1.state'))


def test_every_file_is_read_once(tmp_path, monkeypatch):
    train(start(stage1(tmp_path)), [1], save_at=[1])
    read, load = [], torch.load
    monkeypatch.setattr(
        torch, 'load', lambda path, **keywords: (read.append(Path(path).name), load(path, **keywords))[1]
    )
    state = find_resume_state(dict(stage1(tmp_path), auto_resume=True))
    start(stage1(tmp_path)).resume_training(state)
    assert sorted(read) == ['1.state', 'net_d_lq_1.pth', 'net_deg_1.pth']
    assert 'networks' not in state  # it lives as long as the run


def test_other_weights_of_the_degradation_network_are_refused(tmp_path):
    """It does not learn in stage 2 alone, so no network of the checkpoint holds them."""
    make = stage2('pseudo')
    train(start(make(tmp_path), seed_heads=False), [1], save_at=[1])
    other = load_checkpoint(tmp_path / 'deg.pth')
    other['params'] = {name: value + 1e-3 for name, value in other['params'].items()}
    torch.save(other, tmp_path / 'deg.pth')
    with pytest.raises(UserError, match='path.pretrain_network_deg: these are not the weights that this run was trai'):
        start(make(tmp_path), seed_heads=False).resume_training(load_checkpoint(tmp_path / 'training_states/1.state'))


def test_state_of_networks_with_other_parameters_is_refused(tmp_path):
    train(start(stage2('paired')(tmp_path)), [1], save_at=[1])
    state = load_checkpoint(tmp_path / 'training_states/1.state')
    state['optimizers'][0]['param_groups'][0]['params'].append(99)  # the biases that there were once
    with pytest.raises(UserError, match='the training state of iteration 1 is of networks with other parameters'):
        start(stage2('paired')(tmp_path)).resume_training(state)


def test_a_resumed_run_has_its_own_implementation_of_the_optimizer(tmp_path):
    """States of before were saved by one that was not fused."""
    train(start(stage1(tmp_path)), [1], save_at=[1])
    state = load_checkpoint(tmp_path / 'training_states/1.state')
    for optimizer in state['optimizers']:
        optimizer['param_groups'][0].pop('fused')
    model = start(stage1(tmp_path))
    model.resume_training(state)
    assert all(optimizer.param_groups[0]['fused'] for optimizer in model.optimizers)


def test_best_values_are_resumed(tmp_path):
    model = train(start(stage2('paired')(tmp_path)), [1])
    model.validation(loader(['gt', 'lq']), 1, None)
    model.save(0, 1)
    resumed = start(stage2('paired')(tmp_path))
    resumed.resume_training(load_checkpoint(tmp_path / 'training_states/1.state'))
    assert resumed.best_metric_results == model.best_metric_results


def test_a_state_never_lies_beside_networks_of_a_later_save(tmp_path, monkeypatch):
    """As where a run goes over iterations again and is killed between its networks and its state."""
    model = train(start(stage1(tmp_path)), [1], save_at=[1])
    monkeypatch.setattr(model, 'save_weights', lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train(model, [2]).save(0, 1)
    assert not list((tmp_path / 'training_states').iterdir())


def test_failed_save_raises(tmp_path, monkeypatch):
    model = train(start(stage1(tmp_path)), [1])
    monkeypatch.setattr(torch, 'save', lambda *_: (_ for _ in ()).throw(RuntimeError('disk full')))
    with pytest.raises(OSError, match='net_deg_1.pth.*disk full'):
        model.save(0, 1)
    assert not list((tmp_path / 'training_states').iterdir())
