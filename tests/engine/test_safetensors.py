"""Files of safetensors: the whole network is in them, damage is found, and other programs read and write them."""

import json
import os

import pytest
import torch
from common_kit import small_network
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import selfsr_plugin
from selfsr_plugin.archs import SelfCondSRNet
from selfsr_plugin.engine.checkpoint import load_checkpoint, select_weights
from selfsr_plugin.errors import UserError


@pytest.fixture
def saved(tmp_path):
    """A network that runs at level 1 of 2, and its file."""
    net = small_network()
    net.grow_to(1)
    selfsr_plugin.save(net, tmp_path / 'g.safetensors')
    return net, tmp_path / 'g.safetensors'


def test_the_file_alone_is_enough(saved):
    net, path = saved
    found = selfsr_plugin.load(path)
    assert type(found) is SelfCondSRNet and found.arguments == net.arguments
    assert (found.level, found.alpha, found.training) == (1, 1.0, False)
    images = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(found(images), net(images))


def test_other_programs_read_the_weights_and_the_description(saved):
    net, path = saved
    weights = load_file(path)
    assert weights.keys() == net.state_dict().keys()
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())
    with safe_open(path, 'pt') as file:
        said = json.loads(file.metadata()['selfsr_plugin'])
    assert said['architecture'] == dict(type='SelfCondSRNet', **net.arguments) and said['level'] == 1


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_what_other_programs_write_is_read(dtype, tmp_path):
    net = small_network()
    weights = {name: value.to(dtype) for name, value in net.state_dict().items()}
    save_file(weights, tmp_path / 'g.safetensors', {'format': 'pt'})
    found = selfsr_plugin.load(tmp_path / 'g.safetensors')
    assert found.stem.weight.dtype == torch.float32
    for name, value in found.state_dict().items():
        assert torch.equal(value, weights[name].float()), name


def test_the_same_network_gives_the_same_bytes(saved, tmp_path):
    net, path = saved
    for number in range(5):
        selfsr_plugin.save(net, tmp_path / f'{number}.safetensors')
        assert (tmp_path / f'{number}.safetensors').read_bytes() == path.read_bytes()


def test_capitals_in_the_ending_make_no_other_file(saved, tmp_path):
    net, path = saved
    selfsr_plugin.save(net, tmp_path / 'other.SafeTensors')
    assert (tmp_path / 'other.SafeTensors').read_bytes() == path.read_bytes()
    assert selfsr_plugin.load(tmp_path / 'other.SafeTensors').level == net.level


def test_damage_is_found(saved):
    net, path = saved
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], 'little')
    flipped = [bytearray(data) for _ in range(20)]
    for number, each in enumerate(flipped):
        each[start + (len(data) - start - 1) * number // 19] ^= 1 << number % 8
    damaged = (data[:-1], data[: len(data) // 2], b'no tensors', b'\xff' * 64, *map(bytes, flipped))
    for broken, reason in [(b'', 'it is empty'), *((each, 'it is damaged or no safet') for each in damaged)]:
        path.write_bytes(broken)
        with pytest.raises(UserError, match=f'g.safetensors cannot be read as a checkpoint: {reason}'):
            selfsr_plugin.load(path)


def test_a_description_that_cannot_be_read(saved):
    net, path = saved
    for said in ('no json', '[1]', '{}', '{"crc32": 3}'):
        save_file(net.state_dict(), path, {'selfsr_plugin': said})
        with pytest.raises(UserError, match='cannot be read as a checkpoint'):
            selfsr_plugin.load(path)


def test_places_of_option_files_read_it_as_a_checkpoint(saved):
    net, path = saved
    content = load_checkpoint(path)
    key, weights = select_weights(content, path)
    assert key == 'params' and content['level'] == 1 and content['architecture']['type'] == 'SelfCondSRNet'
    assert torch.equal(weights['stem.weight'], net.stem.weight)
    with pytest.raises(UserError, match="no weights under the key 'params_ema'; it has params"):
        select_weights(content, path, 'params_ema')


def test_a_network_that_does_not_say_how_it_was_built(tmp_path):
    with pytest.raises(UserError, match='this Linear does not say how it was built'):
        selfsr_plugin.save(torch.nn.Linear(2, 2), tmp_path / 'g.safetensors')


def test_new_weights_are_on_the_disk_before_they_take_the_name(saved, monkeypatch):
    net, path = saved
    events, sync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, 'fsync', lambda number: (events.append('sync'), sync(number)))
    monkeypatch.setattr(os, 'replace', lambda *names: (events.append('rename'), replace(*names)))
    selfsr_plugin.save(net, path)
    assert events == ['sync', 'rename', 'sync']


def test_a_failed_write_leaves_what_was_there(saved, monkeypatch):
    net, path = saved
    before = path.read_bytes()
    monkeypatch.setattr('os.replace', lambda *_: (_ for _ in ()).throw(OSError(28, 'No space left on device')))
    for name in ('g.safetensors', 'h.pth'):
        with pytest.raises(OSError, match=name):
            selfsr_plugin.save(net, path.with_name(name))
    assert path.read_bytes() == before and [each.name for each in path.parent.iterdir()] == ['g.safetensors']
