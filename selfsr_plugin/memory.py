"""How much memory a network needs for a batch, and how much there is: asked before the kernel ends the process."""

import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .errors import UserError

try:
    import resource
except ImportError:  # Windows
    resource = None


class _PeakBytes(TorchDispatchMode):
    """The largest sum of the sizes of all tensors alive at one time; those of the meta device have sizes too."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if id(storage) not in self.alive:
                    self.alive[id(storage)] = storage.nbytes()
                    self.now += storage.nbytes()
                    weakref.finalize(storage, self._freed, id(storage))
        self.peak = max(self.peak, self.now)
        return result

    def _freed(self, storage: int) -> None:
        self.now -= self.alive.pop(storage)


def forward_bytes(net: nn.Module, shape: Sequence[int]) -> int:
    """Bytes that ``net`` needs at most at one time for a batch of ``shape``, without gradients and its weights.

    Nothing is computed: the tensors have sizes and no values.
    """
    weights = {
        name: torch.empty_like(value, device='meta') for name, value in (*net.named_parameters(), *net.named_buffers())
    }
    # A copy with the same weights: BasicSR's RCAN keeps a tensor of the device that it ran on last.
    shadow = deepcopy(net, {id(value): value for value in (*net.parameters(), *net.buffers())})
    counter = _PeakBytes()
    with torch.no_grad(), counter:
        torch.func.functional_call(shadow, weights, (torch.empty(tuple(shape), device='meta'),))
    return counter.peak


@contextlib.contextmanager
def counted_bytes(device: torch.device) -> Iterator[Callable[[], int]]:
    """What is given tells, after the block, how many bytes the tensors made in it took at most at one time.

    Those that are there already and used in it may count as well, always alike.
    """
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield lambda: torch.cuda.max_memory_allocated(device) - before
        return
    counter = _PeakBytes()
    with counter:
        yield lambda: counter.peak


# What tensors need at most and what a process was seen to take differed by factors of 0.90 to 1.18 (torch 2.15, CPU,
# 16x16 to 64x64, batches of 1 to 16): convolutions have workspaces that are no tensors.
_MARGIN = 1.25
_SIDE = 64  # of the image that memory is estimated for; it grows with the number of pixels
_per_pixel: weakref.WeakKeyDictionary[nn.Module, float] = weakref.WeakKeyDictionary()


def bytes_per_pixel(net: nn.Module) -> float:
    """Memory that ``net`` needs for each pixel of a batch that goes into it."""
    return _MARGIN * forward_bytes(net, (1, 3, _SIDE, _SIDE)) / _SIDE**2


def refuse_too_large(net: nn.Module, images: torch.Tensor) -> None:
    """Refuse images (N, 3, h, w) that are known to need more memory than there is, before the kernel ends the process.

    Small ones are not looked at. Of networks that cannot be counted, which need values to run, nothing is known.

    Raises:
        UserError: it goes on after the name of the image.
    """
    pixels = images.shape[0] * images.shape[2] * images.shape[3]
    if pixels <= _SIDE**2:
        return
    net = getattr(net, 'module', net)  # without DistributedDataParallel
    if net not in _per_pixel:
        try:
            _per_pixel[net] = bytes_per_pixel(net)
        except Exception:
            _per_pixel[net] = 0.0
    needed, free = _per_pixel[net] * pixels, available_bytes(images.device)
    if free is not None and needed > free:
        raise UserError(
            f'it needs about {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free: cut the face out '
            '(python -m selfsr_plugin.prepare_faces)'
        )


def available_bytes(device: torch.device) -> int | None:
    """Bytes that this process may still take on ``device``; None where that cannot be known."""
    if device.type == 'cuda':
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != 'cpu':
        return None
    return min([*_of_machine(), *_of_groups(), *_of_process()], default=None)


def _of_machine() -> list[int]:
    return [_kilobytes(line) for line in _lines('/proc/meminfo') if line.startswith('MemAvailable:')]


def _of_process() -> list[int]:
    """What ``ulimit -v`` leaves."""
    if resource is None:
        return []
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    used = [_kilobytes(line) for line in _lines('/proc/self/status') if line.startswith('VmSize:')]
    return [limit - used[0]] if limit != resource.RLIM_INFINITY and used else []


def _of_groups() -> list[int]:
    """What the control groups of this process leave, those of containers and of Slurm; version 1 and 2."""
    left = []
    for line in _lines('/proc/self/cgroup'):
        _, kinds, path = line.split(':', 2)
        root = Path('/sys/fs/cgroup/memory' if 'memory' in kinds.split(',') else '/sys/fs/cgroup')
        if kinds and 'memory' not in kinds.split(','):
            continue
        names = ('memory.limit_in_bytes', 'memory.usage_in_bytes') if kinds else ('memory.max', 'memory.current')
        folder = root / path.strip('/')
        for group in [folder, *folder.parents]:
            limit, used = (''.join(_lines(group / name)) for name in names)
            if limit.isdigit() and used.isdigit():
                cache = [
                    int(entry.split()[1])
                    for entry in _lines(group / 'memory.stat')
                    if entry.startswith('inactive_file ')
                ]  # given back when needed
                left.append(int(limit) - int(used) + sum(cache))
            if group == root:
                break
    return left


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # no such file: not Linux, or no limit
        return []


def _kilobytes(line: str) -> int:
    return int(line.split()[1]) * 1024
