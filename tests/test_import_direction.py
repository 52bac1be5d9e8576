"""Imports point down: a room may import the rooms below it, and nothing imports a command (docs/architecture.md)."""

import ast
import re
from pathlib import Path

from selfsr_plugin.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'selfsr_plugin'
# From the top to the bottom; the rooms of one line do not import each other.
ROOMS = [
    re.findall(r'`([\w]+)/?`', line.split('|')[1])
    for line in (ROOT / 'docs/architecture.md').read_text('utf-8').split('## ')[1].splitlines()
    if line.startswith('| `')
]
LEVEL = {room: len(ROOMS) - number for number, rooms in enumerate(ROOMS) for room in rooms}


def imports(path: Path) -> set[str]:
    """The modules of this package that a file imports, as dotted names below the package ('' is the package)."""
    package = ['selfsr_plugin', *path.relative_to(PACKAGE).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = '.'.join([*above, *filter(None, [node.module])])
            found |= (
                {module, *(f'{module}.{alias.name}' for alias in node.names)} if module == 'selfsr_plugin' else {module}
            )
    return {
        name.removeprefix('selfsr_plugin').removeprefix('.') for name in found if name.split('.')[0] == 'selfsr_plugin'
    }


def room_of(name: str) -> str:
    return name.split('.')[0]


def test_every_file_has_a_room():
    there = {room_of('.'.join(path.relative_to(PACKAGE).with_suffix('').parts)) for path in PACKAGE.rglob('*.py')}
    assert there == LEVEL.keys() and sum(map(len, ROOMS)) == len(LEVEL)


def test_the_commands_are_the_first_line():
    assert set(ROOMS[0]) == {*COMMANDS, '__main__'}


def test_imports_point_down():
    wrong = []
    for path in sorted(PACKAGE.rglob('*.py')):
        own = room_of('.'.join(path.relative_to(PACKAGE).with_suffix('').parts))
        if own == '__init__':
            continue  # the package itself offers names of the rooms
        for name in imports(path):
            other = room_of(name)
            if other in LEVEL and other != own and LEVEL[other] >= LEVEL[own]:
                wrong.append(f'{path.relative_to(PACKAGE)} imports {name}')
    assert not wrong


def test_basicsr_compat_imports_nothing_of_ours():
    """It can be deleted the day BasicSR is fixed."""
    for path in (PACKAGE / 'basicsr_compat').glob('*.py'):
        assert not imports(path) - {f'basicsr_compat.{each.stem}' for each in path.parent.glob('*.py')}, path


def imports_basicsr(path: Path) -> bool:
    """Whether a file imports BasicSR, at its top or in a function."""
    names = [
        name
        for node in ast.walk(ast.parse(path.read_text('utf-8')))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or '']
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    ]
    return any(name.split('.')[0] == 'basicsr' for name in names)


def test_what_serves_networks_alone_imports_no_basicsr():
    """Networks are used where BasicSR is absent or broken (test_without_basicsr.py)."""
    files = [path for room in ('archs', 'ops', 'losses', 'baselines/archs') for path in (PACKAGE / room).glob('*.py')]
    files += [
        PACKAGE / name
        for name in (
            '__init__.py',
            'baselines/__init__.py',
            'convert.py',
            'export_onnx.py',
            'spandrel.py',
            'errors.py',
            'registration.py',
            'engine/checkpoint.py',
            'data/face_images.py',
            'data/image_source.py',
        )
    ]
    assert [str(path.relative_to(PACKAGE)) for path in files if imports_basicsr(path)] == []


def test_registering_is_one_file():
    """Every network, data set, loss, metric and model of ours is listed in registration.py, and registered there."""
    for path in PACKAGE.rglob('*.py'):
        text = path.read_text('utf-8')
        assert path.name == 'registration.py' or not ('_REGISTRY.register' in text or '_do_register' in text), path
