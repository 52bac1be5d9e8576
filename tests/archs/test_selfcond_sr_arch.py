"""SelfCondSRNet (section III-B)."""

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

from selfsr_plugin.archs import SelfCondSRNet
from selfsr_plugin.archs.selfcond_sr_arch import ConditionScale, SelfConditionedBlock

SMALL = dict(widths=[8, 6, 4], num_block=1)
CONDITIONS = ('scale', 'concat')


@pytest.mark.parametrize(
    'arguments, count',
    [
        (dict(), 17_886_729),  # 17.89 M, Table I
        (dict(widths=(384, 192)), 16_968_198),
        (dict(widths=(384,)), 13_306_371),
    ],
)
def test_parameter_count(arguments, count):
    assert count_on_meta(SelfCondSRNet, **arguments) == count


def test_hidden_channels_of_the_condition_are_the_whole_quotient():
    net = SelfCondSRNet(widths=[11, 7, 3], num_block=1, cond_ratio=4)
    sigmas = [(level.blocks[0].sigma1, level.blocks[0].sigma2) for level in net.levels]
    assert [[sigma.conv1.out_channels for sigma in pair] for pair in sigmas] == [[2, 2], [1, 1], [1, 1]]


def test_built_by_basicsr():
    assert_built_by_basicsr(SelfCondSRNet, dict(widths=[8, 4], num_block=1, condition='concat'))


@pytest.mark.parametrize('condition', CONDITIONS)
@pytest.mark.parametrize('height, width', [(16, 16), (5, 7), (1, 9), (2, 1)])
def test_output_size(height, width, condition):
    net = make(SelfCondSRNet, condition=condition, **SMALL)
    lq = rand(2, 3, height, width)
    for level in (1, 2, 3):
        output = net(lq, level)
        assert output.shape == (2, 3, height * 2**level, width * 2**level)
        assert output.dtype == torch.float32 and output.isfinite().all()
    assert net.double()(lq.double()).dtype == torch.float64


def test_default_is_the_full_scale():
    net = make(SelfCondSRNet, **SMALL)
    lq = rand(1, 3, 4, 5)
    assert torch.equal(net(lq), net(lq, level=3, alpha=1.0))
    assert net.scale == 8 and net.num_level == 3


@pytest.mark.parametrize('level', [2, 3])
def test_fade_in_goes_from_the_level_below_to_the_new_one(level):
    net = make(SelfCondSRNet, **SMALL)
    lq = rand(2, 3, 4, 5)
    old = F.interpolate(net(lq, level - 1), scale_factor=2, mode='nearest')
    new = net(lq, level)
    torch.testing.assert_close(net(lq, level, 0.0), old)
    torch.testing.assert_close(net(lq, level, 0.25), 0.75 * old + 0.25 * new)
    assert (old - new).abs().max() > 0.01


def test_first_level_has_nothing_to_fade_from():
    net = make(SelfCondSRNet, **SMALL)
    assert torch.equal(net(rand(1, 3, 4, 4), 1, 0.3), net(rand(1, 3, 4, 4), 1))


@pytest.mark.parametrize('level', [1, 2])
def test_level_does_not_depend_on_those_above(level):
    net = make(SelfCondSRNet, **SMALL)
    lq = rand(1, 3, 4, 4)
    before = net(lq, level)
    for module in net.levels[level:]:
        for parameter in module.parameters():
            torch.nn.init.constant_(parameter, math.nan)
    assert torch.equal(net(lq, level), before)


@pytest.mark.parametrize('condition', CONDITIONS)
@pytest.mark.parametrize('level, alpha', [(1, 1.0), (1, 0.5), (2, 1.0), (2, 0.5), (3, 1.0), (3, 0.5)])
def test_active_modules_are_those_used(level, alpha, condition):
    net = make(SelfCondSRNet, condition=condition, **SMALL)
    assert_active_modules_are_those_used(net, level, alpha < 1, lambda: net(rand(1, 3, 4, 4), level, alpha))


