"""The history of generated images that CycleGAN's discriminators learn from."""

import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..engine.update import Batch


class ImagePool:
    """The last images that a generator made, replaced at random (CycleGAN section 4, after Shrivastava et al., 2017).

    For each new image, in order: while there is room it is stored and given back; after that, with probability 1/2 it
    takes the place of a stored image, which is given back instead, otherwise it is given back itself.

    The draws are a function of (seed, name, iteration), so that a resumed run goes on as the one that was stopped. The
    pool is that of the whole batch: with several processes each holds the same pool, fed with the images of all of
    them in the order of the ranks, and gives back its own share. What is trained is then what one process with the
    whole batch would train, and the state is saved once for all.

    Args:
        size: images kept, 50 in CycleGAN; 0 gives every batch back as it came.
        seed: of the run.
        name: tells several pools of a run apart.
    """

    def __init__(self, size: int, seed: int, name: str) -> None:
        self.size, self.seed, self.name = size, seed, name
        self.images: Tensor | None = None  # (at most size, C, H, W)

    def exchange(self, images: Tensor, iteration: int, rank: int = 0, world_size: int = 1) -> Tensor:
        """Put a batch in and take one of the same size out; called once in each iteration, by every process.

        Args:
            images: (N, C, H, W), without a graph; N alike in all processes.
            iteration: number of the iteration.
            rank, world_size: this process among those that train.

        Returns:
            Tensor (N, C, H, W), a mixture of new and stored images.
        """
        if self.size == 0:
            return images
        count, batch = len(images), _gather(images, world_size)
        # Numbers of images only: first those in the pool, then the new ones.
        held = 0 if self.images is None else len(self.images)
        everything = batch if self.images is None else torch.cat((self.images, batch))
        slots, given = list(range(held)), []
        draws = np.random.RandomState(zlib.crc32(f'{self.seed} {self.name} {iteration}'.encode()))
        for new in range(held, held + len(batch)):
            if len(slots) < self.size:
                slots.append(new)
                given.append(new)
            elif draws.random_sample() < 0.5:
                slot = draws.randint(self.size)
                given.append(slots[slot])
                slots[slot] = new
            else:
                given.append(new)
        self.images = _pick(everything, slots)
        return _pick(everything, given[rank * count : (rank + 1) * count])

    def state_dict(self) -> dict[str, Any]:
        """The stored images on the CPU, or None before the first batch."""
        return {'images': None if self.images is None else self.images.cpu()}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        images = state['images']
        self.images = None if images is None else images.to(device)


class WithImagePools:
    """A stage whose discriminators learn from pools: what they are shown, and the pools' part of a training state.

    Stands before the stage's base class. ``pools`` has an :class:`ImagePool` by the discriminator's label.
    """

    pools: dict[str, ImagePool]

    def _exchange(self, label: str, name: str, current_iter: int, batch: Batch) -> Batch:
        """The generated images of a batch against some of earlier iterations."""
        return {name: self.pools[label].exchange(batch[name], current_iter, self.opt['rank'], self.opt['world_size'])}

    def extra_state(self) -> dict[str, Any]:
        return {'pools': {label: pool.state_dict() for label, pool in self.pools.items()}}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        for label, pool in self.pools.items():
            pool.load_state_dict(state['pools'][label], self.device)


def _pick(images: Tensor, numbers: list[int]) -> Tensor:
    """A copy of some images, without a wait for the device: their numbers go there from pinned memory."""
    places = torch.tensor(numbers, pin_memory=images.is_cuda)
    return images.index_select(0, places.to(images.device, non_blocking=True))


def _gather(images: Tensor, world_size: int) -> Tensor:
    """The images of all processes in the order of their ranks."""
    if world_size == 1:
        return images
    shares = [torch.empty_like(images) for _ in range(world_size)]
    torch.distributed.all_gather(shares, images.contiguous())
    return torch.cat(shares)
