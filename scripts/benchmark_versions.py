"""CPU time of a training iteration of this tree beside another one, such as a worktree of an earlier commit.

    git worktree add ../before COMMIT
    python scripts/benchmark_versions.py ../before

Each tree has a process of one thread; they take turns. Measured is the time that the processes computed, not the time
that went by, so that it may be done on a machine that is busy; figures are medians and their ratio. The networks are
small, in fp32: stage 1, and stage 2 at x4 with R1 and a moving average, batches of 4.
"""

import argparse
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STEPS = (3, 1)  # of stage 1 and stage 2, in one turn


def work(tree: Path) -> None:
    """Train for one turn per line of the input, and print the milliseconds of an iteration of each stage."""
    sys.path[:0] = [str(tree), str(tree / 'tests'), str(tree / 'tests/stages')]
    import selfsr_plugin
    import torch
    from model_kit import batch, stage1_options, stage2_options, start

    assert Path(selfsr_plugin.__file__).is_relative_to(tree), selfsr_plugin.__file__
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp())
    stage1, stage2 = stage1_options(folder), stage2_options(folder, supervision='pseudo', ema_decay=0.9, grow_at=[])
    stage1['network_deg'].update(num_feat=16, num_block=2)
    stage1['network_d_lq'].update(num_feat=32)
    stage2['network_g'].update(widths=[32, 16], cond_ratio=8)
    stage2['network_d'].update(feat_base=512, feat_max=32)
    models, data, iteration = [start(stage1), start(stage2)], batch(1), 0
    for turn in range(10**6):
        found = []
        for model, steps in zip(models, STEPS):
            began = time.process_time()
            for _ in range(steps):
                iteration += 1
                model.update_learning_rate(iteration)
                model.feed_data(data)
                model.optimize_parameters(iteration)
            found.append((time.process_time() - began) * 1000 / steps)
        if turn:  # the first allocates memory and chooses algorithms
            print(*found, flush=True)
        else:
            print('ready', flush=True)
        if not sys.stdin.readline():
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tree', type=Path, help='the other tree')
    parser.add_argument('--turns', type=int, default=5)
    parser.add_argument('--work', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.tree.resolve())
        return
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(tree), '--work'],
            cwd=tree,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for tree in (args.tree, ROOT)
    ]
    times: list[list[list[float]]] = [[], []]
    for process in processes:
        if process.stdout.readline() != 'ready\n':
            sys.exit(f'error: the training does not start; {" ".join(process.args)} shows why')
    for _ in range(args.turns):
        for process, found in zip(processes, times):
            process.stdin.write('\n')
            process.stdin.flush()
            found.append([float(each) for each in process.stdout.readline().split()])
    for process in processes:
        process.kill()
    print('| | there, ms | here, ms | ratio |\n|---|---|---|---|')
    for number, name in enumerate(('stage 1', 'stage 2')):
        there, here = (statistics.median(turn[number] for turn in found) for found in times)
        print(f'| {name} | {there:.0f} | {here:.0f} | {here / there:.2f} |')


if __name__ == '__main__':
    main()
