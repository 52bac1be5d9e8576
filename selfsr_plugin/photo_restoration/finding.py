"""The faces of a photo: the large ones from the photo as a whole, the small ones from tiles of it."""

from collections.abc import Callable, Iterator

import numpy as np

from ..preparation.faces import Face
from ..preparation.framing import square_around

Detector = Callable[[np.ndarray, float], list[Face]]

# The detector shrinks a photo to this, and then no longer sees the very faces that need to be restored.
TILE = 1280
ENLARGE = 2  # ours: it does not see faces of fewer than some 25 pixels either, unless they are enlarged,
_MAX_ENLARGED = 1920  # which would take too long for a photo of more pixels
_SAME = 0.4  # of the union of two boxes: faces that share more are one, as in the detector itself


def find_faces(photo: np.ndarray, detect: Detector, threshold: float, largest: int) -> list[Face]:
    """The faces of a photo, the most certain first.

    Args:
        photo: (H, W, 3) uint8, BGR.
        detect: gives the faces of an image for a threshold, looking at no more than ``TILE`` pixels a side;
            facexlib's should enlarge smaller images by ``ENLARGE``.
        threshold: least score.
        largest: pixels: faces whose square (:func:`framing.square_around`) has up to this side are also looked for in
            overlapping tiles of the photo. So memory does not grow with the photo.
    """
    whole = detect(photo, threshold)
    side = TILE // ENLARGE if max(photo.shape[:2]) <= _MAX_ENLARGED else TILE
    if max(photo.shape[:2]) <= side:
        return whole
    large = [face for face in whole if square_around(face.landmarks).side > largest]
    small = [face for face in whole if square_around(face.landmarks).side <= largest]
    for top, left in _tiles(*photo.shape[:2], side, overlap=2 * largest):
        tile = photo[top : top + side, left : left + side]
        for face in detect(tile, threshold):
            if square_around(face.landmarks).side <= largest and not _is_cut(face, tile, top, left, photo):
                small.append(_moved(face, left, top))
    small = [face for face in small if not any(_holds(one, face) for one in large)]
    return sorted(large + _unique(small), key=lambda face: -face.score)


def _tiles(height: int, width: int, side: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Top and left of tiles that cover a photo, each of which shares ``overlap`` pixels or more with the next."""
    for top in _starts(height, side, overlap):
        for left in _starts(width, side, overlap):
            yield top, left


def _starts(length: int, side: int, overlap: int) -> list[int]:
    if length <= side:
        return [0]
    count = -(-(length - side) // max(side - overlap, side // 4)) + 1
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def _is_cut(face: Face, tile: np.ndarray, top: int, left: int, photo: np.ndarray) -> bool:
    """Whether the edge of a tile, which is not one of the photo, cuts a face: a neighbour has it whole."""
    height, width = tile.shape[:2]
    return (
        (left > 0 and face.box[0] < 1)
        or (top > 0 and face.box[1] < 1)
        or (left + width < photo.shape[1] and face.box[2] > width - 1)
        or (top + height < photo.shape[0] and face.box[3] > height - 1)
    )


def _moved(face: Face, left: int, top: int) -> Face:
    x0, y0, x1, y1 = face.box
    return Face((x0 + left, y0 + top, x1 + left, y1 + top), face.landmarks + (left, top), face.score)


def _holds(large: Face, face: Face) -> bool:
    x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
    return large.box[0] < x < large.box[2] and large.box[1] < y < large.box[3]


def _unique(faces: list[Face]) -> list[Face]:
    kept: list[Face] = []
    boxes = np.empty((len(faces), 4))
    for face in sorted(faces, key=lambda face: -face.score):
        box = np.array(face.box)
        others = boxes[: len(kept)]
        sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
        shared = np.clip(sides, 0, None).prod(1)
        areas = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1)
        if (shared <= _SAME * (areas - shared)).all():
            boxes[len(kept)] = box
            kept.append(face)
    return kept
