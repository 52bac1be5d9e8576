"""spandrel loads our files as selfsr_plugin.load does."""

import pytest
import torch
from common_kit import save_params, small_network
from safetensors.torch import save_file

import selfsr_plugin
from selfsr_plugin.archs import CycleGANGenerator, FlowDegradationNet, ProgressiveDiscriminator, SelfCondSRNet

spandrel = pytest.importorskip('spandrel', reason='spandrel is not installed')

NETWORKS = [
    dict(widths=[8, 6], num_block=2, cond_ratio=4),
    dict(num_in_ch=1, num_out_ch=1, widths=[5], num_block=1),
    dict(num_in_ch=4, num_out_ch=3, widths=[9, 5, 4], num_block=11, condition='concat'),
]


def images(net, side=9):
    return torch.rand(1, net.arguments['num_in_ch'], side, side + 4, generator=torch.Generator().manual_seed(0))


def outputs(net):
    with torch.no_grad():
        return net(images(net)).clamp(0, 1)


@pytest.mark.parametrize('arguments', NETWORKS, ids=lambda each: f'x{2 ** len(each["widths"])}')
@pytest.mark.parametrize('kind', ['params', 'params_ema', 'described', 'bare', 'module', 'safetensors', 'fp16'])
def test_every_kind_of_file_gives_the_same_bits(arguments, kind, tmp_path):
    net = small_network(**arguments)
    path = tmp_path / 'g.pth'
    weights = net.state_dict()
    if kind == 'described':
        selfsr_plugin.save(net, path)
    elif kind == 'params_ema':
        save_params(path, params=small_network(seed=5, **arguments), params_ema=net)
    elif kind in ('safetensors', 'fp16'):
        path = path.with_suffix('.safetensors')
        selfsr_plugin.save(net, path, fp16=kind == 'fp16')
    elif kind == 'params':
        save_params(path, params=net)
    else:
        torch.save({f'module.{name}' if kind == 'module' else name: value for name, value in weights.items()}, path)
    found = spandrel.ModelLoader().load_from_file(path)
    assert isinstance(found, spandrel.ImageModelDescriptor) and isinstance(found.model, SelfCondSRNet)
    assert (found.architecture.id, found.scale) == ('SelfCondSRNet', 2 ** len(arguments['widths']))
    assert found.purpose == 'SR'  # programs give a 'FaceSR' aligned faces of 512x512
    assert (found.input_channels, found.output_channels) == (net.arguments['num_in_ch'], net.arguments['num_out_ch'])
    assert torch.equal(found(images(net)), outputs(selfsr_plugin.load(path)))
    if kind != 'fp16':
        assert torch.equal(found(images(net)), outputs(net))


def test_a_file_of_before_with_biases_that_have_no_effect(tmp_path):
    net = small_network()
    weights = dict(net.state_dict())
    weights.update({f'levels.0.blocks.{i}.conv{j}.bias': torch.ones(8) for i in range(2) for j in (1, 2)})
    save_file(weights, tmp_path / 'g.safetensors')
    assert torch.equal(spandrel.ModelLoader().load_from_file(tmp_path / 'g.safetensors')(images(net)), outputs(net))


def test_half_precision():
    net = small_network()
    found = spandrel.MAIN_REGISTRY.load(net.state_dict())
    with pytest.raises(spandrel.UnsupportedDtypeError):
        found.bfloat16()
    assert (found.half()(images(net).half()).float() - outputs(net)).abs().max() < 0.01


@pytest.mark.parametrize(
    'cls, arguments',
    [
        (FlowDegradationNet, dict(num_feat=4, num_block=2)),
        (CycleGANGenerator, dict(num_feat=4, num_block=2)),
        (ProgressiveDiscriminator, dict(size=16, num_level=2, feat_base=128, feat_max=8)),
    ],
)
def test_our_other_networks_are_not_taken_for_it(cls, arguments):
    support = spandrel.MAIN_REGISTRY['SelfCondSRNet']
    assert support.detect(small_network().state_dict())
    assert not support.detect(small_network(cls, **arguments).state_dict())


def test_no_architecture_of_spandrels_takes_our_files():
    found = [each.architecture.id for each in spandrel.MAIN_REGISTRY if each.detect(small_network().state_dict())]
    assert found == ['SelfCondSRNet']


def test_importing_either_is_enough():
    assert 'SelfCondSRNet' in spandrel.MAIN_REGISTRY  # by the finder of `import selfsr_plugin`
    before = len(spandrel.MAIN_REGISTRY)
    import selfsr_plugin.spandrel as ours

    assert len(spandrel.MAIN_REGISTRY) == before
    registry = spandrel.ArchRegistry()
    registry.add(spandrel.ArchSupport.from_architecture(ours.SelfCondSRNetArch()))
    assert isinstance(registry.load(small_network().state_dict()).model, SelfCondSRNet)
