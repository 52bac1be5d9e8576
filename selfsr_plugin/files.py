"""Files of users: paths they type, names of any bytes, files written whole or not at all, pictures.

Imports nothing that takes time: commands answer usage errors before OpenCV is loaded.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from .errors import REMEDIES, UserError

if TYPE_CHECKING:
    import numpy as np

SHIPPED_NETWORK = Path(__file__).parent / 'weights' / 'face_x4.safetensors'  # of loading.load without a path

_CONTROL = {code: f'\\x{code:02x}' for code in (*range(32), 127)} | {10: '\\n', 13: '\\r'}


def path(text: str) -> Path:
    """A path of a command line, as a type for argparse: shells leave the ``~`` of ``--output=~/faces`` as it is.

    Raises:
        argparse.ArgumentTypeError: an empty text, as of a shell variable that is not set; it would be the
            current folder.
    """
    if not text:
        raise argparse.ArgumentTypeError('it is empty: name a file or folder ("." for the current one)')
    return Path(os.path.expanduser(text))


def newest_instead(path: str | os.PathLike) -> str:
    """For a checkpoint ``net_<label>_*.pth`` that is not there: the newest of that network in its folder, or ''.

    Stage 1 of both leaves its last iteration, for one, and no ``net_deg_latest.pth``.
    """
    path = Path(path).expanduser()
    stem = re.match(r'(net_\w+?)_(\d+|latest)\.', path.name)
    pattern = stem and re.compile(re.escape(stem[1]) + r'_(\d+|latest)\.(pth|safetensors)')
    if not pattern or not path.parent.is_dir():
        return ''
    found = {name: match[1] for name in os.listdir(path.parent) if (match := pattern.fullmatch(name))}
    return max(found, key=lambda name: float('inf') if found[name] == 'latest' else int(found[name]), default='')


def no_checkpoint(path: str | os.PathLike) -> FileNotFoundError:
    """The error of a file of weights that is not there; it names the newest of its folder."""
    other = newest_instead(path)
    return FileNotFoundError(f'there is no checkpoint {printable(path)}{other and f"; its folder has {other}"}.')


def printable(name: str | os.PathLike) -> str:
    """A name or path on one line of text that can be printed, written to a file as UTF-8 and drawn.

    Bytes that are not UTF-8, which Python keeps as lone surrogates, and control characters are written as \\xNN.
    """
    return os.fspath(name).encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace').translate(_CONTROL)


@contextlib.contextmanager
def whole_file(path: str | os.PathLike, sync: bool = True) -> Iterator[BinaryIO]:
    """A file to write bytes to, which becomes ``path`` at the end of the block: it is there whole or as it was before.

    A process killed in between leaves at most a hidden file, which the next one that writes ``path`` replaces.

    Args:
        path: the file; its folder must exist.
        sync: whether the content and the new name must survive a power failure, too, which costs milliseconds.

    Raises:
        OSError: naming ``path``, whatever could not be done.
    """
    path = Path(path)
    # not the name itself with something added, which may be too long for the file system
    part = path.with_name(f'.{hashlib.blake2b(os.fsencode(path.name), digest_size=12).hexdigest()}.part')
    try:
        with contextlib.suppress(FileNotFoundError):  # of a killed process, or of one that writes the same now
            os.unlink(part)
        with open(part, 'xb') as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
            if not _is_at(file, part):
                raise OSError(errno.EBUSY, 'another process writes it at the same time')
        os.replace(part, path)
    except BaseException as error:
        if getattr(error, 'errno', None) != errno.EBUSY:  # then it is the other's
            with contextlib.suppress(OSError):
                part.unlink()
        if isinstance(error, OSError) and error.errno:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    if sync:
        sync_folder(path.parent)


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def write_file(path: str | os.PathLike, data: bytes, sync: bool = False) -> None:
    """:func:`whole_file` for what is in memory already."""
    with whole_file(path, sync) as file:
        file.write(data)


class OwnResults:
    """The results that a command has written into a folder: it replaces these when it runs again, and nothing else.

    A hidden file in the folder has a line for each, its digest and its name, written before the result itself; so a
    result that was changed, or a file that came from elsewhere, is told from what the command wrote.

    Args:
        folder: where the results go, at any depth; it is made with the first.
    """

    RECORD = '.selfsr_results'

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: set[str] = set()
        self._written: set[Path] = set()  # by this run, in which no result replaces another
        self._read()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the first run
            text = (self._folder / self.RECORD).read_bytes().decode('utf-8', 'surrogateescape')
            self._known.update(text.split('\n'))

    def refuse_foreign(self, path: Path) -> None:
        """Look whether ``path`` may be written.

        Raises:
            UserError: something is there that is no result of an earlier run as it was written, or this run has
                written it.
        """
        try:
            line = self._line(path, path.read_bytes()) if os.path.lexists(path) else None
            known = line is None or line in self._known
            if not known:
                self._read()  # another process may write there as well
                known = line in self._known
        except OSError:  # a folder, or not to be read
            known = False
        if not known:
            raise UserError(
                f'{printable(path)} is there already and no result of this command, so it is not replaced: move it, or '
                'give another --output.'
            )
        if path in self._written:
            raise UserError(
                f'{printable(path)} was written a moment ago for another image, and what this one gives has that name '
                'as well: rename one of the two images.'
            )

    def write(self, path: Path, data: bytes) -> None:
        """:func:`write_file`, its folder made, in place of an earlier result if there is one.

        Raises:
            UserError: as :meth:`refuse_foreign`.
            OSError: it cannot be written.
        """
        self.refuse_foreign(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        line = self._line(path, data)
        if line not in self._known:
            with open(self._folder / self.RECORD, 'ab') as record:
                # The line break first: a full disk may have cut off the line before.
                record.write(f'\n{line}'.encode('utf-8', 'surrogateescape'))
            self._known.add(line)
        write_file(path, data)
        self._written.add(path)

    def _line(self, path: Path, data: bytes) -> str:
        name = os.path.relpath(path, self._folder).replace('\n', '\\n')
        return f'{hashlib.blake2b(data, digest_size=16).hexdigest()} {name}'


def archive(path: str | os.PathLike) -> None:
    """Rename a file or folder that exists: ``runs/a`` to ``runs/a_archived_<time>``, ``a.json`` to
    ``a_archived_<time>.json``, with a number where that is taken."""
    path = os.fspath(path)
    if not os.path.lexists(path):  # a link that leads nowhere is in the way, too
        return
    stem, ending = os.path.splitext(path) if os.path.isfile(path) else (path, '')
    base = f'{stem}_archived_{time.strftime("%Y%m%d_%H%M%S")}'
    target, number = base + ending, 1
    while os.path.lexists(target):
        number += 1
        target = f'{base}_{number}{ending}'
    print(f'{printable(path)} exists; it is renamed to {printable(target)}', flush=True)
    os.rename(path, target)


def sync_folder(path: str | os.PathLike) -> None:
    """Bring new names in a folder to the disk."""
    with contextlib.suppress(OSError):  # Windows opens no folders
        descriptor = os.open(path or '.', os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def try_lock(file: IO, inherited: bool = False) -> bool:
    """Lock an open file against other processes until it is closed, which the end of the process does, however it ends.

    Args:
        file: open for writing.
        inherited: the lock belongs to the open file, so that forked processes hold it as well (``flock``). Without, it
            belongs to the process alone (``lockf``), which loses it by closing any other handle of the same file.

    Returns:
        False where nothing can be locked: on Windows, and on some network and user-space file systems. The caller
        warns and goes on.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: any other failure.
    """
    try:
        import fcntl
    except ImportError:
        return False
    try:
        (fcntl.flock if inherited else fcntl.lockf)(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            return False
        if error.errno == errno.EACCES:  # what some systems say for EAGAIN
            raise BlockingIOError(error.errno, error.strerror) from error
        raise
    return True


def refuse_lmdb_name(folder: Path) -> None:
    """Raises UserError where a folder of images is to be made under a name by which readers take it for an LMDB."""
    if folder.name.endswith('.lmdb'):
        raise UserError(
            f'--output: {printable(folder)} is to be a folder of images, and its name is that of an LMDB: leave .lmdb '
            'out, and make an LMDB of the folder by python -m selfsr_plugin.create_lmdb.'
        )


def check_writable(path: Path, picture: bool = False) -> None:
    """Look before the work whether a file can be written at its end; nothing is made.

    Args:
        path: the file; its folder must exist.
        picture: whether it is an image, of the format that its extension names.

    Raises:
        UserError: it cannot.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise cannot_write(path, error) from error
    if picture:
        check_picture_name(path)


