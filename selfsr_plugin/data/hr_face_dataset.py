"""HR faces alone: the clean domain that the degradation starts from."""

import random
from collections.abc import Mapping
from typing import Any

from torch.utils.data import Dataset

from .bad_images import BadImageLog
from .face_images import FaceImages, is_mirroring, is_training, max_bad_share, size_options


class HRFaceDataset(Dataset):
    """HR faces from a folder or LMDB.

    Items: ``gt`` float32 (3, gt_size, gt_size), RGB, [0, 1]; ``gt_path``; when training also ``bad_images``, '' or one
    '<path>: <reason>' line for each bad image that this item stands in for.

    Args:
        opt: data set options.
            dataroot_gt (str): folder or LMDB.
            gt_size (int): images are shrunk to this side. Without it (not when training) they come as they are.
            use_hflip (bool): mirror every image with probability 1/2 when training. Default: False.
            max_bad_share (float): share of bad images that training tolerates, ours. Default: 0.01.

    Raises:
        FileNotFoundError, ValueError: bad options or data, in one sentence. In validation and tests reading a bad image
            raises CorruptImageError.
    """

    option_keys = frozenset({'dataroot_gt', 'gt_size', 'use_hflip', 'max_bad_share'})

    def __init__(self, opt: Mapping[str, Any]) -> None:
        self.opt = opt
        self.training = is_training(opt)
        gt_size, _ = size_options(opt, *(['gt_size'] if self.training else []))
        self.use_hflip = is_mirroring(opt)
        self.gt = FaceImages(opt, 'dataroot_gt', gt_size)
        self.gt.check()
        self.bad_image_log = BadImageLog({self.gt.root: len(self.gt)}, max_bad_share(opt))

    def __len__(self) -> int:
        return len(self.gt)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not self.training:
            return {'gt': self.gt.read(index), 'gt_path': self.gt.path(index)}
        gt, gt_path, bad = self.gt.read_or_replace(index)
        if self.use_hflip and random.random() < 0.5:
            gt = gt.flip(-1)
        return {'gt': gt, 'gt_path': gt_path, 'bad_images': self.bad_image_log.note(bad)}
