"""Landmarks of faces: the file that holds them, how they are mirrored, and the heatmaps that networks learn from.

The file is a CSV with a line for each face::

    name,width,height,grey,x1,y1,x2,y2,...
    000001,128,128,97.4,41.2,55.0,84.9,54.1,...

``name`` is that of the image without its extension, as data sets know it; width, height and grey (the mean of all its
values, 0 to 255) are the image's, by which landmarks of other faces are told. Coordinates are pixels, counted from the
middle of the first one, and empty for a face in which nothing was found. How many points there are, 5, 68 or 194, tells
which: the eyes, the nose and the corners of the mouth; iBUG's 68; Helen's 194. Left and right are those of the picture.
"""

import codecs
import contextlib
import csv
import io
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor

from ..data.decoding import CorruptImageError
from ..errors import UserError
from ..files import cannot_write, printable, write_file

COUNTS = (5, 68, 194)
_HEADER = ['name', 'width', 'height', 'grey']
_MAKE = 'make it with python -m selfsr_plugin.make_landmarks'
COMPARED = 10  # faces that are held against what the file of landmarks says of them
_GREY = 2.0  # of 255: an image that was stored again, as a JPEG perhaps, differs by less

# Which point of the face is seen where point i was, once the picture is mirrored.
_MIRRORED = {
    5: [1, 0, 2, 4, 3],
    68: [
        *range(16, -1, -1),  # jaw
        *range(26, 16, -1),  # brows
        *range(27, 31),  # bridge of the nose
        *range(35, 30, -1),  # below the nose
        *(45, 44, 43, 42, 47, 46),  # eyes
        *(39, 38, 37, 36, 41, 40),
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),  # outline of the mouth
        *(64, 63, 62, 61, 60, 67, 66, 65),  # its inner edge
    ],
}


@dataclass(frozen=True)
class FaceLandmarks:
    """The landmarks of one image.

    Attributes:
        width, height: of the image, in pixels.
        grey: mean of all values of the image, 0 to 255.
        points: (P, 2) float32, (x, y) in pixels counted from the middle of the first; None where none were found.
    """

    width: int
    height: int
    grey: float
    points: np.ndarray | None

    @property
    def shares(self) -> np.ndarray:
        """The points as shares of the image's sides, (P, 2) float32: whatever size it is resized to, they stay."""
        return (self.points + 0.5) / np.array([self.width, self.height], np.float32)


def mean_grey(image: np.ndarray) -> float:
    """The mean of all values of an image (H, W, 3) uint8."""
    return float(image.mean())


