"""Fig. 9: what the condition branch looks at: maps of sigma(y) of Eq. 6, for each level of the network.

    python scripts/figure_condition.py --model experiments/train_selfsr_demo/models/net_g_latest.pth \\
        --lq datasets/demo/test_wild_lr --output results/condition.png

For each level: maps of its first ("shallow") and of its last ("deep") conditioned convolution. Bright places are
weighted up. Of all channels those are drawn that differ most over the image, relative to their mean (ours: the paper
does not say which it shows); a channel has one range of brightness for all faces.
"""

import argparse

import cv2
import numpy as np
import torch
from selfsr_plugin import files
from selfsr_plugin.archs import SelfCondSRNet
from selfsr_plugin.arguments import add_model, add_traceback, positive, renamed
from selfsr_plugin.errors import UserError, one_sentence_errors
from selfsr_plugin.loading import load
from selfsr_plugin.ops import to_image
from selfsr_plugin.pictures import check_output, draw_sheet, read_faces, write_picture
from torch import Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model(parser)
    parser.add_argument(
        '--lq', required=True, type=files.path, metavar='DIR', help='folder or LMDB of LR faces; resized to --lq-size'
    )
    parser.add_argument('--lq-size', type=positive, default=16, metavar='PIXELS', help='LR side (default: 16)')
    parser.add_argument('--count', type=positive, default=6, help='number of faces (default: 6)')
    parser.add_argument('--maps', type=positive, default=2, help='channels of each convolution (default: 2)')
    parser.add_argument('--tile', type=positive, default=128, help='side of each drawn image in pixels (default: 128)')
    parser.add_argument(
        '--output', type=files.path, default='condition.png', help='picture to write (default: condition.png)'
    )
    add_traceback(parser)
    renamed(parser, weights='--model', faces='--lq', side='--lq-size')
    args = parser.parse_args()
    problems: list[str] = []
    with one_sentence_errors(args.traceback):
        check_output(args.output, [args.lq])
        net = load(args.model, args.key, SelfCondSRNet)
        if net.arguments['condition'] != 'scale':
            raise UserError(
                f'{files.printable(args.model)}: the network was trained with condition: {net.arguments["condition"]}, '
                'which has no condition branch to draw.'
            )
        faces = read_faces(args.lq, args.lq_size, args.count, problems)
        write_picture(args.output, condition_figure(net, faces, args.maps, args.tile), problems)


def condition_figure(net: SelfCondSRNet, faces: Tensor, maps: int, tile: int) -> np.ndarray:
    """The sheet for LR faces (N, 3, H, W) in [0, 1]; (H, W, 3) uint8 BGR."""
    columns: dict[str, list[np.ndarray]] = {'LR': [to_image(face) for face in faces]}
    output, sigmas = condition_maps(net, faces)
    for name, sigma in sigmas.items():
        for channel in liveliest_channels(sigma, maps):
            columns[f'{name} #{channel}'] = draw_maps(sigma[:, channel])
    columns['output'] = [to_image(image) for image in output]
    return draw_sheet(list(zip(*columns.values())), list(columns), tile)


@torch.no_grad()
def condition_maps(net: SelfCondSRNet, faces: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The network's output, and sigma(y), (N, C, h, w), of the first and last conditioned convolution of each level."""
    found: dict[str, Tensor] = {}
    hooks = []
    for number, level in enumerate(net.levels, start=1):
        for depth, module in (('shallow', level.blocks[0].sigma1), ('deep', level.blocks[-1].sigma2)):
            name = f'x{2**number} {depth}'
            hooks.append(module.register_forward_hook(lambda _, __, sigma, name=name: found.update({name: sigma})))
    output = net(faces)
    for hook in hooks:
        hook.remove()
    return output, found


def liveliest_channels(sigma: Tensor, count: int) -> list[int]:
    """The channels of (N, C, h, w) whose spread over an image is largest relative to their mean size, best first."""
    spread = sigma.std(dim=(2, 3)).mean(0) / sigma.abs().mean(dim=(0, 2, 3)).clamp(min=1e-8)
    return spread.argsort(descending=True)[:count].tolist()


def draw_maps(maps: Tensor) -> list[np.ndarray]:
    """Maps (N, h, w) as pictures, uint8 BGR, bright for large; one range for all, without the outer hundredths."""
    low, high = torch.quantile(maps.flatten(), torch.tensor([0.01, 0.99], dtype=maps.dtype)).tolist()
    grey = ((maps - low) / max(high - low, 1e-8)).clamp(0, 1).mul(255).round().byte().numpy()
    return [cv2.applyColorMap(each, cv2.COLORMAP_VIRIDIS) for each in grey]


if __name__ == '__main__':
    main()
