"""A run of seconds as a user starts it, in this process."""

import logging
from pathlib import Path

import pytest
import torch
import yaml
from basicsr.utils.logger import initialized_logger
from common_kit import write_faces

from selfsr_plugin import train as train_entry

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty working folder with data, and an option file for a run of seconds; also the folder stood in."""
    write_faces(tmp_path / 'data/hr', 12, 64, 0)
    write_faces(tmp_path / 'data/lr', 9, 16, 1)
    write_faces(tmp_path / 'data/test_hr', 3, 64, 2)
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    yield tmp_path
    # BasicSR keeps one logger for the process: the next test, as the next process, starts without
    initialized_logger.clear()
    logging.getLogger('basicsr').handlers.clear()


@pytest.fixture
def trained(workplace):
    """Options of a training with BasicSR's SRModel there."""
    opt = yaml.safe_load((ROOT / 'options/examples/train_selfcondsrnet_in_srmodel.yml').read_text())
    opt.update(name='tiny', num_gpu=0)
    opt['datasets']['train'].update(dataroot_gt='data/hr', batch_size_per_gpu=2)
    opt['datasets']['val']['dataroot_gt'] = 'data/test_hr'
    return opt


def options(**changes):
    """The demo's option file, cut down."""
    opt = yaml.safe_load((ROOT / 'options/train_selfsr_demo.yml').read_text())
    opt['name'] = 'tiny'
    opt['num_gpu'] = 0
    opt['datasets']['train'].update(
        dataroot_gt='data/hr', dataroot_lq='data/lr', batch_size_per_gpu=2, num_worker_per_gpu=0
    )
    opt['datasets']['val'] = dict(name='people', type='PairedFaceDataset', dataroot_gt='data/test_hr')
    opt['network_deg'].update(num_feat=4, num_block=1)
    opt['network_d_lq'].update(num_feat=4)
    opt['network_g'].update(widths=[8, 8], num_block=1)
    opt['network_d'].update(feat_base=128, feat_max=8)
    train = opt['train']
    train['degradation'].update(total_iter=2, scheduler=dict(type='LinearDecayLR', decay_from=1))
    train['sr'].update(total_iter=4, grow_at=[2], scheduler=None, net_d_reg_every=1)
    train['total_iter'] = 6
    opt['logger'].update(print_freq=1, save_checkpoint_freq=2, use_tb_logger=False)
    opt['val']['val_freq'] = 3
    for path, value in changes.items():
        *sections, last = path.split('__')
        node = opt
        for section in sections:
            node = node[section]
        node[last] = value
    return opt


def stage_2(**changes):
    """Stage 2 alone, on bicubic pairs, without growth: BasicSR's networks and data sets serve as well."""
    opt = options(model_type='SelfCondSRModel')
    for key in ('network_deg', 'network_d_lq'):
        del opt[key]
    opt['train'] = dict(opt['train']['sr'], supervision='paired', lq_from_gt=True, grow_at=[], fade_iter=0, lq_noise=0)
    return {**opt, **changes}


def start(opt, *arguments, entry=train_entry):
    Path('options.yml').write_text(yaml.safe_dump(opt))
    entry.main(['-opt', 'options.yml', *arguments])


def refused(capsys, opt, *arguments, entry=train_entry):
    """The sentence with which a run ends; it must be one, with exit status 1."""
    with pytest.raises(SystemExit) as caught:
        start(opt, *arguments, entry=entry)
    assert caught.value.code == 1
    lines = capsys.readouterr().err.splitlines()  # BasicSR logs there too
    assert 'Traceback (most recent call last):' not in lines
    assert lines[-1].startswith('error: ') and sum(line.startswith('error') for line in lines) == 1
    return lines[-1]


def weights(name):
    return torch.load(f'experiments/tiny/models/{name}.pth', weights_only=True)['params']


def log_text():
    return ''.join(path.read_text() for path in Path('experiments/tiny').glob('*.log'))
