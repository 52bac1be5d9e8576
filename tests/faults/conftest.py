import pytest

import selfsr_plugin  # noqa: F401  before any test imports basicsr: applies the alias that its import needs


def pytest_collection_modifyitems(items):
    for item in items:
        if 'faults' in item.path.parts:
            item.add_marker(pytest.mark.faults)
