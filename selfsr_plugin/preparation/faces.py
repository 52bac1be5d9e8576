"""What detection and annotation files give, and what cutting refuses."""

from dataclasses import dataclass

import numpy as np

# The order of the five landmarks everywhere; left and right in the picture.
LANDMARKS = ('left_eye', 'right_eye', 'nose', 'left_mouth', 'right_mouth')


class Refused(Exception):
    """A photo or a face cannot be used; the message says why."""


@dataclass(frozen=True)
class Face:
    """One face in a photo, in pixels of the photo.

    Attributes:
        box: left, top, right, bottom; None where an annotation file gives landmarks only.
        landmarks: (5, 2) float64, (x, y) in the order of ``LANDMARKS``; None where it gives a box only.
        score: certainty of the detector in [0, 1]; None for annotated faces.
        flaw: why an annotation file says that this is no usable face; empty if it does not.
        points: (68, 2) or (194, 2), all the landmarks that an annotation file gives; None where it gives fewer.
    """

    box: tuple[float, float, float, float] | None
    landmarks: np.ndarray | None
    score: float | None = None
    flaw: str = ''
    points: np.ndarray | None = None
