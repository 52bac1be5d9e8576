import logging
import os
import pickle
import shutil
import threading

import cv2
import numpy as np
import pytest
from basicsr.utils import lmdb_util
from hypothesis import given, settings
from hypothesis import strategies as st

from selfsr_plugin.data import CorruptImageError, close_environments, decoding, image_source, open_image_source
from selfsr_plugin.data.decoding import decode_image
from selfsr_plugin.data.face_images import FaceImages
from selfsr_plugin.data.image_source import left_out, may_hold_pictures


@pytest.fixture
def images(files):
    return {f'{i:03d}': files.make_image(i) for i in range(6)}


def in_forked_child(function):
    """Run ``function`` in a forked process; True if it returned without an exception."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except BaseException as error:  # noqa: B902, the child must never reach pytest
            print(repr(error), flush=True)
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def assert_same(source, images):
    assert source.names == sorted(images) and len(source) == len(images)
    for index, name in enumerate(source.names):
        got = source.read(index)
        assert got.dtype == np.uint8 and got.shape == images[name].shape
        np.testing.assert_array_equal(got, images[name])
        assert os.path.splitext(os.path.basename(source.path(index)))[0] == name


def test_folder_and_lmdb_give_the_same_images(files, tmp_path, images):
    assert_same(open_image_source(files.write_folder(tmp_path / 'a', images)), images)
    assert_same(open_image_source(files.write_lmdb(tmp_path / 'a.lmdb', images)), images)
    # a folder is an LMDB also if only its content says so, and a trailing slash changes nothing
    shutil.copytree(tmp_path / 'a.lmdb', tmp_path / 'b')
    assert_same(open_image_source(f'{tmp_path}/b/'), images)


def test_images_are_in_the_order_of_their_names(files, tmp_path):
    """Not in that of files, whose extensions count, nor in that of a list: pairs are found by their place."""
    images = {name: files.make_image(number) for number, name in enumerate(('b', 'a', 'a-1', 'a b', 'B', '10', '9'))}
    files.write_folder(tmp_path / 'set', {name: images.pop(name) for name in ('a-1', '9')}, '.bmp')
    files.write_folder(tmp_path / 'set', images)
    everything = {
        name: files.make_image(number) for number, name in enumerate(('b', 'a', 'a-1', 'a b', 'B', '10', '9'))
    }
    assert_same(open_image_source(tmp_path / 'set'), everything)
    lines = [f'{name}.png (16,16,3) 1' for name in everything]
    assert lines != sorted(lines)
    assert_same(open_image_source(files.write_lmdb(tmp_path / 'set.lmdb', everything, lines)), everything)


def test_reading_an_lmdb_leaves_nothing_beside_it(files, tmp_path, images):
    root = files.write_lmdb(tmp_path / 'a.lmdb', images)
    for file in ('lock.mdb', 'data.mdb-lock'):
        (tmp_path / 'a.lmdb' / file).unlink(missing_ok=True)
    before = sorted(os.listdir(root))
    assert_same(open_image_source(root), images)
    assert sorted(os.listdir(root)) == before


def test_lmdb_made_by_basicsr(files, tmp_path, images):
    folder = files.write_folder(tmp_path / 'a', images)
    root = str(tmp_path / 'a.lmdb')
    names = sorted(images)
    lmdb_util.make_lmdb_from_imgs(folder, root, [f'{n}.png' for n in names], names, map_size=1 << 24)
    assert_same(open_image_source(root), images)


def test_lmdb_names_with_dots(files, tmp_path):
    """BasicSR's makers keep the dot in the key, its readers cut there; whichever was stored is found."""
    image = files.make_image(0)
    kept = files.write_lmdb(tmp_path / 'kept.lmdb', {'a.b': image, 'a.c': image, 'x (1)': image})
    assert open_image_source(kept).names == ['a.b', 'a.c', 'x (1)']
    cut = files.write_lmdb(tmp_path / 'cut.lmdb', {'a': image}, ['a.b.png (16,16,3) 1'])
    assert_same(open_image_source(cut), {'a': image})


def test_two_sources_on_one_lmdb_and_reopening(files, tmp_path, images):
    root = files.write_lmdb(tmp_path / 'a.lmdb', images)
    os.symlink(root, tmp_path / 'link.lmdb')
    first, second = open_image_source(root), open_image_source(str(tmp_path / 'link.lmdb'))
    assert_same(first, images)
    assert_same(second, images)
    close_environments()
    assert_same(first, images)


