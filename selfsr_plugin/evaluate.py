"""Score a folder of restored images, of whatever method.

    python -m selfsr_plugin.evaluate --restored DIR --reference DIR
    python -m selfsr_plugin.evaluate --restored DIR --lq DIR        real faces, which have no ground truth

The metrics are those of option files. Images are paired by name; nothing is paired by order. An image that cannot be
used is left out and named at the end; the status is 1 then.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from . import files
from .arguments import add_traceback, add_weights, refuse_missing, renamed, weights_by_name
from .errors import UserError, one_sentence_errors

if TYPE_CHECKING:
    from .metrics.feature_statistics import FeatureStatistics

# PSNR and SSIM on the luminance of YCbCr, as the paper.
PAIR_METRICS: dict[str, dict[str, Any]] = {
    'psnr': dict(type='calculate_psnr', crop_border=0, test_y_channel=True),
    'ssim': dict(type='calculate_ssim', crop_border=0, test_y_channel=True),
    'lpips': dict(type='calculate_lpips'),
    'identity': dict(type='calculate_identity'),
}
ALONE_METRICS: dict[str, dict[str, Any]] = {'blur': dict(type='calculate_blur')}
SETS = ('fid', 'frechet_alex')
METRICS = (*PAIR_METRICS, *SETS, 'identity_lq', *ALONE_METRICS)
DEFAULT = ('psnr', 'ssim', 'lpips', 'identity', 'fid')  # with a reference; without one, blur and identity_lq
WEIGHTS = ('lpips', 'identity', *SETS)
FILES = ('scores.json', 'summary.csv', 'per_image.csv')


class Results(NamedTuple):
    """Scores of one folder.

    Attributes:
        rows: the values of each image by its name.
        summary: a dictionary for each metric.
        not_run: why a metric of the default ones is not there.
        problems: '<path>: <reason>' of the images that were left out.
    """

    rows: dict[str, dict[str, float]]
    summary: dict[str, dict[str, Any]]
    not_run: dict[str, str]
    problems: list[str]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, that of the process if ``argv`` is None; a usage error ends the process."""
    parser = argparse.ArgumentParser(
        prog='python -m selfsr_plugin.evaluate',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--restored', required=True, type=files.path, metavar='DIR', help='folder of images, or LMDB')
    parser.add_argument(
        '--reference',
        type=files.path,
        metavar='DIR',
        help='folder or LMDB with the ground truth; for fid and frechet_alex alone also any other set '
        'of images, or an .npz statistics file',
    )
    parser.add_argument(
        '--lq',
        type=files.path,
        metavar='DIR',
        help='folder or LMDB of the LR faces that were restored, for identity_lq',
    )
    parser.add_argument(
        '--metrics',
        nargs='+',
        action='extend',
        choices=METRICS,
        metavar='NAME',
        help=f'any of {" ".join(METRICS)} (default: {" ".join(DEFAULT)} with --reference, identity_lq '
        'with --lq, blur without --reference, less those whose weights are missing)',
    )
    add_weights(parser, f'weights of {", ".join(WEIGHTS)} (default: the usual caches)')
    parser.add_argument(
        '--suffix',
        default='',
        help="end of the restored names: BasicSR writes <name>_<suffix>.png, so that '_test_selfsr_real' is given here",
    )
    parser.add_argument(
        '--output',
        type=files.path,
        metavar='DIR',
        help='scores.json, summary.csv and per_image.csv go there (default: <restored>_scores)',
    )
    parser.add_argument(
        '--save-statistics',
        action='store_true',
        help="also write the reference's <metric>.npz, to be given as --reference",
    )
    add_traceback(parser)
    renamed(parser, debug='--traceback')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Score as the command line says (that of the process by default)."""
    args = parse(argv)
    with one_sentence_errors(args.traceback):
        run(args)


def run(args: argparse.Namespace) -> None:
    """Evaluate, print the table and write the files.

    Raises:
        UserError: an option, file or folder that cannot be used, before anything is scored; or at the end, naming the
            images that were left out.
    """
    for option, other in (('--reference', args.reference), ('--lq', args.lq)):
        if other is not None and os.path.realpath(other) == os.path.realpath(args.restored):
            raise UserError(f'{option} is the folder of --restored, {files.printable(other)}, which equals itself.')
    if args.lq is not None and args.metrics and 'identity_lq' not in args.metrics:
        raise UserError('--lq: none of --metrics compares with the LR faces: add identity_lq, or leave --lq out.')
    refuse_missing(args, 'restored', 'reference', 'lq')
    from .data.image_source import open_image_source
    from .metrics.frechet import is_statistics_file
    from .metrics.requirements import SET_METRICS
    from .scoring import Folders, match, score_faces, score_set, summarise

    weights = weights_by_name(args.weights, WEIGHTS)
    statistics_given = args.reference is not None and is_statistics_file(str(args.reference))
    settings, not_run = choose_metrics(args, weights, statistics_given)
    sets = {name: SET_METRICS[each['type']] for name, each in settings.items() if name in SETS}
    single = {name: each for name, each in settings.items() if name not in SETS}
    paired = any(name in PAIR_METRICS for name in single)
    folders = Folders(
        open_image_source(args.restored),
        open_image_source(args.reference) if paired else None,
        open_image_source(args.lq) if 'identity_lq' in single else None,
    )
    faces = match(folders, args.suffix) if single else []
    if args.reference is not None and not (paired or sets):
        raise UserError(f'--reference: {", ".join(settings)} compare with none: leave it out.')
    if args.save_statistics and not sets:
        raise UserError(f'--save-statistics: none of {", ".join(SETS)} is run, so there are no statistics to save.')
    restored = Path(args.restored)
    if restored.name in ('', '..'):  # the current folder, say: its name, not a hidden '._scores' in it
        restored = restored.resolve()
    output = args.output or Path(f'{restored}_scores')
    output.mkdir(parents=True, exist_ok=True)
    files.check_writable(output / FILES[0])  # before the work, not after
    problems: list[str] = []
    rows = score_faces(folders, faces, single, problems)
    summary = {name: summarise([row[name] for row in rows.values()]) for name in single if rows}
    saved: dict[Path, FeatureStatistics] = {}
    for name, network in sets.items():
        summary[name], statistics = score_set(
            network, folders.restored, str(args.reference), weights.get(name), problems
        )
        if args.save_statistics:
            saved[output / f'{name}.npz'] = statistics
    results = Results(rows, summary, not_run, list(dict.fromkeys(problems)))
    try:
        write(results, args, output)
        for path, statistics in saved.items():
            statistics.save(path)
    except OSError as error:
        raise files.cannot_write(error.filename or output, error) from error
    finally:  # what was computed is not lost where only one of the two can be written
        print(format_table(results))
    print(f'Written: {files.printable(output)}/scores.json, summary.csv' + (' and per_image.csv' if rows else ''))
    if problems:
        raise UserError(f'{len(results.problems)} images were left out of the scores: {"; ".join(results.problems)}')


def choose_metrics(
    args: argparse.Namespace, weights: Mapping[str, str], statistics_given: bool
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The settings of the metrics to run, and why others are not.

    A metric that was asked for, or given weights, must run; of the default ones, those without weights are left out.

    Raises:
        UserError: a metric that must run lacks its weights or what it compares with, or none can be run.
    """
    required = args.metrics or _named_by_weights(args, weights)
    for name in weights:
        if not {name, f'{name}_lq'} & {*required}:
            raise UserError(
                f'--weights {name}=...: {name} is not among --metrics, so its weights are not used: add it there '
                'or leave them out.'
            )
    paired = [name for name in required if name in PAIR_METRICS]
    if statistics_given and paired:
        raise UserError(
            f'{files.printable(args.reference)} holds statistics of a set, and {", ".join(paired)} compare '
            'image by image: give the folder with the ground truth, or only the metrics fid and frechet_alex.'
        )
    default = (
        []
        if args.metrics
        else [
            *(DEFAULT if args.reference is not None else ALONE_METRICS),
            *(['identity_lq'] if args.lq is not None else []),
        ]
    )
    chosen: dict[str, dict[str, Any]] = {}
    not_run: dict[str, str] = {}
    for name in dict.fromkeys([*default, *required]):
        settings = dict(
            {**PAIR_METRICS, **ALONE_METRICS}.get(name)
            or dict(type='calculate_identity' if name == 'identity_lq' else f'calculate_{name}')
        )
        file = weights.get('identity' if name == 'identity_lq' else name)
        if file is not None:
            settings['weights'] = file
        why = _lacks_partner(name, args, statistics_given) or _lacks_weights(name, settings)
        if not why:
            chosen[name] = settings
        elif name in required:
            raise UserError(f'{name}: {why}')
        else:
            not_run[name] = why
    if not chosen:
        raise UserError(f'no metric can be run: {"; ".join(f"{name}: {why}" for name, why in not_run.items())}')
    return chosen, not_run


def _named_by_weights(args: argparse.Namespace, weights: Mapping[str, str]) -> list[str]:
    """ArcFace serves two metrics: that of the folder that is given, or both."""
    both = ['identity_lq'] * (args.lq is not None) + ['identity'] * (args.lq is None or args.reference is not None)
    return [metric for name in weights for metric in (both if name == 'identity' else [name])]


def _lacks_partner(name: str, args: argparse.Namespace, statistics_given: bool) -> str:
    if name == 'identity_lq':
        return '' if args.lq is not None else 'it compares with the LR faces: give --lq.'
    if name in ALONE_METRICS:
        return ''
    if args.reference is None:
        return 'it compares with a reference: give --reference.'
    if statistics_given and name in PAIR_METRICS:
        return 'it compares image by image, and the reference is a statistics file.'
    return ''


def _lacks_weights(name: str, settings: Mapping[str, Any]) -> str:
    from .metrics.requirements import check_metric

    try:
        check_metric(settings)
        if name == 'lpips':
            import lpips  # noqa: F401
    except FileNotFoundError as error:
        option = 'identity' if name == 'identity_lq' else name
        return str(error).replace("as 'weights'", f'by --weights {option}=FILE')
    except ImportError:
        return "the package lpips is not installed: pip install 'selfsr-plugin[metrics]'."
    return ''


def write(results: Results, args: argparse.Namespace, output: Path) -> None:
    """scores.json with everything; summary.csv and per_image.csv for spreadsheets. Names are printable.

    Those of another evaluation, which would be mixed with these, are renamed when all that is written is on the disk.
    """
    import time

    from . import __version__

    rows = {files.printable(name): row for name, row in results.rows.items()}
    named = {
        key: None if value is None else files.printable(value)
        for key, value in dict(restored=args.restored, reference=args.reference, lq=args.lq).items()
    }
    content = dict(
        named,
        suffix=files.printable(args.suffix),
        date=time.strftime('%Y%m%d_%H%M%S'),
        selfsr_plugin=__version__,
        metrics=results.summary,
        not_run=results.not_run,
        left_out=results.problems,
        images=rows,
    )
    summary, per_image = io.StringIO(newline=''), io.StringIO(newline='')
    writer = csv.writer(summary)
    writer.writerow(['metric', 'value', 'n', 'n_reference'])
    for name, found in results.summary.items():
        writer.writerow([name, found['value'], found['n'], found.get('n_reference', '')])
    if rows:
        table = csv.DictWriter(per_image, ['name', *next(iter(rows.values()))])
        table.writeheader()
        table.writerows({'name': name, **row} for name, row in rows.items())
    texts = (json.dumps(_finite(content), indent=2) + '\n', summary.getvalue(), per_image.getvalue())
    with contextlib.ExitStack() as stack:
        for name, text in zip(FILES, texts):
            if text:
                file = stack.enter_context(files.whole_file(output / name))
                file.write(text.encode())
                file.flush()
        for name in FILES:
            files.archive(output / name)


def _finite(node: Any) -> Any:
    """JSON has no infinity, the PSNR of equal images: it is written as the text 'inf'."""
    if isinstance(node, dict):
        return {key: _finite(value) for key, value in node.items()}
    return str(node) if isinstance(node, float) and not math.isfinite(node) else node


def format_table(results: Results) -> str:
    """A Markdown table of the summary, and below it what makes a mean infinite, and what was not run and why."""
    lines = ['| metric | value | N | N reference |', '|---|---|---|---|']
    for name, found in results.summary.items():
        against = found.get('n_reference', found['n']) or 'not said'
        lines.append(f'| {name} | {found["value"]:.4f} | {found["n"]} | {against} |')
    for name, found in results.summary.items():
        if math.isinf(found['value']):  # all are the same, or a few hide what the others come to
            others = [row[name] for row in results.rows.values() if math.isfinite(row[name])]
            said = f'; the mean of the others is {math.fsum(others) / len(others):.4f}' if others else ''
            lines.append(f'{name}: {found["n"] - len(others)} of {found["n"]} images equal their partners{said}.')
    lines += [f'{name} was not run: {why}' for name, why in results.not_run.items()]
    return '\n'.join(lines)


if __name__ == '__main__':
    main()
