"""What the checks of option files are made of: names, keys, numbers, and the words for what is wrong with them."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import UserError

NUMBER_AS_TEXT = re.compile(r'[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+')
DECIMAL_COMMA = re.compile(r'[-+]?\d+,\d+')
# Names of version 0.1.0, in any key or name.
_RENAMED = (('d_lr', 'd_lq'), ('SelfSRModel', 'SelFSRModel'))


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


def spelled_out(text: str) -> int | float:
    """The number that a text such as 1e3 stands for, a whole one where it is one."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def as_text(text: str) -> str:
    """What to say of a number that YAML reads as text, such as 1e3, with the remedy."""
    number = spelled_out(text)
    return f'YAML reads {text} as text; write {number if isinstance(number, int) else f"!!float {text}"}.'


def to_yaml(value: Any) -> str:
    """A value as an option file spells it."""
    if value is None:
        return '~'
    return str(value).lower() if isinstance(value, bool) else str(value)


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
    elif isinstance(node, str) and NUMBER_AS_TEXT.fullmatch(node):
        raise UserError(f'{key}: {as_text(node)}')
