"""Tables III and IV in small: rows differ in what they are about, finished ones stay, the page says what there is."""

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
from reproduce_kit import (
    ROOT,
    reproduce,
    reproduce_baselines,
    reproduce_rows,
    reproduce_scoring,
    results_page,
    score_files,
)
from torchvision.models import alexnet

from selfsr_plugin.options import read_option_file

DEMO = ROOT / 'datasets/demo'


# ----- what a run is -----


def options(row, budget='minutes', amount=600):
    return reproduce_rows.run_options(row, 3, budget, amount, 'hr', 'lr')


def flat(node, key=''):
    if isinstance(node, dict):
        return {name: value for part, below in node.items() for name, value in flat(below, f'{key}{part}.').items()}
    return {key[:-1]: node}


def differences(a, b):
    a, b = flat(options(*a)), flat(options(*b))
    return {key for key in a.keys() | b.keys() if a.get(key, 'none') != b.get(key, 'none')} - {'name'}


@pytest.mark.parametrize('budget', reproduce_rows.BUDGETS)
@pytest.mark.parametrize('half', ['paired', 'unpaired'])
@pytest.mark.parametrize(
    'part, key', [('no_scb', 'network_g.condition'), ('no_growth', 'train.grow_at'), ('no_r1', 'train.r1_reg_weight')]
)
def test_rows_of_table_4_differ_from_the_full_method_in_their_part_alone(budget, half, part, key):
    assert differences((f'{half}_{part}', budget), (f'{half}_full', budget)) == {key}


@pytest.mark.parametrize('budget', reproduce_rows.BUDGETS)
def test_rows_of_table_3_share_stage_2(budget):
    rows = {row: options(row, budget) for row in reproduce_rows.TABLE3}
    same = dict(supervision='any', lq_from_gt='any')
    stage2 = [{**opt['train'].get('sr', opt['train']), **same} for opt in rows.values()]
    assert all(other == stage2[0] for other in stage2)
    assert len({json.dumps([opt['network_g'], opt['network_d']]) for opt in rows.values()}) == 1
    for row in ('ff', 'cyc'):
        found = differences((row, budget), (f'{row}_idt', budget))
        found -= {'train.degradation.nonfinite', 'train.sr.nonfinite', 'train.sr.lq_noise'}
        assert found and all(key.startswith('train.degradation.identity_opt') for key in found)
        assert rows[row]['train']['degradation']['identity_opt'] is None


def flat_networks(opt):
    return {key: value for key, value in flat(opt).items() if key.startswith('network_')}


@pytest.mark.parametrize('row', reproduce_baselines.BASELINES)
def test_rows_of_tables_1_and_2_get_the_iterations_and_the_batch_of_the_method(row):
    files = reproduce_baselines.BASELINES[row].files
    for budget, amount in (('minutes', 600), ('hours', 5000), ('full', 20)):
        method = options(reproduce_rows.method_of(row), budget, amount)
        iterations = reproduce_rows.least_iterations(row, budget, amount)
        assert iterations == method['train']['total_iter']
        found = reproduce_rows.trainings(row, 3, budget, iterations)
        assert sum(opt['train']['total_iter'] for opt in found) == iterations and len(found) == len(files)
        batches = {opt['datasets']['train']['batch_size_per_gpu'] for opt in (*found, method)}
        assert len(batches) == 1
        for opt, file in zip(found, files):
            theirs = flat_networks(read_option_file(str(ROOT / 'options' / file)))
            assert (flat_networks(opt) == theirs) == (budget == 'full')
        started = [value for opt in found[1:] for key, value in opt['path'].items() if key.startswith('pretrain_')]
        assert [value.split('/')[1] for value in started] == [opt['name'] for opt in found[:-1]]


def test_no_row_of_tables_1_and_2_has_a_smaller_network_than_the_method():
    def multiply_adds(opt):
        return score_files.cost_of(dict(options=opt))[1]

    for row in reproduce_baselines.BASELINES:
        if row.endswith('_no_vgg') or row in ('fsrgan', 'dicgan'):
            continue  # networks of others
        ours = multiply_adds(options(reproduce_rows.method_of(row), 'hours', 5000))
        theirs = multiply_adds(reproduce_rows.trainings(row, 3, 'hours', 5000)[-1])
        assert 1 <= theirs / ours <= 1.3, row


