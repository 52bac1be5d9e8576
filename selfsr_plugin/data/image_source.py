"""Images by number from a plain folder or from an LMDB in BasicSR's layout; the reader need not know which."""

import mimetypes
import os
import re
import threading
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import lmdb
import numpy as np

from ..errors import UserError
from ..files import printable
from .decoding import HEIC_EXTENSIONS, CorruptImageError, decode_image, readable_extensions


class ImageSource(ABC):
    """Images under one root, sorted by name. Pickles and survives a fork, so it serves DataLoader workers.

    Attributes:
        root: the folder as the user wrote it, printable.
        names: BasicSR's keys, one per image: the file name without its extension.
        passed_over: how many files were left out by their extension ('.txt': 2); none of an LMDB.
        folders: how many folders in it were not searched; none of an LMDB.
        unlisted: how many entries of an LMDB its meta_info.txt does not name; none of a folder.
    """

    root: str
    names: list[str]
    passed_over: Mapping[str, int] = {}
    folders: int = 0
    unlisted: int = 0

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> np.ndarray:
        """Image number ``index`` as :func:`decode_image` gives it: uint8 (H, W, 3), BGR, in sRGB.

        Raises:
            CorruptImageError: missing, unreadable, or what :func:`decode_image` refuses.
        """
        return decode_image(self.read_bytes(index), self.path(index))

    @abstractmethod
    def path(self, index: int) -> str:
        """A printable path; its base name without the extension is ``names[index]`` (an LMDB's is root/name.png)."""

    @abstractmethod
    def read_bytes(self, index: int) -> bytes:
        """The encoded image, or CorruptImageError."""

    @abstractmethod
    def stamp(self, index: int) -> list[int]:
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
        raise FileNotFoundError(
            f'the folder {printable(root)} does not exist (looked from {os.getcwd()}): correct the path.'
        )
    is_lmdb = root.endswith('.lmdb') or os.path.exists(os.path.join(root, 'data.mdb'))
    try:
        return _LmdbSource(root) if is_lmdb else _FolderSource(root, recursive)
    except PermissionError as error:
        raise PermissionError(
            f'{printable(error.filename)} may not be read by this user: change its permissions or its owner.'
        ) from error


class _FolderSource(ImageSource):
    def __init__(self, root: str, recursive: bool) -> None:
        self._root, self.root = root, printable(root)
        files: dict[str, str] = {}
        self.passed_over = Counter()
        for file in list_files(root, recursive):
            if file.endswith(os.sep):
                self.folders += 1
                continue
            stem, extension = os.path.splitext(file)
            if extension.lower() not in readable_extensions():
                self.passed_over[extension.lower()] += 1
                continue
            name = stem.replace(os.sep, '/')
            if name in files:
                raise UserError(
                    f'{self.root} holds both {printable(files[name])} and {printable(file)}, and a name '
                    'without its extension must stand for one image: remove or rename one of them.'
                )
            files[name] = file
        if not files:
            hint = (
                'it holds only subfolders, which are not searched: give one of them, or move the images up'
                if self.folders and not self.passed_over
                else 'the folders in it are not searched: give one of them, or move the images up'
                if self.folders
                else f'put images there ({", ".join(readable_extensions())}) or correct the path'
            )
            but = f', only {left_out(self.passed_over)}' if self.passed_over else ''
            raise UserError(f'there are no images in the folder {self.root}{but}: {hint}.')
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

    def stamp(self, index: int) -> list[int]:
        return _stamp(os.path.join(self._root, self._files[index]))


def left_out(passed_over: Mapping[str, int], folders: int = 0, unlisted: int = 0) -> str:
    """What of a folder or an LMDB is not read and why, as a part of a sentence, or ''."""
    parts = []
    if passed_over:
        kinds = ', '.join(f'{kind or "none"} {count}' for kind, count in sorted(passed_over.items()))
        remedy = '; HEIC is read after pip install pillow-heif' if set(passed_over) & set(HEIC_EXTENSIONS) else ''
        parts.append(f'files with other extensions ({kinds}{remedy})')
    if folders:
        parts.append(f'folders in it ({folders}), which are not searched')
    if unlisted:
        parts.append(f'entries that its meta_info.txt does not name ({unlisted}): copy it again, if it was cut short')
    return ' and '.join(parts)


def spelt_alike(here: Iterable[str], there: Iterable[str]) -> str:
    """What to add where names that have no partner look the same: accents are letters of their own in the names of
    macOS (NFD) and not in others'; or ''."""
    looks = [{unicodedata.normalize('NFC', name) for name in names} for names in (here, there)]
    alike = sorted(looks[0] & looks[1])
    return (
        f' ({printable(alike[0])} is in both, its accents written in other bytes, as macOS does: rename one of the two)'
        if alike
        else ''
    )


def may_hold_pictures(passed_over: Mapping[str, int], folders: int = 0) -> bool:
    """Whether what is left out looks as if it had been meant: pictures of other kinds, files without extension."""
    return bool(folders) or any(
        not kind or kind in HEIC_EXTENSIONS or (mimetypes.guess_type(f'x{kind}')[0] or '').startswith('image/')
        for kind in passed_over
    )


