"""Scoring a folder: pairs by name, every mismatch named, the figures of the metrics themselves in every file."""

import csv
import errno
import json
import os
import shutil
import re
import resource
from pathlib import Path
from types import SimpleNamespace

import cv2
import facexlib
import numpy as np
import pytest
import torch
from basicsr.metrics import calculate_psnr, calculate_ssim
from common_kit import refused as refused_by

from selfsr_plugin import evaluate, scoring
from selfsr_plugin.data import open_image_source
from selfsr_plugin.errors import UserError
from selfsr_plugin.metrics.blur_metric import calculate_blur
from selfsr_plugin.metrics.feature_statistics import FeatureStatistics

DEMO = Path(__file__).resolve().parents[1] / 'datasets/demo/test_hr'


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """gt/<name>.png and out/<name>_run.png, six faces; no weights in the usual caches."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    monkeypatch.setattr(facexlib, '__file__', str(tmp_path / 'facexlib/__init__.py'))
    for number, path in enumerate(sorted(DEMO.glob('*.png'))[:6]):
        image = cv2.resize(cv2.imread(str(path)), (64, 64), interpolation=cv2.INTER_AREA)
        write('gt', f'face{number}', image)
        write('out', f'face{number}_run', cv2.GaussianBlur(image, (5, 5), 1 + number / 4))
    return tmp_path


def write(folder, name, image):
    Path(folder).mkdir(exist_ok=True)
    assert cv2.imwrite(f'{folder}/{name}.png', image)


def run(*arguments, restored='out', reference='gt', suffix='_run'):
    evaluate.main(['--restored', restored, '--reference', reference, '--suffix', suffix, *arguments])


def refused(capsys, *arguments, **options):
    return refused_by(capsys, lambda _: run(*arguments, **options))


def test_scores_of_the_current_folder_stand_beside_it(folders, monkeypatch):
    monkeypatch.chdir('out')
    run('--metrics', 'psnr', restored='.', reference='../gt')
    assert (folders / 'out_scores/scores.json').is_file() and not [*(folders / 'out').glob('.*')]


def test_images_of_another_height_or_width_are_left_out(folders, capsys):
    for number, shape in ((1, (60, 64)), (2, (32, 128)), (4, (64, 60))):  # the second of as many pixels
        write('out', f'face{number}_run', np.zeros((*shape, 3), np.uint8))
    message = refused(capsys, '--metrics', 'psnr')
    assert 'face2_run.png is 128x32 and gt/face2.png is 64x64' in message
    assert 'face1_run.png is 64x60 and gt/face1.png is 64x64' in message and 'face4_run.png is 60x64' in message
    assert json.loads(Path('out_scores/scores.json').read_text())['metrics']['psnr']['n'] == 3


def test_figures_of_every_file(folders, capsys):
    run('--metrics', 'psnr', 'ssim')
    pairs = [
        [cv2.imread(f'{folder}/face{number}{end}.png') for folder, end in (('out', '_run'), ('gt', ''))]
        for number in range(6)
    ]
    psnr = [calculate_psnr(a, b, 0, test_y_channel=True) for a, b in pairs]
    ssim = [calculate_ssim(a, b, 0, test_y_channel=True) for a, b in pairs]
    rows = list(csv.DictReader(open('out_scores/per_image.csv')))
    assert [row['name'] for row in rows] == [f'face{number}' for number in range(6)]
    np.testing.assert_allclose([float(row['psnr']) for row in rows], psnr)
    np.testing.assert_allclose([float(row['ssim']) for row in rows], ssim)
    content = json.loads(Path('out_scores/scores.json').read_text())
    assert content['metrics']['psnr'] == {'value': pytest.approx(np.mean(psnr)), 'n': 6}
    assert content['images']['face3']['ssim'] == pytest.approx(ssim[3])
    assert content['not_run'] == {}
    summary = {row['metric']: row for row in csv.DictReader(open('out_scores/summary.csv'))}
    assert float(summary['ssim']['value']) == pytest.approx(np.mean(ssim)) and summary['ssim']['n'] == '6'
    assert f'| psnr | {np.mean(psnr):.4f} | 6 | 6 |' in capsys.readouterr().out


def test_default_metrics_without_weights_are_left_out_and_said(folders, capsys):
    run('--output', 'scores')
    said = capsys.readouterr().out
    assert set(json.loads(Path('scores/scores.json').read_text())['metrics']) == {'psnr', 'ssim'}
    for name, file in (
        ('lpips', 'alexnet-owt-7be5be79.pth'),
        ('identity', 'recognition_arcface_ir_se50.pth'),
        ('fid', 'pt_inception-2015-12-05-6726825d.pth'),
    ):
        assert re.search(f'^{name} was not run: there is no file .*{file}: .*--weights {name}=FILE', said, re.M)


def test_scores_of_before_are_kept(folders, capsys):
    run('--metrics', 'psnr', 'ssim')
    before = Path('out_scores/per_image.csv').read_text()
    run('--metrics', 'psnr')
    assert [path.read_text() for path in Path('out_scores').glob('per_image_archived_*.csv')] == [before]
    assert len(list(Path('out_scores').iterdir())) == 6 and 'ssim' not in Path('out_scores/per_image.csv').read_text()


def test_a_folder_is_not_compared_with_itself(folders, capsys):
    assert '--reference is the folder of --restored' in refused(capsys, restored='gt', reference='./gt', suffix='')


def test_a_metric_that_is_asked_for_must_run(folders, capsys):
    assert 'fid: there is no file' in refused(capsys, '--metrics', 'psnr', 'fid')
    assert 'lpips: there is no file none.pth' in refused(capsys, '--weights', 'lpips=none.pth')
    assert '--weights psnr=x: write NAME=FILE' in refused(capsys, '--weights', 'psnr=x')
    assert not Path('out_scores').exists()


def test_a_set_against_a_folder_and_against_its_saved_statistics(folders, alexnet_file, capsys):
    weights = ('--weights', f'frechet_alex={alexnet_file}')
    Path('out/face3_run.png').unlink()
    run('--metrics', 'frechet_alex', *weights, '--save-statistics', suffix='')  # sets need no equal names
    found = json.loads(Path('out_scores/scores.json').read_text())['metrics']['frechet_alex']
    assert (found['n'], found['n_reference']) == (5, 6) and found['value'] > 0
    assert 'N = 5 and 6 is below the 256 features' in found['warning']
    statistics = FeatureStatistics.load('out_scores/frechet_alex.npz', 256)
    assert statistics.count == 6
    assert ' | 5 | 6 |' in capsys.readouterr().out
    Path('out_scores/frechet_alex.npz').rename('set.npz')
    run('--metrics', 'frechet_alex', *weights, reference='set.npz', suffix='')
    again = json.loads(Path('out_scores/scores.json').read_text())['metrics']['frechet_alex']
    assert again == {**found, 'value': pytest.approx(found['value'])}
    capsys.readouterr()
    run(*weights, reference='set.npz')
    assert 'psnr was not run: it compares image by image' in capsys.readouterr().out
    assert 'psnr compare image by image' in refused(capsys, '--metrics', 'psnr', reference='set.npz')


def test_equal_images_have_an_infinite_psnr_in_valid_json(folders, capsys):
    shutil.copytree('gt', 'same')
    run('--metrics', 'psnr', restored='same', suffix='')
    text = Path('same_scores/scores.json').read_text()
    assert json.loads(text, parse_constant=pytest.fail)['metrics']['psnr']['value'] == 'inf'
    assert 'psnr: 6 of 6 images equal their partners.' in capsys.readouterr().out


def test_one_equal_image_does_not_hide_the_others(folders, capsys):
    run('--metrics', 'psnr')
    alone = json.loads(Path('out_scores/scores.json').read_text())['images']
    shutil.copy('gt/face0.png', 'out/face0_run.png')
    run('--metrics', 'psnr', 'ssim')
    mean = np.mean([row['psnr'] for name, row in alone.items() if not name.startswith('face0')])
    assert f'psnr: 1 of 6 images equal their partners; the mean of the others is {mean:.4f}.' in capsys.readouterr().out


def test_the_lines_of_the_documentation(folders):
    text = (DEMO.parents[2] / 'docs/metrics.md').read_text()
    lines = re.findall(r'^python -m selfsr_plugin\.evaluate (.*)$', text, re.M)
    Path('datasets').symlink_to(DEMO.parents[1])
    results = 'results/test_selfsr_demo/visualization/demo_test'
    Path(results).mkdir(parents=True)
    for path in DEMO.glob('*.png'):
        (Path(results) / f'{path.stem}_test_selfsr_demo.png').write_bytes(path.read_bytes())
    measured = []
    for line in lines:
        evaluate.main(line.split())
        measured.append(set(json.loads(Path(f'{results}_scores/scores.json').read_text())['metrics']))
    assert measured == [{'psnr', 'ssim'}, {'blur'}]  # there are no weights here


# ----- real faces -----


def alone(*arguments):
    evaluate.main(['--restored', 'out', '--suffix', '_run', *arguments])
    return json.loads(Path('out_scores/scores.json').read_text())


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--metrics', 'psnr', '--lq', 'gt'], '--lq: none of --metrics compares with the LR faces: add identity_lq'),
        (['--metrics', 'blur'], '--reference: blur compare with none: leave it out'),
    ],
)
def test_folders_that_no_metric_looks_at_are_refused(folders, capsys, arguments, message):
    assert message in refused(capsys, *arguments)


def test_blur_beside_metrics_of_pairs(folders):
    run('--metrics', 'psnr', 'blur')
    found = json.loads(Path('out_scores/scores.json').read_text())['images']['face3']
    assert found['blur'] == calculate_blur(cv2.imread('out/face3_run.png'))


def test_without_a_reference_blur_is_measured(folders, capsys):
    content = alone()
    blur = [calculate_blur(cv2.imread(f'out/face{number}_run.png')) for number in range(6)]
    assert content['metrics'] == {'blur': {'value': pytest.approx(np.mean(blur)), 'n': 6}}
    assert content['images']['face4']['blur'] == pytest.approx(blur[4]) and content['reference'] is None


def test_identity_against_the_lr_face(folders, arcface_file):
    from selfsr_plugin.metrics.identity_metric import face_similarity

    for number in range(6):
        write('lq', f'face{number}', cv2.resize(cv2.imread(f'gt/face{number}.png'), (16, 16)))
    content = alone('--lq', 'lq', '--weights', f'identity={arcface_file}')
    assert set(content['metrics']) == {'blur', 'identity_lq'} and not content['not_run']
    expected = face_similarity(cv2.imread('out/face1_run.png'), cv2.imread('lq/face1.png'), arcface_file)
    assert content['images']['face1']['identity_lq'] == pytest.approx(expected)
    content = alone('--lq', 'lq', '--reference', 'gt', '--weights', f'identity={arcface_file}')
    assert {'identity', 'identity_lq'} <= set(content['metrics'])


def test_identity_lq_looks_at_the_lr_face_where_there_is_a_reference_too(monkeypatch):
    source = SimpleNamespace(read=lambda side: np.zeros((side, side, 3), np.uint8))
    seen = []
    monkeypatch.setattr(
        scoring, 'face_similarity', lambda *faces: seen.append([len(face) for face in faces[:2]]) or 0.5
    )
    folders, face = scoring.Folders(source, source, source), scoring.Face('a', 64, 64, 16)
    assert scoring.score_faces(folders, [face], {'identity_lq': {}}, []) == {'a': {'identity_lq': 0.5}}
    assert seen == [[64, 16]]


def test_what_a_metric_compares_with_must_be_given(folders, arcface_file, capsys):
    def said(*arguments):
        return refused_by(capsys, evaluate.main, '--restored', 'out', '--suffix', '_run', *arguments)

    assert 'psnr: it compares with a reference: give --reference' in said('--metrics', 'blur', 'psnr')
    assert 'identity_lq: it compares with the LR faces: give --lq' in said('--metrics', 'identity_lq')
    assert 'identity: it compares with a reference' in said('--weights', f'identity={arcface_file}')
    write('lq', 'face0', np.zeros((16, 16, 3), np.uint8))
    assert 'have no LR face (face1' in said(
        '--metrics', 'identity_lq', '--lq', 'lq', '--weights', f'identity={arcface_file}'
    )
    assert not Path('out_scores').exists()


# ----- disks -----


@pytest.fixture
def quota():
    """Lets no file grow beyond so many bytes, until the end of the test."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_earlier_scores_and_the_table(folders, quota, capsys):
    run('--metrics', 'psnr')
    before = {path.name: path.read_bytes() for path in Path('out_scores').iterdir()}
    capsys.readouterr()
    quota(100)  # summary.csv would fit
    with pytest.raises(SystemExit):
        run('--metrics', 'psnr')
    said = capsys.readouterr()
    assert '| psnr | ' in said.out and 'Traceback' not in said.err
    assert 'error: out_scores/scores.json cannot be written (File too large)' in said.err
    assert {path.name: path.read_bytes() for path in Path('out_scores').iterdir()} == before


