"""Real LR faces without ground truth, for testing."""

from collections.abc import Mapping
from typing import Any

from torch.utils.data import Dataset

from .face_images import FaceImages, size_options


class LRFaceDataset(Dataset):
    """LR faces from a folder or LMDB, for validation and tests.

    Items: ``lq`` float32 (3, lq_size, lq_size), RGB, [0, 1]; ``lq_path``.

    Args:
        opt: data set options.
            dataroot_lq (str): folder or LMDB.
            lq_size (int): images are resized to this side. Without it they come as they are.

    Raises:
        FileNotFoundError, ValueError: bad options or data, in one sentence. Reading a bad image raises
            CorruptImageError.
    """

    option_keys = frozenset({'dataroot_lq', 'lq_size'})

    def __init__(self, opt: Mapping[str, Any]) -> None:
        self.opt = opt
        _, lq_size = size_options(opt)
        self.lq = FaceImages(opt, 'dataroot_lq', lq_size)
        self.lq.check()

    def __len__(self) -> int:
        return len(self.lq)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {'lq': self.lq.read(index), 'lq_path': self.lq.path(index)}
