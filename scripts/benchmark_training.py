"""A training iteration: images per second, where its time goes, and how near it is to what the machine can do.

    python scripts/benchmark_training.py                      # the networks of the paper, x4, batch 48; for a GPU
    python scripts/benchmark_training.py --scale 8
    python scripts/benchmark_training.py --small --batch 4    # the demo's networks; a minute on a CPU

One process holds a model for each line of a table and lets them take turns, so that what else the machine does falls on
all of them alike; figures are medians, ratios are to the first line. There is a table for stage 1 and for each level of
stage 2, and one for what a user would pick instead at the same batch and patch: BasicSR's SRGANModel, in BasicSR's own
code, with its RRDBNet, and its SRModel with the same (both without the perceptual loss, whose weights would have to be
downloaded). Columns:

    data, G, D, R1, update    milliseconds for making the batch from the images of the loader, for the losses and
                              gradients of each network, for those of D that R1 adds, and for the steps
    memory                    peak of the process on a GPU
    matrix rate, bandwidth    what the iteration computes and moves (every operation's inputs and outputs, counted
                              before any is fused) over the time, as shares of a matrix product and of a copy here
"""

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs
import torch
from basicsr.models import build_model
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from selfsr_plugin.errors import UserError
from selfsr_plugin.options import complete_options, parse_arguments, read_option_file

ROOT = Path(__file__).resolve().parents[1]
SETTINGS: dict[str, dict[str, Any]] = {
    'fp32': dict(precision='fp32'),
    'tf32': dict(precision='tf32'),
    'bf16': dict(precision='bf16'),
    'bf16, channels_last': dict(precision='bf16', channels_last=True),
    'bf16, compile': dict(precision='bf16', compile=True),
    'bf16, channels_last, compile': dict(precision='bf16', channels_last=True, compile=True),
    'bf16, channels_last, graphs': dict(precision='bf16', channels_last=True, cuda_graphs=True),
    'bf16, channels_last, compile, graphs': dict(precision='bf16', channels_last=True, compile=True, cuda_graphs=True),
    'fp32, compile': dict(precision='fp32', compile=True),
}
RIVALS = {'BasicSR SRGANModel, RRDBNet': 'SRGANModel', 'BasicSR SRModel, RRDBNet': 'SRModel'}
COLUMNS = ('data', 'G', 'D', 'R1', 'update')
RATES = {'fp32': torch.float32, 'tf32': torch.float32, 'bf16': torch.bfloat16}


