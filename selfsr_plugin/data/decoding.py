"""Encoded images to pixels: refused by their header where they must not be decoded, and always in sRGB.

OpenCV decodes, since it is the fastest and what BasicSR's users have; it ignores colour profiles, though, with which a
phone's photo comes out some grey levels off. Pillow reads the headers, and LittleCMS, which it brings, converts.
"""

import functools
import importlib.util
import io
import warnings

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageOps

IMAGE_EXTENSIONS = ('.png', '.jpg', '.jpeg', '.jfif', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm')
HEIC_EXTENSIONS = ('.heic', '.heif')  # photos of phones; the optional package pillow-heif decodes them
MAX_PIXELS = 2 * 89_478_485  # Pillow's limit for decompression bombs: 512 MiB as 24-bit RGB

_FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'TIFF', 'PPM')
_UNREAD = ('GIF', 'AVIF', 'JPEG2000', 'TGA', 'ICO', 'ICNS', 'PSD', 'DDS', 'PCX', 'SGI', 'QOI')  # Pillow knows them
_VIDEO = 'a video: save its frames as pictures and give those'
_WIDE = 'numbers of 32 bits or with a floating point, which are not read'
_NO_PICTURES = {  # how files begin that are often called .jpg or .png, and what they are
    b'version https://git-lfs': 'the pointer that Git LFS leaves in place of a file: git lfs pull',
    b'<!doctype html': 'a web page, as a download that was refused leaves it: download it again',
    b'<html': 'a web page, as a download that was refused leaves it: download it again',
    b'<svg': 'a drawing (SVG): save it as PNG',
    b'<?xml': 'XML, perhaps a drawing (SVG): save it as PNG',
    b'%pdf': 'a PDF: save its pictures as PNG',
    b'pk\x03\x04': 'a ZIP archive: unpack it',
    b'ii*\0': f'cut short, or a TIFF of {_WIDE}: save it as PNG',
    b'mm\0*': f'cut short, or a TIFF of {_WIDE}: save it as PNG',
    b'\x1ae\xdf\xa3': _VIDEO,  # Matroska, WebM
}
_STILL = (
    b'heic',
    b'heix',
    b'heim',
    b'heis',
    b'hevc',
    b'mif1',
    b'msf1',
    b'avif',
    b'avis',
    b'crx ',
)  # of ISO media files
_SMALL = 1 << 16  # of fewer bytes the header is not looked at while training: that would take as long as decoding them
_NEARLY_SRGB = 2  # of 255: profiles that change no colour by more are taken for sRGB, of which there are many versions


class CorruptImageError(ValueError):
    """One image cannot be used. ``str()`` gives '<path>: <reason>'."""

    def __init__(self, path: str, reason: str = '') -> None:
        super().__init__(path, reason)  # both in args, so that it pickles

    def __str__(self) -> str:
        return ': '.join(part for part in self.args if part)


@functools.cache
def readable_extensions() -> tuple[str, ...]:
    """``IMAGE_EXTENSIONS``, and ``HEIC_EXTENSIONS`` where the package pillow-heif is installed."""
    if importlib.util.find_spec('pillow_heif') is None:
        return IMAGE_EXTENSIONS
    import pillow_heif

    pillow_heif.register_heif_opener()
    return IMAGE_EXTENSIONS + HEIC_EXTENSIONS


def decode_image(data: bytes, path: str) -> np.ndarray:
    """An encoded image as uint8 (H, W, 3), BGR, in sRGB.

    Grey becomes three channels, alpha is dropped, 16 bits become 8, EXIF rotation is applied, and colours of an
    embedded profile (Display P3, Adobe RGB, grey, CMYK) are converted. A profile that is broken, or of another kind
    than the image, is ignored, as viewers do; CMYK without one is converted by the plain formula.

    Args:
        data: the file's content.
        path: names it in errors.

    Raises:
        CorruptImageError: empty, cut short, not an image, or more than ``MAX_PIXELS``.
    """
    header = _open(data, path) if _needs_a_look(data) else None
    if header is None:
        return _decode_with_opencv(data, path)
    mode = _profile_mode(header)
    transform = _lab_to_srgb() if mode == 'LAB' else to_srgb(header.info.get('icc_profile') or b'', mode)
    # OpenCV does not read the first, reads CMYK as RGB, and takes the white of a screen for LAB's, D50
    if header.format == 'HEIF' or transform and mode in ('CMYK', 'LAB'):
        return _decode_with_pillow(header, path, transform)
    image = _decode_with_opencv(data, path)
    if transform is None:
        return image
    image = image[..., 0] if mode == 'L' else image[..., ::-1]
    return np.asarray(ImageCms.applyTransform(Image.fromarray(np.ascontiguousarray(image)), transform))[
        ..., ::-1
    ].copy()


def check_header(data: bytes, path: str) -> Image.Image:
    """Look at an image before its pixels take any memory, also for what no face is cut from: animations, pages.

    Arguments as :func:`decode_image`.

    Returns:
        Pillow's image, of which the header alone has been read.

    Raises:
        CorruptImageError: not an image by its header, more than ``MAX_PIXELS``, or several pictures in one.
    """
    image = _open(data, path)
    # a phone's MPO file is a JPEG with extra pictures behind it, its HEIC file may hold several shots
    if image.format not in ('JPEG', 'MPO', 'HEIF') and getattr(image, 'is_animated', False):
        raise CorruptImageError(path, 'it is animated or holds several pictures: keep one of them')
    return image


