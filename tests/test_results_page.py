"""The page of results says what there is: orders with their spread, curves, and no score of another run."""

import json
import sys

import pytest
from reproduce_kit import reproduce_rows, results_page


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
                hardware='CPU',
                torch='t',
                date='d',
                options=reproduce_rows.run_options(row, seed, 'minutes', 600),
            )
            (folder / f'{row}_seed{seed}.json').write_text(json.dumps(run))


def test_what_a_gpu_trained_stands_beside_the_cpus(tmp_path):
    """bf16 beside single precision; bicubic faces, which nobody trains, stand in both."""
    for part, value in (('cpu', 20), ('gpu', 30)):
        write_scores(tmp_path / part, {'vanilla': [dict(frechet_alex=value)]})
    for path, changed in (
        (tmp_path / 'gpu/vanilla_seed0.json', dict(hardware='NVIDIA H100')),
        (tmp_path / 'cpu/vanilla_seed0.json', dict(hardware='CPU, 1 of 2 cores')),
        (tmp_path / 'cpu/bicubic_x4.json', dict(row='bicubic_x4', seed=None, options=None, hardware='CPU')),
    ):
        run = json.loads((path if path.exists() else tmp_path / 'cpu/vanilla_seed0.json').read_text())
        path.write_text(json.dumps({**run, **changed}))
    results_page.write_page(tmp_path, tmp_path / 'page.md')
    cpu, gpu = (tmp_path / 'page.md').read_text().split('# Budget: minutes, on a GPU\n')
    assert '| vanilla | 0 | 20.00 |' in cpu and '| vanilla | 0 | 30.00 |' in gpu
    assert all('| bicubic_x4 |' in part for part in (cpu, gpu))


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
    assert 'Orders of the paper at this budget: 5 shown, 2 reversed, 1 not seen' in text
    assert '| vanilla | 0, 1 | 21.00 (20.00 to 22.00) | 5.000 (5.000 to 5.000) |' in text
    again = page.read_bytes()
    results_page.write_page(tmp_path / 'scores', page)
    assert page.read_bytes() == again


def test_without_a_second_seed_no_order_is_claimed(tmp_path):
    write_scores(tmp_path / 'scores', {'paired_full': [dict(psnr=25.0)], 'paired_no_r1': [dict(psnr=20.0)]})
    results_page.write_page(tmp_path / 'scores', tmp_path / 'page.md')
    page = (tmp_path / 'page.md').read_text()
    assert 'No order of the paper can be told yet' in page and 'Orders of the paper at' not in page
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


@pytest.mark.parametrize(
    'earlier, train, before, total',
    [
        ([], dict(total_iter=100), 0, 100),
        ([], dict(total_iter=100, degradation=dict(total_iter=40)), 40, 100),  # stage 1 restores nothing
        ([dict(train=dict(total_iter=40), network_g={})], dict(total_iter=60), 0, 100),  # FSRNet, then FSRGAN
        ([dict(train=dict(total_iter=40), network_hg={})], dict(total_iter=60), 40, 100),  # a hourglass, then DIC
    ],
)
def test_tenths_of_a_curve_are_those_of_the_training_of_the_network_that_restores(earlier, train, before, total):
    points = [dict(iteration=iteration, lpips=iteration) for iteration in range(before + 1, total + 1)]
    run = dict(options=dict(name='r', train=train), earlier=earlier, curve=points)
    row = results_page.curve_table([run], {'lpips': 0}).splitlines()[-1]
    assert row == f'| r | {" | ".join(str(before + (total - before) * tenth // 10) for tenth in range(1, 11))} |'


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
