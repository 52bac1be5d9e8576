"""Checkpoints are whole or absent, and loading runs no code."""

import os
import pickle
import stat

import pytest
import torch
from common_kit import Code

from selfsr_plugin.engine.checkpoint import (
    checkpoint_iterations,
    load_checkpoint,
    refuse_not_finite,
    remove_old_checkpoints,
    save_checkpoint,
    save_safetensors,
)
from selfsr_plugin.errors import UserError


def test_round_trip(tmp_path):
    content = dict(params=dict(weight=torch.arange(6.0)), iter=7, rates=[0.1, 0.2])
    save_checkpoint(content, tmp_path / 'net.pth')
    found = load_checkpoint(tmp_path / 'net.pth')
    assert torch.equal(found['params']['weight'], content['params']['weight'])
    assert found['iter'] == 7 and found['rates'] == [0.1, 0.2]
    assert os.listdir(tmp_path) == ['net.pth']


def test_file_has_the_usual_permissions(tmp_path):
    old = os.umask(0o027)
    try:
        save_checkpoint({}, tmp_path / 'net.pth')
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / 'net.pth').stat().st_mode) == 0o640


@pytest.mark.parametrize(
    'error', [RuntimeError('PytorchStreamWriter failed writing file'), OSError(28, 'No space left on device')]
)
@pytest.mark.parametrize('existing', [True, False])
def test_failed_write_leaves_what_was_there(tmp_path, monkeypatch, error, existing):
    path = tmp_path / 'net.pth'
    if existing:
        save_checkpoint(dict(iter=1), path)

    def half_a_file(_, file):
        file.write(b'half')
        raise error

    monkeypatch.setattr(torch, 'save', half_a_file)
    with pytest.raises(OSError, match='net.pth') as caught:
        save_checkpoint(dict(iter=2), path)
    assert '--auto_resume' in str(caught.value)
    assert os.listdir(tmp_path) == (['net.pth'] if existing else [])
    if existing:
        assert load_checkpoint(path) == dict(iter=1)


@pytest.mark.parametrize('error', [KeyboardInterrupt, pickle.PicklingError])
def test_interrupted_write_leaves_no_litter(tmp_path, monkeypatch, error):
    # Ctrl-C while a large file is written: the half-written copy must not stay and fill the disk.
    path = tmp_path / 'net.pth'
    save_checkpoint(dict(iter=1), path)

    def interrupted(_, file):
        file.write(b'half')
        raise error

    monkeypatch.setattr(torch, 'save', interrupted)
    with pytest.raises(error):
        save_checkpoint(dict(iter=2), path)
    assert load_checkpoint(path) == dict(iter=1)
    assert os.listdir(tmp_path) == ['net.pth']


def test_failed_rename_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / 'net.pth'
    save_checkpoint(dict(iter=1), path)
    monkeypatch.setattr(os, 'replace', lambda *_: (_ for _ in ()).throw(PermissionError(13, 'Permission denied')))
    with pytest.raises(OSError, match='net.pth'):
        save_checkpoint(dict(iter=2), path)
    assert os.listdir(tmp_path) == ['net.pth'] and load_checkpoint(path) == dict(iter=1)


def test_new_content_is_on_the_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    events = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, 'fsync', lambda number: (events.append('sync'), sync(number)))
    monkeypatch.setattr(os, 'replace', lambda *names: (events.append('rename'), replace(*names)))
    save_checkpoint(dict(iter=1), tmp_path / 'net.pth')
    assert events == ['sync', 'rename', 'sync']


def test_folder_that_does_not_exist(tmp_path):
    with pytest.raises(OSError, match='cannot write the checkpoint .*missing/net.pth'):
        save_checkpoint({}, tmp_path / 'missing' / 'net.pth')


SOME = bytes(range(100, 120))


