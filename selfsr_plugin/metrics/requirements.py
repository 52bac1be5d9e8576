"""What a metric of an option file needs: looked at before training, so that no validation fails for want of it."""
import inspect
from collections.abc import Mapping
from typing import Any

from basicsr.utils.registry import METRIC_REGISTRY

from ..errors import UserError
from .direction import direction
from .fid_metric import FID
from .frechet import check_reference
from .frechet_alex_metric import FRECHET_ALEX
from .weights import ALEXNET, ARCFACE, find_weights

SET_METRICS = {'calculate_fid': FID, 'calculate_frechet_alex': FRECHET_ALEX}
WEIGHTS = {'calculate_lpips': ALEXNET, 'calculate_identity': ARCFACE,
           **{name: network.file for name, network in SET_METRICS.items()}}


def check_metric(settings: Mapping[str, Any]) -> None:
    """Check a section of ``val.metrics``, and the files that it needs.

    Raises:
        FileNotFoundError, PermissionError, ValueError: missing weights, a reference that cannot be used, or a ``better``
            that is wrong.
    """
    direction(settings)
    metric = settings['type']
    if metric in WEIGHTS:
        find_weights(WEIGHTS[metric], settings.get('weights'))
    if metric in SET_METRICS and settings.get('reference') is not None:
        check_reference(SET_METRICS[metric], settings['reference'])


def check_set_size(settings: Mapping[str, Any], num_image: int) -> None:
    """Check that a data set is large enough for a section of ``val.metrics``; ValueError if not."""
    if settings['type'] in SET_METRICS and num_image < 2:
        raise UserError(f'{settings["type"]} compares sets of images, and this data set has one: leave the metric out '
                         'or give more images.')


def needs_ground_truth(settings: Mapping[str, Any]) -> bool:
    """Whether a section of ``val.metrics`` cannot be computed from restored images alone."""
    if settings['type'] in SET_METRICS:
        return settings.get('reference') is None
    parameter = inspect.signature(METRIC_REGISTRY.get(settings['type'])).parameters.get('img2')
    return parameter is not None and parameter.default is parameter.empty
