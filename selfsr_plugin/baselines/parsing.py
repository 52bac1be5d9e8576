"""Parsing maps of faces: which part of the face each pixel belongs to, from a network or from 68 landmarks.

Stored as grey images of labels, of the names of the faces, in a folder or an LMDB::

    0 none of these (background, hair, neck)    6 left ear      7 right ear
    1 skin                                      8 nose
    2 left brow     3 right brow                9 inside of the mouth
    4 left eye      5 right eye                10 upper lip    11 lower lip

The eleven are those that FSRNet's paper names for CelebA. Left and right are those of the picture.
"""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor

from .landmark_sources import facexlib_file, load_facexlib
from .landmarks import FaceLandmarks

PARTS = 11
PAIRS = ((2, 3), (4, 5), (6, 7))  # left, right
PARSENET_URL = 'https://github.com/xinntao/facexlib/releases/download/v0.2.2/parsing_parsenet.pth'

# Of the 19 classes of facexlib's parsenet, those of CelebAMask-HQ; glasses count as skin, as they lie on it.
_OF_PARSENET = np.array([0, 1, 8, 1, 4, 5, 2, 3, 6, 7, 9, 10, 11, 0, 0, 0, 0, 0, 0], np.uint8)
_PARSENET_SIDE = 512

# Polygons of the 68 points, painted in this order. Ears are not among the points. Ours.
_POLYGONS = (
    (1, (*range(17), 26, 25, 24, 19, 18, 17)),
    (8, (27, 31, 32, 33, 34, 35)),
    (4, tuple(range(36, 42))),
    (5, tuple(range(42, 48))),
    (10, (*range(48, 55), 64, 63, 62, 61, 60)),
    (11, (*range(54, 60), 48, 60, 67, 66, 65, 64)),
    (9, tuple(range(60, 68))),
)
_BROWS = ((2, range(17, 22)), (3, range(22, 27)))
_BROW_WIDTH = 0.09  # of the distance between the outer corners of the eyes


def one_hot(labels: Tensor, size: int) -> Tensor:
    """The share of each part in every pixel of smaller maps: (N, H, W) labels -> (N, 11, size, size) in [0, 1]."""
    parts = torch.arange(1, PARTS + 1, device=labels.device)
    maps = (labels[:, None] == parts[:, None, None]).to(torch.get_default_dtype())
    return torch.nn.functional.adaptive_avg_pool2d(maps, size)


def mirror_labels(labels: Tensor) -> Tensor:
    """The labels of the mirrored picture, (H, W) uint8: left and right changed over."""
    table = torch.arange(256, dtype=torch.uint8)
    for left, right in PAIRS:
        table[left], table[right] = right, left
    return table[labels.flip(-1).long()]


def from_landmarks(face: FaceLandmarks) -> np.ndarray:
    """Labels (height, width) uint8 of a face: polygons of its 68 points (ours, coarse: no forehead above the brows)."""
    labels = np.zeros((face.height, face.width), np.uint8)
    points = np.round(face.points * 16).astype(np.int32)  # OpenCV takes sixteenths
    for label, order in _POLYGONS:
        cv2.fillPoly(labels, [points[list(order)]], label, cv2.LINE_8, 4)
    width = max(1, round(_BROW_WIDTH * float(np.linalg.norm(face.points[45] - face.points[36]))))
    for label, order in _BROWS:
        cv2.polylines(labels, [points[list(order)]], False, label, width, cv2.LINE_8, 4)
    return labels


def parsenet(weights: str | None, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """facexlib's parsenet: from a face (H, W, 3) uint8, BGR, to its labels (H, W) uint8.

    Which of two brows, eyes or ears is the left one is taken from where they lie.

    Raises:
        UserError: the network's file is missing or broken.
    """
    file = facexlib_file('parsenet', weights, PARSENET_URL)
    from facexlib.parsing.parsenet import ParseNet

    net = ParseNet(in_size=_PARSENET_SIDE, out_size=_PARSENET_SIDE, parsing_ch=19)
    load_facexlib(net, 'parsenet', file, PARSENET_URL)
    net.to(device).eval()

    @torch.no_grad()
    def parse(image: np.ndarray) -> np.ndarray:
        side = cv2.resize(image, (_PARSENET_SIDE, _PARSENET_SIDE), interpolation=cv2.INTER_LINEAR)
        rgb = torch.from_numpy(np.ascontiguousarray(side[..., ::-1].transpose(2, 0, 1))).float()
        found = net((rgb / 127.5 - 1)[None].to(device))[0].argmax(1)[0].cpu().numpy()
        labels = cv2.resize(_OF_PARSENET[found], image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        return _left_is_left(labels)

    return parse


def _left_is_left(labels: np.ndarray) -> np.ndarray:
    for left, right in PAIRS:
        places = [np.nonzero(labels == label)[1] for label in (left, right)]
        if all(map(len, places)) and places[0].mean() > places[1].mean():
            labels = np.where(labels == left, right, np.where(labels == right, left, labels)).astype(np.uint8)
    return labels
