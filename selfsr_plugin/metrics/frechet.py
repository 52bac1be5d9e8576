"""The Frechet distance between two sets of images, in the features of some network; FID is one such distance.

BasicSR calls a metric once for each image, adds up what it returns and divides by the number of images. A distance
between sets is no such mean, so the metrics built on this file return a :class:`FrechetSum`, which behaves in that
arithmetic as a number does: adding gathers the features, and dividing gives the distance of the whole set.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from basicsr.utils import get_root_logger, img2tensor
from torch import nn
from tqdm import tqdm

from ..data.image_source import CorruptImageError, ImageSource, open_image_source
from ..errors import UserError
from .feature_statistics import FeatureStatistics
from .weights import WeightsFile, find_weights

_BATCH = 16


class FeatureNetwork(NamedTuple):
    """What the features are taken from.

    Attributes:
        metric: name of the distance, for messages.
        dimension: number of features D.
        file: the published weights.
        load: from their path to a network that maps (N, 3, H, W), RGB in [0, 1], to (N, D). ValueError for a file of
            another network.
    """

    metric: str
    dimension: int
    file: WeightsFile
    load: Callable[[Path], nn.Module]


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """Squared Frechet distance of two Gaussians (Dowson and Landau, 1982), as FID reports it::

        |mu_a - mu_b|^2 + tr(C_a) + tr(C_b) - 2 tr((C_a C_b)^(1/2))

    With C = F F^T the last trace is the sum of the singular values of F_a^T F_b. That needs no square root of a product
    that is not symmetric, gives no complex numbers, and stays exact where the covariances have no full rank, as for
    sets of fewer images than features.
    """
    shift = a.mean - b.mean
    singular = np.linalg.svd(_factor(a.covariance).T @ _factor(b.covariance), compute_uv=False)
    distance = shift @ shift + np.trace(a.covariance) + np.trace(b.covariance) - 2 * singular.sum()
    return max(float(distance), 0.0)  # rounding may leave -1e-12 for equal sets


def _factor(covariance: np.ndarray) -> np.ndarray:
    """F (D, r) with F F^T = covariance of rank r; eigenvalues that are rounding noise are left out."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > values.max() * len(values) * np.finfo(np.float64).eps
    return vectors[:, kept] * np.sqrt(values[kept])


@lru_cache(maxsize=2)
def _load(network: FeatureNetwork, path: Path, device: str) -> nn.Module:
    return network.load(path).to(device).eval().requires_grad_(False)


@torch.no_grad()
def extract_features(network: FeatureNetwork, images: Sequence[np.ndarray], weights: str | None = None) -> np.ndarray:
    """Features (N, D) of images of one size, (H, W, 3) uint8, BGR; on the GPU if there is one.

    Raises:
        FileNotFoundError: no weights. ValueError: weights of another network.
    """
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = _load(network, find_weights(network.file, weights), device)
    batch = torch.stack([img2tensor(image) for image in images]).to(device) / 255
    return model(batch).cpu().numpy()


def source_statistics(
    network: FeatureNetwork, source: ImageSource, weights: str | None = None, problems: list[str] | None = None
) -> FeatureStatistics:
    """Statistics of a folder or LMDB, in batches of images of one size, with a progress bar.

    ``problems`` gets '<path>: <reason>' for each image that cannot be read and is left out; without it such an image is
    a CorruptImageError.
    """
    statistics = FeatureStatistics(network.dimension)
    batch: list[np.ndarray] = []
    for index in tqdm(
        range(len(source)), unit='image', desc=f'{network.metric} of {source.root}', leave=False, disable=None
    ):
        try:
            image = source.read(index)
        except CorruptImageError as error:
            if problems is None:
                raise
            problems.append(str(error))
            continue
        if batch and (len(batch) == _BATCH or image.shape != batch[0].shape):
            statistics.update(extract_features(network, batch, weights))
            batch = []
        batch.append(image)
    if batch:
        statistics.update(extract_features(network, batch, weights))
    return statistics


@lru_cache(maxsize=4)
def reference_statistics(network: FeatureNetwork, reference: str, weights: str | None = None) -> FeatureStatistics:
    """Statistics of a folder, an LMDB or a statistics file; kept, since every validation compares with the same.

    Raises:
        FileNotFoundError, ValueError: nothing usable there, or a statistics file of other features.
    """
    if is_statistics_file(reference):
        return FeatureStatistics.load(Path(reference).expanduser(), network.dimension)
    return source_statistics(network, open_image_source(reference), weights)


