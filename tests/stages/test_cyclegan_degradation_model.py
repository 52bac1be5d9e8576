"""Stage 1 by CycleGAN: its objective by hand, the alternation of the steps, the pool, validation."""

from copy import deepcopy

import cv2
import numpy as np
import pytest
import torch
from basicsr.utils import tensor2img
from basicsr.utils.matlab_functions import imresize
from model_kit import (
    Recorder,
    assert_identical,
    batch,
    both_stages_options,
    cyclegan_options,
    cyclegan_train,
    everything,
    files_below,
    loader,
    snapshot,
    stage1_options,
    stage2_train,
    start,
    train,
)

from selfsr_plugin.stages import CycleGANDegradationModel, SelfCondSRModel
from selfsr_plugin.engine.checkpoint import load_checkpoint

LABELS = ('deg', 'clean', 'd_lq', 'd_clean')


def clean_lr(gt: torch.Tensor) -> torch.Tensor:
    return torch.stack([imresize(face.float(), 0.25) for face in gt]).clamp(0, 1)


def spread_weights(model) -> None:
    """Weights that make grey into pictures; from their start at N(0, 0.02) all outputs are nearly grey."""
    for net in (model.net_deg, model.net_clean):
        net.to_rgb.weight.data *= 20


@pytest.mark.parametrize('identity', [True, False])
def test_losses_are_those_of_the_cyclegan_paper(tmp_path, identity):
    model = start(cyclegan_options(tmp_path, **({} if identity else dict(identity_opt=None))))
    spread_weights(model)
    deg, clean, d_lq, d_clean = (deepcopy(getattr(model, f'net_{label}')) for label in LABELS)
    train(model, [1])
    log = model.get_current_log()

    x, y = clean_lr(batch(1)['gt']), batch(1)['lq']  # X is clean, Y is real; G = deg, F = clean
    with torch.no_grad():
        expected = {
            'l_deg_adv': 0.5 * (d_lq(deg(x)) - 1).square().mean(),
            'l_clean_adv': 0.5 * (d_clean(clean(y)) - 1).square().mean(),
            'l_cyc_clean': 10 * (2 * (clean(deg(x)) - x)).abs().mean(),
            'l_cyc_lq': 10 * (2 * (deg(clean(y)) - y)).abs().mean(),
        }
        if identity:
            expected['l_idt_lq'] = 5 * (2 * (deg(y) - y)).abs().mean()
            expected['l_idt_clean'] = 5 * (2 * (clean(x) - x)).abs().mean()
        expected['l_d_lq_real'] = (d_lq(y) - 1).square().mean()
        expected['l_d_lq_fake'] = d_lq(deg(x)).square().mean()  # the pool is not yet full
        expected['l_d_clean_real'] = (d_clean(x) - 1).square().mean()
        expected['l_d_clean_fake'] = d_clean(clean(y)).square().mean()
        assert (deg(x) - clean(x)).abs().mean() > 0.05  # the two generators are not alike
    assert list(log) == list(expected)
    for name, value in expected.items():
        assert log[name] == pytest.approx(value.item(), rel=1e-3), name


def test_each_step_moves_its_own_network_by_its_own_loss(tmp_path, float64):
    model = start(cyclegan_options(tmp_path))
    spread_weights(model)
    mine = {label: deepcopy(getattr(model, f'net_{label}')) for label in LABELS}
    deg, clean, d_lq, d_clean = mine.values()
    train(model, [1])
    x, y = model.clean, batch(1)['lq']

    optimizers = {
        label: torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.0, 0.99), eps=1e-8) for label, net in mine.items()
    }
    degraded, cleaned = deg(x), clean(y)
    (
        0.5 * (d_lq(degraded) - 1).square().mean()
        + 0.5 * (d_clean(cleaned) - 1).square().mean()
        + 20 * ((clean(degraded) - x).abs().mean() + (deg(cleaned) - y).abs().mean())
        + 10 * ((deg(y) - y).abs().mean() + (clean(x) - x).abs().mean())
    ).backward()
    optimizers['deg'].step()
    optimizers['clean'].step()
    for label, net, real, fake in (('d_lq', d_lq, y, degraded), ('d_clean', d_clean, x, cleaned)):
        net.zero_grad(set_to_none=True)
        (0.5 * (net(real) - 1).square().mean() + 0.5 * net(fake.detach()).square().mean()).backward()
        optimizers[label].step()
    for label, net in mine.items():
        for (name, a), (_, b) in zip(net.named_parameters(), getattr(model, f'net_{label}').named_parameters()):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12, msg=f'{label}.{name}')


def test_discriminators_learn_from_the_pool_and_generators_from_their_own_images(tmp_path):
    model = start(cyclegan_options(tmp_path, pool_size=4))
    seen = {label: [] for label in ('d_lq', 'd_clean')}
    for label in seen:
        getattr(model, f'net_{label}').register_forward_hook(
            lambda _, inputs, __, label=label: seen[label].append(inputs[0].detach().clone())
        )
    made, given = dict(d_lq=[], d_clean=[]), dict(d_lq=[], d_clean=[])
    for i in range(1, 6):
        train(model, [i])
        for label in seen:
            for_generator, real, fake = seen[label][-3:]
            made[label] += list(for_generator)
            given[label] += list(fake)
            assert torch.equal(real, model.lq if label == 'd_lq' else model.clean)
    for label in seen:
        origin = [next(j for j, image in enumerate(made[label]) if torch.equal(image, each)) for each in given[label]]
        assert origin[:4] == [0, 1, 2, 3]
        late = [here - source for here, source in enumerate(origin) if source != here]
        assert 3 < len(late) < 13  # of 16, half on average
        assert max(late) > 3  # some from earlier batches
    assert origin != list(range(20))


