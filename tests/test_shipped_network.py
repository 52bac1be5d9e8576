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
from selfsr_plugin.metrics import calculate_lpips
from selfsr_plugin.ops import resize_array, to_image, to_tensor, to_uint8

DEMO = Path(__file__).resolve().parents[1] / 'datasets/demo'
WEIGHTS = Path(__file__).resolve().parents[2] / 'shared/weights/alexnet_features.pth'


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


@pytest.fixture(scope='module', params=['bicubic', 'simulated wild'])
def people(request):
    """The kind of LR faces, and these, restored, enlarged and HR faces of people that the network has not seen, BGR."""
    if not SHIPPED_NETWORK.exists():
        pytest.skip('selfsr_plugin/weights holds no network')
    net, found = selfsr_plugin.load(), []
    for path in sorted((DEMO / 'test_hr').iterdir()):
        hr = cv2.imread(str(path))
        lr = cv2.imread(str(DEMO / 'test_wild_lr' / path.name))
        if request.param == 'bicubic':
            lr = to_uint8(resize_array(hr, 16))
        with torch.no_grad():
            found.append((lr, to_image(net(to_tensor(lr)[None])[0]), to_uint8(resize_array(lr, 64)), hr))
    return request.param, *map(np.stack, zip(*found))


def test_it_is_ahead_of_bicubic_on_people_it_has_not_seen(people):
    """By the margins, in dB of PSNR-Y, that it was made for; and no colour shifts."""
    kind, lr, restored, enlarged, hr = people
    scores, bicubic = (
        np.mean([calculate_psnr(*pair, 0, test_y_channel=True) for pair in zip(images, hr)])
        for images in (restored, enlarged)
    )
    assert scores - bicubic > {'bicubic': 0.5, 'simulated wild': 0.8}[kind]
    assert np.abs(restored.mean((1, 2)) - lr.mean((1, 2))).max() < 5  # grey levels of 255


@pytest.mark.skipif(not WEIGHTS.is_file(), reason='AlexNet weights are not in ../shared/weights')
def test_it_is_nearer_to_the_eye_than_bicubic(people):
    """By the shares of bicubic's LPIPS that it was made for."""
    kind, _, restored, enlarged, hr = people
    scores, bicubic = (
        np.mean([calculate_lpips(*pair, weights=str(WEIGHTS)) for pair in zip(images, hr)])
        for images in (restored, enlarged)
    )
    assert scores < bicubic * {'bicubic': 1 / 3, 'simulated wild': 1 / 2}[kind]


def test_it_does_not_ring_at_borders(people):
    """The outer pixels are no worse than the rest, and nearer to the HR face than enlarged ones."""
    _, _, restored, enlarged, hr = people
    border = np.ones((64, 64), bool)
    border[3:-3, 3:-3] = False
    wrong, bicubic = (np.abs(grey(images) - grey(hr)) for images in (restored, enlarged))
    assert wrong[:, border].mean() < min(wrong[:, ~border].mean(), bicubic[:, border].mean())


def test_it_does_not_darken_eye_sockets(people):
    """Where these faces have eyes, the mean is no more than two of 255 grey levels lower, nor is more of it dark."""
    _, _, restored, _, hr = people
    eyes, there = (grey(images)[:, 22:32, 14:50] for images in (restored, hr))
    assert eyes.mean() > there.mean() - 2
    assert (eyes < 50).mean() <= (there < 50).mean()


def grey(images):
    return images @ np.array([0.114, 0.587, 0.299])  # of BGR
