import dataclasses
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from selfsr_plugin.data import CorruptImageError
from selfsr_plugin.preparation import image_recode
from selfsr_plugin.data.face_images import FaceImages
from selfsr_plugin.preparation.image_recode import Recipe, recode
from selfsr_plugin.data.decoding import decode_image


def pillow_bytes(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def rgb(files):
    return np.ascontiguousarray(files.make_image(5, 24)[..., ::-1])


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize('kind, options', [('JPEG', {}), ('JPEG', {'exif': exif(1)}), ('PNG', {}), ('WEBP', {})])
def test_plain_images_keep_their_bytes(rgb, kind, options):
    data = pillow_bytes(Image.fromarray(rgb), kind, **options)
    stored = recode(data, 'x', Recipe())
    assert stored.data is data and (stored.height, stored.width, stored.level) == (24, 24, 1)


def odd_images(rgb):
    image = Image.fromarray(rgb)
    yield 'grey', pillow_bytes(image.convert('L'), 'PNG')
    yield 'grey jpeg', pillow_bytes(image.convert('L'), 'JPEG')
    yield 'black and white', pillow_bytes(image.convert('1'), 'PNG')
    yield 'palette', pillow_bytes(image.convert('P'), 'PNG')
    yield 'alpha', pillow_bytes(Image.fromarray(np.dstack([rgb, rgb[..., 0]])), 'PNG')
    yield 'grey and alpha', pillow_bytes(image.convert('LA'), 'PNG')
    yield 'transparent colour', pillow_bytes(image, 'PNG', transparency=(1, 2, 3))
    yield 'webp with alpha', pillow_bytes(Image.fromarray(np.dstack([rgb, rgb[..., 0]])), 'WEBP')
    yield '16-bit grey', cv2.imencode('.png', rgb[..., 0].astype(np.uint16) * 257)[1].tobytes()
    yield '16-bit colour', cv2.imencode('.png', rgb.astype(np.uint16) * 257)[1].tobytes()
    yield 'cmyk', pillow_bytes(image.convert('CMYK'), 'JPEG')
    yield 'turned', pillow_bytes(image, 'JPEG', exif=exif(6))
    for kind in ('BMP', 'TIFF', 'PPM'):
        yield kind, pillow_bytes(image, kind)


def test_odd_images_become_what_colour_readers_see(rgb):
    """Whichever way a reader decodes what is stored, it gets what OpenCV's colour reading made of the original."""
    for name, data in odd_images(rgb):
        wanted = decode_image(data, name)
        stored = recode(data, name, Recipe(png_level=3))
        pixels = np.frombuffer(stored.data, np.uint8)
        assert stored.data[:4] == b'\x89PNG' and stored.level == 3, name
        assert (stored.height, stored.width, 3) == wanted.shape, name
        for flag in (cv2.IMREAD_COLOR, cv2.IMREAD_UNCHANGED):
            np.testing.assert_array_equal(cv2.imdecode(pixels, flag), wanted, name)


def test_broken_exif_data_does_no_harm(rgb):
    for broken in (b'x' * 20, b'MM\0*\0\0\0\x08\0\x09', b''):  # Pillow's versions raise or not
        data = pillow_bytes(Image.fromarray(rgb), 'JPEG', exif=b'Exif\0\0' + broken)
        np.testing.assert_array_equal(decode_image(recode(data, 'x', Recipe()).data, 'x'), decode_image(data, 'x'))


def test_rotation_is_applied():
    upright = np.zeros((8, 16, 3), np.uint8)
    upright[:, 8:] = 255
    stored = recode(pillow_bytes(Image.fromarray(upright), 'JPEG', exif=exif(6), quality=100), 'x', Recipe())
    got = decode_image(stored.data, 'x')  # orientation 6: turned clockwise, so that the right half is below
    assert got.shape == (16, 8, 3) and got[:7].max() < 30 and got[9:].min() > 220


def test_resize_is_that_of_the_data_sets(files, tmp_path):
    image = files.make_image(3, 40) // 128 * 255  # hard edges: the kernel overshoots and is clamped
    for side in (16, 64):
        faces = FaceImages({'dataroot_lq': files.write_folder(tmp_path / str(side), {'a': image})}, 'dataroot_lq', side)
        wanted = (faces.read(0) * 255).round().byte().flip(0).permute(1, 2, 0).numpy()
        stored = recode(files.encode(image), 'a', Recipe(size=side, enlarge=True))
        assert (stored.height, stored.width) == (side, side)
        np.testing.assert_array_equal(decode_image(stored.data, 'a'), wanted)


def test_resize_refuses_what_the_data_sets_refuse(files):
    small, tall = files.encode(files.make_image(0, 30)), files.encode(files.make_image(0, 40, 30))
    with pytest.raises(CorruptImageError, match='x: it is 30x30, smaller than 32'):
        recode(small, 'x', Recipe(size=32))
    with pytest.raises(CorruptImageError, match='x: it is 30x40, not square'):
        recode(tall, 'x', Recipe(size=16))
    assert recode(small, 'x', Recipe(size=30)).data is small  # nothing to do: the bytes stay
    assert recode(tall, 'x', Recipe()).data is tall


def test_encoding(rgb, files):
    bgr = rgb[..., ::-1]
    data = files.encode(bgr)
    small, large = (recode(data, 'x', Recipe(encode='jpeg', quality=quality)).data for quality in (50, 100))
    assert small[:2] == b'\xff\xd8' and len(small) < len(large)
    assert np.abs(decode_image(large, 'x').astype(int) - bgr).mean() < 3
    jpeg = files.encode(bgr, '.jpg')
    assert recode(jpeg, 'x', Recipe()).data is jpeg
    png = recode(jpeg, 'x', Recipe(encode='png', png_level=9))
    assert png.level == 9
    np.testing.assert_array_equal(decode_image(png.data, 'x'), decode_image(jpeg, 'x'))


@pytest.mark.parametrize('kind', ['WEBP', 'PNG', 'TIFF'])
def test_animated_images_are_refused(rgb, kind):
    frames = [Image.fromarray(rgb), Image.fromarray(255 - rgb)]
    data = pillow_bytes(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(CorruptImageError, match='animated or holds several pictures'):
        recode(data, 'x', Recipe())


def test_the_second_picture_of_a_phones_jpeg_does_not_matter(rgb):
    frames = [Image.fromarray(rgb), Image.fromarray(255 - rgb)]
    data = pillow_bytes(frames[0], 'MPO', save_all=True, append_images=frames[1:])
    assert recode(data, 'x', Recipe()).data is data
    assert np.abs(decode_image(data, 'x').astype(int) - rgb[..., ::-1]).mean() < 10


@pytest.mark.parametrize('side', [13378, 30000])
def test_decompression_bombs_are_refused_before_they_are_decoded(monkeypatch, side):
    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))

    bomb = (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0))
        + chunk(b'IDAT', zlib.compress(bytes(1000)))
        + chunk(b'IEND', b'')
    )
    monkeypatch.setattr(image_recode, 'decode_image', lambda *_: pytest.fail('decoded'))
    with pytest.raises(CorruptImageError, match='more than 178956970 pixels .a decompression bomb'):
        recode(bomb, 'x', Recipe())


