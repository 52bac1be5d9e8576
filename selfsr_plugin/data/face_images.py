"""The faces of one domain as tensors of one size, and the options that all face data sets share."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfsr_plugin.errors import UserError
from selfsr_plugin.option_sections import FaceDatasetOptions
from selfsr_plugin.ops import bicubic_resize, to_tensor

from .bad_images import find_first_good, read_or_replace, tolerated_bad_images
from .decoding import CorruptImageError, check_header
from .image_source import left_out, may_hold_pictures, open_image_source


class FaceImages:
    """The images under ``opt[root_key]`` as float32 RGB tensors in [0, 1], all of one square size if ``size`` is given.

    An image of another size is resized with the antialiased bicubic kernel and clamped. Our rules: a face framed other
    than square (sides apart by more than 5 % and more than one pixel) is refused, since squeezing would change faces;
    and HR images are never enlarged, since blurred ones would teach the HR domain wrongly.

    Args:
        opt: data set options.
        root_key: 'dataroot_gt' (HR) or 'dataroot_lq' (LR, where images smaller than ``size`` are welcome).
        size: side of the square that comes out, or None for images as they are.
        called: what messages call the root, where the user gave it otherwise than as ``root_key``.

    Raises:
        FileNotFoundError, PermissionError, ValueError: from :func:`open_image_source`, or the option is missing.
    """

    def __init__(self, opt: Mapping[str, Any], root_key: str, size: int | None, called: str | None = None) -> None:
        self._called = called or root_key
        if not opt.get(root_key):
            raise UserError(f'{self._called} is missing: give a folder of images or an LMDB.')
        try:
            self._source = open_image_source(opt[root_key])
        except (FileNotFoundError, PermissionError, ValueError) as error:
            raise type(error)(f'{self._called}: {error}') from error
        source = self._source
        if may_hold_pictures(source.passed_over, source.folders) or source.unlisted:
            # BasicSR's logger, without importing BasicSR: restoring needs none
            logging.getLogger('basicsr').warning(
                f'{self._called}: {self.root} holds more than is read: '
                f'{left_out(source.passed_over, source.folders, source.unlisted)}.'
            )
        self.size = size
        self._may_enlarge = root_key == 'dataroot_lq'
        # As the user wrote them: gt_size may follow from lq_size, and where both are given they change together.
        self._size_keys = [key for key in ('gt_size', 'lq_size') if opt.get(key)]
        self.tolerated = tolerated_bad_images(len(self), max_bad_share(opt))

    def __len__(self) -> int:
        return len(self._source)

    @property
    def root(self) -> str:
        """The folder or LMDB, as the options name it."""
        return self._source.root

    @property
    def names(self) -> list[str]:
        return self._source.names

    def path(self, index: int) -> str:
        return self._source.path(index)

    def read(self, index: int) -> Tensor:
        """Face number ``index``: (3, size, size), or (3, H, W) without a size. CorruptImageError if it is bad."""
        return self.fit(self.read_stored(index), index)

    def read_stored(self, index: int) -> np.ndarray:
        """The image as stored: uint8 (H, W, 3), BGR. CorruptImageError if it is bad."""
        return self._source.read(index)

    def fit(self, image: np.ndarray, index: int) -> Tensor:
        """uint8 (H, W, 3), BGR -> float32 (3, size, size), RGB in [0, 1].

        ``index`` names the image in a CorruptImageError.
        """
        height, width = image.shape[:2]
        size = self.size
        if size is not None:
            if not is_square(height, width):
                raise CorruptImageError(self.path(index), f'it is {width}x{height}, not square: crop it to the face')
            if min(height, width) < size and not self._may_enlarge:
                called = 'gt_size' if 'gt_size' in self._size_keys else 'scale x lq_size,'
                raise CorruptImageError(
                    self.path(index),
                    f'it is {width}x{height}, smaller than {called} {size}, and HR images are not enlarged: remove it '
                    f'or lower {" and ".join(self._size_keys)}',
                )
        with one_thread():
            return to_face(image, size)

    def stored_sides(self, count: int) -> list[tuple[int, int]]:
        """(width, height) of up to ``count`` images, spread evenly, by their headers; bad ones are passed over."""
        found = []
        for index in sorted({round(k * (len(self) - 1) / max(1, count - 1)) for k in range(count)}):
            with suppress(CorruptImageError):
                found.append(check_header(self._source.read_bytes(index), self.path(index)).size)
        return found

    def check(self) -> None:
        """Read the first usable image, so that wrong data is found at once. UserError if there is none.

        Training bears a share of bad images, a test all but one: it goes on without them.
        """
        try:
            find_first_good(self.read, self.tolerated)
        except ValueError as error:
            raise UserError(f'{self._called}: {error}.') from error

    def read_or_replace(self, index: int) -> tuple[Tensor, str, list[str]]:
        """:meth:`read` for training: a bad image is replaced by another. -> face, its path, what it stands in for."""
        face, index, bad = read_or_replace(self.read, index, len(self), self.tolerated)
        return face, self.path(index), bad


def is_square(height: int, width: int) -> bool:
    """Whether an image may be resized to a square: its sides differ by at most 5 % or one pixel (ours)."""
    return abs(height - width) <= max(1, 0.05 * max(height, width))


def to_face(image: np.ndarray, size: int | None) -> Tensor:
    """uint8 (H, W, 3), BGR -> float32 (3, size, size), RGB in [0, 1]: antialiased bicubic kernel, clamped.

    ``size`` None keeps H, W.
    """
    tensor = to_tensor(image)
    if size is not None and image.shape[:2] != (size, size):
        tensor = bicubic_resize(tensor, size).clamp_(0, 1)
    return tensor


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch on one thread. For one small image more give nothing, and on busy cores their waiting for each other
    took a hundred times the work itself (15 ms instead of 0.05 ms for a 128x128 image)."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def is_training(opt: Mapping[str, Any]) -> bool:
    """BasicSR writes the phase into the options: 'train', 'val' or 'test'."""
    return opt.get('phase', 'train') == 'train'


def is_mirroring(opt: Mapping[str, Any]) -> bool:
    """Whether images are mirrored at random: the option ``use_hflip`` when training."""
    return is_training(opt) and opt.get('use_hflip', FaceDatasetOptions.use_hflip)


def max_bad_share(opt: Mapping[str, Any]) -> float:
    """The share of bad images tolerated: the option when training, in a test all but one, in validation none."""
    if is_training(opt):
        return opt.get('max_bad_share', FaceDatasetOptions.max_bad_share)
    return 1 if opt['phase'] == 'test' else 0  # a test names the bad ones at its end


def size_options(opt: Mapping[str, Any], *required: str) -> tuple[int | None, int | None]:
    """``gt_size`` and ``lq_size``, checked, None where absent.

    Raises:
        ValueError: a required one is missing, not a whole number above 0, or the two do not fit ``scale``.
    """
    for key in ('gt_size', 'lq_size'):
        value = opt.get(key)
        if value is None and key in required:
            raise UserError(
                f'{key} is missing: give the side of the square images to train on, '
                'since a batch needs images of one size.'
            )
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise UserError(f'{key} must be a whole number of pixels above 0, got {value!r}.')
    gt_size, lq_size, scale = opt.get('gt_size'), opt.get('lq_size'), opt.get('scale')
    if gt_size is not None and lq_size is not None:
        if lq_size > gt_size:
            raise UserError(
                f'lq_size {lq_size} is larger than gt_size {gt_size}, but the LR image is the '
                'smaller one: correct one of the two.'
            )
        if scale is not None and gt_size != scale * lq_size:
            raise UserError(
                f'gt_size {gt_size} is not scale {scale} x lq_size {lq_size}: set gt_size to '
                f'{scale * lq_size}, or change lq_size or scale.'
            )
    return gt_size, lq_size