def is_statistics_file(reference: str) -> bool:
    """Whether a reference is a file of statistics by its name, and not a folder or LMDB of images."""
    return str(reference).endswith('.npz')


def check_reference(network: FeatureNetwork, reference: str) -> None:
    """Look at a reference without computing anything.

    Raises:
        FileNotFoundError, ValueError: as :func:`reference_statistics`, or a folder of one image.
    """
    if is_statistics_file(reference):
        reference_statistics(network, reference)
    elif len(open_image_source(reference)) < 2:
        raise UserError(f'{reference} holds one image, and {network.metric} compares sets: give two or more.')


def score(network: FeatureNetwork, restored: FeatureStatistics, reference: FeatureStatistics) -> float:
    """The distance; logs how many images it rests on, and warns where these are too few to compare with other figures.

    Raises:
        UserError: a set of one image.
    """
    counts = (restored.count, reference.count)
    if any(count is not None and count < 2 for count in counts):
        raise UserError(
            f'{network.metric} compares two sets of two or more images each, and there is {counts[0]} '
            f'restored against {_said(counts[1])} reference: leave it out or give more images.'
        )
    logger = get_root_logger()
    logger.info(f'{network.metric}: N = {counts[0]} restored images, N = {_said(counts[1])} reference images.')
    warning = small_sample_warning(network, *counts)
    if warning:
        logger.warning(warning)
    return frechet_distance(restored, reference)


def small_sample_warning(network: FeatureNetwork, *counts: int | None) -> str:
    """What to say of a figure from fewer images than features, or ''."""
    if any(count is not None and count < network.dimension for count in counts):
        return (
            f'{network.metric} is biased upwards with few images: N = {" and ".join(map(_said, counts))} is below '
            f'the {network.dimension} features, so compare only figures of the same N.'
        )
    return ''


def _said(count: int | None) -> str:
    return 'an unknown number of' if count is None else str(count)


class FrechetSum:
    """What one image adds to the distance of a set.

    ``0 + first``, then ``total += next`` gathers, in one process or over several; ``total / number of images`` is the
    distance of what was gathered.

    Args:
        network: where the features come from.
        img: a restored image, (H, W, 3) uint8, BGR.
        img2: its ground truth; the reference is the set of these where none is named.
        reference: folder, LMDB or .npz with the statistics to compare with.
        weights: file with the weights of ``network``.

    Raises:
        UserError: neither ground truth nor a reference.
    """

    def __init__(
        self,
        network: FeatureNetwork,
        img: np.ndarray,
        img2: np.ndarray | None,
        reference: str | None,
        weights: str | None,
    ) -> None:
        self.network, self.reference, self.weights = network, reference, weights
        if reference is None and img2 is None:
            raise UserError(
                f"{network.metric}: this data set has no ground truth, so the metric needs 'reference': a "
                'folder, an LMDB or an .npz statistics file to compare with.'
            )
        self.restored = self._start(img)
        self.truth = self._start(img2) if reference is None else None

    def _start(self, image: np.ndarray) -> FeatureStatistics:
        statistics = FeatureStatistics(self.network.dimension)
        statistics.update(extract_features(self.network, [image], self.weights))
        return statistics

    def __radd__(self, zero: float) -> 'FrechetSum':
        return self if zero == 0 else NotImplemented

    def __iadd__(self, other: 'FrechetSum') -> 'FrechetSum':
        if not isinstance(other, FrechetSum):
            return NotImplemented
        self.restored.merge(other.restored)
        if self.truth is not None:
            self.truth.merge(other.truth)
        return self

    def __truediv__(self, count: float) -> float:
        if count != self.restored.count:
            raise ValueError(f'{self.network.metric} of {self.restored.count} images was divided by {count}.')
        truth = (
            self.truth if self.reference is None else reference_statistics(self.network, self.reference, self.weights)
        )
        return score(self.network, self.restored, truth)

    def __float__(self) -> float:
        raise UserError(
            f'{self.network.metric} compares sets of images and has no value for a single one: ask for it '
            'in val.metrics of an image model, or use python -m selfsr_plugin.evaluate.'
        )
