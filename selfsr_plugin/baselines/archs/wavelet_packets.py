"""The Haar wavelet packets that Wavelet-SRNet predicts."""

import torch
from torch import Tensor


def _butterfly(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The orthonormal Haar transform of a square of four, which is its own inverse."""
    return (a + b + c + d) / 2, (a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2


def haar_packets(images: Tensor, depth: int) -> Tensor:
    """Split images into 4 ** depth frequency bands, each 2 ** depth times smaller.

    Every band is split again in every step (packets), into the mean, the detail along the width, that along the height
    and that along both, in this order; the first step counts most in a band's number. So band 0 is the image averaged
    over squares and times 2 ** depth, bands 1 to 3 are the lowest details, 4 to 15 the next, and so on.

    Args:
        images: (N, C, H, W); H and W must be multiples of 2 ** depth.
        depth: steps, 0 or more.

    Returns:
        Tensor (N, 4 ** depth * C, H / 2 ** depth, W / 2 ** depth): the C channels of band 0, those of band 1, ...

    Raises:
        ValueError: a size that cannot be halved so often.
    """
    n, channels, height, width = images.shape
    if height % 2**depth or width % 2**depth:
        raise ValueError(f'wavelet packets of depth {depth} need sides of multiples of {2**depth}: {height}x{width}.')
    x = images[:, None]  # N, bands, C, H, W
    for _ in range(depth):
        corners = (x[..., i::2, j::2] for i in (0, 1) for j in (0, 1))
        x = torch.stack(_butterfly(*corners), dim=2).flatten(1, 2)
    return x.flatten(1, 2)


def inverse_haar_packets(packets: Tensor, depth: int) -> Tensor:
    """The images of :func:`haar_packets`: (N, 4 ** depth * C, h, w) -> (N, C, h * 2 ** depth, w * 2 ** depth)."""
    n, channels, _, _ = packets.shape
    if channels % 4**depth:
        raise ValueError(f'{channels} channels are no wavelet packets of depth {depth}: no multiple of {4**depth}.')
    x = packets.unflatten(1, (4**depth, -1))
    for _ in range(depth):
        height, width = x.shape[-2:]
        corners = torch.stack(_butterfly(*x.unflatten(1, (-1, 4)).unbind(2)), dim=-1)  # N, bands, C, h, w, 4
        x = corners.unflatten(-1, (2, 2)).permute(0, 1, 2, 3, 5, 4, 6).reshape(n, -1, x.shape[2], 2 * height, 2 * width)
    return x[:, 0]
