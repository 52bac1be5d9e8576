"""ruff finds nothing to say about the code: rules and line length are in pyproject.toml."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    'command', [['check', '--no-cache', '.'], ['format', '--no-cache', '--check', '.']], ids=lambda c: c[0]
)
def test_ruff(command):
    found = subprocess.run([sys.executable, '-m', 'ruff', *command], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-1000:]


def test_no_two_test_files_of_one_name():
    """pytest imports them by their base name, and refuses the second."""
    names = [path.name for path in (ROOT / 'tests').rglob('test_*.py')]
    assert sorted(names) == sorted(set(names))
