"""LPIPS (Zhang et al., CVPR 2018; AlexNet, version 0.1) as a BasicSR metric."""

import contextlib
import io
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from basicsr.utils import img2tensor
from torch import nn

from .alexnet import load_alexnet
from .weights import ALEXNET, find_weights


@lru_cache(maxsize=2)
def _load_lpips(path: Path, device: str) -> nn.Module:
    try:
        import lpips
    except ImportError:
        raise ImportError("LPIPS needs the package lpips: pip install 'selfsr-plugin[metrics]'.") from None
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter('ignore')  # it asks torchvision for an untrained network in an outdated way, and prints
        model = lpips.LPIPS(net='alex', pnet_rand=True)
    features = load_alexnet(path)
    for stage in ('slice1', 'slice2', 'slice3', 'slice4', 'slice5'):
        for name, layer in getattr(model.net, stage).named_children():
            layer.load_state_dict(features[int(name)].state_dict())
    return model.to(device).eval().requires_grad_(False)


def calculate_lpips(
    img: np.ndarray,
    img2: np.ndarray,
    crop_border: int = 0,
    weights: str | None = None,
    better: str = 'lower',
    **kwargs: Any,
) -> float:
    """LPIPS distance of two images; 0 for equal ones, lower is better.

    Args:
        img, img2: (H, W, 3) uint8, BGR, of one size.
        crop_border: pixels left out at each edge.
        weights: file with torchvision's AlexNet weights; torch.hub's cache by default.
        better: which values are, for :func:`.direction.direction`.
        kwargs: BasicSR passes further options, which are not used.

    Raises:
        ValueError: images of different sizes, or a weights file of another network.
        FileNotFoundError: no weights.
    """
    if img.shape != img2.shape:
        raise ValueError(f'LPIPS compares images of one size, not {img.shape} and {img2.shape}.')
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = _load_lpips(find_weights(ALEXNET, weights), device)
    if crop_border:
        img, img2 = (each[crop_border:-crop_border, crop_border:-crop_border] for each in (img, img2))
    tensors = [img2tensor(each.astype(np.float32) / 127.5 - 1)[None].to(device) for each in (img, img2)]
    with torch.no_grad():
        return model(*tensors).item()
