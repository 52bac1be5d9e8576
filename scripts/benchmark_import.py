"""What ``import basicsr`` costs with this package's start-up hook and without it.

``python scripts/benchmark_import.py --runs 10`` starts fresh processes in turns, with the hook and without, so that the
machine's other work meets both alike, and prints both medians and their ratio. Without the hook, BasicSR gets the one
thing that it needs from us, the module that torchvision has dropped.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / 'selfsr_plugin'
CODE = """
import sys, time
sys.path[:0] = sys.argv[1:3]
start, cpu = time.perf_counter(), time.process_time()
if sys.argv[3] == 'with':
    import autoload
    autoload.watch()
else:
    import aliases
    aliases.alias_functional_tensor()
import basicsr
print(time.perf_counter() - start, time.process_time() - cpu)
from basicsr.utils.registry import ARCH_REGISTRY
assert ('SelfCondSRNet' in ARCH_REGISTRY) == (sys.argv[3] == 'with')
"""


def measure(kind: str) -> tuple[float, float]:
    """Seconds of wall clock and of processor time that one fresh process needs, 'with' or 'without'."""
    done = subprocess.run(
        [sys.executable, '-c', CODE, str(PACKAGE / 'hook'), str(PACKAGE / 'basicsr_compat'), kind],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, 'SELFSR_AUTOLOAD': '0'},
    )
    wall, cpu = map(float, done.stdout.split())
    return wall, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--runs', type=int, default=10, help='processes of each kind (default 10)')
    args = parser.parse_args()
    kinds = ('without', 'with')
    for kind in kinds:
        measure(kind)  # fills the caches of the file system and of compiled files
    times = {kind: [] for kind in kinds}
    for number in range(args.runs):
        for kind in kinds if number % 2 else kinds[::-1]:
            times[kind].append(measure(kind))
    print(f'import basicsr, median of {args.runs} fresh processes each, in turns')
    for index, name in enumerate(('wall clock', 'processor time')):
        without, with_hook = (statistics.median(run[index] for run in times[kind]) for kind in kinds)
        print(f'{name:14}  without {without:.2f} s  with {with_hook:.2f} s  ratio {with_hook / without:.3f}')


if __name__ == '__main__':
    main()
