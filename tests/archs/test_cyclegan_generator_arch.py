"""CycleGANGenerator, the baseline of Table III."""

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
from torch import nn

from selfsr_plugin.archs import CycleGANGenerator, FlowDegradationNet

SMALL = dict(num_feat=4, num_block=2)


def test_parameter_count():
    assert count_on_meta(CycleGANGenerator) == 7_818_627
    # Table III compares the two ways of degrading, not two sizes.
    assert count_on_meta(CycleGANGenerator) == pytest.approx(count_on_meta(FlowDegradationNet), rel=0.05)


def test_built_by_basicsr():
    assert_built_by_basicsr(CycleGANGenerator, SMALL)


@pytest.mark.parametrize('height, width', [(16, 16), (5, 5), (5, 7), (18, 13)])
def test_size_is_kept_and_values_are_images(height, width):
    net = make(CycleGANGenerator, **SMALL).double()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=3)
    output = net(rand(2, 3, height, width).double())
    assert output.shape == (2, 3, height, width) and output.dtype == torch.float64
    assert 0 <= output.min() < 0.1 and 0.9 < output.max() <= 1


def test_layout_is_that_of_the_cyclegan_paper():
    """c3s1-4, d8, d16, R16, u8, u4, c3s1-3, written out with plain layers."""
    net = make(CycleGANGenerator, num_feat=4, num_block=1).double()

    def conv(name, stride=1):
        own = net.get_submodule(name)
        layer = nn.Conv2d(own.in_channels, own.out_channels, 3, stride, bias=own.bias is not None).double()
        layer.load_state_dict(own.state_dict())
        return nn.Sequential(nn.ReflectionPad2d(1), layer)

    def normalised(name, stride=1):
        channels = net.get_submodule(name).out_channels
        return nn.Sequential(conv(name, stride), nn.InstanceNorm2d(channels), nn.ReLU())

    image = rand(2, 3, 16, 16).double()
    x = nn.Sequential(normalised('stem'), normalised('down1', 2), normalised('down2', 2))(image * 2 - 1)
    assert x.shape == (2, 16, 4, 4)
    x = x + nn.Sequential(normalised('blocks.0.conv1'), conv('blocks.0.conv2'), nn.InstanceNorm2d(16))(x)
    x = nn.Sequential(
        nn.UpsamplingNearest2d(scale_factor=2),
        normalised('up1'),
        nn.UpsamplingNearest2d(scale_factor=2),
        normalised('up2'),
        conv('to_rgb'),
        nn.Tanh(),
    )(x)
    torch.testing.assert_close(net(image), (x + 1) / 2, rtol=1e-10, atol=1e-12)


def test_blind_to_a_constant_added_to_the_colours():
    net = make(CycleGANGenerator, **SMALL).double()
    image = rand(1, 3, 16, 16).double() / 2
    shift = torch.tensor([0.3, 0.1, -0.2]).double()[:, None, None]
    torch.testing.assert_close(net(image + shift), net(image), rtol=0, atol=1e-10)
    assert (net(image.flip(-1)) - net(image)).abs().max() > 1e-3


def test_initial_weights_are_those_of_cyclegan():
    torch.manual_seed(0)
    net = CycleGANGenerator(num_feat=32, num_block=1)
    for name, parameter in net.named_parameters():
        if name.endswith('bias'):
            assert name == 'to_rgb.bias' and not parameter.any()
        else:
            # five standard errors of a sample's standard deviation
            assert abs(parameter.std().item() / 0.02 - 1) < 5 / (2 * parameter.numel()) ** 0.5, name


def test_every_parameter_gets_a_gradient():
    net = make(CycleGANGenerator, **SMALL)
    assert parameters_with_gradient(net, lambda: net(rand(1, 3, 16, 16))) == {n for n, _ in net.named_parameters()}


def test_gradient_against_finite_differences():
    net = make(CycleGANGenerator, num_feat=2, num_block=1).double()
    for parameter in net.parameters():
        parameter.data *= 20  # as near to zero as they start, instance normalisation bends within the step
    assert torch.autograd.gradcheck(net, (rand(1, 3, 5, 6).double().requires_grad_(),))


@pytest.mark.parametrize('dtype, tolerance', [(torch.bfloat16, 0.05), (torch.float16, 0.01)])
def test_mixed_precision(dtype, tolerance):
    torch.manual_seed(0)
    assert_close_in_mixed_precision(CycleGANGenerator(**SMALL), dtype, tolerance, rand(1, 3, 16, 16))


def test_repr():
    assert_repr_is_honest(CycleGANGenerator(**SMALL), 'num_feat=4')


@pytest.mark.gpu
@needs_gpu
def test_gpu_equals_cpu():
    assert_same_on_gpu(make(CycleGANGenerator, **SMALL), rand(2, 3, 16, 16))
