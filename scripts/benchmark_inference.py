"""Faces per second of our networks beside those of BasicSR that a user would pick instead, all with random weights.

    python scripts/benchmark_inference.py                           # x4, 16x16 -> 64x64; batches of 1 and 64
    python scripts/benchmark_inference.py --batches 1 --only SelfCondSRNet EDSR --engines torch

One process holds all networks and lets them take turns, so that what else the machine does falls on all of them alike;
figures are medians, ratios are to our network. Where torch has one thread of a CPU (OMP_NUM_THREADS=1) the time is that
of the processor, which does not grow when others use it as well. The others are BasicSR's own classes at the sizes of
their papers: RRDBNet (ESRGAN), EDSR, RCAN and SwinIR; and where the package gfpgan is installed GFPGAN's network, which
makes 512x512 of 512x512. With --engines onnxruntime each is exported first (extra onnx). A network that an engine
cannot run is left out and named.
"""

import argparse
import importlib.util
import io
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs
import torch
from torch import nn

from selfsr_plugin.archs import SelfCondSRNet

SIDE, SCALE = 16, 4
_ENGINES = ('torch', 'onnxruntime')


def networks() -> dict[str, Callable[[], nn.Module]]:
    """By name, what makes each network."""
    from basicsr.archs.edsr_arch import EDSR
    from basicsr.archs.rcan_arch import RCAN
    from basicsr.archs.rrdbnet_arch import RRDBNet
    from basicsr.archs.swinir_arch import SwinIR

    swin = dict(img_size=SIDE, window_size=8, img_range=1.0, embed_dim=180, mlp_ratio=2, upsampler='pixelshuffle')
    found = {
        'SelfCondSRNet': lambda: SelfCondSRNet(widths=[384, 192]),
        'RRDBNet': lambda: RRDBNet(3, 3, scale=SCALE),
        'EDSR': lambda: EDSR(3, 3, num_feat=256, num_block=32, res_scale=0.1),
        'RCAN': lambda: RCAN(3, 3, num_block=20),
        'SwinIR': lambda: SwinIR(upscale=SCALE, depths=(6,) * 6, num_heads=(6,) * 6, **swin),
    }
    if importlib.util.find_spec('gfpgan') is not None:
        from gfpgan.archs.gfpganv1_clean_arch import GFPGANv1Clean

        found['GFPGANv1Clean, 512x512'] = lambda: GFPGANv1Clean(
            out_size=512, channel_multiplier=2, fix_decoder=False, input_is_latent=True, different_w=True, sft_half=True
        )
    return found


def runners(
    net: nn.Module, batch: torch.Tensor, engine: str, device: torch.device, dtype: torch.dtype
) -> Callable[[], Any]:
    """What runs the network once; the result is there when it returns."""
    if engine == 'onnxruntime':
        import onnxruntime

        file = io.BytesIO()
        torch.onnx.export(net, (batch,), file, input_names=['lq'], dynamo=False)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(file.getvalue(), settings, onnxruntime.get_available_providers())
        feed = {'lq': batch.numpy()}
        return lambda: session.run(None, feed)
    net, batch = net.to(device), batch.to(device)

    def run() -> None:
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype is not torch.float32):
            net(batch)
        if device.type == 'cuda':
            torch.cuda.synchronize()

    return run


def lines(
    args: argparse.Namespace, size: int, device: torch.device
) -> Iterator[tuple[str, str, Callable[[], Any], int]]:
    """Network, engine, what runs it, and its parameters."""
    formats = {'torch': torch.float32, **({'torch, bf16': torch.bfloat16} if args.bf16 else {})}
    for name, make in networks().items():
        if args.only and not any(name.startswith(each) for each in args.only):
            continue
        side = 512 if name.startswith('GFPGAN') else SIDE
        for engine in dict.fromkeys(args.engines or _ENGINES):
            for title, dtype in formats.items() if engine == 'torch' else {engine: torch.float32}.items():
                try:
                    net = make().eval()
                    run = runners(net, torch.rand(size, 3, side, side), engine, device, dtype)
                    run()
                except Exception as error:  # whatever an exporter or a lack of memory comes to
                    print(f'{name}, {title}: left out, {" ".join(str(error).split())[:150]}', file=sys.stderr)
                    continue
                yield name, title, run, sum(each.numel() for each in net.parameters())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--batches', type=int, nargs='+', action='extend', help='images at once (default: 1 64)')
    parser.add_argument('--engines', nargs='+', action='extend', choices=_ENGINES, help='these alone; both by default')
    parser.add_argument('--only', nargs='+', action='extend', metavar='NETWORK', help='networks whose names begin so')
    parser.add_argument('--bf16', action='store_true', help='torch in bf16 as well')
    parser.add_argument('--turns', type=int, default=5, help='times that each is measured')
    parser.add_argument('--cpu', action='store_true', help='on the CPU where there is a GPU')
    args = parser.parse_args(arguments)
    gpu = torch.cuda.is_available() and not args.cpu
    if not gpu:
        os.environ['CUDA_VISIBLE_DEVICES'] = ''
    device = torch.device('cuda' if gpu else 'cpu')
    name = torch.cuda.get_device_name() if gpu else f'CPU, {torch.get_num_threads()} threads'
    print(f'{name}, PyTorch {torch.__version__}, {SIDE}x{SIDE} -> {SIDE * SCALE}x{SIDE * SCALE}')
    for size in dict.fromkeys(args.batches or (1, 64)):
        torch.manual_seed(0)
        found = list(lines(args, size, device))
        clock = time.perf_counter if gpu or torch.get_num_threads() > 1 else time.process_time
        times: list[list[float]] = [[] for _ in found]
        for _ in range(args.turns):
            for (_, _, run, _), taken in zip(found, times):
                began = clock()
                run()
                taken.append(clock() - began)
        print(
            f'\n**batch {size}**\n\n| network | engine | parameters, M | faces/s | time, ratio |\n|---|---|---|---|---|'
        )
        seconds = [statistics.median(taken) for taken in times]
        for (network, engine, _, count), each in zip(found, seconds):
            print(
                f'| {network} | {engine} | {count / 1e6:.1f} | {size / each:.2f} | {each / seconds[0]:.2f} |',
                flush=True,
            )


if __name__ == '__main__':
    main()
