"""Fig. 8: noisy LR images by disturbing the flow field that stage 1 estimates, with the flow as a colour wheel.

    python scripts/figure_flow.py --model experiments/train_selfsr_demo/models/net_deg_900.pth \\
        --faces datasets/demo/test_hr --output results/flow.png

For each face: above, the clean LR face and what comes out when its intermediate image is warped by the estimated flow
and by disturbed ones; below, those flows (hue is direction, saturation is length; the wheel is the key). How the paper
disturbs the flow is not said; ours: none, half and twice as long, turned by 90 and 180 degrees, and smooth noise added.
"""

import argparse
import math

import numpy as np
import torch
from selfsr_plugin import files
from selfsr_plugin.archs import FlowDegradationNet
from selfsr_plugin.arguments import add_model, add_traceback, positive, renamed
from selfsr_plugin.errors import one_sentence_errors
from selfsr_plugin.loading import load
from selfsr_plugin.ops import bicubic_resize, flow_warp, to_image
from selfsr_plugin.pictures import check_output, draw_sheet, read_faces, write_picture
from selfsr_plugin.stages.flow_degradation_model import draw_flow
from torch import Tensor

SMOOTH = 4  # noise is drawn on this many points each way and interpolated


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model(parser, 'net_deg_*.pth of a FlowDegradationNet')
    parser.add_argument(
        '--faces',
        required=True,
        type=files.path,
        metavar='DIR',
        help='folder or LMDB of clean faces, HR or LR; shrunk to --lq-size',
    )
    parser.add_argument('--lq-size', type=positive, default=16, metavar='PIXELS', help='LR side (default: 16)')
    parser.add_argument('--count', type=positive, default=4, help='number of faces (default: 4)')
    parser.add_argument(
        '--noise', type=float, default=1.0, help='standard deviation of the noise in pixels (default: 1)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the noise (default: 0)')
    parser.add_argument('--tile', type=positive, default=96, help='side of each drawn image in pixels (default: 96)')
    parser.add_argument('--output', type=files.path, default='flow.png', help='picture to write (default: flow.png)')
    add_traceback(parser)
    renamed(parser, weights='--model', side='--lq-size')
    args = parser.parse_args()
    problems: list[str] = []
    with one_sentence_errors(args.traceback):
        check_output(args.output, [args.faces])
        net = load(args.model, args.key, FlowDegradationNet)
        clean = read_faces(args.faces, args.lq_size, args.count, problems, '--faces')
        write_picture(args.output, flow_figure(net, clean, args.noise, args.seed, args.tile), problems)


@torch.no_grad()
def flow_figure(net: FlowDegradationNet, clean: Tensor, noise: float, seed: int, tile: int) -> np.ndarray:
    """The sheet for clean LR faces (N, 3, H, W) in [0, 1]; (H, W, 3) uint8 BGR."""
    parts = net(clean, return_parts=True)
    flows = disturbed_flows(parts.flow, noise, torch.Generator().manual_seed(seed))
    longest = max(flow.norm(dim=1).max().item() for flow in flows.values())
    full = longest if longest > 0 else 1.0
    images = {name: flow_warp(parts.intermediate, flow) for name, flow in flows.items()}
    wheel = colour_wheel(tile)
    rows = []
    for i, face in enumerate(clean):
        rows.append([to_image(face), *(to_image(warped[i]) for warped in images.values())])
        rows.append([wheel, *(draw_flow(flow[i].numpy(), full) for flow in flows.values())])
    return draw_sheet(rows, [f'LR | rim = {full:.2g} px', *flows], tile)


def disturbed_flows(flow: Tensor, noise: float, generator: torch.Generator) -> dict[str, Tensor]:
    """The flow (N, 2, H, W) in pixels, and changed ones by name."""
    n, _, height, width = flow.shape
    flows = {
        'estimated': flow,
        'none': torch.zeros_like(flow),
        'x 0.5': flow / 2,
        'x 2': flow * 2,
        'turned 90': rotate(flow, 90),
        'turned 180': rotate(flow, 180),
    }
    for number in (1, 2):
        coarse = torch.randn(n, 2, SMOOTH, SMOOTH, generator=generator)
        flows[f'+ noise {number}'] = flow + noise * bicubic_resize(coarse, (height, width))
    return flows


def rotate(flow: Tensor, degrees: float) -> Tensor:
    """Every vector of a flow (N, 2, H, W) turned clockwise as seen in the image (channel 0 right, channel 1 down)."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = flow.unbind(dim=1)
    return torch.stack((cos * x - sin * y, sin * x + cos * y), dim=1)


def colour_wheel(side: int) -> np.ndarray:
    """The key to the colours: the flow that points away from the centre, 1 at the rim; (side, side, 3) uint8 BGR."""
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(axis, axis)
    wheel = draw_flow(np.stack((x, y)), 1.0)
    wheel[np.hypot(x, y) > 1] = 255
    return wheel


if __name__ == '__main__':
    main()
