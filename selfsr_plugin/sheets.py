"""Picture sheets: rows of images under column titles."""
from typing import Optional, Sequence

import cv2
import numpy as np

_GAP = 4
_TITLE_HEIGHT = 24


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