def test_scores_are_written_where_they_cannot_be_printed(folders, monkeypatch):
    def broken(*_):
        raise BrokenPipeError(errno.EPIPE, 'Broken pipe')

    monkeypatch.setattr(evaluate, 'print', broken, raising=False)
    with pytest.raises(SystemExit):
        run('--metrics', 'psnr')
    assert 'psnr' in json.loads(Path('out_scores/scores.json').read_text())['metrics']


def test_statistics_that_do_not_fit_leave_no_half_file(folders, alexnet_file, quota, capsys):
    quota(10_000)
    message = refused(
        capsys, '--metrics', 'frechet_alex', '--weights', f'frechet_alex={alexnet_file}', '--save-statistics'
    )
    assert 'out_scores/frechet_alex.npz cannot be written (File too large)' in message
    assert sorted(path.name for path in Path('out_scores').iterdir()) == ['scores.json', 'summary.csv']


def test_a_folder_that_cannot_be_written_is_said_before_the_work(folders, capsys, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, 'Read-only file system')

    monkeypatch.setattr('tempfile.TemporaryFile', read_only)
    monkeypatch.setattr('selfsr_plugin.scoring.score_faces', lambda *_: pytest.fail('scored first'))
    assert 'scores.json cannot be written (Read-only file system): make its folder' in refused(
        capsys, '--metrics', 'psnr'
    )


