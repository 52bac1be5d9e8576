"""NaN and infinity in losses and gradients: found before they reach the weights, and told without waiting for a GPU."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

import torch
from basicsr.utils import get_root_logger
from torch import Tensor

from ..errors import UserError

MAX_SKIPPED_IN_A_ROW = 100  # ours: after so many skipped steps the weights are beyond help


class NonFiniteError(UserError):
    """A loss or a gradient is NaN or infinite; the message names it, ``iteration`` is that of the first."""

    def __init__(self, message: str, iteration: int) -> None:
        super().__init__(message)
        self.iteration = iteration


@dataclass
class _Found:
    """What updates of one kind met since the last look, on the device."""

    names: list[str]
    values: Tensor  # (len(names),), of the first step that was at fault
    iteration: Tensor  # (), of that step; 0 for none
    count: Tensor  # (), steps at fault


class FiniteCheck:
    """Decides on the device whether a step is made, and keeps there what :meth:`check` tells.

    Args:
        nonfinite: with 'stop' no step is made after the first that is not finite, so that the weights stay those before
            it until the run ends. With 'skip' such steps are left out and counted.
        device: that decides.
        dist: several processes train; they decide alike.
    """

    def __init__(self, nonfinite: str, device: torch.device, dist: bool) -> None:
        self.nonfinite, self.device, self.dist = nonfinite, device, dist
        self.skipped_steps = 0  # since the start or resumption of this process, up to the last check
        self._found: dict[tuple[str, ...], dict[tuple[str, ...], _Found]] = {}  # of the networks that learn, by names
        self._in_a_row: dict[tuple[str, ...], Tensor] = {}  # steps that were not made, up to now
        self._last = 0  # iteration
        self._going_on = torch.ones((), dtype=torch.bool, device=device)

    def __call__(
        self,
        labels: tuple[str, ...],
        terms: Mapping[str, Tensor],
        norms: Mapping[str, Tensor],
        iteration: int,
        scaled: bool,
    ) -> Tensor:
        """Whether the step of an update is to be made: (), bool, the same in all processes.

        Args:
            labels: the networks that learn.
            terms, norms: scalars: the terms of the loss, and the largest gradient of each network.
            iteration: its number.
            scaled: the loss was scaled into the range of fp16. Then a gradient beyond that range is no fault, the scale
                comes down; terms are, and steps that are left out again and again.
        """
        self._last = iteration
        values = torch.stack([value.detach().to(self.device) for value in (*terms.values(), *norms.values())])
        finite = values.isfinite()
        flags = torch.stack((finite.all(), finite[: len(terms)].all() if scaled else finite.all())).int()
        if self.dist:  # alike in all processes, or they would part
            torch.distributed.all_reduce(flags, torch.distributed.ReduceOp.MIN)
        fine, blameless = flags.bool().unbind()
        fine, at_fault = fine & self._going_on, ~blameless & self._going_on
        if self.nonfinite == 'stop':
            self._going_on = self._going_on & blameless

        names = (*terms, *norms)  # at times there is a term more (R1)
        kinds, none = self._found.setdefault(labels, {}), torch.zeros((), dtype=torch.int64, device=self.device)
        found = kinds.setdefault(names, _Found(list(names), values, none, none))
        is_first = at_fault & (found.iteration == 0)
        # Products, not torch.where with a number, which would be copied to the device and waited for.
        found.values = torch.where(is_first, values, found.values)
        found.iteration = found.iteration + is_first * iteration
        found.count = found.count + at_fault
        self._in_a_row[labels] = (self._in_a_row.get(labels, none) + 1) * ~fine
        return fine

    def check(self) -> None:
        """Wait for the device; warn of the steps that were left out since the last time.

        Raises:
            NonFiniteError: ``nonfinite`` is 'stop' and there was one, or there were too many in a row.
        """
        for labels, kinds in self._found.items():
            in_a_row = self._in_a_row[labels].item()
            for names, found in kinds.items():
                iteration, count = torch.stack((found.iteration, found.count)).tolist()
                if not count:
                    continue
                bad = [f'{name} is {value}' for name, value in zip(names, found.values.tolist()) if not isfinite(value)]
                what = bad[0] if bad else 'a loss of another process is not finite'
                if self.nonfinite == 'stop':
                    raise NonFiniteError(what, iteration)
                self.skipped_steps += count
                others = f' and {count - 1} of those after it are' if count > 1 else ' is'
                get_root_logger().warning(
                    f'{what}: this step of network_{" and network_".join(labels)}{others} skipped, '
                    f'{self.skipped_steps} so far.'
                )
                if in_a_row >= MAX_SKIPPED_IN_A_ROW:
                    raise NonFiniteError(f'{what}, as in the {MAX_SKIPPED_IN_A_ROW} steps before', iteration)
                found.iteration, found.count = torch.zeros_like(found.iteration), torch.zeros_like(found.count)
            if in_a_row >= MAX_SKIPPED_IN_A_ROW:  # of terms that are finite: fp16
                raise NonFiniteError(
                    f'the gradient of network_{" and network_".join(labels)} is not finite at any scale of fp16, '
                    f'{in_a_row} times in a row; precision: bf16 and fp32 have a wider range',
                    self._last,
                )
