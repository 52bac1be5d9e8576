"""What a metric of an option file needs: looked at before training, so that no validation fails for want of it."""

import difflib
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
WEIGHTS = {
    'calculate_lpips': ALEXNET,
    'calculate_identity': ARCFACE,
    **{name: network.file for name, network in SET_METRICS.items()},
}


def check_metric(settings: Mapping[str, Any]) -> None:
    """Check a section of ``val.metrics``, and the files that it needs.

    Raises:
        FileNotFoundError, PermissionError, ValueError: missing weights, a reference that cannot be used, or a
            ``better`` or another key that is wrong.
    """
    direction(settings)
    metric = settings['type']
    _check_keys(settings)
    if metric in WEIGHTS:
        find_weights(WEIGHTS[metric], settings.get('weights'))
    if metric in SET_METRICS and settings.get('reference') is not None:
        check_reference(SET_METRICS[metric], settings['reference'])


def _check_keys(settings: Mapping[str, Any]) -> None:
    """BasicSR's metrics take any key and ignore those that they do not know; metrics of others may read them."""
    if settings['type'] not in METRIC_REGISTRY:  # of a caller that names it otherwise
        return
    function = METRIC_REGISTRY.get(settings['type'])
    if function.__module__.split('.')[0] not in ('basicsr', 'selfsr_plugin'):
        return
    known = {'type', 'better', *inspect.signature(function).parameters} - {'img', 'img2', 'kwargs'}
    for key in settings:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            raise UserError(
                f'{key}: {settings["type"]} does not read this key; '
                + (f"did you mean '{close[0]}'?" if close else 'leave it out.')
            )
    border = settings.get('crop_border', 0)
    if isinstance(border, bool) or not isinstance(border, int) or border < 0:
        raise UserError(f'crop_border: {border!r} must be a whole number of pixels, 0 or more.')
    if settings.get('input_order', 'HWC') != 'HWC':
        raise UserError(f'input_order: {settings["input_order"]!r}: images come as HWC; leave the key out.')


def check_set_size(settings: Mapping[str, Any], num_image: int) -> None:
    """Check that a data set is large enough for a section of ``val.metrics``; ValueError if not."""
    if settings['type'] in SET_METRICS and num_image < 2:
        raise UserError(
            f'{settings["type"]} compares sets of images, and this data set has one: leave the metric out '
            'or give more images.'
        )


def needs_ground_truth(settings: Mapping[str, Any]) -> bool:
    """Whether a section of ``val.metrics`` cannot be computed from restored images alone."""
    if settings['type'] in SET_METRICS:
        return settings.get('reference') is None
    parameter = inspect.signature(METRIC_REGISTRY.get(settings['type'])).parameters.get('img2')
    return parameter is not None and parameter.default is parameter.empty
