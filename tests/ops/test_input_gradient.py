"""Second derivatives of our own are those of torch."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from selfsr_plugin.archs import ProgressiveDiscriminator
from selfsr_plugin.ops.input_gradient import OwnDerivatives, input_gradient


def rand(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) - 0.5


GEOMETRIES = [
    dict(padding=1),
    dict(stride=2, padding=(1, 0)),
    dict(dilation=2),
    dict(groups=2, padding=1),
    dict(padding='same'),
]


@pytest.mark.parametrize('geometry', GEOMETRIES, ids=str)
@pytest.mark.parametrize('bias', [True, False])
def test_derivatives_against_finite_differences(geometry, bias):
    inputs = [rand(2, 4, 5, 6), rand(4, 4 // geometry.get('groups', 1), 3, 3, seed=1)] + [rand(4, seed=2)] * bias
    inputs = [each.requires_grad_() for each in inputs]

    def conv(x, weight, bias=None):
        with OwnDerivatives():
            return F.conv2d(x, weight, bias, **geometry)

    torch.testing.assert_close(conv(*inputs), F.conv2d(*inputs, **geometry))
    assert torch.autograd.gradcheck(conv, inputs)
    assert torch.autograd.gradgradcheck(conv, inputs)


def test_pooling_against_finite_differences():
    x = rand(2, 3, 4, 6).requires_grad_()

    def pool(x):
        with OwnDerivatives():
            return F.avg_pool2d(x, 2)

    torch.testing.assert_close(pool(x), F.avg_pool2d(x, 2))
    assert type(pool(x).grad_fn).__name__ == '_HalfSizeBackward'
    assert torch.autograd.gradcheck(pool, x)
    assert torch.autograd.gradgradcheck(pool, x)


@pytest.mark.parametrize(
    'arguments, sides',
    [
        (dict(kernel_size=2), (5, 4)),
        (dict(kernel_size=2), (4, 5)),
        (dict(kernel_size=3), (6, 6)),
        (dict(kernel_size=2, stride=1), (4, 4)),
        (dict(kernel_size=2, padding=1), (4, 4)),
    ],
    ids=str,
)
def test_other_pooling_is_that_of_torch(arguments, sides):
    """With its gradient: the last row or column of odd sides has none."""
    x = rand(1, 2, *sides).requires_grad_()
    with OwnDerivatives():
        found = F.avg_pool2d(x, *arguments.values()) if len(arguments) == 1 else F.avg_pool2d(x, **arguments)
    expected = F.avg_pool2d(x, **arguments)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(each, x, rand(*expected.shape, seed=1))[0] for each in (found, expected)]
    torch.testing.assert_close(*gradients)


def penalty(net, images, own):
    net.zero_grad()
    if own:
        with OwnDerivatives() as derivatives:
            x = images.clone().requires_grad_()
            output = net(x)
        gradient = derivatives.gradient(output.sum(), x)
    else:
        output, gradient = input_gradient(net, images)
    (F.softplus(-output).mean() + gradient.square().sum()).backward()
    return [
        output.detach(),
        gradient.detach(),
        *(each.grad.clone() for each in net.parameters() if each.grad is not None),
    ]


@pytest.mark.parametrize(
    'net',
    [
        ProgressiveDiscriminator(size=16, num_level=2, feat_base=32, feat_max=6),
        nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(4, 2, 3, groups=2)),
    ],
    ids=['ours', 'any'],
)
def test_a_penalty_and_what_is_learnt_from_it(net):
    net.double()
    images = rand(4, 3, 16, 16, seed=3)
    for found, expected in zip(penalty(net, images, True), penalty(net, images, False), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_gradients_by_weights_are_not_computed_for_the_penalty(monkeypatch):
    wanted = []
    original = torch.ops.aten.convolution_backward

    def spy(*args):
        wanted.append(args[-1])
        return original(*args)

    monkeypatch.setattr(torch.ops.aten, 'convolution_backward', spy)
    net, x = nn.Conv2d(3, 4, 3).double(), rand(1, 3, 5, 5).requires_grad_()
    with OwnDerivatives() as derivatives:
        output = net(x)
    gradient = derivatives.gradient(output.sum(), x)
    assert wanted == [[True, False, False]]
    (gradient.square().sum() + output.sum()).backward()
    assert wanted[1:].count([False, True, False]) == 2  # through the penalty, and through the output
    assert net.bias.grad is not None


def test_images_stay_without_a_graph():
    images = rand(1, 3, 5, 5)
    output, gradient = input_gradient(nn.Conv2d(3, 1, 3).double(), images)
    assert not images.requires_grad and gradient.requires_grad and output.requires_grad


class Elsewhere(torch.Tensor):
    """A tensor of the CPU that says it is on a GPU."""

    device = torch.device('cuda')


def test_on_gpus_it_gives_the_same():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.LeakyReLU(0.2), nn.AvgPool2d(2), nn.Conv2d(4, 1, 3)).double()
    images = rand(3, 3, 8, 8)
    given = []
    for each in (images, images.as_subclass(Elsewhere)):
        output, gradient = input_gradient(net, each)
        net.zero_grad()
        gradient.square().sum().backward()
        given.append([output, gradient, net[0].weight.grad.clone()])
    for found, expected in zip(*reversed(given), strict=True):
        torch.testing.assert_close(found.as_subclass(torch.Tensor), expected, rtol=1e-9, atol=1e-12)


def test_under_autocast_convolutions_are_those_of_torch():
    net, x = nn.Conv2d(3, 4, 3), rand(1, 3, 6, 6).float().requires_grad_()
    with OwnDerivatives(), torch.autocast('cpu', torch.bfloat16):
        output = net(x)
    with torch.autocast('cpu', torch.bfloat16):
        expected = net(x)
    assert output.dtype == torch.bfloat16 and torch.equal(output, expected)
    output.sum().backward()
    assert net.weight.grad.dtype == torch.float32 and net.weight.grad.any()
