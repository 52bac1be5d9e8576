"""Score a folder of restored images, of whatever method.

``python -m selfsr_plugin.evaluate --restored DIR --reference DIR``. The metrics are those of option files. Images are
paired by name; nothing is paired by order.
"""
import argparse
import csv
import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from tqdm import tqdm

import selfsr_plugin  # before basicsr: applies the alias that its import needs

from basicsr.metrics import calculate_metric
from basicsr.utils import get_time_str

from .data.image_source import ImageSource, open_image_source
from .errors import UserError, one_sentence_errors
from .metrics.feature_statistics import FeatureStatistics
from .metrics.frechet import (FeatureNetwork, is_statistics_file, reference_statistics, score, small_sample_warning,
                              source_statistics)
from .metrics.requirements import SET_METRICS, check_metric

# PSNR and SSIM on the luminance of YCbCr, as the paper.
PAIR_METRICS: Dict[str, Dict[str, Any]] = {
    'psnr': dict(type='calculate_psnr', crop_border=0, test_y_channel=True),
    'ssim': dict(type='calculate_ssim', crop_border=0, test_y_channel=True),
    'lpips': dict(type='calculate_lpips'),
    'identity': dict(type='calculate_identity'),
}
SETS: Dict[str, FeatureNetwork] = {'fid': SET_METRICS['calculate_fid'],
                                   'frechet_alex': SET_METRICS['calculate_frechet_alex']}
DEFAULT = ('psnr', 'ssim', 'lpips', 'identity', 'fid')


class Results(NamedTuple):
    """Scores of one folder: ``rows`` has the values of each image by name, ``summary`` a dictionary for each metric."""
    rows: Dict[str, Dict[str, float]]
    summary: Dict[str, Dict[str, Any]]


