"""Every key that an option file may have changes something: no key is accepted and not done.

The keys are those of the dataclasses and of all option files. Each one of the models and networks is changed in a
training of a few iterations, and what comes out must differ; those of the run around it are changed in a run and in a
test.
"""

import copy
import hashlib
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from basicsr.utils.logger import initialized_logger
from common_kit import write_faces
from model_kit import batch, cyclegan_options, digest, stage1_options, stage2_options, start

from selfsr_plugin import test as test_entry
from selfsr_plugin import train as train_entry
from selfsr_plugin.errors import UserError
from selfsr_plugin.registration import ENTRIES
from selfsr_plugin.schema import options_of
from selfsr_plugin.stages import CycleGANDegradationModel, FlowDegradationModel, SelfCondSRModel

ROOT = Path(__file__).resolve().parents[2]
ITERATIONS = 5
DECAY = dict(type='LinearDecayLR', decay_from=1)


def flow_base(folder):
    return stage1_options(folder, total_iter=ITERATIONS, scheduler=dict(DECAY))


def cyclegan_base(folder):
    return cyclegan_options(folder, total_iter=ITERATIONS, scheduler=dict(DECAY), pool_size=2)


def sr_base(folder):
    opt = stage2_options(
        folder,
        total_iter=ITERATIONS,
        scheduler=dict(DECAY),
        supervision='pseudo',
        grow_at=[2],
        net_d_reg_every=2,
        ema_decay=0.5,
    )
    opt['network_d'].update(size=32)
    return opt


def optimizer(label: str) -> dict[str, Any]:
    return {
        f'train.optim_{label}.{key}': value
        for key, value in dict(type='RAdam', lr=0.02, betas=[0.5, 0.9], eps=0.01).items()
    }


def net(label: str, **changes: Any) -> dict[str, Any]:
    return {f'network_{label}.{key}': value for key, value in changes.items()}


COMMON = {
    'scale': 2,
    'manual_seed': 6,
    'train.total_iter': 9,
    'train.warmup_iter': 3,
    'train.accum_iter': 2,
    'train.precision': 'bf16',
    'train.scheduler': None,
    'train.scheduler.decay_from': 3,
    'train.scheduler.type': {'type': 'MultiStepLR', 'milestones': [2], 'gamma': 0.1},
    'train.gan_opt.gan_type': 'wgan',
    'train.gan_opt.loss_weight': 0.1,
}
L1 = dict(type='MSELoss', loss_weight=1.0, reduction='sum')
# model -> (its tiny options, key -> another value)
CHANGES = {
    FlowDegradationModel: (
        flow_base,
        {
            **COMMON,
            **optimizer('deg'),
            **optimizer('d_lq'),
            **net('deg', num_feat=4, num_block=2, max_flow=1.0, center_flow=True),
            **net('d_lq', num_feat=4),
            'train.identity_opt': None,
            **{f'train.identity_opt.{k}': v for k, v in L1.items()},
            'train.tv_opt.loss_weight': 9.0,
            'train.r1_reg_weight': 5,
        },
    ),
    CycleGANDegradationModel: (
        cyclegan_base,
        {
            **COMMON,
            'train.gan_opt.gan_type': 'vanilla',
            'train.pool_size': 0,
            'train.identity_opt': None,
            **{k: v for label in ('deg', 'clean', 'd_lq', 'd_clean') for k, v in optimizer(label).items()},
            **{f'train.{loss}.{k}': v for loss in ('identity_opt', 'cycle_opt') for k, v in L1.items()},
            **net('deg', num_feat=4, num_block=2),
            **net('clean', num_feat=4, num_block=2),
            **net('d_clean', num_feat=4),
        },
    ),
    SelfCondSRModel: (
        sr_base,
        {
            **COMMON,
            **optimizer('g'),
            **optimizer('d'),
            **{f'train.pixel_opt.{k}': v for k, v in L1.items()},
            'train.gan_opt.gan_type': 'vanilla',
            'train.supervision': 'unpaired',
            'train.lq_noise': 9.0,
            'train.grow_at': [3],
            'train.fade_iter': 2,
            'train.r1_reg_weight': 1,
            'train.net_d_reg_every': 1,
            'train.net_d_iters': 2,
            'train.net_d_init_iters': 2,
            'train.ema_decay': 0.9,
            **net('g', widths=[4, 4], num_block=2, cond_ratio=3, condition='concat'),
            **net('d', feat_base=32, feat_max=8, stddev_group=1),
        },
    ),
}
# Keys of options that are shown to change something elsewhere: the test that does.
ELSEWHERE = {
    'compile': 'tests/engine/test_compiling.py::test_compiled_networks_compute_the_same',
    'cuda_graphs': 'tests/engine/test_recording.py::test_recorded_updates_compute_the_same',
    'channels_last': 'tests/engine/test_compiling.py::test_channels_last_computes_the_same',
    'checkpointing': 'tests/engine/test_compiling.py::test_checkpointing_is_in_the_training',
    'nonfinite': 'tests/faults/test_stopped_runs.py::test_nan_is_skipped_and_counted',
    'lq_from_gt': 'tests/stages/test_selfcond_sr_model.py::test_lq_images_from_gt',
    'perceptual_opt': 'tests/stages/test_selfcond_sr_model.py::test_perceptual_term',
}
# Arguments of networks that must be what images and scale are: another value is refused, which is an effect too.
GIVEN = {'num_in_ch': 1, 'num_out_ch': 1, 'num_level': 3, 'size': 128}