def refuse_other_faces(
    faces: Mapping[str, FaceLandmarks], images: Any, used: Sequence[int], read: Callable[[int], np.ndarray], said: str
) -> None:
    """Look at some images whether landmarks are of them: the same photos cut otherwise have the same names.

    Args:
        faces: what a file says of the images, by name.
        images: has ``names`` and ``path``: an image source or a data set's images.
        used: numbers of the images to look at, all of which ``faces`` has.
        read: gives image (H, W, 3) uint8 of a number; one that it cannot read is passed over.
        said: the file, with the option that names it.

    Raises:
        UserError: an image has another size, or another mean.
    """
    for index in used[:: -(-len(used) // COMPARED) or 1]:
        face = faces[images.names[index]]
        try:
            image = read(index)
        except CorruptImageError:  # counted when its turn comes
            continue
        size, grey = image.shape[1::-1], mean_grey(image)
        if size != (face.width, face.height) or abs(grey - face.grey) > _GREY:
            raise UserError(
                f'{said} is of other faces: {images.path(index)} is {size[0]}x{size[1]} with a mean of {grey:.1f}, and '
                f'there it is {face.width}x{face.height} with {face.grey:.1f}; make them with python -m '
                'selfsr_plugin.make_landmarks for this folder.'
            )


def mirror(shares: np.ndarray) -> np.ndarray:
    """The landmarks of the mirrored picture: (P, 2) shares of the sides, left and right changed over.

    Raises:
        UserError: 194 points, of which no partners are known.
    """
    check_mirrors(len(shares))
    mirrored = shares[_MIRRORED[len(shares)]].copy()
    mirrored[:, 0] = 1 - mirrored[:, 0]
    return mirrored


def check_mirrors(count: int) -> None:
    """Raises UserError where it is not known which points change over when a picture is mirrored."""
    if count not in _MIRRORED:
        raise UserError(
            f'use_hflip: which of {count} landmarks change places in a mirrored picture is not known here, only of '
            f'{" and ".join(map(str, _MIRRORED))}: set it to false.'
        )


def heatmaps(shares: Tensor, size: int, sigma: float) -> Tensor:
    """A map with a bump of height 1 for each landmark: exp(-d^2 / (2 sigma^2)), d the distance in pixels of the map.

    Args:
        shares: (N, P, 2), (x, y) as shares of the image's sides, as the data set gives them.
        size: side of the maps.
        sigma: width of the bumps in pixels of the maps.

    Returns:
        Tensor (N, P, size, size).
    """
    pixels = torch.arange(size, device=shares.device, dtype=shares.dtype) + 0.5
    bumps = (-((pixels - shares[..., None] * size) ** 2) / (2 * sigma**2)).exp()  # (N, P, 2, size)
    return bumps[..., 1, :, None] * bumps[..., 0, None, :]


# ----- the file -----


def write_landmarks(path: str | os.PathLike, faces: Mapping[str, FaceLandmarks], count: int) -> None:
    """Write the file whole or not at all.

    Args:
        path: of the CSV.
        faces: by names of images.
        count: points of each face that has any.

    Raises:
        UserError: it cannot be written.
    """
    text = io.StringIO()
    lines = csv.writer(text, lineterminator='\n')
    lines.writerow([*_HEADER, *(f'{axis}{number}' for number in range(1, count + 1) for axis in 'xy')])
    for name, face in faces.items():
        points = [''] * 2 * count if face.points is None else [f'{value:.2f}' for value in face.points.ravel()]
        lines.writerow([name, face.width, face.height, f'{face.grey:.2f}', *points])
    try:
        write_file(path, text.getvalue().encode('utf-8', 'surrogateescape'))
    except OSError as error:
        raise cannot_write(path, error) from error


def read_landmarks(path: str | os.PathLike) -> dict[str, FaceLandmarks]:
    """The landmarks of a file, by names of images.

    Raises:
        UserError: naming the file and the line, when it is not of this layout, or points lie far outside their image.
    """
    faces: dict[str, FaceLandmarks] = {}
    with _opened(path) as file:
        count = _count_in_header(file, path)
        rows = csv.reader(file)
        for row in rows:
            problem = _add(faces, row, count) if row else ''
            if problem:
                raise UserError(f'line {rows.line_num + 1} of {printable(path)}: {problem}; {_MAKE}.')
    if not faces:
        raise UserError(f'{printable(path)} holds no faces: {_MAKE}.')
    return faces


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[TextIO]:
    try:
        with open(Path(path).expanduser(), encoding='utf-8-sig', errors='surrogateescape', newline='') as file:
            yield file
    except OSError as error:
        raise UserError(f'the landmarks {printable(path)} cannot be read ({error.strerror}): {_MAKE}.') from error
    except csv.Error as error:
        raise UserError(f'{printable(path)} is no CSV file ({error}): {_MAKE}.') from error


def _count_in_header(file: TextIO, path: str | os.PathLike) -> int:
    header = next(csv.reader([file.readline(1 << 16)]), [])  # some spreadsheets put all texts in quotes
    count = (len(header) - len(_HEADER)) // 2
    if header[: len(_HEADER)] != _HEADER or count not in COUNTS or len(header) != len(_HEADER) + 2 * count:
        raise UserError(
            f'{printable(path)} is no file of landmarks: its first line must be {",".join(_HEADER)},x1,y1,... with '
            f'{", ".join(map(str, COUNTS[:-1]))} or {COUNTS[-1]} points; {_MAKE}.'
        )
    return count


def _add(faces: dict[str, FaceLandmarks], row: Sequence[str], count: int) -> str:
    """Add a line to ``faces``; what is wrong with it, or ''."""
    name, values = row[0], row[1:]
    if len(values) != 3 + 2 * count:
        return f'it has {len(row)} values and the first line {4 + 2 * count}'
    if name in faces:
        return f'{printable(name)} stands there twice'
    empty = not any(values[3:])
    try:
        numbers = [float(value) for value in (values[:3] if empty else values)]
    except ValueError:
        return 'a value is no number'
    width, height, grey = numbers[:3]
    if not all(map(math.isfinite, numbers)) or width < 1 or height < 1 or width % 1 or height % 1:
        return 'a value is not possible'
    points = None if empty else np.array(numbers[3:], np.float32).reshape(count, 2)
    faces[name] = FaceLandmarks(int(width), int(height), grey, points)
    return beyond_image(name, faces[name])


def beyond_image(name: str, face: FaceLandmarks) -> str:
    """That landmarks cannot be of their image, as those of the photo that it was cut out of; or ''."""
    if face.points is None or (np.abs(face.points.mean(0) / (face.width, face.height) - 0.5) < 0.5).all():
        return ''
    return f'the middle of the landmarks of {printable(name)} lies outside its {face.width}x{face.height} image'


def count_of(faces: Mapping[str, FaceLandmarks]) -> int:
    """How many points a face has; 0 if there are none in any."""
    return next((len(face.points) for face in faces.values() if face.points is not None), 0)


def is_landmark_file(path: str | os.PathLike) -> bool:
    """Whether a file begins as :func:`write_landmarks` begins it."""
    with open(path, 'rb') as file:
        start = file.readline(1 << 10).removeprefix(codecs.BOM_UTF8).replace(b'"', b'')
    return start.startswith(','.join(_HEADER).encode() + b',')


def read_count(path: str | os.PathLike) -> int:
    """How many points each face of a file has, by its first line alone.

    Raises:
        UserError: as :func:`read_landmarks`.
    """
    with _opened(path) as file:
        return _count_in_header(file, path)
