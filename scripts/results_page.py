"""The page of scripts/reproduce.py: its scores as tables, and which of the paper's orders show.

    python scripts/results_page.py --scores docs/scores --page docs/results.md

The score files may be of several calls, machines and budgets; there is a part of the page for each budget, and another
for what GPUs trained at it. A file of other options than its row has today is refused: that row is due again. Add a row
by its score file. What scripts/quality_claims.py has measured of degradation networks is on the page where its file
lies with the scores, and scripts/quality_cost.py draws their curves beside the page.

The paper's own figures stay out of the page: they are of other data and other budgets, and nobody here measured them.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from selfsr_plugin.errors import one_sentence_errors
from selfsr_plugin.options import read_option_file

from quality_cost import draw_costs
from reproduce_baselines import BASELINES
from reproduce_rows import OPTIONS, TABLE3, TABLE4
from score_files import Run, Runs, cost_of, read_scores, stages

BEGIN, END = '<!-- written by scripts/reproduce.py from here -->', '<!-- to here -->'

# The paper's figures, of which only the order is used; that of its FID is compared with frechet_alex's.
PAPER_TABLE1 = {  # CelebA: PSNR, SSIM, LPIPS, FID
    'bicubic_x8': (23.58, 0.6285, 0.5219, 159.06),
    'rdn': (26.13, 0.7412, 0.3135, 96.14),
    'fsrnet': (26.48, 0.7718, 0.2968, 94.39),
    'dic': (27.37, 0.7962, 0.2565, 89.24),
    'fsrgan': (25.06, 0.7311, 0.2342, 85.17),
    'fsrgan_no_vgg': (None, None, None, None),
    'pfsr': (24.43, 0.6991, 0.1500, 69.33),
    'dicgan': (26.34, 0.7562, 0.0840, 34.49),
    'paired_full': (26.59, 0.7696, 0.0726, 30.25),
    'unpaired_full': (23.42, 0.6539, 0.1141, 35.61),
}
PAPER_TABLE2 = {  # FID of the restored faces
    'bicubic_x4': (None,),
    'deepdeblur': (294.96,),
    'wavelet': (149.46,),
    'srgan': (126.75,),
    'srgan_no_vgg': (None,),
    'fsrnet_x4': (148.97,),
    'cyclegan': (37.63,),
    'bulat': (26.41,),
    'maeda': (33.19,),
    'ff_idt': (25.07,),
}
PAPER_TABLE3 = {  # FID of the restored faces, FID of the degraded ones
    'bicubic_x4': (None, None),
    'vanilla': (61.82, 24.28),
    'cyc': (33.73, 14.12),
    'cyc_idt': (29.94, 12.81),
    'ff': (None, None),
    'ff_idt': (25.07, 12.03),
}
PAPER_TABLE4 = {  # PSNR, SSIM, LPIPS, FID; bicubic from Table I
    'bicubic_x8': (23.58, 0.6285, 0.5219, 159.06),
    'paired_no_scb': (25.57, 0.7354, 0.1105, 37.12),
    'paired_no_growth': (25.83, 0.7426, 0.1023, 34.97),
    'paired_no_r1': (25.94, 0.7483, 0.0912, 33.46),
    'paired_full': (26.59, 0.7696, 0.0726, 30.25),
    'unpaired_no_scb': (22.72, 0.6101, 0.1523, 56.18),
    'unpaired_no_growth': (22.88, 0.6135, 0.1428, 52.67),
    'unpaired_no_r1': (23.64, 0.6660, 0.1238, 39.09),
    'unpaired_full': (23.42, 0.6539, 0.1141, 35.61),
}


class Metric(NamedTuple):
    key: str
    title: str
    digits: int


class Table(NamedTuple):
    """``metrics`` are the paper's columns, ``ours`` it does not have; ``pairs`` are the orders looked at."""

    title: str
    paper: dict[str, tuple[float | None, ...]]
    metrics: tuple[Metric, ...]
    ours: tuple[Metric, ...]
    pairs: tuple[tuple[str, str], ...]


