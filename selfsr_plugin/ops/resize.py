"""Bicubic resampling by two fixed matrices, ``A_h @ x @ A_w.T``.

One pair of matrices serves whole batches on any device, is differentiable, and agrees with BasicSR's ``imresize``
(MATLAB's convention) or with Pillow. The clean LR images of section III-A and the degradation in Eq. 11 use it.
"""

from collections import OrderedDict
from threading import Lock
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Convention = Literal['matlab', 'pil']


def _cubic(x: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -1/2 (IEEE TASSP 29(6), 1981, Eq. 15), zero outside [-2, 2]."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def bicubic_matrix(in_size: int, out_size: int, convention: Convention = 'matlab') -> Tensor:
    """The matrix that resamples a row of ``in_size`` samples to ``out_size`` samples.

    When shrinking, the kernel is stretched by ``in_size / out_size`` (antialiasing), as MATLAB, BasicSR and Pillow do.
    The conventions share the kernel and differ at the borders: MATLAB mirrors the image, edge sample included;
    Pillow cuts the kernel off and renormalises. The paper says "bicubic kernel" only; 'matlab' is our default.

    Args:
        in_size: samples in, at least 1.
        out_size: samples out, at least 1.
        convention: 'matlab' or 'pil'.

    Returns:
        Tensor (out_size, in_size), float64, on the CPU; every row sums to 1.

    Raises:
        ValueError: a size below 1 or an unknown convention.
    """
    if in_size < 1 or out_size < 1:
        raise ValueError(f'bicubic resampling needs sizes of at least 1, got {in_size} -> {out_size}.')
    if convention not in ('matlab', 'pil'):
        raise ValueError(f"unknown bicubic convention '{convention}': use 'matlab' or 'pil'.")
    stretch = max(in_size / out_size, 1.0)
    # Centre of every output sample, in input samples (sample j covers [j, j + 1]).
    centre = (torch.arange(out_size, dtype=torch.float64) + 0.5) * in_size / out_size
    if convention == 'matlab':
        reach = int(2 * stretch) + 2
        offsets = torch.arange(-reach, reach + 1)
        taps = centre.floor().long()[:, None] + offsets  # (out, taps), may lie outside the image
        weights = _cubic((taps + 0.5 - centre[:, None]) / stretch)
        taps = taps % (2 * in_size)
        taps = torch.where(taps < in_size, taps, 2 * in_size - 1 - taps)
    else:
        taps = torch.arange(in_size).expand(out_size, in_size)
        weights = _cubic((taps + 0.5 - centre[:, None]) / stretch)
    matrix = torch.zeros(out_size, in_size, dtype=torch.float64).scatter_add_(1, taps, weights)
    return matrix / matrix.sum(1, keepdim=True)


# The matrices used last on each device, least recently used first. Faces of a data set may have thousands of sizes:
# kept by number, the matrices would take gigabytes in every worker.
KEPT_BYTES = 16 << 20
_kept: dict[torch.device, OrderedDict[tuple, Tensor]] = {}
_keeping = Lock()


def _matrix_like(in_size: int, out_size: int, convention: Convention, like: Tensor) -> Tensor:
    """:func:`bicubic_matrix` in the dtype and on the device of ``like``. Kept: do not write into it."""
    key = (in_size, out_size, convention, like.dtype)
    with _keeping:
        kept = _kept.setdefault(like.device, OrderedDict())
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
    with torch.inference_mode(False):  # a kept inference tensor could not be used in training later
        matrix = bicubic_matrix(in_size, out_size, convention).to(like.device, like.dtype)
    with _keeping:
        kept[key] = matrix
        while sum(each.nbytes for each in kept.values()) > KEPT_BYTES:
            kept.popitem(last=False)
    return matrix


def bicubic_resize(images: Tensor, size: int | tuple[int, int], convention: Convention = 'matlab') -> Tensor:
    """Resample images with the antialiased bicubic kernel; differentiable, on the device of ``images``.

    The output is neither rounded nor clamped: like BasicSR's ``imresize``, the kernel overshoots at edges.

    Args:
        images: (..., H, W), floating point, any value range.
        size: output height and width, or one number for both.
        convention: see :func:`bicubic_matrix`.

    Returns:
        Tensor (..., size[0], size[1]) of the dtype of ``images``, also under autocast, whose 16 bits would round an
        image to 1/256 of its range.

    Raises:
        ValueError: ``images`` are whole numbers, in which the weights of the kernel would be 0.
    """
    if not images.is_floating_point():
        raise ValueError(f'images of {images.dtype} cannot be resized: give floating-point numbers, images.float().')
    height, width = (size, size) if isinstance(size, int) else size
    rows = _matrix_like(images.shape[-2], height, convention, images)
    columns = _matrix_like(images.shape[-1], width, convention, images)
    if images.is_meta or not torch.is_autocast_enabled(images.device.type):
        return rows @ images @ columns.T
    with torch.autocast(images.device.type, enabled=False):
        return rows @ images @ columns.T


def bicubic_downsample(images: Tensor, scale: int, convention: Convention = 'matlab') -> Tensor:
    """Shrink (..., H, W) by a whole factor; H and W must be multiples of ``scale`` (ValueError otherwise)."""
    height, width = images.shape[-2:]
    if height % scale or width % scale:
        raise ValueError(
            f'an image of {width}x{height} cannot be shrunk by {scale}: width and height must be multiples of {scale}.'
        )
    return bicubic_resize(images, (height // scale, width // scale), convention)


def resize_array(image: np.ndarray, size: int) -> np.ndarray:
    """:func:`bicubic_resize` of an array (H, W, C) to (size, size, C) float64 of the same range, unrounded, unclipped.

    In double precision: what :func:`to_uint8` makes of it is then the same on every processor.
    """
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).double()
    return bicubic_resize(planes, size).numpy().transpose(1, 2, 0)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Round and clip to 0...255."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