# ----- bad input -----


def test_every_missing_and_extra_file_is_named(folders, capsys):
    Path('out/face1_run.png').unlink()
    Path('out/face4_run.png').rename('out/other_run.png')
    message = refused(capsys, '--metrics', 'psnr')
    assert '2 of 6 images of gt are missing in out (face1, face4)' in message
    assert '1 of 5 images of out have no reference (other)' in message


def test_names_that_only_look_alike_are_said(folders, capsys):
    Path('gt/face1.png').rename('gt/caf\u00e9.png')
    Path('out/face1_run.png').rename('out/cafe\u0301_run.png')
    assert 'caf\u00e9 is in both, its accents written in other bytes' in refused(capsys, '--metrics', 'psnr')


def test_a_suffix_is_cut_off_the_end_alone(folders):
    for folder, end in (('gt', ''), ('out', '_run')):
        Path(f'{folder}/face1{end}.png').rename(f'{folder}/a_run_1{end}.png')
    run('--metrics', 'psnr')
    assert 'a_run_1' in json.loads(Path('out_scores/scores.json').read_text())['images']


def test_a_forgotten_suffix_is_guessed(folders, capsys):
    assert 'is --suffix _run meant?' in refused(capsys, '--metrics', 'psnr', suffix='')
    assert 'is --suffix _run meant?' in refused(capsys, '--metrics', 'psnr', suffix='run')
    assert '--suffix _x: 6 of 6 names in out do not end with it' in refused(capsys, '--metrics', 'psnr', suffix='_x')


