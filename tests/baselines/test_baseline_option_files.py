"""The option files of the methods compared with: accepted, and each trained and tested for a few iterations, small."""

import logging
import os
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from basicsr.utils.logger import initialized_logger
from method_kit import drawn_landmarks
from common_kit import write_faces

from selfsr_plugin import test as test_entry
from selfsr_plugin import train as train_entry
from selfsr_plugin.baselines.landmarks import FaceLandmarks, write_landmarks
from selfsr_plugin.baselines.parsing import from_landmarks
from selfsr_plugin.options import read_option_file
from selfsr_plugin.registration import ENTRIES

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ROOT / 'options'
SIDE = 64


def is_baseline(path: Path) -> bool:
    model = ENTRIES['MODEL_REGISTRY'].get(yaml.safe_load(path.read_text('utf-8'))['model_type'], '')
    return model.startswith('baselines.')


FOUND = [str(path.relative_to(OPTIONS)) for path in sorted(OPTIONS.glob('table[12]/*.yml')) if is_baseline(path)]
# Each after the one whose weights it starts with.
FIRST = ['dic_hourglass', '_dic.', 'table1/train_celeba_fsrnet', 'table1/train_helen_fsrnet', 'srresnet']
TRAIN = sorted(
    (name for name in FOUND if '/train_' in name), key=lambda name: (not any(each in name for each in FIRST[:1]), name)
)
TRAIN.sort(key=lambda name: next((number for number, each in enumerate(FIRST) if each in name), len(FIRST)))
TEST = [name for name in FOUND if '/test_' in name]
ROWS = (
    {'rdn', 'fsrnet', 'fsrgan', 'dic', 'dicgan', 'pfsr'},
    {*('deepdeblur', 'wavelet', 'srgan', 'fsrnet', 'cyclegan', 'bulat', 'maeda')},
)


def test_every_row_has_a_file_to_train_and_one_to_test():
    for kind, names in (('train', TRAIN), ('test', TEST)):
        of_folder = {f'table1/{kind}_celeba_': ROWS[0], f'table1/{kind}_helen_': ROWS[0], f'table2/{kind}_': ROWS[1]}
        for prefix, rows in of_folder.items():
            there = {name.removeprefix(prefix)[:-4] for name in names if name.startswith(prefix)}
            assert rows <= there <= rows | {'dic_hourglass', 'srresnet'}, prefix


def test_every_key_of_train_and_of_the_networks_has_a_comment_that_says_where_it_is_from():
    for name in TRAIN:
        if 'helen' in name:  # which names the file that says it
            continue
        section, type_of = '', ''
        for line in (OPTIONS / name).read_text('utf-8').splitlines():
            if re.match(r'\w+:', line):
                section, type_of = line.split(':')[0], ''
            key = re.match(r' +(\w+):', line)
            if not key or not section.startswith(('network_', 'train')) or type_of == 'perceptual_opt':
                continue
            if key[1] == 'perceptual_opt':
                type_of = key[1]
            again = section == 'train' and name.endswith('bulat.yml') and line.startswith('    ')  # said in stage 1
            layout = key[1] == 'type' and section.startswith('network_d')
            assert '# ' in line or again or layout, (name, line)


