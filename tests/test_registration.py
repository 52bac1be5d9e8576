"""What BasicSR's registries hold with this package beside it, and what it costs."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from basicsr.archs import build_network
from basicsr.data.paired_image_dataset import PairedImageDataset
from basicsr.utils import registry as registries
from torch import nn
from torch.utils.data import Dataset

from selfsr_plugin import archs, baselines, data, losses, metrics, registration, stages


def is_part(exported: object) -> bool:
    """A class, and not one that only names what a network gives."""
    return inspect.isclass(exported) and not issubclass(exported, tuple)


def test_every_public_part_is_registered():
    """A new network that is exported and not listed in registration.py could not be named in an option file."""
    found = {
        'ARCH_REGISTRY': {name for name in archs.__all__ if issubclass(getattr(archs, name), nn.Module)},
        'DATASET_REGISTRY': {
            name
            for name in data.__all__
            if name.endswith('Dataset') and issubclass(getattr(data, name), Dataset) and name != 'SeededDataset'
        },
        'LOSS_REGISTRY': set(losses.__all__),
        'METRIC_REGISTRY': {name for name in metrics.__all__ if name.startswith('calculate_')},
        'MODEL_REGISTRY': set(stages.__all__),
    }
    for registry, room in (('ARCH_REGISTRY', 'archs'), ('DATASET_REGISTRY', 'data'), ('MODEL_REGISTRY', 'models')):
        if (Path(baselines.__file__).parent / room).is_dir():
            exported = importlib.import_module(f'selfsr_plugin.baselines.{room}')
            found[registry] |= {name for name in exported.__all__ if is_part(getattr(exported, name))}
    assert found == {registry: set(names) for registry, names in registration.ENTRIES.items()}


@pytest.mark.parametrize('registry, name', [(r, n) for r, names in registration.ENTRIES.items() for n in names])
def test_looking_up_gives_the_part_itself(registry: str, name: str):
    entries = getattr(registries, registry)
    part = entries.get(name)
    assert name in entries and part is dict(iter(entries))[name] and part.__name__ == name
    assert part.__module__.startswith('selfsr_plugin.') and (inspect.isclass(part) or inspect.isfunction(part))


def test_basicsr_own_entries_and_errors_are_as_ever(capsys: pytest.CaptureFixture):
    assert registries.DATASET_REGISTRY.get('PairedImageDataset') is PairedImageDataset
    assert registries.ARCH_REGISTRY.get('VGGStyleDiscriminator').__name__ == 'VGGStyleDiscriminator'  # has a suffix
    with pytest.raises(KeyError, match="No object named 'SelfCondSRNett' found in 'arch' registry!"):
        registries.ARCH_REGISTRY.get('SelfCondSRNett')


@pytest.fixture
def arch_registry(monkeypatch: pytest.MonkeyPatch):
    """BasicSR's, whose entries are put back after the test."""
    registry = registries.ARCH_REGISTRY
    monkeypatch.setattr(registry._obj_map, 'data', dict(registry._obj_map.data))
    return registry


def test_another_project_may_have_a_name_of_ours(arch_registry):
    class SelfCondSRNet(nn.Module):
        pass

    arch_registry.register()(SelfCondSRNet)
    assert isinstance(build_network({'type': 'SelfCondSRNet'}), SelfCondSRNet)
    assert not registration.is_ours('ARCH_REGISTRY', 'SelfCondSRNet')
    with pytest.raises(AssertionError, match='already registered'):  # twice is a mistake, as without us
        arch_registry.register(SelfCondSRNet)


def test_registering_again_changes_nothing():
    """As where the hook at the start has done it before the package is imported."""
    before = {name: getattr(registries, name)._obj_map for name in registration.ENTRIES}
    registration.register()
    assert all(getattr(registries, name)._obj_map is entries for name, entries in before.items())
    assert registration.is_ours('METRIC_REGISTRY', 'calculate_blur')


def test_with_a_suffix_it_is_another_name_and_ours_stays(arch_registry):
    class SelfCondSRNet(nn.Module):
        pass

    arch_registry.register(SelfCondSRNet, 'theirs')
    assert arch_registry.get('SelfCondSRNet') is archs.SelfCondSRNet
    assert arch_registry.get('SelfCondSRNet_theirs') is SelfCondSRNet


