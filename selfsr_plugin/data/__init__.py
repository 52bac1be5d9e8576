"""Datasets and image sources."""
