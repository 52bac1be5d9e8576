"""Ctrl-C and SIGTERM end a run after its iteration, not in the middle of one."""

import signal
import time
from types import FrameType
from typing import Any

import torch


_IMPATIENT_AFTER = 2.0  # seconds; torchrun passes a Ctrl-C on to processes that the terminal has reached already


class StopSignals:
    """While in the ``with`` block, SIGINT and SIGTERM are noted instead of obeyed.

    A second Ctrl-C, two seconds or more after the first, interrupts at once.

    Args:
        dist: several processes train. They agree on the iteration to stop after, through a gloo group of their own; the
            answer comes while the next iteration computes, so that nothing is waited for, and they stop after that one.
    """

    def __init__(self, dist: bool) -> None:
        self._received = 0
        self._at = 0.0
        self._group = torch.distributed.new_group(backend='gloo') if dist else None
        self._asked: tuple[torch.Tensor, torch.distributed.Work] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> 'StopSignals':
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is None:
            self._answer()  # all others wait for it as well; after an error they may not

    def _note(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if self._received and number == signal.SIGINT and now - self._at >= _IMPATIENT_AFTER:
            raise KeyboardInterrupt
        if not self._received:
            self._received, self._at = number, now

    def requested(self) -> signal.Signals | None:
        """The signal that asks the run to stop, the same in all processes; None to go on. Called in every iteration."""
        number = self._received
        if self._group is not None:
            shared, number = torch.tensor(number), self._answer()
            work = torch.distributed.all_reduce(
                shared, torch.distributed.ReduceOp.MAX, group=self._group, async_op=True
            )
            self._asked = shared, work
        return signal.Signals(number) if number else None

    def _answer(self) -> int:
        """The largest number that the processes noted up to the iteration before."""
        if self._asked is None:
            return 0
        shared, work = self._asked
        self._asked = None
        work.wait()
        return int(shared)
