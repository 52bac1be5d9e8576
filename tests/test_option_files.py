"""Option files and the command line are read as YAML is meant; what is no option file is said in one sentence."""

import argparse
import importlib
import os
import sys

import pytest

from selfsr_plugin.hook.entry_points import is_for_us
from selfsr_plugin.errors import UserError
from selfsr_plugin.options import apply_overrides, parse_arguments, read_option_file


@pytest.mark.parametrize(
    'text, message',
    [
        ('a: [1', 'line 2, column 1 is not valid YAML|line 1.* is not valid YAML'),
        ('[a, b]: 1\n', 'line 1, column 1 is not valid YAML: a key must be text'),
        ('a:\n  1: 2\n', "line 2, column 3 is not valid YAML: a key must be text, .* 1 as .*: write '1'"),
        ('a: {on: 2}\n', "line 1, column 5 is not valid YAML: a key must be text, .* on as .*: write 'on'"),
        ('a: {lr: 0,003}\n', r'column 11 is not valid YAML: a comma within . . begins the next key: .* \[0.9, 0.99\]'),
        ('a: {b: 0.9, 0.99}\n', 'a comma within .* a decimal with a point, 0.003'),
        ('a: 1\na: 2\n', "line 2, column 1 is not valid YAML: the key 'a' is given twice"),
        ('a: &a {b: 1}\nc: {<<: *a, d: 1, d: 2}\n', "line 2, column 19 is not valid YAML: the key 'd' is given twice"),
        ('a: &a {b: 1, b: 2}\nc: {<<: *a}\n', "line 1, column 14 is not valid YAML: the key 'b' is given twice"),
        ('a: {<<: 3}\n', 'is not valid YAML: expected a mapping or list of mappings for merging'),
        ('a: &a {b: *a}\n', 'holds an alias .* within what it stands for: write it out'),
        ('a:\n\tb: 1\n', 'line 2, column 1 is not valid YAML: .*, a tab: YAML is indented by spaces'),
        ('- 1\n', 'must hold "key: value" lines'),
        ('a: !!python/object/apply:os.system ["touch ran"]\n', 'is not valid YAML'),
    ],
)
def test_files_that_are_no_option_files(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'options.yml'
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_option_file(str(path))
    assert not (tmp_path / 'ran').exists()


def test_a_home_folder_after_an_equals_sign(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    assert parse_arguments(['-opt=~/a.yml']).opt == str(tmp_path / 'a.yml')


@pytest.mark.parametrize('purpose', ['train', 'test'])
def test_basicsr_is_given_the_file_that_was_read(tmp_path, monkeypatch, purpose):
    """Its own loop reads the command line itself."""
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'a.yml').write_text('model_type: SRModel\n')
    monkeypatch.setattr(sys, 'argv', ['program'])
    seen = []
    monkeypatch.setattr(f'basicsr.{purpose}.{purpose}_pipeline', lambda root: seen.extend(sys.argv[1:]))
    importlib.import_module(f'selfsr_plugin.{purpose}').main(['-opt=~/a.yml', '--traceback', '--launcher', 'none'])
    parser = argparse.ArgumentParser()
    parser.add_argument('-opt')
    parser.add_argument('--launcher')
    assert vars(parser.parse_args(seen)) == {'opt': str(tmp_path / 'a.yml'), 'launcher': 'none'}


def test_missing_option_file_is_named(tmp_path):
    with pytest.raises(UserError, match='none.yml cannot be read: No such file'):
        read_option_file(str(tmp_path / 'none.yml'))


def test_overrides_read_values_as_yaml_and_never_run_them():
    opt = {'train': {'grow_at': [1]}}
    apply_overrides(opt, ['train:grow_at=[5, 7]', 'train:lr=!!float 1e-3', 'train:x=__import__("os")'])
    assert opt == {'train': {'grow_at': [5, 7], 'lr': 1e-3, 'x': '__import__("os")'}}
    with pytest.raises(UserError, match="no section 'tran'"):
        apply_overrides(opt, ['tran:lr=1'])
    with pytest.raises(UserError, match='write KEY:KEY=VALUE'):
        apply_overrides(opt, ['train'])


def test_launchers_may_pass_the_local_rank_in_either_spelling():
    assert parse_arguments(['-opt', 'a.yml', '--local-rank', '3']).local_rank == 3
    assert parse_arguments(['-opt', 'a.yml', '--local_rank=3']).local_rank == 3


def test_what_anchors_and_merge_keys_give_is_as_if_it_were_written_out(tmp_path):
    path = tmp_path / 'options.yml'
    path.write_text(
        """
a: &adam {lr: 1, betas: [0.5]}
b: &base {<<: *adam, lr: 2}
c: {<<: [*base, {eps: 3}], betas: [0.9]}
d: *adam
e: {<<: *base}
"""
    )
    opt = read_option_file(str(path))
    apply_overrides(opt, ['d:lr=9'])
    opt['e']['betas'].append(0.7)
    assert opt == dict(
        a=dict(lr=1, betas=[0.5]),
        b=dict(lr=2, betas=[0.5]),
        c=dict(lr=2, betas=[0.9], eps=3),
        d=dict(lr=9, betas=[0.5]),
        e=dict(lr=2, betas=[0.5, 0.7]),
    )


def test_an_option_file_in_another_encoding(tmp_path):
    path = tmp_path / 'options.yml'
    path.write_bytes('\ufeffa: 1\r\nb: 2\r\n'.encode())  # as Windows saves it
    assert read_option_file(str(path)) == dict(a=1, b=2)
    path.write_bytes('a: 1\n'.encode('utf-16'))
    with pytest.raises(UserError, match='is not UTF-8 text: save it as UTF-8'):
        read_option_file(str(path))


def test_an_option_file_that_is_a_pipe_is_refused_unread(tmp_path):
    path = str(tmp_path / 'pipe')
    os.mkfifo(path)
    with pytest.raises(UserError, match='pipe is no file on a disk, and runs keep a copy: save it and give that'):
        read_option_file(path)
    assert is_for_us(['-opt', path])
