"""The tests of the baselines ask what those of the other networks and models do."""

import sys
from pathlib import Path

import selfsr_plugin  # noqa: F401  before any test imports basicsr: applies the alias that its import needs

for room in ('archs', 'stages'):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / room))
