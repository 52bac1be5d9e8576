"""The page of scripts/reproduce.py: its scores as tables, and which of the paper's orders show.

    python scripts/results_page.py --scores docs/scores --page docs/results.md

The score files may be of several calls, machines and budgets; there is a part of the page for each budget. A file of
other options than its row has today is refused: that row is due again. Add a row by its score file.

The paper's own figures stay out of the page: they are of other data and other budgets, and nobody here measured them.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from selfsr_plugin.errors import UserError, one_sentence_errors

from reproduce_rows import BUDGETS, run_options

BEGIN, END = '<!-- written by scripts/reproduce.py from here -->', '<!-- to here -->'

# The paper's figures, of which only the order is used; that of its FID is compared with frechet_alex's.
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
TABLES = (
    Table(
        'Table III: real faces, x4, 16x16 -> 64x64',
        PAPER_TABLE3,
        (FRECHET, Metric('frechet_alex_lq', 'frechet_alex of degraded LR', 3)),
        (Metric('psnr_clean', 'PSNR-Y on clean pairs', 2), FID, Metric('fid_lq', 'FID of degraded LR', 2)),
        (('cyc', 'vanilla'), ('cyc_idt', 'cyc'), ('ff_idt', 'cyc_idt'), ('ff_idt', 'vanilla')),
    ),
    Table(
        'Table IV: x8, 16x16 -> 128x128, bicubic LR',
        PAPER_TABLE4,
        (Metric('psnr', 'PSNR-Y', 2), Metric('ssim', 'SSIM-Y', 4), Metric('lpips', 'LPIPS', 4), FRECHET),
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

Runs = dict[str, list[dict[str, Any]]]


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
        UserError: there is none, or one is not of the options that its row has today.
    """
    budgets: dict[str, Runs] = {budget: {} for budget in BUDGETS}
    for path in sorted(scores.rglob('*.json')):
        run = json.loads(path.read_text(encoding='utf-8'))
        if not isinstance(run, dict) or 'row' not in run:
            continue  # scores.json of evaluate
        check_options(path, run)
        budgets[run['budget']].setdefault(run['row'], []).append(run)
    parts = [f'# Budget: {budget}\n\n{generate(runs)}' for budget, runs in budgets.items() if runs]
    if not parts:
        raise UserError(f'{scores}: there is no score file of scripts/reproduce.py.')
    text = page.read_text(encoding='utf-8') if page.exists() else f'# Results\n\n{BEGIN}\n{END}\n'
    before, _, rest = text.partition(BEGIN)
    page.parent.mkdir(parents=True, exist_ok=True)
    made = '\n\n'.join(parts)
    page.write_text(f'{before}{BEGIN}\n\n{made}\n{END}{rest.partition(END)[2] or chr(10)}', encoding='utf-8')
    print(f'The results are in {page}.')


def check_options(path: Path, run: dict[str, Any]) -> None:
    """Raises: UserError, naming the first option in which the run differs from its row."""
    if run['seed'] is None:
        return
    expected = flat(run_options(run['row'], run['seed'], run['budget'], run['amount']))
    found = flat(run['options'])
    for key in [*expected, *found]:
        if expected.get(key) != found.get(key):
            raise UserError(
                f'{path}: its run had {key} {found.get(key)!r}, and the row {run["row"]} has {expected.get(key)!r} '
                'today: run it again, or take the file away.'
            )


def flat(node: Any, key: str = '') -> dict[str, Any]:
    """The values of nested dictionaries by keys with colons, as --force_yml has them."""
    if not isinstance(node, dict):
        return {key: node}
    return {
        name: value for part, below in node.items() for name, value in flat(below, f'{key}:{part}'.strip(':')).items()
    }


def generate(runs: Runs) -> str:
    """The section as Markdown."""
    every = [run for each in runs.values() for run in each]
    trained = [run for run in every if run['options']]
    parts = [conditions([run for run in every if run['status'] == 'finished'])]
    for table in TABLES:
        if any(run['options'] for row in table.paper for run in runs.get(row, [])):
            parts += [f'## {table.title}', results(table, runs), orders(table, runs)]
    return '\n\n'.join([*parts, '## Runs', budget(trained), *curves(trained)]) + '\n'


def conditions(every: list[dict[str, Any]]) -> str:
    """What the figures rest on, as a list."""

    def said(values: Iterable[Any]) -> str:
        return ', '.join(sorted({str(value) for value in values})) or 'none'

    batch = said(run['options']['datasets']['train']['batch_size_per_gpu'] for run in every if run['options'])
    crops = said(' '.join(f'{share:g}' for share in run['lq_crop']) for run in every)
    faces = {key: said(run['faces'][key] for run in every) for key in ('train_gt', 'train_lq', 'test_gt', 'test_lq')}
    lines = [
        f'batch {batch}; iterations in the last table',
        'faces (number, hash of the names): ' + '; '.join(f'{key} {value}' for key, value in faces.items()),
        f'LR crop (left, top, side): {crops}',
        f'hardware: {said(run["hardware"] for run in every)}; PyTorch {said(run["torch"] for run in every)}',
        f'date: {said(run["date"] for run in every)}',
    ]
    return '\n'.join(f'- {line}' for line in lines)


