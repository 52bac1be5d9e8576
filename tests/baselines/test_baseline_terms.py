"""What each named term is, computed again by hand from the outputs of the networks."""

import pytest
import torch
from basicsr.models import build_model
from method_kit import CASES, batch, cyclegan, dic, fsrnet, supervised, train, wavelet
from model_kit import snapshot
from torch.nn import functional as F

from selfsr_plugin.baselines.archs import haar_packets
from selfsr_plugin.baselines.landmarks import heatmaps
from selfsr_plugin.baselines.models.bulat_model import LowToHighModel
from selfsr_plugin.baselines.models.noise import seeded_noise
from selfsr_plugin.baselines.models.pseudo_supervision_model import geometric_mean
from selfsr_plugin.baselines.parsing import one_hot
from selfsr_plugin.ops import bicubic_downsample, bicubic_resize
from selfsr_plugin.run.progress import parts


@pytest.fixture(autouse=True)
def double(float64):
    """As printed values are compared with values computed anew."""


def logged(opt, model=None):
    """Model and log after one iteration, and the networks as they were in it."""
    model = model or build_model(opt)
    before = {label: snapshot(getattr(model, f'net_{label}')) for label in model.trained}
    train(model, opt, [1])
    log = model.get_current_log()
    for label, weights in before.items():
        getattr(model, f'net_{label}').load_state_dict(weights)
    return model, log, batch(1, opt)


def close(value, expected):
    assert value == pytest.approx(float(expected), rel=1e-9)


def test_supervised(tmp_path):
    model, log, data = logged(supervised(tmp_path))
    close(log['l_g_pix'], (model.net_g(data['lq']) - data['gt']).abs().mean())


def test_srgan(tmp_path):
    model, log, data = logged(CASES['srgan'](tmp_path))
    judged = model.net_d(model.net_g(data['lq']))
    close(log['l_g_adv'], 0.5 * F.softplus(-judged).mean())  # HINGE's weight of 0.5, the generator's alone


def test_perceptual_terms(tmp_path, monkeypatch):
    """As BasicSR's PerceptualLoss, content and style; here with one that needs no VGG."""
    import selfsr_plugin.baselines.models.supervised_sr_model as module

    class Content(torch.nn.Module):
        def forward(self, x, gt):
            assert x.requires_grad and not gt.requires_grad
            return 3 * (x - gt).square().mean(), 5 * (x.mean() - gt.mean()).square()

    build = module.build_loss
    monkeypatch.setattr(
        module, 'build_loss', lambda settings: Content() if settings['type'] == 'PerceptualLoss' else build(settings)
    )
    model, log, data = logged(supervised(tmp_path, perceptual_opt=dict(type='PerceptualLoss', layer_weights={})))
    fake = model.net_g(data['lq'])
    close(log['l_g_percep'], 3 * (fake - data['gt']).square().mean())
    close(log['l_g_style'], 5 * (fake.mean() - data['gt'].mean()).square())


def test_fsrnet(tmp_path):
    model, log, data = logged(fsrnet(tmp_path, heatmap_sigma=2.0))
    parts = model.net_g(data['lq'], return_parts=True)
    maps = torch.cat([heatmaps(data['landmarks'], 32, 2.0), one_hot(data['parsing'], 32)], 1)
    close(log['l_g_prior'], (parts.prior - (2 * maps - 1)).square().mean())
    close(log['l_g_coarse'], 4 * (parts.coarse - data['gt']).square().mean())  # images in [-1, 1]
    close(log['l_g_pix'], 4 * (parts.image - data['gt']).square().mean())


@pytest.mark.parametrize('case', ['fsrnet', 'dic', 'wavelet', 'deep_deblur'])
def test_discriminators_and_perceptual_losses_are_given_the_result_of_a_network_of_many(tmp_path, case):
    opt = CASES[case](tmp_path)
    model, _, _ = logged(opt)
    given = model.prepare(1)
    torch.testing.assert_close(model.generator_loss(given).made['fake'], model.net_g(given['lq']), rtol=0, atol=0)


def test_dic_sums_over_its_steps(tmp_path):
    model, log, data = logged(dic(tmp_path, freeze_iter=0))
    parts = model.net_g(data['lq'], return_parts=True)
    assert len(parts.images) == 2 and not torch.equal(*parts.images)
    close(log['l_g_pix'], sum((image - data['gt']).abs().mean() for image in parts.images))
    maps = heatmaps(data['landmarks'], 16, 1.0)
    close(log['l_g_heat'], sum((found - maps).square().mean() for found in parts.heatmaps))


