"""prepare() from end to end, also stopped in every way."""

import errno
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from common_kit import refused

from selfsr_plugin import prepare_faces, split_faces
from selfsr_plugin.data import open_image_source
from selfsr_plugin.preparation import runner
from selfsr_plugin.preparation.detection import WEIGHTS_FILE, FaceDetector
from selfsr_plugin.preparation.manifest import Manifest
from selfsr_plugin.preparation.runner import prepare
from selfsr_plugin.preparation.settings import Settings
from selfsr_plugin.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT.parent / 'shared' / 'weights' / WEIGHTS_FILE
PHOTOS = ROOT.parent / 'shared' / 'data' / 'test' / 'photos'
needs_weights = pytest.mark.skipif(not WEIGHTS.is_file(), reason='needs ../shared/weights')


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob('*.png')}


def lines(folder):
    return [json.loads(line) for line in (folder / 'manifest.jsonl').read_text().splitlines()][1:]


@pytest.fixture
def photos(kit, tmp_path):
    for number in range(5):
        kit.write(tmp_path / 'in' / 'sub' / f'{number}.png', kit.photo(number))
    return tmp_path / 'in'


def test_the_detector_is_told_the_threshold(kit, photos, tmp_path):
    for threshold, count in ((0.86, 5), (0.84, 10)):
        detect = lambda image, least: [face for face in kit.two_faces(image, least) if face.score >= least]  # noqa: E731
        manifest = prepare(photos, tmp_path / f'out{count}', Settings(threshold=threshold), detect=detect)
        assert manifest.counts()['faces'] == count


def test_crops_and_manifest_agree(kit, photos, tmp_path):
    out = tmp_path / 'out'
    manifest = prepare(photos, out, Settings(), detect=kit.two_faces)
    assert manifest.counts() == {'photos': 5, 'refused': 0, 'faces': 10, 'padded': 0, 'left_out': 0}
    for line in lines(out):
        photo = cv2.imread(str(photos / line['photo']))
        assert (line['height'], line['width']) == photo.shape[:2]
        for entry, (left, top, side) in zip(line['faces'], [(20, 30, 64), (120, 90, 40)]):
            assert entry['crop'] == {'left': left, 'top': top, 'side': side} and entry['size'] == side
            assert np.allclose(entry['landmarks'], kit.landmarks(left, top, side), atol=0.01)
            data = (out / entry['file']).read_bytes()
            assert entry['sha256'] == hashlib.sha256(data).hexdigest()
            np.testing.assert_array_equal(
                cv2.imread(str(out / entry['file'])), photo[top : top + side, left : left + side]
            )
    assert len(open_image_source(str(out))) == 10
    assert (out / 'refused.txt').read_text() == ''


def test_sizes_limits_and_reasons(kit, photos, tmp_path):
    prepare(photos, tmp_path / 'a', Settings(size=48), detect=kit.two_faces)
    assert all(cv2.imread(str(path)).shape == (48, 48, 3) for path in (tmp_path / 'a').glob('*.png'))
    first = lines(tmp_path / 'a')[0]
    assert len(first['faces']) == 1 and 'fills 40 pixels only, at least 48' in first['left_out'][0]['reason']
    prepare(photos, tmp_path / 'b', Settings(max_face=50), detect=kit.two_faces)
    assert 'fills 64 pixels, at most 50' in lines(tmp_path / 'b')[0]['left_out'][0]['reason']
    prepare(photos, tmp_path / 'c', Settings(max_faces=1), detect=lambda *a: kit.two_faces(*a)[::-1])
    assert [entry['size'] for entry in lines(tmp_path / 'c')[0]['faces']] == [64]
    assert '1 larger faces' in lines(tmp_path / 'c')[0]['left_out'][0]['reason']