@pytest.mark.parametrize('level, alpha', [(3, 1.0), (3, 0.5), (2, 0.5), (1, 1.0)])
def test_grown_to_a_level(level, alpha):
    net, lq = make(SelfCondSRNet, **SMALL), rand(1, 3, 4, 4)
    assert_only_used_parameters_are_trained(net, level, alpha, lambda: net(lq))
    assert net.scale == 2**level and torch.equal(net(lq), net(lq, level, alpha))
    assert torch.equal(net(lq, 3), net(lq, 3, 1.0))  # a level that is given has nothing to do with it


def test_built_for_the_full_scale():
    net = make(SelfCondSRNet, **SMALL)
    assert {name for name, parameter in net.named_parameters() if not parameter.requires_grad} == {
        f'levels.{i}.to_rgb.{part}' for i in (0, 1) for part in ('weight', 'bias')
    }


@pytest.mark.parametrize('level', [0, 4, -1])
def test_refuses_levels_it_does_not_have(level):
    with pytest.raises(ValueError, match=f'SelfCondSRNet has levels 1 to 3, not level {level}'):
        make(SelfCondSRNet, **SMALL)(rand(1, 3, 4, 4), level)
    with pytest.raises(ValueError, match=f'SelfCondSRNet has levels 1 to 3, not level {level}'):
        make(SelfCondSRNet, **SMALL).grow_to(level)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(condition='bias'), "condition 'bias' is unknown"),
        (dict(widths=[]), 'one width for each doubling'),
        (dict(num_block=0), 'at least one block'),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SelfCondSRNet(**arguments)


def test_works_in_the_range_of_the_network():
    net, seen = make(SelfCondSRNet, **SMALL), []
    net.stem.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    torch.nn.init.zeros_(net.levels[2].to_rgb.weight)
    net.levels[2].to_rgb.bias.data = torch.tensor([-1.0, 0.5, 1.0])
    lq = rand(1, 3, 4, 4)
    output = net(lq)
    torch.testing.assert_close(seen[0], lq * 2 - 1)
    assert torch.equal(output[0, :, 7, 9], torch.tensor([0.0, 0.75, 1.0]))


# ----- the condition -----


def make_identity(conv) -> None:
    """Zero weights but for the centre of each channel's own kernel, 1 after the run-time scale."""
    torch.nn.init.zeros_(conv.weight)
    for channel in range(conv.out_channels):
        conv.weight.data[channel, channel % conv.in_channels, 1, 1] = 1 / conv.weight_scale


def normalise(x: torch.Tensor) -> torch.Tensor:
    mean = x.mean(dim=(2, 3), keepdim=True)
    return (x - mean) / ((x - mean).square().mean(dim=(2, 3), keepdim=True) + 1e-5).sqrt()


def leaky(x: torch.Tensor) -> torch.Tensor:
    return torch.maximum(x, 0.2 * x)


def test_equation_6_by_hand():
    block = SelfConditionedBlock(2, 1, 1, 'scale').double()
    for conv in (
        block.conv1,
        block.conv2,
        block.sigma1.conv1,
        block.sigma1.conv2,
        block.sigma2.conv1,
        block.sigma2.conv2,
    ):
        make_identity(conv)
    block.sigma1.conv2.bias.data = torch.tensor([0.5, -2.0], dtype=torch.float64)
    block.sigma2.conv2.weight.data *= -3
    x, y = rand(2, 2, 4, 5).double(), rand(2, 1, 4, 5, seed=1).double() * 2 - 1
    sigma1 = leaky(y) + torch.tensor([0.5, -2.0], dtype=torch.float64).reshape(1, 2, 1, 1)
    sigma2 = -3 * leaky(y) + 1
    h = leaky(normalise(x) * sigma1)
    h = leaky(normalise(h) * sigma2)
    torch.testing.assert_close(block(x, y), (x + h) / math.sqrt(2))


def test_vanilla_block_by_hand():
    block = make(SelfConditionedBlock, width=3, hidden=1, num_in_ch=2, condition='concat').double()
    x, y = rand(2, 3, 4, 5).double(), rand(2, 2, 4, 5, seed=1).double()
    h = leaky(normalise(block.conv1(torch.cat((x, y), 1))))
    h = leaky(normalise(block.conv2(torch.cat((h, y), 1))))
    torch.testing.assert_close(block(x, y), (x + h) / math.sqrt(2))
    assert not any('sigma' in name for name, _ in block.named_parameters())


