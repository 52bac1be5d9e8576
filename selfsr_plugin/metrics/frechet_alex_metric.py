"""A Frechet distance on AlexNet's features, for where the FID network cannot be had. It is not FID."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .alexnet import load_alexnet
from .frechet import FeatureNetwork, FrechetSum
from .weights import ALEXNET


class AlexFeatures(nn.Module):
    """Means over the image of AlexNet's last convolutional features, the deepest of those that LPIPS compares.

    Ours. Images are resized to AlexNet's 224x224 (bilinear); in a trial on LFW faces of 64x64 pixels that set blurred
    and noisy faces much further apart from sharp ones, relative to two halves of one set, than without. LPIPS's
    normalisation over channels set them further apart still; it is left out because FID's features have none either
    and distances would be some thousandths. 256 features need few images.
    """

    def __init__(self, features: nn.Sequential) -> None:
        super().__init__()
        self.features = features[:12]  # up to the fifth ReLU, without the last pooling
        self.register_buffer('shift', torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer('scale', torch.tensor([0.229, 0.224, 0.225])[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W), RGB in [0, 1], any size -> (N, 256)."""
        images = F.interpolate(images, size=(224, 224), mode='bilinear', align_corners=False)
        return self.features((images - self.shift) / self.scale).mean(dim=(2, 3))


def load_alex_features(path: Path) -> AlexFeatures:
    """The network with torchvision's weights in ``path``; ValueError if it holds another network."""
    return AlexFeatures(load_alexnet(path))


FRECHET_ALEX = FeatureNetwork('Frechet-AlexNet', 256, ALEXNET, load_alex_features)


def calculate_frechet_alex(
    img: np.ndarray,
    img2: np.ndarray | None = None,
    reference: str | None = None,
    weights: str | None = None,
    better: str = 'lower',
) -> FrechetSum:
    """One image's part in the Frechet distance of a data set on AlexNet's features; not comparable with any FID.

    Args:
        img: a restored image, (H, W, 3) uint8, BGR.
        img2: its ground truth, if there is one.
        reference: folder, LMDB or .npz statistics file to compare with; the ground-truth images by default.
        weights: file with torchvision's AlexNet weights; torch.hub's cache by default.
        better: which values are, for :func:`.direction.direction`.

    Raises:
        ValueError: neither ground truth nor a reference, or a file of another network.
        FileNotFoundError: no weights.
    """
    return FrechetSum(FRECHET_ALEX, img, img2, reference, weights)
