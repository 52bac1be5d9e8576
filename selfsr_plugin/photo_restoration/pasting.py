"""Squares of a photo as network input, and network output back into the photo under a mask that fades out."""

import torch
from torch import Tensor

from ..ops import bicubic_resize
from ..preparation.framing import Box

FEATHER = 0.12  # ours: of the side of the square, on each side of it. Chins lie 0.02 from the lower edge.

COARSE = 6  # ours: cells along the side of a face in which its colours are kept


def cut(photo: Tensor, box: Box, size: int) -> Tensor:
    """The square ``box`` of a photo as an LR face, mirrored beyond the photo's edges.

    Args:
        photo: (H, W, 3) uint8, BGR, on any device, where the face then is.
        box: in pixels of the photo.
        size: side that comes out; a square of another side is resized as in training (bicubic, clamped).

    Returns:
        Tensor (3, size, size), float32, RGB in [0, 1].
    """
    left, top, right, bottom = box.beyond(*photo.shape[:2])
    if left or top or right or bottom:
        rows = _mirrored(box.top, box.side, photo.shape[0], photo.device)
        columns = _mirrored(box.left, box.side, photo.shape[1], photo.device)
        square = photo[rows][:, columns]
    else:
        square = photo[box.top : box.top + box.side, box.left : box.left + box.side]
    face = square.permute(2, 0, 1).flip(0).float() / 255
    return face if box.side == size else bicubic_resize(face, size).clamp_(0, 1)


def keep_colours(faces: Tensor, lqs: Tensor) -> Tensor:
    """Give restored faces the colours of the LR faces where they are coarser than ``COARSE``.

    Networks shift colours that are rare in what they were trained on, such as a blue wall behind a head, and the square
    would show in the photo. Faces whose coarse colours are those of the LR faces stay as they are.

    Args:
        faces: (N, 3, H, H), RGB in [0, 1].
        lqs: (N, 3, h, h), the LR faces that they were made of.
    """
    shift = bicubic_resize(lqs - bicubic_resize(faces, lqs.shape[-1]), COARSE)
    return (faces + bicubic_resize(shift, faces.shape[-1])).clamp_(0, 1)


def paste(photo: Tensor, face: Tensor, box: Box, upscale: int, share: float = 1.0) -> None:
    """Blend a restored face into a photo, in place. Pixels outside the square keep their bits.

    Args:
        photo: (H * upscale, W * upscale, 3) uint8, BGR.
        face: (3, side, side), float32, RGB in [0, 1], on the same device; ``side`` is ``box.side * upscale``.
        box: the square in pixels of the photo before it was enlarged.
        upscale: how many times it was.
        share: of the restored face in the middle of the square; the rest is the photo's.
    """
    side = face.shape[-1]
    left, top = box.left * upscale, box.top * upscale
    rows, columns = _inside(top, side, photo.shape[0]), _inside(left, side, photo.shape[1])
    place = photo[top + rows.start : top + rows.stop, left + columns.start : left + columns.stop]
    ramp = feather(side, photo.device)
    mask = share * (ramp[rows, None] * ramp[None, columns])[..., None]
    new = face[:, rows, columns].flip(0).permute(1, 2, 0) * 255
    old = place.float()
    place.copy_((old + mask * (new - old)).round_().clamp_(0, 255))


def feather(side: int, device: torch.device) -> Tensor:
    """Weights (side,) of a restored face along one side of its square: 1 within, smoothly to 0 at both ends."""
    distance = torch.arange(side, device=device) + 0.5
    share = torch.minimum(distance, side - distance) / max(FEATHER * side, 1)
    share.clamp_(max=1)
    return share * share * (3 - 2 * share)


def _inside(start: int, side: int, length: int) -> slice:
    """Which part of a square that begins at ``start`` lies in 0 ... length - 1; where none does, an empty one."""
    first = max(-start, 0)
    return slice(first, max(min(length - start, side), first))


def _mirrored(start: int, count: int, length: int, device: torch.device) -> Tensor:
    """Indices start ... start + count - 1, those beyond 0 ... length - 1 reflected (OpenCV's BORDER_REFLECT_101)."""
    period = max(2 * (length - 1), 1)
    index = torch.arange(start, start + count, device=device) % period
    return torch.minimum(index, period - index)
