"""Every key that the methods compared with accept changes something, as those of SelFSR's models do.

The keys of the engine (rates, precision, ...) are shown by tests/stages/test_every_option.py.
"""

import copy
from typing import Any

import pytest
from basicsr.archs import build_network
from basicsr.models import build_model
from method_kit import CASES, batch
from model_kit import digest

from selfsr_plugin.engine.stage_options import StageOptions
from selfsr_plugin.errors import UserError
from selfsr_plugin.schema import options_of, registered

ITERATIONS = 3  # and the first of the second stage, where there are two
OF_ENGINE = options_of(StageOptions).keys()
IN_OTHER_TESTS = {  # of SelfCondSRModel, whose code it is: tests/stages
    'checkpointing',
    'perceptual_opt',
}
# Left out of some of the tiny options and among those of others: losses and rates of adversaries, of features.
OF_CASES = ('optim_', 'gan_opt', 'feature_opt', 'pixel_opt')
# Values of keys that the tiny options leave at their default; of the others see changed().
ANOTHER = {
    'heatmap_sigma': 2.0,
    'low_weight': 3.0,
    'high_weight': 3.0,
    'image_weight': 3.0,
    'texture_weight': 3.0,
    'texture_alpha': 3.0,
    'attention_sigma': 0.2,
    'lq_noise': 9.0,
    'net_d_reg_every': 2,
    'net_d_iters': 2,
    'net_d_init_iters': 2,
    'ema_decay': 0.5,
    'supervision': 'unpaired',
}


def changed(value: Any) -> Any:
    """Another value of an option or an argument of a network."""
    if isinstance(value, dict):  # a loss or an optimizer
        key = 'loss_weight' if 'loss_weight' in value else 'lr'
        return {**value, key: 3 * value[key]}
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return [2 * each or 1 for each in value]
    return 2 * value or 2


def outcome(opt: dict[str, Any]) -> str:
    """A digest of the weights that a short training leaves, or the sentence that refuses it."""
    try:
        model = build_model(copy.deepcopy(opt))
        for i in range(1, ITERATIONS + 1 + ('sr' in opt['train'])):
            model.update_learning_rate(i, -1)
            model.feed_data(batch(i, opt, size=2))
            model.optimize_parameters(i)
    except UserError as error:
        return str(error)
    return digest(getattr(model, 'stage', model))


@pytest.fixture(scope='module', params=CASES)
def case(request, tmp_path_factory):
    opt = CASES[request.param](tmp_path_factory.mktemp(request.param))
    return opt, outcome(opt)


def test_every_key_of_a_model_changes_what_it_computes(case):
    opt, before = case
    assert outcome(opt) == before and ' ' not in before  # the same again, and no refusal
    options_class = registered('MODEL_REGISTRY', opt['model_type']).options_class
    for part in ('degradation', 'sr') if 'sr' in opt['train'] else ('',):
        given = opt['train'][part] if part else opt['train']
        keys = options_of(options_of(options_class)[part][0] if part else options_class).keys()
        for key in sorted(keys - OF_ENGINE - IN_OTHER_TESTS):
            if key not in given and key.startswith(OF_CASES):
                continue
            other = copy.deepcopy(opt)
            train = other['train'][part] if part else other['train']
            train[key] = ANOTHER[key] if key in ANOTHER else changed(given[key])
            assert outcome(other) != before, (part, key)


def test_every_argument_of_a_network_changes_it(case):
    opt, before = case
    for label, section in opt.items():
        if not label.startswith('network_'):
            continue
        shapes = shapes_of(section)
        for key in section.keys() - {'type', 'head'}:
            other = {**section, key: changed(section[key])}
            assert shapes_of(other) != shapes or outcome({**opt, label: other}) != before, (label, key)


def shapes_of(section: dict[str, Any]) -> Any:
    """Names and shapes of the weights, or the sentence that refuses them."""
    try:
        return {name: each.shape for name, each in build_network(copy.deepcopy(section)).state_dict().items()}
    except (UserError, ValueError) as error:
        return str(error)
