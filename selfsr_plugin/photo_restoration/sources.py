"""Which photos a command line means: photos, folders with their subfolders, LMDBs; and what each result is called."""

import mimetypes
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data.decoding import CorruptImageError
from ..data.image_source import left_out, open_image_source
from ..errors import UserError
from ..files import printable
from ..preparation.photos import find_photos, kinds_of
from .photo_file import EXTENSIONS


@dataclass(frozen=True)
class Source:
    """One photo.

    Attributes:
        name: its path below the folder that was given, with '/'; of an LMDB its key.
        shown: how messages call it.
        read: gives the file's content; CorruptImageError if it cannot be read.
    """

    name: str
    shown: str
    read: Callable[[], bytes]


def find_sources(inputs: Sequence[Path]) -> tuple[list[Source], str]:
    """The photos of ``--input``, in the order given, those of a folder sorted; and what in folders is none, or ''.

    Raises:
        UserError: a folder without photos, or two photos of one name.
    """
    sources: list[Source] = []
    others: Counter = Counter()
    for root in inputs:
        if root.is_dir() and (root.name.endswith('.lmdb') or os.path.exists(root / 'data.mdb')):
            images = open_image_source(root)
            sources += [
                Source(name, images.path(index), lambda images=images, index=index: images.read_bytes(index))
                for index, name in enumerate(images.names)
            ]
        elif root.is_dir():
            photos, rest = find_photos(root)
            others += kinds_of(rest)
            sources += [_file(root / photo, photo) for photo in photos]
        else:
            sources.append(_file(root, root.name))
    twice = [name for name, uses in Counter(source.name for source in sources).items() if uses > 1]
    if twice:
        raise UserError(
            f'--input: {len(twice)} photos have the name of another, the first {printable(twice[0])}, which it would '
            'replace in --output: give the folder of their folders, or each an --output of its own.'
        )
    return sources, left_out(others)


def _file(path: Path, name: str) -> Source:
    def read() -> bytes:
        if (mimetypes.guess_type(path.name)[0] or '').startswith('video/'):
            raise CorruptImageError(printable(path), 'it is a video: save its frames as pictures and give those')
        try:
            return path.read_bytes()
        except OSError as error:
            raise CorruptImageError(printable(path), f'it cannot be read ({error.strerror})') from error

    return Source(name, printable(path), read)


def check_output(inputs: Sequence[Path], output: Path) -> None:
    """Refuse an output folder in which photos would be replaced, or results be taken for photos the next time.

    Raises:
        UserError: naming it.
    """
    for root in inputs:
        real, folder = output.resolve(), root.resolve()
        if root.is_dir() and (real == folder or folder in real.parents):
            raise UserError(
                f'--output {printable(output)} lies in --input, where photos would be replaced, or restored ones be '
                'taken for further photos: name a folder elsewhere.'
            )
        if not root.is_dir() and real == folder.parent:
            raise UserError(
                f'--output {printable(output)} is the folder of {printable(root)}, which would be replaced: name '
                'another.'
            )
        if real == folder:
            raise UserError(f'--output {printable(output)} is the photo itself, which would be replaced: name another.')


class OutputNames:
    """What results are called: as their photos, with the extension of what they are, and never two alike."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._uses = Counter(_stem(source.name).lower() for source in sources)

    def __call__(self, source: Source, kind: str) -> str:
        """The path below the output folder, with '/', of the result in the format ``kind``, of ``EXTENSIONS``."""
        if os.path.splitext(source.name)[1].lower() in EXTENSIONS[kind]:
            return source.name
        shared = self._uses[_stem(source.name).lower()] > 1
        return (source.name if shared else _stem(source.name)) + EXTENSIONS[kind][0]


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]
