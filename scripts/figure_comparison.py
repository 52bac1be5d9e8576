"""Fig. 5: faces restored by several methods, side by side: LR, bicubic, any number of methods, HR.

    python scripts/figure_comparison.py --gt datasets/demo/test_hr --lq datasets/demo/test_wild_lr \\
        SelFSR=results/test_selfsr_demo/visualization/demo_test --output results/comparison.png

Every method is NAME=FOLDER, a folder or LMDB with one image for each face. Images have the face's name, or all of them
the name and the same ending, as those of a test run (face_test_selfsr_demo.png).
"""

import argparse
import os
from collections.abc import Sequence

import numpy as np
from selfsr_plugin import files
from selfsr_plugin.arguments import add_traceback, positive, renamed
from selfsr_plugin.data.image_source import CorruptImageError
from selfsr_plugin.errors import UserError, one_sentence_errors
from selfsr_plugin.pictures import Images, check_output, draw_sheet, resize, write_picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('methods', nargs='+', metavar='NAME=FOLDER', help='restored faces of one method')
    parser.add_argument(
        '--gt', type=files.path, metavar='DIR', help='HR faces; left out for real LR faces, which have none'
    )
    parser.add_argument(
        '--lq', type=files.path, metavar='DIR', help='LR faces; left out, they are the HR faces shrunk by --scale'
    )
    parser.add_argument('--scale', type=positive, default=8, help='HR side / LR side, without --lq (default: 8)')
    parser.add_argument(
        '--faces',
        nargs='+',
        action='extend',
        metavar='FACE',
        help='names without extension; by default the first --count',
    )
    parser.add_argument('--count', type=positive, default=6, help='number of faces (default: 6)')
    parser.add_argument('--tile', type=positive, default=128, help='side of each drawn image in pixels (default: 128)')
    parser.add_argument(
        '--output', type=files.path, default='comparison.png', help='picture to write (default: comparison.png)'
    )
    add_traceback(parser)
    renamed(parser, hr='--gt')
    args = parser.parse_args()
    problems: list[str] = []
    with one_sentence_errors(args.traceback):
        write_picture(args.output, comparison(args, problems), problems)


def comparison(args: argparse.Namespace, problems: list[str]) -> np.ndarray:
    """The sheet, (H, W, 3) uint8 BGR; ``problems`` gets a line for each face that cannot be drawn."""
    if not args.gt and not args.lq:
        raise UserError('give --lq, or --gt to shrink, or both.')
    gt, lq = (Images(root) if root else None for root in (args.gt, args.lq))
    known = gt if gt is not None else lq
    faces = args.faces or list(known)[: args.count]
    for images in (gt, lq):
        missing = [] if images is None else [face for face in faces if face not in images]
        if missing:
            raise UserError(f'{images.source.root} has no image of {", ".join(map(files.printable, missing))}.')
    methods: dict[str, tuple[Images, str]] = {}
    for entry in args.methods:
        name, sign, root = entry.partition('=')
        if not (name and sign and root) or name in methods:
            raise UserError(f'{entry}: write NAME=FOLDER, with a name of its own for each method.')
        images = Images(os.path.expanduser(root))
        methods[name] = images, common_ending(list(images), faces, images.source.root)
    check_output(args.output, [args.gt, args.lq, *(images.source.root for images, _ in methods.values())])
    rows = []
    for face in faces:
        try:
            restored = [images[face + ending] for images, ending in methods.values()]
            truth = [] if gt is None else [gt[face]]
            small = lq[face] if lq is not None else resize(truth[0], truth[0].shape[0] // args.scale)
        except CorruptImageError as error:
            problems.append(str(error))
        else:
            rows.append([small, resize(small, restored[0].shape[0]), *restored, *truth])
    if not rows:
        raise UserError(f'none of the {len(faces)} faces can be drawn: {problems[0]}')
    return draw_sheet(rows, ['LR', 'bicubic', *methods, *(['HR'] if gt is not None else [])], args.tile)


def common_ending(names: Sequence[str], faces: Sequence[str], root: str) -> str:
    """What the names of a method's images have after the face's name: nothing, or one ending '_...' for all faces.

    Raises:
        UserError: there is none, naming the faces without an image, or there are several.
    """
    there = set(names)
    endings = {''} | {name[len(faces[0]) :] for name in names if name.startswith(f'{faces[0]}_')}
    lacking = {ending: [face for face in faces if face + ending not in there] for ending in endings}
    complete = sorted(ending for ending in endings if not lacking[ending])
    if not complete:
        missing = min(lacking.values(), key=len)
        raise UserError(
            f'{root} has no image of {", ".join(map(files.printable, missing[:5]))}'
            f'{" ..." if len(missing) > 5 else ""}: '
            "images need the face's name, or the name and one ending for all, as in face_run.png."
        )
    if len(complete) > 1 and complete[0]:
        raise UserError(
            f'{root} has several images of each face, ending in {", ".join(map(files.printable, complete))}: '
            'keep one run.'
        )
    return complete[0]


if __name__ == '__main__':
    main()
