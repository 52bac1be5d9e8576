"""One encoded image in, the bytes that an LMDB holds out: checked, resized and encoded again where needed."""

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from ..data.decoding import CorruptImageError, check_header, decode_image, to_srgb
from ..data.face_images import is_square, to_face
from ..files import encode_image

_KEPT_FORMATS = ('JPEG', 'MPO', 'PNG', 'WEBP')  # MPO: a JPEG of a phone, followed by further pictures
_ORIENTATION = 0x0112  # EXIF tag; 1: as stored


@dataclass(frozen=True)
class Recipe:
    """How images are stored.

    Without ``size`` and with encode 'keep', JPEG, PNG and WebP files of plain 8-bit RGB keep their bytes. What readers
    could understand differently (grey, palette, alpha, 16 bits, CMYK, EXIF rotation, a colour profile other than sRGB)
    and the other formats become PNG, holding what our data sets make of them. So every reader, whichever way it reads,
    sees 8-bit images of three channels, the same ones.

    Args:
        size: side of the square that every image becomes, by the antialiased bicubic kernel, clamped and rounded to 8
            bits; None keeps the sizes. Images not square (sides apart by more than 5 % and one pixel) are refused.
        enlarge: whether images smaller than ``size`` are enlarged instead of refused.
        encode: 'keep', 'png' or 'jpeg'. 'keep' writes PNG where bytes cannot be kept.
        png_level: PNG compression, 0 to 9.
        quality: JPEG quality, 1 to 100.

    Raises:
        ValueError: a value outside these ranges.
    """

    size: int | None = None
    enlarge: bool = False
    encode: str = 'keep'
    png_level: int = 1  # BasicSR's
    quality: int = 95

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise ValueError(f'size must be a whole number of pixels above 0, got {self.size}.')
        if self.encode not in ('keep', 'png', 'jpeg'):
            raise ValueError(f"encode must be keep, png or jpeg, got '{self.encode}'.")
        if not 0 <= self.png_level <= 9:
            raise ValueError(f'png_level must be from 0 (large, fast) to 9 (small, slow), got {self.png_level}.')
        if not 1 <= self.quality <= 100:
            raise ValueError(f'quality must be from 1 to 100, got {self.quality}.')


@dataclass(frozen=True)
class StoredImage:
    """``data``: the encoded image of ``height`` x ``width`` and three channels; ``level``: the last number of its line
    in meta_info.txt, the PNG level where this package encoded it and otherwise BasicSR's usual 1."""

    data: bytes
    height: int
    width: int
    level: int


def recode(data: bytes, path: str, recipe: Recipe) -> StoredImage:
    """Check one encoded image, decoding it, and make it what ``recipe`` says. ``path`` names it in the error.

    Torch should be on one thread here, see ``face_images.one_thread``.

    Raises:
        CorruptImageError: broken, animated, of too many pixels, or not of a size that the recipe allows.
    """
    plain = _is_plain(check_header(data, path), data)
    image = decode_image(data, path)
    height, width = image.shape[:2]
    if recipe.size is not None:
        if not is_square(height, width):
            raise CorruptImageError(path, f'it is {width}x{height}, not square: crop it to the face')
        if min(height, width) < recipe.size and not recipe.enlarge:
            raise CorruptImageError(
                path, f'it is {width}x{height}, smaller than {recipe.size}, and is not enlarged without --enlarge'
            )
        if (height, width) != (recipe.size, recipe.size):
            face = to_face(image, recipe.size).mul_(255).round_().byte()
            image, plain = face.flip(0).permute(1, 2, 0).contiguous().numpy(), False
    if recipe.encode == 'keep' and plain:
        return StoredImage(data, height, width, 1)
    if recipe.encode == 'jpeg':
        encoded, level = _encode(image, path, '.jpg', [cv2.IMWRITE_JPEG_QUALITY, recipe.quality]), 1
    else:
        encoded, level = _encode(image, path, '.png', [cv2.IMWRITE_PNG_COMPRESSION, recipe.png_level]), recipe.png_level
    return StoredImage(encoded, *image.shape[:2], level)


def _encode(image: np.ndarray, path: str, extension: str, parameters: list[int]) -> bytes:
    try:
        return encode_image(image, extension, parameters)
    except ValueError as error:  # a JPEG has at most 65,535 pixels a side
        raise CorruptImageError(path, str(error)) from error


def _is_plain(header: Image.Image, data: bytes) -> bool:
    """Whether every reader sees the same in an image, so that its bytes may be kept."""
    if header.format not in _KEPT_FORMATS or header.mode != 'RGB' or 'transparency' in header.info:
        return False
    if header.format == 'PNG' and data[24] != 8:  # IHDR's bit depth; Pillow shows 16-bit RGB as RGB
        return False
    if to_srgb(header.info.get('icc_profile') or b'', 'RGB') is not None:
        return False
    try:
        return header.getexif().get(_ORIENTATION, 1) == 1
    except Exception:  # broken EXIF data: readers may disagree on it
        return False
