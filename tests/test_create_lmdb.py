"""selfsr_plugin/create_lmdb.py as a user types it; what it writes is tested in test_lmdb_writer.py."""

import os
import sys
from pathlib import Path

import pytest

from selfsr_plugin import create_lmdb as script
from selfsr_plugin.data import image_source, open_image_source
from selfsr_plugin.preparation import lmdb_writer


@pytest.fixture
def folder(files, tmp_path):
    return files.write_folder(tmp_path / 'in', {f'{i:03d}': files.make_image(i) for i in range(30)})


def test_what_it_says(files, folder, tmp_path, capsys):
    for i in range(3, 28):
        Path(folder, f'{i:03d}.png').write_bytes(b'')
    for name in ('notes.txt', 'face.gif', 'noextension'):
        Path(folder, name).write_bytes(b'x')
    files.write_folder(Path(folder), {'a.b': files.make_image(1)})
    output = str(tmp_path / 'x.lmdb')
    script.main(['--input', folder, '--output', output, '--workers', '1', '--size', '8', '--encode', 'jpeg'])
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert 'holds more than is read: files with other extensions (none 1, .gif 1, .txt 1).' in lines[0]
    assert lines[1] == f'refused {folder}/003.png: it is empty (0 bytes)' and len(lines) == 1 + 20 + 3
    assert lines[21] == f'5 more are in {output}.refused.txt.'
    assert lines[22].startswith("1 names hold a dot or letters beyond ASCII, for example 'a.b'")
    assert lines[23] == f'{output}: 6 images, 25 refused.'
    assert '31/31' in captured.err and 'image/s' in captured.err
    assert open_image_source(output).read(0).shape == (8, 8, 3)


def test_a_file_system_without_locks_is_warned_of(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'fcntl', None)  # as on Windows; test_files.py has the file systems
    script.main(['--input', folder, '--output', str(tmp_path / 'x.lmdb'), '--workers', '1'])
    captured = capsys.readouterr()
    assert 'warning: nothing can be locked where ' in captured.err and '30 images, 0 refused' in captured.out


def error_of(capsys, arguments):
    """The one sentence with which the command ends."""
    with pytest.raises(SystemExit) as caught:
        script.main(arguments)
    error = capsys.readouterr().err.splitlines()[-1]
    assert caught.value.code == 1 and error.startswith('error: ')
    return error


@pytest.mark.parametrize(
    'wrong, sentence',
    [
        (['--workers', '0'], '--workers must be 1 or more'),
        (['--enlarge'], '--enlarge does nothing without --size'),
        (['--quality', '90'], '--quality is that of JPEG: give --encode jpeg'),
        (['--encode', 'jpeg', '--png-level', '3'], '--png-level does nothing with --encode jpeg'),
        (['--size', '0'], '--size must be a whole number of pixels above 0, got 0'),
        (['--png-level', '11'], '--png-level must be from 0'),
        (['--input', 'nowhere'], '--input: nowhere does not exist'),
        (['--output', 'x'], "must end with '.lmdb'"),
    ],
)
def test_wrong_options(folder, tmp_path, capsys, wrong, sentence):
    assert sentence in error_of(capsys, ['--input', folder, '--output', str(tmp_path / 'x.lmdb'), *wrong])
    assert os.listdir(tmp_path) == ['in']


def test_empty_folders_and_names_that_meet(files, folder, tmp_path, capsys):
    (tmp_path / 'empty').mkdir()
    output = ['--output', str(tmp_path / 'x.lmdb')]
    assert '--input: there are no images in the folder' in error_of(
        capsys, ['--input', str(tmp_path / 'empty'), *output]
    )
    files.write_folder(Path(folder), {'003': files.make_image(0)}, '.jpg')
    assert 'holds both 003.jpg and 003.png, and a name' in error_of(capsys, ['--input', folder, *output])


def test_ctrl_c(folder, tmp_path, capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    arguments = ['--input', folder, '--output', str(tmp_path / 'x.lmdb')]
    with monkeypatch.context() as patch:
        patch.setattr(lmdb_writer._Unfinished, 'add', interrupt)
        assert 'stopped; what was done is kept: run the same command again to go on' in error_of(capsys, arguments)
    script.main(arguments)
    assert len(open_image_source(str(tmp_path / 'x.lmdb'))) == 30


def test_a_folder_that_may_not_be_read(folder, tmp_path, capsys, monkeypatch):
    def refuse(path):
        raise PermissionError(13, 'Permission denied', path)

    monkeypatch.setattr(image_source.os, 'scandir', refuse)  # tests may run as root, whom no mode stops
    arguments = ['--input', folder, '--output', str(tmp_path / 'x.lmdb')]
    assert 'may not be read by this user' in error_of(capsys, arguments)


def test_tilde_is_expanded(folder, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    script.main(['--input=~/in', '--output=~/out.lmdb'])
    assert (tmp_path / 'out.lmdb').is_dir()


def test_folders_in_the_folder_are_searched_if_asked_for(files, folder, tmp_path):
    files.write_folder(Path(folder) / 'more', {'a': files.make_image(1)})
    for number, asked in enumerate(([], ['--recursive'])):
        output = str(tmp_path / f'{number}.lmdb')
        script.main(['--input', folder, '--output', output, '--workers', '1', *asked])
        assert ('more/a' in open_image_source(output).names) == bool(asked)
