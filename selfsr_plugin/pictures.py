"""Pictures of scripts and commands: faces from files, sheets of images under column titles, pictures into files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from . import files
from .data.face_images import FaceImages
from .data.image_source import CorruptImageError, open_image_source
from .errors import UserError
from .ops import resize_array, to_uint8

_GAP = 4
_TITLE_HEIGHT = 24


def read_faces(root: str | Path, side: int, count: int, problems: list[str], called: str = '--lq') -> Tensor:
    """The first ``count`` usable faces of a folder or LMDB, resized (bicubic) to ``side``.

    Args:
        root: folder or LMDB.
        side: pixels.
        count: fewer come where there are not so many.
        problems: gets '<path>: <reason>' for each face on the way that cannot be used.
        called: the option of the command line that gives ``root``.

    Returns:
        Tensor (N, 3, side, side), RGB, [0, 1].

    Raises:
        UserError: none can be used.
    """
    faces = FaceImages({'dataroot_lq': root}, 'dataroot_lq', side, called)
    chosen: list[Tensor] = []
    for index in range(len(faces)):
        if len(chosen) == count:
            break
        try:
            chosen.append(faces.read(index))
        except CorruptImageError as error:
            problems.append(str(error))
    if not chosen:
        raise UserError(f'none of the {len(faces)} images in {faces.root} can be used: {problems[0]}')
    return torch.stack(chosen)


class Images(Mapping[str, np.ndarray]):
    """The images of a folder or LMDB by name without extension, each (H, W, 3) uint8 BGR, read when asked for."""

    def __init__(self, root: str | Path) -> None:
        self.source = open_image_source(root)
        self.index = {name: number for number, name in enumerate(self.source.names)}

    def __getitem__(self, name: str) -> np.ndarray:
        return self.source.read(self.index[name])

    def __contains__(self, name: object) -> bool:  # Mapping's own would read the image
        return name in self.index

    def __iter__(self) -> Iterator[str]:
        return iter(self.index)

    def __len__(self) -> int:
        return len(self.index)


def resize(image: np.ndarray, side: int) -> np.ndarray:
    """Bicubic to ``side`` x ``side``, rounded to 8 bits; (H, W, 3) uint8 BGR in and out."""
    return to_uint8(resize_array(image, side))


def check_output(output: Path, folders: Iterable[str | Path | None]) -> None:
    """Refuse, before the work, a name that is none of a picture, and a folder that faces are read from, where the
    picture may replace one, or be read as one.

    Args:
        output: the picture that ``--output`` names.
        folders: folders or LMDBs that are read; None for what is not given.

    Raises:
        UserError: naming the file or the folder.
    """
    files.check_picture_name(output)
    for folder in folders:
        if folder is not None and output.resolve().parent == Path(folder).resolve():
            raise UserError(
                f'--output {files.printable(output)} lies in {files.printable(folder)}, whose images are read: '
                'give another folder.'
            )


def write_picture(path: str | Path, image: np.ndarray, problems: Sequence[str] = ()) -> None:
    """Write a picture and say where; then name the images that are not in it.

    Raises:
        UserError: it cannot be written, or there are ``problems``.
    """
    files.write_image(path, image)
    print(f'{files.printable(path)}: {image.shape[1]}x{image.shape[0]}')
    if problems:
        raise UserError(
            f'{len(problems)} images could not be used and are not in {files.printable(path)}: {"; ".join(problems)}'
        )


def draw_sheet(
    rows: Sequence[Sequence[np.ndarray]],
    titles: Sequence[str],
    tile: int = 128,
    blocks: int = 1,
    captions: Sequence[str] | None = None,
) -> np.ndarray:
    """Draw images in rows, magnified to one size without smoothing, so that every pixel shows as it is.

    Args:
        rows: images (H, W, 3) uint8, BGR; one for each title in every row.
        titles: column titles.
        tile: side of the drawn images in pixels.
        blocks: rows stand side by side in this many blocks, to keep a long sheet in shape.
        captions: a line of text below each row.

    Returns:
        (H, W, 3) uint8, BGR, on white.

    Raises:
        ValueError: a row does not have one image for each title, or there is not one caption for each row.
    """
    if any(len(row) != len(titles) for row in rows):
        raise ValueError(f'every row needs {len(titles)} images, one for each of {list(titles)}.')
    if captions is not None and len(captions) != len(rows):
        raise ValueError(f'{len(rows)} rows have {len(captions)} captions.')
    step, deep = tile + _GAP, -(-len(rows) // blocks)
    row_step = step + (_TITLE_HEIGHT if captions else 0)
    block_width = len(titles) * step + 3 * _GAP
    sheet = np.full((_TITLE_HEIGHT + deep * row_step, blocks * block_width - 3 * _GAP, 3), 255, np.uint8)
    for block in range(min(blocks, -(-len(rows) // max(deep, 1)))):
        for column, title in enumerate(titles):
            _write(sheet, title, block * block_width + column * step, _TITLE_HEIGHT, tile)
    for number, row in enumerate(rows):
        left, top = number // deep * block_width, _TITLE_HEIGHT + number % deep * row_step
        if captions:
            _write(sheet, captions[number], left, top + tile + _TITLE_HEIGHT, len(titles) * step)
        for image in row:
            sheet[top : top + tile, left : left + tile] = cv2.resize(
                image, (tile, tile), interpolation=cv2.INTER_NEAREST
            )
            left += step
    return sheet


def _write(sheet: np.ndarray, text: str, left: int, bottom: int, width: int) -> None:
    text = files.printable(text)  # OpenCV 5 ends the process with SIGSEGV where a text is not UTF-8
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.45
    while cv2.getTextSize(text, font, size, 1)[0][0] > width - 2 and size > 0.2:
        size -= 0.02
    cv2.putText(sheet, text, (left + 1, bottom - 8), font, size, (0, 0, 0), 1, cv2.LINE_AA)