def small(opt: dict, folder: Path) -> list[str]:
    """What makes a run of an option file small: data of this test, few channels, one block."""
    entries = ['num_gpu=0']
    for phase, data in opt['datasets'].items():
        points = 'landmarks_194.csv' if data['name'].startswith('helen') else 'landmarks.csv'
        roots = dict(dataroot_gt='hr', dataroot_lq='lr', landmarks=points, dataroot_parsing='parsing')
        entries += [f'datasets:{phase}:{key}={folder / root}' for key, root in roots.items() if key in data]
        sizes = dict(gt_size=SIDE, lq_size=SIDE // opt['scale'], batch_size_per_gpu=2, num_worker_per_gpu=0)
        entries += [f'datasets:{phase}:{key}={value}' for key, value in sizes.items() if key in data]
    for label, net in opt.items():
        if not label.startswith('network_'):
            continue
        one = dict(num_feat=8, num_grow_ch=4, num_block=1, num_conv=2, num_group=1, num_fusion_block=1, num_step=2)
        one |= dict(hourglass_feat=8, num_hidden=8, num_hourglass=1, size=SIDE, wavelet_feat=2, num_noise_feat=2)
        one |= dict(num_feat=16) if net['type'] == 'RCAN' else {}  # whose attention divides by 16
        one = {key: value for key, value in one.items() if (net['type'], key) != ('SNDiscriminator', 'num_block')}
        for key in one.keys() & net.keys():
            value = [1] * len(net[key]) if isinstance(net[key], list) else one[key]
            entries.append(f'{label}:{key}={value}')
        if 'widths' in net:
            entries.append(f'{label}:widths={[4] * len(net["widths"])}')
    train = opt.get('train')
    if train is not None:
        total = train['total_iter']
        entries += [f'val:val_freq={total}', f'logger:save_checkpoint_freq={total}', 'logger:use_tb_logger=false']
        entries += ['logger:print_freq=1']
        if train.get('perceptual_opt'):  # whose weights cannot be had everywhere
            entries.append('train:perceptual_opt=~')
            if train['pixel_opt'] is None:
                entries.append('train:pixel_opt={type: MSELoss, loss_weight: 1.0, reduction: mean}')
    elif 'save_img' in opt['val']:
        entries.append('val:pbar=false')
    return entries


def with_194(face: FaceLandmarks) -> FaceLandmarks:
    return replace(face, points=np.resize(face.points, (194, 2)))


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Every file run small, training before tests, in one folder, which is returned."""
    folder, before, threads = tmp_path_factory.mktemp('baselines'), os.getcwd(), torch.get_num_threads()
    write_faces(folder / 'hr', 3, SIDE, 0)
    write_faces(folder / 'lr', 2, 16, 1)
    faces = {}
    for number in range(3):
        image = cv2.imread(str(folder / f'hr/{number:03d}.png'))
        faces[f'{number:03d}'] = FaceLandmarks(SIDE, SIDE, float(image.mean()), drawn_landmarks(SIDE))
    write_landmarks(folder / 'landmarks.csv', faces, 68)
    write_landmarks(folder / 'landmarks_194.csv', {name: with_194(face) for name, face in faces.items()}, 194)
    (folder / 'parsing').mkdir()
    for name, face in faces.items():
        cv2.imwrite(str(folder / f'parsing/{name}.png'), from_landmarks(face))
    torch.set_num_threads(1)
    os.chdir(folder)
    try:
        for name in TRAIN:
            opt = read_option_file(str(OPTIONS / name))
            shorten = str(-(-opt['train']['total_iter'] // (4 if name.endswith(('bulat.yml', 'pfsr.yml')) else 2)))
            entries = small(opt, folder)
            train_entry.main(['-opt', str(OPTIONS / name), '--shorten', shorten, '--force_yml', *entries])
        for name in TEST:
            opt = read_option_file(str(OPTIONS / name))
            test_entry.main(['-opt', str(OPTIONS / name), '--force_yml', *small(opt, folder)])
    finally:
        os.chdir(before)
        torch.set_num_threads(threads)
        initialized_logger.clear()  # BasicSR keeps one logger for the process
        logging.getLogger('basicsr').handlers.clear()
    return folder


@pytest.mark.parametrize('name', TRAIN)
def test_training_goes_through(runs, name):
    run = runs / 'experiments' / name.replace('/train_', '_').removesuffix('.yml')
    text = ''.join(path.read_text() for path in sorted(run.glob('*.log')))
    lines = re.findall(r'\[epoch:.*', text)
    assert len(lines) in (2, 3, 4) and 'End of training' in text
    values = [float(value) for line in lines for value in re.findall(r' l_\w+: (\S+)', line)]
    assert len(values) >= len(lines) and all(abs(value) < 1e4 for value in values)
    assert list(run.glob('models/net_*_latest.pth'))


@pytest.mark.parametrize('name', TEST)
def test_testing_restores_every_face(runs, name):
    folder = runs / 'results' / f'test_{name.replace("/test_", "_").removesuffix(".yml")}' / 'visualization'
    images = [cv2.imread(str(path)) for path in folder.rglob('*.png')]
    assert [image.shape for image in images] == [(SIDE, SIDE, 3)] * (3 if name.startswith('table1') else 2)
    assert all(np.ptp(image) > 0 for image in images)
