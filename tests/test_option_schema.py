"""options/schema.json, by which editors complete and check option files, agrees with the check of option files."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from selfsr_plugin.options import apply_overrides

jsonschema = pytest.importorskip('jsonschema')
OPTIONS = Path(__file__).resolve().parents[1] / 'options'
VALIDATOR = jsonschema.Draft7Validator(json.loads((OPTIONS / 'schema.json').read_text('utf-8')))


def errors(path, *overrides):
    opt = yaml.safe_load((OPTIONS / path).read_text('utf-8'))
    apply_overrides(opt, overrides)
    return [f'{".".join(map(str, error.absolute_path))}: {error.message}' for error in VALIDATOR.iter_errors(opt)]


def test_it_is_a_schema():
    jsonschema.Draft7Validator.check_schema(VALIDATOR.schema)


@pytest.mark.parametrize('path', sorted(str(path.relative_to(OPTIONS)) for path in OPTIONS.rglob('*.yml')))
def test_every_option_file_fits(path):
    assert errors(path) == []


@pytest.mark.parametrize(
    'override, where',
    [
        ('nam=x', "'nam' was unexpected"),
        ('train:sr:grow_att=[5]', "train.sr: Additional properties are not allowed ('grow_att' was unexpected)"),
        ('train:sr:supervision=pairs', "train.sr.supervision: 'pairs' is not one of"),
        ('train:sr:ema_decay=1.5', 'train.sr.ema_decay: 1.5 is greater than or equal to the maximum of 1'),
        ('train:sr:optim_g:beta=[0.0, 0.9]', "train.sr.optim_g: Additional properties are not allowed ('beta' was"),
        ('train:sr:optim_g:type=Adan', "train.sr.optim_g.type: 'Adan' is not one of"),
        ('train:sr:pixel_opt:loss_wight=1', 'train.sr.pixel_opt: Additional properties are not allowed'),
        ('train:degradation:pool_size=5', "train.degradation: Additional properties are not allowed ('pool_size' was"),
        (
            'train:degradation:model_type=CycleGANDegradationModel',
            "train.degradation: 'optim_clean' is a required property",
        ),
        ('network_g:num_block=four', "network_g.num_block: 'four' is not of type 'integer'"),
        ('network_g:type=SelfCondSRNett', "network_g.type: 'SelfCondSRNett' is not one of"),
        ('datasets:train:gt_sizes=64', "'gt_sizes' was unexpected"),
        ('datasets:train:batch_size_per_gpu=0', 'datasets.train.batch_size_per_gpu: 0 is less than the minimum of 1'),
        ('logger:print_freq=0', 'logger.print_freq: 0 is less than the minimum of 1'),
        ('val:suffix=x', "val: {'"),  # may be ~ as well, and then jsonschema does not say what is wrong
        ('val:metrics:psnr:type=calculate_psnrr', "val: {'"),
    ],
)
def test_mistakes_are_seen(override, where):
    found = errors('train_selfsr_demo.yml', override)
    assert any(where in each for each in found), found


def test_files_of_basicsrs_models_are_left_alone():
    opt = yaml.safe_load((OPTIONS / 'examples/train_selfcondsrnet_in_srmodel.yml').read_text('utf-8'))
    assert not list(VALIDATOR.iter_errors({**copy.deepcopy(opt), 'anything': 1}))
