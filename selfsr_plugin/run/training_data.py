"""The batches of a training run, whatever happens to images and worker processes."""

import signal
from typing import Any

import torch
from basicsr.utils import get_root_logger
from torch.utils.data import default_collate

from ..data import BadImageLog, ImageBytes, SeededDataset, build_train_loader
from ..errors import UserError
from ..memory import available_bytes


class TrainingData:
    """Endless batches of a data set, starting with that of iteration ``start_iter + 1``.

    A batch is a function of the seed and the iteration (``data/sampling.py``). So when a worker process dies, killed
    for its memory perhaps, the loader is made anew and gives the very batch that was due.

    For a GPU images come from the workers as bytes, and are copied beside what it computes.

    Args:
        dataset: any map-style data set; the bad images of one with a ``bad_image_log`` are counted.
        opt: completed options.
        start_iter: iterations already done.
    """

    def __init__(self, dataset: Any, opt: dict[str, Any], start_iter: int) -> None:
        self.start_iter = start_iter
        self._dataset, self._opt = dataset, opt
        self._settings = opt['datasets']['train']
        self.batch_size = self._settings['batch_size_per_gpu'] * opt['world_size']  # over all processes
        self._bad_images: BadImageLog | None = getattr(dataset, 'bad_image_log', None)
        self._died_at: int | None = None
        self._copies = torch.cuda.Stream() if opt['num_gpu'] != 0 else None  # as BasicSR's models choose their device
        self._batches: Any = None  # started with the first batch, not before the memory has been looked at

    def sample_batch(self, size: int) -> dict[str, Any]:
        """A batch of the first images of the data set, of any size; what :meth:`next_batch` gives stays as it is."""
        seeded = SeededDataset(self._dataset, self._opt['manual_seed'])  # leaves the generators as they are
        return default_collate([seeded[k % len(self._dataset), k] for k in range(size)])

    def check_memory(self) -> None:
        """Estimate what collecting a batch takes before that is tried: its samples, and the same again as a batch.

        Raises:
            UserError: the machine has less memory than that.
        """
        size = self._settings['batch_size_per_gpu']
        try:
            sample = self.sample_batch(1)
        except Exception:  # the first batch says what is wrong with it
            return
        needed = 2 * size * sum(value.nbytes for value in sample.values() if torch.is_tensor(value))
        there = available_bytes(torch.device('cpu'))
        if there is not None and needed > there:
            raise UserError(
                f'datasets.train.batch_size_per_gpu: {size}: to collect a batch takes {needed / 1e9:.1f} GB of memory, '
                f'and {there / 1e9:.1f} GB are free: lower it.'
            )

    def _load(self, done: int) -> None:
        opt = self._opt
        handler = signal.getsignal(signal.SIGCHLD)
        self._batches = iter(
            build_train_loader(
                self._dataset,
                self._settings,
                opt['manual_seed'],
                opt['rank'],
                opt['world_size'],
                done,
                as_bytes=self._copies is not None,
            )
        )
        # torch's handler raises wherever the program happens to be when a worker dies, in the middle of an optimizer's
        # step perhaps. Without it the death is found when the next batch is asked for.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if handler is None else handler)

    def epoch(self, iteration: int) -> int:
        """Number of whole passes over the data set after an iteration."""
        return iteration * self.batch_size // len(self._dataset)

    def next_batch(self, iteration: int) -> dict[str, Any]:
        """The batch of ``iteration``, its images on the GPU if there is one; iterations must be asked for in order.

        Raises:
            UserError: too many bad images, or workers die again and again.
        """
        while True:
            try:
                if self._batches is None:
                    self._load(iteration - 1)
                batch = next(self._batches)
                if self._bad_images is not None:
                    self._bad_images.update(batch['bad_images'])
                return batch if self._copies is None else self._on_gpu(batch)
            except ValueError as error:  # from a worker it comes with the worker's traceback before the message
                raise UserError(str(error).strip().splitlines()[-1].removeprefix('ValueError: ')) from error
            except (RuntimeError, OSError, EOFError) as error:
                if not self._settings.get('num_worker_per_gpu') or not _is_death_of_a_worker(error):
                    raise
                if self._died_at == iteration:
                    raise UserError(
                        f'datasets.train: worker processes die before they give the batch of iteration '
                        f'{iteration}: the machine may lack memory (/dev/shm included); lower '
                        'num_worker_per_gpu or batch_size_per_gpu.'
                    ) from error
                self._died_at = iteration
                get_root_logger().warning(
                    f'A worker process died before iteration {iteration}; workers are started anew.'
                )
                self._batches = None

    def _on_gpu(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch with its images, float32 (N, C, H, W), on the GPU. Whatever else it holds stays where it is.

        Their copy need not be asked for an iteration ahead: nothing in an iteration waits for the GPU, which is still
        at the one before when this is called.
        """
        device, computing = torch.device('cuda'), torch.cuda.current_stream()
        with torch.cuda.stream(self._copies):
            for key, value in batch.items():
                if isinstance(value, ImageBytes):
                    batch[key] = value.images(device)
                elif torch.is_tensor(value) and value.dim() == 4:
                    batch[key] = value.to(device, non_blocking=True)
        computing.wait_stream(self._copies)
        for value in batch.values():
            if torch.is_tensor(value) and value.is_cuda:
                value.record_stream(computing)  # or its memory would be that of a later copy too early
        return batch


def _is_death_of_a_worker(error: Exception) -> bool:
    """Whether torch found a worker gone, or the socket on which it hands out the tensors of a finished batch."""
    if 'in DataLoader worker process' in str(error):  # an error of the data set, passed on
        return False
    return str(error).startswith('DataLoader worker (pid') or isinstance(
        error, (ConnectionError, FileNotFoundError, EOFError)
    )
