"""Metrics that BasicSR lacks."""

from .blur_metric import calculate_blur
from .direction import direction
from .fid_metric import calculate_fid
from .frechet_alex_metric import calculate_frechet_alex
from .identity_metric import calculate_identity
from .lpips_metric import calculate_lpips
from .requirements import check_metric, check_set_size, needs_ground_truth

__all__ = [
    'calculate_blur',
    'calculate_fid',
    'calculate_frechet_alex',
    'calculate_identity',
    'calculate_lpips',
    'check_metric',
    'check_set_size',
    'direction',
    'needs_ground_truth',
]
