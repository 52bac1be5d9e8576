"""Milliseconds per iteration of the demo's training on a CPU, idle and beside a computing process, by OpenMP settings.

    python scripts/benchmark_threads.py

PyTorch's threads meet at the end of every operation, and those that come first spin for a while before they sleep. On a
machine whose cores are shared the last one may be waiting for a core, and what spins keeps that core from it. All
settings are variables of the environment, which libgomp, the OpenMP of PyTorch's builds for Linux, reads once, when
torch is loaded; so each setting has a process of its own. The processes take turns, idle and loaded, several times
over, and the table shows medians and their ratio to those of the first line. An iteration is a third one of stage 1 and
two thirds one of the last level of stage 2, as in the demo. Only what runs beside it is made here: anything else on the
machine falsifies the idle column.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VARIABLES = ('OMP_NUM_THREADS', 'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT')
SETTINGS = [
    {},
    {'OMP_NUM_THREADS': '1'},
    {'OMP_WAIT_POLICY': 'PASSIVE'},
    {'GOMP_SPINCOUNT': '100'},
    {'GOMP_SPINCOUNT': '1000'},
    {'GOMP_SPINCOUNT': '10000'},
]
STAGE1_STEPS, STAGE2_STEPS = 5, 10  # in one turn


def work() -> None:
    """Train on random faces for one turn per line of the input, and print the seconds that each took."""
    os.environ['CUDA_VISIBLE_DEVICES'] = ''
    import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs
    import torch
    from basicsr.models import build_model
    from selfsr_plugin.options import complete_options, parse_arguments, read_option_file

    file = str(ROOT / 'options/train_selfsr_demo.yml')
    batch = {'gt': torch.rand(4, 3, 64, 64), 'lq': torch.rand(4, 3, 16, 16)}
    with tempfile.TemporaryDirectory() as folder:
        opt = complete_options(read_option_file(file), parse_arguments(['-opt', file]), folder, True, 0, 1)
        os.makedirs(opt['path']['models'])
        stage1, sr = opt['train']['degradation']['total_iter'], opt['train']['sr']
        models = [(build_model(opt), 0, STAGE1_STEPS), (build_model(opt), stage1 + sr['grow_at'][-1], STAGE2_STEPS)]
        print('ready', flush=True)
        for turn, _ in enumerate(sys.stdin):
            started = time.perf_counter()
            for model, first, steps in models:
                for iteration in range(first + turn * steps + 1, first + (turn + 1) * steps + 1):
                    model.update_learning_rate(iteration)
                    model.feed_data(batch)
                    model.optimize_parameters(iteration)
            print(time.perf_counter() - started, flush=True)


class Trainer:
    """A process that trains with ``setting`` in its environment."""

    def __init__(self, setting: dict[str, str]) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in VARIABLES}
        self.process = subprocess.Popen(
            [sys.executable, __file__, '--work'],
            env={**environment, **setting},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        if self.process.stdout.readline() != 'ready\n':
            sys.exit(f'error: the training of {setting} does not start; {sys.executable} {__file__} --work shows why')
        self.turn()  # the first allocates memory and chooses algorithms

    def turn(self) -> float:
        """Milliseconds per iteration of one turn."""
        self.process.stdin.write('\n')
        self.process.stdin.flush()
        return float(self.process.stdout.readline()) * 1000 / (STAGE1_STEPS + STAGE2_STEPS)


def measure(turns: int, competitors: int) -> list[tuple[float, float]]:
    """Median milliseconds per iteration, idle and loaded, of each setting."""
    busy: list[subprocess.Popen] = []
    trainers: list[Trainer] = []
    times: list[tuple[list[float], list[float]]] = [([], []) for _ in SETTINGS]
    try:
        for setting in SETTINGS:
            trainers.append(Trainer(setting))
        for _ in range(turns):
            for loaded in (0, 1):
                busy = [
                    subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(loaded * competitors)
                ]
                for trainer, found in zip(trainers, times):
                    found[loaded].append(trainer.turn())
                for process in busy:
                    process.kill()
    finally:
        for process in [*busy, *(trainer.process for trainer in trainers)]:
            process.kill()
    return [(statistics.median(idle), statistics.median(loaded)) for idle, loaded in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--turns', type=int, default=5, help='measurements of each setting, idle and loaded each')
    parser.add_argument('--competitors', type=int, default=1, help='processes that compute beside it')
    parser.add_argument('--work', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work()
        return
    print(
        f'{len(os.sched_getaffinity(0))} cores, {args.competitors} competing; '
        f'load average before: {os.getloadavg()[0]:.1f}'
    )
    results = measure(args.turns, args.competitors)
    print('| setting | idle, ms | loaded, ms | idle, ratio | loaded, ratio |\n|---|---|---|---|---|')
    for setting, (idle, loaded) in zip(SETTINGS, results):
        name = ' '.join(f'{key}={value}' for key, value in setting.items()) or 'default'
        print(f'| {name} | {idle:.0f} | {loaded:.0f} | {idle / results[0][0]:.2f} | {loaded / results[0][1]:.2f} |')


if __name__ == '__main__':
    main()
