"""Where a face is cut out: one framing for photos and crowds, so that HR and LR faces show the same part of a head.

(A third framing, ``dic``, is that of the faces of Table I, for figures that are to be held against published ones.)

Both framings show the same part of a face: ``square`` stays parallel to the photo and resamples nothing, ``align`` also
turns the face upright. docs/framing.png shows the two. A square that leaves the photo is filled up by mirroring, so
that all crops of a set are framed alike.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from .faces import Face, Refused

# Medians over 105 faces of LFW in its usual face crop, measured with the same detector: the two eyes are 0.273 and the
# eyes and the mouth 0.301 of the side apart, and the point between eyes and mouth lies 0.61 of the side down.
# Adding the two distances keeps the side steady when a head turns (eyes closer) or nods (mouth closer).
SIDE_PER_DISTANCE = 1 / (0.273 + 0.301)
FACE_X, FACE_Y = 0.5, 0.61

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

    def beyond(self, height: int, width: int) -> tuple[int, int, int, int]:
        """How many pixels of it lie left of, above, right of and below a photo of this size."""
        return (
            max(-self.left, 0),
            max(-self.top, 0),
            max(self.left + self.side - width, 0),
            max(self.top + self.side - height, 0),
        )

    def cut(self, photo: np.ndarray) -> np.ndarray:
        """(H, W, 3) -> (side, side, 3), a view where it lies inside; mirrored beyond the photo's edges."""
        left, top, right, bottom = self.beyond(*photo.shape[:2])
        inner = photo[self.top + top : self.top + self.side - bottom, self.left + left : self.left + self.side - right]
        if inner.shape[:2] == (self.side, self.side):
            return inner
        return cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_REFLECT_101)


@dataclass(frozen=True)
class TurnedBox:
    """A square turned by ``angle`` degrees (clockwise as seen) about its centre, in pixels of the photo."""

    centre_x: float
    centre_y: float
    side: int
    angle: float

    def beyond(self, height: int, width: int) -> tuple[int, int, int, int]:
        """As :meth:`Box.beyond`, of its outermost corner, rounded up."""
        turn = complex(math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle)))
        corners = complex(self.centre_x, self.centre_y) + turn * self.side / 2 * np.array(
            [-1 - 1j, 1 - 1j, -1 + 1j, 1 + 1j]
        )
        edges = (-corners.real.min(), -corners.imag.min(), corners.real.max() - width, corners.imag.max() - height)
        return tuple(max(math.ceil(edge - 1e-6), 0) for edge in edges)

    def cut(self, photo: np.ndarray) -> np.ndarray:
        """(H, W, 3) -> (side, side, 3): cubic interpolation at the photo's scale; mirrored beyond its edges."""
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        middle = (self.side - 1) / 2
        x, y = self.centre_x - 0.5, self.centre_y - 0.5  # OpenCV counts from the middle of the first pixel
        to_photo = np.array([[cos, -sin, x - cos * middle + sin * middle], [sin, cos, y - sin * middle - cos * middle]])
        return cv2.warpAffine(  # the bicubic kernel of ops turns nothing
            photo,
            to_photo,
            (self.side, self.side),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )


@dataclass(frozen=True)
class ClippedBox:
    """A rectangle within a photo, in whole pixels: a square, or what the photo has of it."""

    left: int
    top: int
    width: int
    height: int

    @property
    def side(self) -> int:
        """The shorter side."""
        return min(self.width, self.height)

    def beyond(self, height: int, width: int) -> tuple[int, int, int, int]:
        """As :meth:`Box.beyond`: nothing."""
        return (0, 0, 0, 0)

    def cut(self, photo: np.ndarray) -> np.ndarray:
        """(H, W, 3) -> (height, width, 3), a view."""
        return photo[self.top : self.top + self.height, self.left : self.left + self.width]


Frame = Box | TurnedBox | ClippedBox


