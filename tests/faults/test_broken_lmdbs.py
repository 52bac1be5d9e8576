"""Damaged LMDBs: an image comes as it was stored or is refused by name; a wrong one never comes."""

import contextlib
import multiprocessing
import random
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from fault_kit import write_faces

from selfsr_plugin.data import open_image_source
from selfsr_plugin.preparation.lmdb_writer import Recipe, create_lmdb

_context = multiprocessing.get_context('forkserver')
FLIPS = 60


@pytest.fixture(scope='module')
def faces(tmp_path_factory):
    """An LMDB of 40 faces, and the faces."""
    folder = tmp_path_factory.mktemp('lmdb')
    write_faces(folder / 'faces', 40, 64, 0)
    source = open_image_source(str(folder / 'faces'))
    create_lmdb(source, str(folder / 'faces.lmdb'), Recipe(encode='png'), workers=1)
    return folder / 'faces.lmdb', {name: source.read(index) for index, name in enumerate(source.names)}


def _copy(lmdb: Path, target: Path, data: bytes) -> Path:
    target.mkdir()
    (target / 'data.mdb').write_bytes(data)
    (target / 'meta_info.txt').write_bytes((lmdb / 'meta_info.txt').read_bytes())
    return target


def _is_right(lmdb: str, faces: dict[str, np.ndarray]) -> bool:
    """Whether every face is as it was stored or refused by name."""
    try:
        source = open_image_source(lmdb)
    except ValueError as error:
        return lmdb in str(error)
    for index, name in enumerate(source.names):
        try:
            image = source.read(index)
        except ValueError as error:
            if lmdb not in str(error):
                return False
            continue
        if name not in faces or not np.array_equal(image, faces[name]):
            return False
    return True


def _read_all(lmdbs: list[str], faces: dict[str, np.ndarray], results: Connection) -> None:
    """Send whether each is right, until one ends this process."""
    for lmdb in lmdbs:
        results.send(_is_right(lmdb, faces))


def test_flipped_bits(faces, tmp_path, capsys):
    """In another process: the file is mapped into memory, and damage in its index may end the process that reads it."""
    lmdb, images = faces
    data, rng, bits = (lmdb / 'data.mdb').read_bytes(), random.Random(0), []
    for number in range(FLIPS):
        flipped = bytearray(data)
        bits.append(rng.randrange(len(data) * 8))
        flipped[bits[-1] // 8] ^= 1 << bits[-1] % 8
        _copy(lmdb, tmp_path / f'{number}.lmdb', flipped)
    read, ended = 0, 0
    while read < FLIPS:
        ours, theirs = _context.Pipe(duplex=False)
        rest = [str(tmp_path / f'{number}.lmdb') for number in range(read, FLIPS)]
        process = _context.Process(target=_read_all, args=(rest, images, theirs))
        process.start()
        theirs.close()  # the process has the only other end: reading stops where it does
        with contextlib.suppress(EOFError):
            while ours.poll(60):
                assert ours.recv(), f'bit {bits[read]}: a wrong image, or an error that does not name the LMDB'
                read += 1
        process.join(60)
        assert process.exitcode is not None, f'bit {bits[read]}: reading hangs'
        if process.exitcode != 0:  # by the next
            assert process.exitcode < 0, f'bit {bits[read]}: another error than those of an image'
            ended, read = ended + 1, read + 1
    with capsys.disabled():
        print(
            f' [{FLIPS} flipped bits in an LMDB: no wrong image, {ended} reading processes ended by a signal]', end=''
        )
    assert ended <= FLIPS // 10


@pytest.mark.parametrize('share', [0.0, 0.1, 0.5, 0.99])
def test_cut_short(faces, tmp_path, share):
    lmdb, _ = faces
    data = (lmdb / 'data.mdb').read_bytes()
    broken = _copy(lmdb, tmp_path / 'cut.lmdb', data[: int(share * len(data))])
    with pytest.raises(ValueError, match='cut.lmdb'):
        open_image_source(str(broken))
