"""Warping an image by a flow field, Eq. 1."""

import torch
from torch import Tensor
from torch.nn import functional as F


def flow_warp(images: Tensor, flow: Tensor) -> Tensor:
    """Sample every output pixel where the flow points in the input (Eq. 1, bilinear kernel).

    ``output[y, x] = images[y + flow_y, x + flow_x]``; samples outside the image take the nearest border pixel.
    (BasicSR's ``flow_warp`` pads with zeros by default, which draws a black rim around a 16x16 face.)

    Args:
        images: (N, C, H, W), any value range.
        flow: (N, 2, H, W), in pixels; channel 0 points right, channel 1 down.

    Returns:
        Tensor (N, C, H, W). Differentiable in both arguments; zero flow gives the images back.

    Raises:
        ValueError: the flow does not fit the images.
    """
    n, _, height, width = images.shape
    if flow.shape != (n, 2, height, width):
        raise ValueError(
            f'flow of shape {tuple(flow.shape)} does not fit images of shape {tuple(images.shape)}: '
            f'it must be ({n}, 2, {height}, {width}).'
        )
    # At least float32: 16 bits (mixed precision) cannot tell positions within a pixel apart.
    dtype = torch.promote_types(torch.promote_types(images.dtype, flow.dtype), torch.float32)
    rows = torch.arange(height, device=flow.device, dtype=dtype)[:, None]
    columns = torch.arange(width, device=flow.device, dtype=dtype)
    # grid_sample counts from -1 (centre of the first pixel) to 1 (centre of the last); one pixel has no extent.
    x = (columns + flow[:, 0]) * (2 / max(width - 1, 1)) - 1
    y = (rows + flow[:, 1]) * (2 / max(height - 1, 1)) - 1
    grid = torch.stack((x, y), dim=-1)
    warped = F.grid_sample(images.to(dtype), grid, mode='bilinear', padding_mode='border', align_corners=True)
    return warped.to(images.dtype)


def flow_total_variation(flow: Tensor) -> Tensor:
    """Total variation of a flow field, horizontally and vertically (Eq. 4).

    Taken as the mean absolute difference of neighbours in each direction, summed over the two directions (the norm
    and the normalisation are ours; the formula is lost in the paper's text).

    Args:
        flow: (N, 2, H, W) in pixels, H and W at least 2.

    Returns:
        Scalar tensor in pixels; 0 for a constant flow.
    """
    horizontal = (flow[..., :, 1:] - flow[..., :, :-1]).abs().mean()
    vertical = (flow[..., 1:, :] - flow[..., :-1, :]).abs().mean()
    return horizontal + vertical