def test_images_that_cannot_be_used_are_left_out_and_named(folders, alexnet_file, capsys):
    write('out', 'face2_run', np.zeros((32, 64, 3), np.uint8))
    Path('out/face3_run.png').write_bytes(b'no image')
    Path('gt/face4.png').write_bytes(b'')
    message = refused(capsys, '--metrics', 'psnr', 'frechet_alex', '--weights', f'frechet_alex={alexnet_file}')
    assert message.startswith(
        'error: 3 images were left out of the scores: out/face2_run.png is 64x32 and gt/face2.png is 64x64'
    )
    assert message.count('out/face3_run.png: it is cut short or not an image') == 1
    assert 'gt/face4.png: it is empty' in message
    content = json.loads(Path('out_scores/scores.json').read_text())
    assert list(content['images']) == ['face0', 'face1', 'face5'] and len(content['left_out']) == 3
    assert content['metrics']['psnr']['n'] == 3
    assert content['metrics']['frechet_alex']['n'] == content['metrics']['frechet_alex']['n_reference'] == 5
    message = refused(capsys, '--metrics', 'frechet_alex', '--weights', f'frechet_alex={alexnet_file}', suffix='')
    assert message.startswith('error: 2 images were left out') and 'out/face3_run.png' in message  # of sets alone


def test_an_image_too_small_for_a_metric_is_left_out_and_named(folders, capsys):
    for folder, name in (('out', 'face1_run'), ('gt', 'face1')):
        write(folder, name, np.zeros((8, 8, 3), np.uint8))
    message = refused(capsys, '--metrics', 'psnr', 'ssim')
    assert (
        '1 images were left out of the scores: ssim of out/face1_run.png is not a number: 8x8 pixels are too' in message
    )
    assert json.loads(Path('out_scores/scores.json').read_text())['metrics']['ssim']['n'] == 5


