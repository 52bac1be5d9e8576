"""A folder of faces into train, val and test, never the same person in two."""

import errno
import hashlib
import json
import os
import re
import shutil
from collections import defaultdict
from pathlib import Path

from ..data.decoding import readable_extensions
from ..data.image_source import list_files
from ..errors import UserError
from ..files import cannot_write, printable, refuse_lmdb_name, write_file
from .manifest import MANIFEST_FILE, read_manifest


def group_faces(folder: Path, person: str | None) -> dict[str, list[str]]:
    """Which images of a folder must stay together: {who: file names}.

    Args:
        folder: images, read flat as the data sets read them.
        person: regular expression that finds the person in the path of the source photo, as the folder's manifest has
            it, or else in the file name: its first group, or all of it. None: every source photo is somebody else.

    Raises:
        UserError: no images, a bad expression, or an image of which it cannot be told who it is.
    """
    try:
        files = [
            name
            for name in list_files(str(folder), recursive=False)
            if os.path.splitext(name)[1].lower() in readable_extensions()
        ]
    except OSError as error:
        raise UserError(
            f'--input: {printable(folder)} cannot be read ({error.strerror}): give a folder of images.'
        ) from error
    if not files:
        raise UserError(
            f'--input: there are no images in {printable(folder)} (of an LMDB, split the folder it was made from).'
        )
    lost = [printable(name) for name in files if not os.path.exists(folder / name)]
    if lost:
        raise UserError(
            f'--input: {len(lost)} of {len(files)} images in {printable(folder)} are links to files that are not there '
            f'({", ".join(lost[:3])}{", ..." if len(lost) > 3 else ""}): remove them, or bring back what they point to.'
        )
    try:
        pattern = None if person is None else re.compile(person)
    except re.error as error:
        raise UserError(f"--person: '{person}' is no regular expression ({error}).") from error
    photos = {face['file']: line['photo'] for line in read_manifest(folder)[1] for face in line['faces']}
    groups: dict[str, list[str]] = defaultdict(list)
    for name in files:
        groups[_who(name, photos.get(name), pattern, folder)].append(name)
    return groups


def _who(name: str, photo: str | None, pattern: re.Pattern | None, folder: Path) -> str:
    if pattern is None:
        if photo is None:
            raise UserError(
                f'{printable(folder)} has no {MANIFEST_FILE} of prepare_faces that says which photo '
                f"{printable(name)} is from: give --person, for example --person '^([^_]+)' where names begin "
                'with the person and an underscore.'
            )
        return photo
    match = pattern.search(photo or name)
    if match is None or match.group(match.re.groups and 1) is None:
        raise UserError(f"--person: '{pattern.pattern}' finds nobody in {printable(photo or name)}.")
    return match.group(match.re.groups and 1)


def assign(groups: dict[str, list[str]], shares: dict[str, float], seed: int) -> dict[str, list[str]]:
    """Deal the groups out so that the parts come as close to their shares of the images as whole groups allow.

    Args:
        groups: as :func:`group_faces` gives them.
        shares: of each part, adding up to 1.
        seed: another one gives another split; the same, with the same groups, the same one on every machine.

    Returns:
        {part: who}.

    Raises:
        UserError: a part would stay empty.
    """

    def draw(who: str) -> bytes:
        return hashlib.sha256(f'{seed} '.encode() + os.fsencode(who)).digest()

    total = sum(map(len, groups.values()))
    lacking = {part: share * total for part, share in shares.items()}
    parts: dict[str, list[str]] = {part: [] for part in shares}
    for who in sorted(groups, key=draw):
        part = max(lacking, key=lacking.get)
        parts[part].append(who)
        lacking[part] -= len(groups[who])
    for part, members in parts.items():
        if not members:
            remedy = 'give it a larger share' if len(groups) >= len(shares) else 'name fewer parts'
            raise UserError(
                f'--shares: nobody is left for {part}, as there are {len(groups)} people or photos with up to '
                f'{max(map(len, groups.values()))} images each: {remedy}.'
            )
    return parts


def split(
    folder: Path, folders: dict[str, Path], shares: dict[str, float], person: str | None, seed: int
) -> dict[str, tuple[Path, int, int]]:
    """Make a folder for each part, with hard links where the file system allows them and copies elsewhere.

    A manifest is divided, too.

    Args:
        folder, person: as for :func:`group_faces`.
        folders: of each part.
        shares, seed: as for :func:`assign`.

    Returns:
        {part: (its folder, images, people or photos)}.

    Raises:
        UserError: as the two; or a folder of a part exists and is not empty.
    """
    groups = group_faces(folder, person)
    parts = assign(groups, shares, seed)
    for target in folders.values():
        refuse_lmdb_name(target)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UserError(
                f'--output: {printable(target)} exists already, and people of another split must not mix with '
                'these: remove it or name another.'
            )
    settings, lines = read_manifest(folder)
    made = {}
    # Under other names until all is there: half a set looks like a whole one. What a killed run left is made anew.
    targets = {part: Path(os.path.realpath(target)) for part, target in folders.items()}
    unfinished = {part: target.with_name(f'.{target.name}.part') for part, target in targets.items()}
    try:
        for part, members in parts.items():
            names = [name for who in members for name in groups[who]]
            shutil.rmtree(unfinished[part], ignore_errors=True)
            unfinished[part].mkdir(parents=True)
            for name in names:
                _link(folder / name, unfinished[part] / name, folders[part] / name)
            if lines:
                here = set(names)
                # With what prepare_faces does not know among its settings,
                # it takes the folder for none that it goes on with.
                mine = [{'settings': {**settings, 'split': {'part': part, 'seed': seed}}}]
                for line in lines:
                    faces = [face for face in line['faces'] if face['file'] in here]
                    mine += [{**line, 'faces': faces}] if faces else []
                manifest = ''.join(f'{json.dumps(line)}\n' for line in mine).encode()
                try:
                    write_file(unfinished[part] / MANIFEST_FILE, manifest)
                except OSError as error:
                    raise cannot_write(folders[part] / MANIFEST_FILE, error) from error
            made[part] = folders[part], len(names), len(members)
        for part, target in targets.items():
            os.replace(unfinished[part], target)  # an empty folder may be there
    finally:
        for each in unfinished.values():
            shutil.rmtree(each, ignore_errors=True)
    return made


def _link(source: Path, target: Path, shown: Path) -> None:
    """``shown`` is what messages call ``target``."""
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without links
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise cannot_write(shown, error) from error  # the error itself names the source
