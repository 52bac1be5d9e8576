"""Photos in a folder: which there are, what their crops are called, and their pixels."""

import hashlib
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np

from ..data.decoding import CorruptImageError, check_header, decode_image, readable_extensions
from ..data.image_source import left_out, list_files
from ..errors import UserError
from ..files import printable

from .faces import Refused


def find_photos(root: Path) -> tuple[list[str], list[str]]:
    """The photos in a folder and below it, and the other files, as paths from ``root`` with '/', sorted.

    Hidden files and folders are passed over; links to folders are followed, and no folder is read twice.

    Raises:
        UserError: no such folder, or there is no photo in it.
    """
    if not root.is_dir():
        raise UserError(
            f'--input: there is no file or folder {printable(root)}; give the folder that holds the photos.'
        )
    photos, others = [], []
    try:
        for file in list_files(str(root), recursive=True):
            is_photo = os.path.splitext(file)[1].lower() in readable_extensions()
            (photos if is_photo else others).append(file.replace(os.sep, '/'))
    except OSError as error:
        raise UserError(f'--input: {printable(error.filename)} cannot be read ({error.strerror}).') from error
    if not photos:
        but = f', only {left_out(kinds_of(others))}' if others else ''
        raise UserError(f'--input: {printable(root)} holds no photos ({", ".join(readable_extensions())}){but}.')
    return sorted(photos), sorted(others)


def kinds_of(files: list[str]) -> Counter:
    """How many files there are by their extension in small letters."""
    return Counter(os.path.splitext(file)[1].lower() for file in files)


def crop_stems(photos: list[str]) -> dict[str, str]:
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
    """The pixels of a photo as :func:`selfsr_plugin.data.decoding.decode_image` gives them: (H, W, 3) uint8, BGR, sRGB.

    Raises:
        Refused: unreadable, empty, cut short, not an image, animated, or too many pixels.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refused(f'it cannot be read ({error.strerror})') from error
    try:
        check_header(data, '')
        return decode_image(data, '')
    except CorruptImageError as error:
        raise Refused(error.args[1]) from error
