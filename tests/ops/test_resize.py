"""Bicubic resampling against BasicSR's imresize, Pillow, published weights and its own algebra."""

import numpy as np
import pytest
import torch
from basicsr.utils.matlab_functions import imresize
from PIL import Image

from selfsr_plugin.ops import bicubic_downsample, bicubic_matrix, bicubic_resize, resize, resize_array, to_uint8

CONVENTIONS = ('matlab', 'pil')
# Shrinking, enlarging, both at once, no whole factor, down to less than the kernel's reach, unchanged.
SIZES = [
    ((64, 64), (16, 16)),
    ((128, 96), (16, 12)),
    ((16, 24), (128, 192)),
    ((24, 40), (9, 15)),
    ((10, 14), (25, 35)),
    ((9, 12), (3, 4)),
    ((7, 7), (7, 7)),
    ((4, 6), (2, 3)),
]


def random_images(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize('size, out', SIZES)
def test_equals_basicsr_imresize(size, out):
    image = random_images(3, *size, dtype=torch.float32)
    expected = imresize(image, out[0] / size[0])
    assert expected.shape == (3, *out)
    torch.testing.assert_close(bicubic_resize(image, out), expected, rtol=0, atol=3e-6)


@pytest.mark.parametrize('size, out', SIZES + [((30, 17), (11, 50)), ((5, 3), (64, 2))])
def test_equals_pillow(size, out):
    image = random_images(*size, dtype=torch.float32)
    expected = np.array(Image.fromarray(image.numpy()).resize(out[::-1], Image.BICUBIC))
    got = bicubic_resize(image, out, 'pil')
    np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=3e-6)


def keys(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


@pytest.mark.parametrize('convention', CONVENTIONS)
@pytest.mark.parametrize('in_size, out_size', [(13, 10), (10, 13), (11, 4), (3, 8), (17, 16), (29, 9), (2, 1), (1, 3)])
def test_every_weight_is_the_kernels(in_size, out_size, convention):
    """Summed sample by sample, beyond the image as far as the kernel reaches."""
    stretch = max(in_size / out_size, 1)
    expected = torch.zeros(out_size, in_size, dtype=torch.float64)
    for row in range(out_size):
        centre = (row + 0.5) * in_size / out_size
        for tap in range(-3 * in_size - 9, 4 * in_size + 9):
            place = tap % (2 * in_size)
            if convention == 'matlab' or 0 <= tap < in_size:
                expected[row, min(place, 2 * in_size - 1 - place)] += keys((tap + 0.5 - centre) / stretch)
    expected /= expected.sum(1, keepdim=True)
    torch.testing.assert_close(bicubic_matrix(in_size, out_size, convention), expected, rtol=0, atol=1e-14)


def test_halving_has_matlabs_published_weights():
    row = bicubic_matrix(32, 16)[8]
    expected = torch.zeros(32, dtype=torch.float64)
    expected[13:21] = torch.tensor([-3, -9, 29, 111, 111, 29, -9, -3], dtype=torch.float64) / 256
    torch.testing.assert_close(row, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize('convention', CONVENTIONS)
@pytest.mark.parametrize('in_size, out_size', [(16, 16), (64, 16), (16, 128), (13, 5), (5, 13), (1, 4), (4, 1), (2, 3)])
def test_rows_sum_to_one_and_mirroring_commutes(in_size, out_size, convention):
    matrix = bicubic_matrix(in_size, out_size, convention)
    assert matrix.shape == (out_size, in_size) and matrix.dtype == torch.float64
    torch.testing.assert_close(matrix.sum(1), torch.ones(out_size, dtype=torch.float64), rtol=0, atol=1e-14)
    torch.testing.assert_close(matrix.flip(0, 1), matrix, rtol=0, atol=1e-14)


@pytest.mark.parametrize('convention', CONVENTIONS)
def test_same_size_is_the_identity(convention):
    torch.testing.assert_close(bicubic_matrix(9, 9, convention), torch.eye(9, dtype=torch.float64), rtol=0, atol=1e-15)


@pytest.mark.parametrize('convention', CONVENTIONS)
@pytest.mark.parametrize('out', [(4, 6), (64, 48), (5, 31)])
def test_keeps_constants_and_inner_ramps(out, convention):
    constant = torch.full((2, 16, 12), 0.37, dtype=torch.float64)
    torch.testing.assert_close(
        bicubic_resize(constant, out, convention), torch.full((2, *out), 0.37, dtype=torch.float64), rtol=0, atol=1e-14
    )
    # Keys' kernel reproduces a ramp wherever the kernel does not reach the border.
    if out[0] > 16:
        ramp = torch.arange(16, dtype=torch.float64)[:, None].expand(16, 12)
        centre = (torch.arange(out[0], dtype=torch.float64) + 0.5) * 16 / out[0] - 0.5
        inner = (centre > 2) & (centre < 13)
        torch.testing.assert_close(bicubic_resize(ramp, out, convention)[inner, 0], centre[inner], rtol=0, atol=1e-12)


def test_conventions_differ_at_the_borders_only():
    difference = (bicubic_matrix(64, 16) - bicubic_matrix(64, 16, 'pil')).abs().sum(1)
    assert difference[[0, 1, -2, -1]].min() > 1e-3
    assert difference[2:-2].max() < 1e-12


@pytest.mark.parametrize('convention', CONVENTIONS)
@pytest.mark.parametrize('out', [(3, 4), (11, 9)])
def test_gradient(out, convention):
    images = random_images(2, 1, 7, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: bicubic_resize(x, out, convention), (images,))


def test_backward_is_the_adjoint():
    x, y = random_images(2, 3, 16, 12).requires_grad_(), random_images(2, 3, 4, 3, seed=1)
    (pulled_back,) = torch.autograd.grad(bicubic_downsample(x, 4), x, y)
    expected = bicubic_matrix(16, 4).T @ y @ bicubic_matrix(12, 3)
    torch.testing.assert_close(pulled_back, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 0.0), (torch.float32, 2e-7), (torch.bfloat16, 0.02)])