def test_condition_starts_near_plain_normalisation():
    torch.manual_seed(0)
    sigma = ConditionScale(64, 8, 3)
    values = sigma(torch.rand(4, 3, 16, 16) * 2 - 1)
    assert values.mean().item() == pytest.approx(1, abs=0.2)
    assert torch.equal(sigma.conv2.bias, torch.ones(64))


def test_condition_is_the_lr_image_in_the_range_of_the_network_at_each_resolution():
    net = make(SelfCondSRNet, **SMALL)
    seen = []
    for level in net.levels:
        level.blocks[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[1]))
    lq = rand(1, 3, 5, 6)
    net(lq)
    assert [tuple(y.shape[-2:]) for y in seen] == [(10, 12), (20, 24), (40, 48)]
    for y in seen:
        expected = F.interpolate(lq * 2 - 1, size=y.shape[-2:], mode='bicubic', align_corners=False)
        torch.testing.assert_close(y, expected)


@pytest.mark.parametrize('condition', CONDITIONS)
def test_condition_matters(condition):
    block = make(SelfConditionedBlock, width=4, hidden=2, num_in_ch=3, condition=condition)
    x = rand(1, 4, 6, 6)
    difference = block(x, rand(1, 3, 6, 6, seed=1)) - block(x, rand(1, 3, 6, 6, seed=2))
    assert difference.abs().max() > 0.01


def test_scale_of_the_convs_is_normalised_away():
    # Instance normalisation: how large the features are is for sigma(y) alone to say.
    net = make(SelfCondSRNet, **SMALL).double()
    lq = rand(2, 3, 6, 6).double()
    before = net(lq)
    for level in net.levels:
        for block in level.blocks:
            block.conv1.weight.data *= 3
            block.conv2.weight.data *= 0.5
    torch.testing.assert_close(net(lq), before, rtol=0, atol=1e-3)
    for level in net.levels:
        level.blocks[0].sigma2.conv2.weight.data *= 3
    assert (net(lq) - before).abs().max() > 0.05


def test_samples_do_not_influence_each_other():
    net = make(SelfCondSRNet, **SMALL)
    lq = rand(3, 3, 6, 6)
    torch.testing.assert_close(net(lq)[1:2], net(lq[1:2]), rtol=1e-4, atol=1e-5)


def test_mirrored_weights_mirror_the_output():
    # Nothing in the network knows left from right but the kernels.
    net = make(SelfCondSRNet, **SMALL)
    lq = rand(1, 3, 6, 7)
    before = net(lq)
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = module.weight.data.flip(3)
    torch.testing.assert_close(net(lq.flip(3)).flip(3), before, rtol=1e-3, atol=1e-4)


def test_gradient_against_finite_differences():
    net = make(SelfCondSRNet, widths=[2, 2], num_block=1).double()
    lq = rand(1, 3, 2, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: net(x, 2, 0.6), (lq,), atol=1e-4)


@pytest.mark.parametrize('dtype, tolerance', [(torch.bfloat16, 0.05), (torch.float16, 0.01)])
@pytest.mark.parametrize('condition', CONDITIONS)
def test_mixed_precision(condition, dtype, tolerance):
    net = make(SelfCondSRNet, widths=[16, 8], num_block=2, condition=condition)
    assert_close_in_mixed_precision(net, dtype, tolerance, rand(1, 3, 8, 8))


def test_repr():
    net = SelfCondSRNet(widths=[8, 4], num_block=1, cond_ratio=2, condition='concat', num_in_ch=1)
    assert_repr_is_honest(
        net, 'num_in_ch=1', 'num_out_ch=3', 'widths=[8, 4]', 'num_block=1', 'cond_ratio=2', 'condition=concat', 'x4'
    )


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize('condition', CONDITIONS)
def test_gpu_equals_cpu(condition):
    assert_same_on_gpu(make(SelfCondSRNet, condition=condition, **SMALL), rand(2, 3, 8, 8), level=2, alpha=0.5)
