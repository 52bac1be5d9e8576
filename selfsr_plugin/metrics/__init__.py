"""Metrics that BasicSR lacks."""
