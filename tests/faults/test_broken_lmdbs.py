"""Damaged LMDBs: an image comes as it was stored or is refused by name; a wrong one never comes."""

import multiprocessing
import os
import random
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


def _read_all(lmdb: str, faces: dict[str, np.ndarray]) -> None:
    """Exit status: 0, every face is right or refused by name; 1, one is wrong."""
    try:
        source = open_image_source(lmdb)
    except ValueError as error:
        os._exit(0 if lmdb in str(error) else 1)
    for index, name in enumerate(source.names):
        try:
            image = source.read(index)
        except ValueError as error:
            if lmdb not in str(error):
                os._exit(1)
            continue
        if name not in faces or not np.array_equal(image, faces[name]):
            os._exit(1)
    os._exit(0)


def test_flipped_bits(faces, tmp_path, capsys):
    """In a process each: the file is mapped into memory, and damage in its index may end the process that reads it."""
    lmdb, images = faces
    data, rng, ended = (lmdb / 'data.mdb').read_bytes(), random.Random(0), 0
    for number in range(FLIPS):
        flipped = bytearray(data)
        bit = rng.randrange(len(data) * 8)
        flipped[bit // 8] ^= 1 << bit % 8
        process = _context.Process(
            target=_read_all, args=(str(_copy(lmdb, tmp_path / f'{number}.lmdb', flipped)), images)
        )
        process.start()
        process.join(60)
        assert process.exitcode != 1, f'bit {bit}: a wrong image, or an error that does not name the LMDB'
        ended += process.exitcode != 0
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
