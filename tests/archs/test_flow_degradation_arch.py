"""FlowDegradationNet (section III-A)."""

import pytest
import torch
from arch_asserts import (
    assert_built_by_basicsr,
    assert_close_in_mixed_precision,
    assert_repr_is_honest,
    assert_same_on_gpu,
    count_on_meta,
    make,
    needs_gpu,
    parameters_with_gradient,
    rand,
)

from selfsr_plugin.archs import FlowDegradationNet
from selfsr_plugin.ops import flow_warp

SMALL = dict(num_feat=4, num_block=2)


def test_parameter_count():
    assert count_on_meta(FlowDegradationNet) == 8_110_213


def test_built_by_basicsr():
    assert_built_by_basicsr(FlowDegradationNet, SMALL)


@pytest.mark.parametrize('height, width', [(16, 16), (4, 4), (5, 7), (18, 13), (6, 32)])
def test_untrained_network_gives_its_input_back(height, width):
    torch.manual_seed(0)
    net = FlowDegradationNet(**SMALL)
    lq = rand(2, 3, height, width)
    parts = net(lq, return_parts=True)
    assert torch.equal(parts.intermediate, lq)
    assert not parts.flow.any()
    torch.testing.assert_close(parts.degraded, lq, rtol=0, atol=5e-6)


@pytest.mark.parametrize('height, width', [(16, 16), (4, 4), (5, 7), (18, 13)])
def test_sizes_and_equation_1(height, width):
    net = make(FlowDegradationNet, **SMALL).double()
    lq = rand(2, 3, height, width).double()
    parts = net(lq, return_parts=True)
    assert parts.degraded.shape == parts.intermediate.shape == lq.shape
    assert parts.flow.shape == (2, 2, height, width)
    assert {part.dtype for part in parts} == {torch.float64}
    assert parts.flow.abs().max() > 1e-3 and (parts.intermediate - lq).abs().max() > 1e-3
    assert torch.equal(parts.degraded, flow_warp(parts.intermediate, parts.flow))
    assert torch.equal(net(lq), parts.degraded)


@pytest.mark.parametrize('max_flow', [-1.0, float('nan')])
def test_a_bound_below_zero_is_refused(max_flow):
    with pytest.raises(ValueError, match='max_flow .* is no bound in pixels; use 0 or more'):
        FlowDegradationNet(max_flow=max_flow, **SMALL)


def test_without_flow_nothing_moves():
    net = make(FlowDegradationNet, max_flow=0.0, **SMALL)
    parts = net(rand(1, 3, 8, 8), return_parts=True)
    assert not parts.flow.any()
    torch.testing.assert_close(parts.degraded, parts.intermediate)


@pytest.mark.parametrize('max_flow', [0.5, 2.0, 7.0])
def test_flow_is_bounded_whatever_the_weights(max_flow):
    net = make(FlowDegradationNet, max_flow=max_flow, **SMALL)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=10)
    flow = net(rand(4, 3, 16, 16), return_parts=True).flow
    assert flow.abs().max().item() == pytest.approx(max_flow)  # saturated, not beyond


def test_residual_counts_in_the_range_of_the_network():
    # The head works in [-1, 1]: a bias of 0.5 there is 0.25 in [0, 1].
    torch.manual_seed(0)
    net = FlowDegradationNet(**SMALL)
    torch.nn.init.constant_(net.image_head.bias, 0.5)
    lq = rand(1, 3, 8, 8)
    torch.testing.assert_close(net(lq), lq + 0.25)


def test_flow_bias_moves_the_image():
    torch.manual_seed(0)
    net = FlowDegradationNet(max_flow=2.0, **SMALL)
    net.flow_head.bias.data = torch.atanh(torch.tensor([0.5, 0.0]))  # one pixel to the right
    lq = rand(1, 3, 6, 8)
    expected = lq[..., (torch.arange(8) + 1).clamp(max=7)]
    torch.testing.assert_close(net(lq), expected, rtol=0, atol=1e-5)


def test_centred_flow_cannot_move_the_whole_image():
    net = make(FlowDegradationNet, max_flow=2.0, center_flow=True, **SMALL)
    net.flow_head.bias.data += 0.5
    flow = net(rand(2, 3, 8, 8), return_parts=True).flow
    assert flow.abs().max() > 1e-3
    torch.testing.assert_close(flow.mean(dim=(2, 3)), torch.zeros(2, 2), rtol=0, atol=1e-6)


def test_every_parameter_gets_a_gradient():
    net = make(FlowDegradationNet, **SMALL)
    assert parameters_with_gradient(net, lambda: net(rand(1, 3, 8, 8))) == {name for name, _ in net.named_parameters()}


def test_gradient_against_finite_differences():
    net = make(FlowDegradationNet, num_feat=2, num_block=1).double()
    assert torch.autograd.gradcheck(net, (rand(1, 3, 4, 5).double().requires_grad_(),))


@pytest.mark.parametrize('dtype, tolerance', [(torch.bfloat16, 0.02), (torch.float16, 0.003)])
def test_mixed_precision(dtype, tolerance):
    torch.manual_seed(0)
    assert_close_in_mixed_precision(FlowDegradationNet(**SMALL), dtype, tolerance, rand(1, 3, 16, 16))


def test_repr():
    assert_repr_is_honest(FlowDegradationNet(max_flow=1.5, **SMALL), 'max_flow=1.5 px')


@pytest.mark.gpu
@needs_gpu
def test_gpu_equals_cpu():
    assert_same_on_gpu(make(FlowDegradationNet, **SMALL), rand(2, 3, 16, 16))
