"""What the demo has learnt: two picture sheets and a table of scores.

Reads what options/train_selfsr_demo.yml and options/test_selfsr_demo.yml wrote, and datasets/demo. The wild faces of
the demo are simulated (datasets/demo/README.md).
"""

import argparse
from pathlib import Path

import numpy as np
import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs
import torch
from basicsr.metrics import calculate_psnr, calculate_ssim
from selfsr_plugin import files
from selfsr_plugin.archs import FlowDegradationNet
from selfsr_plugin.arguments import add_traceback, add_weights, renamed, weights_by_name
from selfsr_plugin.errors import UserError, one_sentence_errors
from selfsr_plugin.loading import load
from selfsr_plugin.metrics import calculate_lpips
from selfsr_plugin.ops import bicubic_downsample, to_image, to_tensor
from selfsr_plugin.pictures import Images, draw_sheet, resize
from selfsr_plugin.stages.flow_degradation_model import draw_flow

SHEET_ROWS = 12  # people on a sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=files.path, default=Path('datasets/demo'), help='the demo faces')
    parser.add_argument(
        '--models',
        type=files.path,
        default=Path('experiments/train_selfsr_demo/models'),
        help='folder with net_deg_<iteration>.pth',
    )
    parser.add_argument(
        '--results',
        type=files.path,
        default=Path('results/test_selfsr_demo'),
        help='what the test wrote; the sheets and the table go there',
    )
    add_weights(parser, "lpips: file with torchvision's AlexNet (default: torch.hub's cache)")
    add_traceback(parser)
    renamed(parser, lpips_weights='--weights lpips=FILE')
    args = parser.parse_args()
    with one_sentence_errors(args.traceback):
        report(args)


def report(args: argparse.Namespace) -> None:
    """Draw the sheets, score, and say where everything is."""
    weights = weights_by_name(args.weights, ('lpips',))
    folder = args.results / 'visualization' / 'demo_test'
    if not any(folder.glob('*.png')):
        raise UserError(
            f'there are no restored faces in {args.results}/visualization/demo_test: run '
            'python -m basicsr.test -opt options/test_selfsr_demo.yml first.'
        )
    restored_by_name = Images(folder)
    people = [name.removesuffix('_test_selfsr_demo') for name in restored_by_name]
    wild, truth = (_read(args.data / kind, people) for kind in ('test_wild_lr', 'test_hr'))
    restored = list(restored_by_name.values())
    bicubic = [resize(lq, gt.shape[0]) for lq, gt in zip(wild, truth)]

    rows = list(zip(wild, bicubic, restored, truth))[:SHEET_ROWS]
    sheet = draw_sheet(rows, ['simulated wild LR', 'bicubic x4', 'SelFSR', 'HR'], blocks=2)
    stage1 = draw_stage1(args.models, truth[:SHEET_ROWS], wild[:SHEET_ROWS])
    table = format_table({'bicubic': bicubic, 'SelFSR': restored}, truth, weights.get('lpips'))
    for name in ('sheet_super_resolution.png', 'sheet_degradation.png', 'scores.md'):
        files.archive(args.results / name)  # those of an earlier report, which may have had weights that this one lacks
    files.write_image(args.results / 'sheet_super_resolution.png', sheet)
    files.write_image(args.results / 'sheet_degradation.png', stage1)
    files.write_file(args.results / 'scores.md', table.encode())
    print(f'\n{len(people)} test people, simulated wild LR 16x16 -> 64x64\n\n{table}')
    print(
        f'Pictures: {args.results}/sheet_super_resolution.png\n          {args.results}/sheet_degradation.png\n'
        f'Scores:   {args.results}/scores.md\nFaces:    {args.results}/visualization/demo_test'
    )


def draw_stage1(models: Path, truth: list[np.ndarray], wild: list[np.ndarray]) -> np.ndarray:
    """Sheet of stage 1 for clean LR faces made from ``truth``, beside the wild LR faces it should look like."""
    checkpoints = sorted(models.glob('net_deg_*.pth'), key=lambda path: path.stat().st_mtime)
    if not checkpoints:
        raise UserError(
            f'there is no net_deg_*.pth in {models}: run '
            'python -m basicsr.train -opt options/train_selfsr_demo.yml first.'
        )
    net = load(checkpoints[-1], expected=FlowDegradationNet)
    gt = torch.stack([to_tensor(image) for image in truth])
    clean = bicubic_downsample(gt, gt.shape[-1] // wild[0].shape[0]).clamp(0, 1)
    with torch.no_grad():
        parts = net(clean, return_parts=True)
    rows = [
        [
            to_image(clean[i]),
            to_image(parts.intermediate[i]),
            draw_flow(parts.flow[i].numpy(), net.max_flow),
            to_image(parts.degraded[i]),
            wild[i],
        ]
        for i in range(len(wild))
    ]
    titles = ['clean LR', 'intermediate', f'flow (full = {net.max_flow:g} px)', 'degraded', 'simulated wild LR']
    return draw_sheet(rows, titles, tile=96, blocks=2)


def format_table(methods: dict[str, list[np.ndarray]], truth: list[np.ndarray], lpips_weights: str | None) -> str:
    """A Markdown table of mean PSNR-Y, SSIM-Y and, where the weights are present, LPIPS."""
    lines = ['| method | PSNR-Y | SSIM-Y | LPIPS |', '|---|---|---|---|']
    note = ''
    for name, images in methods.items():
        pairs = list(zip(images, truth))
        psnr = np.mean([calculate_psnr(img, gt, 0, test_y_channel=True) for img, gt in pairs])
        ssim = np.mean([calculate_ssim(img, gt, 0, test_y_channel=True) for img, gt in pairs])
        try:
            lpips = f'{np.mean([calculate_lpips(img, gt, weights=lpips_weights) for img, gt in pairs]):.4f}'
        except (FileNotFoundError, ImportError) as error:
            lpips, note = 'not run', f'\nLPIPS was not run: {error}\n'
        lines.append(f'| {name} | {psnr:.2f} | {ssim:.4f} | {lpips} |')
    return '\n'.join(lines) + '\n' + note


def _read(folder: Path, names: list[str]) -> list[np.ndarray]:
    images = Images(folder)
    missing = [name for name in names if name not in images]
    if missing:
        raise UserError(f'{folder} has no image of {", ".join(missing)}.')
    return [images[name] for name in names]


if __name__ == '__main__':
    main()
