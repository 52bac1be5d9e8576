"""Faces that a data set's own annotation file gives, instead of a detector."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files import printable

from .faces import Face

_CELEBA_HEADER = (
    'lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y'
).split()
_POINTS = (68, 194)  # of a CSV
_FEWEST = 5  # points of a face
_WIDER_INVALID = 7  # x y w h blur expression illumination invalid occlusion pose


def read_annotations(path: Path) -> dict[str, list[Face]]:
    """The faces of every photo in CelebA's ``list_landmarks_align_celeba.txt``, WIDER's ``*_bbx_gt.txt``, or a CSV.

    The file's first lines tell which it is. CelebA gives landmarks, WIDER boxes; WIDER's faces marked invalid get a
    flaw. A CSV has a line for each face: the photo, and x and y of 68 or 194 points in turn; the first line may be a
    header. Of 68 points five landmarks are known.

    Returns:
        by photo as the file names it (WIDER's with a folder and '/').

    Raises:
        UserError: the file is missing or does not follow either layout, with the line.
    """
    try:
        lines = path.read_text(encoding='utf-8-sig').splitlines()  # spreadsheets begin their CSV with a mark
    except OSError as error:
        raise UserError(f'--annotations: {printable(path)} cannot be read ({error.strerror}): correct it.') from error
    except UnicodeDecodeError as error:
        raise UserError(f'--annotations: {printable(path)} is not UTF-8 text: save it as UTF-8.') from error
    refuse_other_separators(path, lines)
    read = _read_celeba if len(lines) > 1 and lines[1].split() == _CELEBA_HEADER else _read_wider
    read = _read_points if lines and lines[0].count(',') >= 2 * min(_POINTS) else read
    try:
        faces = dict(read(lines))
    except _BadLine as bad:
        raise UserError(
            f"--annotations: line {bad.args[0]} of {printable(path)} is not as in CelebA's "
            "list_landmarks_align_celeba.txt, WIDER FACE's wider_face_*_bbx_gt.txt or a CSV of landmarks: "
            f'{bad.args[1]}.'
        ) from None
    if not faces:
        raise UserError(f'--annotations: {printable(path)} lists no photos.')
    return faces


def refuse_other_separators(path: Path, lines: Sequence[str]) -> None:
    """Raises UserError of a table whose values are not separated by commas, as spreadsheets of many countries save."""
    for mark, called in ((';', 'semicolons'), ('\t', 'tabs')):
        if lines and lines[0].count(mark) >= 2 * _FEWEST:
            raise UserError(
                f'--annotations: the values of {printable(path)} are separated by {called}: save it with commas, and '
                'numbers with points.'
            )


class _BadLine(Exception):
    """Line number (from 1) and what is wrong."""


def _read_celeba(lines: list[str]) -> Iterator[tuple[str, list[Face]]]:
    for number, line in enumerate(lines[2:], 3):
        if line.strip():
            name, *values = line.split()
            points = np.array(_numbers(values, 10, number), dtype=np.float64).reshape(5, 2)
            yield name, [Face(box=None, landmarks=points)]


def _read_points(lines: list[str]) -> Iterator[tuple[str, list[Face]]]:
    faces: dict[str, list[Face]] = {}
    for number, line in enumerate(lines, 1):
        name, *values = next(csv.reader([line]), [''])
        if not name or number == 1 and not re.fullmatch(r'\s*-?[\d.]+\s*', values[0]):
            continue
        points = np.array(_numbers(values, 136 if len(values) == 136 else 388, number)).reshape(-1, 2)
        five = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
        face = Face(box=None, landmarks=five if len(points) == 68 else None, points=points)
        faces.setdefault(name.strip(), []).append(face)
    yield from faces.items()


def _read_wider(lines: list[str]) -> Iterator[tuple[str, list[Face]]]:
    position = 0
    while position < len(lines):
        name = lines[position].strip()
        position += 1
        if not name:
            continue
        if position == len(lines) or not lines[position].strip().isdigit():
            raise _BadLine(position + 1, f'the number of faces of {printable(name)[:60]} is missing')
        count = int(lines[position])
        rows = range(position + 1, position + 1 + max(count, 1))  # a photo without faces has one line of zeros
        if rows.stop > len(lines):
            raise _BadLine(len(lines), f'{name} has {count} faces, and the file ends before')
        faces = [_wider_face(_numbers(lines[row].split(), 10, row + 1)) for row in rows]
        yield name, faces if count else []
        position = rows.stop


def _wider_face(values: list[float]) -> Face:
    left, top, width, height = values[:4]
    flaw = ''
    if width <= 0 or height <= 0:
        flaw = f'the annotated box is {width:g} by {height:g} pixels'
    elif values[_WIDER_INVALID]:
        flaw = 'it is annotated as invalid'
    return Face(box=(left, top, left + width, top + height), landmarks=None, flaw=flaw)


def _numbers(values: list[str], count: int, number: int) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        numbers = []
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise _BadLine(number, f'{count} numbers expected')
    return numbers
