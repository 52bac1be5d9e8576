"""Fig. 5: faces restored by several methods, side by side: LR, bicubic, any number of methods, HR.

    python scripts/figure_comparison.py --hr datasets/demo/test_hr --lq datasets/demo/test_wild_lr \\
        SelFSR=results/test_selfsr_demo/visualization/demo_test --output results/comparison.png

Every method is NAME=FOLDER, a folder or LMDB with one image for each face. Images have the face's name, or all of them
the name and the same ending, as those of a test run (face_test_selfsr_demo.png).
"""
import argparse
from typing import Dict, List, Sequence

import numpy as np
import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs
from selfsr_plugin.errors import UserError, one_sentence_errors
from selfsr_plugin.pictures import Images, draw_sheet, positive, resize, write_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('methods', nargs='+', metavar='NAME=FOLDER', help='restored faces of one method')
    parser.add_argument('--hr', help='HR faces; left out for real LR faces, which have none')
    parser.add_argument('--lq', help='LR faces; left out, they are the HR faces shrunk by --scale')
    parser.add_argument('--scale', type=positive, default=8, help='HR side / LR side, without --lq (default: 8)')
    parser.add_argument('--faces', nargs='+', metavar='FACE', help='names without extension; by default the first --count')
    parser.add_argument('--count', type=positive, default=6, help='number of faces (default: 6)')
    parser.add_argument('--tile', type=positive, default=128, help='side of each drawn image in pixels (default: 128)')
    parser.add_argument('--output', default='comparison.png', help='picture to write (default: comparison.png)')
    with one_sentence_errors():
        args = parser.parse_args()
        write_image(args.output, comparison(args))


def comparison(args: argparse.Namespace) -> np.ndarray:
    """The sheet, (H, W, 3) uint8 BGR."""
    if not args.hr and not args.lq:
        raise UserError('give --lq, or --hr to shrink, or both.')
    hr, lq = (Images(root) if root else None for root in (args.hr, args.lq))
    known = hr if hr is not None else lq
    faces = args.faces or list(known)[:args.count]
    for images, root in ((hr, args.hr), (lq, args.lq)):
        missing = [] if images is None else [face for face in faces if face not in images]
        if missing:
            raise UserError(f'{root} has no image of {", ".join(missing)}.')
    methods: Dict[str, List[np.ndarray]] = {}
    for entry in args.methods:
        name, sign, root = entry.partition('=')
        if not (name and sign and root) or name in methods:
            raise UserError(f'{entry}: write NAME=FOLDER, with a name of its own for each method.')
        images = Images(root)
        ending = common_ending(list(images), faces, root)
        methods[name] = [images[face + ending] for face in faces]
    rows = []
    for number, face in enumerate(faces):
        restored = [images[number] for images in methods.values()]
        small = lq[face] if lq is not None else resize(hr[face], hr[face].shape[0] // args.scale)
        row = [small, resize(small, restored[0].shape[0]), *restored]
        rows.append(row if hr is None else row + [hr[face]])
    return draw_sheet(rows, ['LR', 'bicubic', *methods, *(['HR'] if hr is not None else [])], args.tile)


def common_ending(names: Sequence[str], faces: Sequence[str], root: str) -> str:
    """What the names of a method's images have after the face's name: nothing, or one ending '_...' for all faces.

    Raises:
        UserError: there is none, naming the faces without an image, or there are several.
    """
    there = set(names)
    endings = {''} | {name[len(faces[0]):] for name in names if name.startswith(f'{faces[0]}_')}
    lacking = {ending: [face for face in faces if face + ending not in there] for ending in endings}
    complete = sorted(ending for ending in endings if not lacking[ending])
    if not complete:
        missing = min(lacking.values(), key=len)
        raise UserError(f'{root} has no image of {", ".join(missing[:5])}{" ..." if len(missing) > 5 else ""}: images '
                        "need the face's name, or the name and one ending for all, as in face_run.png.")
    if len(complete) > 1 and complete[0]:
        raise UserError(f'{root} has several images of each face, ending in {", ".join(complete)}: keep one run.')
    return complete[0]


if __name__ == '__main__':
    main()
