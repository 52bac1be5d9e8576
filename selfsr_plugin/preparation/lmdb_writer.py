"""Writes LMDBs in BasicSR's layout: in a stream, so that they can be stopped anywhere and gone on with.

While it is written, ``NAME.lmdb`` lies in ``NAME.lmdb.partial``, which no reader takes for an LMDB:

    settings.json  the recipe
    journal.jsonl  one line per image dealt with, in the order of the keys: its shape, or why it was refused
    lmdb/          data.mdb and lock.mdb, and at the very end meta_info.txt; renamed to NAME.lmdb when it is whole

Images come in the order of their keys, and a batch's journal lines reach the disk before the batch itself. So what is
in the LMDB is always a beginning of what is in the journal, and the last key in it tells where to go on.
"""

import contextlib
import errno
import itertools
import json
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import lmdb
import torch
from tqdm import tqdm

from ..data.decoding import CorruptImageError
from ..data.face_images import one_thread
from ..data.image_source import ImageSource, lmdb_key
from ..errors import UserError
from ..files import cannot_write, printable, sync_folder, try_lock, whole_file
from .image_recode import Recipe, StoredImage, recode

# A batch is committed when it is as large or as old as this. Being killed loses no more than one batch.
COMMIT_BYTES = 16 << 20
COMMIT_SECONDS = 2.0
FIRST_MAP_SIZE = 64 << 20  # doubled whenever it is full
CHUNK = 4  # images per task of a thread


@dataclass(frozen=True)
class LmdbReport:
    """What became of the images. ``refused_list``: file with a line '<path>: <reason>' per refused image, or None.
    ``beyond_basicsr``: how many names hold a dot or a letter beyond ASCII, which BasicSR's readers cannot look up, and
    ``beyond_basicsr_example`` one of them, printable."""

    written: int
    refused: int
    refused_list: str | None
    beyond_basicsr: int
    beyond_basicsr_example: str


@dataclass(frozen=True)
class _Entry:
    """One image that has been dealt with; without ``stored`` it was refused for the reason ``refused``."""

    name: str
    stamp: list[int] | None
    stored: StoredImage | None
    refused: str = ''


def create_lmdb(
    source: ImageSource, output: str, recipe: Recipe = Recipe(), workers: int = 1, progress: bool = True
) -> LmdbReport:
    """Write the images of ``source`` into the LMDB ``output``, or go on with what an earlier call left unfinished.

    Every image is decoded; those that cannot be used are left out and listed in ``<output>.refused.txt``. The memory
    needed depends on the size of the images and on ``workers``, not on how many images there are (but for their names).

    Args:
        source: images from :func:`open_image_source`.
        output: path that ends with '.lmdb' and does not exist yet.
        recipe: how images are stored.
        workers: threads that read, decode and encode.
        progress: whether to draw a progress bar with rate and time left.

    Raises:
        UserError: ``output`` is wrong, exists or cannot be written; what is unfinished there was begun with another
            recipe or other images, or is being written by another process; or no image can be used. What has been
            written stays, and the same call goes on from there, also after KeyboardInterrupt or a killed process.
    """
    order = sorted(range(len(source)), key=lambda index: lmdb_key(source.names[index]))
    with one_thread(), _Unfinished(output, recipe) as unfinished:
        done = unfinished.find_done(source, order)
        with (
            tqdm(total=len(order), initial=done, unit='image', disable=not progress) as bar,
            contextlib.closing(_dealt_with(source, order[done:], recipe, workers)) as entries,
        ):
            try:
                for entry in entries:
                    unfinished.add(entry)
                    bar.update()
            except KeyboardInterrupt:
                unfinished.commit()
                raise
        return unfinished.finish(source.root)


def _dealt_with(source: ImageSource, indices: Sequence[int], recipe: Recipe, workers: int) -> Iterator[_Entry]:
    """The entries of the images, in order; a few are made in advance."""
    chunks = (indices[first : first + CHUNK] for first in range(0, len(indices), CHUNK))
    # Threads are enough: OpenCV and torch do their work outside Python's lock.
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        tasks = (pool.submit(_deal_with, source, chunk, recipe) for chunk in chunks)
        waiting = deque(itertools.islice(tasks, 2 * workers))
        while waiting:
            entries = waiting.popleft().result()
            waiting.extend(itertools.islice(tasks, 1))
            yield from entries


def _deal_with(source: ImageSource, indices: Sequence[int], recipe: Recipe) -> list[_Entry]:
    entries = []
    for index in indices:
        name, stamp = source.names[index], _stamp(source, index)  # before reading: a change after it must be noticed
        try:
            _check_name(name, source.path(index))
            stored = recode(source.read_bytes(index), source.path(index), recipe)
            entries.append(_Entry(name, stamp, stored))
        except CorruptImageError as error:
            entries.append(_Entry(name, stamp, None, str(error)))
    return entries


