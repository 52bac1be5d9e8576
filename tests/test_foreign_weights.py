"""Files of weights that others made: every place that reads some runs no code of them."""

import re

import numpy as np
import pytest
import torch

from selfsr_plugin.baselines.landmark_sources import load_facexlib
from selfsr_plugin.engine.checkpoint import load_checkpoint
from selfsr_plugin.errors import UserError
from selfsr_plugin.metrics.feature_statistics import FeatureStatistics
from selfsr_plugin.metrics.weights import ALEXNET, find_weights, read_weights
from selfsr_plugin.preparation.detection import FaceDetector


class Bomb:
    """Creates a file when unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return open, (self.path, 'w')


@pytest.mark.parametrize(
    'read',
    [
        load_checkpoint,
        lambda path: read_weights(ALEXNET, path),
        lambda path: load_facexlib(torch.nn.Linear(1, 1), 'fan', str(path), 'https://example.org'),
        lambda path: FaceDetector(path),
    ],
    ids=['checkpoint', 'metric', 'landmarks', 'detector'],
)
def test_loading_runs_no_code(tmp_path, read):
    mark, evil = tmp_path / 'mark', tmp_path / 'evil.pth'
    torch.save(dict(weight=Bomb(str(mark))), evil)
    with pytest.raises(UserError, match='evil.pth'):
        read(evil)
    assert not mark.exists()
    torch.load(evil, weights_only=False)  # the bomb is live
    assert mark.exists()


def test_statistics_run_no_code(tmp_path):
    mark, evil = tmp_path / 'mark', tmp_path / 'evil.npz'
    np.savez(evil, mu=np.array([Bomb(str(mark))], object), sigma=np.eye(1), n=2)
    with pytest.raises(UserError, match='evil.npz is no statistics file'):
        FeatureStatistics.load(evil, 1)
    assert not mark.exists()


@pytest.mark.parametrize('content', [dict(weight=1), [torch.zeros(1)]])
def test_what_holds_no_weights_is_named(tmp_path, content):
    torch.save(content, tmp_path / 'net.pth')
    with pytest.raises(UserError, match=r"net\.pth does not hold torchvision's AlexNet: download https://"):
        read_weights(ALEXNET, tmp_path / 'net.pth')


def test_weights_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'net.pth').touch()
    assert find_weights(ALEXNET, '~/net.pth') == tmp_path / 'net.pth'
    with pytest.raises(FileNotFoundError, match=re.escape(f'there is no file {tmp_path}/other.pth')):
        find_weights(ALEXNET, '~/other.pth')