def test_a_name_that_is_taken_stays_what_it_was(monkeypatch):
    """By a project that was imported before this package."""

    class Registry:
        def __init__(self, **entries):
            self._obj_map = entries

        def _do_register(self, name, obj, suffix=None):
            raise AssertionError

    theirs = {name: Registry(calculate_lpips='theirs') for name in registration.ENTRIES}
    monkeypatch.setitem(sys.modules, 'basicsr.utils.registry', SimpleNamespace(**theirs))
    registration.register()
    entries = theirs['METRIC_REGISTRY']._obj_map
    assert entries['calculate_lpips'] == 'theirs' and not entries.is_ours('calculate_lpips')
    assert entries.is_ours('calculate_fid')


def test_what_derives_from_ours_is_recognised(arch_registry):
    class Wider(archs.SelfCondSRNet):
        pass

    class SelfCondSRNet(nn.Module):  # the name alone makes it none of ours
        pass

    arch_registry.register(Wider)
    assert registration.is_ours('ARCH_REGISTRY', 'Wider')
    assert registration.base_of_ours('ARCH_REGISTRY', Wider) == 'SelfCondSRNet'
    assert registration.base_of_ours('ARCH_REGISTRY', SelfCondSRNet) is None
    assert not registration.is_ours('ARCH_REGISTRY', 'RRDBNet')
    assert not registration.is_ours('ARCH_REGISTRY', 'Unknown') and not registration.is_ours('ARCH_REGISTRY', ['Wider'])


def test_what_counts_as_using_the_package():
    assert registration.uses_plugin({'network_g': {'type': 'SelfCondSRNet'}})
    assert registration.uses_plugin({'model_type': 'SelFSRModel'})
    assert registration.uses_plugin({'val': {'metrics': {'a': {'type': 'calculate_lpips'}}}})
    assert not registration.uses_plugin(
        {'model_type': 'SRModel', 'network_g': {'type': 'RRDBNet'}, 'name': 'SelfCondSRNet'}
    )


# Which modules `import basicsr` may load because of us: these files, none of which does more than hold names.
LIGHT = {
    'selfsr_plugin',
    'selfsr_plugin.basicsr_compat',
    'selfsr_plugin.hook',
    'selfsr_plugin.hook.autoload',
    'selfsr_plugin.basicsr_compat.aliases',
    'selfsr_plugin.registration',
}
COST = """
import sys
import selfsr_plugin
assert 'torch' not in sys.modules and 'basicsr' not in sys.modules and 'cv2' not in sys.modules
import basicsr
others = ('mmcv', 'mmengine', 'facexlib', 'lpips')
print(*(name for name in sys.modules if name.split('.')[0] in ('selfsr_plugin', *others)))
from basicsr.utils.registry import ARCH_REGISTRY
assert 'SelfCondSRNet' in ARCH_REGISTRY
from selfsr_plugin.hook.entry_points import is_for_us  # what python -m basicsr.train asks
for model in ('SRModel', 'SelFSRModel'):
    with open('options.yml', 'w') as file:
        file.write('model_type: ' + model)
    assert is_for_us(['-opt', 'options.yml']) == (model == 'SelFSRModel')
print(*(name for name in sys.modules if name.split('.')[0] == 'selfsr_plugin'))
import selfsr_plugin.stages, selfsr_plugin.metrics
print(*(name for name in sys.modules if name in ('mmcv', 'mmengine', 'facexlib', 'lpips')))
"""


def test_importing_basicsr_loads_names_only(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, '-c', COST],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={'PYTHONPATH': str(Path(__file__).parents[1]), 'SELFSR_AUTOLOAD': '0'},
    )
    assert done.returncode == 0, done.stderr
    loaded, asked, heavy = done.stdout.split('\n')[:3]
    assert set(loaded.split()) <= LIGHT and heavy == ''
    assert set(asked.split()) <= LIGHT | {'selfsr_plugin.hook.entry_points'}
