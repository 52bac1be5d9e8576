"""AlexNet's convolutions, for LPIPS and for the Frechet distance on its features."""

from pathlib import Path

from torch import nn
from torchvision.models import alexnet

from .weights import ALEXNET, read_weights, wrong_weights


def load_alexnet(path: Path) -> nn.Sequential:
    """``features`` of torchvision's AlexNet with the weights in ``path`` ('features.0.weight', ...), in eval mode.

    Raises:
        ValueError: the file holds another network.
    """
    weights = read_weights(ALEXNET, path)
    features = alexnet(weights=None).features
    try:
        features.load_state_dict({key: weights[f'features.{key}'] for key in features.state_dict()})
    except (KeyError, RuntimeError):
        raise wrong_weights(ALEXNET, path) from None
    return features.eval().requires_grad_(False)
