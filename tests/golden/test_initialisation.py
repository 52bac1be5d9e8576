"""How every network starts: the distribution and scale of each layer's weights, and what starts at zero.

Their moments, not their values: a layer that goes, or another order of making them, leaves the scheme what it is.
"""

import math
from collections.abc import Callable

import pytest
import torch
from model_kit import cyclegan_options, start
from torch import nn

from selfsr_plugin.archs import (
    CycleGANGenerator,
    DomainDiscriminator,
    FlowDegradationNet,
    ProgressiveDiscriminator,
    SelfCondSRNet,
)
from selfsr_plugin.baselines.archs import DIC, WaveletSRNet

NORMAL, UNIFORM = 3.0, 1.8  # fourth moment over the squared second one


def standard_normal(_: int) -> float:
    return 1.0


def he(fan_in: int) -> float:
    """For a leaky ReLU of slope 0.2 (He et al., ICCV 2015)."""
    return math.sqrt(2 / (1 + 0.2**2) / fan_in)


def torch_default(fan_in: int) -> float:
    """Uniform within 1 / sqrt(fan_in), weights and biases."""
    return 1 / math.sqrt(3 * fan_in)


def cyclegan(_: int) -> float:
    return 0.02


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[int], float], float]] = {
    'SelfCondSRNet': (lambda: SelfCondSRNet(widths=[48, 32], num_block=2, cond_ratio=4), standard_normal, NORMAL),
    'SelfCondSRNet concat': (
        lambda: SelfCondSRNet(widths=[48, 32], num_block=1, condition='concat'),
        standard_normal,
        NORMAL,
    ),
    'ProgressiveDiscriminator': (
        lambda: ProgressiveDiscriminator(size=32, feat_base=512, feat_max=48),
        standard_normal,
        NORMAL,
    ),
    'DomainDiscriminator': (lambda: DomainDiscriminator(num_feat=24), he, NORMAL),
    'FlowDegradationNet': (lambda: FlowDegradationNet(num_feat=24, num_block=2), torch_default, UNIFORM),
    'CycleGANGenerator': (lambda: CycleGANGenerator(num_feat=24, num_block=2), cyclegan, NORMAL),
}
HEADS = ('image_head', 'flow_head')  # of FlowDegradationNet: the untrained network gives its input back


@pytest.mark.parametrize('name', NETWORKS)
def test_weights(name):
    make, scale, kurtosis = NETWORKS[name]
    torch.manual_seed(0)
    whitened = []
    for key, parameter in make().double().named_parameters():
        if key.endswith('bias'):
            continue
        if key.startswith(HEADS):
            assert not parameter.any(), key
            continue
        values = parameter.detach().flatten() / scale(parameter[0].numel())
        assert abs(values.mean()) < 5 / math.sqrt(len(values)), key
        assert abs(values.std() - 1) < 5 / math.sqrt(2 * len(values)), key
        whitened.append(values)
    everything = torch.cat(whitened)
    assert everything.square().mean().item() == pytest.approx(1, abs=5 * math.sqrt(2 / len(everything)))
    assert everything.pow(4).mean().item() == pytest.approx(kurtosis, rel=0.05)


@pytest.mark.parametrize('name', NETWORKS)
def test_biases(name):
    net = NETWORKS[name][0]()
    for key, module in net.named_modules():
        if getattr(module, 'bias', None) is None:
            continue
        if name == 'FlowDegradationNet' and not key.startswith(HEADS):
            bound = 1 / math.sqrt(module.weight[0].numel())
            assert 0.5 * bound < module.bias.abs().max() <= bound, key
        elif 'sigma' in key and key.endswith('conv2'):
            assert (module.bias == 1).all(), key
        else:
            assert not module.bias.any(), key


def after_he(weight: torch.Tensor) -> float:
    return math.sqrt(2 / weight[0].numel())


def after_he_by_outputs(weight: torch.Tensor) -> float:
    return math.sqrt(2 / (len(weight) * weight[0, 0].numel()))


@pytest.mark.parametrize(
    'make, scale',
    [
        (lambda: DIC(num_feat=10, num_step=2, num_group=2, num_fusion_block=1, hourglass_feat=8), after_he),
        (lambda: WaveletSRNet(num_feat=8, num_block=1, wavelet_feat=4), after_he_by_outputs),
    ],
    ids=['DIC', 'WaveletSRNet'],
)
def test_weights_of_networks_compared_with(make, scale):
    torch.manual_seed(0)
    whitened = []
    for name, module in make().double().named_modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and not name.startswith('hourglass'):
            assert module.bias is None or not module.bias.any(), name
            whitened.append(module.weight.detach().flatten() / scale(module.weight))
            assert abs(whitened[-1].std() - 1) < 5 / math.sqrt(2 * len(whitened[-1])), name
    assert torch.cat(whitened).pow(4).mean().item() == pytest.approx(NORMAL, rel=0.05)


def test_layers_do_not_share_their_weights():
    net = FlowDegradationNet(num_feat=8, num_block=2)
    assert not torch.equal(net.blocks[0].conv1.weight, net.blocks[1].conv1.weight)
    assert not torch.equal(net.blocks[0].conv1.weight, net.blocks[0].conv2.weight)


def test_networks_of_a_model_do_not_share_their_weights(tmp_path):
    """Two of one kind start apart, and as another seed would not start them."""
    opt = cyclegan_options(tmp_path)
    first, again, other = start(opt), start(opt), start(dict(opt, manual_seed=opt['manual_seed'] + 1))
    assert not torch.equal(first.net_deg.stem.weight, first.net_clean.stem.weight)
    assert not torch.equal(first.net_d_lq.conv1.weight, first.net_d_clean.conv1.weight)
    assert torch.equal(first.net_deg.stem.weight, again.net_deg.stem.weight)
    assert not torch.equal(first.net_deg.stem.weight, other.net_deg.stem.weight)
