"""Both stages in one run equal the two stages one after the other."""

from typing import Any

import pytest
from basicsr.utils import get_root_logger
from model_kit import (
    Recorder,
    assert_identical,
    batch,
    both_stages_options,
    everything,
    files_below,
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
from selfsr_plugin.engine.finite import NonFiniteError

STAGE1 = dict(total_iter=3, scheduler=dict(type='LinearDecayLR', decay_from=1))
STAGE2 = dict(
    total_iter=5,
    supervision='pseudo',
    grow_at=[2],
    fade_iter=2,
    ema_decay=0.9,
    net_d_reg_every=2,
    scheduler=dict(type='LinearDecayLR', decay_from=2),
)


def both(folder: Any) -> Any:
    return start(both_stages_options(folder, stage1_train(**STAGE1), stage2_train(**STAGE2)), seed_heads=False)


def test_a_fault_of_stage_2_is_told_by_its_iteration_of_the_whole_run(tmp_path):
    model, data = train(both(tmp_path), range(1, 5)), batch(5)
    data['gt'][0, 0, 0, 0] = float('nan')
    model.feed_data(data)
    model.optimize_parameters(5)
    with pytest.raises(NonFiniteError) as caught:
        model.get_current_log()
    assert caught.value.iteration == 5


def test_a_fault_in_the_last_iteration_of_stage_1_is_told_before_stage_2(tmp_path):
    model, data = train(both(tmp_path), range(1, 3)), batch(3)
    data['lq'][0, 0, 0, 0] = float('nan')
    model.feed_data(data)
    model.optimize_parameters(3)
    with pytest.raises(NonFiniteError) as caught:
        model.update_learning_rate(4)
    assert caught.value.iteration == 3 and files_below(tmp_path / 'models') == []


def test_equals_the_stages_run_separately(tmp_path):
    model = train(both(tmp_path / 'both'), range(1, 9))

    stage1 = train(start(stage1_options(tmp_path / 'one', **STAGE1), seed_heads=False), [1, 2, 3], save_at=[3])
    opt = stage2_options(tmp_path / 'two', **STAGE2)
    opt['path']['pretrain_network_deg'] = str(tmp_path / 'one/models/net_deg_3.pth')
    stage2 = start(opt, seed_heads=False)
    for i in range(1, 6):
        stage2.update_learning_rate(i, -1)
        stage2.feed_data(batch(3 + i))
        stage2.optimize_parameters(i)
    assert_identical(everything(model.stage), everything(stage2))
    assert model.get_current_log() == stage2.get_current_log()
    assert model.get_current_learning_rate() == stage2.get_current_learning_rate()
    # The degradation network that stage 2 used is on the disk, as stage 1 left it, and is not trained on.
    saved = dict(load_checkpoint(tmp_path / 'both/models/net_deg_3.pth')['params'])
    assert_identical(saved, snapshot(stage1.net_deg))
    assert_identical(saved, snapshot(model.stage.net_deg))


def test_stage_changes_after_the_last_iteration_of_stage_1(tmp_path):
    model = train(both(tmp_path), [1, 2, 3])
    assert isinstance(model.stage, FlowDegradationModel)
    train(model, [4])
    assert isinstance(model.stage, SelfCondSRModel) and model.get_current_log()['level'] == 1
    train(model, [5, 6])
    assert model.get_current_log()['level'] == 2 and model.get_current_log()['alpha'] == 0.5


def test_files_carry_the_iteration_of_the_whole_run(tmp_path):
    model = train(both(tmp_path), range(1, 9), save_at=[2, 6])
    model.save(-1, -1)
    assert files_below(tmp_path / 'models') == [
        'net_d_6.pth',
        'net_d_latest.pth',
        'net_d_lq_2.pth',
        'net_deg_2.pth',
        'net_deg_3.pth',
        'net_g_6.pth',
        'net_g_latest.pth',
    ]
    assert files_below(tmp_path / 'training_states') == ['2.state', '6.state']


@pytest.mark.parametrize(
    'iterations, drawn, figures',
    [
        ([1], 'hr', {'metrics/hr/intermediate_l1', 'metrics/hr/degraded_l1', 'metrics/hr/flow_px'}),
        ([1, 2, 3, 4], 'lr', set()),
    ],
)
def test_each_stage_validates_the_data_it_can_use(tmp_path, iterations, drawn, figures):
    model, writer = train(both(tmp_path), iterations), Recorder()
    model.validation(loader(['gt'], 'hr', 1), 9, writer, save_img=drawn == 'hr')
    model.validation(loader(['lq'], 'lr', 2), 9, writer, save_img=drawn == 'lr')
    assert len(files_below(tmp_path / 'visualization')) == dict(hr=1, lr=2)[drawn]
    assert set(writer.scalars) == figures


def test_a_state_of_stage_2_is_of_no_use_without_the_network_that_stage_1_left(tmp_path):
    model = train(both(tmp_path), [1, 2, 3])
    assert model.needed_weights == set()
    train(model, [4])
    assert model.needed_weights == {'net_deg_3.pth'}


def test_test_mode_is_stage_2(tmp_path):
    model = train(both(tmp_path), range(1, 9), save_at=[8])
    opt = dict(model.opt, is_train=False)
    opt['path']['pretrain_network_g'] = str(tmp_path / 'models/net_g_8.pth')
    tester = start(opt)
    assert_identical(snapshot(tester.stage.net_g), snapshot(model.stage.net_g_ema))


def test_another_loop_is_warned_of_once(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(get_root_logger(), 'warning', said.append)
    train(both(tmp_path), [1, 2, 3, 4])  # into stage 2
    assert len(said) == 1 and said[0].startswith('SelFSRModel is not trained by the loop of selfsr_plugin')