@pytest.mark.parametrize('row', ['vanilla', 'ff_idt', 'cyc', 'bulat', 'dicgan'])
def test_a_gpu_changes_how_a_row_is_computed_and_nothing_else(row, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written = []
    monkeypatch.setattr(reproduce.train, 'main', lambda argv: written.append(read_option_file(argv[1])))
    for gpu in (False, True):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda gpu=gpu: gpu)
        assert reproduce.train_all(reproduce_rows.trainings(row, 0, 'hours', 100))
    half = len(written) // 2
    data = ('datasets.train.num_worker_per_gpu', 'datasets.train.pin_memory')
    for cpu, gpu in zip(written[:half], written[half:], strict=True):
        changed = {key for key, value in flat(gpu).items() if value != flat(cpu).get(key)} - set(data)
        stages = [each for each in ('degradation', 'sr') if each in cpu['train']]
        sections = [f'train.{each}' for each in stages] or ['train']
        assert changed == {f'{each}.{key}' for each in sections for key in ('channels_last', 'cuda_graphs')}


def test_iterations_are_the_papers_divided():
    full = options('unpaired_full', 'full', 400)
    assert (full['train']['total_iter'], full['train']['grow_at']) == (700, [100, 300])
    method = options('ff_idt', 'full', 1000)['train']
    assert (method['total_iter'], method['degradation']['total_iter'], method['sr']['total_iter']) == (340, 180, 160)
    assert method['degradation']['scheduler']['decay_from'] == 90 and method['sr']['grow_at'] == [60]
    assert 'scheduler' not in method['sr']  # the full networks keep the constant rate of the paper
    assert options('ff_idt', 'full')['network_g']['widths'] == [384, 192]
    assert options('paired_full')['network_g']['widths'] == [64, 16, 8]


# ----- what a run does -----


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
    train = reproduce.train.main
    monkeypatch.setattr(reproduce.train, 'main', lambda argv: (trained.append(Path(argv[1]).stem), train(argv)))
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
    stated = score_files.cost_of(dict(options=options('ff_idt', 'minutes', 40000)))
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
    train = reproduce.train.main

    def runs_out_of_luck(argv):
        if 'paired_full' in argv[1]:
            raise SystemExit(1)
        train(argv)

    monkeypatch.setattr(reproduce.train, 'main', runs_out_of_luck)
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
    monkeypatch.setattr(reproduce, 'TRIAL', 4)
    seconds, trial = [], reproduce.trial_seconds
    monkeypatch.setattr(reproduce, 'trial_seconds', lambda *given: seconds.append(trial(*given)) or 0.5)
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
    assert message in refused(capsys, lambda _: call([*faces, *changes], monkeypatch, tmp_path))
    assert not list(tmp_path.glob('experiments/reproduce/experiments'))


# ----- what the page says -----


def write_scores(folder, figures):
    folder.mkdir()
    for row, seeds in figures.items():
        for seed, scores in enumerate(seeds):
            run = dict(
                row=row,
                seed=seed,
                status='finished',
                budget='minutes',
                amount=600,
                commit='c',
                faces={f'{split}_{kind}': '1' for split in ('train', 'test') for kind in ('gt', 'lq')},
                scores={key: dict(value=value, n=7) for key, value in scores.items()},
                minutes=1.0,
                lq_crop=[0, 0, 1],
                hardware='h',
                torch='t',
                date='d',
                options=reproduce_rows.run_options(row, seed, 'minutes', 600),
            )
            (folder / f'{row}_seed{seed}.json').write_text(json.dumps(run))


def test_orders_are_compared_with_the_spread_over_seeds(tmp_path):
    def scores(value, lr):
        return dict(frechet_alex=value, frechet_alex_lq=lr)

    write_scores(
        tmp_path / 'scores',
        {
            'vanilla': [scores(20, 5), scores(22, 5)],
            'cyc': [scores(15, 9)],
            'cyc_idt': [scores(14, 4.9), scores(14, 5.1)],
            'ff_idt': [scores(17, 1), scores(17, 1)],
        },
    )
    page = tmp_path / 'page.md'
    page.write_text(f'# Mine\n\nbefore\n\n{results_page.BEGIN}\nold\n{results_page.END}\n\nafter\n')
    results_page.write_page(tmp_path / 'scores', page)
    text = page.read_text()
    assert text.startswith('# Mine\n\nbefore\n') and text.endswith('\n\nafter\n') and '\nold\n' not in text
    # spreads: 2 of frechet_alex (vanilla), 0.2 of the other (cyc_idt)
    assert '| cyc - vanilla | shows (-6.00; paper: lower) | reversed (+4.000; paper: lower) |' in text
    assert '| cyc_idt - cyc | not seen (-1.00; paper: lower) | shows (-4.000; paper: lower) |' in text
    assert '| ff_idt - cyc_idt | reversed (+3.00; paper: lower) | shows (-4.000; paper: lower) |' in text
    assert 'Of 8 orders of the paper, 5 show at this budget, 2 are reversed, and 1 are not seen' in text
    assert '| vanilla | 0, 1 | 21.00 (20.00 to 22.00) | 5.000 (5.000 to 5.000) |' in text
    again = page.read_bytes()
    results_page.write_page(tmp_path / 'scores', page)
    assert page.read_bytes() == again


