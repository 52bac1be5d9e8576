"""What a run logs as it goes on, and how long it will still take."""

import datetime
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from basicsr.utils import get_root_logger


class Part(NamedTuple):
    """Iterations that cost alike: stage 1, or a level of stage 2.

    Args:
        first: its first iteration.
        full: the first iteration from there on that computes everything, R1 too, which is computed every so often.
        every: how often that is.
    """

    first: int
    full: int
    every: int


def parts(opt: Mapping[str, Any]) -> list[Part]:
    """The parts of a run, in order."""
    train = opt['train']
    begin = train['degradation']['total_iter'] if 'degradation' in train else 0
    found = [Part(1, 1, 1)] if begin else []
    stage2 = train.get('sr', train)
    every = math.lcm(stage2.get('net_d_reg_every') or 1, stage2.get('net_d_iters') or 1)
    released = stage2.get('freeze_iter') or 0  # DICModel: more learns, which takes more memory
    steps = [0, *(stage2.get('grow_at') or []), *([released] if 0 < released < stage2['total_iter'] else [])]
    for step in steps:
        least = max(step, stage2.get('net_d_init_iters') or 0) + 1
        found.append(Part(begin + step + 1, begin + math.ceil(least / every) * every, every))
    return found


class TimeLeft:
    """Estimates the seconds until the end of a run from what its iterations, validations and checkpoints have cost.

    Parts that have not begun are taken to cost what the rehearsal measured, corrected by how the running part compares
    with its own rehearsal.

    Args:
        firsts: first iteration of each part, increasing.
        total: iterations of the run.
        every: how many iterations there are between two of each kind of interruption, e.g. ``{'validation': 5000}``;
            there is one at the end of the run as well.
        rehearsed: seconds of one iteration of a part, by its first iteration, where they have been measured.
    """

    def __init__(self, firsts: list[int], total: int, every: Mapping[str, int], rehearsed: Mapping[int, float]) -> None:
        self._firsts, self._total, self._every, self._rehearsed = firsts, total, every, rehearsed
        self._measured: dict[int, list[float]] = {}  # sum and number, by part
        self._last: dict[str, float] = {}  # seconds of the last interruption of each kind: later levels take longer

    def _part(self, iteration: int) -> int:
        return max(first for first in self._firsts if first <= iteration)

    def add(self, key: int | str, seconds: float) -> None:
        """Take what something took: the number of an iteration, or a kind of interruption."""
        if isinstance(key, str):
            self._last[key] = seconds
            return
        measured = self._measured.setdefault(self._part(key), [0.0, 0])
        measured[0] += seconds
        measured[1] += 1

    def _mean(self, part: int) -> float | None:
        total, number = self._measured.get(part, (0.0, 0))
        return total / number if number else None

    def __call__(self, done: int) -> float | None:
        """Seconds from the end of iteration ``done`` to the end of the run; None before anything has been measured."""
        current = self._part(done)
        now = self._mean(current)
        if now is None:
            return None
        ratio = now / self._rehearsed[current] if self._rehearsed.get(current) else None
        seconds = 0.0
        for first, following in zip(self._firsts, [*self._firsts[1:], self._total + 1]):
            left = min(following, self._total + 1) - max(first, done + 1)
            if left > 0:
                expected = self._rehearsed[first] * ratio if ratio and first in self._rehearsed else now
                seconds += left * (self._mean(first) or expected)
        for kind, every in self._every.items():
            seconds += (math.ceil(self._total / every) - done // every) * self._last.get(kind, 0.0)
        return seconds


class ProgressLog:
    """Logs losses, rates and times, to TensorBoard too, in the words of BasicSR's MessageLogger.

    Its estimate of the time left takes all iterations to cost alike, where stages and levels differ by 2 to 5.
    """

    def __init__(self, opt: Mapping[str, Any], tb_logger: Any) -> None:
        self._opt, self._tb_logger = opt, tb_logger

    def __call__(
        self,
        iteration: int,
        epoch: int,
        rates: list[float],
        seconds: float,
        data_seconds: float,
        left: float | None,
        values: Mapping[str, float],
    ) -> None:
        """Log an iteration; ``left`` are the seconds to the end, ``values`` the losses and what else the model logs."""
        if self._opt['rank'] != 0:
            return
        lr = ''.join(f'{rate:.3e},' for rate in rates)
        eta = datetime.timedelta(seconds=int(left)) if left is not None else '?'
        losses = ' '.join(f'{name}: {value:.4e}' for name, value in values.items())
        get_root_logger().info(
            f'[{self._opt["name"][:5]}..][epoch:{epoch:3d}, iter:{iteration:8,d}, lr:({lr})] '
            f'[eta: {eta}, time (data): {seconds:.3f} ({data_seconds:.3f})] {losses} '
        )
        if self._tb_logger:
            for name, value in values.items():
                self._tb_logger.add_scalar(f'losses/{name}' if name.startswith('l_') else name, value, iteration)
