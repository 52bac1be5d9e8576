import io

import numpy as np
import pytest
from PIL import Image

from selfsr_plugin.preparation import photos
from selfsr_plugin.preparation.faces import Refused
from selfsr_plugin.preparation.photos import crop_stems, find_photos, read_photo
from selfsr_plugin.errors import UserError


def save(path, image, **options):
    stream = io.BytesIO()
    image.save(stream, **options)
    path.write_bytes(stream.getvalue())
    return path


def rgb(kit):
    return Image.fromarray(kit.photo()[..., ::-1].copy())


def test_cmyk(kit, tmp_path):
    photo = read_photo(save(tmp_path / 'a.jpg', rgb(kit).convert('CMYK'), format='JPEG', quality=95))
    assert photo.shape == (200, 240, 3) and np.abs(photo.astype(float) - kit.photo()).mean() < 4


def test_16_bit_keeps_its_brightness(kit, tmp_path):
    image = kit.photo().astype(np.uint16) * 257
    np.testing.assert_array_equal(read_photo(kit.write(tmp_path / 'a.png', image)), kit.photo())


def test_grey_and_alpha(kit, tmp_path):
    grey = kit.photo()[..., 0]
    np.testing.assert_array_equal(read_photo(kit.write(tmp_path / 'g.png', grey)), np.repeat(grey[..., None], 3, 2))
    alpha = np.dstack([kit.photo(), np.full((200, 240), 7, np.uint8)])
    np.testing.assert_array_equal(read_photo(kit.write(tmp_path / 'a.png', alpha)), kit.photo())


def test_exif_rotation(kit, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter to be seen upright
    photo = read_photo(save(tmp_path / 'a.jpg', rgb(kit), format='JPEG', quality=95, exif=exif))
    assert np.abs(photo.astype(float) - np.rot90(kit.photo(), -1)).mean() < 4


@pytest.mark.parametrize('extension, form', [('.webp', 'WEBP'), ('.png', 'PNG'), ('.tif', 'TIFF')])
def test_animations_and_pages_are_refused(kit, tmp_path, extension, form):
    frames = [Image.fromarray(kit.photo(seed)) for seed in range(3)]
    path = save(tmp_path / f'a{extension}', frames[0], format=form, save_all=True, append_images=frames[1:])
    with pytest.raises(Refused, match='several pictures'):
        read_photo(path)


def test_decompression_bombs_are_refused_before_decoding(kit, tmp_path, monkeypatch):
    bomb = save(tmp_path / 'bomb.png', Image.new('1', (20000, 9000)), format='PNG')
    assert bomb.stat().st_size < 1e6
    monkeypatch.setattr(photos, 'decode_image', lambda *_: pytest.fail('decoded'))
    with pytest.raises(Refused, match='more than 178956970 pixels'):
        read_photo(bomb)


@pytest.mark.parametrize('extension', ['.jpg', '.png', '.webp'])
def test_truncated(kit, tmp_path, extension):
    path = kit.write(tmp_path / f'a{extension}')
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(Refused, match='cut short'):
        read_photo(path)


def test_empty_text_and_missing(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'')
    (tmp_path / 'b.jpg').write_bytes(b'no picture')
    for name, why in (('a.jpg', '0 bytes'), ('b.jpg', 'not an image'), ('c.jpg', 'No such file')):
        with pytest.raises(Refused, match=why):
            read_photo(tmp_path / name)


def test_find_photos_goes_into_folders_and_skips_hidden_ones(kit, tmp_path):
    for name in ('b/2.JPG', 'b/1.png', 'a.jpg', '.hidden.jpg', '.cache/x.jpg', 'notes.txt'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'b' / 'loop').symlink_to(tmp_path)
    (tmp_path / 'b' / 'itself').symlink_to('itself')
    found, others = find_photos(tmp_path)
    assert found == ['a.jpg', 'b/1.png', 'b/2.JPG'] and others == ['b/itself', 'notes.txt']
    with pytest.raises(UserError, match='no file or folder'):
        find_photos(tmp_path / 'none')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='holds no photos'):
        find_photos(tmp_path / 'empty')


def test_crop_names_are_ascii_without_dots_and_never_collide():
    names = [
        'a.jpg',
        'A.jpg',
        'a.png',
        'x/a.b.jpg',
        'x_a_b.jpg',
        '山.jpg',
        '川.jpg',
        'plain/name-1.jpg',
        'l' * 250 + '1.jpg',
        'l' * 250 + '2.jpg',
        'not\udcffutf8.jpg',
    ]
    stems = crop_stems(names)
    assert len({stem.lower() for stem in stems.values()}) == len(names)
    assert all(stem.isascii() and '.' not in stem and '/' not in stem and len(stem) < 200 for stem in stems.values())
    assert stems['plain/name-1.jpg'] == 'plain_name-1'
    assert crop_stems(['IMG_1.JPG', 'b.jpg'])['IMG_1.JPG'] == 'IMG_1'  # as it is, where nothing else is called so
    assert stems['a.jpg'] == crop_stems(names[:3])['a.jpg']
    alike = [f'a{character}.jpg' for character in '!#$%&()+,;=@[]^{}~ äöüß']
    assert len(set(crop_stems(alike).values())) == len(alike)
