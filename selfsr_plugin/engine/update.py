"""One update, written once for every stage: what a stage says about it, and what is done with that."""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from basicsr.utils import get_root_logger
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from ..errors import UserError

Batch = dict[str, Tensor]  # images (N, C, H, W) and the like by name; everything in it is cut into parts along N
MAX_SKIPPED_IN_A_ROW = 100  # ours: after so many skipped steps the weights are beyond help


class NonFiniteError(UserError):
    """A loss or a gradient is NaN or infinite; the message names it."""


@dataclass
class Losses:
    """What networks learn from in one update.

    Args:
        terms: scalars with a graph, weighted, by the names that the log uses; their sum is minimised.
        factors: how many times a term counts in the sum, where that is not once.
        logged: further scalars for the log.
        made: images for the updates that follow in this iteration; they find them, detached, in their batch.
    """

    terms: dict[str, Tensor]
    factors: Mapping[str, float] = field(default_factory=dict)
    logged: dict[str, Tensor] = field(default_factory=dict)
    made: Batch = field(default_factory=dict)

    @property
    def total(self) -> Tensor:
        """The sum that is minimised."""
        return sum(self.factors.get(name, 1) * value for name, value in self.terms.items())


class Update(NamedTuple):
    """An optimizer step of some networks of a stage.

    Args:
        labels: the networks that learn; all others are frozen meanwhile.
        loss: from a batch, or a part of one, to the loss. It reaches networks through :meth:`Updater.net`.
        prepare: what has to be done first, without gradients and on the whole batch of this process; what it returns
            is added to the batch.
    """

    labels: tuple[str, ...]
    loss: Callable[[Batch], Losses]
    prepare: 'Callable[[Batch], Batch] | None' = None


