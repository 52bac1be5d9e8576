"""Cut the faces out of photos, all framed alike, with a manifest that says where each came from.

    python -m selfsr_plugin.prepare_faces --input photos --output faces --size 64

Killed or stopped? The same command goes on. See docs/datasets for the data sets of the paper and docs/framing.png for
the two framings.
"""
import argparse
from pathlib import Path
from typing import Optional, Sequence

import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs
from selfsr_plugin.errors import one_sentence_errors
from selfsr_plugin.preparation import FRAMINGS, MANIFEST_FILE, REFUSED_FILE, Settings, prepare
from selfsr_plugin.preparation.detection import WEIGHTS_FILE


def main(arguments: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--input', type=Path, required=True, help='folder of photos, searched with its subfolders')
    parser.add_argument('--output', type=Path, required=True, help=f'folder for the crops and {MANIFEST_FILE}')
    parser.add_argument('--size', type=int, help='side of the crops in pixels; faces with fewer are left out. Without '
                        'it every crop keeps the pixels of its photo, as LR faces should')
    parser.add_argument('--framing', choices=FRAMINGS, default=Settings.framing, help='parallel to the photo, or '
                        'turned upright and fitted to a template by five landmarks (default: %(default)s)')
    parser.add_argument('--margin', type=float, default=Settings.margin, metavar='SHARE', help='more around the face '
                        'on each side, as a share of the square (default: %(default)s)')
    parser.add_argument('--min-face', type=int, default=Settings.min_face, metavar='PIXELS',
                        help='leave out faces whose square has a smaller side in the photo (default: %(default)s)')
    parser.add_argument('--max-face', type=int, metavar='PIXELS', help='leave out larger ones (default: no limit)')
    parser.add_argument('--max-faces', type=int, metavar='N', help='the N largest faces of a photo (default: all)')
    parser.add_argument('--threshold', type=float, default=Settings.threshold, metavar='SCORE',
                        help='faces the detector is less certain of do not count (default: %(default)s)')
    parser.add_argument('--annotations', type=Path, metavar='FILE', help="take the faces from CelebA's "
                        "list_landmarks_align_celeba.txt or WIDER FACE's wider_face_*_bbx_gt.txt, detect nothing")
    parser.add_argument('--weights', type=Path, metavar='DIR', help=f'folder that holds {WEIGHTS_FILE}; without it '
                        'facexlib downloads that file into its own folder')
    parser.add_argument('--device', default='cpu', help='of the detector: cpu, cuda, cuda:1 (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=1, metavar='N', help='processes (default: %(default)s)')
    parser.add_argument('--retry', action='store_true', help='do the photos again that an earlier run refused')
    parser.add_argument('--debug', action='store_true', help='show where an error came from')
    args = parser.parse_args(arguments)

    settings = Settings(args.framing, args.margin, args.size, args.min_face, args.max_face, args.threshold,
                        args.max_faces)
    with one_sentence_errors(args.debug):
        manifest = prepare(args.input, args.output, settings, args.weights, args.annotations, args.workers,
                           args.device, args.retry)
        count = manifest.counts()
        print(f'{count["faces"]} faces of {count["photos"] - count["refused"]} photos are in {args.output}; '
              f'{count["refused"]} photos were refused and {count["left_out"]} faces left out.\n'
              f'Reasons: {args.output / REFUSED_FILE} and {args.output / MANIFEST_FILE}')


if __name__ == '__main__':
    main()
