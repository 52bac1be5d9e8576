"""The scripts around reproduce.py as modules, each once, where the others look for them."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]


def _load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f'scripts/{name}.py')
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reproduce_baselines = _load_script('reproduce_baselines')
reproduce_rows = _load_script('reproduce_rows')
score_files = _load_script('score_files')
quality_cost = _load_script('quality_cost')
results_page = _load_script('results_page')
reproduce_scoring = _load_script('reproduce_scoring')
_load_script('reproduce_pictures')
reproduce_training = _load_script('reproduce_training')
reproduce = _load_script('reproduce')
quality_claims = _load_script('quality_claims')
