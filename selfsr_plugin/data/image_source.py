"""Images by number from a plain folder or from an LMDB in BasicSR's layout; the reader need not know which."""
import os
import re
import threading
from abc import ABC, abstractmethod
from collections import Counter
from typing import Dict, Iterator, List, Mapping

import cv2
import lmdb
import numpy as np

from ..files import printable

IMAGE_EXTENSIONS = ('.png', '.jpg', '.jpeg', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm')


class CorruptImageError(ValueError):
    """One image cannot be used. ``str()`` gives '<path>: <reason>'."""

    def __init__(self, path: str, reason: str = '') -> None:
        super().__init__(path, reason)  # both in args, so that it pickles

    def __str__(self) -> str:
        return ': '.join(part for part in self.args if part)


class ImageSource(ABC):
    """Images under one root, sorted by name. Pickles and survives a fork, so it serves DataLoader workers.

    Attributes:
        root: the folder as the user wrote it, printable.
        names: BasicSR's keys, one per image: the file name without its extension.
        passed_over: how many files were left out by their extension ('.txt': 2); none of an LMDB.
    """
    root: str
    names: List[str]
    passed_over: Mapping[str, int] = {}

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> np.ndarray:
        """Image number ``index``, uint8 (H, W, 3), BGR.

        OpenCV's colour reading: grey becomes three channels, alpha is dropped, 16 bits become 8, EXIF rotation is
        applied.

        Raises:
            CorruptImageError: missing, unreadable, empty, cut short or not an image.
        """
        return decode_image(self.read_bytes(index), self.path(index))

    @abstractmethod
    def path(self, index: int) -> str:
        """A printable path; its base name without the extension is ``names[index]`` (an LMDB's is root/name.png)."""

    @abstractmethod
    def read_bytes(self, index: int) -> bytes:
        """The encoded image, or CorruptImageError."""

    @abstractmethod
    def stamp(self, index: int) -> List[int]:
        """[size in bytes, time of change in ns] of the file that holds the image; OSError if there is none."""


def open_image_source(root: str, recursive: bool = False) -> ImageSource:
    """Open a folder of images, or an LMDB: a folder whose name ends with ``.lmdb`` or that contains ``data.mdb``.

    Folders are read flat, as BasicSR's data sets read them, or with ``recursive`` with all folders in them; a name is
    then 'folder/name', as in BasicSR's LMDBs of such folders. Hidden files and folders, and files that are no images,
    are passed over.

    Raises:
        FileNotFoundError: the folder, or a part of the LMDB, does not exist.
        PermissionError: it may not be read.
        ValueError: no images, two images of one name, or a broken LMDB. Each sentence names the folder and a remedy.
    """
    root = os.path.expanduser(os.fspath(root))
    root = root.rstrip(os.sep) or os.sep
    if os.path.isfile(root):
        raise FileNotFoundError(f'{printable(root)} is a file: give the folder that holds the images, or an LMDB.')
    if not os.path.isdir(root):
        raise FileNotFoundError(f'the folder {printable(root)} does not exist (looked from {os.getcwd()}): '
                                'correct the path.')
    is_lmdb = root.endswith('.lmdb') or os.path.exists(os.path.join(root, 'data.mdb'))
    try:
        return _LmdbSource(root) if is_lmdb else _FolderSource(root, recursive)
    except PermissionError as error:
        raise PermissionError(f'{printable(error.filename)} may not be read by this user: change its permissions or '
                              'its owner.') from error


class _FolderSource(ImageSource):
    def __init__(self, root: str, recursive: bool) -> None:
        self._root, self.root = root, printable(root)
        files: Dict[str, str] = {}
        self.passed_over = Counter()
        folders = 0
        for file in _list_files(root, recursive):
            if file.endswith(os.sep):
                folders += 1
                continue
            stem, extension = os.path.splitext(file)
            if extension.lower() not in IMAGE_EXTENSIONS:
                self.passed_over[extension.lower()] += 1
                continue
            name = stem.replace(os.sep, '/')
            if name in files:
                raise ValueError(f'{self.root} holds both {printable(files[name])} and {printable(file)}, and a name '
                                 'without its extension must stand for one image: remove or rename one of them.')
            files[name] = file
        if not files:
            hint = ('it holds only subfolders, which are not searched: give one of them, or move the images up'
                    if folders and not self.passed_over and not recursive else
                    f'put images there ({", ".join(IMAGE_EXTENSIONS)}) or correct the path')
            raise ValueError(f'there are no images in the folder {self.root}: {hint}.')
        self.names = sorted(files)
        self._files = [files[name] for name in self.names]

    def path(self, index: int) -> str:
        return printable(os.path.join(self._root, self._files[index]))

    def read_bytes(self, index: int) -> bytes:
        try:
            with open(os.path.join(self._root, self._files[index]), 'rb') as file:
                return file.read()
        except OSError as error:
            raise CorruptImageError(self.path(index), f'it cannot be read ({error.strerror})') from error

    def stamp(self, index: int) -> List[int]:
        return _stamp(os.path.join(self._root, self._files[index]))


def _list_files(root: str, recursive: bool) -> Iterator[str]:
    """Files below ``root`` in a fixed order, relative to it; folders that are not searched end with a separator.

    Links to folders are followed, but no folder is read twice, so that a link to a folder above ends.
    """
    searched = {os.path.realpath(root)}
    waiting = ['']
    while waiting:
        inner = waiting.pop()
        with os.scandir(os.path.join(root, inner)) as entries:
            # a link that leads nowhere counts as a file, so that it is named when it is read and not lost silently
            found = sorted((entry.name, entry.is_dir(), entry.is_file() or entry.is_symlink()) for entry in entries)
        for name, is_dir, is_file in found:
            if name.startswith('.'):
                continue
            path = os.path.join(inner, name)
            if is_dir and not recursive:
                yield path + os.sep
            elif is_file and not is_dir:
                yield path
            elif is_dir and os.path.realpath(os.path.join(root, path)) not in searched:
                searched.add(os.path.realpath(os.path.join(root, path)))
                waiting.append(path)


def _stamp(path: str) -> List[int]:
    state = os.stat(path)
    return [state.st_size, state.st_mtime_ns]


class _LmdbSource(ImageSource):
    def __init__(self, root: str) -> None:
        self._root, self.root = root, printable(root)
        self._real_path = os.path.realpath(root)  # once: it costs a tenth of reading an image
        for part in ('data.mdb', 'meta_info.txt'):
            if not os.path.isfile(os.path.join(root, part)):
                raise FileNotFoundError(f'the LMDB {self.root} has no {part}, so it was not finished or not copied '
                                        'whole: make it again.')
        with open(os.path.join(root, 'meta_info.txt'), encoding='utf-8', errors='surrogateescape') as lines:
            self.names = sorted(self._key(line) for line in lines if line.strip())
        if not self.names:
            raise ValueError(f'there are no images in the LMDB {self.root}: its meta_info.txt is empty; make it again.')
        for name, following in zip(self.names, self.names[1:]):
            if name == following:
                raise ValueError(f"meta_info.txt of the LMDB {self.root} lists '{printable(name)}' twice: "
                                 'make it again from files of different names.')
        entries = _environment(self._real_path, self.root).stat()['entries']
        if entries < len(self.names):
            raise ValueError(f'the LMDB {self.root} lists {len(self.names)} images in meta_info.txt and holds '
                             f'{entries}, so it was not finished: make it again.')

    def _key(self, line: str) -> str:
        """The LMDB key of a line '<name>.png (<h>,<w>,<c>) <compression>' of meta_info.txt.

        BasicSR's makers store the whole name as the key, its readers cut it at the first dot. They agree unless the
        name has a dot of its own: then what is really stored decides.
        """
        name = os.path.splitext(_LMDB_LINE.match(line.rstrip()).group('file'))[0]
        cut = name.split('.')[0]
        if cut != name:
            with _environment(self._real_path, self.root).begin() as transaction:
                if transaction.get(lmdb_key(name)) is None and transaction.get(lmdb_key(cut)) is not None:
                    return cut
        return name

    def path(self, index: int) -> str:
        return printable(os.path.join(self._root, self.names[index] + '.png'))

    def read_bytes(self, index: int) -> bytes:
        try:
            with _environment(self._real_path, self.root).begin() as transaction:
                data = transaction.get(lmdb_key(self.names[index]))
        except lmdb.Error as error:
            raise CorruptImageError(self.path(index), f'the LMDB cannot be read ({error})') from error
        if data is None:
            raise CorruptImageError(self.path(index), 'meta_info.txt lists it, but it is not in the LMDB')
        return data

    def stamp(self, index: int) -> List[int]:
        return _stamp(os.path.join(self._root, 'data.mdb'))


_LMDB_LINE = re.compile(r'(?P<file>.+?)(?:\s+\([\d, ]*\)(?:\s+\d+)?)?$')

# lmdb>=2 refuses to open one environment twice in a process, and an environment must not be used after a fork. So all
# sources on one LMDB share one environment per process, and a forked child drops those that it inherited. They live
# here and not in the sources, which therefore pickle.
_ENVIRONMENTS: Dict[str, lmdb.Environment] = {}
_OPENING = threading.Lock()


def _environment(real_path: str, shown: str) -> lmdb.Environment:
    """The one environment of this LMDB in this process; errors call it ``shown``."""
    environment = _ENVIRONMENTS.get(real_path)
    if environment is None:
        with _OPENING:
            environment = _ENVIRONMENTS.get(real_path)
            if environment is None:
                environment = _ENVIRONMENTS[real_path] = _open_environment(real_path, shown)
    return environment


def _open_environment(real_path: str, shown: str) -> lmdb.Environment:
    remedy = 'make it again, or copy it again if it was copied'
    try:
        environment = lmdb.open(real_path, readonly=True, lock=False, readahead=False)
    except lmdb.Error as error:
        if 'already open' in str(error):
            raise ValueError(f'the LMDB {shown} is held open by other code in this process, and lmdb opens '
                             'it only once: use a folder, or a copy, for one of the two.') from error
        raise ValueError(f'the LMDB {shown} cannot be opened ({error}): {remedy}.') from error
    # The file is mapped into memory: reading beyond its end would kill the process with SIGBUS, without a word.
    expected = (environment.info()['last_pgno'] + 1) * environment.stat()['psize']
    size = os.path.getsize(os.path.join(real_path, 'data.mdb'))
    if size < expected:
        environment.close()
        raise ValueError(f'data.mdb of the LMDB {shown} is cut short ({size} of {expected} bytes): '
                         f'{remedy}.')
    return environment


def close_environments() -> None:
    """Close every LMDB that this process has open; sources open theirs again at the next read."""
    while _ENVIRONMENTS:
        _ENVIRONMENTS.popitem()[1].close()


def _after_fork() -> None:
    global _OPENING
    _OPENING = threading.Lock()  # another thread of the parent may have held it
    close_environments()  # closes the child's copies; the parent's stay open


if hasattr(os, 'register_at_fork'):  # absent on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)


def decode_image(data: bytes, path: str) -> np.ndarray:
    """An encoded image as :meth:`ImageSource.read` gives it; ``path`` names it in the CorruptImageError."""
    if not data:
        raise CorruptImageError(path, 'it is empty (0 bytes)')
    if _jpeg_is_cut(data):
        raise CorruptImageError(path, 'the JPEG data is cut short')
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise CorruptImageError(path, f'OpenCV refuses it ({" ".join(str(error.err).split())})') from error
    if image is None:
        raise CorruptImageError(path, 'it is cut short or not an image that OpenCV can read')
    return image


def _jpeg_is_cut(data: bytes) -> bool:
    """Whether a JPEG stream lacks the end marker after its scan. OpenCV 4 fills such an image with grey, silently."""
    position = 2
    while data[:2] == b'\xff\xd8' and position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xDA:  # start of scan: from here on FF D9 can only be the end marker
            return data.rfind(b'\xff\xd9', position) < 0
        position += 1 if marker == 0xFF else 2 + int.from_bytes(data[position + 2:position + 4], 'big')
    return False  # no JPEG, or no scan in it: the decoder's to judge


def lmdb_key(name: str) -> bytes:
    return name.encode('utf-8', 'surrogateescape')
