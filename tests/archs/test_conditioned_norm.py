"""Eq. 6 with its activation: what keeps less for the gradient computes what the three functions do; how much it is."""

import contextlib
import sys

import pytest
import torch
from arch_asserts import rand
from torch.nn import functional as F

from selfsr_plugin.archs import SelfCondSRNet, less_memory, selfcond_sr_arch
from selfsr_plugin.archs.conditioned_norm import ConditionedNorm, conditioned_norm
from selfsr_plugin.engine.precision import Precision

conditioned_norm_module = sys.modules[ConditionedNorm.__module__]


def three_functions(x, sigma):
    return F.leaky_relu(F.instance_norm(x) * sigma, 0.2)


def inputs(*shape, dtype=torch.float64):
    """x far from mean 0, sigma of both signs."""
    return [(3 * rand(*shape, seed=i) + least).to(dtype).requires_grad_() for i, least in enumerate((2, -1.5))]


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


def test_less_is_kept_where_gradients_are_computed_but_on_cpus_and_by_compilers(monkeypatch):
    elsewhere = torch.ones(1, device='meta')
    assert less_memory.keeps_less(elsewhere) and not less_memory.keeps_less(torch.ones(1))
    with torch.no_grad():
        assert not less_memory.keeps_less(elsewhere)
    monkeypatch.setattr(torch.compiler, 'is_compiling', lambda: True)
    assert not less_memory.keeps_less(elsewhere)


@pytest.fixture
def kept_bytes(monkeypatch):
    """What is kept for the gradient, weights aside: the sizes of the storages that autograd is given."""
    hooks, kept = torch.autograd.graph.saved_tensors_hooks, {}

    def keep(tensor):
        if tensor is not None:
            kept[tensor.untyped_storage()._cdata] = tensor  # held, so that no other storage gets its address
        return tensor

    # Those of the network come after ours, and would hide what they let be kept.
    monkeypatch.setattr(
        torch.autograd.graph, 'saved_tensors_hooks', lambda pack, unpack: hooks(lambda each: keep(pack(each)), unpack)
    )

    def count(net, lq):
        kept.clear()
        weights = {parameter.untyped_storage()._cdata for parameter in net.parameters()}
        with hooks(keep, lambda tensor: tensor):
            net(lq)
        return sum(each.untyped_storage().nbytes() for key, each in kept.items() if key not in weights)

    return count


def test_full_network_keeps_less_than_12_gb_at_x8_and_batch_48(kept_bytes):
    """Without checkpointing; the three functions kept 23.6 GB."""
    with torch.device('meta'):
        net, lq = SelfCondSRNet(), torch.empty(48, 3, 16, 16)
    assert kept_bytes(net, lq) == pytest.approx(11.49e9, rel=0.01)
    net, lq = net.bfloat16(), lq.bfloat16()
    assert kept_bytes(net, lq) == pytest.approx(5.74e9, rel=0.01)
    net.use_checkpointing()
    assert kept_bytes(net, lq) < 2e9


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """What is kept and what is computed again is decided on this CPU as on a GPU."""
    for module in (conditioned_norm_module, less_memory):
        monkeypatch.setattr(module, 'keeps_less', lambda x: torch.is_grad_enabled())


def gradients(net, lq, precision='fp32'):
    net.zero_grad()
    Precision(precision, torch.device('cpu')).runs(net)(lq).square().mean().backward()
    return [each.grad.clone() for each in net.parameters() if each.grad is not None]


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_what_is_computed_again_is_what_it_was(as_on_a_gpu, monkeypatch, kept_bytes, layout, precision):
    """To the last bit; and the gradient is that of the three functions."""
    torch.manual_seed(0)
    net = SelfCondSRNet(widths=[6, 4], num_block=2, cond_ratio=2).to(memory_format=layout)
    lq = rand(2, 3, 8, 8).to(memory_format=layout)
    found, least = gradients(net, lq, precision), kept_bytes(net, lq)
    monkeypatch.setattr(selfcond_sr_arch, 'computed_again', lambda *_: contextlib.nullcontext())
    assert all(torch.equal(one, other) for one, other in zip(found, gradients(net, lq, precision)))
    assert least < 0.9 * kept_bytes(net, lq)
    monkeypatch.setattr(conditioned_norm_module, 'keeps_less', lambda x: False)
    for one, other in zip(found, gradients(net, lq, precision)):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5 if precision == 'fp32' else 1e-2)


def test_checkpointing_gives_the_same_gradient(kept_bytes):
    torch.manual_seed(0)
    net, lq = SelfCondSRNet(widths=[6, 4], num_block=2, cond_ratio=2), rand(2, 3, 8, 8)
    found, kept = [], []
    for use in (False, True):
        net.use_checkpointing(use)
        found.append(gradients(net, lq))
        kept.append(kept_bytes(net, lq))
    assert all(level.checkpointing for level in net.levels)
    assert all(torch.equal(one, other) for one, other in zip(*found))
    assert kept[1] < kept[0] / 2


def test_checkpointed_blocks_keep_nothing_to_compute_again_from(as_on_a_gpu, kept_bytes):
    net, lq = SelfCondSRNet(widths=[6], num_block=4, cond_ratio=2), rand(2, 3, 16, 16)
    net.use_checkpointing()
    with_checkpoints = gradients(net, lq), kept_bytes(net, lq)
    image = lq.nbytes // 3
    assert with_checkpoints[1] < (6 * 4 * (1 + 4 + 1) + 6 * 4) * image  # the input of each block and little else
    net.use_checkpointing(False)
    assert all(torch.equal(one, other) for one, other in zip(with_checkpoints[0], gradients(net, lq)))
