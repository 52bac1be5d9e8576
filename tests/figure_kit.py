"""What the tests of the figure scripts share: the scripts as modules, and where their sheets have an image."""

import importlib.util
import sys
from pathlib import Path

import cv2
from common_kit import refused

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / 'datasets/demo'


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f'scripts/{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(module, monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['script', *map(str, arguments)])
    module.main()


def tile(sheet, row, column, size, caption=0, left=0):
    """The drawn image of a row and column, at its own resolution."""
    top, start = 24 + row * (size + 4 + caption), left + column * (size + 4)
    return sheet[top : top + size, start : start + size]


def enlarged(image, size):
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_NEAREST)


def refused_by(module, monkeypatch, capsys, *arguments):
    return refused(capsys, lambda _: run(module, monkeypatch, *arguments))
