"""What the detector is shown of a photo, and which of the faces that its two looks find are taken."""

from types import SimpleNamespace

import numpy as np

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


def test_photos_are_shrunk_by_means():
    """A kernel of two pixels would see every other line of fine patterns only."""
    seen = []
    photo = np.zeros((400, 2560, 3), np.uint8)
    photo[:, 1::4] = photo[:, 2::4] = 255
    detector(lambda image: seen.append(image) or [])(photo, 0.5)
    assert [image.shape[1] for image in seen] == [1280, 640] and all(abs(image.mean() - 127.5) < 2 for image in seen)
    assert np.ptp(seen[1].astype(int)) < 10