def outcome(opt: dict[str, Any]) -> str:
    """A digest of all that a short training leaves, or the sentence that refuses it."""
    try:
        model = start(copy.deepcopy(opt))
        side = 32 if 'g' in model.trained else 64  # which the discriminator of stage 1 needs
        for i in range(1, ITERATIONS + 1):
            model.update_learning_rate(i, -1)
            model.feed_data(batch(i, size=2, gt=side, lq=side // opt['scale']))
            model.optimize_parameters(i)
    except (UserError, ValueError, RuntimeError, AssertionError) as error:
        return str(error)
    return digest(model)


def change(opt: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    opt = copy.deepcopy(opt)
    *above, last = key.split('.')
    node = opt
    for each in above:
        node = node[each]
    if key == 'train.scheduler.type':
        opt['train']['scheduler'] = value
    else:
        node[last] = value
    if key == 'scale':
        opt['network_g'] = opt.get('network_g') and {**opt['network_g'], 'widths': [6]}
        opt['network_d'] = opt.get('network_d') and {**opt['network_d'], 'num_level': 1}
        if 'grow_at' in opt['train']:
            opt['train']['grow_at'] = []
    if key == 'train.supervision':
        opt['train'].pop('lq_noise', None)
    return {name: each for name, each in opt.items() if each is not None}


@pytest.fixture(scope='module', params=CHANGES, ids=lambda model: model.__name__)
def case(request, tmp_path_factory):
    make, changes = CHANGES[request.param]
    opt = make(tmp_path_factory.mktemp('model'))
    return request.param, opt, changes, outcome(opt)


def test_every_key_of_a_model_changes_what_it_computes(case):
    _, opt, changes, before = case
    assert outcome(opt) == before and ' ' not in before  # the same again, and no refusal
    idle = [key for key, value in changes.items() if outcome(change(opt, key, value)) == before]
    assert not idle


def test_every_option_of_a_model_is_among_them(case):
    model, opt, changes, _ = case
    covered = {key.split('.')[1] for key in changes if key.startswith('train.')} | ELSEWHERE.keys()
    assert options_of(model.options_class).keys() <= covered
    for key, section in opt.items():
        if key.startswith('network_'):
            arguments = {argument for argument in section if argument not in ('type', *GIVEN)}
            shown = {
                each.split('.')[1] for _, (_, table) in CHANGES.items() for each in table if each.startswith(f'{key}.')
            }
            assert arguments <= shown, key


def test_what_images_and_scale_decide_is_refused_when_it_is_otherwise(tmp_path):
    opt = sr_base(tmp_path)
    before = outcome(opt)
    for label, key in (('g', 'num_in_ch'), ('g', 'num_out_ch'), ('d', 'num_in_ch'), ('d', 'num_level'), ('d', 'size')):
        assert outcome(change(opt, f'network_{label}.{key}', GIVEN[key])) != before, (label, key)


def test_the_tests_that_show_the_others_exist():
    for test in ELSEWHERE.values():
        file, name = test.split('::')
        assert f'def {name}' in (ROOT / file).read_text('utf-8'), test


# ----- the run around a model -----

# Key -> another value, in a training or a test, or the file with the tests that show what it changes.
TRAINING = {
    'name': 'other',
    'val.val_freq': 1,
    'val.save_img': False,
    'val.pbar': True,
    'val.metrics': {},
    'logger.print_freq': 2,
    'logger.save_checkpoint_freq': 3,
    'logger.keep_checkpoints': 1,
    'logger.use_tb_logger': True,
    'datasets.train.dataroot_gt': 'data/test_hr',
    'datasets.train.gt_size': 32,
    'datasets.train.use_hflip': False,
    'datasets.train.batch_size_per_gpu': 3,
    'datasets.val.name': 'faces',
    'datasets.val.dataroot_gt': 'data/hr',
    'manual_seed': 5,
}
TESTING = {
    'name': 'other',
    'val.suffix': 'x',
    'val.save_img': False,
    'val.pbar': True,
    'val.metrics': {},
    'path.pretrain_network_g': 'other.pth',
    'path.param_key_g': 'params_ema',
    'path.strict_load_g': False,
}
IN_OTHER_TESTS = {
    'num_gpu': 'run/test_setup.py',
    'path.resume_state': 'stages/test_resume.py',
    'scale': 'stages/test_every_option.py',
    'path.pretrain_network_deg': 'stages/test_selfcond_sr_networks.py',
    'path.pretrain_network_d': 'stages/test_selfcond_sr_networks.py',
    'logger.collapse_iter': 'run/test_collapse_watch.py',
    'datasets.type': 'data/test_face_datasets.py',
    'datasets.dataroot_lq': 'data/test_face_datasets.py',
    'datasets.lq_size': 'data/test_face_datasets.py',
    'datasets.max_bad_share': 'data/test_face_datasets.py',
    'datasets.num_worker_per_gpu': 'data/test_sampling.py',
    'datasets.pin_memory': 'data/test_sampling.py',
}
WANDB = {'logger.wandb.project', 'logger.wandb.resume_id'}  # a service


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    write_faces(tmp_path / 'data/hr', 8, 64, 0)
    write_faces(tmp_path / 'data/test_hr', 3, 64, 2)
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    yield tmp_path
    initialized_logger.clear()  # BasicSR keeps one logger for the process
    logging.getLogger('basicsr').handlers.clear()


def seen(opt: dict[str, Any], entry: Any, capfd: Any) -> Any:
    """What a run shows and leaves: files, last weights, the log of iterations and metrics, a bar; or a refusal."""
    for folder in ('experiments', 'results', 'tb_logger'):
        shutil.rmtree(folder, ignore_errors=True)
    initialized_logger.clear()
    logging.getLogger('basicsr').handlers.clear()
    Path('options.yml').write_text(yaml.safe_dump(opt))
    capfd.readouterr()
    try:
        entry.main(['-opt', 'options.yml'])
    except SystemExit:
        return capfd.readouterr().err.splitlines()[-1]
    files = sorted(path for path in Path('.').glob('[ert]*/**/*') if path.is_file())
    log = ''.join(path.read_text() for path in files if path.suffix == '.log')
    content = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.suffix == '.png']
    weights = [torch.load(path, weights_only=True)['params'] for path in files if path.name.endswith('_latest.pth')]
    sums = [value.double().sum().item() for each in weights for value in each.values()]
    names = [re.sub(r'\d{8}_\d{6}|events.*', '', str(path)) for path in files]
    return (
        names,
        content,
        sums,
        re.findall(r'(?:epoch: *\d+, iter: *\d+|# \w+: \S+|Loaded .*|Validation \S+)', log),
        'image/s' in capfd.readouterr().err,
    )


def training() -> dict[str, Any]:
    opt = yaml.safe_load((ROOT / 'options/train_selfsr_real_sr.yml').read_text('utf-8'))
    data = dict(
        name='train',
        type='HRFaceDataset',
        dataroot_gt='data/hr',
        gt_size=64,
        use_hflip=True,
        batch_size_per_gpu=2,
        num_worker_per_gpu=0,
    )
    opt['datasets'] = dict(train=data, val=dict(name='val', type='PairedFaceDataset', dataroot_gt='data/test_hr'))
    opt['network_g'].update(widths=[4, 4], num_block=1)
    del opt['network_deg'], opt['network_d'], opt['path']['pretrain_network_deg']
    for key in (
        'optim_d',
        'gan_opt',
        'r1_reg_weight',
        'net_d_reg_every',
        'net_d_iters',
        'net_d_init_iters',
        'lq_noise',
    ):
        del opt['train'][key]
    opt['train'].update(total_iter=4, supervision='paired', lq_from_gt=True, grow_at=[])
    opt['logger'].update(print_freq=1, save_checkpoint_freq=2, use_tb_logger=False, collapse_iter=0)
    opt['val'].update(val_freq=2, metrics=dict(psnr=dict(type='calculate_psnr', crop_border=0, test_y_channel=True)))
    return {**opt, 'num_gpu': 0}


def test_every_key_of_a_training_changes_what_it_leaves(workplace, capfd):
    opt = training()
    before = seen(opt, train_entry, capfd)
    assert len(before[1]) > 0 and before[2] and before == seen(opt, train_entry, capfd)
    changed = {key: seen(change(opt, key, value), train_entry, capfd) for key, value in TRAINING.items()}
    assert not [key for key, after in changed.items() if after == before]


def test_every_key_of_a_test_changes_what_it_leaves(workplace, capfd):
    seen(training(), train_entry, capfd)
    shutil.copy('experiments/train_selfsr_real_sr/models/net_g_latest.pth', 'net_g.pth')
    content = torch.load('net_g.pth', weights_only=True)
    torch.save({**content, 'params': {name: 2 * value for name, value in content['params'].items()}}, 'other.pth')
    opt = yaml.safe_load((ROOT / 'options/test_selfsr_real.yml').read_text('utf-8'))
    opt['network_g'].update(widths=[4, 4], num_block=1)
    opt['datasets']['test'] = dict(name='test', type='PairedFaceDataset', dataroot_gt='data/test_hr')
    opt['path']['pretrain_network_g'] = 'net_g.pth'
    opt.update(num_gpu=0, val=dict(training()['val'], pbar=False, suffix=None))
    del opt['val']['val_freq']
    before = seen(opt, test_entry, capfd)
    assert len(before[1]) == 3 and before == seen(opt, test_entry, capfd)
    others = dict(TESTING)
    del others['path.strict_load_g']
    changed = {key: seen(change(opt, key, value), test_entry, capfd) for key, value in others.items()}
    assert not [key for key, after in changed.items() if after == before]
    more = {**content['params'], 'levels.0.more.weight': torch.zeros(1)}
    torch.save({**content, 'params': more}, 'net_g.pth')  # a file that holds more than the network
    assert 'error' in seen(opt, test_entry, capfd)
    assert 'error' not in str(seen(change(opt, 'path.strict_load_g', False), test_entry, capfd))
    opt['network_g']['num_block'] = 2  # one that lacks some of the weights, which would be scored as they were drawn
    message = seen(change(opt, 'path.strict_load_g', False), test_entry, capfd)
    assert 'error: net_g.pth has no weights of this shape for' in message and 'levels.0.blocks.1.' in message


def leaves(node: Any, path: tuple = ()):
    for name, value in node.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name)


def _is_baseline(path: Path) -> bool:
    model = ENTRIES['MODEL_REGISTRY'].get(yaml.safe_load(path.read_text('utf-8'))['model_type'], '')
    return model.startswith('baselines.')


def test_no_key_of_any_option_file_is_left_out():
    shown = {key for _, table in CHANGES.values() for key in table}
    shown |= {f'train.{key}' for key in ELSEWHERE} | IN_OTHER_TESTS.keys() | TRAINING.keys() | TESTING.keys() | WANDB
    shown = {key.replace('datasets.train.', 'datasets.').replace('datasets.val.', 'datasets.') for key in shown}
    missing = set()
    for path in ROOT.glob('options/**/t*.yml'):
        if 'examples' in path.parts or _is_baseline(path):  # networks of BasicSR; tests/baselines
            continue
        for key in leaves(yaml.safe_load(path.read_text('utf-8'))):
            if key[-1] in ('type', 'model_type') or key[:2] == ('val', 'metrics') or key[-1] in GIVEN:
                continue  # names of classes, which are looked up; what images and scale decide
            key = [each for each in key if each not in ('degradation', 'sr')]
            name = '.'.join([key[0], *key[2:]] if key[0] == 'datasets' else key)
            if name not in shown and name not in {
                each.rsplit('.', 1)[0] for each in shown if each.startswith('train.')
            }:
                missing.add(name)
    assert not missing
    assert all((ROOT / 'tests' / each).is_file() for each in IN_OTHER_TESTS.values())
