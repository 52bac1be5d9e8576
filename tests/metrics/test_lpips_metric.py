"""LPIPS against the example values that its authors publish."""

import cv2
import numpy as np
import pytest
from pathlib import Path

import selfsr_plugin  # noqa: F401
from selfsr_plugin.metrics import calculate_lpips

WEIGHTS = Path(__file__).resolve().parents[3] / 'shared' / 'weights'
needs_weights = pytest.mark.skipif(
    not (WEIGHTS / 'alexnet_features.pth').is_file(), reason='AlexNet weights are not in ../shared/weights'
)


def read(name):
    return cv2.imread(str(WEIGHTS / name))


@needs_weights
@pytest.mark.parametrize('name, published', [('lpips_ex_p0.png', 0.7219), ('lpips_ex_p1.png', 0.1376)])
def test_published_values(name, published):
    pytest.importorskip('lpips')
    value = calculate_lpips(read(name), read('lpips_ex_ref.png'), weights=str(WEIGHTS / 'alexnet_features.pth'))
    assert value == pytest.approx(published, abs=5e-5)


@needs_weights
def test_from_an_option_file_with_a_border():
    pytest.importorskip('lpips')
    from basicsr.metrics import calculate_metric

    image, other = read('lpips_ex_ref.png'), read('lpips_ex_p0.png')
    framed = other.copy()
    framed[4:-4, 4:-4] = image[4:-4, 4:-4]
    options = dict(type='calculate_lpips', crop_border=4, weights=str(WEIGHTS / 'alexnet_features.pth'), better='lower')
    assert calculate_metric(dict(img=framed, img2=image), options) == 0
    assert calculate_metric(dict(img=other, img2=image), options) > 0.1


def test_missing_weights_are_named(tmp_path):
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(FileNotFoundError, match='alexnet-owt-7be5be79.pth'):
        calculate_lpips(image, image, weights=str(tmp_path / 'none.pth'))


def test_weights_of_another_network_are_refused(tmp_path):
    pytest.importorskip('lpips')
    import torch

    torch.save({'layer.weight': torch.zeros(3)}, tmp_path / 'other.pth')
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ValueError, match='other.pth does not hold'):
        calculate_lpips(image, image, weights=str(tmp_path / 'other.pth'))


def test_sizes_must_agree():
    with pytest.raises(ValueError, match='one size'):
        calculate_lpips(np.zeros((64, 64, 3), np.uint8), np.zeros((32, 32, 3), np.uint8))
