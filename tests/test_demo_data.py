"""The committed demo data set, and the script that makes it."""

import csv
import importlib.util
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from selfsr_plugin.preparation.detection import WEIGHTS_FILE

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / 'datasets' / 'demo'
PORTRAITS = ROOT.parent / 'shared' / 'data' / 'public_domain' / 'portraits'
WEIGHTS = ROOT.parent / 'shared' / 'weights' / WEIGHTS_FILE
COUNTS = {'train_hr': 283, 'train_wild_lr': 400, 'test_hr': 37, 'test_wild_lr': 37}


def _load_script():
    spec = importlib.util.spec_from_file_location('make_demo_data', ROOT / 'scripts' / 'make_demo_data.py')
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


demo = _load_script()


@pytest.fixture(scope='module')
def manifest():
    with open(DEMO / 'manifest.csv', newline='', encoding='utf-8') as stream:
        return list(csv.DictReader(stream))


def _read(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, f'{path} does not decode'
    return image


def _test_pairs():
    return [(_read(path), _read(DEMO / 'test_wild_lr' / path.name)) for path in sorted((DEMO / 'test_hr').iterdir())]


# ---- The committed files


def test_files_are_those_of_the_manifest_and_decode(manifest):
    on_disk = {path.relative_to(DEMO).as_posix() for split in demo.SPLITS for path in (DEMO / split).iterdir()}
    assert {row['file'] for row in manifest} == on_disk
    assert len(manifest) == len(on_disk)
    for split, count in COUNTS.items():
        size = demo.HR_SIZE if split.endswith('hr') else demo.LR_SIZE
        rows = [row for row in manifest if row['split'] == split]
        assert len(rows) == count
        for row in rows:
            image = _read(DEMO / row['file'])
            assert image.shape == (size, size, 3) and image.dtype == np.uint8, row['file']
            assert image.std() > 10, f'{row["file"]} shows nothing'


def test_people_are_disjoint(manifest):
    people = {split: {row['person'] for row in manifest if row['split'] == split} for split in demo.SPLITS}
    assert people['test_hr'] == people['test_wild_lr']
    groups = [people['train_hr'], people['train_wild_lr'], people['test_hr']]
    assert [len(group) for group in groups] == [283, 100, 37]
    assert len(set.union(*groups)) == 283 + 100 + 37
    for row in manifest:
        assert Path(row['file']).stem.split('_')[0] == row['person']
        assert row['split'].startswith(demo.split_of(row['person']))


def test_manifest_tells_frames_and_degradations(manifest):
    for row in manifest:
        left, top, side = (int(row[key]) for key in ('left', 'top', 'side'))
        assert left >= 0 and top >= 0 and side >= demo.HR_SIZE
        assert float(row['score']) >= demo.MIN_SCORE
        for point in demo.LANDMARKS:
            assert left < float(row[f'{point}_x']) < left + side and top < float(row[f'{point}_y']) < top + side
        if row['split'].endswith('wild_lr'):
            how = demo.Degradation.draw(demo.rng_of(Path(row['file']).stem))
            assert float(row['blur_length']) == pytest.approx(how.blur_length, abs=0.006)
            assert float(row['shot_noise']) == pytest.approx(how.shot_noise, abs=0.006)
            assert int(row['jpeg_quality']) == how.jpeg_quality
        else:
            assert row['blur_length'] == ''


def test_total_size():
    assert sum(path.stat().st_size for path in DEMO.rglob('*') if path.is_file()) < 6e6


def test_test_pairs_are_aligned():
    """Of all shifts of the HR images by up to 3 of their pixels, none fits the LR images better than no shift."""
    mean = {}
    pairs = _test_pairs()
    for dy in range(-3, 4):
        for dx in range(-3, 4):
            mean[dy, dx] = np.mean(
                [
                    np.corrcoef(
                        demo.resize_array(np.roll(hr, (dy, dx), (0, 1)), demo.LR_SIZE)[1:-1, 1:-1].ravel(),
                        lr[1:-1, 1:-1].ravel(),
                    )[0, 1]
                    for hr, lr in pairs
                ]
            )
    assert max(mean, key=mean.get) == (0, 0)
    assert mean[0, 0] > 0.9


def test_test_images_are_clearly_degraded():
    """Else the demo would show nothing. In RGB the wild images are 23.7 to 28.7 dB from clean ones."""
    for hr, lr in _test_pairs():
        error = np.mean((np.clip(demo.resize_array(hr, demo.LR_SIZE), 0, 255) - lr) ** 2)
        assert 20 < 10 * math.log10(255**2 / error) < 32


# ---- The degradation


@pytest.mark.parametrize('length', [0, 0.7, 5, 12.3, 25])
@pytest.mark.parametrize('angle', [0, 30, 45, 90, 137])
def test_motion_kernel_is_centred_and_as_long_as_said(length, angle):
    kernel = demo.motion_kernel(length, angle)
    assert kernel.shape[0] == kernel.shape[1] and kernel.shape[0] % 2 == 1
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-12)
    y, x = np.indices(kernel.shape) - kernel.shape[0] // 2
    assert abs((kernel * x).sum()) < 1e-12 and abs((kernel * y).sum()) < 1e-12
    along = math.cos(math.radians(angle)) * x + math.sin(math.radians(angle)) * y
    # Variance of an even spread over the path; spreading a point over four pixels adds at most 1/4 per axis.
    assert length**2 / 12 - 1e-9 <= (kernel * along**2).sum() <= (length + 0.3) ** 2 / 12 + 0.5
    assert (kernel * (x**2 + y**2 - along**2)).sum() <= 0.5


