"""Measure the training loaders: images/s against worker processes, LMDB against folder, ours beside BasicSR's.

    python scripts/benchmark_loader.py --input faces --gt-size 128 --scale 8

LR images are made first (bicubic, PNG), and LMDBs of both; all data sets then read the same files. Every measurement
reads whole batches for --seconds after a warm-up, the loaders take turns, several times over, and the table shows the
medians. 'images/s' counts HR images. The files come from the page cache: this measures the loaders, not the disk.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from collections.abc import Iterator

import cv2
import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs
from basicsr.data import build_dataloader, build_dataset
from basicsr.data.data_sampler import EnlargedSampler
from selfsr_plugin.data import build_train_loader, close_environments, open_image_source
from selfsr_plugin.preparation.image_recode import Recipe
from selfsr_plugin.preparation.lmdb_writer import create_lmdb
from selfsr_plugin.errors import UserError
from tqdm import tqdm

# The paper trains 160,000 iterations of 48 images in about 24 h on four V100 (x8): 160000 * 48 / 86400 s.
NEEDED = 160000 * 48 / (24 * 3600)
DATASETS = ('PairedImageDataset', 'PairedFaceDataset', 'PairedFaceDataset, LR made from HR', 'UnpairedFaceDataset')


def prepare(source: str, scratch: Path, gt_size: int, scale: int) -> None:
    """``scratch``/gt and lq, each as a folder of PNG files and as an LMDB with the same bytes."""
    for part, size in (('gt', gt_size), ('lq', gt_size // scale)):
        create_lmdb(open_image_source(source), str(scratch / f'{part}.lmdb'), Recipe(size=size, encode='png'))
        stored = open_image_source(str(scratch / f'{part}.lmdb'))
        (scratch / part).mkdir()
        for index, name in enumerate(stored.names):
            (scratch / part / f'{name}.png').write_bytes(stored.read_bytes(index))
    close_environments()  # lmdb opens them once per process, and BasicSR has its own


def batches(dataset: str, storage: str, workers: int, options: argparse.Namespace, scratch: Path) -> Iterator[Any]:
    """Endless batches as training gets them from this data set and its own loader."""
    ending = '.lmdb' if storage == 'LMDB' else ''
    opt: dict[str, Any] = {
        'name': dataset,
        'type': dataset.split(',')[0],
        'phase': 'train',
        'scale': options.scale,
        'dataroot_gt': str(scratch / f'gt{ending}'),
        'dataroot_lq': str(scratch / f'lq{ending}'),
        'gt_size': options.gt_size,
        'use_hflip': True,
        'use_rot': False,
        'batch_size_per_gpu': options.batch,
        'num_worker_per_gpu': workers,
    }
    if dataset == 'PairedImageDataset':
        opt['io_backend'] = {'type': 'lmdb' if ending else 'disk'}
        built = build_dataset(opt)
        sampler = EnlargedSampler(built, 1, 0, 1000)
        yield from build_dataloader(built, opt, num_gpu=1, dist=False, sampler=sampler, seed=0)
    if dataset == 'UnpairedFaceDataset':
        opt['lq_size'] = options.gt_size // options.scale
    if dataset.endswith('from HR'):
        opt['dataroot_lq'] = None
    yield from build_train_loader(build_dataset(opt), opt, seed=0)


def images_per_second(loader: Iterator[Any], batch: int, seconds: float, workers: int) -> float:
    for _ in range(2 + 3 * workers):  # what the workers had read in advance must not count
        next(loader)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        next(loader)
        count += batch
    return count / (time.perf_counter() - started)


def measure(options: argparse.Namespace, scratch: Path) -> dict[tuple[str, str, int], float]:
    kinds = list(itertools.product(DATASETS, ('folder', 'LMDB'), options.workers))
    speeds: dict[tuple[str, str, int], list[float]] = {kind: [] for kind in kinds}
    turns = [kinds if repeat % 2 == 0 else kinds[::-1] for repeat in range(options.repeats)]
    for dataset, storage, workers in tqdm(list(itertools.chain.from_iterable(turns)), unit='run'):
        loader = batches(dataset, storage, workers, options, scratch)
        speeds[dataset, storage, workers].append(images_per_second(loader, options.batch, options.seconds, workers))
        loader.close()
        close_environments()
    return {kind: statistics.median(values) for kind, values in speeds.items()}


def report(options: argparse.Namespace, speeds: dict[tuple[str, str, int], float]) -> None:
    print(
        f'HR {options.gt_size}x{options.gt_size}, scale {options.scale}, batches of {options.batch}, images/s, '
        f'median of {options.repeats} runs\n'
    )
    print('| data set | storage |' + ''.join(f' {workers} workers |' for workers in options.workers))
    print('|---|---|' + '---|' * len(options.workers))
    for dataset, storage in itertools.product(DATASETS, ('folder', 'LMDB')):
        row = ''.join(f' {speeds[dataset, storage, workers]:.0f} |' for workers in options.workers)
        print(f'| {dataset} | {storage} |{row}')
    print(f"\nThe paper's training (160,000 iterations of 48 images in about 24 h) needs {NEEDED:.0f} images/s.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--input', required=True, help='folder or LMDB of HR faces, of at least --gt-size')
    parser.add_argument('--gt-size', type=int, default=128, help='side of the HR images (default: 128)')
    parser.add_argument('--scale', type=int, default=8, help='LR images are this much smaller (default: 8)')
    parser.add_argument('--workers', type=int, nargs='+', action='extend', help='worker processes (default: 0 1 2)')
    parser.add_argument('--batch', type=int, default=48, help="images per batch (default: the paper's 48)")
    parser.add_argument('--seconds', type=float, default=3, help='length of a measurement (default: 3)')
    parser.add_argument('--repeats', type=int, default=3, help='measurements of each kind (default: 3)')
    parser.add_argument('--scratch', type=Path, help='folder for temporary files (default: that of the system)')
    options = parser.parse_args()
    options.workers = [*dict.fromkeys(options.workers or (0, 1, 2))]
    cv2.setNumThreads(1)  # alike for all loaders when they read in this process
    try:
        with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
            prepare(options.input, Path(scratch), options.gt_size, options.scale)
            report(options, measure(options, Path(scratch)))
    except (UserError, ValueError, OSError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
