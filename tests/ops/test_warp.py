"""Flow warping (Eq. 1) and the total variation of a flow (Eq. 4)."""

import pytest
import torch
from basicsr.archs.arch_util import flow_warp as basicsr_flow_warp

from selfsr_plugin.losses import FlowTVLoss
from selfsr_plugin.ops import flow_total_variation, flow_warp


def random_tensor(*shape: int, seed: int = 0, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    values = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return low + (high - low) * values


def constant_flow(n: int, right: float, down: float, height: int, width: int) -> torch.Tensor:
    return torch.tensor([right, down], dtype=torch.float64).reshape(1, 2, 1, 1).expand(n, 2, height, width)


@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 5e-14), (torch.float32, 2e-5)])
@pytest.mark.parametrize('height, width', [(16, 16), (5, 9), (1, 7), (1, 1), (128, 3)])
def test_zero_flow_is_the_identity(height, width, dtype, tolerance):
    images = random_tensor(2, 3, height, width).to(dtype)
    warped = flow_warp(images, torch.zeros(2, 2, height, width, dtype=dtype))
    assert warped.dtype == dtype
    torch.testing.assert_close(warped, images, rtol=0, atol=tolerance)


@pytest.mark.parametrize('right, down', [(1, 0), (0, 1), (-2, 0), (0, -3), (2, -1), (40, -40)])
def test_whole_flow_is_a_shift_with_repeated_border(right, down):
    images = random_tensor(2, 3, 6, 9)
    rows = (torch.arange(6) + down).clamp(0, 5)
    columns = (torch.arange(9) + right).clamp(0, 8)
    expected = images[:, :, rows][:, :, :, columns]
    torch.testing.assert_close(flow_warp(images, constant_flow(2, right, down, 6, 9)), expected, rtol=0, atol=1e-13)


def test_ramp_is_sampled_exactly_between_pixels():
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (8, 10)), indexing='ij')
    images = (3 * rows - 2 * columns)[None, None]
    flow = random_tensor(1, 2, 8, 10, low=-2.5, high=2.5)
    y, x = (rows + flow[0, 1]).clamp(0, 7), (columns + flow[0, 0]).clamp(0, 9)
    torch.testing.assert_close(flow_warp(images, flow)[0, 0], 3 * y - 2 * x, rtol=0, atol=1e-12)


def test_every_sample_has_its_own_flow():
    images, flow = random_tensor(3, 2, 5, 7), random_tensor(3, 2, 5, 7, seed=1, low=-2, high=2)
    whole = flow_warp(images, flow)
    for i in range(3):
        torch.testing.assert_close(whole[i : i + 1], flow_warp(images[i : i + 1], flow[i : i + 1]), rtol=0, atol=1e-14)


def test_equals_basicsr_with_border_padding():
    images, flow = random_tensor(2, 3, 16, 12).float(), random_tensor(2, 2, 16, 12, seed=1, low=-4, high=4).float()
    expected = basicsr_flow_warp(images, flow.permute(0, 2, 3, 1), padding_mode='border')
    torch.testing.assert_close(flow_warp(images, flow), expected, rtol=0, atol=5e-6)


def test_gradient():
    # Kinks lie at whole source positions and at the border: stay 0.1 px away from both.
    flow = random_tensor(2, 2, 4, 5, seed=1, low=0.1, high=0.9)
    flow[:, 0, :, -1] -= 1
    flow[:, 1, -1] -= 1
    images = random_tensor(2, 3, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(flow_warp, (images, flow.requires_grad_()))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_low_precision_flow_samples_where_it_points(dtype):
    # Mixed precision hands over a flow in 16 bits; positions must not be rounded to its few digits.
    images = random_tensor(1, 3, 16, 128).float()
    flow = torch.full((1, 2, 16, 128), 0.5, dtype=dtype)
    expected = flow_warp(images, flow.float())
    torch.testing.assert_close(flow_warp(images, flow), expected, rtol=0, atol=1e-4)
    both = flow_warp(images.to(dtype), flow)
    assert both.dtype == dtype
    torch.testing.assert_close(both.float(), expected, rtol=0, atol=0.01)


@pytest.mark.parametrize('shape', [(2, 2, 8, 7), (1, 2, 8, 8), (2, 3, 8, 8), (2, 8, 8, 2)])
def test_refuses_a_flow_of_another_shape(shape):
    with pytest.raises(ValueError, match=r'must be \(2, 2, 8, 8\)'):
        flow_warp(torch.zeros(2, 3, 8, 8), torch.zeros(shape))


# ----- total variation -----


def test_constant_flow_has_no_variation():
    assert flow_total_variation(constant_flow(2, 1.7, -0.3, 6, 5)) == 0


def test_variation_of_ramps():
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (5, 8)), indexing='ij')
    flow = torch.stack((2 * columns - 3 * rows, 0.5 * columns + rows))[None]
    # mean of |2| and |0.5| along rows, of |3| and |1| along columns
    torch.testing.assert_close(flow_total_variation(flow), torch.tensor(1.25 + 2.0, dtype=torch.float64))


def test_variation_of_one_moved_pixel():
    flow = torch.zeros(2, 2, 6, 9, dtype=torch.float64)
    flow[1, 0, 3, 4] = -1.5
    expected = 2 * 1.5 / (2 * 2 * 6 * 8) + 2 * 1.5 / (2 * 2 * 5 * 9)
    torch.testing.assert_close(flow_total_variation(flow), torch.tensor(expected, dtype=torch.float64))


def test_variation_is_homogeneous_and_ignores_offsets_and_directions():
    flow = random_tensor(2, 2, 6, 9, low=-2, high=2)
    value = flow_total_variation(flow)
    torch.testing.assert_close(flow_total_variation(-3 * flow + 5), 3 * value)
    torch.testing.assert_close(flow_total_variation(flow.transpose(2, 3)), value)
    torch.testing.assert_close(flow_total_variation(flow.flip(3)), value)


def test_gradient_of_the_variation():
    assert torch.autograd.gradcheck(flow_total_variation, (random_tensor(1, 2, 4, 5).requires_grad_(),))


def test_loss_weighs_the_variation():
    flow = random_tensor(2, 2, 6, 9)
    torch.testing.assert_close(FlowTVLoss(0.25)(flow), 0.25 * flow_total_variation(flow))