def test_degradation_is_a_function_of_the_name():
    face = np.random.RandomState(0).randint(0, 256, (180, 180, 3), dtype=np.uint8)
    first, how = demo.degrade(face, 'someone')
    again, how_again = demo.degrade(face, 'someone')
    other, how_other = demo.degrade(face, 'someone else')
    assert first.shape == (demo.LR_SIZE, demo.LR_SIZE, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert how == how_again != how_other
    assert not np.array_equal(first, other)


@pytest.mark.parametrize('side', [160, 183])
def test_degradation_does_not_shift(side):
    """A blob in the middle of the face stays there: the noise moves it in one image, but not on average."""
    axis = np.arange(side) - (side - 1) / 2
    blob = 230 * np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * (side / 8) ** 2))
    face = np.repeat(np.rint(blob)[..., None], 3, axis=2).astype(np.uint8)
    mean = np.mean([demo.degrade(face, str(index))[0] for index in range(200)], axis=(0, 3))
    at = np.arange(demo.LR_SIZE) - (demo.LR_SIZE - 1) / 2
    assert abs((mean * at).sum() / mean.sum()) < 0.02
    assert abs((mean * at[:, None]).sum() / mean.sum()) < 0.02


# ---- Framing and splitting


def _landmarks(x, y, size=50.0):
    """A face that looks into the camera: eyes and mouth around (x, y)."""
    return np.array(
        [
            [x - size / 2, y - size / 2],
            [x + size / 2, y - size / 2],
            [x, y],
            [x - size / 3, y + size / 2],
            [x + size / 3, y + size / 2],
        ]
    )


def test_frame_is_centred_and_stays_in_the_photo():
    box = demo.frame_inside(_landmarks(200, 200), 400, 400)
    assert box.side == round(100 / 0.574)
    assert abs(box.left + box.side / 2 - 200) <= 1 and abs(box.top + 0.61 * box.side - 200) <= 1
    box = demo.frame_inside(_landmarks(80, 200), 400, 400)
    assert box.left == 0 and box.side == round(100 / 0.574)  # moved, not shrunk and not filled up
    rng = np.random.RandomState(0)
    for _ in range(100):
        moved = demo.jitter(box, rng, 400, 400)
        assert moved.left >= 0 and moved.left + moved.side <= 400 and moved.top >= 0 and moved.top + moved.side <= 400


