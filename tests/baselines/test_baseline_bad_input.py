"""One sentence for each mistake, before training."""

import copy

import numpy as np
import pytest
import torch
from basicsr.models import build_model
from basicsr.utils.registry import ARCH_REGISTRY
from method_kit import CASES, dic, supervised, train

from selfsr_plugin.baselines.landmarks import FaceLandmarks, write_landmarks
from selfsr_plugin.engine.stage_options import needs_argument
from selfsr_plugin.errors import UserError
from selfsr_plugin.option_check import check_options


def file_options(opt, data_type, folder, points=5, **data):
    """What an option file would hold, of what the kit completes."""
    opt = copy.deepcopy(opt)
    given = dict(name='t', type=data_type, dataroot_gt='hr', batch_size_per_gpu=2, num_worker_per_gpu=0, **data)
    write_landmarks(folder / 'lm.csv', {'a': FaceLandmarks(64, 64, 1.0, np.full((points, 2), 9.0))}, points)
    keys = ('name', 'model_type', 'scale', 'num_gpu', 'manual_seed', 'train', 'path')
    found = {key: value for key, value in opt.items() if key in keys or key.startswith('network_')}
    found['path'] = {key: value for key, value in opt['path'].items() if key.startswith('pretrain_')}
    found['logger'] = dict(print_freq=1, save_checkpoint_freq=1, use_tb_logger=False)
    return {**found, 'datasets': {'train': given}}


PRIORS = dict(landmarks='LM', dataroot_parsing='maps')


def change(**changes):
    def apply(opt):
        for key, value in changes.items():
            *above, last = key.split('__')
            node = opt
            for each in above:
                node = node[each]
            if value is None:
                node.pop(last)
            else:
                node[last] = value

    return apply


HR, PAIRS, FACES, OTHERS = 'HRFaceDataset', 'PairedFaceDataset', 'FacePriorDataset', 'UnpairedFaceDataset'
RRDB = dict(type='RRDBNet', num_in_ch=3, num_out_ch=3, scale=4, num_feat=4, num_block=1, num_grow_ch=4)
DOWN = dict(type='CycleGANDownscaler', scale=4)
CASES_OF_INPUT = [
    ('supervised', HR, {}, change(), r'datasets\.train\.type: HRFaceDataset gives no LR images'),
    ('supervised', PAIRS, {}, change(network_g__scale=8), r'network_g\.scale: 8 must be the scale'),
    ('supervised', PAIRS, {}, change(train__gan_opt=dict(type='GANLoss', gan_type='hinge')), 'no network_d'),
    ('supervised', PAIRS, {}, change(train__pixel_opt=None), r'pixel_opt: this key is missing; write'),
    ('srgan', PAIRS, {}, change(train__optim_d=None), r'train\.optim_d: this key is missing; network_d'),
    ('wavelet', PAIRS, {}, change(network_g__scale=8), r'network_g\.scale: 8 must be the scale of the run, 4'),
    ('wavelet', PAIRS, dict(gt_size=30), change(), r'gt_size: 30 must be a multiple of scale, 4: the wavelet'),
    ('dic', PAIRS, {}, change(), r'PairedFaceDataset gives no landmarks; network_g learns to find them: use'),
    ('dic', FACES, {}, change(), r'datasets\.train\.landmarks: missing; network_g learns .*make_landmarks'),
    ('dic', FACES, dict(landmarks='LM68'), change(), r'lm\.csv has 68 points of each face, and network_g is'),
    ('dic', FACES, dict(landmarks='no.csv'), change(), r'the landmarks no\.csv cannot be read'),
    ('dic', FACES, PRIORS, change(path__pretrain_network_hg=None), r'pretrain_network_hg: this key is missing'),
    (
        'dic',
        'FacePriorDataset',
        PRIORS,
        change(path__pretrain_network_hg=None, network_hg=None),
        r'train\.freeze_iter: 2 iterations with a hourglass that has learnt nothing',
    ),
    ('dicgan', FACES, PRIORS, change(network_f=None), r'feature_opt: it and network_f need each other'),
    ('dicgan', FACES, PRIORS, change(path__pretrain_network_f=None), r'pretrain_network_f: this key is missing'),
    (
        'deep_deblur',
        PAIRS,
        {},
        change(network_g=RRDB),
        r'network_g\.type: RRDBNet takes no return_parts, .*write DeepD',
    ),
    (
        'wavelet',
        PAIRS,
        {},
        change(network_g=RRDB),
        r'network_g\.type: RRDBNet takes no return_parts, .*write WaveletSRNet',
    ),
    (
        'fsrnet',
        FACES,
        PRIORS,
        change(network_g=RRDB),
        r'network_g\.type: RRDBNet takes no return_parts, .*write FSRNet',
    ),
    ('dic', FACES, PRIORS, change(network_g=RRDB), r'network_g\.type: RRDBNet takes no return_parts, .*write DIC'),
    (
        'high_to_low',
        OTHERS,
        dict(dataroot_lq='lr'),
        change(network_deg=DOWN),
        r'CycleGANDownscaler takes no noise, which',
    ),
    ('bulat', OTHERS, dict(dataroot_lq='lr'), change(network_deg=DOWN), r'which BulatModel gives it .*write HighToLow'),
    ('maeda', OTHERS, dict(dataroot_lq='lr'), change(network_deg=DOWN), r'takes no noise, .*write TransferNet'),
    ('hourglass', PAIRS, {}, change(), r'PairedFaceDataset gives no landmarks; network_hg'),
    ('fsrnet', FACES, dict(landmarks='LM'), change(), r'dataroot_parsing: missing; network_g .*make_parsing'),
    ('fsrnet', PAIRS, {}, change(network_g__num_landmark=0), r'PairedFaceDataset gives no parsing maps'),
    ('fsrnet', FACES, PRIORS, change(network_g__num_parsing=7), r'num_parsing: 7 must be 11'),
    ('fsrnet', FACES, PRIORS, change(network_g__num_parsing=0, network_g__num_landmark=0), 'prior_opt: it is for'),
    ('pfsr', HR, {}, change(), r'HRFaceDataset gives no landmarks; the facial attention loss'),
    ('pfsr', FACES, PRIORS, change(train__supervision='unpaired'), r'train\.\w+: .*'),
    ('pfsr', FACES, PRIORS, change(train__heatmap_opt=None), r'heatmap_opt: it and network_hg need each other'),
    ('pfsr', FACES, PRIORS, change(network_hg=None), r'heatmap_opt: it and network_hg need each other'),
    ('pfsr', FACES, PRIORS, change(path__pretrain_network_hg=None), r'pretrain_network_hg: .*HourglassModel has left'),
    ('high_to_low', HR, {}, change(), r'datasets\.train\.dataroot_lq: missing; High-to-Low compares'),
    ('bulat', HR, {}, change(), r'datasets\.train\.dataroot_lq: missing; High-to-Low compares'),
    ('bulat', OTHERS, dict(dataroot_lq='lr'), change(train__total_iter=9), r'must be the sum of the two stages, 6'),
    ('bulat', OTHERS, dict(dataroot_lq='lr'), change(train__sr__optim_d=None), r'train\.sr\.optim_d: this key'),
    ('maeda', HR, {}, change(), r'dataroot_lq: missing; PseudoSupervisionModel learns from real LR faces'),
    (
        'maeda',
        HR,
        {},
        change(network_clean=None),
        r'network_clean: this key is missing; PseudoSupervisionModel trains it',
    ),
    ('cyclegan', HR, {}, change(), r'dataroot_lq: missing; CycleGANSRModel'),
    ('cyclegan', HR, {}, change(train__identity_opt=None), r'write identity_opt: ~ to train without it'),
]


