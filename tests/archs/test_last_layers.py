"""16 bits hold an image to 1/256 of its range: the last layers compute in the format of what the network is given."""

import pytest
import torch
from arch_asserts import make, rand
from torch import nn

from selfsr_plugin.archs import (
    CycleGANGenerator,
    DomainDiscriminator,
    FlowDegradationNet,
    ProgressiveDiscriminator,
    SelfCondSRNet,
)

FADING = dict(level=2, alpha=0.5)  # two levels make an image
CASES = {
    CycleGANGenerator: (dict(num_feat=4, num_block=1), {}, {'to_rgb'}),
    DomainDiscriminator: (dict(num_feat=4), {}, {'to_logit'}),
    FlowDegradationNet: (dict(num_feat=4, num_block=1), {}, {'image_head', 'flow_head'}),
    ProgressiveDiscriminator: (dict(size=16, num_level=2, feat_base=32, feat_max=8), FADING, {'to_logit'}),
    SelfCondSRNet: (dict(widths=[4, 4], num_block=1), FADING, {'levels.0.to_rgb', 'levels.1.to_rgb'}),
}


@pytest.mark.parametrize('cls', CASES)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_last_layers_under_autocast_are_in_the_format_of_the_image(cls, dtype):
    arguments, growth, last = CASES[cls]
    net, seen = make(cls, **arguments).to(dtype), {}
    for name, module in net.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(lambda _, __, output, name=name: seen.update({name: output.dtype}))
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        output = net(rand(2, 3, 16, 16).to(dtype), **growth)
    assert output.dtype == dtype
    assert {seen[name] for name in last} == {dtype}
    # autocast leaves double precision alone
    assert {seen[name] for name in seen.keys() - last} == {torch.bfloat16 if dtype == torch.float32 else dtype}