def _check_name(name: str, path: str) -> None:
    if len(lmdb_key(name)) > 511:
        raise CorruptImageError(path, 'its name is longer than the 511 bytes that an LMDB takes')
    if '\n' in name or '\r' in name:
        raise CorruptImageError(path, 'its name holds a line break, which would break meta_info.txt')


def _stamp(source: ImageSource, index: int) -> list[int] | None:
    try:
        return source.stamp(index)
    except OSError:
        return None


class _Unfinished:
    """``<output>.partial``; as a context, holds it open and locked. Methods raise UserError as in create_lmdb."""

    def __init__(self, output: str, recipe: Recipe) -> None:
        self._output = os.path.expanduser(output).rstrip(os.sep)
        self._folder = f'{self._output}.partial'
        self._lmdb = os.path.join(self._folder, 'lmdb')
        self._recipe = recipe
        self._done = 0
        self._batch: list[_Entry] = []
        self._batch_bytes = 0
        self._batch_begun = time.monotonic()
        self._journal_end = 0  # where the journal of what has been committed ends

    def __enter__(self) -> '_Unfinished':
        name = printable(self._output)
        if not self._output.endswith('.lmdb'):
            raise UserError(f"the output {name} must end with '.lmdb', or BasicSR's data sets refuse it.")
        if os.path.lexists(self._output):
            if os.path.isdir(self._folder) and not os.path.exists(self._lmdb):
                shutil.rmtree(self._folder, ignore_errors=True)
                raise UserError(f'{name} already exists and is whole: the run that made it was stopped after its end.')
            raise UserError(f'{name} already exists: remove it or give another output.')
        with contextlib.ExitStack() as stack:
            try:
                os.makedirs(self._lmdb, exist_ok=True)
                descriptor = os.open(os.path.join(self._folder, 'journal.jsonl'), os.O_RDWR | os.O_CREAT)
                self._journal = os.fdopen(descriptor, 'r+b')
                stack.callback(self._close_journal)
                self._lock()
                self._check_settings()
                self._environment = lmdb.open(self._lmdb, map_size=FIRST_MAP_SIZE, meminit=False)
            except OSError as error:
                raise cannot_write(self._output, error) from error
            except lmdb.DiskError as error:
                raise cannot_write(self._output, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) from error
            except lmdb.Error as error:
                raise self._damaged(str(error)) from error
            stack.callback(self._environment.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stack.close()

    def _close_journal(self) -> None:
        with contextlib.suppress(OSError):  # it may hold lines that a full disk did not take
            self._journal.close()

    def _lock(self) -> None:
        try:
            if not try_lock(self._journal, inherited=True):
                print(
                    f'warning: nothing can be locked where {printable(self._output)} is: make sure that no other '
                    'process writes it.',
                    file=sys.stderr,
                )
        except BlockingIOError:
            raise UserError(
                f'another process is writing {printable(self._output)}: let it finish or stop it.'
            ) from None

    def _check_settings(self) -> None:
        path = os.path.join(self._folder, 'settings.json')
        mine = asdict(self._recipe)
        if not os.path.exists(path):
            _write_lines(path, [json.dumps(mine)])
            return
        try:
            with open(path, encoding='utf-8') as file:
                theirs = json.load(file)
            changed = [f'{key} {theirs[key]}, not {value}' for key, value in mine.items() if theirs[key] != value]
        except (ValueError, LookupError, TypeError) as error:
            raise self._damaged('settings.json cannot be read') from error
        if changed:
            raise UserError(
                f'{printable(self._folder)} was begun with {" and ".join(changed)}: give the same options '
                'to go on, or remove it to start anew.'
            )

    def _damaged(self, what: str) -> UserError:
        return UserError(f'{printable(self._folder)} is damaged ({what}): remove it to start anew.')

    def find_done(self, source: ImageSource, order: Sequence[int]) -> int:
        """How many images of ``order`` have been dealt with before; they must be the same ones."""
        with self._environment.begin() as transaction, transaction.cursor() as cursor:
            last = bytes(cursor.key()) if cursor.last() else None
        written, found = 0, last is None
        self._journal.seek(0)
        while not found:
            line = self._journal.readline()
            entry = self._parse(line)
            index = order[self._done] if self._done < len(order) else None
            self._check_same(entry, source, index)
            self._done += 1
            written += 'refused' not in entry
            self._journal_end += len(line)
            found = lmdb_key(entry['name']) == last
        if written != self._environment.stat()['entries']:
            raise self._damaged('its journal does not match its images')
        return self._done

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            return json.loads(line)
        except ValueError as error:
            raise self._damaged('its journal ends before its images') from error

    def _check_same(self, entry: dict[str, Any], source: ImageSource, index: int | None) -> None:
        then, now = entry['name'], None if index is None else source.names[index]
        if now is None or lmdb_key(now) > lmdb_key(then):
            difference = f"'{printable(then)}' is gone"
        elif now != then:
            difference = f"'{printable(now)}' has come in"
        elif _stamp(source, index) != entry['stamp']:
            difference = f"'{printable(now)}' has changed"
        else:
            return
        raise UserError(
            f'{printable(self._folder)} was begun with other images than {source.root} holds now, '
            f'{difference}: put it back as it was to go on, or remove {printable(self._folder)} to start '
            'anew.'
        )

    def add(self, entry: _Entry) -> None:
        """Take the next image, in the order of the keys."""
        self._batch.append(entry)
        self._batch_bytes += len(entry.stored.data) if entry.stored else 0
        if self._batch_bytes >= COMMIT_BYTES or time.monotonic() - self._batch_begun >= COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Bring what was added to the disk. May be repeated when it was interrupted."""
        try:
            self._journal.seek(self._journal_end)
            self._journal.truncate()
            self._journal.writelines(_journal_line(entry) for entry in self._batch)
            self._journal.flush()
            os.fsync(self._journal.fileno())
            while not self._put_batch():
                self._environment.set_mapsize(2 * self._environment.info()['map_size'])
        except (OSError, lmdb.Error) as error:
            raise self._unwritable(error) from error
        self._journal_end = self._journal.tell()
        self._done += len(self._batch)
        self._batch, self._batch_bytes, self._batch_begun = [], 0, time.monotonic()

    def _put_batch(self) -> bool:
        """Whether the batch had room in the map."""
        try:
            with self._environment.begin(write=True) as transaction:
                for entry in self._batch:
                    if entry.stored:
                        transaction.put(lmdb_key(entry.name), entry.stored.data, append=True)
        except lmdb.MapFullError:
            return False
        return True

    def _unwritable(self, error: Exception) -> UserError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return UserError(
            f'{printable(self._folder)} cannot be written any further ({reason}); its first {self._done} '
            'images are safe: make room on its disk and run the same again to go on.'
        )

    def finish(self, source_name: str) -> LmdbReport:
        """Write meta_info.txt and give the LMDB its name. ``source_name`` is for the error when it holds nothing."""
        self.commit()
        self._environment.close()
        try:
            report = self._report()
            if report.written == 0:
                first = next(self._refusals())
                shutil.rmtree(self._folder, ignore_errors=True)
                raise UserError(
                    f'none of the {report.refused} images in {source_name} can be used, for example '
                    f'{first}; all reasons are in {printable(report.refused_list)}.'
                )
            _write_lines(
                os.path.join(self._lmdb, 'meta_info.txt'),
                (
                    '{name}.png ({shape[0]},{shape[1]},3) {level}'.format(**entry)
                    for entry in self._journal_entries()
                    if 'refused' not in entry
                ),
            )
            os.rename(self._lmdb, self._output)
            sync_folder(os.path.dirname(os.path.abspath(self._output)))
        except OSError as error:
            raise self._unwritable(error) from error
        shutil.rmtree(self._folder, ignore_errors=True)
        return report

    def _report(self) -> LmdbReport:
        """Count, and write or remove the list of what was refused."""
        written = refused = beyond = 0
        example = ''
        for entry in self._journal_entries():
            if 'refused' in entry:
                refused += 1
                continue
            written += 1
            if '.' in entry['name'] or not entry['name'].isascii():
                beyond += 1
                example = example or printable(entry['name'])
        refused_list = f'{self._output}.refused.txt'
        if refused:
            _write_lines(refused_list, self._refusals())
        elif os.path.exists(refused_list):  # of an earlier LMDB of this name
            os.unlink(refused_list)
        return LmdbReport(written, refused, refused_list if refused else None, beyond, example)

    def _refusals(self) -> Iterator[str]:
        return (entry['refused'] for entry in self._journal_entries() if 'refused' in entry)

    def _journal_entries(self) -> Iterator[dict[str, Any]]:
        self._journal.seek(0)
        for line in self._journal:
            yield json.loads(line)


def _journal_line(entry: _Entry) -> bytes:
    fields: dict[str, Any] = {'name': entry.name, 'stamp': entry.stamp}
    if entry.stored:
        fields.update(shape=[entry.stored.height, entry.stored.width], level=entry.stored.level)
    else:
        fields.update(refused=entry.refused)
    return json.dumps(fields).encode() + b'\n'  # ASCII; names that are not UTF-8 come back as they were


def _write_lines(path: str, lines: Iterable[str]) -> None:
    """Write a text file so that it is there whole or not at all, also after a power failure."""
    with whole_file(path) as file:
        file.writelines(f'{line}\n'.encode('utf-8', 'surrogateescape') for line in lines)
