"""Stage 1: Eqs. 2 to 5 by hand, the alternation of the two steps, validation."""

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
    everything,
    files_below,
    loader,
    snapshot,
    stage1_options,
    start,
    train,
)
from torch.nn import functional as F

from selfsr_plugin.stages.flow_degradation_model import draw_flow


def clean_lr(gt: torch.Tensor) -> torch.Tensor:
    return torch.stack([imresize(face.float(), 0.25) for face in gt]).clamp(0, 1)


def test_losses_are_equations_2_to_4(tmp_path):
    model = start(stage1_options(tmp_path))
    net_deg, net_d = deepcopy(model.net_deg), deepcopy(model.net_d_lq)
    train(model, [1])
    log, data = model.get_current_log(), batch(1)

    clean = clean_lr(data['gt'])
    with torch.no_grad():
        degraded, intermediate, flow = net_deg(clean, return_parts=True)
        real, fake = net_d(data['lq']), net_d(degraded)
    expected = {
        'l_deg_adv': 0.5 * F.softplus(-fake).mean(),
        'l_deg_idt': 10 * (2 * (intermediate - clean)).abs().mean(),
        'l_deg_tv': 3
        * ((flow[..., 1:] - flow[..., :-1]).abs().mean() + (flow[..., 1:, :] - flow[..., :-1, :]).abs().mean()),
        'l_d_lq_real': F.softplus(-real).mean(),
        'l_d_lq_fake': F.softplus(fake).mean(),
        'flow_px': flow.abs().mean(),
    }
    assert list(log) == list(expected)
    for name, value in expected.items():
        assert log[name] == pytest.approx(value.item(), rel=1e-4), name
    assert expected['l_deg_idt'] > 0.1 and expected['l_deg_tv'] > 0.1  # nothing is compared at zero


@pytest.mark.parametrize('gamma', [0, 6])
def test_each_step_moves_its_own_network_by_its_own_loss(tmp_path, float64, gamma):
    model = start(stage1_options(tmp_path, r1_reg_weight=gamma))
    net_deg, net_d = deepcopy(model.net_deg), deepcopy(model.net_d_lq)
    train(model, [1])
    data = batch(1)
    clean = model.clean

    def adam_step(net, loss):
        optimizer = torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.0, 0.99), eps=1e-8)
        net.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    parts = net_deg(clean, return_parts=True)
    tv = parts.flow.diff(dim=3).abs().mean() + parts.flow.diff(dim=2).abs().mean()
    # Eq. 5 with the weights of the fixture.
    adam_step(
        net_deg,
        0.5 * F.softplus(-net_d(parts.degraded)).mean() + 20 * (parts.intermediate - clean).abs().mean() + 3 * tv,
    )
    signed = (data['lq'] * 2 - 1).requires_grad_()  # Eq. 9 counts in [-1, 1]
    real = net_d((signed + 1) / 2)
    (slope,) = torch.autograd.grad(real.sum(), signed, create_graph=True)
    r1 = gamma / 2 * slope.flatten(1).norm(dim=1).square().mean()
    assert r1 > 1e-3 or gamma == 0
    adam_step(net_d, F.softplus(-real).mean() + F.softplus(net_d(parts.degraded.detach())).mean() + r1)
    for mine, theirs in ((net_deg, model.net_deg), (net_d, model.net_d_lq)):
        for (name, a), (_, b) in zip(mine.named_parameters(), theirs.named_parameters()):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12, msg=name)


def test_steps_alternate(tmp_path, monkeypatch):
    model = start(stage1_options(tmp_path))
    at_step = {}
    for label in ('deg', 'd_lq'):
        optimizer = getattr(model, f'optimizer_{label}')

        def step(label=label, run=optimizer.step):
            at_step[label] = {other: snapshot(getattr(model, f'net_{other}')) for other in ('deg', 'd_lq')}
            if label == 'deg':
                assert all(parameter.grad is None for parameter in model.net_d_lq.parameters())
            return run()

        monkeypatch.setattr(optimizer, 'step', step)
    before = {label: snapshot(getattr(model, f'net_{label}')) for label in ('deg', 'd_lq')}
    train(model, [1])
    assert list(at_step) == ['deg', 'd_lq']
    assert_identical(at_step['d_lq']['d_lq'], before['d_lq'])  # D untouched by G's step
    assert_identical(at_step['d_lq']['deg'], snapshot(model.net_deg))  # G untouched by D's step
    assert not torch.equal(model.net_deg.stem.weight, before['deg']['stem.weight'])
    assert not torch.equal(model.net_d_lq.conv1.weight, before['d_lq']['conv1.weight'])


def test_clean_faces_are_clamped_as_stored_images_are(tmp_path):
    model = start(stage1_options(tmp_path))
    checks = torch.zeros(1, 3, 64, 64)
    checks[..., :32] = 1
    model.feed_data(dict(gt=checks))
    assert model.clean.min() == 0 and model.clean.max() == 1
    torch.testing.assert_close(model.clean, clean_lr(checks), rtol=0, atol=1e-5)


def test_learning_rate_is_constant_and_then_falls_in_a_straight_line(tmp_path):
    model = start(stage1_options(tmp_path))  # 8 iterations, decay from 4
    rates = []
    for i in range(1, 9):
        train(model, [i])
        assert model.get_current_learning_rate() == [model.optimizer_d_lq.param_groups[0]['lr']]
        rates.append(model.get_current_learning_rate()[0] / 2e-4)
    assert rates == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    model.update_learning_rate(9, -1)
    assert model.get_current_learning_rate() == [0]


