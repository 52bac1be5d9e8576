"""What the figure scripts share: faces from files, pictures into files, errors in one sentence."""
import argparse
import contextlib
import sys
from pathlib import Path
from typing import Iterator, List, Mapping, Tuple, Union

import cv2
import numpy as np
import torch
from basicsr.utils import img2tensor, tensor2img
from torch import Tensor

from .data import open_image_source
from .data.face_images import FaceImages
from .errors import UserError
from .ops import bicubic_resize


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
        return cv2.cvtColor(self.source.read(self.index[name]), cv2.COLOR_RGB2BGR)

    def __iter__(self) -> Iterator[str]:
        return iter(self.index)

    def __len__(self) -> int:
        return len(self.index)


def resize(image: np.ndarray, side: int) -> np.ndarray:
    """Bicubic to ``side`` x ``side``, rounded to 8 bits; (H, W, 3) uint8 BGR in and out."""
    return tensor2img(bicubic_resize(img2tensor(image.astype(np.float32) / 255), side))


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


@contextlib.contextmanager
def one_sentence_errors() -> Iterator[None]:
    """End the script with status 1 and the message of what was wrong with a file or a folder."""
    try:
        yield
    except (ValueError, OSError) as error:  # UserError is a ValueError; data and checkpoints raise both
        sys.exit(f'error: {error}')
