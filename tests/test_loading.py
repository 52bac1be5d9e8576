"""A checkpoint alone is enough: loading."""

import re
from pathlib import Path

import pytest
import torch

import selfsr_plugin
from selfsr_plugin.archs import (
    CycleGANGenerator,
    DomainDiscriminator,
    FlowDegradationNet,
    ProgressiveDiscriminator,
    SelfCondSRNet,
)
from selfsr_plugin.archs.layers import NormalizedConv2d
from selfsr_plugin.engine.checkpoint import save_networks
from selfsr_plugin.engine.networks import build_network, describe
from selfsr_plugin.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = [
    (SelfCondSRNet, dict(widths=[8, 6], num_block=2, cond_ratio=4)),
    (SelfCondSRNet, dict(widths=[8, 6, 4], num_block=1, condition='concat')),
    (
        SelfCondSRNet,
        dict(num_in_ch=1, widths=[9, 5, 4], num_block=3, cond_ratio=100),
    ),  # // 100: one hidden channel each
    (SelfCondSRNet, dict(widths=[40, 20], num_block=1, cond_ratio=10)),
    (SelfCondSRNet, dict(num_in_ch=4, num_out_ch=1, widths=[5], num_block=11)),
    (FlowDegradationNet, dict(num_feat=4, num_block=2, max_flow=1.5, center_flow=True)),
    (FlowDegradationNet, dict(num_in_ch=1, num_feat=3, num_block=0, max_flow=0.3)),
    (CycleGANGenerator, dict(num_feat=4, num_block=2)),
    (CycleGANGenerator, dict(num_in_ch=1, num_feat=3, num_block=11)),
    (DomainDiscriminator, dict(num_feat=4)),
    (DomainDiscriminator, dict(num_in_ch=1, num_feat=7)),
    (ProgressiveDiscriminator, dict(size=64, num_level=2, feat_base=128, feat_max=8)),
    (ProgressiveDiscriminator, dict(size=40, num_in_ch=4, num_level=2, feat_base=100, feat_max=30, stddev_group=2)),
]


def make(cls=SelfCondSRNet, seed=0, **arguments):
    torch.manual_seed(seed)
    return cls(**(arguments or NETWORKS[0][1])).eval()


def test_building_a_network_draws_nothing_from_the_generator_of_others():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    opt = dict(network_g=dict(type='SelfCondSRNet', widths=[8]), path={}, manual_seed=3)
    first, second = (build_network(opt, 'g', torch.device('cpu')).stem.weight for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before) and torch.equal(first, second)


def weights_of_before(net):
    """As this package saved them until it described networks: arguments as buffers, biases that have no effect."""
    found = dict(net.state_dict())
    buffers = {FlowDegradationNet: ('max_flow', 'center_flow'), ProgressiveDiscriminator: ('stddev_group',)}
    for name in buffers.get(type(net), ()):
        found[name] = torch.tensor(getattr(net, name))
    found.update(
        {
            f'{name}.bias': torch.zeros(module.out_channels)
            for name, module in net.named_modules()
            if isinstance(module, NormalizedConv2d)
        }
    )
    return found


def save(path, **nets):
    torch.save({key: net.state_dict() for key, net in nets.items()}, path)
    return str(path)


# ----- load -----


@pytest.mark.parametrize('described', [True, False])
@pytest.mark.parametrize('cls, arguments', NETWORKS, ids=lambda value: getattr(value, '__name__', ''))
def test_class_and_arguments_are_recovered(cls, arguments, described, tmp_path):
    net = make(cls, **arguments)
    for parameter in net.parameters():  # heads that start at zero would hide mistakes
        torch.nn.init.normal_(parameter)
    if described:
        net.built_from = describe(dict(type=cls.__name__, **arguments))
        save_networks(tmp_path / 'net.pth', dict(params=net))
    else:
        torch.save(dict(params=weights_of_before(net)), tmp_path / 'net.pth')
    loaded = selfsr_plugin.load(tmp_path / 'net.pth')
    assert type(loaded) is cls and not loaded.training
    size = arguments.get('size', 16)
    images = torch.rand(2, arguments.get('num_in_ch', 3), size, size)
    with torch.no_grad():
        torch.testing.assert_close(loaded(images), net(images), rtol=0, atol=0)


def test_arguments_that_weights_do_not_show_are_not_made_up(tmp_path):
    for number, (cls, names) in enumerate(
        [(FlowDegradationNet, 'max_flow and center_flow'), (ProgressiveDiscriminator, 'stddev_group')]
    ):
        path = save(tmp_path / f'{number}.pth', params=make(cls, **dict(NETWORKS)[cls]))
        with pytest.raises(UserError, match=f'{number}.pth does not say .*{names}'):
            selfsr_plugin.load(path)


@pytest.mark.parametrize('cls', [SelfCondSRNet, ProgressiveDiscriminator])
def test_a_file_below_the_full_scale_gives_a_network_that_runs_there(cls, tmp_path):
    arguments = dict(NETWORKS)[cls]
    net = make(cls, **arguments)
    net.built_from = describe(dict(type=cls.__name__, **arguments))
    for level, alpha in ((1, 1.0), (net.num_level, 0.25)):
        save_networks(tmp_path / 'net.pth', dict(params=net), level, alpha)
        loaded = selfsr_plugin.load(tmp_path / 'net.pth')
        side = 20 if cls is SelfCondSRNet or level == 1 else 40
        images = torch.rand(2, arguments.get('num_in_ch', 3), side, side)
        with torch.no_grad():
            assert torch.equal(loaded(images), net(images, level, alpha))
        assert getattr(loaded, 'scale', 2**level) == 2**level
    save_networks(tmp_path / 'net.pth', dict(params=net), 7, 1.0)
    with pytest.raises(UserError, match=rf'net.pth was saved at level 7: {cls.__name__} has levels 1 to'):
        selfsr_plugin.load(tmp_path / 'net.pth')
    save_networks(tmp_path / 'net.pth', dict(params=net), 'two', 1.0)
    with pytest.raises(UserError, match='net.pth was saved at level two: '):
        selfsr_plugin.load(tmp_path / 'net.pth')


