"""facexlib's RetinaFace-MobileNet0.25: boxes and five landmarks of the faces in a photo."""

import os
from pathlib import Path

import cv2
import numpy as np
import torch

from ..errors import UserError, why_not_loaded
from ..files import printable

from .faces import Face

NETWORK = 'retinaface'  # as --weights NAME=FILE calls it
WEIGHTS_FILE = 'detection_mobilenet0.25_Final.pth'
WEIGHTS_URL = f'https://github.com/xinntao/facexlib/releases/download/v0.1.0/{WEIGHTS_FILE}'
MAX_DEFAULT_SIDE = 1280  # ours: photos are shrunk to this for the detector, and only for it
_SMALL_SIDE = 640
_LARGE_SHARE = 0.3  # of the photo's longer side, height of a face: 192 pixels of 640, 384 of 1280


class FaceDetector:
    """Finds faces in photos.

    Args:
        weights: the network's file, in facexlib's format; None lets facexlib download it into its own folder.
        device: 'cpu' or 'cuda', or a name such as 'cuda:1'.
        max_side: photos whose longer side has more pixels are shrunk for the detector. Large photos are looked at
            twice, see :meth:`__call__`.
        enlarge: photos with fewer are enlarged for it, by this factor at most, so that it sees smaller faces.

    Raises:
        UserError: the weights are missing and cannot be downloaded, or are not what they should be, or there is no
            such device.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        device: str = 'cpu',
        max_side: int = MAX_DEFAULT_SIDE,
        enlarge: float = 1.0,
    ) -> None:
        from facexlib import utils
        from facexlib.detection.retinaface import RetinaFace

        if weights is not None and not Path(weights).is_file():
            raise UserError(
                f'--weights {NETWORK}={printable(weights)}: there is no such file; get it from {WEIGHTS_URL}, '
                'or leave --weights out to download it.'
            )
        if device.startswith('cuda') and not torch.cuda.is_available():
            raise UserError(f'--device {device}: PyTorch sees no CUDA device here; use --device cpu.')
        try:
            path = weights or Path(utils.load_file_from_url(WEIGHTS_URL, model_dir='facexlib/weights', progress=True))
        except OSError as error:  # urllib's errors are OSErrors
            raise UserError(
                f"the detector's file cannot be downloaded ({error}): get it from {WEIGHTS_URL} elsewhere and "
                f'give it as --weights {NETWORK}=FILE.'
            ) from error
        try:
            state = torch.load(path, map_location='cpu', weights_only=True)
            self.net = RetinaFace(network_name='mobile0.25', device=device)
            self.net.load_state_dict({key.removeprefix('module.'): value for key, value in state.items()})
            self.net.to(device).eval()
        except Exception as error:  # the unpickler of a file of rubbish raises anything
            raise UserError(
                f'the detector cannot be loaded from {printable(path)} ({why_not_loaded(error)}): get the file again '
                f'from {WEIGHTS_URL}.'
            ) from error
        self.max_side, self.enlarge = max_side, enlarge

    def __call__(self, photo: np.ndarray, threshold: float) -> list[Face]:
        """The faces of at least this score in a photo (H, W, 3) uint8, BGR, the most certain first.

        The network knows faces of up to about 600 pixels; of larger ones it finds parts, with certainty and in a wrong
        frame. So large faces are taken from a look at 640 pixels, the others from a look at ``max_side``, where small
        ones are still seen; what that look finds in a large face is dropped.
        """
        side = min(max(photo.shape[:2]) * self.enlarge, self.max_side)
        faces = self._detect(photo, threshold, self.max_side)
        if side <= _SMALL_SIDE:
            return faces
        least = _LARGE_SHARE * max(photo.shape[:2])
        large = [face for face in self._detect(photo, threshold, _SMALL_SIDE) if _height(face) >= least]
        small = [face for face in faces if _height(face) < least and not any(_holds(one, face) for one in large)]
        return sorted(large + small, key=lambda face: -face.score)

    @torch.no_grad()
    def _detect(self, photo: np.ndarray, threshold: float, max_side: int) -> list[Face]:
        shrink = min(self.enlarge, max_side / max(photo.shape[:2]))
        small = photo
        if shrink * min(photo.shape[:2]) < 1:  # a stripe: no pixel of its breadth would be left, and no face is in it
            return []
        if shrink != 1:
            # Whole photos, for the detector's eyes alone: OpenCV is 200 times as fast as ops.resize_array.
            kernel = cv2.INTER_AREA if shrink < 1 else cv2.INTER_CUBIC
            small = cv2.resize(photo, None, fx=shrink, fy=shrink, interpolation=kernel)
        found = self.net.detect_faces(small, conf_threshold=threshold)  # (faces, 15): box, score, landmarks
        return [
            Face(
                box=tuple(float(edge) / shrink for edge in row[:4]),
                score=float(row[4]),
                landmarks=row[5:].reshape(5, 2).astype(np.float64) / shrink,
            )
            for row in found
        ]


def _height(face: Face) -> float:
    return face.box[3] - face.box[1]


def _holds(large: Face, face: Face) -> bool:
    x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
    return large.box[0] < x < large.box[2] and large.box[1] < y < large.box[3]


def limit_threads() -> None:
    """One thread for this process, when several share the processor."""
    os.environ['OMP_NUM_THREADS'] = '1'
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
