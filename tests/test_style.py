"""ruff finds nothing to say about the code: rules and line length are in pyproject.toml."""

import ast
import subprocess
import sys
from collections.abc import Iterator
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


def test_annotations_are_quoted_only_where_a_name_is_not_there_yet():
    """Those of a class that is defined further down, or imported for type checkers alone; ruff cannot tell."""
    needless = []
    for path in sorted(file for room in ('selfsr_plugin', 'scripts', 'tests') for file in (ROOT / room).rglob('*.py')):
        tree = ast.parse(path.read_text('utf-8'))
        missing = {name for block in tree.body if is_for_type_checkers(block) for name in imported(block)}
        ends = {block.name: block.end_lineno for block in tree.body if isinstance(block, ast.ClassDef)}
        for text in quoted_annotations(tree):
            names = {node.id for node in ast.walk(ast.parse(text.value)) if isinstance(node, ast.Name)}
            if not any(name in missing or ends.get(name, 0) >= text.lineno for name in names):
                needless.append(f'{path.relative_to(ROOT)}:{text.lineno}: {text.value}')
    assert not needless


def is_for_type_checkers(block: ast.stmt) -> bool:
    return isinstance(block, ast.If) and getattr(block.test, 'id', '') == 'TYPE_CHECKING'


def imported(block: ast.stmt) -> set[str]:
    return {alias.name for node in ast.walk(block) if isinstance(node, ast.ImportFrom) for alias in node.names}


def quoted_annotations(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        for annotation in (getattr(node, 'returns', None), getattr(node, 'annotation', None)):
            parts = [annotation] if annotation is not None else []
            while parts:
                part = parts.pop()
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part
                elif not (isinstance(part, ast.Subscript) and getattr(part.value, 'id', '') == 'Literal'):
                    parts += ast.iter_child_nodes(part)
