"""Photos of a folder, one after the other: restored, written, counted."""

import errno
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ..data.decoding import CorruptImageError
from ..errors import UserError, is_out_of_memory
from ..files import OwnResults, cannot_write, encode_image, printable
from ..memory import available_bytes
from ..pictures import draw_sheet
from .photo_file import PhotoFile, photo_size, read_photo_file
from .restorer import PhotoRestorer, RestoredPhoto
from .sources import OutputNames, Source

_SMALL = 128  # pixels: pictures without faces of up to this side may be faces themselves
# Bytes for each pixel of a photo, and of an enlarged one: what a process was seen to take at most, see docs/photos.md.
_PER_PIXEL, _PER_ENLARGED_PIXEL = 14, 12
_PATIENCE = 3  # seconds after which the faces of one photo have a bar of their own
_STALE = 'left of an earlier run, and not of the results written now'
_TILE = 96  # pixels: of a face on a sheet
_SHEET_BLOCKS = 6


@dataclass(frozen=True)
class Wanted:
    """What is written of each photo.

    Attributes:
        kind: 'JPEG' or 'PNG'; None for that of the photo.
        faces: also ``NAME.ext.faces.png``, the LR and the restored faces side by side.
        json: also ``NAME.ext.json``, see :func:`describe`.
    """

    kind: str | None = None
    faces: bool = False
    json: bool = False


@dataclass
class Tally:
    """What became of the photos.

    Attributes:
        photos: how many were written.
        faces: how many faces were restored.
        left_alone: how many were not, by the reason.
        seconds: that all took.
        without_faces: photos in which none was found, as messages call them.
        small: how many of these are so small that they may be faces themselves.
        notes: what was not kept: the photos by the note; and files of earlier runs that lie beside other results now.
        problems: '<path>: <reason>' of each photo that could not be used.
    """

    photos: int = 0
    faces: int = 0
    left_alone: Counter = field(default_factory=Counter)
    seconds: float = 0.0
    without_faces: list[str] = field(default_factory=list)
    small: int = 0
    notes: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def restore_photos(
    restorer: PhotoRestorer, sources: Sequence[Source], output: Path, wanted: Wanted, file: Path | None = None
) -> Tally:
    """Restore photos into a folder, with a progress bar; those that cannot be used are passed over.

    Args:
        restorer: what restores one.
        sources: the photos.
        output: the folder; it is made.
        wanted: what is written.
        file: the name of the only result, in place of one in ``output``.

    Raises:
        UserError: a result cannot be written, as on a full disk. The ones before are whole.
    """
    tally, names, start = Tally(), OutputNames(sources), time.perf_counter()
    results = OwnResults(output if file is None else file.parent)
    with tqdm(total=len(sources), unit='photo', desc='photos') as progress:
        for source in sources:
            try:
                _restore_one(
                    restorer,
                    source,
                    lambda kind, source=source: file or output / names(source, kind),
                    wanted,
                    results,
                    tally,
                )
            except CorruptImageError as error:
                tally.problems.append(str(error))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                tally.problems.append(f'{source.shown}: it needs more memory than there is')
            progress.set_postfix(faces=tally.faces, refresh=False)
            progress.update()
    tally.seconds = time.perf_counter() - start
    return tally


def _restore_one(
    restorer: PhotoRestorer,
    source: Source,
    path_of: Callable[[str], Path],
    wanted: Wanted,
    results: OwnResults,
    tally: Tally,
) -> None:
    data = source.read()
    check_memory(data, source.shown, restorer.upscale)
    photo = read_photo_file(data, source.shown)
    _refuse_foreign(results, path_of(wanted.kind or photo.kind), wanted, source.shown)  # before anything is computed
    with tqdm(unit='face', desc='its faces', leave=False, delay=_PATIENCE, mininterval=0) as progress:

        def show(restored: int, planned: int) -> None:
            progress.total = planned
            progress.update(restored - progress.n)

        result = restorer(photo.pixels, wanted.faces, show)
    try:
        encoded, kind = encode_result(data, photo, result, wanted.kind)
    except ValueError as error:
        raise CorruptImageError(source.shown, str(error)) from error
    path = path_of(kind)
    faces, described = _beside(path, '.faces.png'), _beside(path, '.json')
    _refuse_foreign(results, path, wanted, source.shown)
    stale = [each for each in (faces, described) if os.path.isfile(each)]  # not Path's, which raises of a long name
    stale = stale if stale and path.is_file() and path.read_bytes() != encoded else []
    try:
        results.write(path, encoded)
        if wanted.faces and result.restored:
            stale = [each for each in stale if each != faces]
            results.write(faces, encode_image(draw_faces(result), '.png'))
        if wanted.json:
            stale = [each for each in stale if each != described]
            results.write(described, to_json(describe(source.shown, photo, result, restorer)).encode())
    except OSError as error:
        unwritten = cannot_write(error.filename or path, error)
        if error.errno == errno.ENAMETOOLONG:  # of this photo alone
            raise CorruptImageError(source.shown, str(unwritten).rstrip('.')) from error
        raise unwritten from error
    if stale:
        tally.notes.setdefault(_STALE, []).extend(map(printable, stale))
    tally.photos += 1
    tally.faces += len(result.restored)
    tally.left_alone.update(face.reason for face in result.left_alone)
    if not result.faces:
        tally.without_faces.append(source.shown)
        tally.small += max(photo.pixels.shape[:2]) <= _SMALL
    if encoded is not data:
        for note in photo.notes:
            tally.notes.setdefault(note, []).append(source.shown)


