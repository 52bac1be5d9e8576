"""Names of any bytes, files that are whole or as they were, pictures."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from selfsr_plugin import create_lmdb
from selfsr_plugin.arguments import weights_by_name
from selfsr_plugin.errors import Terminated, UserError, one_sentence_errors, terminated_as_interrupted
from selfsr_plugin.files import (
    OwnResults,
    archive,
    newest_instead,
    path,
    printable,
    try_lock,
    whole_file,
    write_file,
    write_image,
)

PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def test_tilde_is_expanded_also_where_there_is_no_such_user(monkeypatch):
    monkeypatch.setenv('HOME', '/home/of')
    assert str(path('~/faces')) == '/home/of/faces'
    assert str(path('~no_such_user/faces')) == '~no_such_user/faces'


def test_the_newest_checkpoint_of_the_network_instead_of_one_that_is_not_there(tmp_path):
    assert newest_instead(tmp_path / 'models/net_deg_latest.pth') == ''
    for name in ('net_deg_900.pth', 'net_deg_1000.safetensors', 'net_d_lq_9.pth', 'net_g_4.pth', 'net_deg_x.pth'):
        (tmp_path / name).touch()
    assert newest_instead(tmp_path / 'net_deg_latest.pth') == 'net_deg_1000.safetensors'
    assert newest_instead(tmp_path / 'net_d_lq_latest.pth') == 'net_d_lq_9.pth'
    assert newest_instead(tmp_path / 'net_d_latest.pth') == '' == newest_instead(tmp_path / 'net_d.pth')
    (tmp_path / 'net_g_latest.pth').touch()
    assert newest_instead(tmp_path / 'net_g_9.pth') == 'net_g_latest.pth'


def test_an_empty_path_is_not_the_current_folder(capsys):
    with pytest.raises(SystemExit):
        create_lmdb.main(['--input', '', '--output', 'a.lmdb'])
    assert 'argument --input: it is empty: name a file or folder' in capsys.readouterr().err


def test_a_command_that_is_over_leaves_the_signals_as_they_were():
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(each, signal.SIG_DFL) for each in numbers]  # nohup lets the second be ignored
    try:
        with pytest.raises(Terminated), terminated_as_interrupted(signal.SIGHUP):
            signal.raise_signal(signal.SIGHUP)
        assert [signal.getsignal(each) for each in numbers] == [signal.SIG_DFL] * 2
    finally:
        for each, handler in zip(numbers, before):
            signal.signal(each, handler)


def test_a_terminal_that_is_closed_does_not_end_what_nohup_started():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminated_as_interrupted(signal.SIGHUP):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize('rank, start', [(None, 'error: no'), ('0', 'error: no'), ('1', 'error (process 1): no')])
def test_an_error_says_of_which_process_it_is(monkeypatch, capsys, rank, start):
    monkeypatch.setenv('RANK', rank) if rank else monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(SystemExit) as caught, one_sentence_errors():
        raise UserError('no')
    assert caught.value.code == 1 and capsys.readouterr().err == f'{start}\n'


def test_what_is_archived_keeps_its_kind_however_often(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('time.strftime', lambda form: '20261127_160000')
    for number in range(4):
        (tmp_path / 'scores.json').write_text(str(number))
        archive(tmp_path / 'scores.json')
    stem = 'scores_archived_20261127_160000'
    names = [f'{stem}.json', f'{stem}_2.json', f'{stem}_3.json', f'{stem}_4.json']
    assert [(tmp_path / name).read_text() for name in names] == ['0', '1', '2', '3']
    assert capsys.readouterr().out.count('scores.json exists; it is renamed to') == 4


def test_every_name_can_be_printed():
    name = os.fsdecode(b'caf\xe9\n\x1b[2J \xe9\xa1\x94')
    assert printable(name) == '\\'.join(['caf', 'xe9', 'n', 'x1b[2J 顔'])


def test_pictures_are_written_under_any_name(tmp_path):
    for name in (os.fsdecode(b'caf\xe9.png'), 'new/顔.png', f'{"x" * 251}.png'):
        write_image(tmp_path / name, PICTURE)
        data = (tmp_path / name).read_bytes()
        np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), PICTURE)
    assert not list(tmp_path.rglob('.*'))


@pytest.mark.parametrize('name', ['a.png', 'new/\u2028.png', os.fsdecode(b'caf\xe9.png'), 'two\nlines.png', 'a\rb.png'])
def test_results_are_known_again_under_any_name(tmp_path, name):
    OwnResults(tmp_path).write(tmp_path / name, b'first')
    OwnResults(tmp_path).write(tmp_path / name, b'second')
    assert (tmp_path / name).read_bytes() == b'second'
    (tmp_path / name).write_bytes(b'mine')
    with pytest.raises(UserError, match='is there already and no result of this command'):
        OwnResults(tmp_path).write(tmp_path / name, b'third')


def test_results_of_a_process_that_began_later_are_known(tmp_path):
    first, second = OwnResults(tmp_path), OwnResults(tmp_path)
    second.write(tmp_path / 'a', b'theirs')
    first.write(tmp_path / 'a', b'mine')
    (tmp_path / 'a').write_bytes(b'changed')
    with pytest.raises(UserError, match='no result of this command'):
        second.refuse_foreign(tmp_path / 'a')


def test_results_are_known_again_after_a_line_that_a_full_disk_cut_off(tmp_path):
    OwnResults(tmp_path).write(tmp_path / 'a.png', b'first')
    record = tmp_path / OwnResults.RECORD
    record.write_bytes(record.read_bytes() + b'\n0123456')
    for content in (b'first', b'second'):
        for name in ('a.png', 'b.png'):
            OwnResults(tmp_path).write(tmp_path / name, content)
    assert (tmp_path / 'b.png').read_bytes() == b'second'


@pytest.mark.parametrize(
    'name, sentence',
    [
        ('a', 'cannot be encoded as no format: give a name that ends in .png'),
        ('a.txt', 'cannot be encoded as .txt: give a name that ends in .png'),
        (f'{"x" * 300}.png', r'File name too long.: its name is too long, shorten it'),
        ('file/a.png', 'cannot be written .*a part of this path is a file'),
        (os.fsdecode(b'\xe9/a.txt'), r'\\xe9/a.txt cannot be written'),
    ],
)
def test_pictures_that_cannot_be_written(tmp_path, name, sentence):
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match=sentence):
        write_image(tmp_path / name, PICTURE)
    assert [entry.name for entry in tmp_path.rglob('*') if entry.is_file()] == ['file']


def test_a_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    target = tmp_path / 'file'
    write_file(target, b'old')
    with pytest.raises(KeyboardInterrupt), whole_file(target) as file:
        file.write(b'half of the n')
        raise KeyboardInterrupt
    assert target.read_bytes() == b'old' and os.listdir(tmp_path) == ['file']

    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device', 'elsewhere')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left') as caught:
        write_file(target, b'new', sync=True)
    assert caught.value.filename == str(target) and target.read_bytes() == b'old' and os.listdir(tmp_path) == ['file']


# ----- locks -----


LOCK_ELSEWHERE = """
import sys
from selfsr_plugin.files import try_lock
try:
    print(try_lock(open(sys.argv[1], 'a'), sys.argv[2] == 'inherited'))
