"""What each metric feeds its network, against OpenCV, Pillow, torchvision and the package lpips.

Images have edges, slopes, noise and colours that differ, and sizes that have to be enlarged in one direction and shrunk
in the other.
"""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from selfsr_plugin.metrics import calculate_frechet_alex, calculate_lpips
from selfsr_plugin.metrics.blur_metric import calculate_blur
from selfsr_plugin.metrics.fid_metric import FIDInception
from selfsr_plugin.metrics.frechet import extract_features
from selfsr_plugin.metrics.frechet_alex_metric import FRECHET_ALEX, load_alex_features
from selfsr_plugin.metrics.identity_metric import prepare_face

SIZES = [(64, 64), (61, 400), (420, 96)]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(height, width, 3), uint8, BGR."""
    rng = np.random.RandomState(seed)
    coarse = rng.randint(0, 256, (-(-height // 7), -(-width // 5), 3)).repeat(7, 0).repeat(5, 1)[:height, :width]
    slope = np.linspace(0, 1, height)[:, None, None] * np.linspace(255, 60, width)[:, None] * [1.0, 0.5, 0.2]
    return (0.5 * coarse + 0.2 * slope + 0.3 * rng.randint(0, 256, (height, width, 3))).astype(np.uint8)


def rgb(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[..., ::-1], np.float32)


def first_input(net: torch.nn.Module, layer: torch.nn.Module, images: torch.Tensor) -> np.ndarray:
    """What ``layer`` is given when ``net`` runs, (H, W, C)."""

    class Seen(Exception):
        pass

    def look(_, inputs):
        raise Seen(inputs[0])

    hook = layer.register_forward_pre_hook(look)
    try:
        net(images)
    except Seen as seen:
        return seen.args[0][0].permute(1, 2, 0).numpy()
    finally:
        hook.remove()


def as_batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rgb(image)).permute(2, 0, 1)[None] / 255


@pytest.fixture(scope='module')
def inception() -> FIDInception:
    return FIDInception().eval()


@pytest.mark.parametrize('height, width', SIZES)
def test_fid_resizes_as_pytorch_fid(inception, height, width):
    """Bilinear to 299x299 between centres of pixels, no antialiasing; OpenCV's is the same. Then [-1, 1]."""
    image = picture(height, width)
    found = first_input(inception, inception.net.Conv2d_1a_3x3, as_batch(image))
    expected = cv2.resize(rgb(image), (299, 299), interpolation=cv2.INTER_LINEAR) / 127.5 - 1
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize('height, width', SIZES)
def test_alexnet_is_given_what_torchvision_gives_it(alexnet_file, height, width):
    from torchvision.models import AlexNet_Weights

    published = AlexNet_Weights.IMAGENET1K_V1.transforms()
    image, net = picture(height, width), load_alex_features(alexnet_file)
    found = first_input(net, net.features[0], as_batch(image))
    side = published.crop_size[0]
    resized = cv2.resize(rgb(image) / 255, (side, side), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(found, (resized - np.array(published.mean)) / np.array(published.std), rtol=0, atol=2e-4)


def test_alexnet_features_are_the_means_of_its_last_maps(alexnet_file):
    from torchvision.models import alexnet

    features = alexnet(weights=None).features
    features.load_state_dict(
        {key.removeprefix('features.'): value for key, value in torch.load(alexnet_file, weights_only=True).items()}
    )
    last = [number for number, layer in enumerate(features) if isinstance(layer, torch.nn.ReLU)][-1]
    image = picture(224, 224)
    given = (rgb(image) / 255 - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    with torch.no_grad():
        maps = features[: last + 1](torch.from_numpy(given).permute(2, 0, 1)[None])
    expected = maps.numpy().mean(axis=(2, 3))
    found = extract_features(FRECHET_ALEX, [image], alexnet_file)
    assert found.shape == (1, 256)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * expected.max())


def test_frechet_alex_of_a_set(alexnet_file):
    """The closed form on the features above, covariances divided by N - 1."""
    pictures = [[picture(50, 40, seed) for seed in seeds] for seeds in (range(4), range(10, 14))]
    a, b = (extract_features(FRECHET_ALEX, images, alexnet_file).astype(np.float64) for images in pictures)
    roots = [(rows - rows.mean(axis=0)) / np.sqrt(3) for rows in (a, b)]
    expected = (
        ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
        + sum((root**2).sum() for root in roots)
        - 2 * np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    )
    total = 0
    for image, truth in zip(*pictures):
        total += calculate_frechet_alex(image, truth, weights=alexnet_file)
    assert total / 4 == pytest.approx(expected, rel=1e-3) and expected > 1e-6


@pytest.mark.parametrize('height, width, border', [(64, 64, 0), (75, 90, 3)])
def test_lpips_is_the_package_lpips(alexnet_file, height, width, border):
    lpips = pytest.importorskip('lpips')
    theirs = lpips.LPIPS(net='alex', pnet_rand=True, verbose=False).eval()
    weights = torch.load(alexnet_file, weights_only=True)
    convolutions = [layer for layer in theirs.net.modules() if isinstance(layer, torch.nn.Conv2d)]
    for layer, name in zip(convolutions, sorted({int(key.split('.')[1]) for key in weights})):
        layer.load_state_dict(dict(weight=weights[f'features.{name}.weight'], bias=weights[f'features.{name}.bias']))
    a, b = picture(height, width, 1), picture(height, width, 2)
    kept = slice(border, -border or None)
    with torch.no_grad():
        expected = theirs(*(lpips.im2tensor(rgb(image[kept, kept])) for image in (a, b))).item()
    assert expected > 1e-4
    assert calculate_lpips(a, b, crop_border=border, weights=alexnet_file) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('height, width', [(64, 64), (61, 300), (112, 112)])
def test_arcface_is_given_faces_as_pillow_resizes_them(height, width):
    """Bilinear to 112x112, with antialiasing where it shrinks; RGB in [-1, 1]: (x - 127.5) / 127.5."""
    image = picture(height, width)
    channels = [
        Image.fromarray(np.ascontiguousarray(channel)).resize((112, 112), Image.Resampling.BILINEAR)
        for channel in rgb(image).transpose(2, 0, 1)
    ]
    expected = (np.stack([np.asarray(channel) for channel in channels]) - 127.5) / 127.5
    np.testing.assert_allclose(prepare_face(image).numpy(), expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize('channel', [0, 2])
def test_blur_is_that_of_the_luminance(channel):
    """Pillow's, in which red weighs 2.6 times as much as blue; edges in one of them, a slope in the other."""
    blur_effect = pytest.importorskip('skimage.measure').blur_effect
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., channel] = picture(64, 64)[..., 0]
    image[..., 2 - channel] = np.linspace(0, 255, 64)
    luminance = np.asarray(Image.fromarray(rgb(image).astype(np.uint8)).convert('L'))
    assert calculate_blur(image) == pytest.approx(blur_effect(luminance, h_size=11), rel=5e-3)
    assert calculate_blur(image) != pytest.approx(calculate_blur(image[..., ::-1].copy()), rel=2e-2)
