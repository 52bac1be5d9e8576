"""Training data in an order that depends on (seed, position) alone.

The k-th training sample of a run, augmentation included, is a function of the seed and k: not of the number of workers,
not of how many processes share the work, not of where the run was stopped and resumed. BasicSR seeds its workers
anew at every start, so a resumed run of it sees other data than one that was not interrupted.
"""

import hashlib
import random
import signal
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from .image_bytes import collate_bytes

Key = tuple[int, int]  # (index into the data set, position k in the run)


def _hash(*numbers: int) -> bytes:
    """32 bytes that differ without pattern for every tuple of whole numbers."""
    text = ' '.join(str(int(number)) for number in numbers)
    return hashlib.blake2b(text.encode(), digest_size=32).digest()


class InfiniteSampler(Sampler):
    """The keys (index, k) of one rank's samples, for ever; every image is used once per epoch over all ranks.

    Iteration s of rank r takes the positions ``s * B * W + r * B + [0, B)``, so that W ranks together see exactly the
    batch that one process with batch W * B sees. Position k is place k % size of a random order of epoch k // size.

    Args:
        size: images in the data set.
        seed: of the run.
        rank, world_size: this process among those that share the work.
        batch_size: B, samples per rank and iteration.
        start: iterations already done.
    """

    def __init__(self, size: int, seed: int, rank: int, world_size: int, batch_size: int, start: int = 0) -> None:
        if size < 1 or batch_size < 1 or start < 0 or not 0 <= rank < world_size:
            raise ValueError(
                f'impossible sampling: size {size}, batch_size {batch_size}, rank {rank} of {world_size}, '
                f'start {start}.'
            )
        self.size, self.seed, self.rank, self.world_size = size, seed, rank, world_size
        self.batch_size, self.start = batch_size, start

    def __iter__(self) -> Iterator[Key]:
        first = (self.start * self.world_size + self.rank) * self.batch_size
        epoch = -1
        while True:
            for k in range(first, first + self.batch_size):
                if k // self.size != epoch:
                    epoch = k // self.size
                    order = self._order(epoch)
                yield int(order[k % self.size]), k
            first += self.world_size * self.batch_size

    def _order(self, epoch: int) -> np.ndarray:
        # RandomState, because NumPy promises that its stream never changes: torch's and NumPy's newer generators may
        # give another order after an upgrade, and then a resumed run would not go on where it was.
        return np.random.RandomState(np.frombuffer(_hash(self.seed, epoch), np.uint32)).permutation(self.size)


class SeededDataset(Dataset):
    """Any map-style data set, with every random draw of item k decided by (seed, k). Takes an InfiniteSampler's keys.

    Python's, NumPy's and torch's (CPU) global generators are seeded before each item and, where the caller is not a
    worker of its own, put back afterwards. Bad images are left to whoever reads the batches (:class:`BadImageLog`).
    """

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self.dataset, self.seed = dataset, seed
        log = getattr(dataset, 'bad_image_log', None)
        if log is not None:
            log.handed_over = True

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> Any:
        index, k = key
        if get_worker_info() is not None:  # nothing else draws here, and saving the states costs more than seeding
            self._seed(k)
            return self.dataset[index]
        states = random.getstate(), np.random.get_state(), torch.default_generator.get_state()
        try:
            self._seed(k)
            return self.dataset[index]
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.default_generator.set_state(states[2])

    def _seed(self, k: int) -> None:
        digest = _hash(self.seed, k)
        random.seed(int.from_bytes(digest[:8], 'little'))
        np.random.seed(np.frombuffer(digest[8:24], np.uint32))
        # not torch.manual_seed: it also visits every accelerator, at ten times the cost of all the rest
        torch.default_generator.manual_seed(int.from_bytes(digest[24:31], 'little'))


def _init_worker(_: int) -> None:
    # The terminal sends a Ctrl-C to the workers too; the process that trains decides when it needs no more data.
    # SIGTERM ends them, also where that process has a handler of its own, which a fork would hand down.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(0)  # workers share the cores among themselves; torch limits its own threads in workers already


def build_train_loader(
    dataset: Dataset,
    dataset_opt: Mapping[str, Any],
    seed: int,
    rank: int = 0,
    world_size: int = 1,
    start_iter: int = 0,
    as_bytes: bool = False,
) -> DataLoader:
    """An endless loader: its first batch is that of iteration ``start_iter + 1``, it has no length and no epochs.

    Works with forked and spawned workers, whose number does not change the data. On Linux they are forked, on every
    Python: since 3.14 the default there is another, which takes longer to start and refuses data sets that cannot be
    pickled. Creating the loader or iterating over it leaves the global random generators of the calling process alone.

    Args:
        dataset: any map-style data set, BasicSR's included.
        dataset_opt: batch_size_per_gpu (per rank), num_worker_per_gpu (default 0), pin_memory (default False; ignored
            without a GPU).
        seed: of the run.
        rank, world_size: this process among those that train.
        start_iter: iterations already done.
        as_bytes: stored images come as :class:`ImageBytes`, what a batch holds otherwise comes as it is.
    """
    batch_size = dataset_opt['batch_size_per_gpu']
    workers = dataset_opt.get('num_worker_per_gpu', 0)
    sampler = InfiniteSampler(len(dataset), seed, rank, world_size, batch_size, start_iter)
    return DataLoader(
        SeededDataset(dataset, seed),
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=collate_bytes if as_bytes else None,
        multiprocessing_context='fork' if workers and sys.platform == 'linux' else None,
        pin_memory=bool(dataset_opt.get('pin_memory', False)) and torch.cuda.is_available(),
        worker_init_fn=_init_worker,
        generator=torch.Generator(),
    )  # otherwise DataLoader draws its workers' base seed from the global generator
