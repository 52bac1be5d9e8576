"""The file of landmarks, their mirroring, their heatmaps, and the polygons made of them."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from method_kit import drawn_landmarks

from selfsr_plugin.baselines.landmarks import (
    FaceLandmarks,
    heatmaps,
    mirror,
    read_landmarks,
    refuse_other_faces,
    write_landmarks,
)
from selfsr_plugin.baselines.parsing import PAIRS, from_landmarks, mirror_labels, one_hot
from selfsr_plugin.errors import UserError


def face(points=None, side=129) -> FaceLandmarks:
    return FaceLandmarks(side, side, 100.0, drawn_landmarks(129) if points is None else points)


def test_the_file_gives_back_what_was_written(tmp_path):
    faces = {'a': face(drawn_landmarks(129) + 0.37), 'b, "c"': FaceLandmarks(40, 50, 1.25, None)}
    write_landmarks(tmp_path / 'x.csv', faces, 68)
    found = read_landmarks(tmp_path / 'x.csv')
    assert list(found) == list(faces) and found['b, "c"'] == faces['b, "c"']
    assert np.allclose(found['a'].points, faces['a'].points, atol=0.005) and found['a'].grey == 100


def test_shares_are_of_each_side():
    wide = FaceLandmarks(40, 20, 1.0, np.array([(-0.5, -0.5), (9.5, 9.5), (39.5, 19.5)], np.float32))
    assert np.allclose(wide.shares, [(0, 0), (0.25, 0.5), (1, 1)])


@pytest.mark.parametrize(
    'width, height, grey, is_other',
    [(8, 6, 101.9, False), (8, 6, 98.1, False), (8, 6, 102.5, True), (9, 6, 100, True), (8, 5, 100, True)],
)
def test_landmarks_of_an_image_of_another_size_or_mean_are_of_other_faces(width, height, grey, is_other):
    source = SimpleNamespace(names=['a', 'b'], path=lambda index: f'{index}.png')
    faces = {'b': FaceLandmarks(width, height, grey, None)}
    with pytest.raises(UserError, match='1.png is 8x6 with a mean of 100.0') if is_other else nullcontext():
        refuse_other_faces(faces, source, [1], lambda index: np.full((6, 8, 3), 100, np.uint8), 'x.csv')


GOOD = 'name,width,height,grey,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\n'


@pytest.mark.parametrize(
    'text, message',
    [
        (None, r'x\.csv cannot be read'),
        ('', 'is no file of landmarks: its first line must be name,width,height,grey'),
        (GOOD.replace(',x5,y5', ''), 'with 5, 68 or 194 points'),
        (GOOD, 'holds no faces'),
        (GOOD + 'a,64,64,1,1,2\n', r'line 2 of .*: it has 6 values and the first line 14'),
        (GOOD + 'a,64,64,1' + ',9' * 10 + '\na,64,64,1' + ',9' * 10 + '\n', 'line 3 of .*: a stands there twice'),
        (GOOD + 'a,64,64,1,?' + ',9' * 9 + '\n', 'a value is no number'),
        (GOOD + 'a,64,0,1' + ',9' * 10 + '\n', 'a value is not possible'),
        (GOOD + 'a,64,64,nan' + ',9' * 10 + '\n', 'a value is not possible'),
        (GOOD + 'a,64,64,1' + ',70' * 10 + '\n', 'the middle of the landmarks of a lies outside its 64x64 image'),
    ],
)
def test_a_broken_file_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / 'x.csv').write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_landmarks(tmp_path / 'x.csv')
    assert 'selfsr_plugin.make_landmarks' in str(caught.value)


def test_a_symmetric_face_is_its_own_mirror_image():
    shares = face().shares
    assert np.allclose(mirror(shares), shares, atol=1e-6)
    five = np.array([(0.2, 0.3), (0.8, 0.3), (0.5, 0.6), (0.3, 0.8), (0.7, 0.8)], np.float32)
    assert np.allclose(mirror(five), five)
    assert np.allclose(mirror(mirror(shares + 0.01)), shares + 0.01, atol=1e-6)
    with pytest.raises(UserError, match='use_hflip: which of 194 landmarks'):
        mirror(np.zeros((194, 2), np.float32))


def test_heatmaps_peak_where_the_landmarks_are():
    # the middle of pixel (x 5, y 2) of 16, whatever the size of the image was
    shares = torch.tensor([[[5.5 / 16, 2.5 / 16], [0.5, 0.5]]])
    maps = heatmaps(shares, 16, 1.5)
    assert maps.shape == (1, 2, 16, 16) and maps[0, 0, 2, 5] == 1 and (maps <= 1).all()
    assert torch.isclose(maps[0, 0, 2, 8], torch.tensor(np.exp(-9 / 4.5), dtype=torch.float32))
    assert torch.allclose(maps[0, 1], maps[0, 1].flip(-1)) and maps[0, 1].argmax() in (
        7 * 16 + 7,
        7 * 16 + 8,
        8 * 16 + 7,
    )
    large = heatmaps(shares, 32, 3.0)
    assert torch.allclose(torch.nn.functional.avg_pool2d(large, 2), maps, atol=0.05)


def test_polygons_of_a_symmetric_face():
    labels = from_landmarks(face())
    assert labels.shape == (129, 129) and set(np.unique(labels)) == {0, 1, 2, 3, 4, 5, 8, 9, 10, 11}  # no ears
    assert [labels[50, 35], labels[50, 93], labels[80, 64], labels[101, 64]] == [4, 5, 8, 9]  # eyes, nose, mouth
    assert labels[97, 64] == 10 and labels[107, 64] == 11 and labels[90, 36] == 1 and labels[10, 64] == 0
    brow = (labels == 2).sum(0).max()  # 0.09 of the distance between the outer corners of the eyes
    assert abs(brow - 0.09 * np.linalg.norm(face().points[45] - face().points[36])) <= 2
    for left, right in PAIRS[:2]:
        places = [np.argwhere(labels == label)[:, 1].mean() for label in (left, right)]
        assert places[0] < 64 < places[1] and abs(places[0] + places[1] - 128) < 2


def test_mirrored_labels():
    labels = torch.from_numpy(from_landmarks(face()))
    mirrored = mirror_labels(labels)
    assert (mirrored != labels).float().mean() < 0.02  # but for the pixels at the edges of polygons
    assert torch.equal(mirror_labels(mirrored), labels)
    assert mirrored[50, 35] == 4  # the left eye is in the left half still
    parts = torch.arange(12, dtype=torch.uint8)[None]
    assert mirror_labels(parts).tolist() == [[11, 10, 9, 8, 6, 7, 4, 5, 2, 3, 1, 0]]


def test_one_hot_gives_shares():
    labels = torch.zeros(1, 4, 4, dtype=torch.uint8)
    labels[0, :2, :2] = 3
    labels[0, 2, 2] = 11
    maps = one_hot(labels, 2)
    assert maps.shape == (1, 11, 2, 2) and maps[0, 2, 0, 0] == 1 and maps[0, 10, 1, 1] == 0.25 and maps.sum() == 1.25
