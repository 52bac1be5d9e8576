"""Items of the data set, mirrored with left and right changed over, alike for one (seed, k); what is refused."""

import cv2
import numpy as np
import pytest
import torch

from selfsr_plugin.baselines.data import FacePriorDataset
from selfsr_plugin.baselines.landmarks import FaceLandmarks, mirror, write_landmarks
from selfsr_plugin.data import PairedFaceDataset, SeededDataset
from selfsr_plugin.errors import UserError

NAMES = ['a', 'b', 'c', 'd']
FIVE = np.array([(10, 12), (20, 12), (15, 18), (11, 24), (19, 24)], np.float32)


@pytest.fixture
def opt(tmp_path, files):
    images = {name: files.make_image(number, 32) for number, name in enumerate(NAMES)}
    root = files.write_folder(tmp_path / 'hr', images)
    faces = {
        name: FaceLandmarks(32, 32, float(images[name].mean()), FIVE + number) for number, name in enumerate(NAMES)
    }
    write_landmarks(tmp_path / 'lm.csv', faces, 5)
    (tmp_path / 'maps').mkdir()
    for number, name in enumerate(NAMES):
        labels = np.zeros((32, 32), np.uint8)
        labels[4:12, 2:10], labels[4:12, 22:30], labels[20:, 10] = 4, 5, number + 8
        cv2.imwrite(str(tmp_path / 'maps' / f'{name}.png'), labels)
    return dict(
        phase='train',
        scale=4,
        gt_size=16,
        dataroot_gt=root,
        landmarks=str(tmp_path / 'lm.csv'),
        dataroot_parsing=str(tmp_path / 'maps'),
    )


def test_an_item(opt):
    item = FacePriorDataset(opt)[1]
    assert item['gt'].shape == (3, 16, 16) and item['lq'].shape == (3, 4, 4) and item['gt_path'].endswith('b.png')
    assert np.allclose(item['landmarks'], (FIVE + 1.5) / 32)  # whatever size the image is resized to
    assert item['parsing'].shape == (16, 16) and item['parsing'].dtype == torch.uint8
    assert set(item['parsing'].unique().tolist()) == {0, 4, 5, 9}
    plain = FacePriorDataset({key: value for key, value in opt.items() if key not in ('landmarks', 'dataroot_parsing')})
    assert not {'landmarks', 'parsing'} & plain[1].keys()


def test_what_is_mirrored_is_mirrored_together(opt):
    dataset, plain = SeededDataset(FacePriorDataset({**opt, 'use_hflip': True}), 1), FacePriorDataset(opt)
    turned = []
    for k in range(24):
        index = k % len(plain)
        item, before = dataset[index, k], plain[index]
        again = dataset[index, k]
        assert all(torch.equal(item[key], again[key]) for key in ('gt', 'lq', 'landmarks', 'parsing'))
        turned.append(not torch.equal(item['gt'], before['gt']))
        if turned[-1]:
            assert torch.equal(item['gt'], before['gt'].flip(-1)) and torch.equal(item['lq'], before['lq'].flip(-1))
            assert np.allclose(item['landmarks'], mirror(before['landmarks'].numpy()))
            assert item['landmarks'][0, 0] < item['landmarks'][1, 0]  # the left eye is the left one still
            assert (item['parsing'][3, 3], item['parsing'][3, 12]) == (4, 5)
        else:
            assert torch.equal(item['landmarks'], before['landmarks'])
    assert 4 < sum(turned) < 20
    alone = {key: value for key, value in opt.items() if key not in ('landmarks', 'dataroot_parsing')}
    pairs, many = SeededDataset(PairedFaceDataset({**alone, 'use_hflip': True}), 1), range(100)  # by the same draws
    assert all(torch.equal(pairs[k % 4, k]['gt'], dataset[k % 4, k]['gt']) for k in many)


def test_faces_without_landmarks_are_left_out(opt, tmp_path, files):
    faces = {name: FaceLandmarks(32, 32, float(files.make_image(n, 32).mean()), FIVE) for n, name in enumerate(NAMES)}
    faces['b'] = FaceLandmarks(32, 32, 0.0, None)
    write_landmarks(opt['landmarks'], faces, 5)
    dataset = FacePriorDataset(opt)
    assert [dataset[index]['gt_path'][-5] for index in range(len(dataset))] == ['a', 'c', 'd']


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda faces: faces.pop('c'), r'knows nothing of 1 of the 4 images in .*, such as c: make them with python'),
        (lambda faces: faces.update(a=faces['d']), r'is of other faces: .*a\.png is 32x32 with a mean of'),
        (
            lambda faces: faces.update(d=FaceLandmarks(64, 64, faces['d'].grey, FIVE)),
            r'is of other faces: .*d\.png is 32x32 with .* and there it is 64x64',
        ),
        (
            lambda faces: faces.update({name: FaceLandmarks(32, 32, 0.0, None) for name in NAMES}),
            'has none for any image',
        ),
    ],
)
def test_landmarks_of_other_faces_are_refused(opt, files, change, message):
    faces = {name: FaceLandmarks(32, 32, float(files.make_image(n, 32).mean()), FIVE) for n, name in enumerate(NAMES)}
    change(faces)
    write_landmarks(opt['landmarks'], faces, 5)
    with pytest.raises(UserError, match=message):
        FacePriorDataset(opt)


def test_194_points_cannot_be_mirrored(opt, files):
    points = np.tile(FIVE, (39, 1))[:194]
    faces = {n: FaceLandmarks(32, 32, float(files.make_image(i, 32).mean()), points) for i, n in enumerate(NAMES)}
    write_landmarks(opt['landmarks'], faces, 194)
    assert FacePriorDataset(opt)[0]['landmarks'].shape == (194, 2)
    with pytest.raises(UserError, match='use_hflip: which of 194'):
        FacePriorDataset({**opt, 'use_hflip': True})


def test_maps_that_do_not_fit_are_refused(opt, tmp_path):
    with pytest.raises(FileNotFoundError, match='dataroot_parsing: the folder .* does not exist'):
        FacePriorDataset({**opt, 'dataroot_parsing': str(tmp_path / 'nowhere')})
    with pytest.raises(UserError, match=r'dataroot_parsing: .* it is no parsing map: it holds the value'):
        FacePriorDataset({**opt, 'dataroot_parsing': opt['dataroot_gt']})
    (tmp_path / 'maps/d.png').unlink()
    assert len(FacePriorDataset(opt)) == 3
    (tmp_path / 'maps/a.png').unlink()
    with pytest.raises(
        UserError, match=r'dataroot_parsing: .* has maps of 2 of the 4 faces in .* and none of a: it is of'
    ):
        FacePriorDataset(opt)
