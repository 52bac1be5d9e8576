"""What a metric of an option file needs: looked at before training, so that no validation fails for want of it."""
import inspect
from typing import Any, Mapping

from basicsr.utils.registry import METRIC_REGISTRY

from .fid_metric import FID
from .frechet import check_reference
from .frechet_alex_metric import FRECHET_ALEX
from .weights import ALEXNET, ARCFACE, find_weights

SET_METRICS = {'calculate_fid': FID, 'calculate_frechet_alex': FRECHET_ALEX}
WEIGHTS = {'calculate_lpips': ALEXNET, 'calculate_identity': ARCFACE,
           **{name: network.file for name, network in SET_METRICS.items()}}


def check_metric(settings: Mapping[str, Any]) -> None:
    """Check the files that a section of ``val.metrics`` needs.

    Raises:
        FileNotFoundError, PermissionError, ValueError: missing weights, or a reference that cannot be used.
    """
    metric = settings['type']
    if metric in WEIGHTS:
        find_weights(WEIGHTS[metric], settings.get('weights'))
    if metric in SET_METRICS and settings.get('reference') is not None:
        check_reference(SET_METRICS[metric], settings['reference'])


def check_metric_on(settings: Mapping[str, Any], num_image: int, has_truth: bool) -> None:
    """Check that a data set has what a section of ``val.metrics`` needs.

    Raises:
        ValueError: a set-level metric on one image, or without anything to compare with.
    """
    if settings['type'] not in SET_METRICS:
        return
    if num_image < 2:
        raise ValueError(f'{settings["type"]} compares sets of images, and this data set has one: leave the metric out '
                         'or give more images.')
    if not has_truth and settings.get('reference') is None:
        raise ValueError(f"{settings['type']}: this data set has no ground truth, so the metric needs 'reference': a "
                         'folder, an LMDB or an .npz statistics file.')


def needs_ground_truth(metric: str) -> bool:
    """Whether a metric of the registry cannot be computed from the restored image alone."""
    parameter = inspect.signature(METRIC_REGISTRY.get(metric)).parameters.get('img2')
    return parameter is not None and parameter.default is parameter.empty
