"""Rows are run: finished ones stay, killed ones resume, faulty ones stop no other, and the page says what there is."""

import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from basicsr.metrics import calculate_psnr
from basicsr.utils.logger import initialized_logger
from common_kit import refused
from reproduce_kit import ROOT, reproduce, reproduce_rows, reproduce_scoring, reproduce_training, score_files
from torchvision.models import alexnet


DEMO = ROOT / 'datasets/demo'


@pytest.fixture(scope='module')
def faces(tmp_path_factory):
    """Six HR faces of 128x128, six LR ones, and weights of AlexNet's shapes; their paths as command line."""
    folder = tmp_path_factory.mktemp('faces')
    for kind, origin, side in (('gt', 'test_hr', 128), ('lq', 'test_wild_lr', 24)):
        (folder / kind).mkdir()
        for path in sorted((DEMO / origin).iterdir())[:6]:
            image = cv2.resize(cv2.imread(str(path)), (side, side), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / kind / path.name), image)
    torch.manual_seed(0)
    weights = {f'features.{key}': value for key, value in alexnet(weights=None).features.state_dict().items()}
    torch.save(weights, folder / 'alexnet.pth')
    arguments = [f'--{split}-{kind}={folder / kind}' for split in ('train', 'test') for kind in ('gt', 'lq')]
    return [*arguments, f'--weights=lpips={folder / "alexnet.pth"}', '--budget=minutes']


def call(arguments, monkeypatch, folder):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, 'argv', ['reproduce.py', *arguments])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        reproduce.main()
    finally:
        torch.set_num_threads(threads)
        initialized_logger.clear()  # BasicSR keeps one logger for the process
        logging.getLogger('basicsr').handlers.clear()


