"""A folder that this run reads from is not renamed."""

import re

import pytest

from selfsr_plugin.errors import UserError
from selfsr_plugin.run.folder import copy_option_file, make_folders, refuse_input_inside


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
