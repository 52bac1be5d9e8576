"""Sections with a ``type``: networks, losses, metrics, optimizers and schedules by name, with their arguments."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import UserError
from .sections import Component, Section, option, parse
from .values import is_int, is_section


class _Registered(Component):
    registry: ClassVar[str]

    @classmethod
    def names(cls) -> list[str]:
        return registered_names(cls.registry)

    @classmethod
    def target(cls, name: str) -> Callable:
        return registered(cls.registry, name)


def registered_names(registry: str) -> list[str]:
    """The names in one of BasicSR's registries, without the suffix for names that other projects have as well."""
    from basicsr.utils import registry as registries

    return sorted(name.removesuffix('_basicsr') for name in getattr(registries, registry).keys())


def registered(registry: str, name: str) -> Any:
    """What BasicSR makes of a name: that entry, or else the one with BasicSR's suffix."""
    from basicsr.utils import registry as registries

    entries = getattr(registries, registry)
    return entries.get(name if name in entries else f'{name}_basicsr')


class Network(_Registered):
    """A ``network_*`` section: a class in BasicSR's ARCH_REGISTRY and its arguments."""

    what, registry = 'network', 'ARCH_REGISTRY'


class Loss(_Registered):
    """A loss: a class in BasicSR's LOSS_REGISTRY and its arguments."""

    what, registry = 'loss', 'LOSS_REGISTRY'

    @classmethod
    def parse(cls, section: Any, key: str) -> 'Loss':
        found = super().parse(section, key)
        if found.get('reduction') == 'none':
            raise UserError(
                f'{key}.reduction: none gives a value for each pixel, and a loss is one number: write mean.'
            )
        target = cls.target(found['type'])
        if target.__module__.startswith('basicsr.') and target.__name__ != 'PerceptualLoss':  # which loads a network
            try:
                target(**{name: value for name, value in found.items() if name != 'type'})
            except Exception as error:
                raise UserError(f'{key}: {found["type"]} does not take these values: {_one_line(error)}.') from None
        return found


class _LossOfAKind(Loss):
    """A loss whose ``forward()`` takes an argument that tells what it is for.

    Of another kind it would end the first iteration in torch's words, or train on nonsense: WeightedTVLoss, which looks
    at one image, takes the one it should be compared with for a weight.
    """

    argument: ClassVar[str]

    @classmethod
    def names(cls) -> list[str]:
        return [name for name in super().names() if cls._fits(cls.target(name))]

    @classmethod
    def _fits(cls, loss: Callable) -> bool:
        of_others = not loss.__module__.startswith(('basicsr.', 'selfsr_plugin.'))
        return of_others or cls.argument in inspect.signature(loss.forward).parameters

    @classmethod
    def parse(cls, section: Any, key: str) -> '_LossOfAKind':
        kind = section.get('type') if isinstance(section, dict) else None
        if kind in Loss.names() and kind not in cls.names():
            raise UserError(f'{key}.type: {kind} is no {cls.what}: write {" or ".join(cls.names())}.')
        return super().parse(section, key)


class ImageLoss(_LossOfAKind):
    """A loss of an image, or of what stands for one, against what it should be, such as L1Loss."""

    what, argument = 'loss of an image against another', 'target'


class AdversarialLoss(_LossOfAKind):
    """A loss of a discriminator's answers, such as GANLoss."""

    what, argument = 'adversarial loss', 'target_is_real'

    @classmethod
    def parse(cls, section: Any, key: str) -> 'AdversarialLoss':
        found = super().parse(section, key)
        if found['type'] == 'GANLoss' and found.get('gan_type') in ('hinge', 'wgan', 'wgan_softplus'):
            for name, default in (('real_label_val', 1), ('fake_label_val', 0)):
                if found.get(name, default) != default:
                    raise UserError(f'{key}.{name}: {found["gan_type"]} compares with no label; leave it out.')
        return found


class FeatureLoss(_LossOfAKind):
    """A loss between features of two images, such as PerceptualLoss, which gives a second one, of their style."""

    what, argument = 'perceptual loss', 'gt'


class FlowLoss(_LossOfAKind):
    """A loss of a flow field, such as FlowTVLoss."""

    what, argument = 'loss of a flow field', 'flow'


class Metric(_Registered):
    """A metric: a function in BasicSR's METRIC_REGISTRY and its arguments, and ``better``."""

    what, registry, given, extra = 'metric', 'METRIC_REGISTRY', ('img', 'img2'), frozenset({'better'})


