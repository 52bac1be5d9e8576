"""What the photo around the restored faces is enlarged by."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..errors import UserError, why_not_loaded
from ..files import printable

BACKGROUNDS = ('bicubic', 'realesrgan')
REALESRGAN = 'realesrgan'  # as --weights NAME=FILE calls its network
REALESRGAN_URL = 'https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.1/RealESRGAN_x2plus.pth'
_TILE = 400  # pixels a side that Real-ESRGAN sees at once, GFPGAN's default


def bicubic(photo: np.ndarray, upscale: int) -> np.ndarray:
    """Enlarge (H, W) or (H, W, 3) uint8 by a whole factor: Pillow's bicubic kernel, which is that of the faces."""
    height, width = photo.shape[:2]
    # Not ops.resize_array, which works in double precision: many times slower, and large, for a whole photo.
    return np.array(Image.fromarray(photo).resize((width * upscale, height * upscale), Image.Resampling.BICUBIC))


def realesrgan(weights: str | Path | None, device: torch.device) -> Callable[[np.ndarray, int], np.ndarray]:
    """Real-ESRGAN, of the package of that name, as a function like :func:`bicubic`.

    Args:
        weights: RealESRGAN_x2plus.pth, or x4plus; None lets the package download the former.
        device: where it runs, on a GPU in half precision.

    Raises:
        UserError: the package is not installed, or its file cannot be had or is another network's.
    """
    try:
        from basicsr.archs.rrdbnet_arch import RRDBNet
        from realesrgan import RealESRGANer
    except ImportError as error:
        raise UserError(
            f'--bg_upsampler realesrgan needs the package realesrgan ({error}): pip install realesrgan, or leave it '
            'out, and the background is enlarged by bicubic interpolation.'
        ) from error
    try:
        scale = 2
        if weights is not None:
            content = torch.load(weights, map_location='cpu', weights_only=True)
            content = content.get('params_ema', content.get('params'))
            scale = 2 if content['conv_first.weight'].shape[1] == 12 else 4  # x2 begins by folding 2x2 pixels
        upsampler = RealESRGANer(
            scale,
            str(weights or REALESRGAN_URL),
            model=RRDBNet(num_in_ch=3, num_out_ch=3, num_feat=64, num_block=23, num_grow_ch=32, scale=scale),
            tile=_TILE,
            pre_pad=0,
            half=device.type == 'cuda',
            device=device,
        )
    except Exception as error:  # the unpickler of a file of rubbish raises anything
        raise UserError(
            f"Real-ESRGAN's file {printable(weights or '')} cannot be loaded ({why_not_loaded(error)}): get it from "
            f'{REALESRGAN_URL} and give it as --weights {REALESRGAN}=FILE.'
        ) from error

    def enlarge(photo: np.ndarray, upscale: int) -> np.ndarray:
        with contextlib.redirect_stdout(io.StringIO()):  # a line for every tile
            return upsampler.enhance(photo, outscale=upscale)[0]

    return enlarge
