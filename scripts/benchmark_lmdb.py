"""Measure the making of LMDBs: ours beside BasicSR's, and our memory with few and with many images.

    python scripts/benchmark_lmdb.py --input faces                        images/s and peak memory of each maker
    python scripts/benchmark_lmdb.py --input faces --memory 2000 20000    our peak memory for so many images

Every maker runs in a process of its own on the same folder. The makers take turns, several times over; the times are
those of the making alone, without the start of Python, and so is the memory "of the making": what the peak was above
the memory before it. The memory is the parent's alone, not that of BasicSR's 40 children; the CPU time is of all. On a
machine that others use as well, compare the CPU times. Needs Linux. The LMDBs are made in a temporary folder (see
--scratch).
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from collections.abc import Callable

import cv2
import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs
from basicsr.utils.lmdb_util import make_lmdb_from_imgs
from tqdm import tqdm

from selfsr_plugin.data import open_image_source
from selfsr_plugin.preparation.image_recode import Recipe
from selfsr_plugin.preparation.lmdb_writer import create_lmdb
from selfsr_plugin.errors import UserError


def make_ours(folder: str, output: str, encode: str, workers: int) -> None:
    cv2.setNumThreads(1)  # as selfsr_plugin/create_lmdb.py does
    create_lmdb(open_image_source(folder), output, Recipe(encode=encode), workers)


def make_basicsr(folder: str, output: str, multiprocessing_read: bool) -> None:
    files = sorted(os.listdir(folder))
    # The map size by itself would be ten times the first image for each, which is too small for some folders.
    make_lmdb_from_imgs(
        folder,
        output,
        files,
        [os.path.splitext(file)[0] for file in files],
        map_size=1 << 40,
        multiprocessing_read=multiprocessing_read,
    )


def makers(workers: int) -> dict[str, Callable[[str, str], None]]:
    return {
        'BasicSR, one process': lambda folder, output: make_basicsr(folder, output, False),
        'BasicSR, multiprocessing_read (40 processes)': lambda folder, output: make_basicsr(folder, output, True),
        'ours, --encode png, 1 worker': lambda folder, output: make_ours(folder, output, 'png', 1),
        f'ours, --encode png, {workers} workers': lambda folder, output: make_ours(folder, output, 'png', workers),
        'ours, 1 worker': lambda folder, output: make_ours(folder, output, 'keep', 1),
        f'ours, {workers} workers': lambda folder, output: make_ours(folder, output, 'keep', workers),
    }


def run_maker(name: str, folder: str, output: str, workers: int) -> None:
    """Make one LMDB in this process; print its seconds and the memory it took in MB as JSON, last line."""
    with open('/proc/self/clear_refs', 'w', encoding='ascii') as file:
        file.write('5')  # the peak starts anew: importing torch took more than making the LMDB does
    before = memory_in_mb('VmRSS')
    started, cpu = time.perf_counter(), cpu_seconds()
    makers(workers)[name](folder, output)
    seconds = time.perf_counter() - started
    cpu = cpu_seconds() - cpu
    print('\n' + json.dumps({'seconds': seconds, 'cpu': cpu, 'peak': memory_in_mb('VmHWM'), 'before': before}))


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    return sum(os.times()[:4])


def memory_in_mb(key: str) -> float:
    with open('/proc/self/status', encoding='ascii') as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key)) / 1024


def measure(name: str, folder: str, scratch: Path, workers: int) -> dict[str, float]:
    """Run one maker in a process of its own. UserError if it fails."""
    with tempfile.TemporaryDirectory(dir=scratch) as made:
        output = os.path.join(made, 'made.lmdb')
        command = [sys.executable, __file__, '--input', folder, '--workers', str(workers), '--run', name, output]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise UserError(f'{name} failed: {(done.stderr or done.stdout).strip().splitlines()[-1]}')
        result = json.loads(done.stdout.strip().splitlines()[-1])
        result['size'] = os.path.getsize(os.path.join(output, 'data.mdb')) / 2**20
    return result


def compare(folder: str, scratch: Path, workers: int, repeats: int) -> None:
    """Print the table of all makers; their order turns round from one repeat to the next."""
    count = len(open_image_source(folder))
    names = list(makers(workers))
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    turns = [names if repeat % 2 == 0 else names[::-1] for repeat in range(repeats)]
    for name in tqdm(list(itertools.chain.from_iterable(turns)), unit='run'):
        results[name].append(measure(name, folder, scratch, workers))
    print(
        f'{count} images, median of {repeats} runs; ratio: median of images/s over the first row of the same repeat\n'
        '\n| maker | images/s | ratio (lowest to highest) | CPU ms per image | peak RSS (MB) | of it the making (MB) '
        '| data.mdb (MB) |\n|---|---|---|---|---|---|---|'
    )
    for name in names:
        ratios = [first['seconds'] / run['seconds'] for first, run in zip(results[names[0]], results[name])]
        middle = {key: statistics.median(run[key] for run in results[name]) for key in results[name][0]}
        print(
            f'| {name} | {count / middle["seconds"]:.0f} | {statistics.median(ratios):.2f} ({min(ratios):.2f} to '
            f'{max(ratios):.2f}) | {middle["cpu"] / count * 1000:.2f} | {middle["peak"]:.0f} | '
            f'{middle["peak"] - middle["before"]:.0f} | {middle["size"]:.0f} |'
        )


def compare_memory(folder: str, scratch: Path, workers: int, counts: list[int]) -> None:
    """Print our peak memory for folders of so many images: numbered copies, in turn, of those in ``folder``."""
    originals = sorted(path for path in Path(folder).iterdir() if path.is_file())
    print('| images | peak RSS (MB) | of it the making (MB) | images/s |\n|---|---|---|---|')
    peaks = []
    for count in counts:
        with tempfile.TemporaryDirectory(dir=scratch) as copies:
            for number, original in zip(range(count), itertools.cycle(originals)):
                Path(copies, f'{number:07d}{original.suffix}').write_bytes(original.read_bytes())
            result = measure(f'ours, {workers} workers', copies, scratch, workers)
        peaks.append(result['peak'])
        print(
            f'| {count} | {result["peak"]:.0f} | {result["peak"] - result["before"]:.0f} | '
            f'{count / result["seconds"]:.0f} |'
        )
    print(f'\nLargest difference: {max(peaks) - min(peaks):.0f} MB.')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--input', required=True, help='folder of images')
    parser.add_argument('--workers', type=int, default=2, help='threads of ours in the rows of several (default: 2)')
    parser.add_argument('--repeats', type=int, default=5, help='how often every maker runs (default: 5)')
    parser.add_argument(
        '--memory', type=int, nargs='+', action='extend', metavar='COUNT', help='measure our memory instead'
    )
    parser.add_argument('--scratch', type=Path, help='folder for temporary files (default: that of the system)')
    parser.add_argument('--run', nargs=2, metavar=('MAKER', 'OUTPUT'), help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.run:
            run_maker(options.run[0], options.input, options.run[1], options.workers)
        elif options.memory:
            compare_memory(options.input, options.scratch, options.workers, options.memory)
        else:
            compare(options.input, options.scratch, options.workers, options.repeats)
    except (UserError, ValueError, OSError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