def test_no_face_bad_files_and_others_are_listed(kit, photos, tmp_path):
    (photos / 'zero.jpg').write_bytes(b'')
    (photos / 'notes.txt').write_text('x')
    out = tmp_path / 'out'
    empty = kit.photo(0)[0, 0, 0]
    manifest = prepare(
        photos, out, Settings(), detect=lambda image, _: [] if image[0, 0, 0] == empty else [kit.face(20, 30, 64)]
    )
    assert manifest.counts()['refused'] == 2
    assert (out / 'refused.txt').read_text().splitlines() == [
        'notes.txt: not a photo by its name.',
        'sub/0.png: no face found.',
        'zero.jpg: it is empty (0 bytes).',
    ]


def test_margins_are_what_was_asked_for_also_at_the_border(kit, photos, tmp_path, capsys):
    """Crops of one set are framed alike: what the photo does not hold is mirrored, marked and counted."""
    out = tmp_path / 'out'
    manifest = prepare(
        photos, out, Settings(margin=0.4), detect=lambda *_: [kit.face(20, 30, 64), kit.face(100, 100, 40)]
    )
    assert manifest.counts() == {'photos': 5, 'refused': 0, 'faces': 10, 'padded': 5, 'left_out': 0}
    photo = cv2.imread(str(photos / 'sub/0.png'))
    large, small = lines(out)[0]['faces']
    assert (large['size'], small['size']) == (round(64 * 1.8), 40 * 1.8)
    assert large['crop']['left'] == 20 - 26 and large['padded'] == [6, 0, 0, 0] and small['padded'] == [0, 0, 0, 0]
    top = large['crop']['top']
    np.testing.assert_array_equal(cv2.imread(str(out / large['file']))[:, :6], photo[top : top + 115, 6:0:-1])
    prepare(photos, tmp_path / 'b', Settings(), detect=lambda *_: [kit.face(-40, 30, 64)])
    manifest = prepare(photos, tmp_path / 'b', Settings(), detect=kit.two_faces)
    assert manifest.reasons() == {'the edge of the photo cuts the face': 5}


def test_reasons_that_differ_in_their_numbers_are_one(kit, photos, tmp_path):
    sides = iter([9.0, 31.0, 18.0, 12.0, 12.0])
    manifest = prepare(photos, tmp_path / 'a', Settings(min_face=40), detect=lambda *_: [kit.face(50, 50, next(sides))])
    assert manifest.reasons() == {'the face fills 9 to 31 pixels only, at least 40 needed': 5}


def test_one_photo(kit, photos, tmp_path):
    prepare(photos / 'sub' / '3.png', tmp_path / 'in' / 'out', Settings(), detect=kit.two_faces)
    assert [line['photo'] for line in lines(tmp_path / 'in' / 'out')] == ['3.png']
    prepare(photos, tmp_path / 'out', Settings(), detect=kit.two_faces)
    assert files(tmp_path / 'in' / 'out')['3_000.png'] == files(tmp_path / 'out')['sub_3_000.png']