def test_without_a_second_seed_no_order_is_claimed(tmp_path):
    write_scores(tmp_path / 'scores', {'paired_full': [dict(psnr=25.0)], 'paired_no_r1': [dict(psnr=20.0)]})
    results_page.write_page(tmp_path / 'scores', tmp_path / 'page.md')
    page = (tmp_path / 'page.md').read_text()
    assert '| paired_full - paired_no_r1 | no spread (+5.00; paper: higher) | not run (paper: higher) |' in page
    assert '| paired_full | 0 | 25.00 | not scored | not scored | not scored | 141,713 | 0.228 G | 1.0 | - |' in page


def test_curves_are_drawn_where_they_were_measured(tmp_path):
    write_scores(tmp_path / 'scores', {'ff_idt': [dict(frechet_alex=1.0)]})
    path = tmp_path / 'scores/ff_idt_seed0.json'
    run = json.loads(path.read_text())
    stage1, grow_at = run['options']['train']['degradation']['total_iter'], run['options']['train']['sr']['grow_at'][0]
    before = dict(iteration=stage1 + grow_at, minutes=None, lpips=0.5, psnr=20.0)
    after = dict(iteration=stage1 + grow_at + 1, minutes=2.0, lpips=0.4, psnr=21.0)
    run['curve'] = [before, after]
    quality_cost = sys.modules['quality_cost']
    assert quality_cost.points([run], 'lpips', 'minutes') == {'ff_idt_seed0': [(2.0, 0.4)]}
    (point,) = quality_cost.points([run], 'lpips', 'multiply_adds')['ff_idt_seed0']  # x2 is cheaper than x4
    assert point == (pytest.approx(0.1848, abs=1e-4), 0.4)
    assert quality_cost.points([run], 'frechet_alex', 'minutes') == {}
    path.write_text(json.dumps(run))
    results_page.write_page(tmp_path / 'scores', tmp_path / 'page.md')
    assert (tmp_path / 'page_cost_minutes_x4.png').exists() and not (tmp_path / 'page_cost_minutes_x8.png').exists()
    assert '0.4000 / 21.00' in (tmp_path / 'page.md').read_text()


def test_how_a_score_was_computed_does_not_part_it_from_its_row(tmp_path):
    """An option file of today has more such keys than one of yesterday."""
    write_scores(tmp_path / 'scores', {'paired_full': [dict(psnr=25.0)]})
    path = tmp_path / 'scores/paired_full_seed0.json'
    run = json.loads(path.read_text())
    del run['options']['train']['cuda_graphs']
    run['options']['train']['compile'] = True
    path.write_text(json.dumps(run))
    results_page.write_page(tmp_path / 'scores', tmp_path / 'page.md')


def test_one_value_for_all_seeds_is_no_spread(tmp_path):
    """Vanilla has no stage 1: its LR faces are the clean ones, whatever the seed."""
    clean = [dict(frechet_alex=5.0 + seed, frechet_alex_lq=2.0) for seed in range(2)]
    write_scores(tmp_path / 'scores', {'vanilla': clean, 'ff_idt': [dict(frechet_alex=1.0, frechet_alex_lq=1.0)]})
    results_page.write_page(tmp_path / 'scores', tmp_path / 'page.md')
    expected = '| ff_idt - vanilla | shows (-4.50; paper: lower) | no spread (-1.000; paper: lower) |'
    assert expected in (tmp_path / 'page.md').read_text()


def _change(run):
    run['options']['train']['pixel_opt']['loss_weight'] = 7.0


@pytest.mark.parametrize(
    'spoil, message',
    [
        (_change, r'paired_full_seed0.json: its run had train:pixel_opt:loss_weight 7.0, and the row'),
        (lambda run: run.pop('hardware'), r'paired_full_seed0.json lacks hardware: it was not written whole'),
        (lambda run: run.update(row='x'), r'paired_full_seed0.json is of row x, budget minutes, which'),
        (lambda run: run.update(seed=1) or run['options'].update(name='paired_full_seed1', manual_seed=1), 'same row'),
        (None, r'paired_full_seed0.json is no whole JSON file'),
    ],
)
def test_score_files_of_other_runs_and_broken_ones_are_refused_by_name(tmp_path, spoil, message):
    write_scores(tmp_path / 'scores', {'paired_full': [dict(psnr=25.0), dict(psnr=25.0)]})
    path = tmp_path / 'scores/paired_full_seed0.json'
    run = json.loads(path.read_text())
    if spoil is not None:
        spoil(run)
    path.write_text(json.dumps(run)[: None if spoil else 100])
    with pytest.raises(ValueError, match=message):
        results_page.write_page(tmp_path / 'scores', tmp_path / 'page.md')