def test_rows_run_once_resume_and_are_on_the_page(faces, tmp_path, monkeypatch, capsys):
    arguments = [
        *faces,
        '--output=out',
        '--divide=40000',
        '--seeds',
        '5',
        '6',
        '--lq-crop',
        '0.1',
        '0.1',
        '0.8',
        '--rows',
        'ff_idt',
        'paired_no_growth',
    ]
    score = reproduce.score

    def killed(row, *rest):
        if row == 'paired_no_growth':
            raise KeyboardInterrupt
        return score(row, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(reproduce, 'score', killed)
        with pytest.raises(SystemExit) as caught:
            call(arguments, patch, tmp_path)
        assert caught.value.code == 130
    out = tmp_path / 'out'
    finished = out / 'scores/ff_idt_seed5.json'
    assert json.loads(finished.read_text())['status'] == 'finished'
    assert json.loads((out / 'scores/paired_no_growth_seed5.json').read_text())['status'] == 'begun'
    before = finished.read_bytes()
    trained = []
    train = reproduce_training.train.main
    monkeypatch.setattr(
        reproduce_training.train, 'main', lambda argv: (trained.append(Path(argv[1]).stem), train(argv))
    )
    call(arguments, monkeypatch, tmp_path)
    # the finished run is left alone, the killed one goes on, and the row that is no headline runs with one seed
    assert trained == ['paired_no_growth_seed5', 'ff_idt_seed6']
    assert finished.read_bytes() == before
    log = ''.join(path.read_text() for path in (out / 'experiments/paired_no_growth_seed5').glob('*.log'))
    assert 'Resumed after iteration 4' in log

    expected = {}
    for row, seed in (('paired_no_growth', 5), ('bicubic_x8', None)):
        restored = out / 'restored' / (row if seed is None else f'{row}_seed{seed}')
        pairs = [
            (cv2.imread(str(path)), cv2.imread(str(out / 'data/test_gt_x8' / path.name))) for path in restored.iterdir()
        ]
        expected[row] = np.mean([calculate_psnr(*pair, 0, test_y_channel=True) for pair in pairs])
    page = (out / 'results.md').read_text()
    lines = {line.split(' | ')[0].strip('| '): line.split(' | ') for line in page.splitlines()}
    for row, value in expected.items():
        assert lines[row][2] == f'{value:.2f}'
    both = [
        json.loads((out / f'scores/ff_idt_seed{seed}.json').read_text())['scores']['frechet_alex']['value']
        for seed in (5, 6)
    ]
    assert lines['ff_idt'][1:3] == ['5, 6', f'{np.mean(both):.2f} ({min(both):.2f} to {max(both):.2f})']
    assert lines['vanilla'][2] == 'not run'
    assert [line for line in page.splitlines() if line.startswith('Images: ')] == [
        'Images: frechet_alex 6 against 6, PSNR-Y on clean pairs 6.',  # Table II, with the method in it
        'Images: frechet_alex 6 against 6, frechet_alex of degraded LR 6 against 6, PSNR-Y on clean pairs 6.',
        'Images: PSNR-Y 6, SSIM-Y 6, LPIPS 6, frechet_alex 6 against 6.',
    ]
    assert lines['maeda'][2] == 'not run'
    cost = json.loads((out / 'scores/ff_idt_seed5.json').read_text())['cost']
    stated = score_files.cost_of(dict(options=reproduce_rows.run_options('ff_idt', 3, 'minutes', 40000)))
    assert (cost['parameters'], cost['multiply_adds']) == stated and cost['faces_per_second'] > 0
    for sheet, columns in (('table3', 3), ('table3_degraded', 3), ('table4_paired', 4)):
        assert cv2.imread(str(out / f'pictures/{sheet}.png')).shape[1] == columns * 132

    capsys.readouterr()
    message = refused(capsys, lambda _: call([*faces, '--output=out'], monkeypatch, tmp_path))
    assert 'was made from other faces or with another --lq-crop' in message
    message = refused(capsys, lambda _: call([*arguments, '--divide=20000'], monkeypatch, tmp_path))
    assert 'ff_idt_seed5.json is of a run with other options' in message
    begun = out / 'scores/paired_no_growth_seed5.json'
    begun.write_text(json.dumps({**json.loads(begun.read_text()), 'status': 'begun', 'commit': 'another'}))
    message = refused(capsys, lambda _: call(arguments, monkeypatch, tmp_path))
    assert 'paired_no_growth_seed5.json is of a run that commit another began' in message


def test_an_hours_run_that_ends_with_an_error_stops_no_other_and_has_a_curve(faces, tmp_path, monkeypatch, capsys):
    train = reproduce_training.train.main

    def runs_out_of_luck(argv):
        if 'paired_full' in argv[1]:
            raise SystemExit(1)
        train(argv)

    monkeypatch.setattr(reproduce_training.train, 'main', runs_out_of_luck)
    monkeypatch.setattr(reproduce_rows, 'HOURS_WIDTHS', (8, 4, 4))  # instead of minutes
    val = [each.replace('--test-gt', '--val-gt') for each in faces if each.startswith('--test-gt')]
    hours = [*faces, *val, '--budget=hours', '--iterations=5', '--seeds', '0', '--output=out']
    message = refused(capsys, lambda _: call([*hours, '--rows', 'paired_full', 'vanilla'], monkeypatch, tmp_path))
    assert message.startswith('error: paired_full_seed0: ended with the errors above')
    scores = {
        row: json.loads((tmp_path / f'out/scores/{row}_seed0.json').read_text()) for row in ('paired_full', 'vanilla')
    }
    assert [scores[row]['status'] for row in ('paired_full', 'vanilla')] == ['stopped', 'finished']
    assert [point['iteration'] for point in scores['vanilla']['curve']] == [1, 2, 3, 4, 5]
    assert all(
        point['psnr'] > 0 and point['minutes'] > 0 and point['frechet_alex'] > 0 for point in scores['vanilla']['curve']
    )
    assert cv2.imread(str(tmp_path / 'out/results_cost_hours_x4.png')) is not None
    assert str(tmp_path) not in json.dumps(scores['vanilla']['options'])
    path = tmp_path / 'out/scores/vanilla_seed0.json'
    older = json.loads(path.read_text())
    measured = [point.pop('frechet_alex') for point in older['curve']]  # as version 0.2.0 wrote it
    older['curve'][0]['psnr'] = 7  # is not measured again
    path.write_text(json.dumps(older))
    lq = [each.replace('--test-lq', '--val-lq') for each in faces if each.startswith('--test-lq')]
    call([*hours, *lq, '--rows', 'vanilla'], monkeypatch, tmp_path)
    after = json.loads(path.read_text())
    assert [point['frechet_alex'] for point in after['curve']] == pytest.approx(measured)
    assert after['curve'][0]['psnr'] == 7
    # faces of the test are held back here, so that the last checkpoint has the row's own score
    real = [point['frechet_alex_real'] for point in after['curve']]
    assert real[-1] == pytest.approx(after['scores']['frechet_alex']['value']) and real[0] != real[-1]
    page = (tmp_path / 'out/results.md').read_text()
    assert '![results_cost_hours_x4.png](results_cost_hours_x4.png)' in page
    assert '# Budget: hours' in page and '| paired_full | 0 (ended by an error) | not run |' in page


def test_a_row_of_table_2_gets_the_minutes_of_the_method(faces, tmp_path, monkeypatch, capsys):
    arguments = [*faces, '--output=out', '--divide=40000', '--seeds=5', '--rows', 'srgan_no_vgg']
    message = refused(capsys, lambda _: call(arguments, monkeypatch, tmp_path))
    assert 'srgan_no_vgg gets as many minutes as ff_idt, of which no run in' in message
    monkeypatch.setattr(reproduce_training, 'TRIAL', 4)
    seconds, trial = [], reproduce_training.trial_seconds
    monkeypatch.setattr(reproduce_training, 'trial_seconds', lambda *given: seconds.append(trial(*given)) or 0.5)
    call([*arguments, '--least-minutes=0.1'], monkeypatch, tmp_path)
    assert 0 < seconds[0] < 60 and not list((tmp_path / 'out/experiments').glob('trial_*'))
    run = json.loads((tmp_path / 'out/scores/srgan_no_vgg_seed5.json').read_text())
    assert run['least'] == dict(iterations=8, minutes=0.1) and run['amount'] == 12  # 6 seconds, at 0.5 each
    totals = [opt['train']['total_iter'] for opt in (*run['earlier'], run['options'])]
    assert totals == [10, 2]  # 1,000,000 and 200,000 in the option files
    assert run['minutes'] > 0 and run['cost']['parameters'] == score_files.cost_of(dict(options=run['options']))[0]
    page = (tmp_path / 'out/results.md').read_text()
    assert '| srgan_no_vgg_seed5 | 10 + 2 | 8, 0.1 min | never | g num_feat 46 (64); d num_feat 16 (64); ' in page
    call([*arguments, '--least-minutes=7'], monkeypatch, tmp_path)  # what a run began with stays
    assert len(seconds) == 1 and 'srgan_no_vgg_seed5: finished before' in capsys.readouterr().out


def test_two_networks_restore_one_after_the_other(monkeypatch):
    asked = []

    def load(path):
        asked.append(f'{path.parent.parent.name}/{path.name}')
        return torch.nn.Identity()

    monkeypatch.setattr(reproduce_scoring, 'load', load)
    for row in ('maeda', 'cyc'):  # of which both have a network_clean
        reproduce_scoring.restoring_network(reproduce_rows.trainings(row, 0, 'minutes', 600)[-1], 7)
    assert asked == ['maeda_seed0/net_clean_7.pth', 'maeda_seed0/net_g_7.pth', 'cyc_seed0/net_g_7.pth']


def test_lr_faces_are_cut_where_asked(faces, tmp_path, monkeypatch):
    ramp = np.tile(np.arange(100, dtype=np.uint8)[None, :, None], (100, 1, 3))
    ramp[..., 1] = ramp[..., 1].T  # green grows downwards
    for kind in ('a', 'b'):
        (tmp_path / kind).mkdir()
        cv2.imwrite(str(tmp_path / kind / 'face.png'), ramp)
    args = SimpleNamespace(
        train_lq=str(tmp_path / 'a'),
        test_lq=str(tmp_path / 'b'),
        lq_crop=[0.135, 0.09, 0.74],
        test_gt=next(each.partition('=')[2] for each in faces if each.startswith('--test-gt')),
    )
    monkeypatch.chdir(tmp_path)
    reproduce.prepare(args)
    centres = (np.arange(16) + 0.5) * 74 / 16 - 0.5
    for kind in ('train_lq', 'test_lq'):
        face = cv2.imread(str(tmp_path / f'data/{kind}/face.png'))
        assert face.shape == (16, 16, 3)
        assert np.abs(face[8, :, 0] - (13.5 + centres)).max() <= 0.6  # rounded to 8 bits
        assert np.abs(face[:, 8, 1] - (9 + centres)).max() <= 0.6


@pytest.mark.parametrize(
    'changes, message',
    [
        (['--test-gt=nowhere'], 'nowhere'),
        (['--weights=lpips=no.pth'], 'there is no file no.pth: download'),
        (['--lq-crop', '0.5', '0', '0.6'], '--lq-crop 0.5 0 0.6: LEFT + SIDE'),
        (['--rows', 'dic', 'fsrnet'], '--rows dic: it learns from landmarks, give --landmarks'),
    ],
)
def test_bad_input_is_one_sentence_before_anything_is_trained(faces, tmp_path, monkeypatch, capsys, changes, message):
    given = [each for each in faces if each.partition('=')[0] != changes[0].partition('=')[0]]
    assert message in refused(capsys, lambda _: call([*given, *changes], monkeypatch, tmp_path))
    assert not list(tmp_path.glob('experiments/reproduce/experiments'))
