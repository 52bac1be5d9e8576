"""Bicubic resampling by two fixed matrices, ``A_h @ x @ A_w.T``.

One pair of matrices serves whole batches on any device, is differentiable, and agrees with BasicSR's ``imresize``
(MATLAB's convention) or with Pillow. The clean LR images of section III-A and the degradation in Eq. 11 use it.
"""
from functools import lru_cache
from typing import Literal, Tuple, Union

import torch
from torch import Tensor

Convention = Literal['matlab', 'pil']


def _cubic(x: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -1/2 (IEEE TASSP 29(6), 1981, Eq. 15), zero outside [-2, 2]."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


@lru_cache(maxsize=256)
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
        Tensor (out_size, in_size), float64, on the CPU; every row sums to 1. Cached: do not write into it.

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
        # Pillow rounds the ends of the window to whole samples (Resample.c, precompute_coeffs).
        low = (centre - 2 * stretch + 0.5).long().clamp(min=0)[:, None]
        high = (centre + 2 * stretch + 0.5).long().clamp(max=in_size)[:, None]
        weights = _cubic((taps + 0.5 - centre[:, None]) / stretch) * ((taps >= low) & (taps < high))
    matrix = torch.zeros(out_size, in_size, dtype=torch.float64).scatter_add_(1, taps, weights)
    return matrix / matrix.sum(1, keepdim=True)


@lru_cache(maxsize=64)
def _matrix_like(in_size: int, out_size: int, convention: Convention, dtype: torch.dtype,
                 device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # a cached inference tensor could not be used in training later
        return bicubic_matrix(in_size, out_size, convention).to(device, dtype, copy=True)


def bicubic_resize(images: Tensor, size: Union[int, Tuple[int, int]], convention: Convention = 'matlab') -> Tensor:
    """Resample images with the antialiased bicubic kernel; differentiable, on the device of ``images``.

    The output is neither rounded nor clamped: like BasicSR's ``imresize``, the kernel overshoots at edges.

    Args:
        images: (..., H, W), floating point, any value range.
        size: output height and width, or one number for both.
        convention: see :func:`bicubic_matrix`.

    Returns:
        Tensor (..., size[0], size[1]) of the dtype of ``images``.
    """
    height, width = (size, size) if isinstance(size, int) else size
    key = (images.dtype, images.device)
    rows = _matrix_like(images.shape[-2], height, convention, *key)
    columns = _matrix_like(images.shape[-1], width, convention, *key)
    return rows @ images @ columns.T


def bicubic_downsample(images: Tensor, scale: int, convention: Convention = 'matlab') -> Tensor:
    """Shrink (..., H, W) by a whole factor; H and W must be multiples of ``scale`` (ValueError otherwise)."""
    height, width = images.shape[-2:]
    if height % scale or width % scale:
        raise ValueError(f'an image of {height}x{width} cannot be shrunk by {scale}: '
                         f'height and width must be multiples of {scale}.')
    return bicubic_resize(images, (height // scale, width // scale), convention)
