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

import dataclasses
import difflib
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from .errors import UserError

Source = Literal['paper', 'ours', 'basicsr']
_NUMBER_AS_TEXT = re.compile(r'[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+')
_DECIMAL_COMMA = re.compile(r'[-+]?\d+,\d+')
# Names of version 0.1.0, in any key or name.
_RENAMED = (('d_lr', 'd_lq'), ('SelfSRModel', 'SelFSRModel'))


@dataclass(frozen=True)
class Option:
    """What is known about one option beyond its type and default; see :func:`option`."""

    meaning: str
    source: Source
    least: float | None
    below: float | None
    expects: str
    decides: bool
    missing: str
    unit: str
    variants: 'Callable[[], Mapping[str, type[Section]]] | None'
    selector: str


def option(
    meaning: str,
    *,
    default: Any = dataclasses.MISSING,
    least: float | None = None,
    below: float | None = None,
    source: Source = 'ours',
    decides: bool = True,
    expects: str = '',
    missing: str = '',
    unit: str = '',
    variants: 'Callable[[], Mapping[str, type[Section]]] | None' = None,
    selector: str = '',
) -> Any:
    """A field of a :class:`Section`. Its annotation is the type; ``| None`` lets the file say ``~``.

    Args:
        meaning: one sentence part for documentation, and for the message when the key is missing.
        default: what a file that leaves the key out gets. Without one the key is required.
        least, below: range of a number, or of each number of a list: ``least <= value < below``.
        source: 'paper' if the paper states it, 'basicsr' if it is BasicSR's option, 'ours' otherwise.
        decides: whether the value decides what is computed, so that a run is resumed with the same one only.
        expects: what the value must be, in place of the words made from type and range.
        missing: the remedy, when a key without default is missing.
        unit: 'iterations' if ``--shorten`` divides the value.
        variants: for a section of several kinds: the classes by name. ``selector`` is the key that names one of them,
            the first by default, and belongs to the section.
    """
    about = Option(meaning, source, least, below, expects, decides, missing, unit, variants, selector)
    default = {'default_factory': default.copy} if isinstance(default, (list, dict)) else {'default': default}
    return dataclasses.field(metadata={'option': about}, **default)


class Section:
    """Base of the dataclasses; the fields are the keys that a section of an option file may have."""

    refused: ClassVar[Mapping[str, str]] = {}  # keys that users may expect here -> why they are refused, and the remedy

    def check(self, key: str) -> None:
        """Compare values with each other; ``key`` is the dotted name of the section.

        Raises:
            UserError: with the key and the remedy.
        """


def options_of(cls: type[Section]) -> dict[str, tuple[Any, Option, Any]]:
    """Of each key: its type, its :class:`Option` and its default (``dataclasses.MISSING`` if it is required)."""
    types_ = typing.get_type_hints(cls)
    found = {}
    for field in dataclasses.fields(cls):
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        found[field.name] = types_[field.name], field.metadata['option'], default
    return found


def parse(cls: type[Section], section: Any, key: str) -> Any:
    """Read a section of an option file.

    Args:
        cls: what it may hold.
        section: as read from YAML.
        key: its dotted name, '' for the whole file.

    Returns:
        An instance of ``cls``: sections in it are instances as well, a section with a ``type`` stays a dictionary, and
        what the file leaves out has its default.

    Raises:
        UserError: the first thing found wrong, with its key and the remedy.
    """
    is_section(section, key)
    options = options_of(cls)
    known(section, options, key, cls.refused)
    values = {}
    for name, (kind, about, default) in options.items():
        where = join(key, name)
        if section.get(name) is None and not (name in section and _may_be_none(kind)):
            if default is dataclasses.MISSING:
                raise UserError(f'{where}: this key is missing; ' + (about.missing or f'it is the {about.meaning}.'))
            if name in section:
                raise UserError(
                    f'{where}: {section[name]!r} must be {expected(kind, about)}; '
                    f'leave the key out for {to_yaml(default)}.'
                )
            continue
        values[name] = _convert(section[name], kind, about, where)
    found = cls(**values)
    found.check(key)
    return found


# ----- sections with a type -----


