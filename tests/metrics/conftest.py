"""Networks with random weights in the published architectures, as files, and small folders of faces."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

import selfsr_plugin  # noqa: F401  before any test imports basicsr: applies the alias that its import needs

DEMO = Path(__file__).resolve().parents[2] / 'datasets/demo'


@pytest.fixture(scope='session')
def inception_file(tmp_path_factory) -> str:
    """A file as the published FID weights, with random weights."""
    from selfsr_plugin.metrics.fid_metric import FIDInception

    torch.manual_seed(1)
    net = FIDInception().net
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)  # torch's default makes all features nearly 0 by then
    path = tmp_path_factory.mktemp('weights') / 'inception.pth'
    torch.save(net.state_dict(), path)
    return str(path)


@pytest.fixture(scope='session')
def faces() -> SimpleNamespace:
    """Demo faces: ``hr`` and bicubic copies ``blurred``, uint8 BGR 64x64."""
    hr = [cv2.imread(str(path)) for path in sorted((DEMO / 'test_hr').glob('*.png'))[:8]]
    hr = [cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA) for image in hr]
    small = [cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA) for image in hr]
    blurred = [cv2.resize(image, (64, 64), interpolation=cv2.INTER_CUBIC) for image in small]
    return SimpleNamespace(hr=hr, blurred=blurred)


def write_images(folder: Path, images, suffix: str = '') -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        assert cv2.imwrite(str(folder / f'{number:03d}{suffix}.png'), np.ascontiguousarray(image))
    return str(folder)


@pytest.fixture(scope='session')
def write():
    return write_images
