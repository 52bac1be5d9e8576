"""Divide a folder of faces into train, val and test, never the same person in two.

    python -m selfsr_plugin.split_faces --input faces_hr --output datasets/real/PART_hr

Faces that prepare_faces cut out of one photo stay together. Where the paths of the photos or the names of the files say
who it is, --person keeps all images of a person together: --person '^([^/]+)/' for photos in a folder per person.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from .arguments import add_traceback
from .errors import UserError, one_sentence_errors
from .files import path, printable

PART = r'(?<![A-Z])PART(?![A-Z])'  # in --output, as a word: not in the name of a folder PARTY
SHARES = ('train=0.9', 'val=0.05', 'test=0.05')


def main(arguments: Sequence[str] | None = None) -> None:
    """Split as the command line says (that of the process by default)."""
    parser = argparse.ArgumentParser(
        prog='python -m selfsr_plugin.split_faces',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--input', type=path, required=True, metavar='DIR', help='folder of faces')
    parser.add_argument(
        '--output',
        type=path,
        required=True,
        metavar='DIR',
        help='the folders to make: PART in it is '
        'replaced by train, val and test (hard links, which take no room, or copies)',
    )
    parser.add_argument(
        '--shares',
        nargs='+',
        action='extend',
        metavar='PART=SHARE',
        help=f'of the images, adding up to 1 (default: {" ".join(SHARES)})',
    )
    parser.add_argument(
        '--person',
        metavar='REGEX',
        help='finds the person in the path of the source photo or, where '
        'there is no manifest, in the file name: its first group, or all of it',
    )
    parser.add_argument('--seed', type=int, default=0, help='another one gives another split (default: %(default)s)')
    add_traceback(parser)
    args = parser.parse_args(arguments)
    with one_sentence_errors(args.traceback):
        run(args)


def run(args: argparse.Namespace) -> None:
    """Split and say what is where."""
    shares = read_shares(args.shares or SHARES)
    if not re.search(PART, str(args.output)):
        raise UserError(
            f'--output: {printable(args.output)} has no PART in it, for which train, val and test would stand: '
            f'give {printable(args.output)}/PART, for example.'
        )
    from .preparation.splitting import split

    folders = {part: Path(re.sub(PART, part, str(args.output))) for part in shares}
    made = split(args.input, folders, shares, args.person, args.seed)
    kind = 'photos' if args.person is None else 'people'
    for part, (folder, images, groups) in made.items():
        print(f'{part}: {images} images of {groups} {kind} in {printable(folder)}')
    if args.person is None:
        print(
            'Photos were kept apart. If somebody is in several photos, give --person, so that all of them stay '
            'together.'
        )


def read_shares(entries: Sequence[str]) -> dict[str, float]:
    """{'train': 0.9, ...} from 'train=0.9', ... UserError: not that, twice the same part, or a sum that is not 1."""
    shares = {}
    for entry in entries:
        match = re.fullmatch(r'([\w-]+)=(\d*\.?\d+)', entry)
        if not match or match[1] in shares or not 0 < float(match[2]) < 1:
            raise UserError(
                f"--shares: '{entry}' is not PART=SHARE with a part of its own and a share between 0 and 1."
            )
        shares[match[1]] = float(match[2])
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise UserError(f'--shares add up to {sum(shares.values()):g}: they must add up to 1.')
    return shares


if __name__ == '__main__':
    main()
