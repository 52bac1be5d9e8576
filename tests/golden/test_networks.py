"""Every network computes, value and gradient, what it computed when its trained checkpoints were made."""

import json

import network_cases
import pytest
from golden_kit import FOLDER, differences

STORED = json.loads((FOLDER / 'networks.json').read_text(encoding='utf-8'))


def test_every_case_is_stored():
    assert list(STORED) == list(network_cases.CASES)


@pytest.mark.parametrize('name', network_cases.CASES)
def test_network(name):
    assert not differences(network_cases.compute(name), STORED[name], 1e-8)
