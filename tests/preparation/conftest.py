"""A painted photo and a detector that finds the faces painted into it, so that no weights are needed."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import selfsr_plugin  # noqa: F401  before any test imports basicsr
from selfsr_plugin.preparation.faces import Face
from selfsr_plugin.preparation.framing import TEMPLATE


def landmarks(left, top, side, angle=0.0):
    """The template in a square, turned by ``angle`` degrees about the square's middle."""
    turn = np.exp(1j * np.radians(angle))
    points = (TEMPLATE @ [1, 1j] - 0.5 - 0.5j) * turn * side + left + side / 2 + 1j * (top + side / 2)
    return np.stack([points.real, points.imag], 1)


def face(left, top, side, score=0.95):
    points = landmarks(left, top, side)
    return Face(
        box=(left + 0.2 * side, top + 0.1 * side, left + 0.8 * side, top + 0.95 * side), landmarks=points, score=score
    )


def photo(seed=0, height=200, width=240):
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def write(path: Path, image=None, extension=None, params=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = photo() if image is None else image
    path.write_bytes(cv2.imencode(extension or path.suffix, image, list(params))[1].tobytes())
    return path


def two_faces(image, threshold):
    """A detector: two faces in every photo, of 64 and 40 pixels."""
    return [face(20, 30, 64), face(120, 90, 40, 0.85)]


@pytest.fixture(scope='session')
def kit():
    return SimpleNamespace(landmarks=landmarks, face=face, photo=photo, write=write, two_faces=two_faces)