def test_a_metric_that_gives_no_number_is_refused(folders, capsys, monkeypatch):
    monkeypatch.setattr('selfsr_plugin.scoring.calculate_metric', lambda data, settings: float('nan'))
    assert 'psnr of out/face0_run.png is not a number' in refused(capsys, '--metrics', 'psnr')


def test_names_that_are_not_utf8_are_written(folders, capsys):
    for folder, end in (('out', '_run'), ('gt', '')):
        os.rename(f'{folder}/face0{end}.png', os.fsdecode(folder.encode() + b'/caf\xe9' + end.encode() + b'.png'))
    os.rename('out', os.fsdecode(b'r\xe9sultats'))
    run('--metrics', 'psnr', '--output', os.fsdecode(b'\xe9valu\xe9'), restored=os.fsdecode(b'r\xe9sultats'))
    output = Path(os.fsdecode(b'\xe9valu\xe9'))
    assert r'caf\xe9' in json.loads((output / 'scores.json').read_text())['images']
    assert len(list(csv.DictReader(open(output / 'per_image.csv', encoding='utf-8')))) == 6
    Path(os.fsdecode(b'gt/caf\xe9.png')).unlink()
    assert r'have no reference (caf\xe9)' in refused(capsys, '--metrics', 'psnr', restored=os.fsdecode(b'r\xe9sultats'))


def test_one_image_has_no_set_metric(folders, alexnet_file, capsys):
    write('one', 'face0', cv2.imread('gt/face0.png'))
    arguments = ('--metrics', 'frechet_alex', '--weights', f'frechet_alex={alexnet_file}')
    assert 'there is 1 restored against 6 reference' in refused(capsys, *arguments, restored='one', suffix='')
    assert 'there is 6 restored against 1 reference' in refused(capsys, *arguments, reference='one', suffix='')


def test_weights_and_statistics_of_another_kind(folders, alexnet_file, capsys):
    message = refused(capsys, '--metrics', 'fid', '--weights', f'fid={alexnet_file}')
    assert f'{alexnet_file} does not hold the FID Inception network' in message
    np.savez('other.npz', mu=np.zeros(64), sigma=np.eye(64))
    arguments = ('--metrics', 'frechet_alex', '--weights', f'frechet_alex={alexnet_file}')
    message = refused(capsys, *arguments, reference='other.npz')
    assert 'other.npz holds statistics of shapes (64,) and (64, 64)' in message


def test_a_folder_that_does_not_exist(folders, capsys):
    assert 'nowhere does not exist' in refused(capsys, '--metrics', 'psnr', restored='nowhere')
    assert 'nowhere does not exist' in refused(capsys, '--metrics', 'psnr', reference='nowhere')


def test_nothing_to_save_is_said(folders, capsys):
    assert '--save-statistics: none of fid, frechet_alex is run' in refused(
        capsys, '--metrics', 'psnr', '--save-statistics'
    )


def test_weights_of_a_metric_that_is_not_run_are_refused(folders, capsys):
    message = refused(capsys, '--metrics', 'psnr', '--weights', f'lpips={__file__}')
    assert '--weights lpips=...: lpips is not among --metrics' in message
    assert not Path('out_scores').exists()


@pytest.mark.parametrize('metric', ['lpips', 'identity_lq', 'psnr'])
def test_what_comes_to_no_number_is_the_fault_of_weights_or_of_an_image(tmp_path, files, monkeypatch, metric):
    source = open_image_source(files.write_folder(tmp_path / 'faces', {'a': files.make_image(0)}))
    monkeypatch.setattr(scoring, 'calculate_metric', lambda *_: float('nan'))
    monkeypatch.setattr(scoring, 'face_similarity', lambda *_: float('nan'))
    settings, problems = {metric: {} if metric == 'identity_lq' else dict(type=f'calculate_{metric}')}, []
    score = lambda: scoring.score_faces(  # noqa: E731
        scoring.Folders(source, source, source), [scoring.Face('a', 0, 0, 0)], settings, problems
    )
    if metric == 'psnr':
        assert score() == {} and len(problems) == 1 and 'a.png is not a number: ' in problems[0]
    else:
        with pytest.raises(
            UserError, match=f'{metric} of .*a.png is not a number: the weights that it uses are broken'
        ):
            score()
