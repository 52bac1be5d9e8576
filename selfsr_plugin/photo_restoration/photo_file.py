"""A photo as its file has it, and the restored one with what the file had beside the pixels."""

import io
import warnings
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

from ..data.decoding import CorruptImageError, check_header, decode_image

_ORIENTATION = 0x0112  # EXIF tag; 1: as stored
_EXIF_MARK = b'Exif\0\0'
_TO_STORED = {  # what undoes the turn that the orientation asks for
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_TO_UPRIGHT = {**_TO_STORED, 6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}
_PLAIN = ('L', 'LA', 'P', 'PA', 'RGB', 'RGBA')  # Pillow's modes of 8 bits that keep their colours here
# EXIF tags that do not say how pixels are stored: description, maker, model, program, date, artist,
# copyright, and the sections of the camera and of the place
_ABOUT = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298, 0x8769, 0x8825)
EXTENSIONS = {  # the first is given to new names
    'JPEG': ('.jpg', '.jpeg', '.jfif'),
    'PNG': ('.png',),
    'WEBP': ('.webp',),
    'BMP': ('.bmp',),
    'TIFF': ('.tif', '.tiff'),
    'PPM': ('.ppm', '.pgm'),
    'HEIF': ('.heic', '.heif'),
}
_JPEG_SIDE = 65_500  # pixels, libjpeg's limit
_JPEG_EXIF = 65_533  # bytes, of one segment


