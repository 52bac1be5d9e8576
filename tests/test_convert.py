"""Converting gives the same network: other format, half precision, without levels that were not trained."""

import pytest
import torch
from common_kit import refused, save_params, small_network

import selfsr_plugin
from selfsr_plugin import convert
from selfsr_plugin.archs import FlowDegradationNet
from selfsr_plugin.engine.checkpoint import save_networks


def run(capsys, *arguments):
    convert.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def images_of(path):
    with torch.no_grad():
        return selfsr_plugin.load(path)(torch.rand(2, 3, 9, 14, generator=torch.Generator().manual_seed(3)))


@pytest.mark.parametrize('ending', ['.safetensors', '.pth'])
def test_the_moving_average_alone_is_written(ending, tmp_path, capsys):
    model = save_params(tmp_path / 'g.pth', params=small_network(seed=1), params_ema=small_network(seed=2))
    output = tmp_path / f'new/face{ending}'
    said = run(capsys, '--model', model, '--output', output)
    assert 'SelfCondSRNet, ' in said and '--model: 0.0e+00' in said
    assert torch.equal(images_of(output), images_of(model))
    run(capsys, '--model', model, '--key', 'params', '--output', output)
    assert not torch.equal(images_of(output), images_of(model))


def test_half_precision_is_half_the_size_and_close(tmp_path, capsys):
    model = save_params(tmp_path / 'g.pth', params=small_network(widths=[32, 16], num_block=1))
    for name, options in (('full', []), ('half', ['--fp16'])):
        run(capsys, '--model', model, '--output', tmp_path / f'{name}.safetensors', *options)
    full, half = ((tmp_path / f'{name}.safetensors').stat().st_size for name in ('full', 'half'))
    assert 0.5 <= half / full < 0.65
    assert selfsr_plugin.load(tmp_path / 'half.safetensors').stem.weight.dtype == torch.float32
    difference = (images_of(tmp_path / 'half.safetensors') - images_of(model)).abs().max()
    assert 0 < difference < 0.01


def test_levels_that_were_not_trained_are_left_out(tmp_path, capsys):
    net = small_network(widths=[8, 6, 4], num_block=1, cond_ratio=4)
    save_networks(tmp_path / 'g.pth', dict(params=net), level=2, alpha=1.0)
    torch.save(
        dict(torch.load(tmp_path / 'g.pth'), architecture=dict(type='SelfCondSRNet', **net.arguments)),
        tmp_path / 'g.pth',
    )
    assert '2 of 3 levels' in run(capsys, '--model', tmp_path / 'g.pth', '--output', tmp_path / 'g.safetensors')
    found = selfsr_plugin.load(tmp_path / 'g.safetensors')
    assert (found.scale, found.num_level) == (4, 2)
    assert torch.equal(images_of(tmp_path / 'g.safetensors'), images_of(tmp_path / 'g.pth'))


def test_a_level_that_is_faded_in_stays_so_and_it_is_said(tmp_path, capsys):
    net = small_network(widths=[8, 6, 4], num_block=1)
    torch.save(
        dict(params=net.state_dict(), architecture=dict(type='SelfCondSRNet', **net.arguments), level=2, alpha=0.25),
        tmp_path / 'g.pth',
    )
    assert 'alpha 0.25' in run(capsys, '--model', tmp_path / 'g.pth', '--output', tmp_path / 'g.safetensors')
    assert torch.equal(images_of(tmp_path / 'g.safetensors'), images_of(tmp_path / 'g.pth'))


def test_other_networks(tmp_path, capsys):
    net = small_network(FlowDegradationNet, num_feat=4, num_block=1, max_flow=0.3)
    net.flow_head.weight.data.normal_()
    torch.save(
        dict(
            params=net.state_dict(), architecture=dict(type='FlowDegradationNet', num_feat=4, num_block=1, max_flow=0.3)
        ),
        tmp_path / 'deg.pth',
    )
    run(capsys, '--model', tmp_path / 'deg.pth', '--output', tmp_path / 'deg.safetensors')
    assert torch.equal(images_of(tmp_path / 'deg.safetensors'), images_of(tmp_path / 'deg.pth'))


def test_what_cannot_be_written(tmp_path, capsys):
    net = small_network()
    model = save_params(tmp_path / 'g.pth', params=net)
    before = (tmp_path / 'g.pth').read_bytes()
    assert 'is the file that is read' in refused(capsys, convert.main, '--model', model, '--output', model)
    assert (tmp_path / 'g.pth').read_bytes() == before
    assert 'must end with .safetensors or .pth' in refused(
        capsys, convert.main, '--model', model, '--output', tmp_path / 'g.onnx'
    )
    (tmp_path / 'file').write_text('')
    message = refused(capsys, convert.main, '--model', model, '--output', tmp_path / 'file/g.safetensors')
    assert 'file/g.safetensors cannot be written' in message
    net.stem.weight.data[0, 0, 0, 0] = 1e6
    model = save_params(tmp_path / 'large.pth', params=net)
    message = refused(capsys, convert.main, '--model', model, '--output', tmp_path / 'h.pth', '--fp16')
    assert 'stem.weight has values that half precision cannot hold' in message and not (tmp_path / 'h.pth').exists()
