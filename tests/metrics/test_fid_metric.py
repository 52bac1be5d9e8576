"""The FID network against torch-fidelity's, with random weights; the published ones are not at hand."""

import numpy as np
import pytest
import torch

from selfsr_plugin.metrics import calculate_fid
from selfsr_plugin.metrics.fid_metric import FID, load_inception
from selfsr_plugin.metrics.frechet import extract_features


def test_features_are_torch_fidelitys(inception_file):
    """On 299x299 pixels, where nothing is resized; torch-fidelity takes (x - 128) / 128, so ours gets x / 256."""
    fidelity = pytest.importorskip('torch_fidelity.feature_extractor_inceptionv3')
    theirs = fidelity.FeatureExtractorInceptionV3('inception', ['2048'], feature_extractor_weights_path=inception_file)
    images = torch.randint(0, 256, (2, 3, 299, 299), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.no_grad():
        (expected,) = theirs(images)
        found = load_inception(inception_file)(images.float() / 256)
    assert found.shape == (2, 2048) and expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


def test_images_come_in_as_pytorch_fid_feeds_them(inception_file):
    """BGR uint8 to RGB in [-1, 1] at 299x299, without antialiasing."""
    seen = []
    net = load_inception(inception_file)
    net.net.Conv2d_1a_3x3.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    image = np.zeros((64, 48, 3), np.uint8)
    image[..., 0], image[..., 2] = 51, 255  # blue a fifth, red full
    rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
    net(rgb)
    assert seen[0].shape == (1, 3, 299, 299)
    for channel, value in enumerate((1.0, -1.0, -0.6)):
        torch.testing.assert_close(seen[0][:, channel], torch.full((1, 299, 299), value))
    features = extract_features(FID, [image], inception_file)
    with torch.no_grad():
        np.testing.assert_allclose(features, net(rgb).numpy(), rtol=1e-4, atol=1e-5)


def test_fid_of_a_set(inception_file, faces):
    total = 0
    for image, truth in zip(faces.blurred[:3], faces.hr[:3]):
        total += calculate_fid(image, truth, weights=inception_file)
    a, b = (
        extract_features(FID, images, inception_file).astype(np.float64) for images in (faces.blurred[:3], faces.hr[:3])
    )
    roots = [(rows - rows.mean(axis=0)) / np.sqrt(2) for rows in (a, b)]  # C = root^T root, divided by N - 1
    trace = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    expected = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + sum((root**2).sum() for root in roots) - 2 * trace
    value = total / 3
    assert value > 0 and value == pytest.approx(expected, rel=1e-3)


def test_missing_weights_are_named_with_their_source(tmp_path, faces):
    with pytest.raises(
        FileNotFoundError,
        match='there is no file .*none.pth: download https://github.com/mseitzer/'
        r'pytorch-fid/.*/pt_inception-2015-12-05-6726825d.pth .* put it there, or give its path as '
        "'weights'",
    ):
        calculate_fid(faces.hr[0], faces.hr[1], weights=str(tmp_path / 'none.pth'))


def test_the_usual_cache_is_torch_hubs(tmp_path, monkeypatch, faces):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f'{tmp_path}/checkpoints/pt_inception-2015-12-05-6726825d.pth'):
        calculate_fid(faces.hr[0], faces.hr[1])


def test_weights_of_another_network_are_refused(tmp_path, alexnet_file, faces):
    (tmp_path / 'text.pth').write_text('no checkpoint')
    torch.save([1, 2], tmp_path / 'list.pth')
    for path in (alexnet_file, str(tmp_path / 'text.pth'), str(tmp_path / 'list.pth')):
        with pytest.raises(ValueError, match=f'{path} does not hold the FID Inception network'):
            calculate_fid(faces.hr[0], faces.hr[1], weights=path)