def test_networks_start_from_the_seed_and_their_label_alone(tmp_path):
    torch.manual_seed(1)
    first = start(stage1_options(tmp_path), seed_heads=False)
    torch.manual_seed(2)
    torch.rand(7)
    state = torch.get_rng_state()
    second = start(stage1_options(tmp_path), seed_heads=False)
    assert torch.equal(torch.get_rng_state(), state), 'building a model changed the random state of the run'
    assert_identical(everything(first), everything(second))
    other = start(dict(stage1_options(tmp_path), manual_seed=6), seed_heads=False)
    assert not torch.equal(other.net_deg.stem.weight, first.net_deg.stem.weight)


def test_validation_draws_the_strip_and_reports_the_motion(tmp_path):
    model = start(stage1_options(tmp_path))
    writer, faces = Recorder(), loader(['gt'])
    model.validation(faces, 7, writer, save_img=True)
    assert files_below(tmp_path / 'visualization') == ['face0/face0_7.png', 'face1/face1_7.png']

    with torch.no_grad():
        found = []
        for sample in faces:
            clean = clean_lr(sample['gt'])
            parts = model.net_deg(clean, return_parts=True)
            found.append(
                [
                    (parts.intermediate - clean).abs().mean(),
                    (parts.degraded - clean).abs().mean(),
                    parts.flow.abs().mean(),
                ]
            )
    expected = np.array(found).mean(0)
    names = [f'metrics/faces/{name}' for name in ('intermediate_l1', 'degraded_l1', 'flow_px')]
    assert set(writer.scalars) == set(names)
    assert [writer.scalars[name] for name in names] == pytest.approx(expected.tolist(), rel=1e-3)

    strip = cv2.imread(str(tmp_path / 'visualization/face1/face1_7.png'))
    assert strip.shape == (16, 64, 3)
    for place, image in ((0, clean), (1, parts.intermediate), (3, parts.degraded)):
        assert np.abs(strip[:, 16 * place : 16 * place + 16].astype(int) - tensor2img(image)).max() <= 1
    assert model.net_deg.training


def test_validation_skips_data_without_hr_faces(tmp_path):
    model, writer = start(stage1_options(tmp_path)), Recorder()
    model.validation(loader(['lq']), 7, writer, save_img=True)
    assert not files_below(tmp_path / 'visualization') and not writer.scalars


def test_validation_does_not_touch_training(tmp_path):
    undisturbed = everything(train(start(stage1_options(tmp_path)), [1, 2]))
    model = train(start(stage1_options(tmp_path)), [1])
    model.validation(loader(['gt', 'lq']), 1, None, save_img=False)
    assert_identical(everything(train(model, [2])), undisturbed)


def test_colours_of_a_flow():
    still = draw_flow(np.zeros((2, 3, 4), np.float32), 2.0)
    assert still.shape == (3, 4, 3) and still.dtype == np.uint8 and (still == 255).all()
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    circle = 2 * np.stack((np.cos(angles), np.sin(angles)))[:, None].astype(np.float32)
    drawn = draw_flow(circle, 2.0)[0]
    assert drawn[0].tolist() == [0, 0, 255]  # right is red
    assert drawn[16][0] == 0 and drawn[16][1:].min() > 200  # down is yellow
    assert (drawn.min(1) == 0).all() and (drawn.max(1) == 255).all()  # full length is a pure colour
    assert len(np.unique(drawn, axis=0)) > 32


@pytest.mark.parametrize('long', [(0, -2), (2, -2)])  # each of the two is bounded, not the length
def test_colours_of_a_flow_do_not_depend_on_the_rest_of_the_picture(long):
    short = np.zeros((2, 2, 3), np.float32)
    short[0, 0, 0] = 0.5
    both = short.copy()
    both[:, 1, 1] = long
    alone, beside = draw_flow(short, 2.0)[0, 0].astype(int), draw_flow(both, 2.0)[0, 0].astype(int)
    assert np.abs(alone - beside).max() <= 1, f'{alone} alone, {beside} beside a long vector'
    assert alone.min() > 150  # a quarter of the bound is pale


@pytest.mark.parametrize('name, value', [('max_flow', 1.0), ('max_flow', 3.0), ('center_flow', True)])
def test_weights_of_another_bound_of_the_flow_are_refused(tmp_path, name, value):
    """They have the same shapes; loading them would silently change what the option file says."""
    opt = stage1_options(tmp_path)
    model = start(opt)
    before = {**model.net_deg.state_dict(), 'max_flow': torch.tensor(2.0), 'center_flow': torch.tensor(False)}
    torch.save(dict(params=before), tmp_path / 'net_deg_before.pth')  # buffers said it, once
    model.save(0, 3)
    opt['network_deg'][name] = value
    for file, message in (
        ('net_deg_before.pth', rf'trained with {name}: .*, not {value}'),
        ('models/net_deg_3.pth', rf'with {name}: .* one with {name}: {value}; make the two equal'),
    ):
        opt['path']['pretrain_network_deg'] = str(tmp_path / file)
        with pytest.raises(ValueError, match=rf'{file}.* {message}'):
            start(opt, seed_heads=False)
    opt['network_deg'].update(max_flow=2, center_flow=False)
    opt['path']['pretrain_network_deg'] = str(tmp_path / 'net_deg_before.pth')
    assert_identical(snapshot(start(opt, seed_heads=False).net_deg), snapshot(model.net_deg))


@pytest.mark.parametrize('max_flow', [0.5, 1.0, 3.0])
def test_colours_of_a_flow_are_those_of_its_share_of_the_bound(max_flow):
    flow = np.random.default_rng(0).uniform(-1, 1, (2, 6, 7))
    assert np.abs(draw_flow(flow * max_flow, max_flow).astype(int) - draw_flow(flow * 2, 2.0)).max() <= 1
    assert (draw_flow(np.zeros((2, 4, 4)), max_flow) == 255).all()