def values(runs: Runs, row: str, key: str) -> list[float]:
    return [float(run['scores'][key]['value']) for run in runs.get(row, []) if key in run.get('scores', {})]


def seeds_of(runs: list[dict[str, Any]]) -> str:
    """The seeds, each with what became of it where that is not a whole run."""
    marks = {'begun': ' (cut)', 'stopped': ' (ended by an error)', 'finished': ''}
    return ', '.join(
        f'{run["seed"]}{marks[run["status"]]}' + ' (collapsed)' * bool(run.get('collapsed'))
        for run in runs
        if run['seed'] is not None
    )


def results(table: Table, runs: Runs) -> str:
    """Means, and in brackets the smallest and the largest over the seeds."""
    there = [metric for metric in table.ours if any(values(runs, row, metric.key) for row in table.paper)]
    metrics = [*table.metrics, *there]
    heads = ['row', 'seeds', *(metric.title for metric in metrics)]
    lines = [heads, ['---'] * len(heads)]
    for row in table.paper:
        seeds = seeds_of(runs.get(row, []))
        cells = [spread(values(runs, row, metric.key), metric.digits) for metric in metrics]
        lines.append([row, seeds, *cells])
    return '\n'.join([*(f'| {" | ".join(line)} |' for line in lines), '', f'Images: {sizes(table, metrics, runs)}.'])


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
    if not found:
        return 'not run'
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
        noise[metric] = max((max(found) - min(found) for found in repeated), default=None)
    lines = [['difference', *(metric.title for metric in table.metrics)], ['---'] * (1 + len(table.metrics))]
    counts = {'shows': 0, 'reversed': 0, 'not seen': 0}
    for a, b in table.pairs:
        cells = []
        for column, metric in enumerate(table.metrics):
            ours = [values(runs, row, metric.key) for row in (a, b)]
            if not all(ours) or noise[metric] is None:
                cells.append('not run')
                continue
            found = sum(ours[0]) / len(ours[0]) - sum(ours[1]) / len(ours[1])
            paper = table.paper[a][column] - table.paper[b][column]
            verdict = 'not seen' if abs(found) <= noise[metric] else 'shows' if found * paper > 0 else 'reversed'
            counts[verdict] += 1
            cells.append(f'{verdict} ({found:+.{metric.digits}f}; paper: {"higher" if paper > 0 else "lower"})')
        lines.append([f'{a} - {b}', *cells])
    known = [f'{metric.title} {value:.{metric.digits}f}' for metric, value in noise.items() if value is not None]
    summary = (
        f'Of {sum(counts.values())} orders of the paper, {counts["shows"]} show at this budget, '
        f'{counts["reversed"]} are reversed, and {counts["not seen"]} are not seen: the difference is no larger '
        f'than the largest spread over the seeds of one row ({", ".join(known) or "no row has two seeds"}). '
        'Differences of means:'
    )
    return '\n'.join([summary, '', *(f'| {" | ".join(line)} |' for line in lines)])


def budget(trained: list[dict[str, Any]]) -> str:
    lines = ['| run | stage 1 | stage 2 | grows at | minutes | commit |', '|---|---|---|---|---|---|']
    for run in trained:
        opt = run['options']['train']
        stage1, stage2 = opt.get('degradation', {'total_iter': 0}), opt.get('sr', opt)
        minutes = run.get('minutes')
        cost = f'{minutes:.1f}' if minutes is not None else 'resumed' if run['status'] == 'finished' else run['status']
        lines.append(
            f'| {run["options"]["name"]} | {stage1["total_iter"]} | {stage2["total_iter"]} | '
            f'{", ".join(map(str, stage2["grow_at"])) or "never"} | {cost} | {run["commit"]} |'
        )
    return '\n'.join(lines)


def curves(trained: list[dict[str, Any]]) -> list[str]:
    """What the checkpoints of stage 2 score on the validation faces: a title and a table, if a run has them."""
    drawn = [run for run in trained if run.get('curve')]
    if not drawn:
        return []
    iterations = sorted({point['iteration'] for run in drawn for point in run['curve']})
    lines = [['run', *map(str, iterations)], ['---'] * (1 + len(iterations))]
    for run in drawn:
        points = {point['iteration']: f'{point["lpips"]:.4f} / {point["psnr"]:.2f}' for point in run['curve']}
        lines.append([run['options']['name'], *(points.get(iteration, '') for iteration in iterations)])
    table = '\n'.join(f'| {" | ".join(line)} |' for line in lines)
    said = 'By iteration of stage 2, on clean LR faces of people held back: LPIPS / PSNR-Y.'
    return ['## On the way', f'{said}\n\n{table}']


if __name__ == '__main__':
    main()
