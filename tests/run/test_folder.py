"""A folder that this run reads from is not renamed."""

import os
import re
from pathlib import Path

import pytest

from selfsr_plugin.errors import UserError
from selfsr_plugin.run.folder import copy_option_file, locked, make_folders, refuse_input_inside


@pytest.fixture
def opt(tmp_path):
    root = tmp_path / 'experiments/tiny'
    (root / 'models').mkdir(parents=True)
    (root / 'models/net_g_latest.pth').write_bytes(b'')
    (root / 'tiny.yml').write_text('name: tiny\n')
    (tmp_path / 'tiny.yml').write_text('name: tiny\n')
    (tmp_path / 'data').mkdir()
    path = dict(experiments_root=str(root), models=str(root / 'models'), log=str(root))
    return dict(
        name='tiny',
        is_train=True,
        path=path,
        datasets=dict(train=dict(dataroot_gt=str(tmp_path / 'data'))),
        val=dict(metrics=dict(fid=dict(type='calculate_fid', reference=str(tmp_path / 'data')))),
    )


def test_what_lies_elsewhere_is_no_reason(opt, tmp_path):
    refuse_input_inside(opt, str(tmp_path / 'tiny.yml'))
    beside = tmp_path / 'experiments/tiny_2'  # whose name begins alike
    beside.mkdir()
    opt['path']['pretrain_network_g'] = str(beside / 'net_g.pth')
    Path(opt['path']['pretrain_network_g']).touch()
    refuse_input_inside(opt, str(tmp_path / 'tiny.yml'))


@pytest.mark.parametrize(
    'section, key, value',
    [
        ('path', 'pretrain_network_g', 'models/net_g_latest.pth'),
        ('path', 'resume_state', 'models/net_g_latest.pth'),
        ('datasets', 'dataroot_gt', 'models'),
        ('datasets', 'dataroot_gt', ''),
        ('val', 'reference', 'models'),
    ],
)
def test_what_is_read_is_not_renamed(opt, tmp_path, section, key, value):
    node = dict(path=opt['path'], datasets=opt['datasets']['train'], val=opt['val']['metrics']['fid'])[section]
    node[key] = f'{opt["path"]["experiments_root"]}/{value}'
    with pytest.raises(UserError, match=rf'{key}: .* lies in .*experiments/tiny, .* give this run another name'):
        refuse_input_inside(opt, str(tmp_path / 'tiny.yml'))
    link = tmp_path / 'link'
    link.symlink_to(node[key])
    node[key] = str(link)
    with pytest.raises(UserError, match=f'{key}: .*link lies in'):
        refuse_input_inside(opt, str(tmp_path / 'tiny.yml'))


def test_an_option_file_in_the_folder(opt, tmp_path):
    with pytest.raises(UserError, match='the option file: .*experiments/tiny/tiny.yml lies in'):
        refuse_input_inside(opt, str(tmp_path / 'experiments/tiny/tiny.yml'))
    make_folders(opt, keep=True)
    copy_option_file(str(tmp_path / 'experiments/tiny/tiny.yml'), opt['path']['experiments_root'])  # onto itself
    assert (tmp_path / 'experiments/tiny/tiny.yml').read_text() == 'name: tiny\n'
    copy_option_file(str(tmp_path / 'tiny.yml'), opt['path']['experiments_root'])
    assert re.search('^# CMD:', (tmp_path / 'experiments/tiny/tiny.yml').read_text(), re.MULTILINE)


def test_a_folder_that_does_not_exist_is_not_renamed(opt, tmp_path):
    opt['path']['experiments_root'] = str(tmp_path / 'experiments/other')
    opt['path']['pretrain_network_g'] = str(tmp_path / 'experiments/tiny/models/net_g_latest.pth')
    refuse_input_inside(opt, str(tmp_path / 'tiny.yml'))


def test_a_refused_run_leaves_nothing(tmp_path):
    folder = tmp_path / 'experiments/tiny'
    opt = dict(rank=0, dist=False)
    for _ in range(2):
        with pytest.raises(UserError), locked(str(folder), opt):
            raise UserError('no')
        assert not folder.parent.exists()
    folder.parent.mkdir()  # the user's
    with pytest.raises(UserError), locked(str(folder), opt):
        raise UserError('no')
    assert os.listdir(folder.parent) == []
    with locked(str(folder), opt):
        folder.mkdir()
    assert sorted(os.listdir(folder.parent)) == ['.tiny.lock', 'tiny']


def test_a_folder_is_in_use_by_the_run_that_holds_it_now(tmp_path):
    (tmp_path / '.tiny.lock').write_text(
        'process 1 on an earlier machine since yesterday, with a longer name than ours'
    )
    with locked(str(tmp_path / 'tiny'), dict(rank=0, dist=False)):
        text = (tmp_path / '.tiny.lock').read_text()
    assert text.startswith(f'process {os.getpid()} on ') and 'earlier' not in text and text.count('process') == 1


def test_a_lock_file_that_is_removed_while_it_is_locked(tmp_path, monkeypatch):
    """By a run that was refused in the same moment: the lock would be one that nobody else sees."""
    from selfsr_plugin.run import folder as module

    original, removed = module.try_lock, []

    def try_lock(file):
        if not removed:
            removed.append(os.unlink(file.name))
        return original(file)

    monkeypatch.setattr(module, 'try_lock', try_lock)
    with locked(str(tmp_path / 'tiny'), dict(rank=0, dist=False)):
        assert Path(tmp_path / '.tiny.lock').read_text().startswith(f'process {os.getpid()} ')
