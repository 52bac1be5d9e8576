"""Metrics that BasicSR lacks. Importing this package registers them in METRIC_REGISTRY."""
from .lpips_metric import calculate_lpips

__all__ = ['calculate_lpips']