@pytest.mark.parametrize('landmarks, why', [(_landmarks(30, 200), 'edge'), (_landmarks(200, 200, 15), 'pixels only')])
def test_frame_refuses(landmarks, why):
    with pytest.raises(demo.Refused, match=why):
        demo.frame_inside(landmarks, 400, 400)


def test_split_shares():
    splits = [demo.split_of(f'person {index}') for index in range(5000)]
    assert abs(splits.count('test') / 5000 - demo.TEST_SHARE) < 0.015
    assert abs(splits.count('train_wild_lr') / 5000 - demo.WILD_SHARE) < 0.025


# ---- The command


def _message(arguments):
    with pytest.raises(SystemExit) as stop:
        demo.main([str(argument) for argument in arguments])
    assert isinstance(stop.value.code, str), 'a sentence, which also makes the exit code 1'
    assert '\n' not in stop.value.code
    return stop.value.code


def test_bad_input_is_one_sentence(tmp_path, monkeypatch):
    out = tmp_path / 'out'
    assert 'no folder' in _message(['--input', tmp_path / 'none', '--output', out])
    photos = tmp_path / 'photos'
    photos.mkdir()
    assert 'no images' in _message(['--input', photos, '--output', out])
    (photos / 'a.jpg').write_bytes(b'')
    assert 'no such file' in _message(['--input', photos, '--output', out, '--weights', f'retinaface={tmp_path}'])
    monkeypatch.setattr(demo, 'FaceFinder', lambda weights: None)
    assert '--overwrite' in _message(['--input', photos, '--output', DEMO])
    assert 'not a folder' in _message(['--input', photos, '--output', photos / 'a.jpg'])
    (photos / 'a.png').write_bytes(b'')
    assert 'same person' in _message(['--input', photos, '--output', out])
    assert not out.exists()


def test_broken_photos_are_refused(tmp_path):
    (tmp_path / 'empty.jpg').write_bytes(b'')
    (tmp_path / 'text.jpg').write_bytes(b'no picture')
    rows, refused = demo.make(sorted(tmp_path.glob('*.jpg')), None, tmp_path / 'out')
    assert not rows and refused == ['empty.jpg: it is empty (0 bytes).', 'text.jpg: it is cut short or not an image.']


needs_shared = pytest.mark.skipif(
    not (PORTRAITS.is_dir() and WEIGHTS.is_file()), reason='needs the portraits and the detector in ../shared'
)


@needs_shared
def test_script_reproduces_the_committed_files(tmp_path, manifest):
    pytest.importorskip('facexlib')
    people = [
        next(row['person'] for row in manifest if row['split'] == split)
        for split in ('train_hr', 'train_wild_lr', 'test_hr')
    ]
    finder = demo.FaceFinder(WEIGHTS)
    rows, refused = demo.make([PORTRAITS / f'{person}.jpg' for person in people], finder, tmp_path)
    assert not refused and len(rows) == 1 + demo.WILD_PER_PERSON + 2
    committed = {row['file']: row for row in manifest}
    for row in rows:
        assert {key: str(value) for key, value in row.items() if key in ('left', 'top', 'side', 'jpeg_quality')} == {
            key: committed[row['file']][key] for key in row if key in ('left', 'top', 'side', 'jpeg_quality')
        }
        # Equal with the versions the set was made with; other JPEG codecs may round differently.
        ours, theirs = _read(tmp_path / row['file']), _read(DEMO / row['file'])
        assert np.abs(ours.astype(float) - theirs).mean() < 1.5, row['file']
    with pytest.raises(demo.Refused, match='no face'):
        finder(np.full((275, 225, 3), 128, np.uint8))
