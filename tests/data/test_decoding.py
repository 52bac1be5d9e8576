"""Colours of embedded profiles, formats of phones, headers that claim too much."""

import io
import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, features

from selfsr_plugin.data import CorruptImageError, decoding
from selfsr_plugin.data.decoding import check_header, decode_image, to_srgb

SRGB = ImageCms.createProfile('sRGB')
PRIMARIES = {  # columns of the matrix to XYZ (D50), as in the profiles themselves
    'Display P3': {
        b'rXYZ': (0.51512, 0.24120, -0.00105),
        b'gXYZ': (0.29198, 0.69225, 0.04189),
        b'bXYZ': (0.15710, 0.06657, 0.78407),
    },
    'Adobe RGB': {
        b'rXYZ': (0.60974, 0.31111, 0.01947),
        b'gXYZ': (0.20528, 0.62567, 0.06087),
        b'bXYZ': (0.14919, 0.06322, 0.74457),
    },
}


def rgb_profile(name):
    """sRGB's profile with other primaries."""
    profile = bytearray(ImageCms.ImageCmsProfile(SRGB).tobytes())
    for number in range(struct.unpack('>I', profile[128:132])[0]):
        tag, at, _ = struct.unpack('>4sII', profile[132 + 12 * number : 144 + 12 * number])
        if tag in PRIMARIES[name]:
            profile[at + 8 : at + 20] = struct.pack('>3i', *(round(value * 65536) for value in PRIMARIES[name][tag]))
    return bytes(profile)


def grey_profile(gamma, black=0.0):
    """The least that an ICC profile of a grey device holds: its white point, and its curve from ``black`` on."""
    white = b'XYZ \0\0\0\0' + struct.pack('>3i', 63190, 65536, 54061)
    curve = b'curv\0\0\0\0' + struct.pack('>IH', 1, round(gamma * 256)) + b'\0\0'
    if black:
        table = black + (1 - black) * np.linspace(0, 1, 256) ** gamma
        curve = b'curv\0\0\0\0' + struct.pack('>I256H', 256, *(round(65535 * value) for value in table))
    tags = struct.pack('>I', 2) + struct.pack('>4sII', b'wtpt', 156, 20)
    tags += struct.pack('>4sII', b'kTRC', 176, len(curve))
    body = tags + white + curve
    header = struct.pack('>I4sI4s4s4s', 128 + len(body), b'\0\0\0\0', 0x02100000, b'mntr', b'GRAY', b'XYZ ')
    header += bytes(12) + b'acsp' + bytes(28) + struct.pack('>3i', 63190, 65536, 54061)
    return header.ljust(128, b'\0') + body


