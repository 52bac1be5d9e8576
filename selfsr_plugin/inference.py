"""A network over a folder of images: in batches that fit into memory, and past images that cannot be used."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .data.face_images import FaceImages
from .data.image_source import CorruptImageError
from .errors import UserError, is_out_of_memory
from .memory import available_bytes, bytes_per_pixel


class Result(NamedTuple):
    """What became of image number ``index``.

    Attributes:
        index: its number.
        stored: (height, width) in its file; (0, 0) if it cannot be read.
        output: the network's, (3, H, W), float32 on the CPU, not clamped; None if there is none.
        problem: '' or '<path>: <reason>'.
    """

    index: int
    stored: tuple[int, int]
    output: Tensor | None
    problem: str


class _Read(NamedTuple):
    index: int
    stored: tuple[int, int]
    face: Tensor


def run_network(net: nn.Module, faces: FaceImages, batch: int, device: torch.device) -> Iterator[Result]:
    """``net`` on every image, without gradients; every image gives one result, bad ones before others.

    Args:
        net: from (N, 3, h, w), RGB in [0, 1], to images; convolutional, so that its memory grows with N * h * w.
        faces: where the images come from.
        batch: images at once, if they follow each other and have one size; fewer where memory lacks.
        device: where to compute; ``net`` is brought there.
    """
    net.to(device)
    per_pixel = bytes_per_pixel(net)
    waiting: list[_Read] = []
    limit = batch
    for index in range(len(faces)):
        try:
            image = faces.read_stored(index)
            stored = image.shape[:2]
            shape = stored if faces.size is None else (faces.size, faces.size)
            if waiting and (len(waiting) == limit or waiting[0].face.shape[1:] != shape):
                yield from _finish(net, faces, waiting, device)
                waiting = []
            if not waiting:  # asked before the image is resized, which alone may need too much
                needed, free = per_pixel * shape[0] * shape[1], available_bytes(device)
                limit = batch if free is None else min(batch, int(free / needed))
                if limit < 1:
                    yield _too_large(
                        faces,
                        index,
                        stored,
                        f'needs about {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free',
                    )
                    continue
            waiting.append(_Read(index, stored, faces.fit(image, index)))
        except CorruptImageError as error:
            yield Result(index, (0, 0), None, str(error))
    if waiting:
        yield from _finish(net, faces, waiting, device)


def _finish(net: nn.Module, faces: FaceImages, waiting: list[_Read], device: torch.device) -> Iterator[Result]:
    outputs = _forward(net, torch.stack([read.face for read in waiting]), device)
    for read, output in zip(waiting, outputs):
        if output is None:
            yield _too_large(faces, read.index, read.stored, 'needs more memory than there is')
        elif not torch.isfinite(output).all():
            yield Result(
                read.index,
                read.stored,
                None,
                f'{faces.path(read.index)}: the network makes values of it that are not finite (NaN or infinity)',
            )
        else:
            yield Result(read.index, read.stored, output, '')


def _too_large(faces: FaceImages, index: int, stored: tuple[int, int], reason: str) -> Result:
    (height, width), remedy = stored, 'cut the face out or give --lq-size'
    if faces.size is not None:
        height = width = faces.size
        remedy = 'give a smaller --lq-size'
    return Result(index, stored, None, f'{faces.path(index)}: an image of {width}x{height} pixels {reason}: {remedy}')


def _forward(net: nn.Module, images: Tensor, device: torch.device) -> list[Tensor | None]:
    """As :func:`forward_batch`, from the CPU and back to it, a batch at a time."""
    parts = forward_batch(net, images.to(device))
    return [image for count, part in parts for image in ([None] * count if part is None else part.cpu())]


@torch.no_grad()
def forward_batch(net: nn.Module, images: Tensor) -> list[tuple[int, Tensor | None]]:
    """``net`` on images (N, 3, h, w) on its device; a batch that needs too much memory is halved.

    Returns:
        the parts of the batch in order: how many images, and their outputs, float32 on the device; None for one that
        alone needs too much.
    """
    try:
        return [(len(images), net(images).float())]
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    if len(images) == 1:
        return [(1, None)]
    half = len(images) // 2
    return forward_batch(net, images[:half]) + forward_batch(net, images[half:])


def find_device(name: str | None) -> torch.device:
    """The device of that name, by default the GPU if there is one; UserError if it cannot be used."""
    if name is None:
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # an empty tensor is made on 'meta', too, where nothing is computed
    except (RuntimeError, AssertionError) as error:
        raise UserError(f'--device {name} cannot be used here: {str(error).splitlines()[0]}') from error
    return device
