"""ProgressiveDiscriminator (Eqs. 7 and 9)."""

import math

import pytest
import torch
from arch_asserts import (
    assert_active_modules_are_those_used,
    assert_built_by_basicsr,
    assert_close_in_mixed_precision,
    assert_only_used_parameters_are_trained,
    assert_repr_is_honest,
    assert_same_on_gpu,
    count_on_meta,
    make,
    needs_gpu,
    rand,
)
from torch.nn import functional as F

from selfsr_plugin.archs import ProgressiveDiscriminator
from selfsr_plugin.archs.progressive_discriminator_arch import minibatch_stddev
from basicsr.losses import r1_penalty

SMALL = dict(size=32, num_level=3, feat_base=64, feat_max=8, stddev_group=2)


def test_parameter_count():
    assert count_on_meta(ProgressiveDiscriminator) == 18_324_545


def test_built_by_basicsr():
    assert_built_by_basicsr(ProgressiveDiscriminator, SMALL)


def test_channels_of_a_map_are_inverse_to_its_side_rounded_down():
    net = ProgressiveDiscriminator(size=20, num_level=2, feat_base=35, feat_max=12)
    assert [conv.out_channels for conv in net.from_rgb] == [70 // 20, 70 // 10]
    assert [block.conv2.out_channels for block in net.blocks] == [70 // 10, 12]


@pytest.mark.parametrize('size, num_level', [(32, 3), (16, 2), (40, 3), (56, 2), (24, 1)])
def test_one_logit_for_each_image_at_every_level(size, num_level):
    net = make(ProgressiveDiscriminator, size=size, num_level=num_level, feat_base=64, feat_max=8)
    for level in range(1, num_level + 1):
        side = size // 2 ** (num_level - level)
        assert net(rand(3, 3, side, side), level).shape == (3, 1)
    assert torch.equal(net(rand(3, 3, size, size)), net(rand(3, 3, size, size), num_level, 1.0))


@pytest.mark.parametrize('level', [2, 3])
def test_fade_in_blends_with_the_input_conv_below(level):
    net = make(ProgressiveDiscriminator, **SMALL)
    side = 8 * 2 ** (level - 1)
    images = rand(4, 3, side, side)
    # At alpha 0 the new block has no say: the level below judges the image at half the size.
    torch.testing.assert_close(net(images, level, 0.0), net(F.avg_pool2d(images, 2), level - 1))
    between = net(images, level, 0.5)
    assert not torch.allclose(between, net(images, level, 0.0)) and not torch.allclose(between, net(images, level))
    torch.testing.assert_close(net(images, level, 1 - 1e-6), net(images, level), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('level, alpha', [(1, 1.0), (1, 0.5), (2, 1.0), (2, 0.5), (3, 1.0), (3, 0.5)])
def test_active_modules_are_those_used(level, alpha):
    net = make(ProgressiveDiscriminator, **SMALL)
    side = 8 * 2 ** (level - 1)
    assert_active_modules_are_those_used(net, level, alpha < 1, lambda: net(rand(2, 3, side, side), level, alpha))


@pytest.mark.parametrize('level, side, wanted', [(3, 16, 32), (2, 32, 16), (1, 4, 8), (None, 31, 32)])
def test_refuses_images_of_another_size(level, side, wanted):
    net = make(ProgressiveDiscriminator, **SMALL)
    with pytest.raises(ValueError, match=f'judges images of {wanted}x{wanted}, not {side}x{side}'):
        net(rand(1, 3, side, side), level)


def test_refuses_images_that_are_not_square():
    with pytest.raises(ValueError, match='32x32, not 32x16'):
        make(ProgressiveDiscriminator, **SMALL)(rand(1, 3, 32, 16))


@pytest.mark.parametrize('level', [0, 4, -1])
def test_refuses_levels_it_does_not_have(level):
    with pytest.raises(ValueError, match=rf'level {level}\b'):
        make(ProgressiveDiscriminator, **SMALL)(rand(1, 3, 32, 32), level)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(size=24, num_level=3), 'size 24 does not fit 3 levels'),  # 24, 12, 6
        (dict(size=36), 'size 36 does not fit'),  # 36, 18, 9
        (dict(size=8, num_level=2), r'at least 4 \* 2 \*\* num_level = 16'),
        (dict(size=128, feat_base=63), 'must be at least 64'),
        (dict(num_level=0), 'must be 1 or more, got 0 and 4'),
        (dict(stddev_group=0), 'must be 1 or more, got 3 and 0'),
    ],
)
def test_refuses_sizes(arguments, message):
    with pytest.raises(ValueError, match=message):
        ProgressiveDiscriminator(**arguments)


