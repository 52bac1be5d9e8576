"""Equalized learning rate: weights N(0, 1), scaled at run time by gain / sqrt(fan_in)."""

import math

import pytest
import torch
from arch_asserts import rand
from torch.nn import functional as F

from selfsr_plugin.archs.layers import (
    EqualizedConv2d,
    EqualizedLinear,
    NormalizedConv2d,
    compare_constants,
    count_parameters,
    leaky_relu,
    lerp,
)


@pytest.mark.parametrize('layer', [EqualizedConv2d(32, 48), EqualizedLinear(100, 150)])
def test_weights_start_standard_normal_and_biases_at_zero(layer):
    assert abs(layer.weight.mean()) < 0.05 and abs(layer.weight.std() - 1) < 0.05
    assert not layer.bias.any()


def test_bias_can_start_elsewhere():
    assert (EqualizedConv2d(2, 3, bias_init=1.0).bias == 1).all()


@pytest.mark.parametrize('kernel_size', [1, 3, 5])
def test_conv_is_scaled_by_its_fan_in(kernel_size):
    layer = EqualizedConv2d(6, 4, kernel_size, gain=1.5, bias_init=0.5)
    x = rand(2, 6, 7, 8)
    expected = F.conv2d(x, layer.weight * 1.5 / math.sqrt(6 * kernel_size**2), layer.bias, padding=kernel_size // 2)
    torch.testing.assert_close(layer(x), expected)
    assert layer(x).shape == (2, 4, 7, 8)


def test_linear_is_scaled_by_its_fan_in():
    layer = EqualizedLinear(50, 4, gain=3.0)
    x = rand(2, 50)
    torch.testing.assert_close(layer(x), x @ (layer.weight * 3 / math.sqrt(50)).T)


@pytest.mark.parametrize('gain, expected', [(1.0, 1.0), (math.sqrt(2), 2.0)])
def test_variance_of_white_noise_is_the_squared_gain(gain, expected):
    torch.manual_seed(0)
    conv = EqualizedConv2d(64, 64, gain=gain)
    inner = conv(torch.randn(8, 64, 16, 16))[:, :, 1:-1, 1:-1]  # the zero padding takes some from the rim
    linear = EqualizedLinear(512, 256, gain=gain)(torch.randn(64, 512))
    for output in (inner, linear):
        assert output.var().item() == pytest.approx(expected, rel=0.1)


def test_default_gain_keeps_power_through_leaky_relu():
    torch.manual_seed(0)
    x = torch.randn(64, 512)
    for _ in range(8):
        x = leaky_relu(EqualizedLinear(512, 512)(x))
    # sqrt(2) is the gain of a ReLU; slope 0.2 adds 4 % in each layer.
    assert x.square().mean().item() == pytest.approx(1.04**8, rel=0.25)


def test_adams_step_has_the_same_relative_size_in_wide_and_narrow_layers():
    changes = []
    for width in (16, 256):
        torch.manual_seed(0)
        layer = EqualizedLinear(width, 8)
        x, before = torch.randn(64, width), layer(torch.zeros(1, width))
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
        old = layer.weight.detach().clone()
        (layer(x) - before).square().sum().backward()
        optimizer.step()
        changes.append(((layer.weight - old).norm() / old.norm()).item())
    assert changes[0] == pytest.approx(changes[1], rel=0.15)


def test_leaky_relu_lerp_and_count():
    assert torch.equal(leaky_relu(torch.tensor([-5.0, 0.0, 3.0])), torch.tensor([-1.0, 0.0, 3.0]))
    old, new = torch.tensor([2.0, 4.0]), torch.tensor([6.0, 0.0])
    assert torch.equal(lerp(old, new, 0), old)
    assert torch.equal(lerp(old, new, 1), new)
    assert torch.equal(lerp(old, new, 0.25), torch.tensor([3.0, 3.0]))
    layer = EqualizedConv2d(3, 5)
    layer.weight.requires_grad_(False)
    assert count_parameters(layer) == 5 * 3 * 9 + 5


def test_leaky_relu_is_written_over_its_input():
    """What a layer gives is not kept beside its activation."""
    x = torch.tensor([-5.0, 3.0])
    assert leaky_relu(x).data_ptr() == x.data_ptr()


@pytest.mark.parametrize('saved, message', [(0.3, ''), (0.30001, 'trained with max_flow: 0.30001, not 0.3')])
def test_constants_of_a_file_of_before_must_be_those_of_the_network(saved, message):
    """As exactly as a file in single precision holds them."""
    weights, errors = {'deg.max_flow': torch.tensor(saved), 'deg.weight': torch.ones(1)}, []
    compare_constants(weights, 'deg.', errors, max_flow=0.3, center_flow=False)
    assert errors == [message] * bool(message) and set(weights) == {'deg.weight'}


def test_no_bias_before_normalisation():
    """Its true gradient is zero, and of the rounding noise that is computed Adam makes full steps."""
    torch.manual_seed(0)
    conv = NormalizedConv2d(3, 4)
    torch.manual_seed(0)
    plain = EqualizedConv2d(3, 4)
    assert [name for name, _ in conv.named_parameters()] == ['weight'] and torch.equal(conv.weight, plain.weight)
    plain.bias.data += torch.randn(4)
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(F.instance_norm(plain(x)), F.instance_norm(conv(x)), rtol=1e-4, atol=1e-5)


def test_bias_in_a_file_of_before_is_let_go():
    conv, plain = NormalizedConv2d(3, 4), EqualizedConv2d(3, 4)
    weights = plain.state_dict()
    conv.load_state_dict(weights)
    assert torch.equal(conv.weight, plain.weight) and set(weights) == {'weight', 'bias'}
    torch.nn.Sequential(conv).load_state_dict({'0.weight': plain.weight + 1, '0.bias': plain.bias})
    assert torch.equal(conv.weight, plain.weight + 1)
