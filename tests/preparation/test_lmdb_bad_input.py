"""Names, images and outputs that an LMDB cannot be made of or written to."""

import os

import lmdb
import numpy as np
import pytest

from selfsr_plugin.data import open_image_source
from selfsr_plugin.preparation import lmdb_writer
from selfsr_plugin.preparation.image_recode import Recipe
from selfsr_plugin.preparation.lmdb_writer import create_lmdb
from selfsr_plugin.errors import UserError


def make(folder, output, recursive=False):
    return create_lmdb(open_image_source(str(folder), recursive), str(output), workers=2, progress=False)


@pytest.fixture
def folder(files, tmp_path):
    return files.write_folder(tmp_path / 'in', {f'{i:03d}': files.make_image(i, 24) for i in range(40)})


# Names


def test_unusual_names(files, tmp_path):
    """Names that differ only in case, hold dots or are not ASCII are kept apart, and counted for BasicSR's sake."""
    images = {
        name: files.make_image(i)
        for i, name in enumerate(['A', 'a', 'a.b', 'Ångström 顔', '\U0001f600', '\ue000', 'x (1)', ' '])
    }
    folder = files.write_folder(tmp_path / 'in', images)
    report = make(folder, tmp_path / '顔.lmdb')
    source = open_image_source(str(tmp_path / '顔.lmdb'))
    assert source.names == sorted(images)
    for index, name in enumerate(source.names):
        np.testing.assert_array_equal(source.read(index), images[name])
    assert report.beyond_basicsr == 4 and report.beyond_basicsr_example == 'a.b'


def test_names_that_are_not_utf8(files, tmp_path):
    os.makedirs(tmp_path / 'in')
    try:
        for name in (b'\xffa.png', b'\x80.png', '\U0001f600.png'.encode(), b'b.png'):
            with open(os.path.join(os.fsencode(tmp_path), b'in', name), 'wb') as file:
                file.write(files.encode(files.make_image(len(name))))
    except OSError:
        pytest.skip('this file system takes UTF-8 names only')
    make(tmp_path / 'in', tmp_path / 'x.lmdb')
    with lmdb.open(str(tmp_path / 'x.lmdb'), readonly=True, lock=False) as environment, environment.begin() as reading:
        keys = [key for key, _ in reading.cursor()]
    assert keys == [b'b', b'\x80', '\U0001f600'.encode(), b'\xffa']
    source = open_image_source(str(tmp_path / 'x.lmdb'))
    for index in range(4):
        source.read(index)


def test_names_that_no_lmdb_can_hold(files, tmp_path):
    image = files.encode(files.make_image(0))
    deep = tmp_path / 'in' / ('d' * 200) / ('e' * 200)
    deep.mkdir(parents=True)
    (deep / f'{"f" * 120}.png').write_bytes(image)
    (tmp_path / 'in' / 'a\nb.png').write_bytes(image)
    (tmp_path / 'in' / 'good.png').write_bytes(image)
    report = make(tmp_path / 'in', tmp_path / 'x.lmdb', recursive=True)
    assert (report.written, report.refused) == (1, 2)
    lines = open(report.refused_list, encoding='utf-8').read().splitlines()
    assert 'a\\nb.png: its name holds a line break' in lines[0] and 'longer than the 511 bytes' in lines[1]


# Bad images


def test_bad_images_are_listed_and_the_others_written(files, folder, tmp_path):
    for name, data in {'003': b'', '010': b'text', '039': files.encode(files.make_image(0))[:-5]}.items():
        with open(os.path.join(folder, f'{name}.png'), 'wb') as file:
            file.write(data)
    os.symlink('nowhere', os.path.join(folder, '011b.png'))
    report = make(folder, tmp_path / 'x.lmdb')
    assert (report.written, report.refused) == (37, 4)
    lines = open(report.refused_list, encoding='utf-8').read().splitlines()
    assert report.refused_list == str(tmp_path / 'x.lmdb.refused.txt')
    assert [line.split(': ')[0] for line in lines] == [f'{folder}/{n}.png' for n in ('003', '010', '011b', '039')]
    assert 'empty' in lines[0] and 'not an image' in lines[1] and 'cannot be read' in lines[2]
    names = open_image_source(str(tmp_path / 'x.lmdb')).names
    assert len(names) == 37 and not {'003', '010', '011b', '039'} & set(names)


def test_a_list_of_an_earlier_lmdb_goes(folder, tmp_path):
    (tmp_path / 'x.lmdb.refused.txt').write_text('old')
    make(folder, tmp_path / 'x.lmdb')
    assert not (tmp_path / 'x.lmdb.refused.txt').exists()


def test_nothing_but_bad_images(tmp_path):
    (tmp_path / 'in').mkdir()
    for name in 'ab':
        (tmp_path / 'in' / f'{name}.png').write_bytes(b'')
    with pytest.raises(UserError, match='none of the 2 images in .*in can be used, for example .*a.png: it is empty'):
        make(tmp_path / 'in', tmp_path / 'x.lmdb')
    assert sorted(os.listdir(tmp_path)) == ['in', 'x.lmdb.refused.txt']


# Outputs that cannot be


def test_output_errors(folder, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="x must end with '.lmdb'"):
        make(folder, tmp_path / 'x')
    (tmp_path / 'there.lmdb').mkdir()
    with pytest.raises(UserError, match='there.lmdb already exists: remove it or give another output'):
        make(folder, f'{tmp_path}/there.lmdb/')
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='file/x.lmdb cannot be written .Not a directory'):
        make(folder, tmp_path / 'file' / 'x.lmdb')

    def refuse(path, *_, **__):
        raise PermissionError(13, 'Permission denied', path)

    with monkeypatch.context() as patch:
        patch.setattr(os, 'makedirs', refuse)  # tests may run as root, whom no mode stops
        with pytest.raises(UserError, match='x.lmdb cannot be written .Permission denied.: make its folder writable'):
            make(folder, tmp_path / 'x.lmdb')

    def full(*_, **__):
        raise lmdb.DiskError('No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(lmdb, 'open', full)
        with pytest.raises(
            UserError, match='y.lmdb cannot be written .No space left on device.: make room on its disk'
        ):
            make(folder, tmp_path / 'y.lmdb')
    make(folder, tmp_path / 'y.lmdb')  # and then it goes on
    make(folder, tmp_path / 'new' / 'folders' / 'x.lmdb')


def test_two_at_once_are_refused(folder, tmp_path):
    with lmdb_writer._Unfinished(str(tmp_path / 'x.lmdb'), Recipe()):
        with pytest.raises(UserError, match='another process is writing .*x.lmdb: let it finish or stop it'):
            make(folder, tmp_path / 'x.lmdb')
    make(folder, tmp_path / 'x.lmdb')