def test_works_in_the_range_of_the_network():
    net, seen = make(ProgressiveDiscriminator, **SMALL), []
    net.from_rgb[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    images = rand(2, 3, 32, 32)
    net(images)
    torch.testing.assert_close(seen[0], images * 2 - 1)


# ----- minibatch standard deviation -----


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_deviation_in_16_bits_is_that_of_single_precision_rounded(dtype):
    """1e-8 is 0 in fp16, and with it the gradient of alike images infinite; bf16 would round every deviation."""
    x = rand(4, 8, 4, 4).to(dtype)
    expected = minibatch_stddev(x.float(), 2)[:, -1]
    torch.testing.assert_close(minibatch_stddev(x, 2)[:, -1], expected.to(dtype), rtol=0, atol=0)
    alike = torch.ones(2, 3, 4, 4, dtype=dtype, requires_grad=True)
    minibatch_stddev(alike, 2).sum().backward()
    assert alike.grad.isfinite().all()


def added_channel(x: torch.Tensor, group: int) -> list:
    out = minibatch_stddev(x, group)
    assert out.shape == (x.shape[0], x.shape[1] + 1, *x.shape[2:])
    assert torch.equal(out[:, :-1], x)
    assert (out[:, -1] == out[:, -1, :1, :1]).all()
    return out[:, -1, 0, 0].tolist()


def test_stddev_by_hand():
    x = torch.tensor([0.0, 1.0, 2.0, 3.0]).reshape(4, 1, 1, 1).expand(4, 2, 3, 3)
    assert added_channel(x, 4) == pytest.approx([math.sqrt(1.25)] * 4)
    assert added_channel(x, 2) == pytest.approx([0.5] * 4)
    assert added_channel(x, 1) == pytest.approx([1e-4] * 4)  # sqrt of the 1e-8 that keeps the root differentiable


def test_stddev_is_averaged_over_channels_and_places():
    x = torch.zeros(2, 2, 1, 2)
    x[1, 0, 0, 0], x[1, 1, 0, 1] = 2.0, 4.0  # deviations 1, 0, 0, 2
    assert added_channel(x, 2) == pytest.approx([(1 + 2 + 2e-4) / 4] * 2)


def test_stddev_groups_are_neighbours():
    x = torch.tensor([0.0, 2.0, 10.0, 16.0]).reshape(4, 1, 1, 1)
    assert added_channel(x, 2) == pytest.approx([1, 1, 3, 3])


@pytest.mark.parametrize('batch, group, used', [(6, 4, 3), (5, 4, 1), (3, 4, 3), (7, 8, 7), (8, 4, 4), (9, 6, 3)])
def test_stddev_of_a_batch_that_the_group_does_not_divide(batch, group, used):
    x = rand(batch, 2, 3, 3)
    expected = [
        x[i // used * used : i // used * used + used].var(0, unbiased=False).add(1e-8).sqrt().mean().item()
        for i in range(batch)
    ]
    assert added_channel(x, group) == pytest.approx(expected, rel=1e-5)


def test_two_halves_of_a_batch_are_judged_as_in_the_whole():
    # What two processes compute with half a batch each is what one computes.
    net = make(ProgressiveDiscriminator, **SMALL)
    images = rand(8, 3, 32, 32)
    whole = net(images)
    torch.testing.assert_close(torch.cat((net(images[:4]), net(images[4:]))), whole)
    alone = net(images[:1])
    assert not torch.allclose(alone, whole[:1]), 'the minibatch statistics do not count at all'


def test_order_within_a_group_does_not_matter():
    net = make(ProgressiveDiscriminator, **dict(SMALL, stddev_group=4))
    images = rand(4, 3, 32, 32)
    torch.testing.assert_close(net(images)[[2, 0, 3, 1]], net(images[[2, 0, 3, 1]]))


# ----- gradients -----


def test_gradient_against_finite_differences():
    net = make(ProgressiveDiscriminator, size=8, num_in_ch=1, num_level=1, feat_base=8, feat_max=2).double()
    assert torch.autograd.gradcheck(net, (rand(2, 1, 8, 8).double().requires_grad_(),))


@pytest.mark.parametrize('level, alpha', [(3, 1.0), (3, 0.5), (2, 0.5), (1, 1.0)])
def test_grown_to_a_level(level, alpha):
    net, images = make(ProgressiveDiscriminator, **SMALL), rand(2, 3, 4 * 2**level, 4 * 2**level)
    assert_only_used_parameters_are_trained(net, level, alpha, lambda: net(images))
    assert torch.equal(net(images), net(images, level, alpha))


def test_r1_can_be_differentiated_by_every_active_weight():
    net = make(ProgressiveDiscriminator, **SMALL)
    net.grow_to(2, 0.5)
    images = rand(2, 3, 16, 16).requires_grad_()
    r1_penalty(net(images), images).backward()
    for module in net.active_modules(2, True):
        for name, parameter in module.named_parameters():
            if name.endswith('weight'):  # a bias changes the gradient only where it moves a kink
                assert parameter.grad is not None and parameter.grad.any(), name


def test_r1_of_identical_images_is_finite():
    # The standard deviation is 0 there, where its root has no derivative.
    net = make(ProgressiveDiscriminator, **SMALL)
    images = rand(1, 3, 32, 32).expand(2, 3, 32, 32).clone().requires_grad_()
    r1_penalty(net(images), images).backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters() if parameter.grad is not None)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision(dtype):
    assert_close_in_mixed_precision(
        make(ProgressiveDiscriminator, **dict(SMALL, feat_base=256, feat_max=16)), dtype, 0.05, rand(16, 3, 32, 32)
    )


def test_repr():
    assert_repr_is_honest(ProgressiveDiscriminator(**SMALL), 'size=32', 'num_level=3', 'stddev_group=2')


@pytest.mark.gpu
@needs_gpu
def test_gpu_equals_cpu():
    assert_same_on_gpu(make(ProgressiveDiscriminator, **SMALL), rand(4, 3, 16, 16), level=2, alpha=0.5)


@pytest.mark.gpu
@needs_gpu
def test_r1_on_gpu_equals_cpu():
    """In double precision: in single the second derivatives of an H100 are 2e-4 of the largest off."""
    net, gradients = make(ProgressiveDiscriminator, **SMALL).double(), []
    for device in ('cpu', 'cuda'):
        net = net.to(device)
        net.zero_grad(set_to_none=True)
        images = rand(4, 3, 32, 32).double().to(device).requires_grad_()
        r1_penalty(net(images), images).backward()
        gradients.append([p.grad.cpu().clone() for p in net.parameters() if p.grad is not None])
    for cpu, gpu in zip(*gradients):
        torch.testing.assert_close(gpu, cpu, rtol=1e-9, atol=1e-10 * cpu.abs().max().item())