def frame(
    landmarks: np.ndarray,
    height: int,
    width: int,
    min_side: int,
    margin: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Box:
    """The square around a face.

    Args:
        landmarks: (5, 2): the eyes, the nose, the corners of the mouth, as (x, y).
        height, width: of the photo.
        min_side: the square must have at least this side, in pixels.
        margin: more around the face on each of the four sides, as a share of the square without it; less if negative.
        shift: how far the square is moved right and down, in the same shares; the face then lies further left and up.

    Raises:
        Refused: too few pixels, the edge of the photo cuts the face, or it is so close that an eye, the nose or the
            mouth would be seen twice, mirrored, in the square without margin. In a margin they may be.
    """
    place = _face_place(landmarks)
    _check_border(_place(*place), landmarks, height, width)
    return _large_enough(_place(*place, margin, shift), min_side)


def square_around(landmarks: np.ndarray) -> Box:
    """The square of :func:`frame`, without margin and shift, of any size and wherever the photo ends."""
    return _place(*_face_place(landmarks))


def frame_box(
    face_box: tuple[float, float, float, float],
    height: int,
    width: int,
    min_side: int,
    margin: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Box:
    """:func:`frame` for a face that has a box (left, top, right, bottom) and no landmarks. Raises: Refused."""
    left, top, right, bottom = face_box
    middle, side = np.array([(left + right) / 2, (top + bottom) / 2]), (bottom - top) / BOX_HEIGHT
    place = middle, side, (BOX_X, BOX_Y)
    _check_border(_place(*place), middle + (TEMPLATE - (BOX_X, BOX_Y)) * side, height, width)
    return _large_enough(_place(*place, margin, shift), min_side)


def frame_dic(points: np.ndarray, height: int, width: int, min_side: int) -> ClippedBox:
    """The crop of DIC (Ma et al., CVPR 2020), as its authors give it (Deep-Iterative-Collaboration, issue 28).

    The square in the middle of the box of all landmarks that has its shorter side, enlarged by 0.3. At the left and the
    upper edge of the photo it is moved in, at the others cut off; what is not square then is squeezed to one.

    Args:
        points: (68, 2) or (194, 2), (x, y) in pixels of the photo.
        height, width: of the photo.
        min_side: least number of pixels of the shorter side.

    Raises:
        Refused: too few pixels, or the landmarks lie beyond the photo.
    """
    left, top, right, bottom = (int(edge) for edge in (*points.min(0), *points.max(0)))
    side = min(right - left, bottom - top)
    left, top = left + (right - left - side) / 2, top + (bottom - top - side) / 2
    more = int(side * 0.3 / 2)
    left, top = int(max(0, left - more)), int(max(0, top - more))
    box = ClippedBox(left, top, min(side + 2 * more, width - left), min(side + 2 * more, height - top))
    if box.side < 1:
        raise Refused('the landmarks lie beyond the photo')
    return _large_enough(box, min_side)


def align(
    landmarks: np.ndarray,
    height: int,
    width: int,
    min_side: int,
    margin: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> TurnedBox:
    """The turned square whose landmarks come closest to ``TEMPLATE``, by least-squares similarity. As :func:`frame`."""
    points, template = (pair[:, 0] + 1j * pair[:, 1] for pair in (landmarks, TEMPLATE))
    centred = template - template.mean()
    turn = np.vdot(centred, points - points.mean()) / np.vdot(centred, centred)  # scale and rotation in one number
    angle = math.degrees(math.atan2(turn.imag, turn.real))

    def place(margin: float, shift: tuple[float, float]) -> TurnedBox:
        centre = points.mean() + turn * (0.5 + 0.5j - template.mean() + complex(*shift))
        return TurnedBox(float(centre.real), float(centre.imag), round(abs(turn) * (1 + 2 * margin)), angle)

    _check_border(place(0.0, (0.0, 0.0)), landmarks, height, width)
    return _large_enough(place(margin, shift), min_side)


def _face_place(landmarks: np.ndarray) -> tuple[np.ndarray, float, tuple[float, float]]:
    """The middle of eyes and mouth, the side of the square, and where in it that middle lies."""
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    distance = np.linalg.norm(landmarks[1] - landmarks[0]) + np.linalg.norm(mouth - eyes)
    return (eyes + mouth) / 2, distance * SIDE_PER_DISTANCE, (FACE_X, FACE_Y)


def _place(
    point: np.ndarray,
    side: float,
    shares: tuple[float, float],
    margin: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Box:
    """The square of which ``point`` lies at the shares, counted without margin and shift."""
    grown = 1 + 2 * margin
    whole = round(side * grown)
    left, top = (at - (share + margin - moved) / grown * whole for at, share, moved in zip(point, shares, shift))
    return Box(round(left), round(top), whole)


def _large_enough(box: Frame, min_side: int) -> Frame:
    if box.side < min_side:
        raise Refused(f'the face fills {box.side} pixels only, at least {min_side} needed')
    return box


def _check_border(box: Box | TurnedBox, landmarks: np.ndarray, height: int, width: int) -> None:
    room = np.array([*landmarks.min(0), *((width, height) - landmarks.max(0))])
    if room.min() < 0:
        raise Refused('the edge of the photo cuts the face')
    if (
        np.array(box.beyond(height, width)) > room
    ).any():  # what is nearer to an edge than this is mirrored into the crop
        raise Refused(
            'the face is so close to the edge of the photo that the mirrored part would show some of it again'
        )


def frame_face(
    face: Face,
    framing: str,
    height: int,
    width: int,
    min_side: int,
    margin: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Frame:
    """The frame of a face by the name of the framing, 'square', 'similarity' or 'dic'. Raises: Refused."""
    if face.flaw:
        raise Refused(face.flaw)
    if framing == 'dic':
        return frame_dic(face.points, height, width, min_side)
    if framing == 'similarity':
        return align(face.landmarks, height, width, min_side, margin, shift)
    if face.landmarks is not None:
        return frame(face.landmarks, height, width, min_side, margin, shift)
    return frame_box(face.box, height, width, min_side, margin, shift)