FRECHET, FID = Metric('frechet_alex', 'frechet_alex', 2), Metric('fid', 'FID', 2)
PSNR_CLEAN = Metric('psnr_clean', 'PSNR-Y on clean pairs', 2)
PAIRED = (Metric('psnr', 'PSNR-Y', 2), Metric('ssim', 'SSIM-Y', 4), Metric('lpips', 'LPIPS', 4), FRECHET)
TABLES = (
    Table(
        'Table I: x8, 16x16 -> 128x128, bicubic LR',
        PAPER_TABLE1,
        PAIRED,
        (FID,),
        tuple(('paired_full', other) for other in ('dicgan', 'dic', 'pfsr', 'fsrgan', 'fsrnet', 'rdn', 'bicubic_x8')),
    ),
    Table(
        'Table II: real faces, x4, 16x16 -> 64x64',
        PAPER_TABLE2,
        (FRECHET,),
        (PSNR_CLEAN, FID),
        tuple(
            ('ff_idt', other) for other in ('bulat', 'maeda', 'cyclegan', 'srgan', 'fsrnet_x4', 'wavelet', 'deepdeblur')
        ),
    ),
    Table(
        'Table III: real faces, x4, 16x16 -> 64x64',
        PAPER_TABLE3,
        (FRECHET, Metric('frechet_alex_lq', 'frechet_alex of degraded LR', 3)),
        (PSNR_CLEAN, FID, Metric('fid_lq', 'FID of degraded LR', 2)),
        (('cyc', 'vanilla'), ('cyc_idt', 'cyc'), ('ff_idt', 'cyc_idt'), ('ff_idt', 'vanilla')),
    ),
    Table(
        'Table IV: x8, 16x16 -> 128x128, bicubic LR',
        PAPER_TABLE4,
        PAIRED,
        (FID,),
        (
            *(
                (f'{half}_full', f'{half}_{part}')
                for half in ('paired', 'unpaired')
                for part in ('no_scb', 'no_growth', 'no_r1')
            ),
            ('paired_full', 'unpaired_full'),
        ),
    ),
)
CLAIMS = (
    Metric('identity', 'identity kept', 3),
    Metric('colour', 'colour changed, CIELAB', 2),
    Metric('by_flow', 'share of the flow', 3),
    Metric('by_image', 'share of the image', 3),
    Metric('flow', 'flow, LR pixels', 3),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--scores', required=True, type=Path, metavar='DIR', help='score files, also in folders of it')
    parser.add_argument('--page', required=True, type=Path, metavar='FILE', help='what is outside its two marks stays')
    args = parser.parse_args()
    with one_sentence_errors():
        write_page(args.scores, args.page)


def write_page(scores: Path, page: Path) -> None:
    """Write what the score files below ``scores`` hold between the two marks of ``page``; all else in it stays.

    Raises:
        UserError: as :func:`read_scores`.
    """
    by_part, claims = read_scores(scores)
    page.parent.mkdir(parents=True, exist_ok=True)
    parts = [
        f'# Budget: {part}\n\n{generate(runs, draw_costs(runs, part, page))}' for part, runs in by_part.items() if runs
    ]
    parts += [claims_table(each) for each in claims]
    text = page.read_text(encoding='utf-8') if page.exists() else f'# Results\n\n{BEGIN}\n{END}\n'
    before, _, rest = text.partition(BEGIN)
    made = '\n\n'.join(parts)
    page.write_text(f'{before}{BEGIN}\n\n{made}\n{END}{rest.partition(END)[2] or chr(10)}', encoding='utf-8')
    print(f'The results are in {page}.')


# ----- the page -----


def generate(runs: Runs, pictures: list[str]) -> str:
    """The section of a budget as Markdown; ``pictures`` lie beside the page."""
    every = [run for each in runs.values() for run in each]
    trained = [run for run in every if run['options']]
    parts = [conditions([run for run in every if run['status'] == 'finished'])]
    for table in TABLES:
        if any(run['options'] for row in table.paper for run in runs.get(row, [])):
            parts += [f'## {table.title}', results(table, runs), orders(table, runs)]
    if pictures:
        said = (
            'What the checkpoints of the runs restore of people held back, over the minutes of training so far and '
            'over the multiply-adds of a face (at the full scale; a row is upright there, from its first checkpoint to '
            'its last, the larger mark). Runs without such checkpoints are not drawn.'
        )
        parts += ['## Quality against cost', said, *(f'![{name}]({name})' for name in pictures)]
    return '\n\n'.join([*parts, '## Runs', markdown(budget(trained)), *curves(trained)]) + '\n'


def markdown(lines: list[list[str]]) -> str:
    """A table of its lines, of which the first is its head."""
    lines = [lines[0], ['---'] * len(lines[0]), *lines[1:]]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def conditions(every: list[Run]) -> str:
    """What the figures rest on, as a list."""

    def said(values: Iterable[Any]) -> str:
        return ', '.join(sorted({str(value) for value in values})) or 'none'

    batch = said(run['options']['datasets']['train']['batch_size_per_gpu'] for run in every if run['options'])
    crops = said(' '.join(f'{share:g}' for share in run['lq_crop']) for run in every)
    faces = {key: said(run['faces'][key] for run in every) for key in ('train_gt', 'train_lq', 'test_gt', 'test_lq')}
    lines = [
        f'batch {batch}; iterations in the table of runs',
        'faces (number, hash of the names): ' + '; '.join(f'{key} {value}' for key, value in faces.items()),
        f'LR crop (left, top, side): {crops}',
        f'hardware: {said(run["hardware"] for run in every)}; PyTorch {said(run["torch"] for run in every)}',
        f'date: {said(run["date"] for run in every)}',
    ]
    return '\n'.join(f'- {line}' for line in lines)


def values(runs: Runs, row: str, key: str) -> list[float]:
    return [float(run['scores'][key]['value']) for run in runs.get(row, []) if key in run.get('scores', {})]


def seeds_of(runs: list[Run]) -> str:
    """The seeds, each with what became of it where that is not a whole run."""
    marks = {'begun': ' (cut)', 'stopped': ' (ended by an error)', 'finished': ''}
    return ', '.join(
        f'{run["seed"]}{marks[run["status"]]}' + ' (collapsed)' * bool(run.get('collapsed'))
        for run in runs
        if run['seed'] is not None
    )


def results(table: Table, runs: Runs) -> str:
    """Means, in brackets the smallest and the largest over the seeds; and what the rows cost."""
    there = [metric for metric in table.ours if any(values(runs, row, metric.key) for row in table.paper)]
    metrics = [*table.metrics, *there]
    costs = ['parameters', 'multiply-adds', 'minutes', 'faces/s']
    lines = [['row', 'seeds', *(metric.title for metric in metrics), *costs]]
    for row in table.paper:
        found = runs.get(row, [])
        cells = [cell(found, metric) for metric in metrics]
        lines.append([row, seeds_of(found), *cells, *cost_cells(found)])
    said = 'Parameters and multiply-adds are of the network at the size that was run, for one face.'
    return f'{markdown(lines)}\n\nImages: {sizes(table, metrics, runs)}.\n\n{said}'


def cell(runs: list[Run], metric: Metric) -> str:
    """A metric of a row: its mean and spread, or why there is none."""
    finished = [run for run in runs if run['status'] == 'finished']
    if not finished:
        return 'not run'
    found = [float(run['scores'][metric.key]['value']) for run in finished if metric.key in run['scores']]
    if not found:
        return 'not scored'
    lacking = f', {len(found)} of {len(finished)} runs' if len(found) < len(finished) else ''
    return spread(found, metric.digits) + lacking


def cost_cells(runs: list[Run]) -> list[str]:
    trained = [run for run in runs if run['options']]
    if not trained:
        return ['-'] * 4
    parameters, multiply_adds = cost_of(trained[0])
    minutes = [run['minutes'] for run in trained if run.get('minutes') is not None]
    speed = [run['cost']['faces_per_second'] for run in trained if 'cost' in run]
    return [
        f'{parameters:,}',
        f'{multiply_adds / 1e9:.3f} G',
        spread(minutes, 1) if minutes else '-',
        spread(speed, 0) if speed else '-',
    ]


def sizes(table: Table, metrics: list[Metric], runs: Runs) -> str:
    """N of every metric, which is part of what a distance of sets means."""
    said = []
    for metric in metrics:
        found = {
            (each['n'], each.get('n_reference'))
            for row in table.paper
            for run in runs.get(row, [])
            for key, each in run.get('scores', {}).items()
            if key == metric.key
        }
        for n, reference in sorted(found, key=str):
            said.append(f'{metric.title} {n}' + (f' against {reference}' if reference else ''))
    return ', '.join(said) or 'none'


def spread(found: list[float], digits: int) -> str:
    mean = f'{sum(found) / len(found):.{digits}f}'
    return mean if len(found) == 1 else f'{mean} ({min(found):.{digits}f} to {max(found):.{digits}f})'


def orders(table: Table, runs: Runs) -> str:
    """Whether rows stand to each other as in the paper.

    A difference of means counts if it is larger than the largest spread over seeds of any row of the table; this is
    ours, and coarse, but two seeds do not allow more.
    """
    noise = {}
    for metric in table.metrics:
        repeated = [found for row in table.paper if len(found := values(runs, row, metric.key)) > 1]
        # One value for all seeds is no run's: LR faces of rows without stage 1 are the clean ones.
        differences = [max(found) - min(found) for found in repeated if len(set(found)) > 1]
        noise[metric] = max(differences, default=None)
    lines = [['difference', *(metric.title for metric in table.metrics)]]
    counts = {'shows': 0, 'reversed': 0, 'not seen': 0}
    for a, b in table.pairs:
        cells = []
        for column, metric in enumerate(table.metrics):
            ours = [values(runs, row, metric.key) for row in (a, b)]
            paper = 'higher' if table.paper[a][column] > table.paper[b][column] else 'lower'
            if not all(ours):
                cells.append(f'not run (paper: {paper})')
                continue
            found = sum(ours[0]) / len(ours[0]) - sum(ours[1]) / len(ours[1])
            if noise[metric] is None:
                verdict = 'no spread'
            else:
                same = (found > 0) == (paper == 'higher')
                verdict = 'not seen' if abs(found) <= noise[metric] else 'shows' if same else 'reversed'
                counts[verdict] += 1
            cells.append(f'{verdict} ({found:+.{metric.digits}f}; paper: {paper})')
        lines.append([f'{a} - {b}', *cells])
    if not sum(counts.values()):
        return (
            'No order of the paper can be told yet: that takes both rows, and two seeds of some row. Differences of '
            f'means:\n\n{markdown(lines)}'
        )
    known = [f'{metric.title} {value:.{metric.digits}f}' for metric, value in noise.items() if value is not None]
    summary = (
        f'Orders of the paper at this budget: {counts["shows"]} shown, {counts["reversed"]} reversed, '
        f'{counts["not seen"]} not seen, where the difference is no larger than the largest spread over the seeds of '
        f'one row ({", ".join(known)}). '
        'Differences of means:'
    )
    return f'{summary}\n\n{markdown(lines)}'


def budget(trained: list[Run]) -> list[list[str]]:
    """What each run was: iterations of its trainings or stages, what it got at the least, sizes that are not its
    file's, minutes."""
    lines = [['run', 'iterations', 'at least', 'grows at', 'sizes (of the file)', 'minutes', 'commit']]
    for run in trained:
        options = [*run.get('earlier', []), run['options']]
        iterations = [total for opt in options for total in stages(opt)]
        opt = run['options']['train']
        grow_at = opt.get('sr', opt).get('grow_at') or []
        least = run.get('least')
        minutes = run.get('minutes')
        lines.append(
            [
                run['options']['name'],
                ' + '.join(map(str, iterations)),
                f'{least["iterations"]}, {least["minutes"]:.1f} min' if least else '-',
                ', '.join(map(str, grow_at)) or 'never',
                '; '.join(changed_sizes(run['row'], run['options'])) or 'as they are',
                f'{minutes:.1f}'
                if minutes is not None
                else 'resumed'
                if run['status'] == 'finished'
                else run['status'],
                run['commit'],
            ]
        )
    return lines


def changed_sizes(row: str, opt: dict[str, Any]) -> list[str]:
    """What of the networks is not as in the row's option file, which has the published sizes."""
    file = BASELINES[row].files[-1] if row in BASELINES else {**TABLE3, **TABLE4}[row]
    theirs = read_option_file(str(OPTIONS / file))
    return [
        f'{label.removeprefix("network_")} {key} {value} ({theirs[label].get(key)})'
        for label, net in opt.items()
        if label.startswith('network_')
        for key, value in net.items()
        if theirs[label].get(key) != value
    ]


def curves(trained: list[Run]) -> list[str]:
    """What the checkpoints score on the validation faces: a title and tables, if runs have them."""
    drawn = [run for run in trained if run.get('curve')]
    if not drawn:
        return []
    said = (
        'LPIPS / PSNR-Y on clean LR faces of people held back, of the last checkpoint up to each part of the training '
        'of the network that restores.'
    )
    parts = [f'{said}\n\n{curve_table(drawn, {"lpips": 4, "psnr": 2})}']
    real = [run for run in drawn if any('frechet_alex_real' in point for point in run['curve'])]
    if real:
        said = 'The same of real LR faces held back, which have no ground truth: frechet_alex against other HR faces.'
        parts.append(f'{said}\n\n{curve_table(real, {"frechet_alex_real": 2})}')
    return ['## On the way', *parts]


def curve_table(drawn: list[Run], digits: dict[str, int]) -> str:
    tenths = range(1, 11)
    lines = [['run', *(f'{10 * tenth} %' for tenth in tenths)]]
    for run in drawn:
        opt = run['options']
        before = sum(each['train']['total_iter'] for each in run.get('earlier', []) if 'network_g' not in each)
        before += opt['train'].get('degradation', {}).get('total_iter', 0)
        total = sum(each['train']['total_iter'] for each in [*run.get('earlier', []), opt])
        cells = []
        for tenth in tenths:
            limit = before + (total - before) * tenth / 10
            reached = [point for point in run['curve'] if point['iteration'] <= limit + 0.5]
            last = reached[-1] if reached else {}
            cells.append(' / '.join(f'{last[key]:.{count}f}' for key, count in digits.items() if key in last))
        lines.append([opt['name'], *cells])
    return markdown(lines)


def claims_table(content: dict[str, Any]) -> str:
    """What scripts/quality_claims.py has measured: means over seeds, in brackets the smallest and the largest."""
    lines = [['networks', 'seeds', *(metric.title for metric in CLAIMS)]]
    for name, each in content['claims'].items():
        cells = []
        for metric in CLAIMS:
            found = [seed[metric.key] for seed in each if seed.get(metric.key) is not None]
            cells.append(spread(found, metric.digits) if found else '-')
        lines.append([name, str(len(each)), *cells])
    said = '\n'.join(f'- {line}' for line in content['conditions'])
    return f'# What degradation keeps\n\n{said}\n\n{markdown(lines)}'


if __name__ == '__main__':
    main()