def check_picture_name(path: Path) -> None:
    """Raises UserError where a picture cannot be written since its extension names no format."""
    import cv2

    if not path.suffix or not cv2.haveImageWriter(f'x{path.suffix}'):
        raise UserError(f'{printable(path)} names no format of pictures: give a name that ends in .png.')


def cannot_write(path: str | os.PathLike, error: OSError) -> UserError:
    """The sentence for a file that cannot be written, with the remedy that fits the reason."""
    remedy = REMEDIES.get(error.errno, 'make its folder writable or give another')
    return UserError(f'{printable(path)} cannot be written ({error.strerror or error}): {remedy}.')


def encode_image(image: np.ndarray, extension: str, parameters: Sequence[int] = ()) -> bytes:
    """The bytes of an image file.

    Args:
        image: (H, W, 3) uint8, BGR.
        extension: '.png', '.jpg' or another that OpenCV writes.
        parameters: OpenCV's, for example ``[cv2.IMWRITE_PNG_COMPRESSION, 9]``.

    Raises:
        ValueError: OpenCV has no such format, or it does not hold images of this size.
    """
    import cv2

    try:
        done, encoded = cv2.imencode(extension, image, list(parameters))
    except cv2.error:
        done = False
    if not done:
        raise ValueError(
            f'an image of {image.shape[1]}x{image.shape[0]} cannot be encoded as {extension or "no format"}'
        )
    return encoded.tobytes()


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write a picture whole or not at all; its folder is made.

    Not ``cv2.imwrite``: OpenCV 5 ends the process with SIGSEGV where a name is not UTF-8.

    Args:
        path: the extension gives the format.
        image: (H, W, 3) uint8, BGR.

    Raises:
        UserError: it cannot be written, or OpenCV knows no such extension.
    """
    path = Path(path)
    try:
        data = encode_image(image, path.suffix)
    except ValueError as error:
        raise UserError(f'{printable(path)} cannot be written, for {error}: give a name that ends in .png.') from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data)
    except OSError as error:
        raise cannot_write(path, error) from error
