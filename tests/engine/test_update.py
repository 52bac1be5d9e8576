"""What the engine does around a stage's losses: accumulation, buffers, frequencies, optimizers, warm-up, rehearsal."""

import sys
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'stages'))  # the models' kit
from model_kit import (
    ADAM,
    STAGE1_RATE,
    assert_identical,
    batch,
    both_stages_options,
    cyclegan_options,  # noqa: E402
    cyclegan_train,
    everything,
    snapshot,
    stage1_options,
    stage1_train,
    stage2_options,
    stage2_train,
    start,
    train,
)

from selfsr_plugin.engine.lr_scheduler import LinearDecayLR  # noqa: E402
from selfsr_plugin.engine.stage import digest, make_optimizer, move_average  # noqa: E402

SGD = dict(type='SGD', lr=0.01)


def sgd(labels):
    return {f'optim_{label}': dict(SGD) for label in labels}


@pytest.mark.parametrize(
    'make, changes',
    [
        (stage1_options, dict(sgd(('deg', 'd_lq')), r1_reg_weight=1)),
        (cyclegan_options, sgd(('deg', 'clean', 'd_lq', 'd_clean'))),
        (stage2_options, dict(sgd(('g', 'd')), supervision='pseudo', lq_noise=2.0, ema_decay=0.9)),
        (stage2_options, dict(sgd(('g', 'd')), supervision='unpaired', net_d_iters=2)),
    ],
    ids=['stage1', 'cyclegan', 'pseudo', 'unpaired'],
)
def test_a_batch_in_parts_is_the_batch(tmp_path, float64, make, changes):
    """Without minibatch statistics, which are those of a part; groups of the discriminator hold two samples."""
    whole = train(start(make(tmp_path, **changes)), range(1, 6))
    parts = train(start(make(tmp_path, accum_iter=2, **changes)), range(1, 6))
    for label in whole.trained:
        for name, value in getattr(whole, f'net_{label}').state_dict().items():
            torch.testing.assert_close(getattr(parts, f'net_{label}').state_dict()[name], value, rtol=1e-9, atol=1e-12)
    for name, value in whole.get_current_log().items():
        assert parts.get_current_log()[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


def test_parts_need_less_memory_than_the_batch(tmp_path):
    """What the forward pass sees is a part."""
    model, sizes = start(stage2_options(tmp_path, accum_iter=4)), []
    model.net_g.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    train(model, [1])
    assert sizes == [1] * 4


def test_networks_that_only_judge_get_no_gradients(tmp_path):
    """Of which the optimizer would make nothing, but which cost as much as those of the generator."""
    model, learns = start(stage2_options(tmp_path)), []
    model.net_d.register_forward_hook(lambda net, *_: learns.append({p.requires_grad for p in net.parameters()}))
    train(model, [1])
    assert learns[0] == {False} and True in learns[-1]  # not the layers of the other level


def test_generator_learns_in_every_nth_iteration(tmp_path):
    model = start(stage2_options(tmp_path, net_d_iters=2, net_d_init_iters=2))
    steps = {}
    for iteration in range(1, 7):
        before = {label: snapshot(getattr(model, f'net_{label}')) for label in ('g', 'd')}
        train(model, [iteration])
        steps[iteration] = ''.join(
            label
            for label in ('g', 'd')
            if any(
                not torch.equal(value, before[label][name])
                for name, value in getattr(model, f'net_{label}').state_dict().items()
            )
        )
    assert steps == {1: 'd', 2: 'd', 3: 'd', 4: 'gd', 5: 'd', 6: 'gd'}


@pytest.mark.parametrize(
    'settings',
    [
        dict(type='AdamW', lr=0.001, weight_decay=0.1),
        dict(type='RAdam', lr=0.001),
        dict(type='SGD', lr=0.01, momentum=0.9),
    ],
    ids=lambda s: s['type'],
)
def test_any_optimizer_of_torch(tmp_path, settings):
    model = start(stage2_options(tmp_path, optim_g=settings))
    assert type(model.optimizer_g) is getattr(torch.optim, settings['type'])
    before = snapshot(model.net_g)
    train(model, range(1, 3))
    assert any(not torch.equal(value, before[name]) for name, value in model.net_g.state_dict().items())


def test_steps_are_fused_for_optimizers_that_can_leave_one_out_on_the_device():
    """torch's fused SGD starts its momentum with what the memory holds when its first step is left out."""

    def is_fused(name, **settings):
        return bool(
            make_optimizer(dict(type=name, lr=0.1, **settings), [nn.Parameter(torch.ones(1))]).defaults['fused']
        )

    assert [is_fused(name) for name in ('Adam', 'AdamW', 'SGD')] == [True, True, False]
    assert not is_fused('Adam', foreach=True)


@pytest.mark.parametrize(
    'other', [dict(a=[1.0, 2.0], c=[0.0]), dict(a=[1.0, 2.0], b=[-0.0]), dict(a=[1.0], b=[2.0, 0.0])]
)
def test_checksums_of_weights_tell_names_and_bits_apart(other):
    weights = dict(a=torch.tensor([1.0, 2.0]), b=torch.tensor([0.0]))
    assert digest(weights) == digest({name: value.clone() for name, value in weights.items()})
    assert digest(weights) != digest({name: torch.tensor(value) for name, value in other.items()})


def test_linear_decay_is_constant_then_a_straight_line_and_0_after_its_end():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler, rates = LinearDecayLR(optimizer, total_iter=6, decay_from=2), []
    for _ in range(8):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([0.5, 0.5, 0.5, 0.375, 0.25, 0.125, 0, 0])


def test_a_phase_puts_the_networks_that_learn_into_training_mode(tmp_path):
    model = train(start(stage2_options(tmp_path)), [1])
    model.net_g.eval()
    model.updater.enter_phase({'g': [model.net_g]})
    assert model.net_g.training


@pytest.mark.parametrize(
    'scheduler, full',
    [
        (None, [1.0] * 8),
        (dict(type='MultiStepLR', milestones=[6], gamma=0.5), [1, 1, 1, 1, 1, 1, 0.5, 0.5]),
        (dict(type='LinearDecayLR', decay_from=4), [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]),
    ],
)
def test_warm_up_rises_to_the_full_rate(tmp_path, scheduler, full):
    model = start(stage2_options(tmp_path, warmup_iter=4, scheduler=scheduler))
    rates = []
    for iteration in range(1, 9):
        train(model, [iteration])
        rates.append(model.get_current_learning_rate()[0] / ADAM['lr'])
    assert rates == pytest.approx([0.25, 0.5, 0.75, *full[3:]])


def test_warm_up_in_both_stages_of_one_run(tmp_path):
    model = start(
        both_stages_options(
            tmp_path,
            stage1_train(total_iter=5, warmup_iter=4, scheduler=None),
            stage2_train(total_iter=4, warmup_iter=2, grow_at=[2]),
        )
    )
    rates = []
    for iteration in range(1, 10):
        train(model, [iteration])
        rates.append(model.get_current_learning_rate()[0])
    assert rates == pytest.approx(
        [STAGE1_RATE * share for share in (0.25, 0.5, 0.75, 1, 1)] + [ADAM['lr'] * share for share in (0.5, 1, 1, 1)]
    )


def test_warm_up_is_resumed(tmp_path):
    opt = stage2_options(tmp_path, warmup_iter=6, scheduler=dict(type='MultiStepLR', milestones=[7], gamma=0.5))
    through = train(start(deepcopy(opt)), range(1, 9))
    train(start(deepcopy(opt)), range(1, 4), save_at=[3])
    resumed = start(deepcopy(opt))
    resumed.resume_training(torch.load(tmp_path / 'training_states/3.state', weights_only=True))
    train(resumed, range(4, 9))
    assert_identical(everything(resumed), everything(through))


def with_buffers(folder):
    """With a discriminator of BasicSR, whose spectral normalisation writes its buffers in every forward pass."""
    opt = stage2_options(folder, labels=('g',), grow_at=[], r1_reg_weight=0)
    return dict(opt, network_d=dict(type='UNetDiscriminatorSN', num_in_ch=3, num_feat=2))


@pytest.mark.parametrize(
    'make, changes, iteration',
    [
        (stage1_options, dict(r1_reg_weight=1), 5),
        (cyclegan_options, {}, 5),
        (stage2_options, dict(supervision='pseudo', ema_decay=0.9, fade_iter=3), 4),
        (with_buffers, {}, 4),
    ],
    ids=['stage1', 'cyclegan', 'stage2', 'buffers'],
)
def test_rehearsal_leaves_no_trace(tmp_path, make, changes, iteration):
    plain, rehearsed = start(make(tmp_path, **changes)), start(make(tmp_path, **changes))
    random = torch.get_rng_state()
    for label in rehearsed.trained:  # as networks with dropout do
        getattr(rehearsed, f'net_{label}').register_forward_pre_hook(lambda *_: torch.rand(1) and None)
    rehearsed.rehearse(iteration, batch(77))
    assert torch.equal(torch.get_rng_state(), random)
    assert all(
        each.grad is None for label in rehearsed.trained for each in getattr(rehearsed, f'net_{label}').parameters()
    )
    train(plain, range(1, 3))
    train(rehearsed, range(1, 3))
    rehearsed.rehearse(iteration, batch(78))
    train(plain, range(3, 6))
    train(rehearsed, range(3, 6))
    assert_identical(everything(rehearsed), everything(plain))
    assert rehearsed.get_current_log() == plain.get_current_log()


def test_rehearsal_of_the_stage_that_comes_later(tmp_path):
    opt = both_stages_options(
        tmp_path,
        cyclegan_train(model_type='CycleGANDegradationModel', total_iter=2, scheduler=None),
        stage2_train(total_iter=4, supervision='pseudo', grow_at=[2]),
    )
    plain, rehearsed = start(deepcopy(opt)), start(deepcopy(opt))
    rehearsed.rehearse(6, batch(9))
    train(plain, range(1, 7))
    train(rehearsed, range(1, 7))
    assert_identical(everything(rehearsed.stage), everything(plain.stage))


def test_rehearsal_finds_a_network_that_does_not_fit_its_images(tmp_path):
    opt = stage2_options(tmp_path, labels=('g',), supervision='paired')
    model = start(opt)
    with pytest.raises((RuntimeError, ValueError)):
        model.rehearse(5, dict(gt=torch.rand(2, 3, 63, 63)))


def test_average_copies_buffers():
    net, average = (nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)) for _ in range(2))
    old = [parameter.detach().clone() for parameter in average.parameters()]
    net(torch.rand(4, 2, 5, 5))
    move_average(average, net, 0.75)
    for before, now, other in zip(old, average.parameters(), net.parameters()):
        torch.testing.assert_close(now.detach(), 0.75 * before + 0.25 * other.detach())
    assert torch.equal(average[1].running_mean, net[1].running_mean) and average[1].num_batches_tracked == 1