class Count(TorchDispatchMode):
    """Floating-point operations of matrix products and convolutions, and bytes that operations read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.flops += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=result)
        if not func.is_view:
            found = {id(each): each for each in tree_leaves((args, kwargs, result)) if isinstance(each, torch.Tensor)}
            self.bytes += sum(each.numel() * each.element_size() for each in found.values())
        return result


class Trainer:
    """A model of this package at one part of its run, measured iteration by iteration."""

    def __init__(self, opt: dict[str, Any], first: int, batch: dict[str, torch.Tensor], device: torch.device) -> None:
        self.batch, self.device = batch, device
        self.model = build_model(opt)
        self.stage = getattr(self.model, 'stage', self.model)
        self.iteration = first
        self.precision = self.stage.updater.precision.name

    def wait(self) -> float:
        if self.device.type == 'cuda':
            torch.cuda.synchronize()
        return time.perf_counter() * 1000

    def iterate(self) -> None:
        """One iteration as the loop has it."""
        self.iteration += 1
        self.model.update_learning_rate(self.iteration)
        self.model.feed_data(self.batch)
        self.model.optimize_parameters(self.iteration)

    def whole(self) -> float:
        """Milliseconds of an iteration."""
        began = self.wait()
        self.iterate()
        return self.wait() - began

    def parts(self) -> dict[str, float]:
        """Milliseconds of its parts, each waited for; they add up to more than the whole on a GPU."""
        stage, updater, found = self.stage, self.stage.updater, dict.fromkeys(COLUMNS, 0.0)
        began = self.wait()
        stage.feed_data(self.batch)
        with torch.no_grad():
            batch = stage.prepare(self.iteration)
        found['data'] = self.wait() - began
        for update in stage.updates(self.iteration):
            column = 'D' if update.labels[0].startswith('d_') or update.labels == ('d',) else 'G'
            began = self.wait()
            loss = updater.compute(update, batch)
            took = self.wait() - began
            batch.update(loss.made)
            found[column] += took
            if any(name.endswith('_r1') for name in loss.terms):
                options, stage.options = stage.options, replace(stage.options, r1_reg_weight=0.0)
                without = next(each for each in stage.updates(self.iteration) if each.labels == update.labels)
                began = self.wait()
                updater.compute(without, batch)
                stage.options, found['R1'] = options, took - (self.wait() - began)
                found[column] -= found['R1']
        began, compute = self.wait(), updater.compute
        updater.compute = lambda update, _: loss  # the gradients are there
        updater.run(update, batch, self.iteration)
        updater.compute = compute
        # Of the last network; the others' steps cost by the number of their parameters.
        size = {label: sum(each.numel() for each in net.parameters()) for label, net in updater.nets.items()}
        found['update'] = (self.wait() - began) * sum(size.values()) / sum(size[label] for label in update.labels)
        return found


class Rival:
    """A model of BasicSR in its own code."""

    precision = 'fp32'

    def __init__(self, opt: dict[str, Any], batch: dict[str, torch.Tensor], device: torch.device) -> None:
        self.batch, self.device = batch, device
        self.model = build_model(opt)
        self.iteration = 0

    wait, iterate, whole = Trainer.wait, Trainer.iterate, Trainer.whole

    def parts(self) -> dict[str, float]:
        return {}


def measured_rates(device: torch.device) -> dict[str, float]:
    """FLOP/s of a large matrix product by format, and bytes/s of a copy under 'copy'."""

    def best(work: Callable[[], Any]) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            work()
            if device.type == 'cuda':
                torch.cuda.synchronize()
            times.append(time.perf_counter() - began)
        return min(times)

    side = 8192 if device.type == 'cuda' else 1024
    found = {}
    for name, dtype in RATES.items():
        if name == 'tf32' and device.type != 'cuda':
            continue
        torch.backends.cuda.matmul.allow_tf32 = name == 'tf32'
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        found[name] = 2 * side**3 / best(lambda a=a, b=b: a @ b)
    torch.backends.cuda.matmul.allow_tf32 = False
    source = torch.empty((1 << 30 if device.type == 'cuda' else 1 << 26) // 4, device=device)
    target = torch.empty_like(source)
    found['copy'] = 2 * source.nbytes / best(lambda: target.copy_(source))
    return found


def options(scale: int, small: bool, folder: str) -> dict[str, Any]:
    """A run of both stages, from an option file of the package."""
    file = ROOT / 'options' / ('train_selfsr_demo.yml' if small else 'train_selfsr_real.yml')
    opt = read_option_file(str(file))
    side, levels = 16 * scale, scale.bit_length() - 1
    opt['scale'] = scale
    opt['datasets'] = {}
    if not small:
        opt['network_g']['widths'] = [384, 192, 96][:levels]
    else:
        widths = opt['network_g']['widths']
        opt['network_g']['widths'] = (widths + [widths[-1]] * levels)[:levels]
    opt['network_d'].update(size=side, num_level=levels)
    for section in (opt['train']['degradation'], opt['train']['sr']):
        section['scheduler'] = None
    opt['train']['degradation']['total_iter'] = 10**6
    opt['train']['sr'].update(total_iter=10**6, grow_at=[10**5 * number for number in range(1, levels)], fade_iter=0)
    opt = complete_options(opt, parse_arguments(['-opt', str(file)]), folder, True, 0, 1)
    opt['run_options'] = None
    os.makedirs(opt['path']['models'], exist_ok=True)
    return opt


def rival_options(kind: str, ours: dict[str, Any], small: bool) -> dict[str, Any]:
    """BasicSR's model with its RRDBNet (ESRGAN's generator) for the same images."""
    size = dict(num_feat=8, num_block=1, num_grow_ch=4) if small else {}
    adam, l1 = dict(type='Adam', lr=1e-4, betas=[0.9, 0.99]), dict(type='L1Loss', loss_weight=1.0, reduction='mean')
    opt = deepcopy(ours)
    opt.update(
        model_type=kind,
        network_g=dict(type='RRDBNet', num_in_ch=3, num_out_ch=3, scale=ours['scale'], **size),
        network_d=dict(type='UNetDiscriminatorSN', num_in_ch=3, num_feat=4 if small else 64),
        train=dict(
            optim_g=dict(adam),
            optim_d=dict(adam),
            scheduler=dict(type='MultiStepLR', milestones=[10**6], gamma=0.5),
            pixel_opt=l1,
            gan_opt=dict(type='GANLoss', gan_type='vanilla', loss_weight=0.1),
            ema_decay=0,
        ),
    )
    return opt


def cases(args: argparse.Namespace, device: torch.device, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Title of a table, and what makes each of its lines."""
    opt, side = options(args.scale, args.small, folder), 16 * args.scale
    lq = torch.rand(args.batch, 3, 16, 16)
    batch = dict(gt=torch.rand(args.batch, 3, side, side), lq=lq)
    levels = args.scale.bit_length() - 1
    grow_at = [0, *opt['train']['sr']['grow_at']]
    places = [('stage 1', 'FlowDegradationModel', 'degradation', 0)]
    places += [(f'stage 2, x{2**level}', 'SelfCondSRModel', 'sr', grow_at[level - 1]) for level in range(1, levels + 1)]
    for title, model_type, section, first in places:
        if args.tables and title.removeprefix('stage 2, ') not in args.tables:
            continue

        def make(
            settings: dict[str, Any], model_type: str = model_type, section: str = section, first: int = first
        ) -> Any:
            changed = deepcopy({**opt, 'model_type': model_type})
            changed['train'] = {**changed['train'][section], **settings}
            if section == 'sr':
                changed['train'].update(supervision='pseudo')
            return Trainer(changed, first, batch, device)

        lines = {name: lambda s=settings, m=make: m(s) for name, settings in SETTINGS.items() if name in args.settings}
        if first == grow_at[-1] and section == 'sr' and args.scale <= 4:  # RRDBNet makes no x8
            for name, kind in RIVALS.items():
                lines[name] = lambda k=kind: Rival(rival_options(k, opt, args.small), batch, device)
        yield title, lines