def test_networks_of_others(tmp_path):
    section = dict(type='RRDBNet', num_in_ch=3, num_out_ch=3, num_feat=4, num_block=1, num_grow_ch=4)
    opt = dict(network_g=section, path={})
    net = build_network(opt, 'g', torch.device('cpu'))
    save_networks(tmp_path / 'net.pth', dict(params=net))
    content = torch.load(tmp_path / 'net.pth', weights_only=True)
    assert content['architecture'] == dict(opt['network_g'], scale=4)
    faces = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(selfsr_plugin.load(tmp_path / 'net.pth')(faces), net(faces))
    content['architecture']['type'] = 'NetOfNobody'
    torch.save(content, tmp_path / 'net.pth')
    with pytest.raises(UserError, match=r'net.pth holds a NetOfNobody, which neither this package nor BasicSR has'):
        selfsr_plugin.load(tmp_path / 'net.pth')
    content['architecture'].update(type='SelfCondSRNet')
    torch.save(content, tmp_path / 'net.pth')
    with pytest.raises(UserError, match=r'net.pth describes a SelfCondSRNet that cannot be built: .*num_feat'):
        selfsr_plugin.load(tmp_path / 'net.pth')
    content['architecture'] = describe(dict(type='SelfCondSRNet', widths=[4]))
    torch.save(content, tmp_path / 'net.pth')
    with pytest.raises(UserError, match=r'net.pth: the weights do not fit the SelfCondSRNet that the file describes'):
        selfsr_plugin.load(tmp_path / 'net.pth')


def test_the_moving_average_is_preferred(tmp_path):
    path = save(tmp_path / 'net.pth', params=make(seed=1), params_ema=make(seed=2))
    for key, seed in ((None, 2), ('params_ema', 2), ('params', 1)):
        assert torch.equal(selfsr_plugin.load(path, key).stem.weight, make(seed=seed).stem.weight)


def test_bare_weights_and_those_of_a_wrapped_network(tmp_path):
    net = make()
    torch.save(net.state_dict(), tmp_path / 'bare.pth')
    torch.save({'params': {f'module.{key}': value for key, value in net.state_dict().items()}}, tmp_path / 'ddp.pth')
    for name in ('bare.pth', 'ddp.pth'):
        assert torch.equal(selfsr_plugin.load(tmp_path / name).stem.weight, net.stem.weight)


def test_files_that_hold_no_network_of_ours(tmp_path):
    from basicsr.archs.rrdbnet_arch import RRDBNet

    save(tmp_path / 'rrdb.pth', params=RRDBNet(3, 3, 4, 8, 1, 8))
    with pytest.raises(UserError, match=r'rrdb\.pth holds the weights of none of this package.s networks \(.*SelfCond'):
        selfsr_plugin.load(tmp_path / 'rrdb.pth')
    weights = make().state_dict()
    del weights['levels.1.blocks.1.conv2.weight']
    torch.save({'params': weights}, tmp_path / 'part.pth')
    with pytest.raises(UserError, match=r'part\.pth holds the weights of none'):
        selfsr_plugin.load(tmp_path / 'part.pth')
    torch.save({'iter': 3, 'optimizers': []}, tmp_path / '3.state')
    with pytest.raises(UserError, match=r'3\.state holds no weights of a network'):
        selfsr_plugin.load(tmp_path / '3.state')
    (tmp_path / 'text.pth').write_text('text')
    with pytest.raises(UserError, match=r'text\.pth cannot be read as a checkpoint'):
        selfsr_plugin.load(tmp_path / 'text.pth')
    with pytest.raises(FileNotFoundError, match=r'there is no checkpoint .*none\.pth\.'):
        selfsr_plugin.load(tmp_path / 'none.pth')
    (tmp_path / 'net_deg_9.pth').touch()
    with pytest.raises(
        FileNotFoundError, match=r'no checkpoint .*net_deg_latest\.pth; its folder has net_deg_9\.pth\.'
    ):
        selfsr_plugin.load(tmp_path / 'net_deg_latest.pth')
    net = make()
    net.stem.weight.data[0] = torch.nan
    with pytest.raises(UserError, match=r'nan\.pth holds values that are not finite'):
        selfsr_plugin.load(save(tmp_path / 'nan.pth', params=net))
    with pytest.raises(UserError, match="no weights under the key 'params_ema'; it has params"):
        selfsr_plugin.load(save(tmp_path / 'net.pth', params=make()), 'params_ema')


def test_the_three_lines_of_the_model_card(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('experiments/train_selfsr_real/models').mkdir(parents=True)
    save('experiments/train_selfsr_real/models/net_g_latest.pth', params=make())
    code = re.search(r'```python\n(.*?)```', (ROOT / 'docs/model_card.md').read_text(), re.S)[1]
    names = dict(faces=torch.rand(2, 3, 16, 16))
    exec(code, names)
    assert names['restored'].shape == (2, 3, 64, 64) and len(code.split('\n\n')[1].splitlines()) == 2
