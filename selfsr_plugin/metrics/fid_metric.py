"""FID (Heusel et al., NeurIPS 2017) as a BasicSR metric, computed as pytorch-fid does."""

from pathlib import Path

import numpy as np
from basicsr.archs.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.inception import Inception3

from .frechet import FeatureNetwork, FrechetSum
from .weights import FID_INCEPTION, read_weights, wrong_weights


class FIDInception(nn.Module):
    """The Inception network of the original FID code: torchvision's with the pooling of BasicSR's FID blocks."""

    def __init__(self) -> None:
        super().__init__()
        net = Inception3(num_classes=1008, aux_logits=False, init_weights=False)
        net.Mixed_5b = FIDInceptionA(192, pool_features=32)
        net.Mixed_5c = FIDInceptionA(256, pool_features=64)
        net.Mixed_5d = FIDInceptionA(288, pool_features=64)
        net.Mixed_6b = FIDInceptionC(768, channels_7x7=128)
        net.Mixed_6c = FIDInceptionC(768, channels_7x7=160)
        net.Mixed_6d = FIDInceptionC(768, channels_7x7=160)
        net.Mixed_6e = FIDInceptionC(768, channels_7x7=192)
        net.Mixed_7b = FIDInceptionE_1(1280)
        net.Mixed_7c = FIDInceptionE_2(2048)
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W), RGB in [0, 1], any size -> (N, 2048), the means of the last feature maps."""
        images = F.interpolate(images, size=(299, 299), mode='bilinear', align_corners=False)
        return self.net(images * 2 - 1)


def load_inception(path: Path) -> FIDInception:
    """The network with the published weights in ``path``, in eval mode.

    Raises:
        ValueError: the file holds another network.
    """
    weights, model = read_weights(FID_INCEPTION, path), FIDInception()
    try:
        model.net.load_state_dict(weights)
    except RuntimeError:
        raise wrong_weights(FID_INCEPTION, path) from None
    model.net.fc = nn.Identity()  # the features before the classifier are wanted
    return model.eval()


FID = FeatureNetwork('FID', 2048, FID_INCEPTION, load_inception)


def calculate_fid(
    img: np.ndarray,
    img2: np.ndarray | None = None,
    reference: str | None = None,
    weights: str | None = None,
    better: str = 'lower',
) -> FrechetSum:
    """One image's part in the FID of a data set; a set has a FID, an image has none (:mod:`.frechet`).

    Follows pytorch-fid: bilinear resizing to 299x299, covariances divided by N - 1. torch-fidelity resizes as
    TensorFlow 1 did, so that its figures differ a little.

    Args:
        img: a restored image, (H, W, 3) uint8, BGR.
        img2: its ground truth, if there is one.
        reference: folder, LMDB or .npz statistics file to compare with; the ground-truth images by default.
        weights: the FID weights file; torch.hub's cache by default.
        better: which values are, for :func:`.direction.direction`.

    Raises:
        ValueError: neither ground truth nor a reference, or a file of another network.
        FileNotFoundError: no weights.
    """
    return FrechetSum(FID, img, img2, reference, weights)