def list_files(root: str, recursive: bool) -> Iterator[str]:
    """Files below ``root`` in a fixed order, relative to it; folders that are not searched end with a separator.

    Links to folders are followed, but no folder is read twice, so that a link to a folder above ends.
    """
    searched = {os.path.realpath(root)}
    waiting = ['']
    while waiting:
        inner = waiting.pop()
        with os.scandir(os.path.join(root, inner)) as entries:
            # a link that leads nowhere counts as a file, so that it is named when it is read and not lost silently
            found = sorted((entry.name, _is_dir(entry), entry.is_symlink() or entry.is_file()) for entry in entries)
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


def _is_dir(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, or to where this user may not look
        return False


def _stamp(path: str) -> list[int]:
    state = os.stat(path)
    return [state.st_size, state.st_mtime_ns]


class _LmdbSource(ImageSource):
    def __init__(self, root: str) -> None:
        self._root, self.root = root, printable(root)
        self._real_path = os.path.realpath(root)  # once: it costs a tenth of reading an image
        parts = ('data.mdb', 'meta_info.txt')
        if not any(os.path.exists(os.path.join(root, part)) for part in parts):
            raise FileNotFoundError(
                f'{self.root} is named like an LMDB and holds no {" and no ".join(parts)}: give a folder of images '
                'another name, without .lmdb; make an LMDB again.'
            )
        for part in parts:
            if not os.path.isfile(os.path.join(root, part)):
                raise FileNotFoundError(
                    f'the LMDB {self.root} has no {part}, so it was not finished or not copied whole: make it again.'
                )
        with open(os.path.join(root, 'meta_info.txt'), encoding='utf-8-sig', errors='surrogateescape') as lines:
            self.names = sorted(self._key(line) for line in lines if line.strip())
        for name in self.names:
            if not name or len(lmdb_key(name)) > _MAX_KEY or name.startswith('/') or '..' in name.split('/'):
                raise UserError(
                    f"meta_info.txt of the LMDB {self.root} lists '{printable(name)[:60]}', which cannot be the "
                    'name of an image in it: make it again.'
                )
        if not self.names:
            raise UserError(f'there are no images in the LMDB {self.root}: its meta_info.txt is empty; make it again.')
        for name, following in zip(self.names, self.names[1:]):
            if name == following:
                raise UserError(
                    f"meta_info.txt of the LMDB {self.root} lists '{printable(name)}' twice: "
                    'make it again from files of different names.'
                )
        entries = _environment(self._real_path, self.root).stat()['entries']
        if entries < len(self.names):
            raise UserError(
                f'the LMDB {self.root} lists {len(self.names)} images in meta_info.txt and holds '
                f'{entries}, so it was not finished: make it again.'
            )
        self.unlisted = entries - len(self.names)

    def _key(self, line: str) -> str:
        """The LMDB key of a line '<name>.png (<h>,<w>,<c>) <compression>' of meta_info.txt.

        BasicSR's makers store the whole name as the key, its readers cut it at the first dot. They agree unless the
        name has a dot of its own: then what is really stored decides.
        """
        name = os.path.splitext(_LMDB_LINE.match(line.rstrip()).group('file'))[0]
        cut = name.split('.')[0]
        if cut not in (name, '') and len(lmdb_key(name)) <= _MAX_KEY:
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

    def stamp(self, index: int) -> list[int]:
        return _stamp(os.path.join(self._root, 'data.mdb'))


_MAX_KEY = 511  # bytes, of lmdb itself
_LMDB_LINE = re.compile(r'(?P<file>.+?)(?:\s+\([\d, ]*\)(?:\s+\d+)?)?$')

# lmdb>=2 refuses to open one environment twice in a process, and an environment must not be used after a fork. So all
# sources on one LMDB share one environment per process, and a forked child drops those that it inherited. They live
# here and not in the sources, which therefore pickle.
_ENVIRONMENTS: dict[str, lmdb.Environment] = {}
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
            raise UserError(
                f'the LMDB {shown} is held open by other code in this process, and lmdb opens '
                'it only once: use a folder, or a copy, for one of the two.'
            ) from error
        raise UserError(f'the LMDB {shown} cannot be opened ({error}): {remedy}.') from error
    # The file is mapped into memory: reading beyond its end would kill the process with SIGBUS, without a word.
    expected = (environment.info()['last_pgno'] + 1) * environment.stat()['psize']
    size = os.path.getsize(os.path.join(real_path, 'data.mdb'))
    if size < expected:
        environment.close()
        raise UserError(f'data.mdb of the LMDB {shown} is cut short ({size} of {expected} bytes): {remedy}.')
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


def lmdb_key(name: str) -> bytes:
    """The key of an image in an LMDB, the very bytes of its name on the disk."""
    return name.encode('utf-8', 'surrogateescape')