def _open(data: bytes, path: str) -> Image.Image:
    if not data:
        raise CorruptImageError(path, 'it is empty (0 bytes)')
    formats = _FORMATS + ('HEIF',) * (readable_extensions() != IMAGE_EXTENSIONS)
    too_large = f'more than {MAX_PIXELS} pixels (a decompression bomb?): shrink it or cut the face out'
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of what Pillow warns is refused here or does not matter
            image = Image.open(io.BytesIO(data), formats=formats)
    except Image.DecompressionBombError:
        raise CorruptImageError(path, f'its header claims {too_large}') from None
    except Exception as error:  # Pillow's readers raise many kinds
        raise CorruptImageError(path, _what_it_is(data) or 'it is cut short or not an image') from error
    if image.width * image.height > MAX_PIXELS:
        raise CorruptImageError(path, f'it is {image.width}x{image.height}, {too_large}')
    return image


def _what_it_is(data: bytes) -> str:
    """What bytes are that are read as no image here, with the remedy; '' where nothing is known of them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            picture = Image.open(io.BytesIO(data), formats=_UNREAD + _FORMATS)
            if picture.format in (*_FORMATS, 'MPO'):  # which OpenCV reads, unless it is broken
                return f'its pixels are {_WIDE}: save it as PNG' * (picture.mode in ('F', 'I'))
    except Exception:  # Pillow's readers raise many kinds
        if data[4:8] == b'ftyp' and data[8:12] not in _STILL or data[:4] == b'RIFF' and data[8:12] == b'AVI ':
            return f'it is {_VIDEO}'
        if data[4:8] == b'ftyp':
            missing = readable_extensions() == IMAGE_EXTENSIONS
            return 'it is no image, or one that needs pip install pillow-heif (HEIC): or save it as PNG' * missing
        kind = next((kind for start, kind in _NO_PICTURES.items() if data.lstrip()[:64].lower().startswith(start)), '')
        return f'it is {kind}' if kind else ''
    return f'it is of the format {picture.format}, which is not read: save it as PNG'


@functools.lru_cache(maxsize=32)
def to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """LittleCMS's transform from an ICC profile, or None where there is nothing to do or nothing that could be done.

    Args:
        profile: an image's ``info['icc_profile']``; may be empty.
        mode: of the pixels: 'L', 'RGB' or 'CMYK'. The transform gives 'RGB'.
    """
    if not profile:
        return None
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile('sRGB'),
            mode,
            'RGB',
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE,
        )  # its cache is not for several threads
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    if mode == 'CMYK':
        return transform
    steps = np.linspace(0, 255, 18).astype(np.uint8)  # colours all over the cube, or all greys
    colours = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 18, 3)
    colours = colours if mode == 'RGB' else np.arange(256, dtype=np.uint8)[None]
    converted = np.asarray(ImageCms.applyTransform(Image.fromarray(colours), transform)).astype(int)
    change = np.abs(converted - (colours if mode == 'RGB' else colours[..., None]))
    return transform if change.max() > _NEARLY_SRGB else None


@functools.cache
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    profiles = ImageCms.createProfile('LAB'), ImageCms.createProfile('sRGB')
    return ImageCms.buildTransform(*profiles, 'LAB', 'RGB', flags=ImageCms.Flags.NOCACHE)


def _profile_mode(header: Image.Image) -> str:
    if header.mode in ('CMYK', 'LAB'):
        return header.mode
    return 'L' if header.mode.startswith(('1', 'L', 'I', 'F')) else 'RGB'


def _needs_a_look(data: bytes) -> bool:
    """Whether a header may hold what OpenCV does not see: a profile, too many pixels for memory, another format."""
    return (
        len(data) >= _SMALL
        or b'ICC_PROFILE' in data
        or b'iCCP' in data
        or b'ICCP' in data
        or data[:2] in (b'II', b'MM')
        or data[4:8] == b'ftyp'
    )


def _decode_with_opencv(data: bytes, path: str) -> np.ndarray:
    if not data:
        raise CorruptImageError(path, 'it is empty (0 bytes)')
    if _jpeg_is_cut(data):
        raise CorruptImageError(path, 'the JPEG data is cut short')
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise CorruptImageError(path, f'OpenCV refuses it ({" ".join(str(error.err).split())})') from error
    if image is None:
        raise CorruptImageError(path, _what_it_is(data) or 'it is cut short or not an image that OpenCV can read')
    return image


def _decode_with_pillow(header: Image.Image, path: str, transform: ImageCms.ImageCmsTransform | None) -> np.ndarray:
    try:
        image = ImageOps.exif_transpose(header)
        image = (
            image.convert('RGB')
            if transform is None
            else ImageCms.applyTransform(image if image.mode in ('CMYK', 'LAB') else image.convert('RGB'), transform)
        )
    except Exception as error:  # Pillow's readers raise many kinds
        raise CorruptImageError(path, 'it is cut short or broken') from error
    return np.asarray(image)[..., ::-1].copy()


def _jpeg_is_cut(data: bytes) -> bool:
    """Whether a JPEG stream lacks the end marker after its scan. OpenCV 4 fills such an image with grey, silently."""
    position = 2
    while data[:2] == b'\xff\xd8' and position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xDA:  # start of scan: from here on FF D9 can only be the end marker
            return data.rfind(b'\xff\xd9', position) < 0
        position += 1 if marker == 0xFF else 2 + int.from_bytes(data[position + 2 : position + 4], 'big')
    return False  # no JPEG, or no scan in it: the decoder's to judge
