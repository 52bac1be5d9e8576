"""Where a face is cut out: one framing for photos and crowds, so that HR and LR faces show the same part of a head.

Both framings show the same part of a face: ``square`` stays parallel to the photo and resamples nothing, ``align`` also
turns the face upright. docs/framing.png shows the two.
"""
import math
from dataclasses import dataclass
from typing import Tuple

import cv2
import numpy as np

from .faces import Face, Refused

# Medians over 105 faces of LFW in its usual face crop, measured with the same detector: the two eyes are 0.273 and the
# eyes and the mouth 0.301 of the side apart, and the point between eyes and mouth lies 0.61 of the side down.
# Adding the two distances keeps the side steady when a head turns (eyes closer) or nods (mouth closer).
SIDE_PER_DISTANCE = 1 / (0.273 + 0.301)
FACE_X, FACE_Y = 0.5, 0.61
MAX_SHIFT = 0.12  # a square that leaves the photo is moved back inside; the face may move by this share of the side

# Where the landmarks of a frontal face lie in that square, shares of the side: medians over 550 upright frontal faces
# of LFW, left and right made alike.
TEMPLATE = np.array([(0.357, 0.466), (0.643, 0.466), (0.5, 0.624), (0.378, 0.754), (0.622, 0.754)])

# Where a face box as WIDER FACE annotates it lies in that square: medians over 429 upright frontal faces of WIDER, the
# square from detected landmarks. A turned face has a narrower box of the same height, so the height decides.
BOX_HEIGHT, BOX_X, BOX_Y = 0.82, 0.5, 0.567


@dataclass(frozen=True)
class Box:
    """A square in a photo, in whole pixels, so that cutting it out resamples nothing."""
    left: int
    top: int
    side: int

    def cut(self, photo: np.ndarray) -> np.ndarray:
        """(H, W, 3) -> (side, side, 3), a view."""
        return photo[self.top:self.top + self.side, self.left:self.left + self.side]


@dataclass(frozen=True)
class TurnedBox:
    """A square turned by ``angle`` degrees (clockwise as seen) about its centre, in pixels of the photo."""
    centre_x: float
    centre_y: float
    side: int
    angle: float

    def cut(self, photo: np.ndarray) -> np.ndarray:
        """(H, W, 3) -> (side, side, 3): cubic interpolation at the photo's scale; mirrored beyond its edges."""
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        middle = (self.side - 1) / 2
        x, y = self.centre_x - 0.5, self.centre_y - 0.5  # OpenCV counts from the middle of the first pixel
        to_photo = np.array([[cos, -sin, x - cos * middle + sin * middle], [sin, cos, y - sin * middle - cos * middle]])
        return cv2.warpAffine(photo, to_photo, (self.side, self.side), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                              borderMode=cv2.BORDER_REFLECT_101)


def frame(landmarks: np.ndarray, height: int, width: int, min_side: int, margin: float = 0.0) -> Box:
    """The square around a face, inside the photo: moved, and at last made smaller, rather than filled up.

    Args:
        landmarks: (5, 2): the eyes, the nose, the corners of the mouth, as (x, y).
        height, width: of the photo.
        min_side: the square must have at least this side, in pixels.
        margin: more around the face on each of the four sides, as a share of the square without it.

    Raises:
        Refused: too few pixels, or the face is too close to the edge of the photo.
    """
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    distance = np.linalg.norm(landmarks[1] - landmarks[0]) + np.linalg.norm(mouth - eyes)
    middle = (eyes + mouth) / 2
    return _place(middle[0], middle[1], distance * SIDE_PER_DISTANCE, FACE_X, FACE_Y, height, width, min_side, margin)


def frame_box(face_box: Tuple[float, float, float, float], height: int, width: int, min_side: int,
              margin: float = 0.0) -> Box:
    """:func:`frame` for a face that has a box (left, top, right, bottom) and no landmarks. Raises: Refused."""
    left, top, right, bottom = face_box
    return _place((left + right) / 2, (top + bottom) / 2, (bottom - top) / BOX_HEIGHT, BOX_X, BOX_Y, height, width,
                  min_side, margin)


def _place(x: float, y: float, side: float, share_x: float, share_y: float, height: int, width: int, min_side: int,
           margin: float) -> Box:
    """The square of which the point (x, y) lies at the shares, counted without the margin."""
    grown = 1 + 2 * margin
    share_x, share_y = (share_x + margin) / grown, (share_y + margin) / grown
    side = min(round(side * grown), height, width)
    _check_side(side, min_side)
    box = inside(x - share_x * side, y - share_y * side, side, height, width)
    shift = max(abs(box.left + share_x * side - x), abs(box.top + share_y * side - y)) / side
    if shift > MAX_SHIFT:
        raise Refused('the face is too close to the edge of the photo')
    return box


def _check_side(side: int, min_side: int) -> None:
    if side < min_side:
        raise Refused(f'the face fills {side} pixels only, at least {min_side} needed')


def inside(left: float, top: float, side: int, height: int, width: int) -> Box:
    """The square nearest to the wished one that does not leave the photo."""
    side = min(side, height, width)
    return Box(min(max(round(left), 0), width - side), min(max(round(top), 0), height - side), side)


def align(landmarks: np.ndarray, height: int, width: int, min_side: int, margin: float = 0.0) -> TurnedBox:
    """The turned square whose landmarks come closest to ``TEMPLATE``: the least-squares similarity. As :func:`frame`.

    Raises:
        Refused: too few pixels, or a corner lies beyond the edge of the photo by more than ``MAX_SHIFT`` of the side.
    """
    points, template = (pair[:, 0] + 1j * pair[:, 1] for pair in (landmarks, TEMPLATE))
    centred = template - template.mean()
    turn = np.vdot(centred, points - points.mean()) / np.vdot(centred, centred)  # scale and rotation in one number
    centre = points.mean() + turn * (0.5 + 0.5j - template.mean())
    side = round(abs(turn) * (1 + 2 * margin))
    _check_side(side, min_side)
    corners = centre + turn / abs(turn) * side / 2 * np.array([-1 - 1j, 1 - 1j, -1 + 1j, 1 + 1j])
    beyond = max(-corners.real.min(), -corners.imag.min(), corners.real.max() - width, corners.imag.max() - height)
    if beyond > MAX_SHIFT * side:
        raise Refused('the face is too close to the edge of the photo')
    return TurnedBox(float(centre.real), float(centre.imag), side, math.degrees(math.atan2(turn.imag, turn.real)))


def frame_face(face: Face, framing: str, height: int, width: int, min_side: int, margin: float) -> 'Box | TurnedBox':
    """The frame of a face by the name of the framing, 'square' or 'similarity'. Raises: Refused."""
    if face.flaw:
        raise Refused(face.flaw)
    if framing == 'similarity':
        return align(face.landmarks, height, width, min_side, margin)
    if face.landmarks is not None:
        return frame(face.landmarks, height, width, min_side, margin)
    return frame_box(face.box, height, width, min_side, margin)
