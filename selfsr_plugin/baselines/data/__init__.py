"""Data sets of the methods compared with."""

from .face_prior_dataset import FacePriorDataset

__all__ = ['FacePriorDataset']
