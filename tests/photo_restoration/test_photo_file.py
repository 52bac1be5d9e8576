"""What a photo's file has comes out again: orientation, profile, alpha, grey, resolution. The rest is said."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin

from selfsr_plugin.data.decoding import CorruptImageError
from selfsr_plugin.photo_restoration.background import bicubic
from selfsr_plugin.photo_restoration.photo_file import read_photo_file

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()


def saved(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def rgb(kit):
    return Image.fromarray(kit.photo(40, 60)[..., ::-1].copy())


def again(photo, kind='PNG'):
    return Image.open(io.BytesIO(photo.encode(photo.pixels, kind)))


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'WEBP'])
def test_orientation(kit, orientation, kind):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, 'maker'
    data = saved(rgb(kit), kind, exif=exif)
    photo = read_photo_file(data, 'a')
    upright = np.asarray(Image.open(io.BytesIO(data)).convert('RGB'))
    for step in {3: [2], 6: [3], 8: [1]}.get(orientation, []):
        upright = np.rot90(upright, step)
    if orientation in (1, 3, 6, 8):
        assert np.array_equal(photo.pixels[..., ::-1], upright)
    assert photo.pixels.shape[:2] == ((60, 40) if orientation > 4 else (40, 60))
    for kind_out in ('JPEG', 'PNG'):
        result = again(photo, kind_out)
        assert result.getexif()[0x0112] == orientation and result.getexif()[0x010F] == 'maker'
    assert np.array_equal(np.asarray(result), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'WEBP'])
def test_broken_exif_is_no_broken_photo(kit, kind):
    """Cameras and editors leave such: a section whose number of entries is wrong, or no EXIF. Shown all the same."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)  # the place
    good = exif.tobytes()
    place = good.rindex(b'\0\1\0\2\0\5')  # one entry, number 2, fractions
    section = good[:place] + b'B' + good[place + 1 :]
    for broken, turned in ((section, True), (b'Exif\0\0MM\0*\xff\xff\xff\xff', False), (b'Exif\0\0??', False)):
        data = saved(rgb(kit), kind, exif=broken)
        photo = read_photo_file(data, 'a')
        assert photo.pixels.shape[:2] == ((60, 40) if turned else (40, 60))
        stored = np.asarray(Image.open(io.BytesIO(data)).convert('RGB'))
        assert np.array_equal(np.asarray(again(photo)), stored)


@pytest.mark.parametrize('kind', ['PNG', 'JPEG'])
def test_profile_and_resolution(kit, kind):
    photo = read_photo_file(saved(rgb(kit), kind, icc_profile=PROFILE, dpi=(300, 300)), 'a')
    result = again(photo, kind)
    assert result.format == kind and result.info['icc_profile'] == PROFILE and round(result.info['dpi'][0]) == 300


