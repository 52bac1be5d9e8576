"""Landmarks of face images, which some methods of docs/baselines.md learn from (never needed to restore).

    python -m selfsr_plugin.make_landmarks --input faces_hr --output faces_hr.csv --detector retinaface

retinaface gives 5 points; fan (facexlib's awing_fan) and dlib (pip install dlib-bin face_recognition_models==0.3.0; not
for commercial use) give 68. --annotations takes them from a file instead: CelebA's list_landmarks_align_celeba.txt, the
manifest.jsonl of prepare_faces, or a CSV with a name and 5, 68 or 194 points a line.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .arguments import add_traceback, add_weights, refuse_missing, weights_by_name
from .errors import UserError, one_sentence_errors
from .files import check_writable, path, printable, write_image

if TYPE_CHECKING:
    import numpy as np

    from .baselines.landmarks import FaceLandmarks

DETECTORS = ('retinaface', 'fan', 'dlib')
SHOWN = 40  # faces of the preview
NAMED = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Make landmarks as the command line says (that of the process by default)."""
    parser = argparse.ArgumentParser(
        prog='python -m selfsr_plugin.make_landmarks',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--input', type=path, required=True, metavar='DIR', help='folder or LMDB of faces, one an image'
    )
    parser.add_argument('--output', type=path, required=True, metavar='FILE', help='CSV file to write')
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--detector', choices=DETECTORS, help='network that finds them')
    source.add_argument('--annotations', type=path, metavar='FILE', help='file that has them')
    add_weights(parser, "the detector's file, by its name; without it facexlib downloads its own")
    parser.add_argument('--device', default='cpu', help='of the detector: cpu, cuda, cuda:1 (default: %(default)s)')
    parser.add_argument('--preview', type=path, metavar='FILE', help='picture of some faces with their points')
    add_traceback(parser)
    args = parser.parse_args(arguments)
    with one_sentence_errors(args.traceback):
        make(args)


def make(args: argparse.Namespace) -> None:
    """Find the points of every image, write them, and say for how many there are none."""
    refuse_missing(args, 'input', 'annotations')
    from tqdm import tqdm

    from .baselines.landmark_sources import DETECTORS as BY_NAME
    from .baselines.landmark_sources import given_landmarks, refuse_other_framing
    from .baselines.landmarks import FaceLandmarks, beyond_image, count_of, is_landmark_file, mean_grey, write_landmarks
    from .data.image_source import CorruptImageError, open_image_source
    from .inference import find_device

    source = open_image_source(str(args.input))
    check_writable(args.output)
    if args.preview is not None:
        check_writable(args.preview, picture=True)
        if args.preview.resolve() == args.output.resolve():
            raise UserError(f'--preview: {printable(args.preview)} is the file of --output: name another.')
        if args.preview.resolve().parent == args.input.resolve():
            raise UserError(f'--preview: {printable(args.preview)} would lie among the faces of --input: name another.')
    if args.annotations is not None and args.annotations.resolve() == args.output.resolve():
        raise UserError(f'--output: {printable(args.output)} is the file of --annotations: give another.')
    if args.output.is_file() and not is_landmark_file(args.output):
        raise UserError(
            f'--output: {printable(args.output)} is there already and no file of landmarks, so it is not replaced: '
            'move it, or give another.'
        )
    find_device(args.device)
    weights = weights_by_name(args.weights, DETECTORS, [args.detector])
    given = None if args.annotations is None else given_landmarks(args.annotations)
    if given is not None:
        known = sum(name in given for name in source.names)
        if not known:
            raise UserError(
                f'--annotations: {printable(args.annotations)} has none of the images in {source.root}, such as '
                f'{printable(source.names[0])}: it is of other faces.'
            )
        refuse_other_framing(args.annotations, source)
    detect = None if given is not None else BY_NAME[args.detector](weights.get(args.detector), args.device)
    faces: dict[str, FaceLandmarks] = {}
    bad: list[str] = []
    shown: list[np.ndarray] = []
    for index, name in enumerate(tqdm(source.names, desc='faces', unit='face')):
        try:
            image = source.read(index)
        except CorruptImageError as error:
            bad.append(str(error))
            continue
        height, width = image.shape[:2]
        points = given.get(name) if detect is None else detect(image)
        faces[name] = FaceLandmarks(width, height, mean_grey(image), points)
        outside = given is not None and beyond_image(name, faces[name])
        if outside:
            raise UserError(
                f'--annotations: in {printable(args.annotations)} {outside}: give those of the images as they are, cut '
                'and resized.'
            )
        if args.preview is not None and len(shown) < SHOWN and points is not None:
            shown.append(_with_points(image, points))
    count = count_of(faces)
    if not count:
        raise UserError(f'no landmarks were found in any of the {len(source)} images of {source.root}.')
    write_landmarks(args.output, faces, count)
    without = [name for name, face in faces.items() if face.points is None]
    print(f'{count} landmarks of {len(faces) - len(without)} of {len(source)} faces are in {printable(args.output)}.')
    if without:
        more = ', ...' if len(without) > NAMED else ''
        print(f'{len(without)} without, nothing was found in: {", ".join(map(printable, without[:NAMED]))}{more}')
    if shown:
        write_image(args.preview, _sheet(shown))
    if bad:
        raise UserError(f'{len(bad)} of {len(source)} images are left out: {"; ".join(bad)}')


def _with_points(image: np.ndarray, points: np.ndarray, side: int = 192) -> np.ndarray:
    """A face enlarged to ``side``, its points drawn."""
    import cv2
    import numpy as np

    from .pictures import resize

    drawn = np.ascontiguousarray(resize(image, side))
    for x, y in (points + 0.5) * side / [image.shape[1], image.shape[0]]:
        cv2.circle(drawn, (round(x), round(y)), 2, (0, 255, 0), -1, cv2.LINE_AA)
    return drawn


def _sheet(images: list[np.ndarray], columns: int = 8) -> np.ndarray:
    import numpy as np

    images = images + [np.zeros_like(images[0])] * (-len(images) % columns)
    return np.concatenate(
        [np.concatenate(images[start : start + columns], 1) for start in range(0, len(images), columns)]
    )


if __name__ == '__main__':
    main()