class Component(dict):
    """A section with a ``type`` and the arguments of the class or function of that name."""

    what: ClassVar[str]
    given: ClassVar[tuple[str, ...]] = ()  # arguments that code passes
    extra: ClassVar[frozenset[str]] = frozenset()  # keys that are not for the class
    refused: ClassVar[Mapping[str, str]] = {}  # names -> why

    @classmethod
    def names(cls) -> list[str]:
        """What ``type`` may be. Imports what holds the classes, which takes time."""
        raise NotImplementedError

    @classmethod
    def target(cls, name: str) -> Callable:
        """The class or function of a name among :meth:`names`."""
        raise NotImplementedError

    @classmethod
    def parse(cls, section: Any, key: str) -> 'Component':
        """Check a section.

        Raises:
            UserError: with the key and the remedy.
        """
        is_section(section, key)
        name = section.get('type')
        if name is None:
            raise UserError(f'{key}.type: this key is missing; it names the {cls.what}.')
        target = cls.target(one_of(name, cls.names(), f'{key}.type', cls.refused))
        check_arguments({k: v for k, v in section.items() if k not in cls.extra}, target, key, cls.given)
        for argument, parameter in cls.arguments(name).items():
            value, usual = section.get(argument), parameter.default
            if isinstance(value, str) and isinstance(usual, (int, float)) and not isinstance(usual, bool):
                raise UserError(f'{join(key, argument)}: {value!r} must be a number, such as {usual}.')
        return cls(section)

    @classmethod
    def arguments(cls, name: str) -> dict[str, inspect.Parameter]:
        """The arguments that a section of this ``type`` may have."""
        return {
            key: each for key, each in inspect.signature(cls.target(name)).parameters.items() if key not in cls.given
        }

    def complete(self) -> dict[str, Any]:
        """With the defaults of the arguments that the file leaves out, lists for tuples."""
        defaults = {
            name: each.default for name, each in self.arguments(self['type']).items() if each.default is not each.empty
        }
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in {**defaults, **self}.items()
        }


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
        target = cls.target(found['type'])
        if target.__module__.startswith('basicsr.') and target.__name__ != 'PerceptualLoss':  # which loads a network
            try:
                target(**{name: value for name, value in found.items() if name != 'type'})
            except Exception as error:
                raise UserError(f'{key}: {found["type"]} does not take these values: {_one_line(error)}.') from None
        return found


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


# ----- values -----


def _may_be_none(kind: Any) -> bool:
    return kind is Any or type(None) in typing.get_args(kind)


def alternatives(kind: Any) -> list[Any]:
    """The types of a union, without None."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return [each for each in typing.get_args(kind) if each is not type(None)]
    return [kind]


def _convert(value: Any, kind: Any, about: Option, key: str) -> Any:
    """A value of an option file as its type says."""
    if value is None and _may_be_none(kind):
        return None
    if about.variants is not None:
        return _parse_variant(value, about, key)
    kinds = alternatives(kind)
    first = kinds[0]
    if inspect.isclass(first) and issubclass(first, Section):
        return parse(first, value, key)
    if inspect.isclass(first) and issubclass(first, Component):
        return first.parse(value, key)
    if typing.get_origin(first) is dict:
        is_section(value, key)
        inner = typing.get_args(first)[1]
        return {name: _convert(each, inner, about, join(key, name)) for name, each in value.items()}
    if any(_fits(value, each, about) for each in kinds):
        return float(value) if float in kinds and isinstance(value, int) else value
    raise UserError(f'{key}: {_remedy(value, kind, about) or f"{value!r} must be {expected(kind, about)}."}')


def _parse_variant(section: Any, about: Option, key: str) -> Any:
    is_section(section, key)
    variants = about.variants()
    name = section.get(about.selector, next(iter(variants)))
    if not isinstance(name, str) or name not in variants:
        raise UserError(f'{key}.{about.selector}: {name!r} must be one of {", ".join(variants)}.')
    return parse(variants[name], {each: value for each, value in section.items() if each != about.selector}, key)


def _fits(value: Any, kind: Any, about: Option) -> bool:
    if kind is Any:
        return True
    if typing.get_origin(kind) is Literal:
        return any(type(value) is type(each) and value == each for each in typing.get_args(kind))
    if typing.get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(each, typing.get_args(kind)[0], about) for each in value)
    if kind in (int, float):
        if isinstance(value, bool) or not isinstance(value, (int, kind)) or not abs(value) < math.inf:  # and no NaN
            return False
        return (about.least is None or value >= about.least) and (about.below is None or value < about.below)
    return isinstance(value, kind)


def expected(kind: Any, about: Option) -> str:
    """What a value must be, in words."""
    return about.expects or ' or '.join(_words(each, about) for each in alternatives(kind))


def _words(kind: Any, about: Option) -> str:
    if typing.get_origin(kind) is Literal:
        return f'one of {", ".join(map(str, typing.get_args(kind)))}'
    if typing.get_origin(kind) is list:
        return f'a list; each {_words(typing.get_args(kind)[0], about)}'
    if kind in (int, float):
        number = 'a whole number' if kind is int else 'a number'
        if about.least is not None and about.below is not None:
            return f'{number} from {about.least:g} to below {about.below:g}'
        return number + (f', {about.least:g} or more' if about.least is not None else '')
    if kind is bool:
        return 'true or false'
    if kind is str:
        return 'a text'
    return 'a section with "key: value" lines'


def _remedy(value: Any, kind: Any, about: Option) -> str:
    """What to write for a number that YAML or the user wrote as something else; '' if that would not do either."""
    kinds = alternatives(kind)
    if isinstance(value, float) and int in kinds and value.is_integer() and _fits(int(value), kind, about):
        return f'{value!r} must be {expected(kind, about)}: write {int(value)}.'
    if not isinstance(value, str):
        return ''
    if _NUMBER_AS_TEXT.fullmatch(value):
        number = _spelled_out(value)
        if any(_fits(number, each, about) for each in kinds if each in (int, float)):
            return _as_text(value)
    if _DECIMAL_COMMA.fullmatch(value) and float in kinds and _fits(float(value.replace(',', '.')), float, about):
        return f'{value!r} is text; write {value.replace(",", ".")}, with a point.'
    return ''


def _spelled_out(text: str) -> 'int | float':
    """The number that a text such as 1e3 stands for, a whole one where it is one."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def _as_text(text: str) -> str:
    number = _spelled_out(text)
    return f'YAML reads {text} as text; write {number if isinstance(number, int) else f"!!float {text}"}.'


