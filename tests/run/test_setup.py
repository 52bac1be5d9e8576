"""Training and testing as a user starts them: option file in, pictures, checkpoints and figures out."""

import argparse
import re
import shutil
import sys
from pathlib import Path
from urllib.error import URLError

import cv2
import numpy as np
import pytest
import torch
import yaml
from common_kit import save_params, small_network, write_faces
from run_kit import ROOT, log_text, options, refused, stage_2, start, weights, workplace  # noqa: F401

from selfsr_plugin import test as test_entry
from selfsr_plugin.errors import UserError
from selfsr_plugin.options import complete_options
from selfsr_plugin.run import setup


def test_both_stages_train_and_the_result_is_tested(workplace):
    start(options())
    models = {path.name for path in Path('experiments/tiny/models').iterdir()}
    assert {'net_deg_2.pth', 'net_d_lq_2.pth', 'net_g_4.pth', 'net_g_latest.pth', 'net_d_latest.pth'} <= models
    pictures = Path('experiments/tiny/visualization/000')
    assert cv2.imread(str(pictures / '000_6.png')).shape == (64, 64, 3)
    log = log_text()
    for term in (
        'l_deg_adv',
        'l_deg_idt',
        'l_deg_tv',
        'l_d_lq_real',
        'l_g_rec',
        'l_g_adv',
        'l_d_real',
        'l_d_r1',
        '# psnr',
        '# ssim',
    ):
        assert term in log
    assert re.search(r'iter: +4.*level: 1\.0', log) and re.search(r'iter: +5.*level: 2\.0', log)

    opt = yaml.safe_load((ROOT / 'options/test_selfsr_demo.yml').read_text())
    opt['network_g'].update(widths=[8, 8], num_block=1)
    opt['datasets']['test'].update(dataroot_gt='data/test_hr', dataroot_lq=None)
    opt['path']['pretrain_network_g'] = 'experiments/tiny/models/net_g_latest.pth'
    start(opt, entry=test_entry)
    restored = cv2.imread('results/test_selfsr_demo/visualization/demo_test/000_test_selfsr_demo.png')
    assert np.array_equal(restored, cv2.imread(str(pictures / '000_6.png')))  # the same network, the same image


def test_resuming_finds_the_newest_state_and_ends_with_the_same_weights(workplace):
    start(options(train__total_iter=6))
    expected = weights('net_g_latest'), weights('net_d_latest')
    models, states = Path('experiments/tiny/models'), Path('experiments/tiny/training_states')
    for path in [*models.glob('*_6.pth'), *models.glob('*_latest.pth'), states / '6.state']:
        path.unlink()
    (states / '5.state').write_bytes(b'broken')  # is skipped for 4.state
    start(options(), '--auto_resume')
    assert 'Resumed after iteration 4' in log_text()
    for before, now in zip(expected, (weights('net_g_latest'), weights('net_d_latest'))):
        assert all(torch.equal(before[key], now[key]) for key in before)
    assert not list(Path('experiments').glob('*archived*'))


def test_a_file_system_without_locks_is_warned_of(workplace, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'fcntl', None)  # as on Windows; test_files.py has the file systems
    start(options(train__sr__total_iter=2, train__sr__grow_at=[], train__total_iter=4))
    assert Path('experiments/tiny/models/net_g_latest.pth').exists()
    assert 'warning: nothing can be locked in ' in capsys.readouterr().err


def test_an_earlier_run_is_renamed_but_not_by_a_refused_one(workplace, capsys):
    start(options(train__sr__total_iter=2, train__sr__grow_at=[], train__total_iter=4))
    refused(capsys, options(datasets__train__dataroot_gt='data/nowhere'))
    assert not list(Path('experiments').glob('*archived*'))
    start(options(train__sr__total_iter=2, train__sr__grow_at=[], train__total_iter=4))
    assert len(list(Path('experiments').glob('tiny_archived_*'))) == 1


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(datasets__train__dataroot_gt='data/nowhere'), r'datasets\.train: .*data/nowhere'),
        (dict(datasets__train__dataroot_lq='data/empty'), r'datasets\.train: .*data/empty'),
        (dict(datasets__train__lq_size=128), r'lq_size'),
        (dict(datasets__train__gt_size=48), r'gt_size'),
        (
            dict(datasets__train__gt_size=128, datasets__train__lq_size=32, network_d__size=128),
            r'data/hr',
        ),  # larger than the faces are
        (dict(network_d__size=32), r'network_d\.size: 32 must be the side of the HR images'),
        (dict(name='a/b'), r'name: '),
        (dict(model_type='SelfSRMode'), r"model_type: unknown name 'SelfSRMode'; did you mean 'SelFSRModel'"),
        (dict(model_type='SelfSRModel'), r"model_type: unknown name 'SelfSRModel'; its name is 'SelFSRModel' since"),
        (
            dict(datasets__train__batch_size_per_gpu=10**9),
            r'batch_size_per_gpu: 1000000000: to collect a batch takes .* GB of memory, and .* are free: lower it',
        ),
        (dict(path__pretrain_network_g='bad.pth'), r'bad\.pth cannot be read as a checkpoint'),
    ],
)
def test_bad_input_ends_with_one_sentence(workplace, capsys, changes, message):
    Path('data/empty').mkdir()
    Path('bad.pth').write_bytes(b'PK no checkpoint')
    assert re.search(message, refused(capsys, options(**changes)))


