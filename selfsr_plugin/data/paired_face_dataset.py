"""HR faces with their own LR images: supervised training, and every test that has ground truth."""

import random
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from selfsr_plugin.errors import UserError
from selfsr_plugin.ops import bicubic_downsample

from .bad_images import BadImageLog, find_first_good, read_or_replace
from .decoding import CorruptImageError
from .face_images import FaceImages, is_mirroring, is_training, max_bad_share, one_thread, size_options
from .image_source import spelt_alike


class PairedFaceDataset(Dataset):
    """Pairs of one name (without extension) from two folders or LMDBs, or HR faces and their bicubic LR images.

    Items: ``gt`` float32 (3, H, W), ``lq`` (3, H / scale, W / scale), RGB, [0, 1]; ``gt_path``, ``lq_path``; when
    training also ``bad_images``, '' or one '<path>: <reason>' line for each bad pair that this item stands in for.
    Without ``dataroot_lq`` the LR image is the HR image shrunk with the bicubic kernel, clamped and rounded to 8 bits,
    as a stored file would be, and ``lq_path`` is the HR image's.

    Args:
        opt: data set options.
            dataroot_gt (str): folder or LMDB.
            dataroot_lq (str): folder or LMDB; optional, see above.
            scale (int): every HR image, as stored, must be this many times its LR image.
            gt_size, lq_size (int): images are resized to these sides; one follows from the other. Required (one of
                the two) when training, otherwise without them images come as they are.
            use_hflip (bool): mirror the pair with probability 1/2 when training. Default: False.
            max_bad_share (float): share of bad pairs that training tolerates, ours. Default: 0.01.

    Raises:
        FileNotFoundError, ValueError: bad options or data, in one sentence. In validation and tests reading a bad pair
            raises CorruptImageError.
    """

    option_keys = frozenset({'dataroot_gt', 'dataroot_lq', 'gt_size', 'lq_size', 'use_hflip', 'max_bad_share'})

    def __init__(self, opt: Mapping[str, Any]) -> None:
        self.opt = opt
        self.training = is_training(opt)
        if isinstance(opt.get('scale'), bool) or not isinstance(opt.get('scale'), int) or opt['scale'] < 1:
            raise UserError(f'scale must be a whole number above 0, got {opt.get("scale")!r}.')
        self.scale: int = opt['scale']
        gt_size, lq_size = self._sizes(opt)
        self.use_hflip = is_mirroring(opt)
        self.gt = FaceImages(opt, 'dataroot_gt', gt_size)
        self.lq: FaceImages | None = None
        totals = {self.gt.root: len(self.gt)}
        if opt.get('dataroot_lq'):
            self.lq = FaceImages(opt, 'dataroot_lq', lq_size)
            totals[self.lq.root] = len(self.lq)
            self._check_names()
        self.bad_image_log = BadImageLog(totals, max_bad_share(opt))
        try:
            find_first_good(self._read, self.gt.tolerated)
        except ValueError as error:
            raise UserError(f'{error}.') from error

    def _sizes(self, opt: Mapping[str, Any]) -> tuple[int | None, int | None]:
        gt_size, lq_size = size_options(opt, *(['gt_size'] if self.training and not opt.get('lq_size') else []))
        if gt_size is None and lq_size is not None:
            gt_size = lq_size * self.scale
        if gt_size is not None and gt_size % self.scale:
            raise UserError(
                f'gt_size {gt_size} is not a multiple of scale {self.scale}: set it to '
                f'{gt_size // self.scale * self.scale or self.scale}, or change scale.'
            )
        return gt_size, gt_size and gt_size // self.scale

    def _check_names(self) -> None:
        if self.gt.names == self.lq.names:  # both sorted
            return
        parts, alone = [], []
        for here, there in ((self.gt, self.lq), (self.lq, self.gt)):
            lonely = sorted(set(here.names) - set(there.names))
            alone.append(lonely)
            if lonely:
                parts.append(
                    f'{len(lonely)} of {len(here)} images in {here.root} have no partner in {there.root} '
                    f'({", ".join(lonely[:3])}{", ..." if len(lonely) > 3 else ""})'
                )
        raise UserError(f'{" and ".join(parts)}: pairs need equal names without extension{spelt_alike(*alone)}.')

    def __len__(self) -> int:
        return len(self.gt)

    def __getitem__(self, index: int) -> dict[str, Any]:
        bad: list[str] = []
        if self.training:
            (gt, lq), index, bad = read_or_replace(self._read, index, len(self), self.gt.tolerated)
        else:
            gt, lq = self._read(index)
        if self.use_hflip and random.random() < 0.5:
            gt, lq = gt.flip(-1), lq.flip(-1)
        item = {'gt': gt, 'lq': lq, 'gt_path': self.gt.path(index), 'lq_path': (self.lq or self.gt).path(index)}
        if self.training:
            item['bad_images'] = self.bad_image_log.note(bad)
        return item

    def _read(self, index: int) -> tuple[Tensor, Tensor]:
        image = self.gt.read_stored(index)
        height, width = image.shape[:2]
        if self.lq is None:
            gt = self.gt.fit(image, index)
            if gt.shape[-2] % self.scale or gt.shape[-1] % self.scale:
                raise CorruptImageError(
                    self.gt.path(index),
                    f'it is {width}x{height}, which scale {self.scale} does not divide: crop it or set gt_size',
                )
            with one_thread():
                return gt, bicubic_downsample(gt, self.scale).clamp_(0, 1).mul_(255).round_().div_(255)
        small = self.lq.read_stored(index)
        small_height, small_width = small.shape[:2]
        if (height, width) != (self.scale * small_height, self.scale * small_width):
            raise CorruptImageError(
                self.gt.path(index),
                f'it is {width}x{height}, not scale {self.scale} x its LR image '
                f'{self.lq.path(index)} of {small_width}x{small_height}',
            )
        return self.gt.fit(image, index), self.lq.fit(small, index)
