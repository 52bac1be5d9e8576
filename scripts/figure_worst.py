"""Fig. 10: the failures, i.e. the faces of a test set that a network restores worst by some metric.

    python scripts/figure_worst.py --model experiments/train_selfsr_demo/models/net_g_latest.pth \\
        --gt datasets/demo/test_hr --lq datasets/demo/test_wild_lr --metric psnr --output results/worst.png

Restores all faces, draws the worst, the very worst first, each with its score and the set's mean.
"""

import argparse
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs
import torch
from basicsr.metrics import calculate_metric
from selfsr_plugin import files
from selfsr_plugin.archs import SelfCondSRNet
from selfsr_plugin.arguments import add_model, add_traceback, add_weights, positive, renamed, weights_by_name
from selfsr_plugin.data.image_source import CorruptImageError
from selfsr_plugin.data.paired_face_dataset import PairedFaceDataset
from selfsr_plugin.errors import UserError, one_sentence_errors
from selfsr_plugin.loading import load
from selfsr_plugin.memory import refuse_too_large
from selfsr_plugin.metrics import check_metric, direction
from selfsr_plugin.ops import to_image
from selfsr_plugin.pictures import check_output, draw_sheet, resize, write_picture
from tqdm import tqdm

METRICS = ('psnr', 'ssim', 'lpips', 'identity')


class Case(NamedTuple):
    """One face; images are (H, W, 3) uint8 BGR."""

    score: float
    name: str
    lq: np.ndarray
    restored: np.ndarray
    gt: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model(parser)
    parser.add_argument('--gt', required=True, type=files.path, metavar='DIR', help='folder or LMDB of HR faces')
    parser.add_argument(
        '--lq',
        type=files.path,
        metavar='DIR',
        help='their LR faces, of the same names; left out, the HR faces are shrunk (bicubic)',
    )
    parser.add_argument(
        '--metric', choices=METRICS, default='psnr', help='what worst means; PSNR and SSIM on Y (default: psnr)'
    )
    add_weights(parser, 'weights of lpips or identity (default: the usual caches)')
    parser.add_argument('--count', type=positive, default=6, help='number of faces (default: 6)')
    parser.add_argument('--tile', type=positive, default=128, help='side of each drawn image in pixels (default: 128)')
    parser.add_argument('--output', type=files.path, default='worst.png', help='picture to write (default: worst.png)')
    add_traceback(parser)
    renamed(parser, hr='--gt', lpips_weights='--weights lpips=FILE')
    args = parser.parse_args()
    problems: list[str] = []
    with one_sentence_errors(args.traceback):
        check_output(args.output, [args.gt, args.lq])
        settings = metric_settings(args.metric, weights_by_name(args.weights, ('lpips', 'identity'), [args.metric]))
        net = load(args.model, args.key, SelfCondSRNet)
        pairs = PairedFaceDataset(dict(phase='test', scale=net.scale, dataroot_gt=args.gt, dataroot_lq=args.lq))
        cases = list(restore(net, pairs, settings, problems))
        if not cases:
            raise UserError(f'none of the {len(pairs)} faces can be used: {problems[0]}')
        write_picture(args.output, worst_figure(cases, args.metric, args.count, args.tile), problems)


def metric_settings(metric: str, weights: dict[str, str]) -> dict[str, Any]:
    """The section that an option file would have; UserError where weights are missing."""
    settings: dict[str, Any] = dict(type=f'calculate_{metric}')
    if metric in ('psnr', 'ssim'):
        settings.update(crop_border=0, test_y_channel=True)
    elif metric in weights:
        settings['weights'] = weights[metric]
    try:
        check_metric(settings)
    except FileNotFoundError as error:
        raise UserError(str(error).replace("as 'weights'", f'by --weights {metric}=FILE')) from error
    return settings


@torch.no_grad()
def restore(
    net: SelfCondSRNet, pairs: PairedFaceDataset, metric: dict[str, Any], problems: list[str]
) -> Iterator[Case]:
    """Every face of the set, restored and scored; ``problems`` gets a line for each that cannot be used."""
    for number in tqdm(range(len(pairs)), unit='face', disable=None):
        try:
            item = pairs[number]
            refuse_too_large(net, item['lq'][None])
        except CorruptImageError as error:
            problems.append(str(error))
            continue
        except UserError as error:
            problems.append(f'{item["lq_path"]}: {error}')
            continue
        gt, restored = to_image(item['gt']), to_image(net(item['lq'][None])[0])
        score = calculate_metric(dict(img=restored, img2=gt), dict(metric))
        yield Case(float(score), pairs.gt.names[number], to_image(item['lq']), restored, gt)


def worst_figure(cases: list[Case], metric: str, count: int, tile: int) -> np.ndarray:
    """The sheet of the ``count`` worst cases; (H, W, 3) uint8 BGR."""
    mean = np.mean([case.score for case in cases])
    lower = direction(dict(type=f'calculate_{metric}')) == 'lower'
    worst = sorted(cases, key=lambda case: (case.score, case.name), reverse=lower)[:count]
    rows = [(case.lq, resize(case.lq, case.gt.shape[0]), case.restored, case.gt) for case in worst]
    captions = [f'{case.name}: {metric} {case.score:.4g}, mean of {len(cases)}: {mean:.4g}' for case in worst]
    return draw_sheet(rows, ['LR', 'bicubic', 'restored', 'HR'], tile, blocks=2 if count > 3 else 1, captions=captions)


if __name__ == '__main__':
    main()
