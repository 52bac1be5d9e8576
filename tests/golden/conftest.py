"""The golden runs build on the option files of the model tests and on the small networks of the baselines' tests."""

import sys
from pathlib import Path

import selfsr_plugin  # noqa: F401  before any test imports basicsr: applies the alias that its import needs

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / 'stages'), str(TESTS / 'baselines'), str(TESTS)]
