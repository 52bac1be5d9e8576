"""Every model trains as it did when the published figures were made, loss by loss, through growth and both stages."""

import json

import baseline_model_cases
import model_cases
import pytest
from golden_kit import FOLDER, differences

STORED = json.loads((FOLDER / 'models.json').read_text(encoding='utf-8'))
BASELINES = json.loads((FOLDER / 'baseline_models.json').read_text(encoding='utf-8'))


def test_every_case_is_stored():
    assert list(STORED) == list(model_cases.CASES)
    assert list(BASELINES) == list(baseline_model_cases.CASES)


@pytest.mark.parametrize('name', model_cases.CASES)
def test_model(name):
    assert not differences(model_cases.compute(name), STORED[name], 1e-6)


@pytest.mark.parametrize('name', baseline_model_cases.CASES)
def test_baseline_model(name):
    assert not differences(baseline_model_cases.compute(name), BASELINES[name], 1e-6)