def test_data_that_are_others_when_a_run_goes_on_are_said(workplace):
    start(options())
    start(options(train__total_iter=8, train__sr__total_iter=6), '--auto_resume')
    assert 'images, and' not in log_text()
    Path('data/lr/003.png').unlink()
    start(options(train__total_iter=9, train__sr__total_iter=7), '--auto_resume')
    assert 'datasets.train: it has 20 images, and 21 when the checkpoint was made' in log_text()


@pytest.mark.parametrize('workers', [0, 1])
def test_data_sets_of_basicsr_end_with_one_sentence_as_well(workplace, capsys, workers):
    opt = stage_2()
    theirs = dict(
        name='theirs',
        dataroot_gt='data/hr',
        io_backend=dict(type='disk'),
        use_hflip=True,
        use_rot=True,
        batch_size_per_gpu=2,
        num_worker_per_gpu=workers,
    )
    opt['datasets']['train'] = dict(theirs, type='RealESRGANDataset')
    assert 'datasets.train.meta_info: this key is missing; RealESRGANDataset needs it' in refused(capsys, opt)
    for path in Path('data/hr').iterdir():
        path.write_bytes(b'no image')
    opt['datasets']['train'] = dict(theirs, type='PairedImageDataset', dataroot_lq='data/hr', gt_size=64)
    assert 'datasets.train: the first batch cannot be read: ' in refused(capsys, opt)


def test_weights_that_cannot_be_downloaded_are_said(workplace, capsys, monkeypatch):
    """As those of BasicSR's PerceptualLoss, which torch fetches after a line that says from where and to where."""

    def build_model(opt):
        raise URLError(OSError(-2, 'Name or service not known'))

    monkeypatch.setattr('selfsr_plugin.run.setup.build_model', build_model)
    message = refused(capsys, options())
    assert 'weights that cannot be downloaded here ([Errno -2] Name or service not known)' in message
    assert 'says from where they come and where to put them' in message


def test_weights_of_another_architecture_are_refused(workplace, capsys):
    start(options(train__sr__total_iter=2, train__sr__grow_at=[], train__total_iter=4))
    shutil.copy('experiments/tiny/models/net_d_latest.pth', 'other.pth')
    opt = yaml.safe_load((ROOT / 'options/test_selfsr_demo.yml').read_text())
    opt['datasets']['test'].update(dataroot_gt='data/test_hr', dataroot_lq=None)
    opt['path']['pretrain_network_g'] = 'other.pth'
    assert 'other.pth holds a ProgressiveDiscriminator' in refused(capsys, opt, entry=test_entry)


def test_a_corrupt_image_is_named_and_training_goes_on(workplace):
    Path('data/hr/004.png').write_bytes(Path('data/hr/004.png').read_bytes()[:40])
    start(options())
    assert log_text().count('data/hr/004.png') == 1
    assert Path('experiments/tiny/models/net_g_latest.pth').exists()


@pytest.mark.parametrize('workers', [0, 1])
def test_too_many_corrupt_images_end_the_run(workplace, capsys, workers):
    for number in range(1, 12):
        Path(f'data/hr/{number:03d}.png').write_bytes(b'no image')
    message = refused(capsys, options(datasets__train__num_worker_per_gpu=workers))
    assert 'data/hr' in message and 'bad' in message


def test_lr_files_that_do_not_fit_the_hr_files_are_named(workplace, capsys):
    start(options(train__sr__total_iter=2, train__sr__grow_at=[], train__total_iter=4))
    write_faces(workplace / 'data/test_lr', 3, 20, 3)
    opt = yaml.safe_load((ROOT / 'options/test_selfsr_demo.yml').read_text())
    opt['network_g'].update(widths=[8, 8])
    opt['datasets']['test'].update(dataroot_gt='data/test_hr', dataroot_lq='data/test_lr')
    opt['path']['pretrain_network_g'] = 'experiments/tiny/models/net_g_latest.pth'
    assert '000.png' in refused(capsys, opt, entry=test_entry)


@pytest.mark.parametrize(
    'launcher, processes, message',
    [
        ('none', 1, r'num_gpu: 4: one process uses one GPU, .* start 4, with torchrun --nproc_per_node=4 .*--launcher'),
        ('pytorch', 2, r'num_gpu: 4, but 2 processes were started, one for each GPU: write num_gpu: auto'),
    ],
)
def test_as_many_processes_as_gpus(monkeypatch, launcher, processes, message):
    """Or a run of four GPUs would train on one, with a quarter of the batch."""
    monkeypatch.setattr(setup, 'init_distributed', lambda *_: (0, processes))
    with pytest.raises(UserError, match=message):
        setup.set_up(dict(num_gpu=4), argparse.Namespace(launcher=launcher), is_train=True)


