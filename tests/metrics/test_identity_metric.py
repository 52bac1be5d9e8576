"""Identity with ArcFace of facexlib's architecture and random weights; the published ones are not at hand."""

import cv2
import facexlib
import numpy as np
import pytest
import torch
from facexlib.recognition.arcface_arch import Backbone

from selfsr_plugin.metrics import calculate_identity
from selfsr_plugin.metrics.identity_metric import prepare_face


def test_equal_faces_are_at_one_and_order_does_not_matter(faces, arcface_file):
    a, b = faces.hr[:2]
    assert calculate_identity(a, a, weights=arcface_file) == pytest.approx(1, abs=1e-6)
    found = calculate_identity(a, b, weights=arcface_file)
    assert -1 <= found < 0.999999
    assert found == pytest.approx(calculate_identity(b, a, weights=arcface_file), abs=1e-6)


def test_it_is_the_cosine_of_facexlibs_embeddings(faces, arcface_file):
    net = Backbone(50, 0.6, 'ir_se')
    net.load_state_dict(torch.load(arcface_file, weights_only=True))
    net.eval()
    large = [cv2.resize(image, (112, 112), interpolation=cv2.INTER_CUBIC) for image in faces.hr[:2]]
    inputs = [torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1).float() / 127.5 - 1 for image in large]
    with torch.no_grad():
        a, b = net(torch.stack(inputs)).numpy()
    expected = np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
    assert calculate_identity(*large, weights=arcface_file) == pytest.approx(expected, abs=1e-5)


def test_faces_are_rgb_in_minus_one_to_one_at_112():
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 0], image[..., 2] = 51, 255
    face = prepare_face(image)
    assert face.shape == (3, 112, 112)
    for channel, value in enumerate((1.0, -1.0, -0.6)):
        torch.testing.assert_close(face[channel], torch.full((112, 112), value))


def test_bad_input(faces, arcface_file, alexnet_file, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match='images of one size'):
        calculate_identity(faces.hr[0], faces.hr[0][:32], weights=arcface_file)
    with pytest.raises(ValueError, match="does not hold facexlib's ArcFace"):
        calculate_identity(faces.hr[0], faces.hr[1], weights=alexnet_file)
    monkeypatch.setattr(facexlib, '__file__', str(tmp_path / 'facexlib/__init__.py'))
    with pytest.raises(FileNotFoundError, match='facexlib/weights/recognition_arcface_ir_se50.pth: download https://'):
        calculate_identity(faces.hr[0], faces.hr[1])
