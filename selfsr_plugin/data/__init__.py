"""Datasets and image sources."""

from .bad_images import BadImageLog
from .decoding import CorruptImageError
from .hr_face_dataset import HRFaceDataset
from .image_bytes import ImageBytes
from .image_source import ImageSource, close_environments, open_image_source
from .lr_face_dataset import LRFaceDataset
from .paired_face_dataset import PairedFaceDataset
from .sampling import InfiniteSampler, SeededDataset, build_train_loader
from .unpaired_face_dataset import UnpairedFaceDataset

__all__ = [
    'BadImageLog',
    'CorruptImageError',
    'HRFaceDataset',
    'ImageBytes',
    'ImageSource',
    'InfiniteSampler',
    'LRFaceDataset',
    'PairedFaceDataset',
    'SeededDataset',
    'UnpairedFaceDataset',
    'build_train_loader',
    'close_environments',
    'open_image_source',
]