def test_colours_stay_those_of_the_profile(kit):
    """Adobe RGB or Display P3: converted to sRGB and back, every pixel would be rounded, and some cut off."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile('XYZ')).tobytes()
    photo = read_photo_file(saved(rgb(kit), 'PNG', icc_profile=lab), 'a')
    assert np.array_equal(photo.pixels, kit.photo(40, 60)) and again(photo).info['icc_profile'] == lab


@pytest.mark.parametrize('mode', ['L', 'LA', 'RGB', 'RGBA'])
def test_grey_and_alpha(kit, mode):
    picture = rgb(kit).convert(mode)
    if mode.endswith('A'):
        picture.putalpha(Image.fromarray(kit.photo(40, 60, seed=1)[..., 0]))
    photo = read_photo_file(saved(picture, 'PNG'), 'a')
    assert photo.grey == (mode[0] == 'L') and (photo.alpha is not None) == mode.endswith('A')
    result = again(photo)
    assert result.mode == mode and np.array_equal(np.asarray(result), np.asarray(picture))
    enlarged = Image.open(io.BytesIO(photo.encode(np.repeat(np.repeat(photo.pixels, 2, 0), 2, 1), 'PNG')))
    assert enlarged.mode == mode and enlarged.size == (120, 80)
    if photo.alpha is not None:  # as the photo itself is enlarged, in no steps
        assert np.array_equal(np.asarray(enlarged)[..., -1], bicubic(photo.alpha, 2))
    assert Image.open(io.BytesIO(photo.encode(photo.pixels, 'JPEG'))).mode == ('L' if photo.grey else 'RGB')


def test_palettes(kit):
    picture = rgb(kit).quantize(16)
    photo = read_photo_file(saved(picture, 'PNG'), 'a')
    assert np.array_equal(np.asarray(again(photo)), np.asarray(picture.convert('RGB')))
    clear = read_photo_file(saved(picture, 'PNG', transparency=3), 'a')
    assert again(clear).mode == 'RGBA' and (clear.alpha == 0).any()


def test_a_jpeg_loses_next_to_nothing(kit):
    photo = read_photo_file(saved(rgb(kit), 'JPEG', quality=80), 'a')
    result = np.asarray(again(photo, 'JPEG'))[..., ::-1]
    assert photo.kind == 'JPEG' and np.abs(result.astype(int) - photo.pixels).mean() < 1.5
    assert JpegImagePlugin.get_sampling(again(photo, 'JPEG')) == 0  # of colours: none is left out


@pytest.mark.parametrize('kind, extension', [('WEBP', '.webp'), ('BMP', '.bmp'), ('TIFF', '.tif')])
def test_other_formats_become_png(kit, kind, extension):
    photo = read_photo_file(saved(rgb(kit), kind, **({'lossless': True} if kind == 'WEBP' else {})), 'a')
    assert (photo.kind, photo.own_kind) == ('PNG', kind) and np.array_equal(photo.pixels, kit.photo(40, 60))


def test_cmyk_and_16_bits_are_said(kit):
    cmyk = read_photo_file(saved(rgb(kit).convert('CMYK'), 'JPEG', quality=95), 'a')
    assert cmyk.notes == ['its CMYK colours became sRGB'] and again(cmyk, 'JPEG').mode == 'RGB'
    assert np.abs(cmyk.pixels.astype(int) - kit.photo(40, 60)).mean() < 4
    for image in (kit.photo(40, 60), kit.photo(40, 60)[..., 0]):
        for extension in ('.png', '.tif', '.ppm' if image.ndim == 3 else '.pgm'):
            deep = read_photo_file(cv2.imencode(extension, image.astype(np.uint16) * 257)[1].tobytes(), 'a')
            assert deep.notes == ['its 16 bits a channel became 8']
            assert np.array_equal(deep.pixels[..., 0], image if image.ndim == 2 else image[..., 0])
        assert deep.grey == (image.ndim == 2)


@pytest.mark.parametrize('kind, mode', [('JPEG', 'CMYK'), ('PNG', 'I;16'), ('TIFF', 'RGB')])
def test_exif_stays_where_pixels_are_stored_anew(kit, kind, mode):
    """Maker, date and resolution; the pixels are upright then, and nothing may say that they are turned."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8769] = 6, 'maker', {0x9003: '2020:01:01 00:00:00'}
    deep = Image.fromarray(kit.photo(40, 60)[..., 0].astype(np.uint16) * 257)
    picture = deep if mode == 'I;16' else rgb(kit).convert(mode)
    photo = read_photo_file(saved(picture, kind, exif=exif.tobytes(), dpi=(300, 300)), 'a')
    assert photo.pixels.shape[:2] == (60, 40)
    result = again(photo)
    assert result.size == (40, 60) and round(result.info['dpi'][0]) == 300
    found = result.getexif()
    assert 0x0112 not in found and found[0x010F] == 'maker'
    assert found.get_ifd(0x8769) == {0x9003: '2020:01:01 00:00:00'}


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP'])
def test_what_is_cut_short(kit, kind):
    data = saved(Image.fromarray(kit.photo(200, 300)), kind)
    with pytest.raises(CorruptImageError, match='a: it is cut short'):
        read_photo_file(data[: len(data) // 2], 'a')


def test_animations(kit):
    frames = [Image.fromarray(kit.photo(40, 60, seed)) for seed in range(3)]
    for kind in ('PNG', 'WEBP', 'TIFF'):
        with pytest.raises(CorruptImageError, match='animated or holds several pictures'):
            read_photo_file(saved(frames[0], kind, save_all=True, append_images=frames[1:]), 'a')


def test_exif_longer_than_a_jpeg_holds_is_left_out_and_said(kit):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, 'x' * 70_000
    photo = read_photo_file(saved(rgb(kit), 'PNG', exif=exif), 'a')
    assert (
        len(Image.open(io.BytesIO(photo.encode(photo.pixels, 'PNG'))).getexif()[0x010E]) == 70_000 and not photo.notes
    )
    result = Image.open(io.BytesIO(photo.encode(photo.pixels, 'JPEG')))
    assert result.size == photo.pixels.shape[1::-1] and not result.getexif()  # upright without an orientation
    assert photo.notes == ['its EXIF is longer than the 65533 bytes that a JPEG holds and was left out']


def test_a_jpeg_too_large(kit):
    photo = read_photo_file(saved(rgb(kit), 'JPEG'), 'a')
    with pytest.raises(ValueError, match='65500 a side: give --ext png'):
        photo.encode(np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (1, 70000, 3)), 'JPEG')


@pytest.mark.parametrize('orientation', range(1, 9))
def test_every_orientation_is_turned_upright_and_back(orientation):
    stored = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8))
    turn, file = Image.Exif(), io.BytesIO()
    turn[0x0112] = orientation
    stored.save(file, 'PNG', exif=turn)
    photo = read_photo_file(file.getvalue(), 'x.png')
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(file.getvalue())))
    assert np.array_equal(photo.pixels[..., ::-1], np.asarray(upright))
    again = Image.open(io.BytesIO(photo.encode(photo.pixels, 'PNG')))
    assert np.array_equal(np.asarray(again), np.asarray(stored)) and again.getexif()[0x0112] == orientation