def test_keeps_dtype_and_leading_dimensions(dtype, tolerance):
    images = random_images(2, 3, 4, 16, 12)
    whole = bicubic_resize(images.to(dtype), (4, 24))
    assert whole.shape == (2, 3, 4, 4, 24) and whole.dtype == dtype
    alone = bicubic_resize(images[1, 2, 3], (4, 24))
    torch.testing.assert_close(whole[1, 2, 3].double(), alone, rtol=0, atol=max(tolerance, 1e-14))


def test_is_exact_under_autocast():
    images = torch.rand(2, 3, 8, 8)
    with torch.autocast('cpu', torch.bfloat16):
        got = bicubic_resize(images, 16)
    assert got.dtype == torch.float32 and torch.equal(got, bicubic_resize(images, 16))


def test_one_number_means_a_square():
    images = random_images(1, 12, 20)
    assert torch.equal(bicubic_resize(images, 6), bicubic_resize(images, (6, 6)))


def test_downsample_by_a_factor():
    images = random_images(1, 12, 20)
    assert torch.equal(bicubic_downsample(images, 4), bicubic_resize(images, (3, 5)))
    assert torch.equal(bicubic_downsample(images, 4, 'pil'), bicubic_resize(images, (3, 5), 'pil'))


def test_shifting_by_whole_pixels_commutes_with_shrinking():
    # Away from the borders, moving the image by `scale` pixels moves the small image by one.
    images = random_images(1, 64, 64)
    small, moved = bicubic_downsample(images, 4), bicubic_downsample(images.roll((4, -8), (1, 2)), 4)
    torch.testing.assert_close(moved[:, 4:12, 4:10], small[:, 3:11, 6:12], rtol=0, atol=1e-14)


def test_use_without_gradients_does_not_spoil_the_cache_for_training():
    with torch.inference_mode():
        bicubic_resize(random_images(1, 18, 22), (6, 11))
    images = random_images(1, 18, 22).requires_grad_()
    bicubic_resize(images, (6, 11)).sum().backward()
    torch.testing.assert_close(images.grad.sum(), torch.tensor(66.0, dtype=torch.float64))


def test_memory_does_not_grow_with_the_number_of_sizes(monkeypatch):
    assert resize.KEPT_BYTES < 100e6  # in every worker
    monkeypatch.setattr(resize, 'KEPT_BYTES', 8 * 16 * 160)
    monkeypatch.setattr(resize, '_kept', {})
    images, made, make = random_images(1, 90, 60), [], resize.bicubic_matrix
    monkeypatch.setattr(resize, 'bicubic_matrix', lambda *sizes: made.append(sizes[0]) or make(*sizes))
    expected = bicubic_resize(images[:, :50, :40], 16)
    for height in range(50, 90):
        bicubic_resize(images[:, :height], 16)
    kept = resize._kept[images.device]
    assert 0 < sum(matrix.nbytes for matrix in kept.values()) <= 8 * 16 * 160
    assert (60, 16, 'matlab', torch.float64) in kept and made.count(60) == 1  # used every time
    assert (89, 16, 'matlab', torch.float64) in kept  # and the newest, not the oldest
    assert (50, 16, 'matlab', torch.float64) not in kept
    bicubic_resize(random_images(1, 500, 500), 16)  # one that is too large for it is not kept
    assert torch.equal(bicubic_resize(images[:, :50, :40], 16), expected)


def test_arrays_are_rounded_to_the_nearest_level_and_clipped():
    levels = to_uint8(np.array([-3.0, 0.4995, 0.5005, 1.4995, 254.6, 300.0]))
    assert levels.dtype == np.uint8 and levels.tolist() == [0, 0, 1, 1, 255, 255]


def test_arrays():
    image = np.random.default_rng(0).integers(0, 256, (11, 8, 3), dtype=np.uint8)
    expected = bicubic_resize(torch.from_numpy(image).permute(2, 0, 1).double(), 5).permute(1, 2, 0)
    np.testing.assert_array_equal(resize_array(image, 5), expected.numpy())
    assert to_uint8(np.array([-3, 0.4, 0.6, 254.6, 300])).tolist() == [0, 0, 1, 255, 255]


def test_bytes_are_rounded_half_to_even_and_clipped():
    found = resize.to_uint8(np.array([-3.0, 0.5, 1.5, 2.5, 99.4999, 254.6, 300.0]))
    assert found.dtype == np.uint8 and found.tolist() == [0, 0, 2, 2, 99, 255, 255]


@pytest.mark.parametrize(
    'call, message',
    [
        (lambda: bicubic_matrix(0, 4), 'at least 1, got 0 -> 4'),
        (lambda: bicubic_matrix(4, 0), 'at least 1, got 4 -> 0'),
        (lambda: bicubic_matrix(4, 2, 'lanczos'), "'lanczos': use 'matlab' or 'pil'"),
        (lambda: bicubic_downsample(torch.zeros(1, 16, 18), 4), '18x16 cannot be shrunk by 4'),
        (lambda: bicubic_downsample(torch.zeros(1, 18, 16), 4), '16x18 cannot be shrunk by 4'),
        (lambda: bicubic_downsample(torch.full((1, 16, 16), 200, dtype=torch.uint8), 4), 'torch.uint8 cannot be res'),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
