"""manifest.jsonl: what became of every photo, one line of JSON each, written after its crops.

A line is the sign that a photo is done. A run may be killed at any time: a line that was cut off is removed at the next
start, and its photo is done again.
"""

import errno
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files import printable, try_lock, write_file

MANIFEST_FILE = 'manifest.jsonl'
REFUSED_FILE = 'refused.txt'
_NUMBER = re.compile(r'\d+(?:\.\d+)?')


def read_manifest(folder: str | os.PathLike) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The settings that the crops in a folder were cut with, and the line of each photo; both empty without a manifest.

    Raises:
        UserError: a broken manifest.
    """
    path = os.path.join(folder, MANIFEST_FILE)
    if not os.path.isfile(path):
        return {}, []
    try:
        with open(path, encoding='utf-8') as file:
            settings, photos = _parse(line for line in file if line.endswith('\n'))  # the last may be cut off
        return settings, list(photos.values())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f'{printable(path)} is broken ({error}): repair or remove it.') from error


def _parse(lines: Iterable[str | bytes]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The settings, and the line of each photo by its name, of all lines of a manifest.

    Raises:
        ValueError, KeyError, TypeError: a line is not as this module writes it.
    """
    first, *rest = map(json.loads, lines)
    photos = {line['photo']: line for line in rest}
    for line in rest:
        line.setdefault('left_out', [])
        if any({'file', 'crop', 'size'} - {*face} for face in line['faces']):
            raise ValueError(f'the line of {line["photo"]} lacks something')
    return dict(first['settings']), photos


class Manifest:
    """The manifest of one output folder, open for appending. A context manager.

    The first line holds the settings, so that nobody mixes crops of two kinds; then one line for each photo. If a photo
    has several, the last one holds.

    Args:
        folder: the output folder; made if it is not there.
        settings: everything that decides what the crops look like.

    Raises:
        UserError: the folder holds crops made with other settings, another run is writing there, or it holds a broken
            manifest.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self.others: list[str] = []
        self.changed: list[str] = []  # photos that are others than when they were cut
        self.missing: list[str] = []  # crops that were made and are not there any more
        self.path = folder / MANIFEST_FILE
        if folder.exists() and not folder.is_dir():
            raise UserError(f'--output: {folder} is not a folder.')
        folder.mkdir(parents=True, exist_ok=True)
        if not self.path.exists() and any(not entry.name.startswith('.') for entry in folder.iterdir()):
            raise UserError(
                f'--output: {folder} is not empty and has no {MANIFEST_FILE}, so it is not of this tool: '
                'name a new folder.'
            )
        self._file = open(self.path, 'ab+', buffering=0)
        try:
            if not try_lock(self._file, inherited=True):
                print(
                    f'warning: nothing can be locked in {printable(folder)}: make sure that no other run writes there.',
                    file=sys.stderr,
                )
        except BlockingIOError as error:
            self._file.close()
            raise UserError(
                f'--output: another run is writing to {folder}; wait for it or name another folder.'
            ) from error
        try:
            self.photos = self._read(dict(settings))
        except BaseException:
            self._file.close()
            raise

    def _read(self, settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
        self._file.seek(0)
        data = self._file.read()
        whole = data.rfind(b'\n') + 1
        if whole < len(data):  # killed in the middle of a line
            self._file.truncate(whole)
        try:
            old, photos = _parse(data[:whole].splitlines()) if whole else (None, {})
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f'{self.path} is broken ({error}): repair it, or name another --output.') from error
        if old is None:
            self._append({'settings': settings})
        else:
            self._compare_settings(old, json.loads(json.dumps(settings)))
        return photos

    def _compare_settings(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        different = [
            f'{key} {old.get(key)!r}, now {new.get(key)!r}' for key in {**old, **new} if old.get(key) != new.get(key)
        ]
        if different:
            raise UserError(
                f'--output: {self.folder} holds crops made with other settings ({"; ".join(different)}): '
                'give the same ones to go on, or name another folder.'
            )

    def add(self, line: dict[str, Any]) -> None:
        """Append what became of one photo. OSError if the disk is full; then nothing is left of the line."""
        self._append(line)
        self.photos[line['photo']] = line

    def _append(self, line: dict[str, Any]) -> None:
        end = self._file.seek(0, os.SEEK_END)
        data = json.dumps(line).encode() + b'\n'
        try:
            if self._file.write(data) < len(data):  # unbuffered: a full disk may take a part
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        except OSError:
            self._file.truncate(end)
            raise

    def write_refused(self, others: list[str]) -> None:
        """Write refused.txt: every photo without a crop, with the reason, and the files that are no photos."""
        self.others = others
        lines = [f'{printable(name)}: {line["refused"]}.' for name, line in self.photos.items() if 'refused' in line]
        lines += [f'{printable(name)}: not a photo by its name.' for name in others]
        write_file(self.folder / REFUSED_FILE, ''.join(f'{line}\n' for line in sorted(lines)).encode())

    def find_missing(self) -> None:
        """Look which crops are not there any more: somebody may have sorted out what he did not like."""
        there = set(os.listdir(self.folder))
        for line in self.photos.values():
            self.missing += [face['file'] for face in line['faces'] if face['file'] not in there]

    def counts(self) -> Counter:
        """'photos', 'refused' photos, 'faces' cut out, 'padded' ones among them, and faces 'left_out'."""
        count: Counter = Counter()
        for line in self.photos.values():
            padded = sum(any(face.get('padded', [])) for face in line['faces'])
            count.update(
                photos=1,
                refused=int('refused' in line),
                faces=len(line['faces']),
                padded=padded,
                left_out=len(line['left_out']),
            )
        return count

    def reasons(self) -> Counter:
        """Why photos were refused and faces left out, and how many there are of each.

        Reasons that differ in their numbers alone are one, from the least to the largest of each: '9 to 31 pixels'.
        """
        alike: dict[tuple[str, ...], list[list[str]]] = {}  # the words between the numbers -> the numbers of each
        for line in self.photos.values():
            found = [face['reason'] for face in line['left_out']]
            if 'refused' in line and not found:
                found = [line['refused']]
            for reason in found:
                alike.setdefault(tuple(_NUMBER.split(reason)), []).append(_NUMBER.findall(reason))
        count: Counter = Counter()
        for words, numbers in alike.items():
            spans = [sorted({*each}, key=float) for each in zip(*numbers)]
            texts = [' to '.join(dict.fromkeys((span[0], span[-1]))) for span in spans]
            count[''.join(part for pair in zip(words, [*texts, '']) for part in pair)] = len(numbers)
        return count

    def close(self) -> None:
        """Close the file; what has been recorded is in it."""
        self._file.close()

    def __enter__(self) -> 'Manifest':
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
        return None
