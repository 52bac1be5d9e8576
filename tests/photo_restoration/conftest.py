"""Painted photos, a detector that knows where the faces are, and networks that change nothing or everything."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from selfsr_plugin.ops import bicubic_resize
from selfsr_plugin.photo_restoration.restorer import PhotoRestorer
from selfsr_plugin.preparation.faces import Face
from selfsr_plugin.preparation.framing import TEMPLATE


class Enlarge(nn.Module):
    """Returns its input enlarged, and remembers the shapes of its batches."""

    scale = 4

    def __init__(self):
        super().__init__()
        self.shapes = []

    def forward(self, lq):
        if lq.device.type != 'meta':
            self.shapes.append((len(lq), lq.shape[-1]))
        return bicubic_resize(lq, lq.shape[-1] * self.scale)


class Checks(nn.Module):
    """Paints a chequered pattern over the whole square: something that is seen wherever it is pasted."""

    scale = 4

    def forward(self, lq):
        side = lq.shape[-1] * self.scale
        steps = torch.arange(side, device=lq.device) // 2 % 2
        return (steps[:, None] ^ steps[None]).float().expand(len(lq), 3, side, side)


def face(left, top, side, score=0.95):
    points = TEMPLATE * side + (left, top)
    return Face((left + 0.2 * side, top + 0.15 * side, left + 0.8 * side, top + 0.97 * side), points, score)


def photo(height=150, width=200, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 12, width // 12, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def detector(*faces):
    """Finds these faces in whatever it is shown, and counts how often it is asked."""

    def detect(image, threshold):
        detect.calls += 1
        return [face for face in faces if face.score >= threshold]

    detect.calls = 0
    return detect


def restorer(*faces, net=None, **options):
    return PhotoRestorer(net or Enlarge(), detect=detector(*faces), device='cpu', **options)


@pytest.fixture(scope='session')
def kit():
    return SimpleNamespace(Enlarge=Enlarge, Checks=Checks, face=face, photo=photo, detector=detector, restorer=restorer)