def test_lmdb_survives_fork_and_pickling(files, tmp_path, images):
    source = open_image_source(files.write_lmdb(tmp_path / 'a.lmdb', images))
    assert_same(source, images)  # open in the parent

    def read_in_child():
        assert not image_source._ENVIRONMENTS  # the inherited environment is not used
        assert_same(source, images)

    assert in_forked_child(read_in_child)
    assert in_forked_child(lambda: in_forked_child(lambda: assert_same(source, images)) or os._exit(1))
    assert_same(source, images)
    assert_same(pickle.loads(pickle.dumps(source)), images)


def test_lmdb_read_by_threads(files, tmp_path, images):
    source = open_image_source(files.write_lmdb(tmp_path / 'a.lmdb', images))
    close_environments()
    done = []
    threads = [threading.Thread(target=lambda: done.append(assert_same(source, images))) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(done) == 8


def test_folder_ignores_what_is_no_image(files, tmp_path, images):
    root = files.write_folder(tmp_path / 'a', images)
    (tmp_path / 'a' / '.hidden.png').write_bytes(b'')
    (tmp_path / 'a' / 'list.csv').write_text('x')
    (tmp_path / 'a' / 'folder.png').mkdir()
    (tmp_path / 'a' / 'UPPER.PNG').write_bytes(files.encode(images['000']))
    assert_same(open_image_source(root), {**images, 'UPPER': images['000']})


def test_names_beyond_ascii(files, tmp_path):
    images = {'Ångström 顔': files.make_image(1), 'é': files.make_image(2)}
    assert_same(open_image_source(files.write_folder(tmp_path / '顔', images)), images)
    assert_same(open_image_source(files.write_lmdb(tmp_path / '顔.lmdb', images)), images)


def test_a_name_that_is_not_utf8_is_printable(files, tmp_path):
    try:
        with open(os.path.join(os.fsencode(str(tmp_path)), b'a\xff\nb.png'), 'wb') as file:
            file.write(b'')
    except OSError:
        pytest.skip('this file system takes UTF-8 names only')
    with pytest.raises(CorruptImageError) as caught:
        open_image_source(str(tmp_path)).read(0)
    str(caught.value).encode('utf-8')
    assert '\\xff\\nb.png' in str(caught.value) and '\n' not in str(caught.value)


def test_channels_depth_and_rotation(tmp_path):
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[..., 2], rgba[..., 3] = 200, 10  # OpenCV's order: red 200, nearly transparent
    cv2.imwrite(str(tmp_path / 'alpha.png'), rgba)
    cv2.imwrite(str(tmp_path / 'grey.png'), np.full((4, 6), 7, np.uint8))
    cv2.imwrite(str(tmp_path / 'deep.png'), np.full((4, 6, 3), 0x1234, np.uint16))
    jpeg = cv2.imencode('.jpg', np.zeros((8, 16, 3), np.uint8))[1].tobytes()
    tag = b'\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00'  # orientation 6: shown turned by 90 degrees
    exif = b'Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01' + tag + b'\x00\x00\x00\x00'
    turned = jpeg[:2] + b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif + jpeg[2:]
    (tmp_path / 'turned.jpg').write_bytes(turned)
    source = open_image_source(str(tmp_path))
    got = dict(zip(source.names, map(source.read, range(len(source)))))
    np.testing.assert_array_equal(got['alpha'], np.broadcast_to(np.array([0, 0, 200], np.uint8), (4, 6, 3)))
    np.testing.assert_array_equal(got['grey'], np.full((4, 6, 3), 7, np.uint8))
    np.testing.assert_array_equal(got['deep'], np.full((4, 6, 3), 0x12, np.uint8))
    assert got['turned'].shape == (16, 8, 3)


@pytest.mark.parametrize('extension', ['.jpg', '.png', '.bmp', '.webp', '.tif', '.ppm'])
def test_cut_files_are_refused_by_name(files, tmp_path, extension):
    whole = files.encode(files.make_image(3, 64), extension)
    decode_image(whole, 'whole')
    for length in (0, 1, 10, len(whole) // 2, len(whole) - 2):
        path = tmp_path / f'cut{extension}'
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptImageError, match=f'cut{extension}: '):
            open_image_source(str(tmp_path)).read(0)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_broken_jpegs_never_raise_anything_else(files, data):
    """Cut anywhere and with bytes changed: an image of three channels or CorruptImageError, nothing else."""
    broken = bytearray(files.encode(files.make_image(4, 32), '.jpg'))
    del broken[data.draw(st.integers(0, len(broken))) :]
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4)):
        if place < len(broken):
            broken[place] = value
    try:
        assert decode_image(bytes(broken), 'x').shape[2] == 3
    except CorruptImageError:
        pass


