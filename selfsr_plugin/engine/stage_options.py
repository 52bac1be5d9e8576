"""The options that every stage has; the section ``train`` of an option file, or ``train.<stage>``."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ..errors import UserError
from ..schema import Loss, Scheduler, Section, option, require
from ..schema.components import registered


@dataclass(kw_only=True)
class StageOptions(Section):
    """Base of the options of the models; a model names its own in ``options_class``."""

    total_iter: int = option('number of iterations', least=1, source='paper', unit='iterations')
    scheduler: Scheduler | None = option(
        'schedule of the learning rates; without one they are constant', default=None, source='paper'
    )
    warmup_iter: int = option(
        'iterations over which the learning rates rise in a straight line to their full value, 0 or -1 for none',
        default=0,
        least=-1,
        source='basicsr',
        unit='iterations',
    )
    accum_iter: int = option(
        'parts that a batch is computed in, one after the other, to save memory; it divides batch_size_per_gpu',
        default=1,
        least=1,
    )
    precision: Literal['auto', 'fp32', 'tf32', 'bf16', 'fp16'] = option(
        'number format that networks are trained in, what the device does well for auto: bf16 on GPUs since Ampere, '
        'fp16 on Volta and Turing, else fp32',
        default='auto',
    )
    compile: bool = option(
        'networks are compiled by torch.compile, but for R1; not while a level is faded in',
        default=False,
        decides=False,
    )
    cuda_graphs: bool = option(
        'forward and backward passes are recorded as CUDA graphs and replayed, so that nothing waits for the processor '
        'to launch them; not while a level is faded in',
        default=False,
        decides=False,
    )
    channels_last: bool = option(
        'images and weights lie in memory with the channels last, which 16-bit convolutions of GPUs are made for',
        default=False,
        decides=False,
    )
    nonfinite: Literal['stop', 'skip'] = option(
        'what a NaN or infinite loss or gradient does: stop the run, or skip the step', default='stop', decides=False
    )
    networks: ClassVar[Mapping[str, str]] = {}  # label -> what network_<label> is
    # label -> an argument that forward() of network_<label> is given beside the image, and a network that has it
    forward_arguments: ClassVar[Mapping[str, tuple[str, str]]] = {}
    tested: ClassVar[tuple[str, ...]] = ()  # labels of the networks that validation and testing run

    @classmethod
    def networks_of(cls, section: Any) -> Mapping[str, str]:
        """The networks that an option file may describe; ``section`` is its ``train``, unchecked, None for a test."""
        return cls.networks

    def check(self, key: str) -> None:
        if self.scheduler is not None:
            self.scheduler.check_length(self.total_iter, f'{key}.scheduler')
        if self.warmup_iter >= self.total_iter:
            raise UserError(
                f'{key}.warmup_iter: {self.warmup_iter} must be below {key}.total_iter ({self.total_iter}), or '
                'the full rate is never reached.'
            )
        losses = {name: loss for name, loss in vars(self).items() if isinstance(loss, Loss)}
        for name, loss in losses.items():
            weight = loss.get('loss_weight')
            if isinstance(weight, (int, float)) and weight < 0:
                raise UserError(f'{key}.{name}.loss_weight: {weight} makes the loss grow; write a number above 0.')
        if losses and all(loss.get('loss_weight') == 0 for loss in losses.values()):
            raise UserError(
                f'{key}.{next(iter(losses))}.loss_weight: 0, and no other loss has a weight, so that nothing would be '
                'learnt; write a number above 0.'
            )

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        """Compare with the other sections of the option file.

        Args:
            opt: the whole file; its other sections are checked.
            key: the dotted name of this section.

        Raises:
            UserError: with the key and the remedy.
        """
        batch = opt['datasets']['train']['batch_size_per_gpu']
        if batch % self.accum_iter:
            raise UserError(
                f'{key}.accum_iter: {self.accum_iter} must divide datasets.train.batch_size_per_gpu, {batch}.'
            )
        for label, (argument, network) in self.forward_arguments.items():
            needs_argument(opt, label, argument, network)


def needs_networks(opt: Mapping[str, Any], labels: Iterable[str], why: str) -> None:
    """Raises UserError for the first ``network_<label>`` that an option file lacks."""
    require(opt, [f'network_{label}' for label in labels], '', why)


def needs_argument(opt: Mapping[str, Any], label: str, argument: str, network: str) -> None:
    """Raises UserError if forward() of ``network_<label>`` lacks an argument that the model gives it, as ``network``
    has it."""
    kind = opt.get(f'network_{label}', {}).get('type')
    forward = getattr(registered('ARCH_REGISTRY', kind), 'forward', None) if kind else None
    if forward is None:
        return
    taken = inspect.signature(forward).parameters.values()
    if not any(each.name == argument or each.kind is each.VAR_KEYWORD for each in taken):
        raise UserError(
            f'network_{label}.type: {kind} takes no {argument}, which {opt["model_type"]} gives it beside the image: '
            f'write {network}, or a network of yours whose forward() has an argument of that name.'
        )


def needs_lq_images(opt: Mapping[str, Any], why: str) -> None:
    """Raises UserError if the training set of an option file names no LR images."""
    if not opt['datasets']['train'].get('dataroot_lq'):
        raise UserError(f'datasets.train.dataroot_lq: missing; {why}.')
