"""DomainDiscriminator (Eq. 2)."""

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
    rand,
)

from selfsr_plugin.archs import DomainDiscriminator


def test_parameter_count():
    assert count_on_meta(DomainDiscriminator) == 1_845_889


def test_built_by_basicsr():
    assert_built_by_basicsr(DomainDiscriminator, dict(num_feat=4))


@pytest.mark.parametrize('height, width', [(16, 16), (18, 27), (32, 16), (64, 48)])
def test_output_size(height, width):
    logits = make(DomainDiscriminator, num_feat=4)(rand(2, 3, height, width))
    assert logits.shape == (2, 1, height // 4 - 3, width // 4 - 3) and logits.dtype == torch.float32


def test_one_logit_sees_the_whole_face():
    face = rand(1, 3, 16, 16).requires_grad_()
    logit = make(DomainDiscriminator, num_feat=8)(face)
    assert logit.numel() == 1
    logit.sum().backward()
    assert (face.grad.abs().sum(1) > 0).all()


def test_logits_have_no_bound_and_no_sigmoid():
    net = make(DomainDiscriminator, num_feat=4)
    for constant in (-50.0, 50.0):
        torch.nn.init.constant_(net.to_logit.bias, constant)
        torch.testing.assert_close(net(rand(1, 3, 16, 16)).item(), constant, rtol=0, atol=10)


def test_works_in_the_range_of_the_network():
    # Mid grey is 0 inside: with zero biases nothing is left of it.
    net = make(DomainDiscriminator, num_feat=4)
    for name, parameter in net.named_parameters():
        if name.endswith('bias'):
            torch.nn.init.zeros_(parameter)
    assert not net(torch.full((1, 3, 16, 16), 0.5)).any()
    assert net(torch.full((1, 3, 16, 16), 0.6)).any()


def test_samples_do_not_influence_each_other():
    net, faces = make(DomainDiscriminator, num_feat=4), rand(3, 3, 16, 16)
    torch.testing.assert_close(net(faces)[1:2], net(faces[1:2]))


def test_gradient_against_finite_differences():
    net = make(DomainDiscriminator, num_in_ch=1, num_feat=2).double()
    assert torch.autograd.gradcheck(net, (rand(1, 1, 16, 16).double().requires_grad_(),))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision(dtype):
    assert_close_in_mixed_precision(make(DomainDiscriminator, num_feat=8), dtype, 0.05, rand(16, 3, 16, 16))


def test_repr():
    assert_repr_is_honest(DomainDiscriminator(num_in_ch=1, num_feat=4))


def test_repr_names_the_arguments():
    # The other three networks' do (num_in_ch shows in conv1, num_feat too, but not by name).
    assert 'num_feat=4' in repr(DomainDiscriminator(num_feat=4))


@pytest.mark.gpu
@needs_gpu
def test_gpu_equals_cpu():
    assert_same_on_gpu(make(DomainDiscriminator, num_feat=8), rand(4, 3, 16, 16))
