"""The tests of the baselines' networks ask what those of the other networks do."""

import sys
from pathlib import Path

import selfsr_plugin  # noqa: F401  before any test imports basicsr: applies the alias that its import needs

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'archs'))