def widened(image, profile):
    """The same colours in the numbers of another profile."""
    wide = ImageCms.profileToProfile(image, SRGB, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    del wide.info['icc_profile']  # Pillow would write it by itself
    return wide


def encoded(image, form='PNG', **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.fixture
def face(files):
    """Colours that all the profiles here hold: none is at its very edge."""
    return Image.fromarray(np.ascontiguousarray(files.make_image(3, 32)[..., ::-1]) // 2 + 60)


@pytest.mark.parametrize('fill', [0, 1, 3])
def test_a_jpeg_that_is_cut_is_found_behind_bytes_that_fill_up(face, fill):
    """Any number of FF may stand before a marker."""
    data = encoded(face, 'JPEG')
    scan = data.index(b'\xff\xda')
    data = data[:scan] + b'\xff' * fill + data[scan:]
    assert decode_image(data, 'x').shape == (32, 32, 3)
    with pytest.raises(CorruptImageError, match='the JPEG data is cut short'):
        decode_image(data[:-20], 'x')


def difference(data, image):
    return np.abs(decode_image(data, 'x')[..., ::-1].astype(int) - np.asarray(image.convert('RGB')).astype(int)).max()


@pytest.mark.parametrize('name', PRIMARIES)
@pytest.mark.parametrize('form', ['PNG', 'WEBP', 'TIFF', 'JPEG'])
def test_colours_of_a_wide_profile_come_out_as_srgb(face, name, form):
    profile = rgb_profile(name)
    wide = widened(face, profile)
    options = {'JPEG': {'quality': 100, 'subsampling': 0}, 'WEBP': {'lossless': True}}.get(form, {})
    tolerance = 6 if form == 'JPEG' else 3
    assert difference(encoded(wide, form, icc_profile=profile, **options), face) <= tolerance
    assert difference(encoded(wide, form, **options), face) > 10  # the test would see it if nothing were converted


def test_a_profile_in_a_tiff_of_either_byte_order(face):
    profile = rgb_profile('Adobe RGB')
    wide = np.ascontiguousarray(np.asarray(widened(face, profile)))
    for order in '<>':
        entries = [
            *((256, 3, 1, 32), (257, 3, 1, 32), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 0)),
            *((277, 3, 1, 3), (278, 3, 1, 32), (279, 4, 1, wide.nbytes), (34675, 7, len(profile), 0)),
        ]
        after = 8 + 2 + 12 * len(entries) + 4
        places = {258: after, 273: after + 6, 34675: after + 6 + wide.nbytes}
        head = (b'II*\0' if order == '<' else b'MM\0*') + struct.pack(f'{order}IH', 8, len(entries))
        for tag, kind, count, value in entries:
            value = places.get(tag, value)
            short = kind == 3 and tag not in places
            head += struct.pack(f'{order}HHI' + ('HH' if short else 'I'), tag, kind, count, value, *([0] * short))
        data = head + bytes(4) + struct.pack(f'{order}3H', 8, 8, 8) + wide.tobytes() + profile
        assert difference(data, face) <= 3, order


def test_a_profile_of_other_colours_here_and_there_is_converted():
    """Most colours stay within two levels: the one that changes most decides."""
    profile = grey_profile(2.2, black=0.004)
    greys = np.arange(256, dtype=np.uint8)[None]
    change = ImageCms.applyTransform(Image.fromarray(greys), to_srgb(profile, 'L'))
    change = np.abs(np.asarray(change).astype(int) - greys[..., None])
    assert change.mean() < 2 < change.max()


def test_rotation_and_profile_together(face):
    profile, turn = rgb_profile('Display P3'), Image.Exif()
    turn[0x0112] = 6
    face = face.resize((32, 20))
    wide = widened(face, profile)
    assert difference(encoded(wide, 'PNG', icc_profile=profile, exif=turn), face.rotate(-90, expand=True)) <= 3


def test_grey_profiles(face):
    """A grey image of gamma 1.0 is much lighter than its numbers."""
    grey = face.convert('L')
    light = np.asarray(grey) / 255.0
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    got = decode_image(encoded(grey, icc_profile=grey_profile(1.0)), 'x')
    assert got.shape == (32, 32, 3) and np.ptp(got, axis=2).max() == 0
    assert np.abs(got[..., 0] - expected).max() <= 2


def test_the_black_of_a_profile_is_black(face):
    """As ink on paper has it, which reflects some light: black stays black, as viewers show it."""
    got = decode_image(encoded(Image.new('L', (8, 8), 0), icc_profile=grey_profile(2.2, black=0.02)), 'x')
    assert got.max() <= 3


def test_cmyk_with_a_profile_is_decoded_as_cmyk(face, monkeypatch):
    """No profile of a press is at hand: a stand-in for the transform sees what it would be given."""
    data = encoded(face.convert('CMYK'), 'JPEG', quality=100, subsampling=0, icc_profile=b'a press')
    assert difference(data, face) <= 6  # a broken profile: the plain formula
    monkeypatch.setattr(decoding, 'to_srgb', lambda profile, mode: (profile, mode))
    monkeypatch.setattr(
        decoding,
        'ImageCms',
        SimpleNamespace(
            ImageCmsTransform=ImageCms.ImageCmsTransform,
            applyTransform=lambda image, given: given == (b'a press', 'CMYK') and image.convert('RGB'),
        ),
    )
    assert difference(data, face) <= 6
    turn, oblong = Image.Exif(), face.resize((32, 20))
    turn[0x0112] = 6
    options = dict(quality=100, subsampling=0, icc_profile=b'a press', exif=turn)
    assert difference(encoded(oblong.convert('CMYK'), 'JPEG', **options), oblong.rotate(-90, expand=True)) <= 6


def test_srgb_and_broken_profiles_change_nothing(face):
    for profile in (ImageCms.ImageCmsProfile(SRGB).tobytes(), b'no profile', grey_profile(2.2)):
        assert difference(encoded(face, icc_profile=profile), face) == 0
    assert to_srgb(ImageCms.ImageCmsProfile(SRGB).tobytes(), 'RGB') is None


def test_the_white_of_a_profile_is_white(face):
    """Colours are taken relative to it, as viewers do: sRGB with a bluish white is sRGB."""
    profile = bytearray(ImageCms.ImageCmsProfile(SRGB).tobytes())
    at = next(
        struct.unpack('>I', profile[136 + 12 * number : 140 + 12 * number])[0]
        for number in range(struct.unpack('>I', profile[128:132])[0])
        if profile[132 + 12 * number : 136 + 12 * number] == b'wtpt'
    )
    profile[at + 8 : at + 20] = struct.pack('>3i', *(round(value * 65536) for value in (0.9505, 1.0, 1.0891)))
    assert to_srgb(bytes(profile), 'RGB') is None


def test_profiles_that_change_little_are_converted_all_the_same():
    """From a gamma of 2 to that of sRGB greys change by no more than some ten levels."""
    transform = to_srgb(grey_profile(2.0), 'L')
    greys = np.arange(256, dtype=np.uint8)[None]
    change = np.asarray(ImageCms.applyTransform(Image.fromarray(greys), transform)).astype(int) - greys[..., None]
    assert 5 < np.abs(change).max() < 30


def test_too_many_pixels_are_refused_before_they_take_memory(monkeypatch):
    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))

    bomb = (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', struct.pack('>IIBBBBB', 30000, 30000, 8, 2, 0, 0, 0))
        + chunk(b'IDAT', bytes(1 << 16))
        + chunk(b'IEND', b'')
    )
    monkeypatch.setattr(decoding.cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    with pytest.raises(CorruptImageError, match='x: its header claims more than 178956970 pixels'):
        decode_image(bomb, 'x')


def test_too_many_pixels_are_refused_whatever_pillow_would_take(face, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)  # as programs that work with large pictures set it
    check_header(encoded(face), 'x')
    monkeypatch.setattr(decoding, 'MAX_PIXELS', 32 * 32 - 1)
    with pytest.raises(CorruptImageError, match='x: it is 32x32, more than 1023 pixels'):
        check_header(encoded(face), 'x')


def test_heic(face):
    heif = pytest.importorskip('pillow_heif', reason='the optional package pillow-heif is not installed')
    heif.register_heif_opener()
    profile = rgb_profile('Display P3')
    wide = widened(face, profile)
    data = encoded(wide, 'HEIF', quality=-1, chroma=444, icc_profile=profile)
    assert check_header(data, 'x').size == (32, 32) and difference(data, face) <= 8


def test_heic_without_the_package_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(decoding, 'readable_extensions', lambda: decoding.IMAGE_EXTENSIONS)
    with pytest.raises(CorruptImageError, match='pip install pillow-heif'):
        decode_image(b'\0\0\0\x18ftypheic' + bytes(40), 'x.heic')


@pytest.mark.parametrize('form', ['GIF', 'AVIF', 'JPEG2000', 'TGA', 'ICO', 'DDS', 'PCX'])
def test_pictures_of_formats_that_are_not_read_are_called_by_them(face, form):
    if form == 'AVIF' and not features.check('avif'):
        pytest.skip('this Pillow cannot write AVIF')
    with pytest.raises(CorruptImageError, match=f'x: it is of the format {form}, which is not read: save it as PNG'):
        check_header(encoded(face, form), 'x')


@pytest.mark.parametrize('read', [check_header, decode_image])
@pytest.mark.parametrize(
    'data, what',
    [
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:1', 'Git LFS'),
        (b'\n<!DOCTYPE html><html><head><title>404</title>', 'a web page'),
        (b'%PDF-1.7 ', 'a PDF'),
        (b'\0\0\0\x20ftypisom', 'a video'),
        (b'RIFF\0\0\0\0AVI LIST', 'a video'),
        (b'\x1aE\xdf\xa3\x01\0\0', 'a video'),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', 'SVG'),
        (b'PK\x03\x04\x14\0', 'a ZIP archive'),
        (b'some text', 'cut short or not an image'),
    ],
)
def test_what_is_no_picture_is_said(read, data, what):
    with pytest.raises(CorruptImageError, match=f'x: .*{what}'):
        read(data, 'x')


@pytest.mark.parametrize('wide', [np.float32, np.int32])
def test_pixels_of_32_bits_are_said(wide):
    with pytest.raises(CorruptImageError, match='x: its pixels are numbers of 32 bits or with a floating point, which'):
        decode_image(encoded(Image.fromarray(np.ones((8, 8), wide)), 'TIFF'), 'x')


def test_colours_of_32_bits_are_said():
    """Which Pillow does not know, as it does not know a TIFF that is cut."""
    data = cv2.imencode('.tiff', np.ones((8, 8, 3), np.float32))[1].tobytes()
    with pytest.raises(CorruptImageError, match='x: it is cut short, or a TIFF of numbers of 32 bits'):
        decode_image(data, 'x')


def test_lab_is_converted_by_its_own_white(face):
    lab = ImageCms.buildTransform(ImageCms.createProfile('sRGB'), ImageCms.createProfile('LAB'), 'RGB', 'LAB')
    got = decode_image(encoded(ImageCms.applyTransform(face, lab), 'TIFF'), 'x')
    assert np.abs(got[..., ::-1].astype(int) - np.asarray(face)).mean() < 1
