"""The network that comes with the package is what is taken where no file is given."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from basicsr.metrics import calculate_psnr
from common_kit import refused, small_network

import selfsr_plugin
from selfsr_plugin import arguments, export_onnx, loading, restore
from selfsr_plugin.errors import UserError
from selfsr_plugin.files import SHIPPED_NETWORK
from selfsr_plugin.ops import resize_array, to_image, to_tensor, to_uint8

DEMO = Path(__file__).resolve().parents[1] / 'datasets/demo'


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where the file is expected; nothing is there."""
    path = tmp_path / 'package/weights/face_x4.safetensors'
    for module in (arguments, loading):
        monkeypatch.setattr(module, 'SHIPPED_NETWORK', path)
    return path


def ship(place):
    place.parent.mkdir(parents=True)
    net = small_network()
    selfsr_plugin.save(net, place, fp16=True)
    return net


def test_load_without_a_path(place):
    net = ship(place)
    found = selfsr_plugin.load()
    assert torch.equal(found.stem.weight, net.stem.weight.half().float())


def test_the_commands_without_model(place, tmp_path, files, capsys):
    ship(place)
    faces = files.write_folder(tmp_path / 'faces', {'a': files.make_image(0)})
    restore.main(['--faces', '--input', faces, '--output', str(tmp_path / 'out')])
    assert 'a.png' in files_of(tmp_path / 'out')
    assert str(export_onnx.parse(['--output', 'g.onnx']).model) == str(place)


def files_of(folder):
    return [path.name for path in folder.iterdir()]


def test_where_it_is_missing_it_is_said(place, tmp_path, files, capsys):
    with pytest.raises(UserError, match='lacks the network that comes with the package, .*face_x4.safetensors: .*load'):
        selfsr_plugin.load()
    faces = files.write_folder(tmp_path / 'faces', {'a': files.make_image(0)})
    assert 'lacks the network' in refused(capsys, restore.main, '--input', faces, '--output', tmp_path / 'out')


@pytest.mark.skipif(not SHIPPED_NETWORK.exists(), reason='selfsr_plugin/weights holds no network')
def test_the_file_itself():
    net = selfsr_plugin.load(key='params')
    assert net.scale == 4 == 2**net.num_level and (net.arguments['num_in_ch'], net.arguments['num_out_ch']) == (3, 3)
    assert SHIPPED_NETWORK.stat().st_size <= 4e6
    assert all(torch.equal(value, value.half().float()) for value in net.state_dict().values())


@pytest.mark.skipif(not SHIPPED_NETWORK.exists(), reason='selfsr_plugin/weights holds no network')
@pytest.mark.parametrize('kind, ahead', [('bicubic', 0.5), ('simulated wild', 0.8)])
def test_it_is_ahead_of_bicubic_on_people_it_has_not_seen(kind, ahead):
    """By the margins, in dB of PSNR-Y, that it was made for; and no colour shifts."""
    net, gains, shifts = selfsr_plugin.load(), [], []
    for path in sorted((DEMO / 'test_hr').iterdir()):
        hr = cv2.imread(str(path))
        lr = cv2.imread(str(DEMO / 'test_wild_lr' / path.name))
        if kind == 'bicubic':
            lr = to_uint8(resize_array(hr, 16))
        with torch.no_grad():
            restored = to_image(net(to_tensor(lr)[None])[0])
        scores = [
            calculate_psnr(each, hr, 0, test_y_channel=True) for each in (restored, to_uint8(resize_array(lr, 64)))
        ]
        gains.append(scores[0] - scores[1])
        shifts.append(np.abs(restored.mean((0, 1)) - lr.mean((0, 1))).max())
    assert np.mean(gains) > ahead and max(shifts) < 5  # grey levels of 255