def test_what_became_of_everything_is_printed(kit, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(runner, 'FaceDetector', lambda *_: lambda *_: [kit.face(2, 30, 64), kit.face(-40, 30, 64)])
    monkeypatch.setenv('HOME', str(tmp_path))
    (photos / 'a.gif').touch()
    prepare_faces.main(['--input=~/in', '--output=~/out', '--shift-x=-0.1'])
    said = capsys.readouterr().out
    assert '5 faces of 5 photos are in' in said and '0 photos were refused and 5 faces left out' in said
    assert '5 of the crops reach beyond their photo' in said and '5 x the edge of the photo cuts the face' in said
    assert 'files with other extensions (.gif 1)' in said and len(files(tmp_path / 'out')) == 5


def test_photos_of_which_no_face_comes_end_with_status_1(photos, tmp_path, capsys, monkeypatch):
    """What comes next in a script would go on with an empty folder."""
    monkeypatch.setattr(runner, 'FaceDetector', lambda *_: lambda *_: [])
    for _ in range(2):  # the second time nothing is left to do
        with pytest.raises(SystemExit):
            prepare_faces.main(['--input', str(photos), '--output', str(tmp_path / 'out')])
        said = capsys.readouterr()
        assert '5 x no face found' in said.out and 'no face came out of the 5 photos' in said.err


def test_500_faces(kit, photos, tmp_path):
    for path in list((photos / 'sub').iterdir())[1:]:
        path.unlink()
    many = [kit.face(2 + 9 * (i % 24), 2 + 8 * (i // 24), 18) for i in range(500)]
    prepare(photos, tmp_path / 'out', Settings(), detect=lambda *_: many)
    assert len(files(tmp_path / 'out')) == 500
    assert lines(tmp_path / 'out')[0]['faces'][499]['file'].endswith('_499.png')


def test_done_photos_are_skipped_and_refused_ones_retried_on_request(kit, photos, tmp_path):
    out, seen = tmp_path / 'out', []

    def detect(image, threshold):
        seen.append(1)
        return kit.two_faces(image, threshold)

    (photos / 'bad.png').write_bytes(b'')
    prepare(photos, out, Settings(), detect=detect)
    kit.write(photos / 'bad.png')
    kit.write(photos / 'new.png')
    prepare(photos, out, Settings(), detect=detect)
    assert len(seen) == 6 and 'bad.png' in (out / 'refused.txt').read_text()
    prepare(photos, out, Settings(), detect=detect, retry=True)
    assert len(seen) == 7 and (out / 'refused.txt').read_text() == ''
    assert Manifest(out, {**lines_settings(out)}).counts() == {
        'photos': 7,
        'refused': 0,
        'faces': 14,
        'padded': 0,
        'left_out': 0,
    }


def lines_settings(folder):
    return json.loads((folder / 'manifest.jsonl').read_text().splitlines()[0])['settings']


def test_photos_that_are_others_now_are_named(kit, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(runner, 'FaceDetector', lambda *_: lambda *_: [kit.face(2, 30, 64)])
    arguments = ['--input', str(photos), '--output', str(tmp_path / 'crops')]
    prepare_faces.main(arguments)
    prepare_faces.main(arguments)
    assert not capsys.readouterr().err.count('others')
    photo = sorted(path for path in photos.rglob('*') if path.suffix == '.png')[0]
    photo.write_bytes(photo.read_bytes() + b' ')
    prepare_faces.main(arguments)
    said = capsys.readouterr().err
    assert '1 photos are others than those that were cut under their names, such as ' in said and photo.name in said
    photo.write_bytes(photo.read_bytes()[:-1])  # as it was, but written now
    prepare_faces.main(arguments)
    assert not capsys.readouterr().err.count('warning')
    photo.write_bytes(b'x' + photo.read_bytes()[1:])  # another of its size
    prepare_faces.main(arguments)
    assert '1 photos are others than those that were cut' in capsys.readouterr().err


def test_crops_that_are_gone_are_named(kit, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('selfsr_plugin.preparation.runner.FaceDetector', lambda *_: kit.two_faces)
    arguments = ['--input', str(photos), '--output', str(tmp_path / 'out')]
    prepare_faces.main(arguments)
    assert '10 faces of 5 photos are in' in capsys.readouterr().out
    (tmp_path / 'out/sub_1_000.png').unlink()
    prepare_faces.main(arguments)
    out, err = capsys.readouterr()
    assert '9 faces of 5 photos are in' in out and not (tmp_path / 'out/sub_1_000.png').exists()
    assert 'warning: 1 crops of earlier runs are not in' in err and 'such as sub_1_000.png' in err


def test_a_threshold_that_nothing_is_detected_with(photos, tmp_path, capsys):
    arguments = ['--input', photos, '--output', tmp_path / 'out', '--annotations', 'list.txt', '--threshold', '0.5']
    assert '--threshold: nothing is detected with --annotations' in refused(capsys, prepare_faces.main, *arguments)


def test_annotated(kit, tmp_path):
    for name in ('000001.jpg', '000009.jpg'):
        kit.write(tmp_path / 'in' / name, kit.photo(0, 218, 178))
    points = ' '.join(f'{value:.0f}' for value in kit.landmarks(20, 40, 130).ravel())
    header = 'lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y'
    (tmp_path / 'list.txt').write_text(f'1\n{header}\n000001.jpg {points}\n')
    prepare(tmp_path / 'in', tmp_path / 'out', Settings(size=128), annotations=tmp_path / 'list.txt')
    assert list(files(tmp_path / 'out')) == ['000001_000.png']
    assert '000009.jpg: no face is annotated.' in (tmp_path / 'out' / 'refused.txt').read_text()
    (tmp_path / 'wider.txt').write_text('000001.jpg\n1\n50 60 80 90 0 0 0 0 0 0\n')
    prepare(tmp_path / 'in', tmp_path / 'boxes', Settings(), annotations=tmp_path / 'wider.txt')
    assert lines(tmp_path / 'boxes')[0]['faces'][0]['crop']['side'] == round(90 / 0.82)
    with pytest.raises(UserError, match='similarity needs landmarks'):
        prepare(tmp_path / 'in', tmp_path / 'x', Settings('similarity'), annotations=tmp_path / 'wider.txt')


# ---- Interrupted


def test_interrupted_anywhere_gives_the_same_in_the_end(kit, photos, tmp_path):
    prepare(photos, tmp_path / 'whole', Settings(), detect=kit.two_faces)
    out = tmp_path / 'out'
    for stop in range(1, 5):
        calls = []

        def detect(image, threshold):
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return kit.two_faces(image, threshold)

        with pytest.raises(KeyboardInterrupt, match=f'stopped; {stop} of 5 photos are done'):
            prepare(photos, out, Settings(), detect=detect)
        with open(out / 'manifest.jsonl', 'ab') as stream:
            stream.write(b'{"photo": "sub/4.png", "fac')  # as a kill in the middle of writing leaves it
        (out / '.sub_4_000.png.part').write_bytes(b'half')
    prepare(photos, out, Settings(), detect=kit.two_faces)
    assert files(out) == files(tmp_path / 'whole')
    assert lines(out) == lines(tmp_path / 'whole')


def test_ctrl_c_is_told_from_a_failure(kit, photos, tmp_path, capsys, monkeypatch):
    """Scripts tell by the status whether somebody stopped a command or it could not go on."""

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, 'FaceDetector', lambda *_: stopped)
    with pytest.raises(SystemExit) as caught:
        prepare_faces.main(['--input', str(photos), '--output', str(tmp_path / 'out')])
    assert caught.value.code == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith('error: stopped; 0 of 5 photos are done')


def test_a_full_disk_keeps_what_is_done(kit, photos, tmp_path, monkeypatch):
    out, written = tmp_path / 'out', []
    replace = os.replace

    def full(part, path):
        written.append(path)
        if len(written) == 4:
            raise OSError(errno.ENOSPC, 'No space left on device', str(part))
        replace(part, path)

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(UserError, match='cannot be written .No space left on device.: make room'):
        prepare(photos, out, Settings(), detect=kit.two_faces)
    assert len(lines(out)) == 1 and not list(out.glob('.*.part'))
    monkeypatch.undo()
    prepare(photos, out, Settings(), detect=kit.two_faces)
    prepare(photos, tmp_path / 'whole', Settings(), detect=kit.two_faces)
    assert files(out) == files(tmp_path / 'whole') and lines(out) == lines(tmp_path / 'whole')


def test_a_full_disk_under_the_manifest(tmp_path):
    """A limit on the size of files cuts a write short as a full disk does."""
    line = {'photo': 'b' * 100, 'faces': [], 'left_out': []}
    with Manifest(tmp_path / 'out', {}) as manifest:
        manifest.add({**line, 'photo': 'a'})
        before = manifest.path.read_bytes()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
        try:
            with pytest.raises(OSError, match='No space'):
                manifest.add(line)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert manifest.path.read_bytes() == before and list(manifest.photos) == ['a']
        manifest.add(line)
    with Manifest(tmp_path / 'out', {}) as manifest:
        assert list(manifest.photos) == ['a', 'b' * 100]


def test_a_file_system_without_locks_is_warned_of(kit, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'fcntl', None)  # as on Windows; test_files.py has the file systems
    prepare(photos, tmp_path / 'out', Settings(), detect=kit.two_faces)
    assert 'warning: nothing can be locked in ' in capsys.readouterr().err


def test_one_writer_and_one_kind_of_crops_per_folder(kit, photos, tmp_path):
    out = tmp_path / 'out'
    prepare(photos, out, Settings(), detect=kit.two_faces)
    with pytest.raises(UserError, match='other settings .size None, now 32.'):
        prepare(photos, out, Settings(size=32), detect=kit.two_faces)
    with Manifest(out, lines_settings(out)):
        with pytest.raises(UserError, match='another run is writing'):
            prepare(photos, out, Settings(), detect=kit.two_faces)
    with pytest.raises(UserError, match='not empty'):
        prepare(photos, photos.parent, Settings(), detect=kit.two_faces)
    with pytest.raises(UserError, match='lies in --input'):
        prepare(photos, photos / 'crops', Settings(), detect=kit.two_faces)
    with pytest.raises(UserError, match='not a folder'):
        prepare(photos, kit.write(tmp_path / 'file.png'), Settings(), detect=kit.two_faces)


@pytest.mark.parametrize('line', ['[]', '{"photo": "x.png"}', '{"photo": "x.png", "faces": [1], "left_out": []}'])
def test_a_manifest_of_other_lines_is_broken(kit, photos, tmp_path, capsys, line):
    prepare(photos, tmp_path / 'out', Settings(), detect=kit.two_faces)
    with open(tmp_path / 'out/manifest.jsonl', 'a') as file:
        file.write(line + '\n')
    with pytest.raises(UserError, match=r'manifest\.jsonl is broken .*: repair it'):
        prepare(photos, tmp_path / 'out', Settings(), detect=kit.two_faces)
    message = refused(capsys, split_faces.main, '--input', tmp_path / 'out', '--output', tmp_path / 'PART')
    assert 'manifest.jsonl is broken' in message


@pytest.mark.parametrize(
    'settings, why',
    [
        (Settings(size=0), '--size'),
        (Settings(margin=-1), '--margin'),
        (Settings(threshold=1.5), '--threshold'),
        (Settings(size=64, max_face=50), '--max-face: 50 is less'),
        (Settings('round'), '--framing'),
    ],
)
def test_bad_settings(photos, tmp_path, settings, why):
    with pytest.raises(UserError, match=why):
        prepare(photos, tmp_path / 'out', settings)
    assert not (tmp_path / 'out').exists()


# ---- The command, with the real detector


def command(*arguments):
    return [sys.executable, '-m', 'selfsr_plugin.prepare_faces', *map(str, arguments)]


def test_a_folder_of_crops_is_not_named_like_an_lmdb(photos, tmp_path, capsys):
    message = refused(capsys, prepare_faces.main, '--input', photos, '--output', tmp_path / 'faces.lmdb')
    assert 'its name is that of an LMDB: leave .lmdb out, and make an LMDB of the folder by' in message
    assert not (tmp_path / 'faces.lmdb').exists()


def test_missing_and_broken_weights_are_one_sentence(photos, tmp_path):
    file = tmp_path / 'detector.pth'
    for content, why in ((None, 'no such file'), (b'', 'cannot be loaded'), (b'rubbish' * 99, 'cannot be loaded')):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(UserError, match=f'{why}.*https://github.com/xinntao/facexlib/.*{WEIGHTS_FILE}') as error:
            prepare(photos, tmp_path / 'out', Settings(), weights=file)
        assert '\n' not in str(error.value) and 'weights_only' not in str(error.value)  # torch's advice to run it


def test_weights_that_cannot_be_downloaded(photos, tmp_path, monkeypatch):
    from urllib.error import URLError

    import facexlib.utils

    def offline(*_, **__):
        raise URLError('no network')

    monkeypatch.setattr(facexlib.utils, 'load_file_from_url', offline)
    with pytest.raises(
        UserError, match=f'cannot be downloaded .*no network.*{WEIGHTS_FILE}.*--weights retinaface=FILE'
    ):
        prepare(photos, tmp_path / 'out', Settings())


@needs_weights
@pytest.mark.skipif(not PHOTOS.is_dir(), reason='needs ../shared/data')
def test_killed_with_workers_and_resumed(tmp_path):
    """kill -9 of the parent: the workers go too, and the next run ends as an undisturbed one does."""
    source = tmp_path / 'in'
    source.mkdir()
    for path in sorted(PHOTOS.iterdir(), key=lambda path: path.stat().st_size)[:4]:
        (source / path.name).symlink_to(path)
    out = tmp_path / 'out'
    arguments = command('--input', source, '--output', out, '--weights', f'retinaface={WEIGHTS}', '--workers', 2)
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 900
    while time.time() < deadline and not (out.is_dir() and (out / 'manifest.jsonl').is_file() and lines(out)):
        time.sleep(0.02)
    children = [int(pid) for pid in Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert children and lines(out)
    while time.time() < deadline and any(_runs(pid) for pid in children):
        time.sleep(0.1)
    assert not any(_runs(pid) for pid in children)
    prepare(source, out, Settings(), weights=WEIGHTS)  # in one process: their number does not matter
    prepare(source, tmp_path / 'whole', Settings(), weights=WEIGHTS)
    crops = [
        {line['photo']: [face['sha256'] for face in line['faces']] for line in lines(folder)}
        for folder in (out, tmp_path / 'whole')
    ]
    assert crops[0] == crops[1]
    assert files(out) == files(tmp_path / 'whole')


def _runs(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except OSError:
        return False


@needs_weights
def test_a_face_is_framed_alike_however_many_pixels_the_photo_has():
    """The network alone finds parts of faces of more than 600 pixels, and is certain of them."""
    detect = FaceDetector(WEIGHTS)
    for path in sorted((ROOT / 'datasets' / 'demo' / 'test_hr').iterdir())[:3]:
        face = cv2.copyMakeBorder(cv2.imread(str(path)), 8, 8, 8, 8, cv2.BORDER_REPLICATE)
        boxes = []
        for side in (400, 1200, 2400):
            found = detect(cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC), 0.8)
            assert len(found) == 1
            boxes.append(np.array(found[0].box) / side)
        assert np.abs(boxes - boxes[0]).max() < 0.05


@needs_weights
@pytest.mark.parametrize('height, width', [(1, 9000), (9000, 1), (2, 9000), (1, 1), (1, 3), (40, 4000)])
def test_stripes_and_points_show_no_face(height, width):
    for enlarge in (1, 2):
        assert (
            FaceDetector(WEIGHTS, max_side=1280, enlarge=enlarge)(np.full((height, width, 3), 90, np.uint8), 0.8) == []
        )


def test_a_terminals_ctrl_c_is_not_for_the_workers():
    ask = 'import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))'
    with runner._without_ctrl_c():
        assert subprocess.run([sys.executable, '-c', ask], capture_output=True, text=True).stdout == 'True\n'
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_dead_worker_names_the_photos(kit, photos, tmp_path, monkeypatch):
    from concurrent.futures.process import BrokenProcessPool

    class Pool:
        def __init__(self, *_):
            pass

        def submit(self, *_):
            from concurrent.futures import Future

            assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])

            future = Future()
            future.set_exception(BrokenProcessPool('gone'))
            return future

        def shutdown(self, **_):
            pass

    monkeypatch.setattr(runner, 'ProcessPoolExecutor', Pool)
    with pytest.raises(UserError, match='a worker process died.*sub/0.png.*fewer --workers'):
        prepare(photos, tmp_path / 'out', Settings(), workers=2, detect=kit.two_faces)