@pytest.mark.parametrize(
    'damage',
    [
        lambda data: data[: len(data) // 2],
        lambda data: b'',
        lambda data: b'not a file',
        lambda data: data[:100] + b'\0' * 50 + data[-10:],
        lambda data: data.replace(SOME[:16], SOME[1:17]),  # values alone, which torch.load would take
    ],
)
def test_broken_file_is_named(tmp_path, damage):
    path = tmp_path / 'net.pth'
    save_checkpoint(dict(params=torch.arange(1000, dtype=torch.uint8)), path)
    sound = path.read_bytes()
    path.write_bytes(damage(sound))
    assert path.read_bytes() != sound
    with pytest.raises(ValueError, match='net.pth cannot be read as a checkpoint'):
        load_checkpoint(path)


def test_code_in_a_file_is_not_run(tmp_path):
    torch.save(dict(params=Code(tmp_path / 'made')), tmp_path / 'net.pth')
    with pytest.raises(UserError, match='net.pth cannot be read as a checkpoint'):
        load_checkpoint(tmp_path / 'net.pth')
    assert not (tmp_path / 'made').exists()


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='there is no checkpoint .*net.pth'):
        load_checkpoint(tmp_path / 'net.pth')


@pytest.mark.parametrize(
    'name, data, what',
    [
        ('net.pth', b'', 'it is empty: get it again'),
        ('net.safetensors', b'', 'it is empty: get it again'),
        (
            'net.pth',
            b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n',
            'it is a pointer of Git LFS',
        ),
        ('net.pth', b'\n<!DOCTYPE html>', 'it is a web page: download the file itself'),
        ('net.pth', 'safetensors', 'it is a safetensors file: name it .safetensors'),
        ('net.safetensors', 'torch', 'it was made by torch.save: name it .pth'),
        ('net.safetensors', b'rubbish', 'it is damaged or no safetensors file'),
        ('net.pth', b'rubbish', 'it is damaged, was not made by torch.save'),
    ],
)
def test_what_a_file_is_instead_is_said(tmp_path, name, data, what):
    path = tmp_path / name
    if data == 'safetensors':
        save_safetensors(dict(a=torch.zeros(9)), {}, path)
    elif data == 'torch':
        torch.save(dict(a=torch.zeros(9)), path)
    else:
        path.write_bytes(data)
    with pytest.raises(UserError, match=f'{name} cannot be read as a checkpoint: {what}'):
        load_checkpoint(path)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_weights_that_are_not_finite_are_refused(value):
    sound = {'a': torch.ones(2), 'count': torch.tensor(3)}
    refuse_not_finite(sound, 'net.pth')
    with pytest.raises(UserError, match=r'net\.pth holds values that are not finite .*, the first in b'):
        refuse_not_finite({**sound, 'b': torch.tensor([1.0, value])}, 'net.pth')


def test_only_the_newest_checkpoints_and_what_is_needed_stay(tmp_path):
    states, models = tmp_path / 'states', tmp_path / 'models'
    states.mkdir(), models.mkdir()
    for iteration in (2, 10, 8, 4, 6):
        (states / f'{iteration}.state').touch()
        for label in ('deg', 'g'):
            (models / f'net_{label}_{iteration}.pth').touch()
    (models / 'net_g_latest.pth').touch()
    opt = dict(path=dict(training_states=str(states), models=str(models)))
    remove_old_checkpoints(opt, 2, {'net_deg_4.pth'})
    assert checkpoint_iterations(states) == [10, 8]
    kept = {f'net_{label}_{iteration}.pth' for label in ('deg', 'g') for iteration in (8, 10)}
    assert {path.name for path in models.iterdir()} == kept | {'net_deg_4.pth', 'net_g_latest.pth'}


def test_states_of_others_do_not_count(tmp_path):
    for name in ('10', '9', '-5', 'abc', '\u00b2'):
        (tmp_path / f'{name}.state').touch()
    assert checkpoint_iterations(tmp_path) == [10, 9]
