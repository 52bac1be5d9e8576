"""Options stated once, as typed dataclasses: meaning, range and default, and whether they decide what is computed.

From these classes come the check of an option file (:func:`parse`), the defaults, what a resumed run compares
(``run/fingerprint.py``), the page docs/options.md and the JSON schema that editors use (``scripts/make_options.py``).

Why dataclasses and not pydantic or msgspec: users of BasicSR read them without learning anything, they need no package
more, and the half of the values that are sections with a ``type`` and the arguments of a registered class cannot be
stated in either, they are read off signatures. What is left to write is :func:`parse`, in exchange for messages that
name the key and the remedy.

::

    @dataclass(kw_only=True)
    class MyOptions(Section):
        rate: float = option('Learning rate', least=0)                                    # no default: required
        grow_at: list[int] = option('Iterations after which ...', default=[], least=1)
        condition: Literal['scale', 'concat'] = option('How ...', default='scale', source='paper')
        gan_opt: Loss = option('Adversarial loss, Eq. 7')                                 # type and arguments
"""

from .components import (
    AdversarialLoss,
    FeatureLoss,
    FlowLoss,
    ImageLoss,
    Loss,
    Metric,
    Network,
    Optimizer,
    Scheduler,
    registered,
    registered_names,
)
from .sections import Component, Option, Section, alternatives, check_values, expected, option, options_of, parse
from .values import is_section, join, known, no_numbers_as_text, one_of, renamed, require, to_yaml

__all__ = [
    'AdversarialLoss',
    'Component',
    'FeatureLoss',
    'FlowLoss',
    'ImageLoss',
    'Loss',
    'Metric',
    'Network',
    'Optimizer',
    'Option',
    'Scheduler',
    'Section',
    'alternatives',
    'check_values',
    'expected',
    'is_section',
    'join',
    'known',
    'no_numbers_as_text',
    'one_of',
    'option',
    'options_of',
    'parse',
    'registered',
    'registered_names',
    'renamed',
    'require',
    'to_yaml',
]
