"""Cut the faces out of photos, all framed alike, with a manifest that says where each came from.

    python -m selfsr_plugin.prepare_faces --input photos --output faces --size 64

Killed or stopped? The same command goes on. See docs/datasets for the data sets of the paper and docs/framing.png for
the two framings.
"""

import argparse
import sys
from collections.abc import Sequence

from .arguments import add_traceback, add_weights, refuse_missing, renamed, weights_by_name
from .errors import UserError, one_sentence_errors
from .files import path, printable, refuse_lmdb_name
from .preparation.settings import FRAMINGS, Settings

REASONS = 5  # that are printed; the manifest has all


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare as the command line says (that of the process by default)."""
    parser = argparse.ArgumentParser(
        prog='python -m selfsr_plugin.prepare_faces',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--input', type=path, required=True, help='folder of photos, searched with its subfolders, or one photo'
    )
    parser.add_argument('--output', type=path, required=True, help='folder for the crops and manifest.jsonl')
    parser.add_argument(
        '--size',
        type=int,
        help='side of the crops in pixels; faces with fewer are left out. Without '
        'it every crop keeps the pixels of its photo, as LR faces should',
    )
    parser.add_argument(
        '--framing',
        choices=FRAMINGS,
        default=Settings.framing,
        help='parallel to the photo, or turned upright and fitted to a template by five landmarks; dic is the crop of '
        'the methods of Table I, by the box of 68 or 194 landmarks (default: %(default)s)',
    )
    parser.add_argument(
        '--margin',
        type=float,
        default=Settings.margin,
        metavar='SHARE',
        help='more around the face on each side, as a share of the square; negative for less (default: %(default)s)',
    )
    for axis, way, other in (('x', 'right', 'left'), ('y', 'down', 'up')):
        parser.add_argument(
            f'--shift-{axis}',
            type=float,
            default=0.0,
            metavar='SHARE',
            help=f'move the square {way} by '
            f'this share of it, so that the face lies further {other}; negative: {other} '
            '(default: %(default)s)',
        )
    parser.add_argument(
        '--min-face',
        type=int,
        default=Settings.min_face,
        metavar='PIXELS',
        help='leave out faces whose square has a smaller side in the photo (default: %(default)s)',
    )
    parser.add_argument('--max-face', type=int, metavar='PIXELS', help='leave out larger ones (default: no limit)')
    parser.add_argument('--max-faces', type=int, metavar='N', help='the N largest faces of a photo (default: all)')
    parser.add_argument(
        '--threshold',
        type=float,
        default=Settings.threshold,
        metavar='SCORE',
        help='faces the detector is less certain of do not count (default: %(default)s)',
    )
    parser.add_argument(
        '--annotations',
        type=path,
        metavar='FILE',
        help="take the faces from CelebA's list_landmarks_align_celeba.txt, WIDER FACE's wider_face_*_bbx_gt.txt, or a "
        'CSV with the photo and the points of 68 or 194 landmarks in each line; detect nothing',
    )
    add_weights(
        parser,
        "retinaface=FILE: facexlib's "
        'detection_mobilenet0.25_Final.pth; without it facexlib downloads that file into its own folder',
    )
    parser.add_argument('--device', default='cpu', help='of the detector: cpu, cuda, cuda:1 (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=1, metavar='N', help='processes (default: %(default)s)')
    parser.add_argument('--retry', action='store_true', help='do the photos again that an earlier run refused')
    add_traceback(parser)
    renamed(parser, debug='--traceback')
    args = parser.parse_args(arguments)
    with one_sentence_errors(args.traceback):
        run(args)


def run(args: argparse.Namespace) -> None:
    """Prepare, and say what became of photos and faces."""
    refuse_lmdb_name(args.output)
    settings = Settings(
        args.framing,
        args.margin,
        args.shift_x,
        args.shift_y,
        args.size,
        args.min_face,
        args.max_face,
        args.threshold,
        args.max_faces,
    )
    if args.annotations is not None and args.threshold != Settings.threshold:
        raise UserError('--threshold: nothing is detected with --annotations: leave it out.')
    refuse_missing(args, 'input', 'annotations')
    from .data.image_source import left_out
    from .preparation.detection import NETWORK
    from .preparation.manifest import MANIFEST_FILE, REFUSED_FILE
    from .preparation.photos import kinds_of
    from .preparation.runner import prepare

    weights = weights_by_name(args.weights, [NETWORK], [NETWORK] * (args.annotations is None)).get(NETWORK)
    manifest = prepare(
        args.input, args.output, settings, weights, args.annotations, args.workers, args.device, args.retry
    )
    count, output = manifest.counts(), printable(args.output)
    photos = count['photos'] - count['refused']
    print(
        f'{count["faces"] - len(manifest.missing)} faces of {photos} photos are in {output}; '
        f'{count["refused"]} photos were refused and {count["left_out"]} faces left out.'
    )
    if count['padded']:
        print(
            f'{count["padded"]} of the crops reach beyond their photo and are mirrored there '
            f'("padded" in {MANIFEST_FILE}).'
        )
    if manifest.missing:
        print(
            f'warning: {len(manifest.missing)} crops of earlier runs are not in {output} any more, such as '
            f'{manifest.missing[0]}; they are not made again: name a new --output for all.',
            file=sys.stderr,
        )
    if manifest.changed:
        print(
            f'warning: {len(manifest.changed)} photos are others than those that were cut under their names, such as '
            f'{printable(manifest.changed[0])}; their crops are of the earlier ones: name a new --output to cut them.',
            file=sys.stderr,
        )
    for reason, number in manifest.reasons().most_common(REASONS):
        print(f'  {number} x {reason}')
    if manifest.others:
        print(f'--input holds more than photos: {left_out(kinds_of(manifest.others))}.')
    print(f'Reasons: {output}/{REFUSED_FILE} and {output}/{MANIFEST_FILE}')
    if not count['faces']:
        raise UserError(
            f'no face came out of the {count["photos"]} photos: mend what the reasons above name; then '
            'name another --output, or the same with --retry.'
        )


if __name__ == '__main__':
    main()
