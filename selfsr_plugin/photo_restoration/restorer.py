"""A photo in, the photo with its small faces restored out: :class:`PhotoRestorer`."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import UserError
from ..files import SHIPPED_NETWORK
from ..inference import find_device, forward_batch
from ..loading import load_for_images
from ..memory import available_bytes, bytes_per_pixel
from ..ops import bicubic_resize
from ..preparation.detection import FaceDetector
from ..preparation.faces import Face
from ..preparation.framing import Box, square_around
from ..preparation.settings import PHOTO_THRESHOLD
from .background import bicubic
from .finding import ENLARGE, TILE, Detector, find_faces
from .pasting import cut, keep_colours, paste

LQ_SIZE = 16  # pixels: side of the LR faces that the paper trains on
# Of the network that comes with the package: it saw whole faces of 16 and 24 pixels (scripts/make_portrait_pairs.py),
# surroundings that leave 12 of a face, and parts of larger ones.
SHIPPED_LQ_SIZE = (12, 24)
_STEPS = ((16, 1), (48, 2), (128, 4))  # up to this side, sides of LR faces are multiples of this
_LAST_STEP = 8
_BEYOND = 2  # ours: LR faces of so many times the side that a network knows come out well; larger ones get wrinkles,
# which do not show where the result is reduced to the photo's own size


@dataclass(frozen=True)
class PhotoFace:
    """One face that was found, and what became of it.

    Attributes:
        face: box, landmarks and score, in pixels of the photo.
        frame: the square that is restored, framed as in training; it may reach beyond the photo.
        lq_size: side of the LR face that went through the network; 0 if the face was left alone.
        reason: why it was left alone, or ''.
        share: of what the network made in the pasted face, the rest being the photo's own pixels: 1 up to the largest
            size that the network knows, beyond it that size divided by the side of the square; 0 if left alone.
        lq: (lq_size, lq_size, 3) uint8, BGR; None unless it was asked for, or where the face was left alone.
        restored: what was made of it, in the same way but at the network's size: its share, and the LR face enlarged.
    """

    face: Face
    frame: Box
    lq_size: int
    reason: str = ''
    share: float = 0.0
    lq: np.ndarray | None = None
    restored: np.ndarray | None = None


@dataclass(frozen=True)
class RestoredPhoto:
    """``image``: (H * upscale, W * upscale, 3) uint8, BGR. ``faces``: all that were found, the most certain first."""

    image: np.ndarray
    faces: list[PhotoFace]

    @property
    def restored(self) -> list[PhotoFace]:
        """The faces that went through the network."""
        return [face for face in self.faces if face.lq_size]

    @property
    def left_alone(self) -> list[PhotoFace]:
        """The faces that are as they were, each with the reason."""
        return [face for face in self.faces if not face.lq_size]


class PhotoRestorer:
    """Restores the small faces of photos and leaves everything else alone.

    Each face is framed as :mod:`selfsr_plugin.preparation.framing` frames faces for training, goes through the network
    at the photo's own pixels (smaller ones than the network knows are enlarged first, none is shrunk), and is blended
    in with a mask that fades out towards the edge of its square; of faces larger than the network knows, only a share
    (:attr:`PhotoFace.share`), so that none gets worse. All faces of a photo are cut before one is pasted;
    the largest is pasted first.

    Args:
        model: the network's file, or a network with ``scale`` from (N, 3, h, w), RGB in [0, 1], to images; by default
            the one that comes with this package.
        upscale: how many times the photo is enlarged.
        lq_size: side of the LR faces that the network was trained on, or the smallest and the largest; by default 12
            and 24 for the network that comes with this package, and 16 for others. Faces are left alone whose square
            would be larger in the result than ``largest * net.scale``, which is what the network makes of a face; in
            an enlarged photo, those of more than twice ``largest``.
        only_center_face: restore only the face nearest to the middle of the photo.
        detector_weights: the detector's file; None lets facexlib download it.
        detect: a detector to use instead of facexlib's.
        threshold: faces that the detector is less certain of do not count.
        background: enlarges the photo: from (H, W, 3) uint8, BGR, and ``upscale``; bicubic by default.
        batch: faces at once, if of one size; fewer where memory lacks.
        device: of torch, for network and detector; the GPU if there is one by default.
        key: 'params' or 'params_ema', see :func:`selfsr_plugin.load`.

    Raises:
        UserError: a value out of range, or a file of the network or the detector that cannot be used.
    """

    def __init__(
        self,
        model: str | Path | nn.Module | None = None,
        upscale: int = 1,
        lq_size: int | tuple[int, int] | None = None,
        only_center_face: bool = False,
        detector_weights: str | Path | None = None,
        detect: Detector | None = None,
        threshold: float = PHOTO_THRESHOLD,
        background: Callable[[np.ndarray, int], np.ndarray] = bicubic,
        batch: int = 16,
        device: str | None = None,
        key: str | None = None,
    ) -> None:
        if lq_size is None:
            lq_size = SHIPPED_LQ_SIZE if model is None or model == SHIPPED_NETWORK else LQ_SIZE
        smallest, largest = (lq_size, lq_size) if isinstance(lq_size, int) else lq_size
        whole = all(isinstance(each, Integral) for each in (upscale, batch, smallest, largest))
        if not whole or upscale < 1 or batch < 1 or not 1 <= smallest <= largest:
            raise UserError(
                'upscale, batch and lq_size must be whole numbers, 1 or more, and lq_size the smaller before the '
                f'larger: got {upscale}, {batch} and {lq_size}.'
            )
        if not 0 < threshold < 1:
            raise UserError(f'threshold: {threshold} is not between 0 and 1.')
        self.device = find_device(device)
        self.net = (model if isinstance(model, nn.Module) else load_for_images(model, key)).to(self.device)
        self.detect = detect or FaceDetector(detector_weights, str(self.device), TILE, ENLARGE)
        self.upscale, self.only_center_face, self.threshold = upscale, only_center_face, threshold
        self.background, self.batch = background, batch
        self.smallest, self.largest = smallest, largest
        self.limit = largest * max(self.net.scale // upscale, min(self.net.scale, _BEYOND))
        self._per_pixel = bytes_per_pixel(self.net)

    def __call__(
        self,
        photo: np.ndarray,
        keep_faces: bool = False,
        on_batch: Callable[[int, int], object] = lambda restored, planned: None,
    ) -> RestoredPhoto:
        """Restore one photo.

        Args:
            photo: (H, W, 3) uint8, BGR, upright. It is not changed.
            keep_faces: give the LR and the restored faces as well.
            on_batch: told after each batch how many faces have been restored, and of how many.

        Raises:
            UserError: another array, or none, as ``cv2.imread`` gives it of a file that it cannot read.
        """
        if getattr(photo, 'dtype', None) != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
            got = f'{photo.dtype} of shape {tuple(photo.shape)}' if hasattr(photo, 'dtype') else repr(photo)[:50]
            raise UserError(f'a photo must be an array (H, W, 3) of uint8, BGR, as cv2.imread gives it, not {got}.')
        planned = self._plan(photo)
        count = sum(each.lq_size > 0 for each in planned)
        on_device = torch.from_numpy(np.ascontiguousarray(photo)).to(self.device)
        outputs: dict[int, Tensor] = {}
        images: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for numbers, lqs, restored in self._run(on_device, planned):
            for number, face in zip(numbers, restored):
                side = planned[number].frame.side * self.upscale  # now, since faces as they come may take gigabytes
                outputs[number] = face if face.shape[-1] == side else bicubic_resize(face, side).clamp_(0, 1)
            if keep_faces:
                enlarged = bicubic_resize(lqs, restored.shape[-1])
                shares = lqs.new_tensor([planned[number].share for number in numbers])[:, None, None, None]
                pasted = torch.lerp(enlarged, restored, shares).clamp_(0, 1)
                images.update(zip(numbers, zip(_to_images(lqs), _to_images(pasted))))
            on_batch(len(outputs), count)
        if self.upscale > 1:
            target = torch.from_numpy(self.background(photo, self.upscale)).to(self.device)
        else:
            target = on_device.clone() if outputs else on_device
        for number in sorted(outputs, key=lambda number: -planned[number].frame.side):
            paste(target, outputs[number], planned[number].frame, self.upscale, planned[number].share)
        for number, each in enumerate(planned):
            if each.lq_size and number not in outputs:
                planned[number] = replace(each, lq_size=0, share=0.0, reason='too large for the memory')
            elif number in images:
                planned[number] = replace(each, lq=images[number][0], restored=images[number][1])
        return RestoredPhoto(target.cpu().numpy(), planned)

    def _plan(self, photo: np.ndarray) -> list[PhotoFace]:
        """Which faces are restored, and at which size."""
        found = find_faces(photo, self.detect, self.threshold, self.limit)
        middle = np.array(photo.shape[1::-1]) / 2
        nearest = min(range(len(found)), key=lambda n: np.linalg.norm(_centre(found[n]) - middle), default=None)
        planned = []
        for number, face in enumerate(found):
            frame, lq_size = self._fit(square_around(face.landmarks))
            reason = ''
            if frame.side > self.limit:
                reason = f'larger than the {self.limit} pixels up to which the network restores faces'
            elif self.only_center_face and number != nearest:
                reason = 'not the one nearest to the middle of the photo'
            # Faces with more pixels than the network knows have detail of their own, and get lines that are not there.
            share = min(1.0, self.largest / frame.side)
            planned.append(PhotoFace(face, frame, 0, reason) if reason else PhotoFace(face, frame, lq_size, '', share))
        return planned

    def _fit(self, frame: Box) -> tuple[Box, int]:
        """The square, and the side at which it goes through the network.

        A square of a few pixels more than those of other faces, at most 6 %, shares a batch with them, unresampled.
        """
        if frame.side <= self.smallest:
            return frame, self.smallest
        step = next((step for most, step in _STEPS if frame.side <= most), _LAST_STEP)
        more = max(min(-frame.side % step, self.limit - frame.side), 0)
        grown = Box(frame.left - more // 2, frame.top - more // 2, frame.side + more)
        return grown, grown.side

    def _run(self, photo: Tensor, planned: list[PhotoFace]) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Numbers, LR faces and outputs, batch by batch; a face that needs too much memory is not among them."""
        by_size: dict[int, list[int]] = defaultdict(list)
        for number, each in enumerate(planned):
            if each.lq_size:
                by_size[each.lq_size].append(number)
        for size, numbers in sorted(by_size.items()):
            free = available_bytes(self.device)
            limit = self.batch if free is None else min(self.batch, int(free / (self._per_pixel * size * size)))
            for start in range(0, len(numbers), max(limit, 1)):
                some = numbers[start : start + max(limit, 1)]
                lqs = torch.stack([cut(photo, planned[number].frame, size) for number in some])
                for count, outputs in forward_batch(self.net, lqs):
                    if outputs is not None:
                        yield some[:count], lqs[:count], keep_colours(_finite(outputs), lqs[:count])
                    some, lqs = some[count:], lqs[count:]


def _finite(outputs: Tensor) -> Tensor:
    if not torch.isfinite(outputs).all():
        raise UserError(
            'the network makes values that are not finite (NaN or infinity) of a face: use an earlier checkpoint.'
        )
    return outputs


def _centre(face: Face) -> np.ndarray:
    return np.array([face.box[0] + face.box[2], face.box[1] + face.box[3]]) / 2


def _to_images(faces: Tensor) -> np.ndarray:
    """(N, 3, H, W), RGB in [0, 1] -> (N, H, W, 3) uint8 BGR, in one copy from the device."""
    return (faces * 255).round().byte().flip(1).permute(0, 2, 3, 1).contiguous().cpu().numpy()