def test_dicgan_features(tmp_path):
    model, log, data = logged(CASES['dicgan'](tmp_path))
    fake = model.net_g(data['lq'])
    close(log['l_g_feature'], (model.net_f.features(fake) - model.net_f.features(data['gt'])).abs().mean())


def test_the_hourglass_of_dic_begins_with_the_one_given_and_is_frozen_at_first(tmp_path):
    opt = dic(tmp_path)
    model = build_model(opt)
    given = torch.load(opt['path']['pretrain_network_hg'], weights_only=True)['params']
    moved = []
    for i in range(1, 5):
        before, rest = snapshot(model.net_g.hourglass), snapshot(model.net_g)
        if i == 1:
            assert all(torch.equal(value, given[name].double()) for name, value in before.items())
        train(model, opt, [i])
        after = model.net_g.hourglass.state_dict()
        moved.append(any(not torch.equal(value, after[name]) for name, value in before.items()))
        assert any(not torch.equal(value, model.net_g.state_dict()[name]) for name, value in rest.items())
    assert moved == [False, False, True, True]


def test_the_release_of_the_hourglass_is_tried_before_the_first_iteration(tmp_path):
    """It needs more memory than what comes before."""
    opt = dic(tmp_path)
    assert [part.first for part in parts(opt)] == [1, 3]
    opt['train']['freeze_iter'] = 6  # of 6: it is never released
    assert [part.first for part in parts(opt)] == [1]


def test_wavelet(tmp_path):
    model, log, data = logged(wavelet(tmp_path, texture_alpha=1.5))
    parts = model.net_g(data['lq'], return_parts=True)
    true, made = haar_packets(data['gt'], 2), parts.packets

    def half(a, b):
        return (a - b).square().sum() / (2 * len(a))

    close(log['l_g_low'], 0.01 * half(made[:, :3], true[:, :3]))
    close(log['l_g_high'], 0.99 * half(made[:, 3:], true[:, 3:]))
    close(log['l_g_img'], 0.1 * half(parts.image, data['gt']))
    energy = [(each[:, 3:].unflatten(1, (15, 3)) ** 2).sum(2) for each in (true, made)]
    close(log['l_g_texture'], (1.5 * energy[0] - energy[1]).clamp(min=0).mean())


def test_deep_deblur(tmp_path):
    model, log, data = logged(CASES['deep_deblur'](tmp_path))
    fine, coarse = model.net_g(data['lq'], return_parts=True).images
    small = bicubic_downsample(data['gt'], 2).clamp(0, 1)
    close(log['l_g_pix'], ((fine - data['gt']).abs().mean() + (coarse - small).abs().mean()) / 2)


def test_pfsr(tmp_path):
    model, log, data = logged(CASES['pfsr'](tmp_path))  # at the level x2
    real = bicubic_downsample(data['gt'], 4).clamp(0, 1)
    fake = model.net_g(bicubic_downsample(data['gt'], 8).clamp(0, 1), level=1, alpha=1.0)
    maps = heatmaps(data['landmarks'], 16, 0.05 * 16).amax(1, keepdim=True)
    close(log['l_g_att'], 2.0 * (maps * 2 * (fake - real).abs()).mean())
    found = [model.net_hg(F.interpolate(image, (64, 64), mode='bilinear')) for image in (fake, real)]
    close(log['l_g_heat'], (found[0] - found[1]).square().mean())


def test_high_to_low(tmp_path):
    opt = CASES['high_to_low'](tmp_path)
    model, log, data = logged(opt)
    degraded = model.net_deg(data['gt'], seeded_noise(opt, 'high_to_low', 1, data['gt'], 3))
    close(log['l_deg_pix'], 4 * (degraded - F.avg_pool2d(data['gt'], 4)).square().mean())
    again = model.net_deg(data['gt'], seeded_noise(opt, 'high_to_low', 2, data['gt'], 3))
    assert not torch.allclose(again, degraded)  # the noise matters


def test_noise_is_that_of_the_place_in_the_whole_batch():
    images = torch.zeros(4, 1)
    whole = seeded_noise(dict(manual_seed=1, rank=0, world_size=1), 'a', 3, images, 5)
    shares = [seeded_noise(dict(manual_seed=1, rank=rank, world_size=2), 'a', 3, images[:2], 5) for rank in (0, 1)]
    assert torch.equal(torch.cat(shares), whole)
    others = [(1, 'a', 4), (1, 'b', 3), (2, 'a', 3)]
    for seed, name, iteration in others:
        drawn = seeded_noise(dict(manual_seed=seed, rank=0, world_size=1), name, iteration, images, 5)
        assert not torch.equal(drawn, whole)


