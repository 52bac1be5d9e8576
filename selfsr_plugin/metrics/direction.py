"""Whether higher or lower values of a metric are better."""

import inspect
from collections.abc import Mapping
from typing import Any

from basicsr.utils.registry import METRIC_REGISTRY

from ..errors import UserError

DIRECTIONS = ('higher', 'lower')
# BasicSR's own; without ``better`` it takes all of them for 'higher'.
_BASICSR = {
    'calculate_psnr': 'higher',
    'calculate_psnr_pt': 'higher',
    'calculate_ssim': 'higher',
    'calculate_ssim_pt': 'higher',
    'calculate_niqe': 'lower',
}


def own_direction(metric: str) -> str | None:
    """'higher' or 'lower' for a metric that is known to count so, else None.

    A metric of any package states it as the default of its parameter ``better``, as those of this package do.

    Raises:
        KeyError: no metric of that name is registered.
    """
    parameter = inspect.signature(METRIC_REGISTRY.get(metric)).parameters.get('better')
    stated = None if parameter is None else parameter.default
    return stated if stated in DIRECTIONS else _BASICSR.get(metric)


def direction(settings: Mapping[str, Any]) -> str | None:
    """Which values of a section of ``val.metrics`` are better: its ``better``, or else what the metric is known for.

    Returns:
        'higher', 'lower', or None where neither says so.

    Raises:
        KeyError: no metric of that name is registered.
        UserError: ``better`` is neither of the two words, or the opposite of what the metric is known for.
    """
    known, said = own_direction(settings['type']), settings.get('better')
    if said is None:
        return known
    if said not in DIRECTIONS:
        raise UserError(f"better: {said!r} must be 'higher' or 'lower'.")
    if known not in (None, said):
        raise UserError(
            f'better: {said} is wrong for {settings["type"]}, of which {known} values are better: leave the key out.'
        )
    return said
