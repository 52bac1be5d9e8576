"""Identity: cosine similarity of ArcFace embeddings (Deng et al., CVPR 2019), through facexlib, as a BasicSR metric."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from basicsr.utils import img2tensor
from torch import Tensor, nn
from torch.nn import functional as F

from .weights import ARCFACE, find_weights, read_weights, wrong_weights

_SIDE = 112


@lru_cache(maxsize=2)
def _load_arcface(path: Path, device: str) -> nn.Module:
    """facexlib's own ``init_recognition_model`` needs CUDA and downloads; this is the same network from a file."""
    from facexlib.recognition.arcface_arch import Backbone

    model = Backbone(num_layers=50, drop_ratio=0.6, mode='ir_se')
    try:
        model.load_state_dict(read_weights(ARCFACE, path))
    except RuntimeError:
        raise wrong_weights(ARCFACE, path) from None
    return model.to(device).eval().requires_grad_(False)


def prepare_face(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8, BGR -> (3, 112, 112), RGB in [-1, 1], the input that facexlib's IR-SE50 was trained on.

    Resized bilinearly, with antialiasing where it shrinks.
    """
    face = img2tensor(image.astype(np.float32) / 127.5 - 1)
    return F.interpolate(face[None], size=(_SIDE, _SIDE), mode='bilinear', align_corners=False, antialias=True)[0]


def face_similarity(img: np.ndarray, img2: np.ndarray, weights: str | None = None) -> float:
    """:func:`calculate_identity` for images of any sizes, such as a restored face and the LR face it was made of."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = _load_arcface(find_weights(ARCFACE, weights), device)
    with torch.no_grad():
        a, b = model(torch.stack([prepare_face(img), prepare_face(img2)]).to(device)).double()  # of length 1
    return float(a @ b / (a.norm() * b.norm()))


def calculate_identity(img: np.ndarray, img2: np.ndarray, weights: str | None = None, better: str = 'higher') -> float:
    """How much a restored face looks like the same person: -1 to 1, 1 for equal images, higher is better.

    The whole image goes to the network. It was trained on faces aligned to 112x112, so the figures of faces framed
    otherwise are lower; compare methods on one data set, not data sets. (GFPGAN's identity loss uses another network,
    a ResNet-18 on grey 128x128 faces, which facexlib does not have.)

    Args:
        img, img2: restored face and ground truth, (H, W, 3) uint8, BGR, of one size.
        weights: facexlib's weights file; facexlib's own folder by default.
        better: which values are, for :func:`.direction.direction`.

    Raises:
        ValueError: images of different sizes, or a weights file of another network.
        FileNotFoundError: no weights.
    """
    if img.shape != img2.shape:
        raise ValueError(f'identity compares images of one size, not {img.shape} and {img2.shape}.')
    return face_similarity(img, img2, weights)