def table(title: str, lines: dict[str, Callable], args: argparse.Namespace, rates: dict[str, float], gpu: bool) -> None:
    trainers, memory, counted = {}, {}, {}
    for name, make in lines.items():
        try:
            if gpu:
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
            trainers[name] = trainer = make()
            for _ in range(3):  # allocates, chooses kernels, compiles, records
                trainer.whole()
                trainer.parts()
            if gpu:
                memory[name] = torch.cuda.max_memory_allocated() - before
        except (UserError, torch.cuda.OutOfMemoryError) as error:
            trainers.pop(name, None)
            print(f'{name}: left out, {" ".join(str(error).split())[:150]}', file=sys.stderr)
    for name, trainer in trainers.items():
        if not {'compile', 'graphs'} & set(
            name.split(', ')
        ):  # not seen there; what is computed is that of those without
            with Count() as count:
                trainer.iterate()
            counted[name] = count.flops, count.bytes
    times: dict[str, list[float]] = {name: [] for name in trainers}
    shares: dict[str, list[dict[str, float]]] = {name: [] for name in trainers}
    for _ in range(args.turns):
        for name, trainer in trainers.items():
            times[name].append(trainer.whole())
            shares[name].append(trainer.parts())
    print(f'\n**{title}**, batch {args.batch}\n')
    print(
        '| | ratio | images/s | ms | '
        + ' | '.join(COLUMNS)
        + ' | memory, GB | TFLOP | GB moved | matrix rate | bandwidth |'
    )
    print('|' + '---|' * (len(COLUMNS) + 9))
    first = statistics.median(next(iter(times.values())))
    for name, trainer in trainers.items():
        ms = statistics.median(times[name])
        parts = [
            f'{statistics.median(turn[column] for turn in shares[name]):.1f}' if shares[name][0] else ''
            for column in COLUMNS
        ]
        plain = ', '.join(each for each in name.split(', ') if each not in ('compile', 'graphs'))
        flops, moved = counted.get(name, counted.get(plain, (0, 0)))
        rate = rates.get(trainer.precision)
        cells = [
            f'{ms / first:.2f}',
            f'{args.batch / ms * 1000:.1f}',
            f'{ms:.1f}',
            *parts,
            f'{memory[name] / 1e9:.2f}' if name in memory else '',
            f'{flops / 1e12:.3f}' if flops else '',
            f'{moved / 1e9:.2f}' if moved else '',
            f'{flops / ms * 1000 / rate:.0%}' if rate and flops else '',
            f'{moved / ms * 1000 / rates["copy"]:.0%}' if moved else '',
        ]
        print(f'| {name} | ' + ' | '.join(cells) + ' |', flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--scale', type=int, choices=(2, 4, 8), default=4)
    parser.add_argument(
        '--tables',
        nargs='+',
        action='extend',
        choices=('stage 1', 'x2', 'x4', 'x8'),
        help='these alone; all by default',
    )
    parser.add_argument('--batch', type=int, default=48)
    parser.add_argument('--small', action='store_true', help="the demo's networks, a hundredth of the paper's")
    parser.add_argument('--turns', type=int, default=10, help='iterations that are measured, of each line')
    parser.add_argument(
        '--settings', nargs='+', action='extend', choices=SETTINGS, metavar='NAME', help='these alone; all by default'
    )
    parser.add_argument('--cpu', action='store_true', help='on the CPU where there is a GPU')
    args = parser.parse_args(arguments)
    args.settings = args.settings or list(SETTINGS)
    too_large = [name for name in args.tables or () if name[1:].isdigit() and int(name[1:]) > args.scale]
    if too_large:
        parser.error(f'--tables {too_large[0]}: a schedule of --scale {args.scale} has no such level.')
    gpu = torch.cuda.is_available() and not args.cpu
    if not gpu:
        os.environ['CUDA_VISIBLE_DEVICES'] = ''
    device = torch.device('cuda' if gpu else 'cpu')
    rates = measured_rates(device)
    name = torch.cuda.get_device_name() if gpu else f'CPU, {torch.get_num_threads()} threads'
    print(
        f'{name}, PyTorch {torch.__version__}; '
        + ', '.join(f'{key} {rate / 1e12:.3g} T/s' for key, rate in rates.items())
    )
    with tempfile.TemporaryDirectory() as folder:
        for title, lines in cases(args, device, folder):
            table(title, lines, args, rates, gpu)
            gc.collect()


if __name__ == '__main__':
    main()
