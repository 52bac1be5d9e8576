"""HR faces and real LR faces of other people, without any pairing: the paper's real-world setting (section IV-B)."""

import random
from collections.abc import Mapping
from typing import Any

from torch.utils.data import Dataset

from .bad_images import BadImageLog
from .face_images import FaceImages, is_mirroring, is_training, max_bad_share, size_options


class UnpairedFaceDataset(Dataset):
    """Item i is the i-th HR face and an LR face drawn at random; there are as many items as HR faces.

    Items: ``gt`` float32 (3, gt_size, gt_size), ``lq`` (3, lq_size, lq_size), RGB, [0, 1]; ``gt_path``, ``lq_path``;
    when training also ``bad_images``, '' or one '<path>: <reason>' line for each bad image that this item does
    without. In validation nothing is random (ours): LR face i, starting again where they run out.

    Args:
        opt: data set options.
            dataroot_gt, dataroot_lq (str): folder or LMDB each.
            gt_size (int): HR images are shrunk to this side.
            lq_size (int): LR images are resized to this side.
            use_hflip (bool): mirror each of the two with probability 1/2 when training, independently; the only
                augmentation, as in section IV-A. Default: False.
            max_bad_share (float): share of bad images that training tolerates in either domain, ours. Default: 0.01.

    Raises:
        FileNotFoundError, ValueError: bad options or data, in one sentence. In validation reading a bad image raises
            CorruptImageError.
    """

    option_keys = frozenset({'dataroot_gt', 'dataroot_lq', 'gt_size', 'lq_size', 'use_hflip', 'max_bad_share'})

    def __init__(self, opt: Mapping[str, Any]) -> None:
        self.opt = opt
        self.training = is_training(opt)
        gt_size, lq_size = size_options(opt, 'gt_size', 'lq_size')
        self.use_hflip = is_mirroring(opt)
        self.gt = FaceImages(opt, 'dataroot_gt', gt_size)
        self.lq = FaceImages(opt, 'dataroot_lq', lq_size)
        self.gt.check()
        self.lq.check()
        self.bad_image_log = BadImageLog({self.gt.root: len(self.gt), self.lq.root: len(self.lq)}, max_bad_share(opt))

    def __len__(self) -> int:
        return len(self.gt)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not self.training:
            other = index % len(self.lq)
            return {
                'gt': self.gt.read(index),
                'lq': self.lq.read(other),
                'gt_path': self.gt.path(index),
                'lq_path': self.lq.path(other),
            }
        gt, gt_path, bad_gt = self.gt.read_or_replace(index)
        lq, lq_path, bad_lq = self.lq.read_or_replace(random.randrange(len(self.lq)))
        if self.use_hflip and random.random() < 0.5:
            gt = gt.flip(-1)
        if self.use_hflip and random.random() < 0.5:
            lq = lq.flip(-1)
        return {
            'gt': gt,
            'lq': lq,
            'gt_path': gt_path,
            'lq_path': lq_path,
            'bad_images': self.bad_image_log.note(bad_gt + bad_lq),
        }