@pytest.mark.parametrize('extension', ['.jpg', '.png', '.webp', '.bmp', '.tif', '.ppm'])
def test_broken_files_are_refused(files, rgb, extension):
    whole = files.encode(rgb, extension)
    recode(whole, 'x', Recipe())
    for broken in (b'', whole[:1], whole[:10], whole[: len(whole) // 2], whole[:-3], b'I am not an image'):
        with pytest.raises(CorruptImageError, match='^x: '):
            recode(broken, 'x', Recipe())


def test_a_changed_byte_in_a_png_is_found(files, rgb):
    data = bytearray(files.encode(rgb))
    data[len(data) // 2] ^= 255
    with pytest.raises(CorruptImageError):
        recode(bytes(data), 'x', Recipe())


def test_a_jpeg_cannot_be_that_wide(files):
    with pytest.raises(CorruptImageError, match='x: an image of 66000x1 cannot be encoded as .jpg'):
        recode(files.encode(np.zeros((1, 66000, 3), np.uint8)), 'x', Recipe(encode='jpeg'))


@pytest.mark.parametrize('wrong', [{'size': 0}, {'encode': 'gif'}, {'png_level': 10}, {'quality': 0}])
def test_impossible_recipes(wrong):
    with pytest.raises(ValueError, match=f'{list(wrong)[0]} must be .*got'):
        Recipe(**wrong)


def test_what_a_recipe_means_where_it_says_nothing():
    """As create_lmdb --help states it."""
    assert dataclasses.asdict(Recipe()) == dict(size=None, enlarge=False, encode='keep', png_level=1, quality=95)
