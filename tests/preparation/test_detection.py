"""What the detector is shown of a photo, and which of the faces that its two looks find are taken."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from selfsr_plugin.preparation.detection import FaceDetector


def detector(find):
    """Without weights; ``find`` gives left, top, right and bottom of the faces in an image, in its pixels."""
    one = object.__new__(FaceDetector)
    one.max_side, one.enlarge = 1280, 1.0
    rows = lambda image: [[*box, 0.9, *np.linspace(0, 1, 10)] for box in find(image)]  # noqa: E731
    one.net = SimpleNamespace(detect_faces=lambda image, conf_threshold: np.array(rows(image)).reshape(-1, 15))
    return one


def boxes(faces):
    return sorted(tuple(map(round, face.box)) for face in faces)


def test_large_faces_are_taken_from_the_look_at_few_pixels():
    """Those of more than 0.3 of the longer side; at 1280 pixels parts of them are found, in a wrong frame."""

    def find(image):
        if image.shape[1] == 640:
            return [(100, 100, 260, 300), (500, 50, 590, 170)]  # of 400 and 240 pixels in the photo
        return [(230, 260, 400, 480), (1000, 100, 1180, 340), (900, 600, 940, 660)]  # the first a part of the large one

    photo = np.zeros((960, 1280, 3), np.uint8)
    assert boxes(detector(find)(photo, 0.5)) == [(200, 200, 520, 600), (900, 600, 940, 660), (1000, 100, 1180, 340)]


@pytest.mark.parametrize('height, width', [(1, 5000), (3000, 2)])
def test_in_a_stripe_there_is_no_face(height, width):
    """Shrunk for the detector, no pixel of its breadth would be left."""
    assert detector(lambda image: pytest.fail('looked'))(np.zeros((height, width, 3), np.uint8), 0.5) == []


def test_photos_are_shrunk_by_means():
    """A kernel of two pixels would see every other line of fine patterns only."""
    seen = []
    photo = np.zeros((400, 2560, 3), np.uint8)
    photo[:, 1::4] = photo[:, 2::4] = 255
    detector(lambda image: seen.append(image) or [])(photo, 0.5)
    assert [image.shape[1] for image in seen] == [1280, 640] and all(abs(image.mean() - 127.5) < 2 for image in seen)
    assert np.ptp(seen[1].astype(int)) < 10


def test_boxes_and_landmarks_are_in_pixels_of_the_photo():
    photo = np.zeros((100, 150, 3), np.uint8)
    photo[:] = np.arange(0, 600, 4)[:, None].clip(0, 255)
    for enlarge in (1, 2):
        seen, one = [], detector(lambda image: [])
        row = [10, 20, 50, 80, 0.7, *range(10)]
        one.net = SimpleNamespace(
            detect_faces=lambda image, conf_threshold, seen=seen: (
                seen.append((image, conf_threshold)) or np.array([row])
            )
        )
        one.enlarge = float(enlarge)
        (face,) = one(photo, 0.6)
        assert face.box == tuple(edge / enlarge for edge in row[:4]) and face.score == 0.7
        np.testing.assert_array_equal(face.landmarks, np.arange(10).reshape(5, 2) / enlarge)
        ((image, threshold),) = seen
        assert image.shape == (100 * enlarge, 150 * enlarge, 3) and threshold == 0.6
        assert (np.diff(image[50, 8:60, 0].astype(int)) > 0).all()  # a slope stays one, without steps


def test_a_detector_is_made_in_eval_mode_for_photos_of_1280_pixels(tmp_path, monkeypatch):
    pytest.importorskip('facexlib')

    class Net(torch.nn.Linear):
        def __init__(self, network_name, device):
            super().__init__(2, 1)

    monkeypatch.setattr('facexlib.detection.retinaface.RetinaFace', Net)
    weights = {f'module.{key}': value for key, value in Net('', '').state_dict().items()}
    torch.save(weights, tmp_path / 'w.pth')
    one = FaceDetector(tmp_path / 'w.pth')
    assert not one.net.training and torch.equal(one.net.weight, weights['module.weight'])
    assert (one.max_side, one.enlarge) == (1280, 1.0)
