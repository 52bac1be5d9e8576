"""Pictures of scripts and commands: faces from files, sheets of images under column titles, pictures into files."""
import argparse
from pathlib import Path
from typing import Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import cv2
import numpy as np
import torch
from torch import Tensor

from .data import open_image_source
from .data.face_images import FaceImages
from .errors import UserError
from .ops import resize_array, to_uint8

_GAP = 4
_TITLE_HEIGHT = 24


def read_faces(root: str, side: int, count: int) -> Tuple[Tensor, List[str]]:
    """The first ``count`` faces of a folder or LMDB, resized (bicubic) to ``side``, and their names.

    Returns:
        Tensor (N, 3, side, side), RGB, [0, 1]; N names.
    """
    faces = FaceImages({'dataroot_lq': root}, 'dataroot_lq', side)
    chosen = range(min(count, len(faces)))
    return torch.stack([faces.read(index) for index in chosen]), [faces.names[index] for index in chosen]


class Images(Mapping[str, np.ndarray]):
    """The images of a folder or LMDB by name without extension, each (H, W, 3) uint8 BGR, read when asked for."""

    def __init__(self, root: str) -> None:
        self.source = open_image_source(root)
        self.index = {name: number for number, name in enumerate(self.source.names)}

    def __getitem__(self, name: str) -> np.ndarray:
        return self.source.read(self.index[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.index)

    def __len__(self) -> int:
        return len(self.index)


def resize(image: np.ndarray, side: int) -> np.ndarray:
    """Bicubic to ``side`` x ``side``, rounded to 8 bits; (H, W, 3) uint8 BGR in and out."""
    return to_uint8(resize_array(image, side))


def write_image(path: Union[str, Path], image: np.ndarray) -> None:
    """Write a picture and say where; folders are made.

    Raises:
        UserError: it cannot be written, or the name has no extension that OpenCV knows.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(path), image)
    except (OSError, cv2.error):
        written = False
    if not written:
        raise UserError(f'{path} cannot be written: give a name ending in .png in a folder that may be written to.')
    print(f'{path}: {image.shape[1]}x{image.shape[0]}')


def positive(text: str) -> int:
    """A whole number of at least 1, as a type for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{number} must be 1 or more')
    return number


def draw_sheet(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], tile: int = 128, blocks: int = 1,
               captions: Optional[Sequence[str]] = None) -> np.ndarray:
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
            sheet[top:top + tile, left:left + tile] = cv2.resize(image, (tile, tile), interpolation=cv2.INTER_NEAREST)
            left += step
    return sheet


def _write(sheet: np.ndarray, text: str, left: int, bottom: int, width: int) -> None:
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.45
    while cv2.getTextSize(text, font, size, 1)[0][0] > width - 2 and size > 0.2:
        size -= 0.02
    cv2.putText(sheet, text, (left + 1, bottom - 8), font, size, (0, 0, 0), 1, cv2.LINE_AA)
