"""Metrics of whole sets in the validation of this package's models, in BasicSR's own, and over two processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from basicsr.models import build_model
from basicsr.utils import tensor2img
from torch.utils.data import DataLoader
from validation_worker import COUNT, Faces, options, validate

from selfsr_plugin.errors import UserError
from selfsr_plugin.metrics.feature_statistics import FeatureStatistics
from selfsr_plugin.metrics.frechet import extract_features, frechet_distance
from selfsr_plugin.metrics.frechet_alex_metric import FRECHET_ALEX
from selfsr_plugin.option_check import check_options
from selfsr_plugin.options import read_option_file

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def reference(tmp_path_factory, write, faces):
    return write(tmp_path_factory.mktemp('reference') / 'set', faces.hr)


@pytest.fixture(scope='module')
def alone(tmp_path_factory, alexnet_file, reference):
    return validate(options(str(tmp_path_factory.mktemp('alone')), alexnet_file, reference))


def statistics(images, weights):
    found = FeatureStatistics(256)
    for image in images:
        found.update(extract_features(FRECHET_ALEX, [image], weights))
    return found


def test_the_figures_are_those_of_the_restored_images(alone, alexnet_file, reference, faces, tmp_path):
    net = build_model(options(str(tmp_path), alexnet_file, reference)).net_g.eval()
    samples = [Faces(True, '')[index] for index in range(COUNT)]
    with torch.no_grad():
        restored = statistics([tensor2img(net(sample['lq'][None])) for sample in samples], alexnet_file)
    truth = statistics([tensor2img(sample['gt']) for sample in samples], alexnet_file)
    against = frechet_distance(restored, statistics(faces.hr, alexnet_file))
    assert alone['metrics/with/paired'] == pytest.approx(frechet_distance(restored, truth), rel=1e-5)
    assert alone['metrics/with/set'] == alone['metrics/without/set'] == pytest.approx(against, rel=1e-5)


def test_without_ground_truth_only_what_can_be_computed_is(alone):
    assert {name for name in alone if '/without/' in name} == {'metrics/without/set'}
    expected = {f'metrics/with/{name}' for name in ('psnr', 'paired', 'set')}
    assert {name for name in alone if '/with/' in name} == expected


def test_two_processes_give_the_figures_of_one(alone, alexnet_file, reference, tmp_path):
    paths = [str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(paths), OMP_NUM_THREADS='1')
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name('validation_worker.py')), str(tmp_path), alexnet_file, reference],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [torch.load(tmp_path / f'rank{rank}.pth') for rank in range(2)]
    assert ranks[0] == pytest.approx(alone, rel=1e-5) and len(alone) == 4
    assert not ranks[1]  # rank 0 alone reports


def test_basicsrs_own_model_validates_with_it(alone, alexnet_file, reference, tmp_path):
    """The same network in SRModel, whose loop knows nothing of sets."""
    opt = options(str(tmp_path), alexnet_file, reference)
    weights = tmp_path / 'net_g.pth'
    torch.save(dict(params=build_model(opt).net_g.state_dict()), weights)
    opt.update(model_type='SRModel', path=dict(visualization=str(tmp_path), pretrain_network_g=str(weights)))
    model = build_model(opt)
    model.validation(DataLoader(Faces(True, 'with')), 1, None)
    for name, value in model.metric_results.items():
        assert value == pytest.approx(alone[f'metrics/with/{name}'], rel=1e-5), name
    assert model.best_metric_results['with']['set']['val'] == model.metric_results['set']


# ----- found before training -----


def check(**metric):
    opt = read_option_file(str(ROOT / 'options/train_selfsr_demo.yml'))
    opt['val']['metrics'] = dict(mine=metric)
    with pytest.raises(UserError) as caught:
        check_options(opt, is_train=True)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_missing_files_are_said_with_the_key(alexnet_file, tmp_path, write, faces):
    assert check(type='calculate_fid', weights='none.pth').startswith('val.metrics.mine: there is no file none.pth')
    assert 'recognition_arcface_ir_se50.pth' in check(type='calculate_identity', weights='none.pth')
    options = dict(type='calculate_frechet_alex', weights=alexnet_file)
    assert 'nowhere does not exist' in check(**options, reference='nowhere')
    assert 'nowhere.npz' in check(**options, reference='nowhere.npz')
    assert 'holds one image' in check(**options, reference=write(tmp_path / 'one', faces.hr[:1]))
    assert "did you mean 'reference'?" in check(**options, referenc='nowhere')


def test_a_statistics_file_of_other_dimensions_is_refused(inception_file, alexnet_file, faces, tmp_path):
    statistics(faces.hr, alexnet_file).save(tmp_path / 'alex.npz')
    message = check(type='calculate_fid', weights=inception_file, reference=str(tmp_path / 'alex.npz'))
    assert 'alex.npz holds statistics of shapes (256,)' in message and '2048' in message


def test_an_option_file_that_asks_for_a_set_metric_on_one_image(
    alexnet_file, write, faces, tmp_path, monkeypatch, capsys
):
    import yaml

    from selfsr_plugin import test as test_entry

    monkeypatch.chdir(tmp_path)
    opt = read_option_file(str(ROOT / 'options/test_selfsr_demo.yml'))
    opt['datasets']['test'].update(dataroot_gt=write(tmp_path / 'one', faces.hr[:1]), dataroot_lq=None)
    opt['path']['pretrain_network_g'] = alexnet_file  # any file: the images are looked at first
    opt['val']['metrics'] = dict(mine=dict(type='calculate_frechet_alex', weights=alexnet_file))
    (tmp_path / 'options.yml').write_text(yaml.safe_dump(opt))
    with pytest.raises(SystemExit) as caught:
        test_entry.main(['-opt', 'options.yml'])
    assert caught.value.code == 1
    assert 'error: datasets.test: calculate_frechet_alex compares sets of images' in capsys.readouterr().err
    assert not (tmp_path / 'results/test_selfsr_demo').exists()
