"""Eq. 6 with its activation: what keeps less for the gradient computes what the three functions do; how much it is."""

import pytest
import torch
from arch_asserts import rand
from torch.nn import functional as F

from selfsr_plugin.archs import SelfCondSRNet
from selfsr_plugin.archs.conditioned_norm import ConditionedNorm, conditioned_norm


def three_functions(x, sigma):
    return F.leaky_relu(F.instance_norm(x) * sigma, 0.2)


def inputs(*shape, dtype=torch.float64):
    """x far from mean 0, sigma of both signs."""
    return [(3 * rand(*shape, seed=i) - 1 + i).to(dtype).requires_grad_() for i in range(2)]


@pytest.mark.parametrize('function', [ConditionedNorm.apply, conditioned_norm], ids=['keeping less', 'on this device'])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_equals_the_three_functions(function, layout):
    found, expected = ([], [])
    for each, results in ((function, found), (three_functions, expected)):
        x, sigma = inputs(2, 4, 5, 6)
        output = each(x.contiguous(memory_format=layout), sigma.contiguous(memory_format=layout))
        (output * rand(*output.shape, seed=5)).sum().backward()
        results += [output, x.grad, sigma.grad]
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_gradient_against_finite_differences():
    assert torch.autograd.gradcheck(ConditionedNorm.apply, inputs(2, 3, 4, 5))


def test_second_derivatives_are_refused_and_not_wrong():
    x, sigma = inputs(1, 2, 3, 3)
    (gradient,) = torch.autograd.grad(ConditionedNorm.apply(x, sigma).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        gradient.sum().backward()


def test_layout_and_format_are_kept():
    x, sigma = (each.detach().contiguous(memory_format=torch.channels_last) for each in inputs(2, 4, 5, 6))
    assert ConditionedNorm.apply(x, sigma).is_contiguous(memory_format=torch.channels_last)
    assert ConditionedNorm.apply(x.bfloat16(), sigma.bfloat16()).dtype == torch.bfloat16


def test_statistics_of_bf16_are_in_single_precision():
    """A channel a hundred deviations from zero: in bf16 its mean would be off by a third of a deviation."""
    torch.manual_seed(0)
    x = (100 + 8 * torch.randn(1, 1, 64, 64)).bfloat16()
    output = ConditionedNorm.apply(x, torch.ones_like(x)).float()
    torch.testing.assert_close(output, three_functions(x.float(), torch.ones(1)), rtol=0.01, atol=0.01)


def kept_bytes(net, lq):
    """What is kept for the gradient, weights aside: the sizes of the storages that autograd is given."""
    weights = {parameter.untyped_storage()._cdata for parameter in net.parameters()}
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage()._cdata] = tensor  # held, so that no other storage gets its address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        net(lq)
    return sum(each.untyped_storage().nbytes() for key, each in kept.items() if key not in weights)


def test_full_network_keeps_less_than_12_gb_at_x8_and_batch_48():
    """In bf16; in fp32 14.6 GB, where the three functions kept 23.6."""
    with torch.device('meta'):
        net, lq = SelfCondSRNet(), torch.empty(48, 3, 16, 16)
    assert kept_bytes(net, lq) == pytest.approx(14.6e9, rel=0.01)
    net, lq = net.bfloat16(), lq.bfloat16()
    assert kept_bytes(net, lq) == pytest.approx(7.3e9, rel=0.01)
    net.use_checkpointing()
    assert kept_bytes(net, lq) < 2e9


def test_checkpointing_gives_the_same_gradient():
    torch.manual_seed(0)
    net, lq = SelfCondSRNet(widths=[6, 4], num_block=2, cond_ratio=2), rand(2, 3, 8, 8)
    gradients, kept = [], []
    for use in (False, True):
        net.use_checkpointing(use)
        net.zero_grad()
        net(lq).square().mean().backward()
        gradients.append([each.grad.clone() for each in net.parameters() if each.grad is not None])
        kept.append(kept_bytes(net, lq))
    assert all(torch.equal(one, other) for one, other in zip(*gradients))
    assert kept[1] < kept[0] / 2
