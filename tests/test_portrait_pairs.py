"""scripts/make_portrait_pairs.py: whose faces it gives, and what the LR images of its pairs are."""

import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='module')
def pairs():
    sys.path.insert(0, str(ROOT / 'scripts'))
    try:
        spec = importlib.util.spec_from_file_location('make_portrait_pairs', ROOT / 'scripts/make_portrait_pairs.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / 'scripts'))
    return module


@pytest.fixture(scope='module')
def photo():
    smooth = cv2.resize(np.random.RandomState(0).randint(0, 256, (12, 10, 3), dtype=np.uint8), (225, 275))
    return cv2.GaussianBlur(smooth, (0, 0), 2)


def images(pairs, photo, person):
    return dict(pairs.images_of(person, photo, pairs.Box(20, 40, 180)))


def test_the_demos_test_people_are_in_no_file(pairs, photo):
    people = {path.stem for path in (ROOT / 'datasets/demo/test_hr').iterdir()}
    assert len(people) == 37
    assert not any(images(pairs, photo, person) for person in people)


def test_a_person_is_trained_on_or_held_back_and_gives_the_same_files_again(pairs, photo):
    made = {person: images(pairs, photo, person) for person in ('A000014', 'A000069', 'B000220', 'C000127', 'D000096')}
    kinds = {frozenset(file.split('/')[0] for file in files) for files in made.values() if files}
    trained = frozenset({'train_hr', 'train_lr', 'train_large_hr', 'train_large_lr'})
    assert kinds <= {trained, frozenset({'val_hr', 'val_wild_lr', 'val_large_hr'})}
    again = images(pairs, photo, 'A000014')
    assert all(np.array_equal(image, again[file]) for file, image in made['A000014'].items())


@pytest.mark.parametrize('folder, size', [('train', 64), ('train_large', 96)])
def test_pairs_show_the_same_place_and_some_are_bicubic(pairs, photo, folder, size):
    made = images(pairs, photo, 'A000014')
    hr = {file.split('/')[1]: image for file, image in made.items() if file.startswith(f'{folder}_hr')}
    assert len(hr) == pairs.PER_PERSON
    clean = 0
    for name, image in hr.items():
        lr = made[f'{folder}_lr/{name}']
        assert image.shape == (size, size, 3) and lr.shape == (size // 4, size // 4, 3)
        bicubic = pairs.to_uint8(pairs.resize_array(image, size // 4))
        clean += np.array_equal(bicubic, lr)
        # moved by a pixel, or of another place, it would be far off
        assert np.abs(cv2.blur(bicubic, (5, 5)).astype(float) - cv2.blur(lr, (5, 5))).mean() < 8
    assert 0 < clean < len(hr)
