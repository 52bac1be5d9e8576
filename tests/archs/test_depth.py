"""However many blocks a network is asked to have, each has a part in what it gives."""

import pytest
import torch
from arch_asserts import make, rand

from selfsr_plugin.archs import CycleGANGenerator, FlowDegradationNet, ProgressiveDiscriminator, SelfCondSRNet

DEEP = {
    'SelfCondSRNet': (SelfCondSRNet, dict(widths=[4, 3, 3, 2], num_block=5), (1, 3, 4, 4)),
    'vanilla': (SelfCondSRNet, dict(widths=[4], num_block=6, condition='concat'), (1, 3, 4, 4)),
    'FlowDegradationNet': (FlowDegradationNet, dict(num_feat=2, num_block=7), (1, 3, 8, 8)),
    'CycleGANGenerator': (CycleGANGenerator, dict(num_feat=2, num_block=7), (1, 3, 8, 8)),
    'ProgressiveDiscriminator': (
        ProgressiveDiscriminator,
        dict(size=128, num_level=5, feat_base=128, feat_max=4),
        (2, 3, 128, 128),
    ),
}


@pytest.mark.parametrize('name', DEEP)
def test_every_layer_has_a_gradient(name):
    cls, arguments, shape = DEEP[name]
    net = make(cls, **arguments).double()
    output = net(rand(*shape).double())
    (output * rand(*output.shape, seed=1).double()).sum().backward()
    without = {key for key, each in net.named_parameters() if each.grad is None or not each.grad.any()}
    # of levels below the last, which only they are shown by
    assert all(key.startswith(('levels.', 'from_rgb.')) and 'rgb' in key for key in without), without
    assert all(torch.isfinite(each.grad).all() for key, each in net.named_parameters() if key not in without)
