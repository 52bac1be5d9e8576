"""Sections of an option file as dataclasses: stating their options, and reading one."""

import dataclasses
import datetime
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ..errors import UserError
from .values import (
    DECIMAL_COMMA,
    NUMBER_AS_TEXT,
    as_text,
    is_section,
    join,
    known,
    no_numbers_as_text,
    one_of,
    spelled_out,
    to_yaml,
)

Source = Literal['paper', 'ours', 'basicsr']


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


def check_values(cls: type[Section], section: Mapping[str, Any], key: str, names: Iterable[str] = ()) -> None:
    """Check of a section that is not this package's what ``cls`` knows of it, or of that the ``names``; what else is
    there, or missing, does not matter.

    Raises:
        UserError: as :func:`parse`.
    """
    for name, (kind, about, _) in options_of(cls).items():
        if section.get(name) is not None and (not names or name in names):
            _convert(section[name], kind, about, join(key, name))


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
    if str in kinds and isinstance(value, (int, float, datetime.date)):
        return (
            f'{value} must be {expected(kind, about)}, and YAML reads it as something else: write it in quotes, with '
            '--force_yml in two pairs of them (KEY=\'"VALUE"\'), since the shell takes one away.'
        )
    if not isinstance(value, str):
        return ''
    if NUMBER_AS_TEXT.fullmatch(value):
        number = spelled_out(value)
        if any(_fits(number, each, about) for each in kinds if each in (int, float)):
            return as_text(value)
    if DECIMAL_COMMA.fullmatch(value) and float in kinds and _fits(float(value.replace(',', '.')), float, about):
        return f'{value!r} is text; write {value.replace(",", ".")}, with a point.'
    return ''


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
    """Held against the annotation where that is a plain type, or else against the default, and a number must not be
    text anywhere."""
    annotation = parameter.annotation if parameter is not None else Any
    kinds = [each for each in alternatives(annotation) if each in (int, float, bool, str)]
    default = type(parameter.default) if parameter is not None else None
    if not kinds and isinstance(value, {bool: str, float: (bool, float)}.get(default, ())):
        kinds = [default]  # of BasicSR's: 'false', which is text, would count as true, and NaN as a weight
    if kinds and value is not None and not any(_fits(value, each, _PLAIN) for each in kinds):
        words = ' or '.join(_words(each, _PLAIN) for each in kinds)
        raise UserError(f'{key}: {_remedy(value, typing.Union[tuple(kinds)], _PLAIN) or f"{value!r} must be {words}."}')  # noqa: UP007
    if str not in kinds:
        no_numbers_as_text(value, key)
