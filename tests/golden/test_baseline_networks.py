"""Every network of the baselines computes, value and gradient, what it computed when it was held against its source."""

import json

import baseline_cases
import pytest
from golden_kit import FOLDER, differences

STORED = json.loads((FOLDER / 'baselines.json').read_text(encoding='utf-8'))


def test_every_case_is_stored():
    assert list(STORED) == list(baseline_cases.CASES)


@pytest.mark.parametrize('name', baseline_cases.CASES)
def test_network(name):
    assert not differences(baseline_cases.compute(name), STORED[name], 1e-8)