except BlockingIOError:
    print('held')
"""


@pytest.mark.parametrize('inherited', [False, True])
def test_a_lock_holds_against_other_processes_until_the_file_is_closed(tmp_path, inherited):
    def elsewhere():
        done = subprocess.run(
            [sys.executable, '-c', LOCK_ELSEWHERE, tmp_path / 'lock', 'inherited' if inherited else ''],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[1],
        )
        return done.stdout.strip()

    with open(tmp_path / 'lock', 'a') as file:
        assert try_lock(file, inherited)
        assert elsewhere() == 'held'
    assert elsewhere() == 'True'


@pytest.mark.parametrize('number', [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
@pytest.mark.parametrize('name', ['lockf', 'flock'])
def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, number, name):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, name, fail)
    with open(tmp_path / 'lock', 'a') as file:
        assert try_lock(file, name == 'flock') is False


def test_other_failures_of_a_lock_are_errors(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, 'lockf', lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, 'broken disk')))
    with open(tmp_path / 'lock', 'a') as file, pytest.raises(OSError, match='broken disk'):
        try_lock(file)


def test_windows_has_no_fcntl(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'fcntl', None)
    with open(tmp_path / 'lock', 'a') as file:
        assert try_lock(file) is False


def test_whatever_the_file_system_refuses_ends_with_a_remedy(tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    for refused, sentence in (
        (lambda: os.makedirs(tmp_path / 'file'), "file' cannot be used (File exists): a part of this path is a file"),
        (lambda: os.makedirs(tmp_path / 'file/a'), 'cannot be used (Not a directory): a part of this path is a file'),
        (lambda: open(tmp_path / 'none'), "none' cannot be used (No such file or directory): correct the path."),
    ):
        with pytest.raises(SystemExit), one_sentence_errors():
            refused()
        assert sentence in capsys.readouterr().err


def test_names_that_the_encoding_of_the_output_does_not_hold_are_printed_escaped():
    code = 'from selfsr_plugin.errors import one_sentence_errors as o\nwith o(): print("\u9854.jpg")'
    done = subprocess.run(
        [sys.executable, '-c', code], env={**os.environ, 'PYTHONIOENCODING': 'ascii'}, capture_output=True, text=True
    )
    assert done.stdout == '\\u9854.jpg\n' and done.returncode == 0


def test_without_standard_streams(tmp_path):
    code = (
        'import sys; from selfsr_plugin.errors import one_sentence_errors as o\n'
        f'with o(): print("a"); sys.stderr.write("b"); file = open({str(tmp_path / "file")!r}, "w"); '
        'file.write(str(file.fileno()))'
    )
    done = subprocess.run(['sh', '-c', '"$0" -c "$1" <&- >&- 2>&-', sys.executable, code])
    assert done.returncode == 0 and int((tmp_path / 'file').read_text()) > 2


def test_lack_of_memory_is_a_sentence(capsys):
    with pytest.raises(SystemExit), one_sentence_errors():
        np.empty(1 << 50)
    assert 'error: there is not enough memory (Unable to allocate' in capsys.readouterr().err


def test_ctrl_c_while_a_class_is_made_is_one(capsys):
    """Up to Python 3.11 it comes as RuntimeError, for example during an import."""
    with pytest.raises(SystemExit) as ended, one_sentence_errors():
        raise RuntimeError("Error calling __set_name__ on 'Field' instance") from KeyboardInterrupt()
    assert ended.value.code == 130 and capsys.readouterr().err.startswith('error: interrupted')


def test_two_that_write_one_file_leave_a_whole_one(tmp_path):
    target = tmp_path / 'file'
    with (
        pytest.raises(OSError, match='another process writes it at the same time') as caught,
        whole_file(target) as file,
    ):
        file.write(b'half of the f')
        with whole_file(target) as other:  # as another process would
            other.write(b'second, whole')
            file.flush()
        assert target.read_bytes() == b'second, whole'
        with pytest.raises(FileNotFoundError), whole_file(tmp_path / 'none/file'):
            pass
    assert caught.value.filename == str(target) and target.read_bytes() == b'second, whole'
    assert os.listdir(tmp_path) == ['file']


def test_a_name_that_the_system_cannot_encode(capsys):
    with pytest.raises(SystemExit), one_sentence_errors():
        'caf\u00e9'.encode('ascii')
    assert "error: 'caf\u00e9' holds letters that the encoding" in capsys.readouterr().err


def test_a_reader_that_has_ended_is_said(capsys):
    with pytest.raises(SystemExit), one_sentence_errors():
        raise BrokenPipeError(errno.EPIPE, 'Broken pipe')
    assert 'error: what was to read the lines printed here has ended' in capsys.readouterr().err


def test_weights_in_the_home_folder_behind_an_equals_sign(monkeypatch):
    """Where no shell expands them."""
    monkeypatch.setenv('HOME', '/home/of')
    assert weights_by_name(['fid=~/fid.pth', 'lpips=a.pth'], ['fid', 'lpips']) == dict(
        fid='/home/of/fid.pth', lpips='a.pth'
    )