def to_yaml(value: Any) -> str:
    """A value as an option file spells it."""
    if value is None:
        return '~'
    return str(value).lower() if isinstance(value, bool) else str(value)


# ----- what checks are made of -----


def is_int(value: Any, least: int) -> bool:
    """Whether a value is a whole number of at least ``least``; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_section(value: Any, key: str) -> None:
    """Raises UserError unless the value is a section."""
    if not isinstance(value, dict):
        raise UserError(f'{key}: {value!r} must be a section with "key: value" lines.')


def join(key: str, name: Any) -> str:
    """The dotted name of a key in a section."""
    return f'{key}.{name}' if key else str(name)


def require(section: Mapping[str, Any], names: Iterable[str], key: str, why: str = '') -> None:
    """Raises UserError for the first name that a section lacks."""
    for name in names:
        if section.get(name) is None:
            raise UserError(f'{join(key, name)}: this key is missing; {why or "docs/options.md says what it means"}.')


def known(section: Mapping[str, Any], names: Iterable[str], key: str, refused: Mapping[str, str] | None = None) -> None:
    """Raises UserError for the first key of a section that is none of ``names``, with what was meant or the reason."""
    names = sorted(names)
    for name in section:
        if name in names:
            continue
        if name in (refused or {}):
            raise UserError(f'{join(key, name)}: {refused[name]}.')
        raise UserError(f'{join(key, name)}: unknown key; {_suggestion(str(name), names)}')


def one_of(name: Any, names: list[str], key: str, refused: Mapping[str, str] | None = None) -> str:
    """The name itself. Raises UserError if it is none of ``names``, with what may be meant or the reason."""
    if isinstance(name, str) and name in (refused or {}):
        raise UserError(f'{key}: {name}: {refused[name]}.')
    if not isinstance(name, str) or name not in names:
        raise UserError(f'{key}: unknown name {name!r}; {_suggestion(str(name), names, "there are")}')
    return name


def renamed(name: str) -> str:
    """Today's name of a key or class of version 0.1.0."""
    for old, new in _RENAMED:
        name = name.replace(old, new)
    return name


def _suggestion(name: str, names: list[str], all_of_them: str = 'known here:') -> str:
    if renamed(name) != name and renamed(name) in names:
        return f"its name is '{renamed(name)}' since version 0.2.0."
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f'{all_of_them} {", ".join(names)}.'


def check_arguments(settings: Mapping[str, Any], target: Callable, key: str, given: Iterable[str] = ()) -> None:
    """Compare a section with the signature of what it is passed to; ``given`` are arguments that code passes.

    Raises:
        UserError: an argument that is not known, missing, or not of the annotated type.
    """
    parameters = {
        name: parameter for name, parameter in inspect.signature(target).parameters.items() if name not in given
    }
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    if not open_ended:
        known(settings, {*parameters, 'type'}, key)
    for name, value in settings.items():
        _check_argument(value, parameters.get(name), join(key, name))
    needed = next(
        (
            name
            for name, parameter in parameters.items()
            if parameter.default is parameter.empty
            and name not in settings
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        ),
        None,
    )
    if needed:
        raise UserError(f'{key}.{needed}: this key is missing; {settings["type"]} needs it.')


_PLAIN = Option('', 'ours', None, None, '', True, '', '', None, '')  # an argument: nothing is known but its type


def _check_argument(value: Any, parameter: inspect.Parameter | None, key: str) -> None:
    """Held against the annotation where that is a plain type, and a number must not be text anywhere."""
    annotation = parameter.annotation if parameter is not None else Any
    kinds = [each for each in alternatives(annotation) if each in (int, float, bool, str)]
    if kinds and value is not None and not any(_fits(value, each, _PLAIN) for each in kinds):
        words = ' or '.join(_words(each, _PLAIN) for each in kinds)
        raise UserError(f'{key}: {_remedy(value, typing.Union[tuple(kinds)], _PLAIN) or f"{value!r} must be {words}."}')  # noqa: UP007
    if str not in kinds:
        no_numbers_as_text(value, key)


def no_numbers_as_text(node: Any, key: str) -> None:
    """Refuse numbers such as 1e-8, which YAML reads as text, anywhere in a value that no type is known of.

    Raises:
        UserError: with what to write.
    """
    if isinstance(node, dict):
        for name, value in node.items():
            no_numbers_as_text(value, join(key, name))
    elif isinstance(node, list):
        for value in node:
            no_numbers_as_text(value, key)
    elif isinstance(node, str) and _NUMBER_AS_TEXT.fullmatch(node):
        raise UserError(f'{key}: {_as_text(node)}')