@dataclass
class PhotoFile:
    """The pixels of a photo, and what :meth:`encode` keeps of its file.

    Attributes:
        pixels: (H, W, 3) uint8, BGR, upright. Colours are those of the photo's own profile: converting them to sRGB
            and back would round every pixel.
        alpha: (H, W) uint8, or None.
        grey: whether the file has grey pixels, ``pixels`` then three equal channels.
        own_kind: that of the file, of ``EXTENSIONS``, as which an unchanged photo keeps its bytes.
        orientation: EXIF's, as which the pixels are stored again.
        extras: Pillow's ``icc_profile``, ``exif`` and ``dpi``, where the file has them.
        notes: what is not kept, as parts of a sentence.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    grey: bool
    own_kind: str
    orientation: int = 1
    extras: dict[str, object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """'JPEG' or 'PNG': what a restored one is written as, unless told otherwise."""
        return 'JPEG' if self.own_kind == 'JPEG' else 'PNG'

    def encode(self, image: np.ndarray, kind: str) -> bytes:
        """The file of a restored photo.

        JPEG is written at quality 95 without subsampling of colours, so that what was restored survives; EXIF that it
        does not hold is left out, with a note.

        Args:
            image: (H * n, W * n, 3) uint8, BGR, upright.
            kind: 'JPEG' or 'PNG'.

        Raises:
            ValueError: the format does not hold so large an image.
        """
        if kind == 'JPEG' and max(image.shape[:2]) > _JPEG_SIDE:
            raise ValueError(
                f'{image.shape[1]}x{image.shape[0]} pixels are more than a JPEG holds, {_JPEG_SIDE} a side: give '
                '--ext png'
            )
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY if self.grey else cv2.COLOR_BGR2RGB)
        if self.alpha is not None and kind == 'PNG':
            alpha = self.alpha
            if alpha.shape != image.shape[:2]:
                # By Pillow, as background.bicubic enlarges the photo under it.
                alpha = np.array(Image.fromarray(alpha).resize(image.shape[1::-1], Image.Resampling.BICUBIC))
            image = np.dstack([image, alpha])
        picture, extras = Image.fromarray(image), self.extras
        if kind == 'JPEG' and len(extras.get('exif', b'')) > _JPEG_EXIF:  # upright then, as nothing says how to turn it
            extras = {name: value for name, value in extras.items() if name != 'exif'}
            self.notes.append(f'its EXIF is longer than the {_JPEG_EXIF} bytes that a JPEG holds and was left out')
        elif self.orientation in _TO_STORED:
            picture = picture.transpose(_TO_STORED[self.orientation])
        settings = {'quality': 95, 'subsampling': 0} if kind == 'JPEG' else {'compress_level': 3}
        stream = io.BytesIO()
        picture.save(stream, kind, **settings, **extras)
        return stream.getvalue()


def photo_size(data: bytes, path: str) -> tuple[int, int]:
    """Height and width by the header. CorruptImageError as :func:`read_photo_file`, for what the header tells."""
    header = check_header(data, path)
    return header.height, header.width


def read_photo_file(data: bytes, path: str) -> PhotoFile:
    """Decode a photo.

    CMYK becomes sRGB, 16 bits become 8, a palette becomes its colours. A phone's further pictures are left out.

    Args:
        data: the file's content.
        path: names it in errors.

    Raises:
        CorruptImageError: empty, cut short, not an image, animated, or of too many pixels.
    """
    picture = check_header(data, path)
    kind = 'JPEG' if picture.format == 'MPO' else picture.format
    extras = {name: picture.info[name] for name in ('icc_profile', 'exif', 'dpi') if picture.info.get(name)}
    notes = []
    if picture.mode not in _PLAIN:
        deep = picture.mode.startswith(('I', 'F'))
        if deep:
            notes.append('its 16 bits a channel became 8')
        elif picture.mode == 'CMYK':
            notes.append('its CMYK colours became sRGB')
        pixels = decode_image(data, path)
        extras = {**extras, 'icc_profile': b'', 'exif': _without_layout(picture)}  # it is upright now, and in sRGB
        extras = {name: value for name, value in extras.items() if value}
        return PhotoFile(pixels, None, deep or picture.mode == '1', kind, extras=extras, notes=notes)
    if any(';16' in str(tile[3]) or tile[0] == 'ppm' and tile[3][1] > 255 for tile in picture.tile):
        # how it is stored: Pillow shows 16-bit RGB as RGB
        notes.append('its 16 bits a channel became 8')
    try:
        picture.load()
    except (SyntaxError, OSError, ValueError) as error:  # what Pillow's readers raise
        raise CorruptImageError(path, 'it is cut short or broken') from error
    orientation = _orientation(picture)
    # Not ImageOps.exif_transpose, which also writes EXIF anew and fails where any other entry of it is broken.
    upright = picture.transpose(_TO_UPRIGHT[orientation]) if orientation in _TO_UPRIGHT else picture
    if not extras.get('exif', _EXIF_MARK).startswith(_EXIF_MARK):  # as in a WebP; a JPEG's is none without
        extras['exif'] = _EXIF_MARK + extras['exif']
    if 'exif' not in extras:  # as in a TIFF, whose tags also say how its pixels are stored
        orientation = 1
        extras.update({'exif': about} if (about := _without_layout(picture)) else {})
    picture = upright
    if picture.mode in ('P', 'PA') or 'transparency' in picture.info:
        has_alpha = picture.mode == 'PA' or 'transparency' in picture.info
        picture = picture.convert('RGBA' if has_alpha else 'RGB')
    alpha = np.asarray(picture.getchannel('A')) if picture.mode in ('LA', 'RGBA') else None
    grey = picture.mode in ('L', 'LA')
    if grey:
        pixels = cv2.cvtColor(np.asarray(picture.getchannel('L')), cv2.COLOR_GRAY2BGR)
    else:
        pixels = cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2BGR if alpha is None else cv2.COLOR_RGBA2BGR)
    return PhotoFile(pixels, alpha, grey, kind, orientation, extras, notes)


def _orientation(picture: Image.Image) -> int:
    """EXIF's, 1 where that cannot be read: as viewers show such a photo."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # Pillow warns of broken entries that are not read here
            return picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow raises many kinds where EXIF is broken
        return 1


def _without_layout(picture: Image.Image) -> bytes:
    """EXIF of a picture without its orientation and whatever else says how pixels are stored; b'' if none is left."""
    kept = Image.Exif()
    try:
        found = picture.getexif()
        for tag in _ABOUT:
            if tag in found:
                kept[tag] = found.get_ifd(tag) if tag in (0x8769, 0x8825) else found[tag]
        return kept.tobytes() if kept else b''
    except Exception:  # Pillow raises many kinds where EXIF is broken
        return b''