def test_generators_step_before_discriminators(tmp_path, monkeypatch):
    model = start(cyclegan_options(tmp_path))
    order, at_step = [], {}
    for label in LABELS:
        optimizer = getattr(model, f'optimizer_{label}')

        def step(label=label, run=optimizer.step):
            order.append(label)
            at_step[label] = {other: snapshot(getattr(model, f'net_{other}')) for other in LABELS}
            if label in ('deg', 'clean'):
                assert all(
                    parameter.grad is None for d in (model.net_d_lq, model.net_d_clean) for parameter in d.parameters()
                )
            return run()

        monkeypatch.setattr(optimizer, 'step', step)
    before = {label: snapshot(getattr(model, f'net_{label}')) for label in LABELS}
    train(model, [1])
    assert order == list(LABELS)
    for label in ('d_lq', 'd_clean'):
        assert_identical(at_step['d_lq'][label], before[label])
    for label in ('deg', 'clean'):
        assert_identical(at_step['d_lq'][label], snapshot(getattr(model, f'net_{label}')))


def test_pool_is_in_the_training_state(tmp_path):
    model = train(start(cyclegan_options(tmp_path)), [1, 2], save_at=[2])
    saved = load_checkpoint(tmp_path / 'training_states/2.state')['extra']['pools']
    for label in ('d_lq', 'd_clean'):
        assert saved[label]['images'].shape == (6, 3, 16, 16)
        assert torch.equal(saved[label]['images'], model.pools[label].images)
    resumed = start(cyclegan_options(tmp_path))
    resumed.resume_training(load_checkpoint(tmp_path / 'training_states/2.state'))
    assert_identical(everything(resumed), everything(model))


def test_validation_draws_the_strip_and_reports_the_distances(tmp_path):
    model = start(cyclegan_options(tmp_path))
    spread_weights(model)
    writer, faces = Recorder(), loader(['gt'])
    model.validation(faces, 7, writer, save_img=True)
    assert files_below(tmp_path / 'visualization') == ['face0/face0_7.png', 'face1/face1_7.png']
    found = []
    with torch.no_grad():
        for sample in faces:
            clean = clean_lr(sample['gt'])
            degraded = model.net_deg(clean)
            again = model.net_clean(degraded)
            found.append([(degraded - clean).abs().mean().item(), (again - clean).abs().mean().item()])
    expected = np.array(found).mean(0)
    assert writer.scalars == pytest.approx(
        {'metrics/faces/degraded_l1': expected[0], 'metrics/faces/cycle_l1': expected[1]}, rel=1e-3
    )
    strip = cv2.imread(str(tmp_path / 'visualization/face1/face1_7.png'))
    assert strip.shape == (16, 48, 3)
    for place, image in enumerate((clean, degraded, again)):
        assert np.abs(strip[:, 16 * place : 16 * place + 16].astype(int) - tensor2img(image)).max() <= 1
    assert model.net_deg.training and model.net_clean.training


@pytest.mark.parametrize('is_train', [True, False])
@pytest.mark.parametrize('options, labels', [(stage1_options, ['deg']), (cyclegan_options, ['deg', 'clean'])])
def test_networks_are_validated_in_eval_mode_and_go_on_in_their_own(tmp_path, options, labels, is_train):
    """Foreign ones may have layers that know the difference."""
    opt, modes = dict(options(tmp_path), is_train=is_train), []
    if not is_train:
        del opt['train']
    model = start(opt)
    nets = [getattr(model, f'net_{label}') for label in labels]
    before = [net.training for net in nets]
    for net in nets:
        net.register_forward_hook(lambda net, *_: modes.append(net.training))
    model.evaluate(next(iter(loader(['gt']))))
    assert modes == [False] * len(nets)
    assert [net.training for net in nets] == before


def test_stage_2_learns_from_its_network(tmp_path):
    stage1 = cyclegan_train(total_iter=2, model_type='CycleGANDegradationModel', scheduler=None)
    model = start(both_stages_options(tmp_path, stage1, stage2_train(supervision='pseudo')), seed_heads=False)
    train(model, [1, 2])
    assert type(model.stage) is CycleGANDegradationModel
    net_deg = deepcopy(model.stage.net_deg)
    seen = []
    train(model, [3])
    assert type(model.stage) is SelfCondSRModel
    model.stage.net_g.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    train(model, [4])
    with torch.no_grad():
        torch.testing.assert_close(seen[0], net_deg(clean_lr(batch(4)['gt'])), rtol=0, atol=1e-5)
    assert_identical(dict(load_checkpoint(tmp_path / 'models/net_deg_2.pth')['params']), snapshot(net_deg))


def test_test_mode_needs_the_generators_only(tmp_path):
    model = train(start(cyclegan_options(tmp_path)), [1], save_at=[1])
    opt = dict(model.opt, is_train=False)
    for label in ('deg', 'clean'):
        opt['path'][f'pretrain_network_{label}'] = str(tmp_path / f'models/net_{label}_1.pth')
    del opt['network_d_lq'], opt['network_d_clean'], opt['train']
    tester = start(opt)
    tester.validation(loader(['gt']), 'test', None, save_img=True)
    assert_identical(snapshot(tester.net_deg), snapshot(model.net_deg))
    assert files_below(tmp_path / 'visualization') == ['faces/face0_test.png', 'faces/face1_test.png']