@pytest.mark.parametrize('case, kind, data, changes, message', CASES_OF_INPUT)
def test_one_sentence(tmp_path, case, kind, data, changes, message):
    points = 68 if data.get('landmarks') == 'LM68' else 5
    file = str(tmp_path / 'lm.csv')
    data = {key: file if str(value).startswith('LM') else value for key, value in data.items()}
    opt = file_options(CASES[case](tmp_path), kind, tmp_path, points, **data)
    changes(opt)
    with pytest.raises(UserError, match=message):
        check_options(opt, is_train=True)


@pytest.mark.parametrize('case', CASES)
def test_the_options_of_the_kit_are_accepted(tmp_path, case):
    file = str(tmp_path / 'lm.csv')
    kind = 'UnpairedFaceDataset' if case in ('high_to_low', 'bulat', 'maeda', 'cyclegan') else 'FacePriorDataset'
    data = dict(landmarks=file, dataroot_parsing='maps') if kind == 'FacePriorDataset' else dict(dataroot_lq='lr')
    check_options(file_options(CASES[case](tmp_path), kind, tmp_path, **data), is_train=True)


def test_a_network_of_another_scale_that_does_not_say_it(tmp_path):
    opt = supervised(tmp_path)
    opt['network_g'] = dict(type='SRVGGNetCompact', num_feat=4, num_conv=1, upscale=2)
    model = build_model(opt)
    with pytest.raises(UserError, match='network_g makes images of 16x16, and they are held against images of 32x32'):
        train(model, opt, [1])


def test_a_hourglass_of_another_size(tmp_path):
    opt = dic(tmp_path)
    opt['network_g'] = dict(opt['network_g'], hourglass_feat=16)
    with pytest.raises(UserError, match='network_hg: it is not the hourglass of network_g'):
        build_model(opt)


@pytest.mark.parametrize('case, label', [('dicgan', 'f'), ('pfsr', 'hg'), ('bulat', 'deg')])
def test_a_run_is_not_resumed_with_another_frozen_network(tmp_path, case, label):
    opt = CASES[case](tmp_path)
    model = build_model(opt)
    train(model, opt, range(1, 5))
    stage = getattr(model, 'stage', model)
    state = stage.extra_state()
    net = getattr(stage, f'net_{label}')
    with torch.no_grad():
        next(net.parameters()).add_(1)
    with pytest.raises(ValueError, match=f'pretrain_network_{label}: these are not the weights'):
        stage.load_extra_state(state)


def test_a_network_that_hands_its_arguments_on_is_not_refused(monkeypatch):
    class Wrapped(torch.nn.Module):
        def forward(self, *images, **others):
            raise NotImplementedError

    monkeypatch.setitem(ARCH_REGISTRY._obj_map, 'Wrapped', Wrapped)
    needs_argument(dict(network_g=dict(type='Wrapped')), 'g', 'return_parts', 'FSRNet')