def test_maeda(tmp_path):
    opt = CASES['maeda'](tmp_path)
    model, log, data = logged(opt)
    clean = bicubic_downsample(data['gt'], 4).clamp(0, 1)
    degraded = model.net_deg(clean, seeded_noise(opt, 'transfer', 1, clean, 1, 4, 4))
    cycled, cleaned = model.net_clean(degraded), model.net_clean(data['lq'])
    close(log['l_cyc_clean'], 2 * (cycled - clean).abs().mean())
    close(log['l_idt_clean'], 2 * (model.net_clean(clean) - clean).abs().mean())
    close(log['l_geo_clean'], 2 * (cleaned - geometric_mean(model.net_clean, data['lq'])).abs().mean())
    close(log['l_g_pix'], 2 * (model.net_g(cycled) - data['gt']).abs().mean())
    close(log['l_clean_sr'], 0.5 * (model.net_d(model.net_g(cycled)) - 1).square().mean())


def test_u_of_maeda_learns_from_pseudo_pairs_alone(tmp_path):
    """No gradient reaches the LR networks from l_g_pix, nor U from what passes through it to its discriminator."""
    model = build_model(CASES['maeda'](tmp_path))
    assert [update.labels for update in model.updates(1)] == [('clean', 'deg'), ('g',), ('d_lq', 'd_clean', 'd')]


def test_the_geometric_mean_turns_back():
    images = torch.rand(2, 3, 4, 4)
    assert torch.allclose(geometric_mean(lambda x: 2 * x, images), 2 * images)
    ramp = torch.arange(4.0).expand(1, 1, 4, 4)  # the mean over all turns and flips of adding a ramp is level
    assert torch.allclose(geometric_mean(lambda x: x + ramp, images), images + 1.5)


def test_cyclegan(tmp_path):
    model, log, data = logged(cyclegan(tmp_path))
    gt, lq = data['gt'], data['lq']
    restored, degraded = model.net_g(lq), model.net_deg(gt)
    close(log['l_cyc_lq'], 2 * (model.net_deg(restored) - lq).abs().mean())
    close(log['l_cyc_gt'], 2 * (model.net_g(degraded) - gt).abs().mean())
    close(log['l_idt_g'], 2 * (model.net_g(bicubic_downsample(gt, 4).clamp(0, 1)) - gt).abs().mean())
    close(log['l_g_adv'], 0.5 * (model.net_d(restored) - 1).square().mean())


def edges(opt):
    """A batch of black and white halves, at whose border the bicubic kernel overshoots."""
    data = batch(1, opt)
    for image in (data['gt'], data['lq']):
        image[:] = 0
        image[..., : image.shape[-1] // 2] = 1
    assert bicubic_downsample(data['gt'], 4).max() > 1.01
    return data


def test_clean_faces_of_maeda_are_clamped_as_stored_ones_are(tmp_path):
    opt = CASES['maeda'](tmp_path)
    model, data = build_model(opt), edges(opt)
    model.feed_data(data)
    assert torch.equal(model.prepare(1)['clean'], bicubic_downsample(data['gt'], 4).clamp(0, 1))


def test_resized_faces_of_cyclegan_are_clamped_as_stored_ones_are(tmp_path):
    opt = cyclegan(tmp_path)
    model, data, seen = build_model(opt), edges(opt), {'g': [], 'deg': []}
    for label, inputs in seen.items():
        getattr(model, f'net_{label}').register_forward_pre_hook(lambda _, given, to=inputs: to.append(given[0]))
    model.feed_data(data)
    model.optimize_parameters(1)
    small, large = bicubic_downsample(data['gt'], 4), bicubic_resize(data['lq'], tuple(data['gt'].shape[-2:]))
    assert large.max() > 1.01
    assert torch.equal(seen['g'][2], small.clamp(0, 1)) and torch.equal(seen['deg'][2], large.clamp(0, 1))


def test_low_to_high_learns_from_images_that_can_be_stored(tmp_path):
    opt = CASES['bulat'](tmp_path)
    opt |= dict(model_type='LowToHighModel', train=dict(opt['train']['sr']))
    model = LowToHighModel(opt, net_deg=Harsh())
    model.feed_data(batch(1, opt))
    lq = model.prepare(1)['lq']
    assert lq.min() == 0 and lq.max() == 1 and 0.2 < lq.mean() < 0.8


class Harsh(torch.nn.Module):
    """A degradation that leaves [0, 1]."""

    noise_dim = 0

    def forward(self, gt, noise=None):
        return 5 * F.avg_pool2d(gt, 4) - 2
