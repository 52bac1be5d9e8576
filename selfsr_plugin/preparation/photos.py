"""Photos in a folder: which there are, what their crops are called, and their pixels."""
import hashlib
import io
import os
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from selfsr_plugin.data.image_source import IMAGE_EXTENSIONS, CorruptImageError, decode_image
from selfsr_plugin.errors import UserError

from .faces import Refused

MAX_PIXELS = 2 * 89_478_485  # Pillow's limit; so many pixels take 0.5 GB


def find_photos(root: Path) -> Tuple[List[str], List[str]]:
    """The photos in a folder and below it, and the other files, as paths from ``root`` with '/', sorted.

    Hidden files and folders are passed over; links to folders are not followed, since they may run in circles.

    Raises:
        UserError: no such folder, or there is no photo in it.
    """
    if not root.is_dir():
        raise UserError(f'--input: there is no folder {root}; give the folder that holds the photos.')

    def fail(error: OSError) -> None:
        raise UserError(f'--input: {error.filename} cannot be read ({error.strerror}).') from error

    photos, others = [], []
    for folder, folders, files in os.walk(root, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith('.')]
        for name in files:
            if not name.startswith('.'):
                path = Path(folder, name).relative_to(root).as_posix()
                (photos if os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS else others).append(path)
    if not photos:
        raise UserError(f'--input: {root} holds no photos ({", ".join(IMAGE_EXTENSIONS)}).')
    return sorted(photos), sorted(others)


def crop_stems(photos: List[str]) -> Dict[str, str]:
    """What the crops of each photo are called, before their number: plain ASCII without dots, and never twice.

    BasicSR reads folders flat, cuts keys of an LMDB at the first dot and encodes them as ASCII. So folders are joined
    with '_', and what is not a letter, digit, '-' or '_' becomes '_'. Where two photos would then share a name, also
    on a file system that does not tell capitals from small letters, both get a part of the hash of their path.
    """
    plain = {photo: re.sub(r'[^A-Za-z0-9_-]', '_', os.path.splitext(photo)[0])[:150] for photo in photos}
    uses = Counter(stem.lower() for stem in plain.values())

    def unique(photo: str) -> str:
        if uses[plain[photo].lower()] == 1:
            return plain[photo]
        return f'{plain[photo]}-{hashlib.sha256(os.fsencode(photo)).hexdigest()[:12]}'

    return {photo: unique(photo) for photo in photos}


def read_photo(path: Path) -> np.ndarray:
    """The pixels of a photo, (H, W, 3) uint8, BGR, turned as its EXIF data say.

    Grey, 16 bits, CMYK and alpha are converted, as when training (the pixels below transparency are kept).

    Raises:
        Refused: unreadable, empty, cut short, not an image, animated, or more than ``MAX_PIXELS``.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refused(f'it cannot be read ({error.strerror})') from error
    _check_header(data)
    try:
        return decode_image(data, '')
    except CorruptImageError as error:
        raise Refused(error.args[1]) from error


def _check_header(data: bytes) -> None:
    """Refuse what must not be decoded. Pillow reads the header alone."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                # a phone's MPO file is a JPEG with extra pictures behind it
                frames = 1 if image.format == 'MPO' else getattr(image, 'n_frames', 1)
    except Image.DecompressionBombError as error:
        raise Refused(f'it claims more than {MAX_PIXELS // 10**6} million pixels') from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError):
        return  # OpenCV's to judge, it says what is wrong
    if frames > 1:
        raise Refused(f'it holds {frames} pictures (an animation or pages): save the one you want as a file of its own')
