"""Make an LMDB in BasicSR's layout from a folder of images, or from another LMDB.

    python -m selfsr_plugin.create_lmdb --input faces --output faces.lmdb
    python -m selfsr_plugin.create_lmdb --input faces --output faces_64.lmdb --size 64

Every image is decoded while it is written. Images that cannot be used are left out, named at the end with the reason
and listed in NAME.lmdb.refused.txt. Stopped anywhere, the same command goes on where it was. See docs/lmdb.md.
"""

import argparse
import os
import warnings
from collections.abc import Sequence

from .arguments import add_traceback, refuse_missing
from .errors import UserError, one_sentence_errors
from .files import path, printable

SHOWN = 20  # refused images that are printed; the file beside the LMDB has all


def main(arguments: Sequence[str] | None = None) -> None:
    """Make an LMDB as the command line says (that of the process by default)."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    parser = argparse.ArgumentParser(
        prog='python -m selfsr_plugin.create_lmdb',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--input', type=path, required=True, help='folder of images, or an LMDB')
    parser.add_argument('--output', type=path, required=True, help="the LMDB to make; ends with '.lmdb'")
    parser.add_argument(
        '--recursive', action='store_true', help="search the folders in the folder, too; a key is then 'folder/name'"
    )
    parser.add_argument('--size', type=int, help='resize every image to this side (antialiased bicubic); default: keep')
    parser.add_argument(
        '--enlarge',
        action='store_true',
        help='with --size: enlarge smaller images, for LR faces; otherwise they are refused',
    )
    parser.add_argument(
        '--encode',
        choices=('keep', 'png', 'jpeg'),
        default='keep',
        help='keep: the bytes as they are, PNG where that cannot be (default)',
    )
    parser.add_argument('--png-level', type=int, help='PNG compression 0 to 9 (default: 1, as in BasicSR)')
    parser.add_argument('--quality', type=int, help='JPEG quality 1 to 100 with --encode jpeg (default: 95)')
    parser.add_argument('--workers', type=int, default=cpus, help=f'threads (default: the CPUs there are, {cpus} here)')
    add_traceback(parser)
    args = parser.parse_args(arguments)
    with one_sentence_errors(args.traceback):
        run(args)


def run(options: argparse.Namespace) -> None:
    """Make the LMDB and say what became of the images. UserError as main prints it."""
    refuse_missing(options, 'input')
    if options.workers < 1:
        raise UserError(f'--workers must be 1 or more, got {options.workers}.')
    if options.enlarge and options.size is None:
        raise UserError('--enlarge does nothing without --size: give the size or leave it out.')
    if options.quality is not None and options.encode != 'jpeg':
        raise UserError('--quality is that of JPEG: give --encode jpeg with it or leave it out.')
    if options.png_level is not None and options.encode == 'jpeg':
        raise UserError('--png-level does nothing with --encode jpeg: leave one of the two out.')

    import cv2

    from .data.image_source import left_out, open_image_source
    from .preparation.image_recode import Recipe
    from .preparation.lmdb_writer import create_lmdb

    given = {'png_level': options.png_level, 'quality': options.quality}
    try:
        recipe = Recipe(
            options.size,
            options.enlarge,
            options.encode,
            **{key: value for key, value in given.items() if value is not None},
        )
    except ValueError as error:
        raise UserError(f'--{str(error).replace("_", "-")}') from error
    try:
        source = open_image_source(str(options.input), options.recursive)
    except (OSError, ValueError) as error:
        raise UserError(f'--input: {error}') from error
    more = left_out(source.passed_over, source.folders, source.unlisted)
    if more:
        print(f'{source.root} holds more than is read: {more}.')

    cv2.setNumThreads(1)  # the workers share the CPUs among themselves
    warnings.filterwarnings('ignore', module='PIL')  # what it warns of is refused by name or does not matter
    try:
        report = create_lmdb(source, str(options.output), recipe, options.workers)
    except KeyboardInterrupt:
        raise UserError(
            'stopped; what was done is kept: run the same command again to go on, or remove '
            f'{printable(options.output)}.partial.'
        ) from None

    if report.refused_list:
        with open(report.refused_list, encoding='utf-8') as lines:
            for line, _ in zip(lines, range(SHOWN)):
                print('refused', line, end='')
        more = f'{report.refused - SHOWN} more are' if report.refused > SHOWN else 'The list is'
        print(f'{more} in {printable(report.refused_list)}.')
    if report.beyond_basicsr:
        print(
            f'{report.beyond_basicsr} names hold a dot or letters beyond ASCII, for example '
            f"'{report.beyond_basicsr_example}': this package's data sets read them, BasicSR's own do not."
        )
    print(f'{printable(options.output)}: {report.written} images, {report.refused} refused.')


if __name__ == '__main__':
    main()