class Updater:
    """Does the updates of a stage.

    For each: freeze what does not learn, zero the gradients, forward and backward (averaged over the parts of an
    accumulated batch and over the processes), the check for NaN and infinity, a step of each optimizer.

    Args:
        nets: the networks that are trained, bare, by label.
        optimizers: one for each of them.
        device: where they are.
        dist: several processes train.
        accum_iter: parts into which a batch is cut, to need the memory of one part only.
        nonfinite: 'stop' or 'skip', what a NaN or an infinity does.
    """

    def __init__(
        self,
        nets: Mapping[str, nn.Module],
        optimizers: Mapping[str, Optimizer],
        device: torch.device,
        dist: bool,
        accum_iter: int,
        nonfinite: str,
    ) -> None:
        self.nets, self.optimizers, self.device, self.dist = dict(nets), dict(optimizers), device, dist
        self.accum_iter, self.nonfinite = accum_iter, nonfinite
        self.skipped_steps = 0  # since the start or resumption of this process
        self._skipped_in_a_row: dict[tuple[str, ...], int] = {}
        self._learning: tuple[str, ...] = ()
        self._wrapped: dict[str, nn.Module] = {}
        self._trained: dict[str, list[nn.Parameter]] = {}
        self.enter_phase({label: [net] for label, net in self.nets.items()})

    def enter_phase(self, modules: Mapping[str, Iterable[nn.Module]]) -> None:
        """From now on train exactly the parameters of these modules of each network.

        DistributedDataParallel fixes its parameters when it is made, so the networks are wrapped again; unfreezing
        alone would silently let the processes drift apart.
        """
        for label, parts in modules.items():
            net = self.nets[label]
            net.requires_grad_(False)
            for module in parts:
                module.requires_grad_(True)
            net.train()
            self._trained[label] = [parameter for parameter in net.parameters() if parameter.requires_grad]
            self._wrapped[label] = self._distribute(net)

    def _distribute(self, net: nn.Module) -> nn.Module:
        """Averages gradients over the processes, if there are several; buffers are those of process 0 (torch's way)."""
        if not self.dist:
            return net
        devices = (
            [self.device.index if self.device.index is not None else torch.cuda.current_device()]
            if self.device.type == 'cuda'
            else None
        )
        return DistributedDataParallel(net, device_ids=devices)

    def net(self, label: str) -> nn.Module:
        """The network to run in the update at hand: one that learns exchanges its gradients, others are frozen."""
        return self._wrapped[label] if label in self._learning else self.nets[label]

    def run(self, update: Update, batch: Batch) -> Losses:
        """Do one update.

        Args:
            update: which one.
            batch: of this process; N must be a multiple of ``accum_iter``.

        Returns:
            The loss without graphs: terms averaged over the parts, ``made`` put together again.

        Raises:
            NonFiniteError: a term or a gradient is NaN or infinite and ``nonfinite`` is 'stop', or too many such steps
                in a row have been skipped.
        """
        loss = self.compute(update, batch)
        if self._finite(update.labels, loss.terms):
            for label in update.labels:
                self.optimizers[label].step()
        return loss

    def compute(self, update: Update, batch: Batch) -> Losses:
        """The loss of an update, as :meth:`run` returns it, and its gradients in the parameters; no step."""
        self._learning = update.labels
        for label, parameters in self._trained.items():
            for parameter in parameters:
                parameter.requires_grad_(label in update.labels)
        for label in update.labels:
            self.optimizers[label].zero_grad(set_to_none=True)
        if update.prepare is not None:
            with torch.no_grad():
                batch.update(update.prepare(batch))
        losses = []
        for number in range(self.accum_iter):
            with contextlib.ExitStack() as stack:
                if number < self.accum_iter - 1:  # gradients are exchanged once, with the last part
                    for net in (self._wrapped[label] for label in update.labels):
                        if isinstance(net, DistributedDataParallel):
                            stack.enter_context(net.no_sync())
                loss = update.loss(_part(batch, number, self.accum_iter))
                (loss.total if self.accum_iter == 1 else loss.total / self.accum_iter).backward()
            losses.append(loss)
        return _together(losses)

    def _finite(self, labels: tuple[str, ...], terms: Mapping[str, Tensor]) -> bool:
        """Whether all terms and gradients are, over all processes and before the weights change."""
        values = dict(terms)
        for label in labels:
            gradients = [each.grad for each in self.nets[label].parameters() if each.grad is not None]
            values[f'gradient of network_{label}'] = torch.nn.utils.get_total_norm(gradients, float('inf'))
        finite = torch.stack([value.to(self.device) for value in values.values()]).isfinite()
        fine = finite.all().int()
        if self.dist:  # alike in all processes, or they would part
            torch.distributed.all_reduce(fine, torch.distributed.ReduceOp.MIN)
        if fine.item():
            self._skipped_in_a_row[labels] = 0
            return True
        bad = [f'{name} is {value.item()}' for (name, value), good in zip(values.items(), finite) if not good]
        found = f'{bad[0] if bad else "a loss of another process is not finite"}'
        if self.nonfinite == 'stop':
            raise NonFiniteError(found)
        self.skipped_steps += 1
        self._skipped_in_a_row[labels] = self._skipped_in_a_row.get(labels, 0) + 1
        get_root_logger().warning(
            f'{found}: this step of network_{" and network_".join(labels)} is skipped, {self.skipped_steps} so far.'
        )
        if self._skipped_in_a_row[labels] >= MAX_SKIPPED_IN_A_ROW:
            raise NonFiniteError(f'{found}, as in the {MAX_SKIPPED_IN_A_ROW} steps before')
        return False


def _part(batch: Batch, number: int, count: int) -> Batch:
    return batch if count == 1 else {name: images.chunk(count)[number] for name, images in batch.items()}


def _together(losses: list[Losses]) -> Losses:
    """The losses of the parts of a batch as one of the whole, without graphs."""

    def mean(of: Callable[[Losses], dict[str, Tensor]]) -> dict[str, Tensor]:
        return OrderedDict(
            (
                name,
                torch.stack([of(loss)[name].detach() for loss in losses]).mean() if len(losses) > 1 else value.detach(),
            )
            for name, value in of(losses[0]).items()
        )

    made = {
        name: torch.cat([loss.made[name].detach() for loss in losses]) if len(losses) > 1 else images.detach()
        for name, images in losses[0].made.items()
    }
    return Losses(mean(lambda loss: loss.terms), losses[0].factors, mean(lambda loss: loss.logged), made)