def test_cut_jpeg_does_not_lean_on_opencv(files, monkeypatch):
    """OpenCV 4 decodes a cut JPEG without a word, OpenCV 5 refuses it; we refuse it before either."""
    whole = files.encode(files.make_image(3, 64), '.jpg')
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: np.zeros((64, 64, 3), np.uint8))
    decode_image(whole + b'trailing bytes of a phone', 'x')
    with pytest.raises(CorruptImageError, match='cut short'):
        decode_image(whole[:-2], 'x')


def test_other_unreadable_files(files, tmp_path):
    (tmp_path / 'text.png').write_text('I am not an image')
    source = open_image_source(str(tmp_path))
    with pytest.raises(CorruptImageError, match='text.png: .*not an image'):
        source.read(0)
    (tmp_path / 'text.png').unlink()
    with pytest.raises(CorruptImageError, match='text.png: it cannot be read .No such file'):
        source.read(0)
    assert str(pickle.loads(pickle.dumps(CorruptImageError('a', 'b')))) == 'a: b'


def test_folder_errors(files, tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere does not exist'):
        open_image_source(str(tmp_path / 'nowhere'))
    (tmp_path / 'file').write_text('')
    with pytest.raises(FileNotFoundError, match='is a file: give the folder'):
        open_image_source(str(tmp_path / 'file'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='no images in the folder .*empty: put images there .*[.]png, [.]jpg'):
        open_image_source(str(tmp_path / 'empty'))
    (tmp_path / 'nested' / 'inside').mkdir(parents=True)
    with pytest.raises(ValueError, match='only subfolders, which are not searched'):
        open_image_source(str(tmp_path / 'nested'))
    (tmp_path / 'nested' / 'test.log').write_text('')
    with pytest.raises(ValueError, match='log 1.*: the folders in it are not searched: give one of them'):
        open_image_source(str(tmp_path / 'nested'))
    twice = files.write_folder(tmp_path / 'twice', {'a': files.make_image(0)})
    files.write_folder(tmp_path / 'twice', {'a': files.make_image(0)}, '.jpg')
    with pytest.raises(ValueError, match='both a.jpg and a.png'):
        open_image_source(twice)


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, 'Permission denied', path)

    monkeypatch.setattr(os, 'scandir', refuse)  # tests may run as root, whom no mode stops
    with pytest.raises(PermissionError, match='may not be read by this user: change its permissions'):
        open_image_source(str(tmp_path))


def test_lmdb_errors(files, tmp_path, images):
    for missing in ('data.mdb', 'meta_info.txt'):
        root = files.write_lmdb(tmp_path / f'no_{missing}.lmdb', images)
        os.unlink(os.path.join(root, missing))
        with pytest.raises(FileNotFoundError, match=f'has no {missing}.*make it again'):
            open_image_source(root)
    empty = files.write_lmdb(tmp_path / 'empty.lmdb', images)
    (tmp_path / 'empty.lmdb' / 'meta_info.txt').write_text('')
    with pytest.raises(ValueError, match='no images in the LMDB'):
        open_image_source(empty)
    twice = files.write_lmdb(tmp_path / 'twice.lmdb', images, ['001.png (16,16,3) 1'] * 2)
    with pytest.raises(ValueError, match="lists '001' twice"):
        open_image_source(twice)
    more = files.write_lmdb(tmp_path / 'more.lmdb', images, [f'{i:03d}.png (16,16,3) 1' for i in range(9)])
    with pytest.raises(ValueError, match='lists 9 images in meta_info.txt and holds 6'):
        open_image_source(more)
    for number, name in enumerate(('../evil', '/evil', 'a/../../evil', 'x' * 600)):  # pictures are named after it
        root = files.write_lmdb(
            tmp_path / f'evil{number}.lmdb', images, ['001.png (16,16,3) 1', f'{name}.png (16,16,3) 1']
        )
        with pytest.raises(ValueError, match='which cannot be the name of an image in it: make it again'):
            open_image_source(root)
    hidden = files.write_lmdb(tmp_path / 'hidden.lmdb', images, ['.x.png (16,16,3) 1'])
    with pytest.raises(CorruptImageError, match='not in the LMDB'):
        open_image_source(hidden).read(0)
    other = files.write_lmdb(tmp_path / 'other.lmdb', images, ['001.png (16,16,3) 1', 'absent.png (16,16,3) 1'])
    with pytest.raises(CorruptImageError, match='absent.png: .*not in the LMDB'):
        open_image_source(other).read(1)


def test_a_folder_of_images_that_is_named_like_an_lmdb(files, tmp_path, images):
    root = files.write_folder(tmp_path / 'faces.lmdb', images)
    with pytest.raises(FileNotFoundError, match='named like an LMDB and holds no .*another name, without .lmdb'):
        open_image_source(root)


def test_what_a_shortened_meta_info_does_not_name_is_said(files, tmp_path, images, caplog):
    whole = open_image_source(files.write_lmdb(tmp_path / 'a.lmdb', images))
    assert whole.unlisted == 0 and not left_out(whole.passed_over, whole.folders, whole.unlisted)
    root = files.write_lmdb(tmp_path / 'b.lmdb', images, ['001.png (16,16,3) 1', '002.png (16,16,3) 1'])
    with caplog.at_level(logging.WARNING, 'basicsr'):
        faces = FaceImages(dict(dataroot_lq=root), 'dataroot_lq', None)
    assert faces.names == ['001', '002']
    assert 'b.lmdb holds more than is read: entries that its meta_info.txt does not name (4)' in caplog.text


@pytest.mark.parametrize('keep', [0, 100, 4096, 8192, 0.5])
def test_cut_lmdb_is_refused_instead_of_killing_the_process(files, tmp_path, images, keep):
    root = files.write_lmdb(tmp_path / 'a.lmdb', images)
    path = os.path.join(root, 'data.mdb')
    os.truncate(path, int(os.path.getsize(path) * keep) if keep == 0.5 else keep)
    with pytest.raises(ValueError, match='(is cut short|cannot be opened).*make it again'):
        open_image_source(root)


def test_zero_bytes_in_an_lmdb(files, tmp_path, images):
    import lmdb

    root = files.write_lmdb(tmp_path / 'a.lmdb', images)
    environment = lmdb.open(root, map_size=1 << 24)
    with environment.begin(write=True) as transaction:
        transaction.put(b'002', b'')
    environment.close()
    with pytest.raises(CorruptImageError, match='a.lmdb/002.png: it is empty'):
        open_image_source(root).read(2)


def test_a_name_is_as_long_as_lmdb_takes_it(files, tmp_path, images):
    root = files.write_lmdb(tmp_path / 'a.lmdb', {'x' * 511: images['000']})
    assert open_image_source(root).read(0).shape == images['000'].shape
    (tmp_path / 'a.lmdb' / 'meta_info.txt').write_text('x' * 512 + '.png (16,16,3) 1\n')
    with pytest.raises(ValueError, match='which cannot be the name of an image in it'):
        open_image_source(root)


def test_every_shared_test_face_is_readable(shared_data):
    for folder in ('test/faces_hr', 'test/faces_lr'):
        source = open_image_source(str(shared_data / folder))
        for index in range(len(source)):
            height, width, _ = source.read(index).shape
            assert height == width


def test_what_is_left_out_is_said(files, tmp_path, monkeypatch):
    monkeypatch.setattr(image_source, 'readable_extensions', lambda: decoding.IMAGE_EXTENSIONS)  # without pillow-heif
    root = files.write_folder(tmp_path / 'a', {'x': files.make_image(0)}, '.jpg')
    (tmp_path / 'a' / 'x.jpg').rename(tmp_path / 'a' / 'x.jfif')
    for name in ('b.heic', 'c.HEIC', 'd.gif', 'notes.txt'):
        (tmp_path / 'a' / name).touch()
    source = open_image_source(root)
    assert source.names == ['x'] and source.folders == 0
    said = left_out(source.passed_over, source.folders)
    assert said == 'files with other extensions (.gif 1, .heic 2, .txt 1; HEIC is read after pip install pillow-heif)'
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'a' / 'linked').symlink_to(tmp_path / 'elsewhere')
    assert open_image_source(root).folders == 1 and '(1), which are not searched' in left_out({}, 1)
    assert open_image_source(root, recursive=True).folders == 0
    assert may_hold_pictures({'.gif': 1}) and may_hold_pictures({'': 1}) and may_hold_pictures({}, 1)
    assert not may_hold_pictures({'.txt': 3, '.jsonl': 1})
    (tmp_path / 'a' / 'x.jfif').unlink()
    (tmp_path / 'a' / 'linked').unlink()
    with pytest.raises(ValueError, match='no images in the folder .*, only files with other extensions .*heic 2'):
        open_image_source(root)


def test_meta_info_saved_by_an_editor_of_windows(files, tmp_path, images):
    root = files.write_lmdb(tmp_path / 'a.lmdb', images)
    path = tmp_path / 'a.lmdb/meta_info.txt'
    path.write_bytes(('\ufeff' + path.read_text().replace('\n', '\r\n')).encode())
    assert_same(open_image_source(root), images)
