"""The command over photos: what is written, said and refused."""

import errno
import io
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from common_kit import refused, save_params, small_network
from PIL import Image

from selfsr_plugin import files, restore
from selfsr_plugin.archs import DomainDiscriminator
from selfsr_plugin.data import CorruptImageError
from selfsr_plugin.files import OwnResults
from selfsr_plugin.photo_restoration import restorer, run as photo_run
from selfsr_plugin.preparation.faces import Face
from selfsr_plugin.preparation.framing import TEMPLATE

ARGUMENTS = ('--output', 'out', '--model', 'g.pth', '--device', 'cpu')


def painted(height=120, width=160, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


class Detector:
    """A small and a large face in whatever is brighter than black on average."""

    def __init__(self, *arguments):
        pass

    def __call__(self, image, threshold):
        if image.mean() < 5:
            return []
        return [
            Face((left + 4, top + 3, left + 0.8 * side, top + 0.97 * side), TEMPLATE * side + (left, top), 0.98766)
            for left, top, side in ((10, 10, 30), (50, 30, 80))
        ]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(restorer, 'FaceDetector', Detector)
    Path('photos/more').mkdir(parents=True)
    cv2.imwrite('photos/a.png', painted())
    cv2.imwrite('photos/more/b.jpg', painted(seed=1))
    cv2.imwrite('photos/black.jpg', np.zeros((60, 60, 3), np.uint8))
    save_params('g.pth', params=small_network())
    return tmp_path


def command(*arguments):
    restore.main([*map(str, arguments), *ARGUMENTS])


def written(folder='out'):
    found = (path for path in Path(folder).rglob('*') if path.is_file() and path.name != OwnResults.RECORD)
    return sorted(path.relative_to(folder).as_posix() for path in found)


def test_a_folder(workplace, capsys):
    command('--input', 'photos')
    said = capsys.readouterr()
    assert written() == ['a.png', 'black.jpg', 'more/b.jpg']
    assert re.search(
        r'^2 faces restored in 3 photos, [\d.]+ s \([\d.]+ photos/s, [\d.]+ faces/s\) on cpu: out$', said.out, re.M
    )
    assert '2 faces left alone: larger than the 64 pixels up to which the network restores faces.' in said.out
    assert 'no face found, the photo written as it was: photos/black.jpg' in said.out
    assert '1 of these are small: if they are faces that are cut out already, add --faces' in said.out
    assert re.search(r'3/3 \[.*faces=2', said.err)
    assert Path('out/black.jpg').read_bytes() == Path('photos/black.jpg').read_bytes()
    before, after = cv2.imread('photos/a.png'), cv2.imread('out/a.png')
    changed = (before != after).any(2)
    assert changed[12:38, 12:38].mean() > 0.8
    changed[10:40, 10:40] = False
    assert not changed.any()


def test_a_photo_that_takes_long_has_a_bar_of_its_own(workplace, capsys, monkeypatch):
    command('--input', 'photos/a.png')
    assert 'its faces' not in capsys.readouterr().err
    monkeypatch.setattr(photo_run, '_PATIENCE', 1e-9)
    command('--input', 'photos/a.png')
    assert re.search(r'its faces: 100%.* 1/1 \[', capsys.readouterr().err)


def test_enlarged(workplace, capsys):
    command('--input', 'photos/black.jpg', 'photos/a.png', '-s', 2)
    assert cv2.imread('out/a.png').shape == (240, 320, 3) and cv2.imread('out/black.jpg').shape == (120, 120, 3)
    assert 'no face found, the photo written enlarged: photos/black.jpg' in capsys.readouterr().out


@pytest.mark.parametrize(
    'options, changes',
    [
        ((), {}),
        (('--lq-size', 24, 12), dict(lq_size=(12, 24))),
        (('--lq-size', 16), dict(lq_size=(16, 16))),
        (('--threshold', 0.9, '--batch', 3), dict(threshold=0.9, batch=3)),
        (('--key', 'params', '--only_center_face'), dict(key='params', only_center_face=True)),
        (('--weights', 'retinaface=g.pth', '--upscale', 2), dict(detector_weights='g.pth', upscale=2)),
    ],
    ids=str,
)
def test_what_is_asked_for_reaches_the_restorer(workplace, monkeypatch, options, changes):
    expected = dict(
        upscale=1,
        lq_size=None,
        only_center_face=False,
        detector_weights=None,
        threshold=0.8,
        batch=16,
        key=None,
        device=torch.device('cpu'),
    )

    def asked(model, background, **given):
        assert model == Path('g.pth') and {**given, 'detector_weights': str(given['detector_weights'])} == {
            **expected,
            **changes,
            'detector_weights': str(changes.get('detector_weights')),
        }
        raise SystemExit(7)

    monkeypatch.setattr(restorer, 'PhotoRestorer', asked)
    with pytest.raises(SystemExit) as end:
        command('--input', 'photos', *options)
    assert end.value.code == 7


def test_one_photo_to_one_file(workplace):
    command('-i', 'photos/a.png', '-o', 'new/restored.jpg', '--output', 'new/restored.jpg', '--model', 'g.pth')
    assert written('out') == ['a.png']  # the last --output counts
    restore.main(['-i', 'photos/a.png', '-o', 'new/restored.jpg', '--model', 'g.pth'])
    assert Image.open('new/restored.jpg').format == 'JPEG' and written('new') == ['restored.jpg']


def test_a_second_run_replaces_its_results_and_nothing_else(workplace, capsys):
    """Not what came from elsewhere, and not a result that was changed since: these are named."""
    command('--input', 'photos', '--json')
    first = {name: Path('out', name).read_bytes() for name in written()}
    save_params('g.pth', params=small_network(seed=1))
    command('--input', 'photos', '--json')
    assert written() == sorted(first) and Path('out/a.png').read_bytes() != first['a.png']
    save_params('g.pth', params=small_network())
    Path('out/a.png').write_bytes(b'mine')
    Path('out/more/b.jpg.json').write_bytes(b'mine')
    capsys.readouterr()
    message = refused(capsys, restore.main, '--input', 'photos', '--json', *ARGUMENTS)
    assert '2 of 3 photos were not restored: photos/a.png: out/a.png is there already' in message
    assert 'photos/more/b.jpg: out/more/b.jpg.json is there already' in message and 'give another --output' in message
    assert Path('out/a.png').read_bytes() == Path('out/more/b.jpg.json').read_bytes() == b'mine'
    cv2.imwrite('mine.png', painted(seed=3))
    before = Path('mine.png').read_bytes()
    message = refused(capsys, restore.main, '--input', 'photos/a.png', *ARGUMENTS[2:], '--output', 'mine.png')
    assert 'mine.png is there already' in message and Path('mine.png').read_bytes() == before


def test_what_is_written_on_request(workplace):
    command('--input', 'photos', '--compare', '--json', '--ext', 'png')
    assert written() == [
        *('a.png', 'a.png.faces.png', 'a.png.json', 'black.png', 'black.png.json'),
        *('more/b.png', 'more/b.png.faces.png', 'more/b.png.json'),
    ]
    described = json.loads(Path('out/a.png.json').read_text())
    assert {key: described[key] for key in ('photo', 'height', 'width', 'upscale')} == {
        'photo': 'photos/a.png',
        'height': 120,
        'width': 160,
        'upscale': 1,
    }
    small, large = described['faces']
    assert small['box'] == [14, 13, 34, 39.1] and small['score'] == 0.9877 and len(small['landmarks']) == 5
    assert small['frame'] == {'left': 10, 'top': 10, 'side': 30}
    assert (small['lq_size'], small['restored_size'], small['left_alone']) == (30, 120, None)
    assert (small['share'], large['share']) == (0.533, 0)  # the network knows 16 pixels
    assert (large['lq_size'], large['restored_size']) == (None, None) and large['left_alone'].startswith('larger')
    assert json.loads(Path('out/black.png.json').read_text())['faces'] == []
    assert cv2.imread('out/a.png.faces.png').shape[0] > 96


def test_an_lmdb_of_photos(workplace, files):
    files.write_lmdb(workplace / 'photos.lmdb', {'x': painted(), 'y/z': painted(seed=2)})
    command('--input', 'photos.lmdb')
    assert written() == ['x.png', 'y/z.png']


def test_only_the_face_in_the_middle_and_the_sizes_known(workplace, capsys):
    command('--input', 'photos/a.png', '--only_center_face', '--lq-size', 12, 32)
    assert '1 faces left alone: not the one nearest to the middle' in capsys.readouterr().out


def test_names_that_would_be_one(workplace):
    Image.fromarray(painted()).save('photos/a.webp')
    command('--input', 'photos')
    assert written() == ['a.png', 'a.webp.png', 'black.jpg', 'more/b.jpg']


def test_a_photo_of_the_name_of_another_s_sheet_does_not_replace_it(workplace, capsys):
    shutil.copy('photos/a.png', 'photos/a.png.faces.png')  # as in the folder that an earlier --compare has left
    for _ in range(2):  # the second run knows both as its own results
        message = refused(capsys, restore.main, '--input', 'photos', '--compare', *ARGUMENTS)
        assert '1 of 4 photos were not restored: photos/a.png.faces.png: out/a.png.faces.png was written' in message
        assert 'rename one of the two' in message
        assert cv2.imread('out/a.png.faces.png').shape != cv2.imread('photos/a.png').shape
    Path('photos/a.png.faces.png').rename('photos/c.png')
    command('--input', 'photos', '--compare')
    assert {'a.png.faces.png', 'c.png', 'c.png.faces.png'} < set(written())


def test_a_name_too_long_for_what_goes_beside_a_result(workplace, capsys):
    long = f'{"a" * 246}.png'
    Path('photos/a.png').rename(Path('photos') / long)
    command('--input', 'photos')
    assert written() == [long, 'black.jpg', 'more/b.jpg']
    message = refused(capsys, restore.main, '--input', 'photos', '--compare', *ARGUMENTS)
    assert '1 of 3 photos were not restored: photos/aaa' in message
    assert '.png.faces.png cannot be written (File name too long): its name is too long, shorten it' in message
    assert 'more/b.jpg.faces.png' in written()


def test_a_name_that_is_not_utf8(workplace, capsys):
    Path('photos/a.png').rename(Path('photos') / b'caf\xe9.png'.decode('utf-8', 'surrogateescape'))
    command('--input', 'photos', '--json')
    assert b'out/caf\xe9.png' in [bytes(path) for path in Path('out').iterdir()]


# ----- bad input -----


def test_bad_photos_are_passed_over_and_named(workplace, capsys):
    Path('photos/empty.png').write_bytes(b'')
    Path('photos/cut.png').write_bytes(Path('photos/a.png').read_bytes()[:3000])
    Path('photos/text.jpg').write_text('no photo')
    frames = [Image.fromarray(painted(seed=seed)) for seed in range(2)]
    frames[0].save('photos/moves.webp', save_all=True, append_images=frames[1:])
    Path('clip.mp4').write_bytes(b'\0\0\0\x20ftypisom')
    message = refused(capsys, restore.main, '--input', 'photos', 'clip.mp4', *ARGUMENTS)
    assert message.startswith('error: 5 of 8 photos were not restored: ')
    for part in (
        'photos/cut.png: it is cut short',
        'photos/empty.png: it is empty',
        'photos/moves.webp: it is animated',
        'photos/text.jpg: it is cut short or not an image',
        'clip.mp4: it is a video: save its frames as pictures and give those',
    ):
        assert part in message
    assert written() == ['a.png', 'black.jpg', 'more/b.jpg']


@pytest.mark.parametrize(
    'inputs, output', [(['photos/a.png'], 'x.gif'), (['photos/a.png', 'photos/black.jpg'], 'x.png')]
)
def test_a_picture_of_another_kind_or_of_several_photos_is_no_folder(workplace, capsys, inputs, output):
    message = refused(capsys, restore.main, '--input', *inputs, '--output', output, '--model', 'g.pth')
    assert f'--output {output}: a result is a .jpg or .png, of one photo' in message and not Path(output).exists()


def test_two_formats_for_one_result(workplace, capsys):
    arguments = ['--input', 'photos/a.png', '--output', 'x.png', '--model', 'g.pth', '--ext']
    assert '--ext jpg: --output x.png says another format: leave --ext out' in refused(
        capsys, restore.main, *arguments, 'jpg'
    )


def test_a_photo_without_faces_comes_back_as_it_was_whatever_it_is(workplace, capsys):
    black = np.zeros((60, 60, 3), np.uint8)
    Image.fromarray(black).convert('CMYK').save('photos/black.jpg')
    cv2.imwrite('photos/deep.png', black.astype(np.uint16))
    Image.fromarray(black).save('photos/w.webp')
    command('--input', 'photos', '--json')
    for name in ('black.jpg', 'deep.png', 'w.webp'):
        assert Path('out', name).read_bytes() == Path('photos', name).read_bytes()
    assert 'w.webp.json' in written() and 'w.png' not in written()
    said = capsys.readouterr().out
    assert 'no face found, the photo written as it was: photos/black.jpg, photos/deep.png, photos/w.webp' in said
    assert 'became' not in said
    Path('out/w.webp').write_bytes(b'mine')
    message = refused(capsys, restore.main, '--input', 'photos', '--json', *ARGUMENTS)
    assert '1 of 5 photos were not restored: photos/w.webp: out/w.webp is there already' in message
    command('--input', 'photos/w.webp', '--ext', 'png')
    assert np.array_equal(cv2.imread('out/w.png'), cv2.imread('photos/w.webp'))


def test_what_else_a_folder_holds_is_said(workplace, capsys):
    Path('photos/clip.mp4').write_bytes(b'')
    command('--input', 'photos')
    assert '--input holds more than photos: files with other extensions (.mp4 1)' in capsys.readouterr().out


def test_cmyk_and_16_bits_are_said(workplace, capsys):
    Image.fromarray(painted()).convert('CMYK').save('photos/a.jpg')
    cv2.imwrite('photos/deep.png', painted().astype(np.uint16) * 257)
    command('--input', 'photos/a.jpg', 'photos/deep.png')
    said = capsys.readouterr().out
    assert 'its CMYK colours became sRGB: photos/a.jpg' in said
    assert 'its 16 bits a channel became 8: photos/deep.png' in said


def test_what_cannot_be_used_is_refused_before_anything_is_written(workplace, capsys):
    def said(*changes, status=1):
        options = {'--input': 'photos', **dict(zip(ARGUMENTS[::2], ARGUMENTS[1::2]))}
        options.update(dict(zip(changes[::2], changes[1::2])))
        return refused(
            capsys, restore.main, *(str(part) for pair in options.items() for part in pair if part != ''), status=status
        )

    save_params('d.pth', params=small_network(DomainDiscriminator, num_feat=4))
    assert 'd.pth holds a DomainDiscriminator' in said('--model', 'd.pth')
    assert 'there is no checkpoint none.pth' in said('--model', 'none.pth')
    assert '--input: nowhere does not exist' in said('--input', 'nowhere')
    assert '--output photos lies in --input' in said('--output', 'photos')
    assert '--output photos/new lies in --input' in said('--output', 'photos/new')
    assert 'photos is the folder of photos/a.png, which would' in said('--input', 'photos/a.png', '--output', 'photos')
    assert 'is the photo itself' in said('--input', 'photos/a.png', '--output', 'photos/a.png')
    assert '--device abacus cannot be used here' in said('--device', 'abacus')
    assert '--weights lpips=x: write NAME=FILE' in said('--weights', 'lpips=x')
    assert 'realesrgan has nothing to enlarge: give --upscale' in said('--bg_upsampler', 'realesrgan')
    assert 'the smallest and the largest' in refused(
        capsys, restore.main, '--input', 'photos', *ARGUMENTS, '--lq-size', 1, 2, 3
    )
    assert 'threshold: 7.0 is not between 0 and 1' in said('--threshold', '7')
    assert '0 must be 1 or more' in said('--upscale', '0', status=2)
    Path('empty').mkdir()
    assert 'empty holds no photos' in said('--input', 'empty')
    Path('other').mkdir()
    cv2.imwrite('other/a.png', painted())
    assert '1 photos have the name of another, the first a.png' in refused(
        capsys, restore.main, '--input', 'photos', 'other/a.png', *ARGUMENTS
    )
    assert not Path('out').exists()


def test_realesrgan_that_is_not_installed(workplace, capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, 'realesrgan', None)
    message = refused(
        capsys, restore.main, '--input', 'photos', *ARGUMENTS, '--upscale', 2, '--bg_upsampler', 'realesrgan'
    )
    assert 'needs the package realesrgan' in message and 'pip install realesrgan' in message


def test_realesrgan_enlarges_the_background(workplace, capsys, monkeypatch):
    import sys
    from types import ModuleType

    import torch
    from basicsr.archs.rrdbnet_arch import RRDBNet

    asked = []

    class RealESRGANer:
        def __init__(self, scale, model_path, model, **options):
            asked.append((scale, model_path, type(model), options['half'], options['tile']))

        def enhance(self, photo, outscale):
            print('\tTile 1/1')
            return np.full((photo.shape[0] * outscale, photo.shape[1] * outscale, 3), 7, np.uint8), 'RGB'

    package = ModuleType('realesrgan')
    package.RealESRGANer = RealESRGANer
    monkeypatch.setitem(sys.modules, 'realesrgan', package)
    torch.save({'params_ema': {'conv_first.weight': torch.zeros(64, 3, 3, 3)}}, 'x4.pth')
    command(
        *('--input', 'photos/a.png', '--upscale', 3, '--bg_upsampler', 'realesrgan', '--weights', 'realesrgan=x4.pth')
    )
    result = cv2.imread('out/a.png')
    assert asked == [(4, 'x4.pth', RRDBNet, False, 400)] and 'Tile' not in capsys.readouterr().out
    assert result.shape == (360, 480, 3)
    assert (result[130:] == 7).all() and (result[40:110, 40:110] != 7).any()
    Path('x4.pth').write_bytes(b'rubbish')
    assert "Real-ESRGAN's file x4.pth cannot be loaded" in refused(
        capsys,
        restore.main,
        *('--input', 'photos', *ARGUMENTS, '--upscale', 2, '--bg_upsampler', 'realesrgan'),
        *('--weights', 'realesrgan=x4.pth'),
    )


def test_a_full_disk_in_the_middle_leaves_what_is_finished(workplace, capsys, monkeypatch):
    write, done = files.write_file, []

    def fill(path, data):
        if len(done) == 1:
            raise OSError(errno.ENOSPC, 'No space left on device', str(path))
        done.append(path)
        write(path, data)

    monkeypatch.setattr(files, 'write_file', fill)
    message = refused(capsys, restore.main, '--input', 'photos', *ARGUMENTS)
    assert 'out/black.jpg cannot be written (No space left on device): make room on its disk' in message
    assert written() == ['a.png'] and cv2.imread('out/a.png') is not None


def test_a_photo_too_large_for_the_memory(workplace, capsys, monkeypatch):
    monkeypatch.setattr(photo_run, 'available_bytes', lambda device: 60 * 60 * 100)
    message = refused(capsys, restore.main, '--input', 'photos/a.png', 'photos/black.jpg', *ARGUMENTS, '-s', 2)
    assert re.search(
        r'1 of 2 photos were not restored: photos/a\.png: its 160x120 pixels need about [\d.]+ GB of memory, and '
        r'[\d.]+ GB are free: shrink it, or give a smaller --upscale$',
        message,
    )
    assert written() == ['black.jpg']


def test_a_stripe_without_faces_is_none_that_is_cut_out(workplace, capsys):
    cv2.imwrite('photos/stripe.png', np.zeros((60, 300, 3), np.uint8))
    command('--input', 'photos')
    assert '1 of these are small' in capsys.readouterr().out  # black.jpg


@pytest.mark.parametrize('count, rows, columns', [(1, 1, 1), (6, 1, 6), (7, 2, 6), (13, 3, 6)])
def test_a_sheet_of_faces_is_six_pairs_wide(count, rows, columns):
    face = np.zeros((8, 8, 3), np.uint8)
    sheet = photo_run.draw_faces(SimpleNamespace(restored=[SimpleNamespace(lq=face, restored=face)] * count))
    assert sheet.shape == (24 + rows * 100, columns * (2 * 100 + 12) - 12, 3)


@pytest.mark.parametrize('upscale, each', [(1, 14), (2, 12 * 4), (4, 12 * 16)])
def test_the_memory_that_a_photo_is_said_to_need(workplace, monkeypatch, upscale, each):
    """As docs/photos.md has it: 14 bytes a pixel, or 12 for each of the enlarged photo."""
    data, free = Path('photos/a.png').read_bytes(), 160 * 120 * each
    monkeypatch.setattr(photo_run, 'available_bytes', lambda device: free)
    photo_run.check_memory(data, 'a.png', upscale)
    free -= 1
    with pytest.raises(CorruptImageError, match='160x120 pixels need about'):
        photo_run.check_memory(data, 'a.png', upscale)


def test_decompression_bombs(workplace, capsys):
    stream = io.BytesIO()
    Image.new('1', (20000, 9000)).save(stream, 'PNG')
    Path('photos/a.png').write_bytes(stream.getvalue())
    assert 'photos/a.png: its header claims more than' in refused(
        capsys, restore.main, '--input', 'photos/a.png', *ARGUMENTS
    )


def test_what_an_earlier_run_left_beside_other_results_is_named(workplace, capsys):
    command('--input', 'photos/a.png', '--compare', '--json')
    command('--input', 'photos/a.png')  # the same result again
    assert 'earlier run' not in capsys.readouterr().out
    save_params('g.pth', params=small_network(seed=1))
    command('--input', 'photos/a.png', '--json')
    assert (
        'left of an earlier run, and not of the results written now: out/a.png.faces.png\n' in capsys.readouterr().out
    )
