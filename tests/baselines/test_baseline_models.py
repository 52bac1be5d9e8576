"""Every model of the methods compared with: what it learns from, resuming, validation."""

from pathlib import Path

import pytest
import torch
from method_kit import CASES, batch, train
from basicsr.models import build_model
from basicsr.utils import tensor2img
from model_kit import assert_identical, everything
from torch.nn import functional as F

from selfsr_plugin import memory
from selfsr_plugin.baselines.models.noise import seeded_noise
from selfsr_plugin.engine.checkpoint import load_checkpoint

# The named terms of each, which docs/baselines.md lists.
JUDGED = {'l_g_adv', 'l_d_real', 'l_d_fake'}
TERMS = {
    'supervised': {'l_g_pix'},
    'srgan': {'l_g_pix', *JUDGED},
    'fsrnet': {'l_g_coarse', 'l_g_prior', 'l_g_pix'},
    'hourglass': {'l_hg_heat'},
    'dic': {'l_g_pix', 'l_g_heat'},
    'dicgan': {'l_g_pix', 'l_g_heat', 'l_g_feature', *JUDGED},
    'wavelet': {'l_g_low', 'l_g_high', 'l_g_img', 'l_g_texture', 'l_g_pix'},
    'deep_deblur': {'l_g_pix'},
    'pfsr': {'l_g_rec', 'l_g_att', 'l_g_heat', 'l_d_r1', *JUDGED},
    'high_to_low': {'l_deg_adv', 'l_deg_pix', 'l_d_lq_real', 'l_d_lq_fake'},
    'bulat': {'l_g_pix', *JUDGED},
    'maeda': {
        *('l_deg_adv', 'l_clean_adv', 'l_clean_sr', 'l_cyc_clean', 'l_idt_clean', 'l_geo_clean', 'l_g_pix'),
        *(f'l_{label}_{side}' for label in ('d_lq', 'd_clean', 'd') for side in ('real', 'fake')),
    },
    'cyclegan': {
        *('l_g_adv', 'l_deg_adv', 'l_cyc_lq', 'l_cyc_gt', 'l_idt_g', 'l_idt_deg'),
        *(f'l_{label}_{side}' for label in ('d', 'd_lq') for side in ('real', 'fake')),
    },
}
TOTAL = 6


def stage_of(model):
    return getattr(model, 'stage', model)


@pytest.fixture(scope='module', params=CASES)
def run(request, tmp_path_factory):
    """(case, options, model after all iterations, weights before), with a checkpoint on the way."""
    opt = CASES[request.param](tmp_path_factory.mktemp(request.param))
    model = build_model(opt)
    stage = stage_of(model)
    before = {label: [each.clone() for each in getattr(stage, f'net_{label}').parameters()] for label in stage.trained}
    return request.param, opt, train(model, opt, range(1, TOTAL + 1), save_at=[4]), before


def test_terms_are_named_finite_and_move_every_network(run):
    case, _, model, before = run
    log = model.get_current_log()
    assert {name for name in log if name.startswith('l_')} == TERMS[case]
    assert all(abs(value) < 1e4 for value in log.values())
    stage = stage_of(model)
    for label in stage.trained:
        if label not in before:
            continue  # of the second stage
        after = list(getattr(stage, f'net_{label}').parameters())
        moved = sum(not torch.equal(a, b) for a, b in zip(before[label], after))
        assert moved > 0.85 * len(after), (
            label,
            moved,
            len(after),
        )  # of PFSR's first levels some are not used any more


def test_a_resumed_run_ends_with_the_same_bits(run):
    case, opt, model, _ = run
    again = build_model(opt)
    again.resume_training(load_checkpoint(Path(opt['path']['training_states']) / '4.state'))
    train(again, opt, range(5, TOTAL + 1))
    assert_identical(everything(stage_of(again)), everything(stage_of(model)))


def test_a_rehearsal_leaves_everything_as_it_was(run):
    _, opt, model, _ = run
    stage = stage_of(model)
    before = everything(stage)
    stage.rehearse(2, batch(9, opt))
    assert_identical(everything(stage), before)


def test_validation_gives_an_image_of_full_size(run):
    case, opt, model, _ = run
    data = {key: value[:1] for key, value in batch(3, opt).items()}
    result = model.evaluate(data)
    side = data['gt'].shape[-1]
    shapes = {'hourglass': (side, 2 * side, 3), 'high_to_low': (8, 8, 3)}
    assert result.image.shape == shapes.get(case, (side, side, 3)) and result.image.std() > 0
    assert (result.metric_data is None) == (case in ('hourglass', 'high_to_low'))


class OneTooLarge(torch.utils.data.Dataset):
    """An image of the usual size, and one whose LR face has more than 64x64 pixels."""

    def __init__(self, opt):
        self.opt, self.run = dict(name='faces'), opt

    def __len__(self):
        return 2

    def __getitem__(self, index):
        sample = {key: value[0] for key, value in batch(3, self.run).items()}
        if index == 1:
            sample.update(gt=torch.zeros(3, 96 * self.run['scale'], 80 * self.run['scale']), lq=torch.zeros(3, 96, 80))
        return {**sample, 'gt_path': f'/hr/{index}.png', 'lq_path': f'/lr/{index}.png'}


# With noise, HighToLow takes faces of its own size alone.
@pytest.mark.parametrize('run', [case for case in CASES if case != 'high_to_low'], indirect=True, scope='module')
def test_an_image_beyond_the_memory_is_named_and_left_out(run, monkeypatch):
    _, opt, model, _ = run
    monkeypatch.setattr(memory, 'available_bytes', lambda device: 1)
    images = torch.utils.data.DataLoader(OneTooLarge(opt))
    (problem,) = model.validation(images, 1, None)
    assert '/1.png, ' in problem and 'it needs about' in problem and 'GB are free: cut the face out' in problem


def test_validation_is_of_the_networks_in_eval_mode(run):
    """Those with BatchNorm give other images in training, where they stand again afterwards."""
    case, opt, model, _ = run
    stage, data = stage_of(model), {key: value[:1] for key, value in batch(3, opt).items()}
    result = model.evaluate(data)
    nets = [getattr(stage, f'net_{label}') for label in type(stage).options_class.tested]
    assert all(net.training for net in nets)
    for net in nets:
        net.eval()
    with torch.no_grad():
        if case == 'hourglass':
            found = stage.net_hg(data['gt']).amax(1, keepdim=True)
            expected = torch.cat([data['gt'], F.interpolate(found.expand(-1, 3, -1, -1), data['gt'].shape[-2:])], -1)
        elif case == 'high_to_low':
            expected = stage.net_deg(data['gt'], seeded_noise(opt, 'high_to_low', 0, data['gt'], 3))
            away = (expected - F.avg_pool2d(data['gt'], 4)).abs().mean().item()
            assert result.values == {'degraded_l1': pytest.approx(away, rel=1e-5)}
        else:
            expected = stage.net_g(stage.net_clean(data['lq']) if case == 'maeda' else data['lq'])
    for net in nets:
        net.train()
    assert (result.image == tensor2img(expected)).all()
