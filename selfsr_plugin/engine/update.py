"""One update, written once for every stage: what a stage says about it, and what is done with that."""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from ..errors import UserError
from .compiling import check_compiler, compiled_network
from .finite import FiniteCheck
from .precision import Precision
from .recording import Recordings

Batch = dict[str, Tensor]  # images (N, C, H, W) and the like by name; everything in it is cut into parts along N


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
        variant: what beside the batch decides which operations the loss is made of, such as whether R1 is due in this
            iteration. With ``cuda_graphs: true`` each is recorded for itself; numbers of Python's that change while
            it does not, such as that of the iteration, would stay those of the recording.
    """

    labels: tuple[str, ...]
    loss: Callable[[Batch], Losses]
    prepare: Callable[[Batch], Batch] | None = None
    variant: Hashable = None


class Updater:
    """Does the updates of a stage.

    For each: freeze what does not learn, zero the gradients, forward and backward (averaged over the parts of an
    accumulated batch and over the processes), the check for NaN and infinity, a step of each optimizer.

    None of that waits for the device with fused optimizers: those leave a step out on the device. What was left out is
    found by :meth:`check`.

    Args:
        nets: the networks that are trained, bare, by label.
        optimizers: one for each of them.
        device: where they are.
        dist: several processes train.
        accum_iter: parts into which a batch is cut, to need the memory of one part only.
        nonfinite: 'stop' or 'skip', what a NaN or an infinity does.
        precision: number format that the networks are trained in, see :class:`Precision`.
        compiled: labels of the networks that torch.compile is to compile; of several processes not one that is asked
            for ``exact``, see :meth:`net`.
        channels_last: networks and what they are given lie in memory with the channels last.
        cuda_graphs: forward and backward passes are recorded as CUDA graphs and replayed.

    Raises:
        UserError: the device cannot compute in that format, nothing can be compiled here, or nothing recorded.
    """

    def __init__(
        self,
        nets: Mapping[str, nn.Module],
        optimizers: Mapping[str, Optimizer],
        device: torch.device,
        dist: bool,
        accum_iter: int,
        nonfinite: str,
        precision: str = 'fp32',
        compiled: Collection[str] = (),
        channels_last: bool = False,
        cuda_graphs: bool = False,
    ) -> None:
        self.nets, self.optimizers, self.device, self.dist = dict(nets), dict(optimizers), device, dist
        self.accum_iter = accum_iter
        self.precision = Precision(precision, device)
        self._finite = FiniteCheck(nonfinite, device, dist)
        # Gradients below the range of fp16 are scaled into it, those of every update for themselves.
        self._scalers: dict[str, torch.amp.GradScaler] = {}
        self._saved_scalers: Mapping[str, Any] = {}
        self._learning: tuple[str, ...] = ()
        self.channels_last = channels_last
        if channels_last:
            for net in self.nets.values():
                net.to(memory_format=torch.channels_last)
        self.recordings = Recordings() if cuda_graphs else None
        self._records = False  # in this phase
        if cuda_graphs and device.type != 'cuda':
            raise UserError('cuda_graphs: true: this run computes on the CPU: write cuda_graphs: false.')
        if cuda_graphs and dist:
            raise UserError(
                'cuda_graphs: true: what processes exchange cannot be recorded: write cuda_graphs: false, or train on '
                'one GPU.'
            )
        if compiled:
            check_compiler(device)
        self._compiled = {label: compiled_network(self.nets[label]) for label in compiled}
        self._run: dict[str, nn.Module] = dict(self.nets)  # a network, or its compiled form
        self._wrapped: dict[str, nn.Module] = {}  # the same over all processes
        self._trained: dict[str, list[nn.Parameter]] = {}
        self.enter_phase({label: [net] for label, net in self.nets.items()})

    def enter_phase(self, modules: Mapping[str, Iterable[nn.Module]], steady: bool = True) -> None:
        """From now on train exactly the parameters of these modules of each network.

        DistributedDataParallel fixes its parameters when it is made, so the networks are wrapped again; unfreezing
        alone would silently let the processes drift apart.

        Args:
            modules: by the labels of the networks.
            steady: whether networks are given the same arguments, beside images, through this phase. Arguments are
                compiled and recorded in: one that changes all the time would be compiled all the time.
        """
        self._run = {**self.nets, **(self._compiled if steady else {})}
        self._records = steady and self.recordings is not None
        if self.recordings is not None:
            self.recordings.clear()
        for label, parts in modules.items():
            net = self.nets[label]
            net.requires_grad_(False)
            for module in parts:
                module.requires_grad_(True)
            net.train()
            self._trained[label] = [parameter for parameter in net.parameters() if parameter.requires_grad]
            self._wrapped[label] = self._distribute(self._run[label])

    def _distribute(self, net: nn.Module) -> nn.Module:
        """Averages gradients over the processes, if there are several."""
        if not self.dist:
            return net
        devices = (
            [self.device.index if self.device.index is not None else torch.cuda.current_device()]
            if self.device.type == 'cuda'
            else None
        )
        return DistributedDataParallel(net, device_ids=devices, gradient_as_bucket_view=True, broadcast_buffers=False)

    def _share_buffers(self, label: str) -> None:
        """Buffers, such as running statistics, are those of process 0, as under DistributedDataParallel.

        That would write them before every forward pass, also between the two of a discriminator and their one
        backward pass, which needs them as they were (torch 2.6 stops there).
        """
        works = [torch.distributed.broadcast(each, 0, async_op=True) for each in self.nets[label].buffers()]
        for work in works:
            work.wait()

    def net(self, label: str, exact: bool = False) -> Callable[..., Any]:
        """The network to run in the update at hand: one that learns exchanges its gradients, others are frozen.

        It computes in the number format of the training, with ``exact`` in single precision, and returns the latter.
        With ``exact`` it is never compiled, since a second derivative can not be taken of what is.
        """
        if exact and not self.dist:
            net = self.nets[label]
        else:
            net = self._wrapped[label] if label in self._learning else self._run[label]
        if not exact:
            net = self.precision.runs(net)
        return partial(_call_channels_last, net) if self.channels_last else net

    def run(self, update: Update, batch: Batch, iteration: int) -> Losses:
        """Do one update. With a NaN or an infinity in a term or a gradient there is no step; :meth:`check` tells.

        Args:
            update: which one.
            batch: of this process; N must be a multiple of ``accum_iter``.
            iteration: its number, for messages.

        Returns:
            The loss without graphs: terms averaged over the parts, ``made`` put together again. A recorded ``made`` is
            overwritten in the next iteration.
        """
        loss = self.compute(update, batch)
        scaler = self._scaler(update.labels)
        norms = {}
        for label in update.labels:
            if scaler is not None:
                scaler.unscale_(self.optimizers[label])
            gradients = [each.grad for each in self.nets[label].parameters() if each.grad is not None]
            norms[f'gradient of network_{label}'] = torch.nn.utils.get_total_norm(gradients, float('inf'))
        fine = self._finite(update.labels, loss.terms, norms, iteration, scaled=scaler is not None)
        for label in update.labels:
            _step_if(fine, self.optimizers[label])
        if scaler is not None:
            scaler.update()
        return loss

    def check(self) -> None:
        """Wait for the device, and say which steps were left out since the last time.

        Raises:
            NonFiniteError: a term or a gradient was NaN or infinite and ``nonfinite`` is 'stop', or too many such steps
                in a row have been skipped.
        """
        self._finite.check()

    @property
    def skipped_steps(self) -> int:
        """Steps left out since the start or resumption of this process, up to the last :meth:`check`."""
        return self._finite.skipped_steps

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs beside networks and optimizers: the scales of fp16."""
        return {'scalers': {key: scaler.state_dict() for key, scaler in self._scalers.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` gave."""
        self._saved_scalers = state.get('scalers', {})
        self._scalers = {}
        if self.recordings is not None:
            self.recordings.clear()

    def _scaler(self, labels: tuple[str, ...]) -> torch.amp.GradScaler | None:
        """That of an update, made when it is first asked for; None where the format needs none."""
        if self.precision.name != 'fp16':
            return None
        key = ' '.join(labels)
        if key not in self._scalers:
            self._scalers[key] = torch.amp.GradScaler(self.device.type)
            if key in self._saved_scalers:
                self._scalers[key].load_state_dict(self._saved_scalers[key])
        return self._scalers[key]

    def compute(self, update: Update, batch: Batch) -> Losses:
        """The loss of an update, as :meth:`run` returns it, and its gradients in the parameters; no step."""
        self._begin(update, batch)
        if not self._records:
            return self._gradients(update, batch)
        nets = [self.nets[label] for label in update.labels]
        loss = self.recordings.run((update.labels, update.variant), partial(self._gradients, update), batch, nets)
        # The log keeps them for iterations, in which other replays write over them.
        terms, logged = ({name: value.clone() for name, value in each.items()} for each in (loss.terms, loss.logged))
        return replace(loss, terms=terms, logged=logged)

    def rehearse(self, update: Update, batch: Batch) -> Losses:
        """:meth:`compute`; what a run will record is recorded too, and dropped.

        Raises:
            UserError: it cannot be recorded.
        """
        self._begin(update, batch)
        loss = self._gradients(update, batch)
        if self._records:
            self.recordings.record(partial(self._gradients, update), batch, ())
            self.recordings.clear()
        return loss

    def _begin(self, update: Update, batch: Batch) -> None:
        """What goes before the forward pass of an update, and is not recorded."""
        self._learning = update.labels
        self.precision.choose_convolutions()
        for label, parameters in self._trained.items():
            for parameter in parameters:
                parameter.requires_grad_(label in update.labels)
        if self.dist:
            for label in update.labels:
                self._share_buffers(label)
        if update.prepare is not None:
            with torch.no_grad():
                batch.update(update.prepare(batch))

    def _gradients(self, update: Update, batch: Batch) -> Losses:
        """Forward and backward pass."""
        scaler = self._scaler(update.labels)
        for label in update.labels:
            self.optimizers[label].zero_grad(set_to_none=True)
        losses = []
        for number in range(self.accum_iter):
            with contextlib.ExitStack() as stack:
                if number < self.accum_iter - 1:  # gradients are exchanged once, with the last part
                    for net in (self._wrapped[label] for label in update.labels):
                        if isinstance(net, DistributedDataParallel):
                            stack.enter_context(net.no_sync())
                loss = update.loss(_part(batch, number, self.accum_iter))
                total = loss.total if self.accum_iter == 1 else loss.total / self.accum_iter
                (total if scaler is None else scaler.scale(total)).backward()
            losses.append(loss)
        return _together(losses)


def _step_if(fine: Tensor, optimizer: Optimizer) -> None:
    """A step, unless the flag, (), is down. Fused optimizers look at it on the device; others have to wait for it."""
    if all(group.get('fused') for group in optimizer.param_groups):
        optimizer.found_inf = (~fine).float()  # under this name they take it from torch's GradScaler
        optimizer.step()
        del optimizer.found_inf
    elif fine:
        optimizer.step()


def _call_channels_last(net: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return net(*(_channels_last(each) for each in args), **kwargs)


def _channels_last(value: Any) -> Any:
    is_image = isinstance(value, Tensor) and value.dim() == 4
    return value.contiguous(memory_format=torch.channels_last) if is_image else value


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