def _refuse_foreign(results: OwnResults, path: Path, wanted: Wanted, shown: str) -> None:
    beside = [_beside(path, '.faces.png')] * wanted.faces + [_beside(path, '.json')] * wanted.json
    try:
        for each in [path, *beside]:
            results.refuse_foreign(each)
    except UserError as error:
        raise CorruptImageError(shown, str(error).rstrip('.')) from error


def encode_result(data: bytes, photo: PhotoFile, result: RestoredPhoto, wanted: str | None) -> tuple[bytes, str]:
    """The file of a result and its kind; a photo of which nothing was restored or enlarged keeps its very bytes.

    Args:
        data: the file that ``photo`` was read from.
        photo, result: before and after.
        wanted: 'JPEG' or 'PNG'; None for that of the photo.

    Raises:
        ValueError: as :meth:`PhotoFile.encode`.
    """
    if not result.restored and result.image.shape == photo.pixels.shape and wanted in (None, photo.own_kind):
        return data, photo.own_kind
    kind = wanted or photo.kind
    return photo.encode(result.image, kind), kind


def _beside(path: Path, added: str) -> Path:
    return path.with_name(path.name + added)


def check_memory(data: bytes, shown: str, upscale: int) -> None:
    """Refuse a photo for which the memory does not suffice, by its header.

    Raises:
        CorruptImageError: that, or a header that :func:`photo_size` refuses.
    """
    height, width = photo_size(data, shown)
    needed = height * width * max(_PER_PIXEL, _PER_ENLARGED_PIXEL * upscale**2 if upscale > 1 else 0)
    free = available_bytes(torch.device('cpu'))
    if free is not None and needed > free:
        raise CorruptImageError(
            shown,
            f'its {width}x{height} pixels need about {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are '
            f'free: shrink it{", or give a smaller --upscale" if upscale > 1 else ""}',
        )


def draw_faces(result: RestoredPhoto) -> np.ndarray:
    """The restored faces of a photo, LR and restored side by side: (H, W, 3) uint8, BGR."""
    blocks = min(len(result.restored), _SHEET_BLOCKS)
    return draw_sheet([[face.lq, face.restored] for face in result.restored], ('LR', 'restored'), _TILE, blocks)


def describe(shown: str, photo: PhotoFile, result: RestoredPhoto, restorer: PhotoRestorer) -> dict[str, Any]:
    """What is known of the faces of a photo, in its pixels, upright.

    Returns:
        'photo', 'height', 'width', 'upscale', and 'faces': of each 'box' (left, top, right, bottom), 'score',
        'landmarks' (x, y of eyes, nose, corners of the mouth), 'frame' (left, top and side of the restored square),
        'lq_size' (side at which it went through the network) and 'restored_size' (side of what came out), both null
        where it was left alone, 'share' of what came out in the pasted face, and 'left_alone': why, or null.
    """
    return {
        'photo': shown,
        'height': photo.pixels.shape[0],
        'width': photo.pixels.shape[1],
        'upscale': restorer.upscale,
        'faces': [
            {
                'box': [round(edge, 2) for edge in each.face.box],
                'score': round(each.face.score, 4),
                'landmarks': each.face.landmarks.round(2).tolist(),
                'frame': {'left': each.frame.left, 'top': each.frame.top, 'side': each.frame.side},
                'lq_size': each.lq_size or None,
                'restored_size': each.lq_size * restorer.net.scale or None,
                'share': round(each.share, 3),
                'left_alone': each.reason or None,
            }
            for each in result.faces
        ],
    }


def to_json(described: dict[str, Any]) -> str:
    """One line for each face."""
    head = json.dumps({name: value for name, value in described.items() if name != 'faces'})[:-1]
    faces = ',\n'.join(json.dumps(face) for face in described['faces'])
    return f'{head}, "faces": [\n{faces}\n]}}\n'


def report(tally: Tally, restorer: PhotoRestorer, output: Path) -> list[str]:
    """The lines that say what became of photos and faces."""
    per_second = f'{tally.photos / tally.seconds:.2f} photos/s, {tally.faces / tally.seconds:.1f} faces/s'
    lines = [
        f'{tally.faces} faces restored in {tally.photos} photos, {tally.seconds:.1f} s ({per_second}) on '
        f'{restorer.device}: {printable(output)}'
    ]
    lines += [f'{count} faces left alone: {reason}.' for reason, count in tally.left_alone.items()]
    if tally.without_faces:
        as_it_was = 'as it was' if restorer.upscale == 1 else 'enlarged'
        lines.append(f'no face found, the photo written {as_it_was}: {", ".join(tally.without_faces)}')
    if tally.small:
        lines.append(f'{tally.small} of these are small: if they are faces that are cut out already, add --faces.')
    lines += [f'{note}: {", ".join(photos)}' for note, photos in tally.notes.items()]
    return lines


def raise_problems(tally: Tally, count: int) -> None:
    """UserError with the photos that could not be used, if there are any."""
    if tally.problems:
        raise UserError(f'{len(tally.problems)} of {count} photos were not restored: {"; ".join(tally.problems)}')