class Optimizer(Component):
    """An optimizer: a class of torch.optim and its arguments."""

    what, given = 'optimizer', ('params',)
    refused = {
        'LBFGS': 'it computes the loss several times in a step, which the steps of these models do not offer; use Adam',
        'SparseAdam': 'it is for sparse gradients, and convolutions have dense ones; use Adam',
        'Muon': 'it is for matrices alone, and these networks have kernels and biases; use AdamW',
    }

    @classmethod
    def names(cls) -> list[str]:
        import torch

        return sorted(
            name
            for name, each in vars(torch.optim).items()
            if inspect.isclass(each)
            and issubclass(each, torch.optim.Optimizer)
            and each is not torch.optim.Optimizer
            and name not in cls.refused
        )

    @classmethod
    def target(cls, name: str) -> Callable:
        import torch

        return getattr(torch.optim, name)

    @classmethod
    def parse(cls, section: Any, key: str) -> 'Optimizer':
        import torch

        found = super().parse(section, key)
        if found.get('lr') is None:
            raise UserError(f'{key}.lr: this key is missing; it is the learning rate.')
        if found['lr'] == 0:
            raise UserError(f'{key}.lr: 0 trains nothing; write a number above 0.')
        betas = found.get('betas', [0.0, 0.99])
        if not isinstance(betas, list) or [type(beta) for beta in betas] != [float, float]:
            raise UserError(
                f'{key}.betas: {betas!r} must be two numbers with a decimal point, '
                'e.g. [0.0, 0.99]: torch refuses a whole number there.'
            )
        arguments = {name: value for name, value in found.items() if name != 'type'}
        try:
            cls.target(found['type'])([torch.zeros(1, requires_grad=True)], **arguments)
        except Exception as error:  # what torch finds wrong with a value, in its words
            raise UserError(f'{key}: {found["type"]} does not take these values: {_one_line(error)}.') from None
        return found


@dataclass(kw_only=True)
class LinearDecay(Section):
    """Arguments of LinearDecayLR that a file gives."""

    type: str = option('schedule')
    decay_from: int = option(
        'iteration after which the rate falls, in a straight line to zero at total_iter',
        least=0,
        source='paper',
        unit='iterations',
    )


class Scheduler(Component):
    """A schedule of the learning rates: LinearDecayLR, or one of BasicSR's with its arguments."""

    what, given = 'schedule of the learning rates', ('optimizer', 'last_epoch', 'type')
    # Arguments that are numbers of iterations, and the least that --shorten makes of them.
    iterations: ClassVar[Mapping[str, int]] = {'decay_from': 0, 'milestones': 1, 'restarts': 0, 'periods': 1}

    @classmethod
    def names(cls) -> list[str]:
        return ['LinearDecayLR', 'MultiStepLR', 'MultiStepRestartLR', 'CosineAnnealingRestartLR']

    @classmethod
    def target(cls, name: str) -> Callable:
        if name == 'LinearDecayLR':
            return LinearDecay
        from basicsr.models import lr_scheduler

        return getattr(lr_scheduler, 'MultiStepRestartLR' if name == 'MultiStepLR' else name)  # alike in BasicSR

    @classmethod
    def parse(cls, section: Any, key: str) -> 'Scheduler':
        import torch

        is_section(section, key)
        kind = section.get('type')
        if kind not in cls.names():
            raise UserError(
                f'{key}.type: {kind!r} is unknown; use LinearDecayLR, MultiStepLR or CosineAnnealingRestartLR, '
                'or leave the section out for a constant rate.'
            )
        if kind == 'LinearDecayLR':
            parse(LinearDecay, section, key)
            return cls(section)
        super().parse(section, key)
        _whole_numbers(section, ('milestones', 'periods', 'restarts'), key)
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        try:
            cls.target(kind)(optimizer, **{name: value for name, value in section.items() if name != 'type'})
        except Exception as error:
            raise UserError(f'{key}: {kind} does not take these values: {_one_line(error)}.') from None
        return cls(section)

    def check_length(self, total_iter: int, key: str) -> None:
        """Whether the schedule says a rate for every iteration.

        Raises:
            UserError: it does not.
        """
        if 'decay_from' in self and self['decay_from'] >= total_iter:
            raise UserError(
                f'{key}.decay_from: {self["decay_from"]!r} must be a whole number below total_iter ({total_iter}).'
            )
        late = [milestone for milestone in self.get('milestones', []) if milestone >= total_iter]
        if late:
            raise UserError(f'{key}.milestones: {late[0]} is never reached, total_iter is {total_iter}; leave it out.')
        if 'periods' in self and sum(self['periods']) < total_iter:
            raise UserError(
                f'{key}.periods: {self["periods"]} ends after {sum(self["periods"])} iterations, before '
                f'total_iter ({total_iter}); make the last period longer.'
            )


def _whole_numbers(section: Mapping[str, Any], names: Iterable[str], key: str) -> None:
    for name in names:
        value = section.get(name, [])
        if not isinstance(value, list) or not all(is_int(each, 0) for each in value):
            raise UserError(f'{key}.{name}: {value!r} must be a list of iterations, e.g. [50000, 100000].')


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split()).rstrip('.') or type(error).__name__