@pytest.mark.parametrize('there, used', [(0, 0), (1, 1), (4, 1)])
def test_a_process_uses_one_gpu_if_there_is_any(monkeypatch, there, used):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: there)
    args = argparse.Namespace(launcher='none', auto_resume=False, debug=False)
    opt = dict(num_gpu='auto', name='tiny', scale=4, datasets={})
    assert complete_options(opt, args, 'here', is_train=False, rank=0, world_size=1)['num_gpu'] == used


@pytest.mark.parametrize('num_gpu, use_gpu', [(0, False), ('auto', True)])
def test_how_the_processes_of_a_machine_with_gpus_are_joined(monkeypatch, num_gpu, use_gpu):
    """num_gpu: 0 is the CPU there too, where NCCL would fail; the port is that of the option file."""
    asked = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(setup, 'init_distributed', lambda *given: asked.append(given) or sys.exit(9))
    with pytest.raises(SystemExit):
        opt = dict(num_gpu=num_gpu, dist_params=dict(port=4321))
        setup.set_up(opt, argparse.Namespace(launcher='slurm'), is_train=True)
    assert asked == [('slurm', use_gpu, 4321)]


def test_debug_is_another_run_and_traceback_shows_where(workplace, capsys):
    """BasicSR's --debug is a mode of training, and says nothing of how errors are shown."""
    bad = options(datasets__train__dataroot_gt='data/nowhere')
    assert 'data/nowhere' in refused(capsys, bad, '--debug')
    with pytest.raises(UserError, match='data/nowhere'):
        start(bad, '--traceback')
    short = options(train__sr__total_iter=2, train__sr__grow_at=[], train__total_iter=4)
    for arguments, name in ((['--traceback'], 'tiny'), (['--debug'], 'debug_tiny')):
        start(short, *arguments)
        assert Path(f'experiments/{name}/models/net_g_latest.pth').exists()
    assert {path.name for path in Path('experiments').iterdir() if path.is_dir()} == {'tiny', 'debug_tiny'}


@pytest.mark.parametrize('name', ['train_selfcondsrnet_in_srmodel', 'train_rrdbnet_in_selfcondsrmodel'])
def test_parts_are_exchanged_with_basicsr(workplace, name):
    opt = yaml.safe_load((ROOT / f'options/examples/{name}.yml').read_text())
    opt.update(name='tiny', num_gpu=0)
    opt['datasets']['train'].update(dataroot_gt='data/hr', batch_size_per_gpu=2, num_worker_per_gpu=0)
    opt['datasets']['train'].pop('persistent_workers', None)  # torch refuses it without workers
    opt['datasets']['val']['dataroot_gt'] = 'data/test_hr'
    opt['train']['total_iter'] = 3
    opt['val']['val_freq'] = opt['logger']['print_freq'] = opt['logger']['save_checkpoint_freq'] = 3
    start(opt)
    before, after = (
        torch.load(f'experiments/tiny/models/net_g_{when}.pth', weights_only=True)['params'] for when in (3, 'latest')
    )
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert '# psnr' in log_text()


def test_a_test_of_which_nothing_comes_is_refused_or_said(workplace, capsys):
    opt = yaml.safe_load((ROOT / 'options/test_selfsr_demo.yml').read_text())
    opt['network_g'].update(widths=[8, 8])
    opt['datasets']['test'] = dict(name='real', type='LRFaceDataset', dataroot_lq='data/lr')
    opt['path']['pretrain_network_g'] = save_params(
        'g.pth', params=small_network(widths=[8, 8], num_block=1, cond_ratio=8)
    )
    opt['val']['save_img'] = False
    start(opt, entry=test_entry)
    text = ''.join(path.read_text() for path in Path('results').rglob('*.log'))
    assert 'real has no ground truth, without which there is no psnr, ssim.' in text
    assert 'Nothing comes of real: write save_img: true' in text
    opt['val']['metrics'] = None
    assert 'val: with save_img: false and no metrics a test leaves nothing' in refused(capsys, opt, entry=test_entry)


@pytest.mark.parametrize('link', ['experiments', 'experiments/tiny'])
def test_a_link_that_leads_nowhere_is_said_or_archived(workplace, capsys, link):
    Path(link).parent.mkdir(exist_ok=True)
    Path(link).symlink_to('/nowhere/at/all')
    if link == 'experiments':
        assert 'experiments must be a folder, or a link to one.' in refused(capsys, options())
    else:
        start(options(train__sr__total_iter=2, train__sr__grow_at=[], train__total_iter=4))
        assert Path('experiments/tiny/models/net_g_latest.pth').exists()


@pytest.mark.parametrize(
    'key, value, message',
    [
        ('widths', 6, "network_g: SelfCondSRNet does not take these values: 'int' object is not iterable .TypeError."),
        (
            'cond_ratio',
            0,
            'network_g: SelfCondSRNet does not take these values: .*zero .ZeroDivisionError.; correct its',
        ),
        ('widths', [], 'network_g: SelfCondSRNet does not take these values: SelfCondSRNet: give one width for each'),
    ],
)
def test_a_network_that_cannot_be_built_is_named(workplace, capsys, key, value, message):  # noqa: F811
    assert re.search(message, refused(capsys, options(**{f'network_g__{key}': value})))