def parse(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m selfsr_plugin.evaluate', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--restored', required=True, metavar='DIR', help='folder of images, or LMDB')
    parser.add_argument('--reference', required=True, metavar='DIR',
                        help='folder or LMDB with the ground truth; for fid and frechet_alex alone also any other set '
                        'of images, or an .npz statistics file')
    parser.add_argument('--metrics', nargs='+', choices=[*PAIR_METRICS, *SETS], metavar='NAME',
                        help=f'any of {" ".join([*PAIR_METRICS, *SETS])}; by default {" ".join(DEFAULT)}, less those '
                        'whose weights are missing')
    parser.add_argument('--weights', nargs='+', default=[], metavar='NAME=FILE',
                        help='weights of lpips, identity, fid or frechet_alex; the usual caches by default')
    parser.add_argument('--suffix', default='', help="end of the restored names: BasicSR writes <name>_<suffix>.png, "
                        "so that '_test_selfsr_real' is given here")
    parser.add_argument('--output', type=Path, metavar='DIR',
                        help='scores.json, summary.csv and per_image.csv go there; default: <restored>_scores')
    parser.add_argument('--save-statistics', action='store_true',
                        help="also write the reference's <metric>.npz, to be given as --reference")
    parser.add_argument('--debug', action='store_true', help='full tracebacks')
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Score as the command line says (that of the process by default)."""
    args = parse(argv)
    with one_sentence_errors(args.debug):
        try:
            run(args)
        except UserError:
            raise
        except (OSError, ValueError, ImportError) as error:
            raise UserError(str(error)) from error


def run(args: argparse.Namespace) -> None:
    """Evaluate, print the table and write the files."""
    weights = _read_weights_option(args.weights)
    chosen, not_run = choose_metrics(args.metrics, weights)
    restored = open_image_source(args.restored)
    output = args.output or Path(f'{args.restored.rstrip("/")}_scores')
    paired = [name for name in chosen if name in PAIR_METRICS]
    if is_statistics_file(args.reference):
        if args.metrics and paired:
            raise UserError(f'{args.reference} holds statistics of a set, and {", ".join(paired)} compare image by '
                            'image: give the folder with the ground truth, or only the metrics fid and frechet_alex.')
        not_run.update({name: 'it compares image by image, and the reference is a statistics file' for name in paired})
        paired, pairs = [], []
    else:
        reference = open_image_source(args.reference)
        pairs = pair(restored, reference, args.suffix) if paired else []
    if args.save_statistics and not set(SETS) & set(chosen):
        raise UserError(f'--save-statistics: none of {", ".join(SETS)} is run, so there are no statistics to save.')
    output.mkdir(parents=True, exist_ok=True)  # before the work, not after
    rows = score_pairs(restored, reference, pairs, paired, weights) if paired else {}
    summary = {name: summarise([row[name] for row in rows.values()]) for name in paired}
    for name in [name for name in chosen if name in SETS]:
        summary[name], statistics = score_set(SETS[name], restored, args.reference, weights.get(name))
        if args.save_statistics:
            statistics.save(output / f'{name}.npz')
    if not summary:
        raise UserError(f'no metric can be run: {"; ".join(f"{name}: {why}" for name, why in not_run.items())}')
    results = Results(rows, summary)
    write(results, not_run, args, output)
    print(format_table(results, not_run))
    print(f'Written: {output}/scores.json, summary.csv' + (' and per_image.csv' if rows else ''))


def _read_weights_option(entries: Sequence[str]) -> Dict[str, str]:
    weights = {}
    for entry in entries:
        name, sign, path = entry.partition('=')
        if not sign or name not in ('lpips', 'identity', *SETS):
            raise UserError(f'--weights {entry}: write NAME=FILE with one of lpips, identity, {", ".join(SETS)}.')
        weights[name] = path
    return weights


def choose_metrics(asked: Optional[Sequence[str]], weights: Dict[str, str]) -> Tuple[List[str], Dict[str, str]]:
    """The metrics to run, and why others are not.

    A metric that was asked for, or given weights, must run; of the default ones, those without weights are left out.

    Raises:
        UserError: a metric that must run lacks its weights.
    """
    chosen: List[str] = []
    not_run: Dict[str, str] = {}
    for name in dict.fromkeys(asked or (*DEFAULT, *(name for name in weights if name not in DEFAULT))):
        kind = PAIR_METRICS[name]['type'] if name in PAIR_METRICS else f'calculate_{name}'
        try:
            check_metric(dict(type=kind, weights=weights.get(name)))
            if name == 'lpips':
                import lpips  # noqa: F401
        except (FileNotFoundError, ImportError) as error:
            why = str(error)
            if isinstance(error, ImportError):
                why = "the package lpips is not installed: pip install 'selfsr-plugin[metrics]'."
            why = why.replace("as 'weights'", f'by --weights {name}=FILE')
            if asked or name in weights:
                raise UserError(f'{name}: {why}') from None
            not_run[name] = why
        else:
            chosen.append(name)
    return chosen, not_run


def pair(restored: ImageSource, reference: ImageSource, suffix: str) -> List[Tuple[str, int, int]]:
    """(name, index restored, index reference) by equal names, after ``suffix`` is cut off the restored ones.

    Raises:
        UserError: naming every image without its partner.
    """
    without = [name for name in restored.names if not name.endswith(suffix)]
    if without:
        raise UserError(f'--suffix {suffix}: {len(without)} of {len(restored)} names in {restored.root} do not end '
                        f'with it: {", ".join(without)}.')
    here = {name[:len(name) - len(suffix)]: index for index, name in enumerate(restored.names)}
    there = {name: index for index, name in enumerate(reference.names)}
    extra, missing = sorted(here.keys() - there), sorted(there.keys() - here)
    if extra or missing:
        parts = []
        if missing:
            parts.append(f'{len(missing)} of {len(there)} images of {reference.root} are missing in {restored.root} '
                         f'({", ".join(missing)})')
        if extra:
            parts.append(f'{len(extra)} of {len(here)} images of {restored.root} have no reference '
                         f'({", ".join(extra)})')
        hint = _guess_suffix(extra, missing, suffix)
        raise UserError(f'{" and ".join(parts)}: pairs need equal names without extension{hint}. Sets of other '
                        'images can be compared by --metrics fid or frechet_alex.')
    return [(name, here[name], there[name]) for name in sorted(here)]


def _guess_suffix(extra: List[str], missing: List[str], suffix: str) -> str:
    ends = {long[len(short):] for long in extra for short in missing if short and long.startswith(short + '_')}
    common = [end for end in ends if all(long.endswith(end) and long[:-len(end)] in missing for long in extra)]
    return f' (is --suffix {common[0]}{suffix} meant?)' if common else ''


def score_pairs(restored: ImageSource, reference: ImageSource, pairs: Sequence[Tuple[str, int, int]],
                metrics: Sequence[str], weights: Dict[str, str]) -> Dict[str, Dict[str, float]]:
    """The values of every pair by the image's name.

    Raises:
        UserError: two images of different sizes. CorruptImageError: an image that cannot be read.
    """
    rows = {}
    for name, i, j in tqdm(pairs, unit='image', leave=False, disable=None):  # None: no bar in a log file
        image, truth = (source.read(k) for source, k in ((restored, i), (reference, j)))
        if image.shape != truth.shape:
            raise UserError(f'{restored.path(i)} is {image.shape[1]}x{image.shape[0]} and {reference.path(j)} is '
                            f'{truth.shape[1]}x{truth.shape[0]}: restored and reference images must be of one size.')
        rows[name] = {}
        for metric in metrics:
            settings = dict(PAIR_METRICS[metric])
            if metric in weights:
                settings['weights'] = weights[metric]
            rows[name][metric] = float(calculate_metric(dict(img=image, img2=truth), settings))
    return rows


def summarise(values: Sequence[float]) -> Dict[str, Any]:
    """Mean and number of images. Equal images have an infinite PSNR, and with them the mean is infinite."""
    return {'value': float(np.mean(values)), 'n': len(values)}


def score_set(network: FeatureNetwork, restored: ImageSource, reference: str,
              weights: Optional[str]) -> Tuple[Dict[str, Any], FeatureStatistics]:
    """The distance of two sets with the numbers of images it rests on, and the statistics of the reference."""
    theirs = reference_statistics(network, reference, weights)  # first: what is wrong with a file shows at once
    ours = source_statistics(network, restored, weights)
    found = {'value': score(network, ours, theirs), 'n': ours.count, 'n_reference': theirs.count}
    warning = small_sample_warning(network, ours.count, theirs.count)
    return {**found, 'warning': warning} if warning else found, theirs


def write(results: Results, not_run: Dict[str, str], args: argparse.Namespace, output: Path) -> None:
    """scores.json with everything; summary.csv and per_image.csv for spreadsheets."""
    content = dict(restored=args.restored, reference=args.reference, suffix=args.suffix, date=get_time_str(),
                   selfsr_plugin=selfsr_plugin.__version__, metrics=results.summary, not_run=not_run,
                   images=results.rows)
    (output / 'scores.json').write_text(json.dumps(_finite(content), indent=2) + '\n', encoding='utf-8')
    with open(output / 'summary.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['metric', 'value', 'n', 'n_reference'])
        for name, found in results.summary.items():
            writer.writerow([name, found['value'], found['n'], found.get('n_reference', '')])
    if results.rows:
        with open(output / 'per_image.csv', 'w', newline='', encoding='utf-8') as file:
            columns = ['name', *next(iter(results.rows.values()))]
            table = csv.DictWriter(file, columns)
            table.writeheader()
            table.writerows({'name': name, **row} for name, row in results.rows.items())


def _finite(node: Any) -> Any:
    """JSON has no infinity, the PSNR of equal images: it is written as the text 'inf'."""
    if isinstance(node, dict):
        return {key: _finite(value) for key, value in node.items()}
    return str(node) if isinstance(node, float) and not np.isfinite(node) else node


def format_table(results: Results, not_run: Dict[str, str]) -> str:
    """A Markdown table of the summary, and below it what was not run and why."""
    lines = ['| metric | value | N | N reference |', '|---|---|---|---|']
    for name, found in results.summary.items():
        against = found.get('n_reference', found['n']) or 'not said'
        lines.append(f'| {name} | {found["value"]:.4f} | {found["n"]} | {against} |')
    lines += [f'{name} was not run: {why}' for name, why in not_run.items()]
    return '\n'.join(lines)


if __name__ == '__main__':
    main()
