"""Fig. 10: the failures, i.e. the faces of a test set that a network restores worst by some metric.

    python scripts/figure_worst.py --weights experiments/train_selfsr_demo/models/net_g_latest.pth \\
        --hr datasets/demo/test_hr --lq datasets/demo/test_wild_lr --metric psnr --output results/worst.png

Restores all faces, draws the worst, the very worst first, each with its score and the set's mean.
"""
import argparse
from typing import Any, Dict, Iterator, List, NamedTuple

import numpy as np
import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs
import torch
from basicsr.metrics import calculate_metric
from basicsr.utils import tensor2img
from selfsr_plugin.archs import SelfCondSRNet
from selfsr_plugin.data import PairedFaceDataset
from selfsr_plugin.loading import load
from selfsr_plugin.errors import one_sentence_errors
from selfsr_plugin.pictures import draw_sheet, positive, resize, write_image
from tqdm import tqdm

LOWER_IS_BETTER = {'psnr': False, 'ssim': False, 'lpips': True}


class Case(NamedTuple):
    """One face; images are (H, W, 3) uint8 BGR."""
    score: float
    name: str
    lq: np.ndarray
    restored: np.ndarray
    hr: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--weights', required=True, help='net_g_*.pth of a SelfCondSRNet')
    parser.add_argument('--key', help='params or params_ema; by default the moving average if the file has one')
    parser.add_argument('--hr', required=True, help='folder or LMDB of HR faces')
    parser.add_argument('--lq', help='their LR faces, of the same names; left out, the HR faces are shrunk (bicubic)')
    parser.add_argument('--metric', choices=LOWER_IS_BETTER, default='psnr',
                        help='what worst means; PSNR and SSIM on Y (default: psnr)')
    parser.add_argument('--lpips-weights', help="file with torchvision's AlexNet; torch.hub's cache by default")
    parser.add_argument('--count', type=positive, default=6, help='number of faces (default: 6)')
    parser.add_argument('--tile', type=positive, default=128, help='side of each drawn image in pixels (default: 128)')
    parser.add_argument('--output', default='worst.png', help='picture to write (default: worst.png)')
    with one_sentence_errors():
        args = parser.parse_args()
        net = load(args.weights, args.key, SelfCondSRNet)
        pairs = PairedFaceDataset(dict(phase='test', scale=net.scale, dataroot_gt=args.hr, dataroot_lq=args.lq))
        settings: Dict[str, Any] = dict(type=f'calculate_{args.metric}', crop_border=0, test_y_channel=True)
        if args.metric == 'lpips':
            settings['weights'] = args.lpips_weights
        cases = list(restore(net, pairs, settings))
        write_image(args.output, worst_figure(cases, args.metric, args.count, args.tile))


@torch.no_grad()
def restore(net: SelfCondSRNet, pairs: PairedFaceDataset, metric: Dict[str, Any]) -> Iterator[Case]:
    """Every face of the set, restored and scored."""
    for number in tqdm(range(len(pairs)), unit='face', disable=None):
        item = pairs[number]
        hr, restored = tensor2img(item['gt']), tensor2img(net(item['lq'][None]))
        score = calculate_metric(dict(img=restored, img2=hr), dict(metric))
        yield Case(float(score), pairs.gt.names[number], tensor2img(item['lq']), restored, hr)


def worst_figure(cases: List[Case], metric: str, count: int, tile: int) -> np.ndarray:
    """The sheet of the ``count`` worst cases; (H, W, 3) uint8 BGR."""
    mean = np.mean([case.score for case in cases])
    worst = sorted(cases, key=lambda case: (case.score, case.name), reverse=LOWER_IS_BETTER[metric])[:count]
    rows = [(case.lq, resize(case.lq, case.hr.shape[0]), case.restored, case.hr) for case in worst]
    captions = [f'{case.name}: {metric} {case.score:.4g}, mean of {len(cases)}: {mean:.4g}' for case in worst]
    return draw_sheet(rows, ['LR', 'bicubic', 'restored', 'HR'], tile, blocks=2 if count > 3 else 1, captions=captions)


if __name__ == '__main__':
    main()
