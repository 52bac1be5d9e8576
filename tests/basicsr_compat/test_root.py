"""Where the results of a run go."""

import sys
from types import SimpleNamespace

import pytest
from selfsr_plugin.basicsr_compat.root import results_root


@pytest.mark.parametrize(
    'folder, is_checkout', [('BasicSR', True), ('venv/lib/python3.11/site-packages', False), ('target', False)]
)
def test_results_go_into_a_checkout_of_basicsr_and_into_no_folder_of_packages(
    tmp_path, monkeypatch, folder, is_checkout
):
    """``target``: pip install --target, as on clusters."""
    package = tmp_path / folder / 'basicsr'
    package.mkdir(parents=True)
    if is_checkout:
        (package.parent / 'setup.py').touch()
    here = tmp_path / 'here'
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setitem(sys.modules, 'basicsr', SimpleNamespace(__file__=str(package / '__init__.py')))
    assert results_root() == str(package.parent if is_checkout else here)
