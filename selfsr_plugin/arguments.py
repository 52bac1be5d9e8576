"""Parts of command lines that commands and scripts share. Imports nothing that takes time."""

import argparse
import os
from collections.abc import Iterable, Sequence
from typing import Any

from .errors import UserError
from .files import SHIPPED_NETWORK, no_checkpoint, path, printable


def positive(text: str) -> int:
    """A whole number of at least 1, as a type for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{number} must be 1 or more')
    return number


def add_traceback(parser: argparse.ArgumentParser) -> None:
    """The option ``--traceback`` of every command."""
    parser.add_argument('--traceback', action='store_true', help='show where an error came from')


def add_model(
    parser: argparse.ArgumentParser,
    holds: str = 'net_g_*.pth or .safetensors of a SelfCondSRNet',
    shipped: bool = False,
) -> None:
    """``--model`` and ``--key``: a network's file, and which of its weights.

    Args:
        parser: gets them.
        holds: what the file is, for the help.
        shipped: whether the network that comes with the package is taken where no file is given.
    """
    if shipped:
        holds += ' (default: the network that comes with this package)'
    parser.add_argument(
        '--model',
        required=not shipped,
        default=SHIPPED_NETWORK if shipped else None,
        type=path,
        metavar='FILE',
        help=holds,
    )
    parser.add_argument(
        '--key', choices=['params', 'params_ema'], help='which weights of the file (default: params_ema if it has them)'
    )


def refuse_missing(args: argparse.Namespace, *options: str) -> None:
    """Refuse what is to be read and is not there, before a command spends seconds on its imports.

    Args:
        args: the command line.
        options: names of those that are paths to read; None, a path or a list of them.

    Raises:
        UserError: naming the option and the path.
    """
    for option in options:
        given = getattr(args, option)
        for each in given if isinstance(given, list) else [given] * (given is not None):
            try:
                os.stat(each)
            except (FileNotFoundError, NotADirectoryError):
                if each == SHIPPED_NETWORK:
                    continue  # what loads it says that the installation lacks it
                if option == 'model':
                    raise UserError(f'--model: {no_checkpoint(each)}') from None
                raise UserError(
                    f'--{option}: {printable(each)} does not exist (looked from {os.getcwd()}): correct the path.'
                ) from None
            except OSError:
                pass  # what reads it says why it cannot


def add_weights(parser: argparse._ActionsContainer, holds: str) -> None:
    """``--weights NAME=FILE ...``, for :func:`weights_by_name`; ``holds``: the names and their files, for the help."""
    parser.add_argument('--weights', nargs='+', action='extend', default=[], metavar='NAME=FILE', help=holds)


class _Renamed(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        parser.error(f'{option_string} is now {self.const}')


def renamed(parser: argparse.ArgumentParser, **options: str) -> None:
    """Refuse options of before by their new names: ``renamed(parser, hr='--gt')``."""
    for old, new in options.items():
        parser.add_argument(
            f'--{old.replace("_", "-")}',
            action=_Renamed,
            const=new,
            nargs='*',
            dest=f'_{old}',
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )


def weights_by_name(entries: Iterable[str], names: Sequence[str], used: Sequence[str] | None = None) -> dict[str, str]:
    """``--weights NAME=FILE ...`` as a dictionary, a ``~`` in FILE expanded.

    Args:
        entries: as given.
        names: those that the command knows.
        used: those that the other options leave something to do for; by default all.

    Raises:
        UserError: no NAME=FILE, a name that is none of ``names`` or not used, or one given twice.
    """
    weights = {}
    for entry in entries:
        name, sign, file = entry.partition('=')
        if not sign or not file or name not in names:
            raise UserError(f'--weights {entry}: write NAME=FILE with one of {", ".join(names)}.')
        if name in weights:
            raise UserError(f'--weights {entry}: {name} is given twice: leave one of the two out.')
        if used is not None and name not in used:
            raise UserError(f'--weights {entry}: with these options {name} is not used: leave it out.')
        weights[name] = os.path.expanduser(file)
    return weights
