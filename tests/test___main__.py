"""``python -m selfsr_plugin`` lists what there is, without importing any of it."""

import subprocess
import sys
from pathlib import Path

from selfsr_plugin.__main__ import COMMANDS

PACKAGE = Path(__file__).resolve().parents[1] / 'selfsr_plugin'


def ask(*arguments):
    code = (
        'import runpy, sys; sys.modules.update(torch=None, cv2=None, basicsr=None); '
        "runpy.run_module('selfsr_plugin', run_name='__main__')"
    )
    return subprocess.run([sys.executable, '-c', code, *arguments], text=True, capture_output=True, cwd=PACKAGE.parent)


def test_every_command_is_listed():
    there = {path.stem for path in PACKAGE.glob('*.py') if "__name__ == '__main__'" in path.read_text('utf-8')}
    assert set(COMMANDS) == there - {'__main__'}
    done = ask()
    assert done.returncode == 0 and all(f'\n  {name} ' in done.stdout for name in COMMANDS)
    assert max(map(len, done.stdout.splitlines())) < 100


def test_a_command_after_a_space():
    done = ask('restore', '--input', 'x')
    assert done.returncode == 1 and done.stderr.startswith('error: restore: write python -m selfsr_plugin.restore')
    assert 'there is no such command' in ask('retsore').stderr
