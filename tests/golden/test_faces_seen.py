"""Which faces a run sees, in which order and mirrored how: a resumed run must see what it would have seen."""

import itertools

import cv2
import numpy as np
import pytest
from basicsr.utils.matlab_functions import imresize

from selfsr_plugin.data import HRFaceDataset, LRFaceDataset, PairedFaceDataset, UnpairedFaceDataset, build_train_loader

# HR face, LR face, and '<' where it is mirrored.
UNPAIRED = (
    '2/1< 4/1< 0</1< 3</2< 1/3< 1/0 3</2 2</1< 0/2 4/2< 1/0 2/2< 4/0< 0/0 3</3< 2/1 4/0< 1/3 0</3< 3/0 3/2< '
    '1/0< 0/0 4/0<'
)
PAIRED = (
    '2/2 4</4< 0/0 3</3< 1</1< 1</1< 3</3< 2</2< 0</0< 4</4< 1/1 2</2< 4/4 0</0< 3</3< 2</2< 4/4 1</1< 0</0< 3/3 '
    '3</3< 1</1< 0/0 4/4'
)
HR = '2 4< 0 3< 1< 1< 3< 2< 0< 4< 1 2< 4 0< 3< 2< 4 1< 0< 3 3< 1< 0 4'


@pytest.fixture
def roots(tmp_path):
    """Five HR faces of 24x24 and four LR faces of 4 to 7 pixels, hard edges included, darker on the left."""
    rng = np.random.RandomState(3)
    folders = {}
    for name, sides in (('hr', [24] * 5), ('lq', [4, 5, 6, 7]), ('pair', [6] * 5)):
        (tmp_path / name).mkdir()
        for number, side in enumerate(sides):
            image = rng.randint(0, 2, (side, side, 3)) * 155 + np.linspace(0, 100, side)[:, None]
            image[:, 0], image[:, -1] = 0, 255
            cv2.imwrite(str(tmp_path / name / f'{number}.png'), image.astype(np.uint8))
        folders[name] = str(tmp_path / name)
    return folders


def seen(dataset) -> str:
    """The first 24 samples of a run with seed 7, two at a time."""
    loader = build_train_loader(dataset, dict(batch_size_per_gpu=2), seed=7)
    found = []
    for batch in itertools.islice(loader, 12):
        for i in range(2):
            words = []
            for key in ('gt', 'lq'):
                if key in batch:
                    mirrored = batch[key][i][..., 0].mean() > batch[key][i][..., -1].mean()
                    words.append(batch[f'{key}_path'][i][-len('0.png')] + ('<' if mirrored else ''))
            found.append('/'.join(words))
    return ' '.join(found)


def test_unpaired_faces(roots):
    opt = dict(dataroot_gt=roots['hr'], dataroot_lq=roots['lq'], gt_size=24, lq_size=6, scale=4, use_hflip=True)
    assert seen(UnpairedFaceDataset(opt)) == UNPAIRED


def test_paired_faces(roots):
    opt = dict(dataroot_gt=roots['hr'], dataroot_lq=roots['pair'], gt_size=24, scale=4, use_hflip=True)
    assert seen(PairedFaceDataset(opt)) == PAIRED


def test_hr_faces(roots):
    assert seen(HRFaceDataset(dict(dataroot_gt=roots['hr'], gt_size=24, use_hflip=True))) == HR


@pytest.mark.parametrize('index, side', [(0, 4), (1, 5), (3, 7)])
def test_lr_faces_are_enlarged_and_shrunk_by_the_bicubic_kernel(roots, index, side):
    """BasicSR's imresize, clamped as a stored image is; the hard edges overshoot."""
    stored = cv2.imread(f'{roots["lq"]}/{index}.png')
    assert stored.shape == (side, side, 3)
    resized = imresize(stored.astype(np.float32) / 255, 6 / side)
    assert resized.shape == (6, 6, 3) and (resized.min() < -0.005 or resized.max() > 1.005)
    found = LRFaceDataset(dict(dataroot_lq=roots['lq'], lq_size=6, phase='val'))[index]['lq']
    np.testing.assert_allclose(found.flip(0).permute(1, 2, 0), resized.clip(0, 1), rtol=0, atol=1e-5)


def test_lr_faces_from_hr_are_rounded_as_stored_images_are(roots):
    item = PairedFaceDataset(dict(dataroot_gt=roots['hr'], scale=4, phase='val'))[2]
    stored = cv2.imread(f'{roots["hr"]}/2.png').astype(np.float32) / 255
    expected = (imresize(stored, 0.25).clip(0, 1) * 255).round() / 255
    np.testing.assert_allclose(item['lq'].flip(0).permute(1, 2, 0), expected, rtol=0, atol=1e-6)
