"""Which option files this package takes from ``python -m basicsr.train``: its models', and those of derived classes."""

from pathlib import Path

import pytest
from basicsr.utils.registry import MODEL_REGISTRY

from selfsr_plugin.hook.entry_points import is_for_us
from selfsr_plugin.stages import SelfCondSRModel

OURS = {
    'our model': 'model_type: SelFSRModel\n',
    'in quotes, with a comment': '# of us\n\'model_type\': "SelfCondSRModel"  # stage 2\n',
    'derived from ours': 'model_type: TheirSRModel\n',
    'in braces': '{name: a, model_type: SelFSRModel}\n',
    'by an anchor': 'base: &base\n  model_type: SelFSRModel\n<<: *base\n',
    'not valid YAML': 'name: [1\nmodel_type: SelFSRModel\n',
    'a typing error, in a file with our network': 'model_type: SelFSRModell\nnetwork_g:\n  type: SelfCondSRNet\n',
    'no model, in a file with our data': 'datasets:\n  train:\n    type: UnpairedFaceDataset\n',
}
THEIRS = {
    'their model': 'model_type: SRModel\n',
    'their model with our network': 'model_type: SRModel\nnetwork_g:\n  type: SelfCondSRNet\n',
    'ours in a comment': 'model_type: SRModel\n# model_type: SelFSRModel\n',
    'ours in a nested section': 'model_type: SRModel\ntrain:\n  degradation:\n    model_type: FlowDegradationModel\n',
    'code': 'model_type: SRModel\nscale: !!python/object/apply:os.getcwd []\n',
    'a key given twice': 'model_type: SRModel\nname: a\nname: b\n',
    'unknown model': 'model_type: Unknown\n',
    'not valid YAML': 'name: [1\nmodel_type: SRModel\n# model_type: SelFSRModel\n',
    'no mapping': '- model_type\n',
    'empty': '',
}


@pytest.fixture(autouse=True)
def their_model(monkeypatch: pytest.MonkeyPatch):
    class TheirSRModel(SelfCondSRModel):
        pass

    monkeypatch.setattr(MODEL_REGISTRY._obj_map, 'data', dict(MODEL_REGISTRY._obj_map.data))
    MODEL_REGISTRY.register(TheirSRModel)


@pytest.mark.parametrize(
    'text, ours',
    [*((text, True) for text in OURS.values()), *((text, False) for text in THEIRS.values())],
    ids=[*OURS, *(f'theirs: {name}' for name in THEIRS)],
)
def test_whose_file(text: str, ours: bool, tmp_path: Path):
    file = tmp_path / 'options.yml'
    file.write_text(text)
    assert is_for_us(['-opt', str(file)]) is ours
    assert is_for_us(['--launcher', 'pytorch', f'-opt={file}', '--debug']) is ours


def test_the_command_line_decides_as_well(tmp_path: Path):
    file = tmp_path / 'options.yml'
    file.write_bytes(b'model_type: SRModel\nname: \xff\n')
    assert not is_for_us(['-opt', str(file)])
    assert is_for_us(['-opt', str(file), '--force_yml', 'name=a', 'model_type=SelFSRModel'])
    assert is_for_us(['-opt', str(tmp_path / 'none.yml')])  # it is said in a sentence
    for usage in ([], ['--help'], ['-opt']):  # BasicSR's parser answers
        assert not is_for_us(usage)
