"""What the shell scripts start Python with: threads that wait for each other slow a shared machine down."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / 'scripts'


@pytest.mark.parametrize('script', ['quickstart.sh', 'test.sh'])
@pytest.mark.parametrize('asked, found', [({}, '1'), ({'OMP_NUM_THREADS': '2'}, '2')])
def test_there_is_one_thread_unless_the_user_says_otherwise(tmp_path: Path, script: str, asked, found):
    for folder in ('scripts', '.venv/bin'):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(SCRIPTS / script, tmp_path / 'scripts')
    (tmp_path / 'scripts/setup_venv.sh').write_text('')
    (tmp_path / '.venv/bin/activate').write_text('PATH=$PWD/.venv/bin:$PATH\n')
    python = tmp_path / '.venv/bin/python'
    python.write_text('#!/bin/sh\necho "threads $OMP_NUM_THREADS"\n')
    python.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != 'OMP_NUM_THREADS'}
    done = subprocess.run(
        ['bash', f'scripts/{script}'], cwd=tmp_path, env={**environment, **asked}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith('threads')]
    assert lines and set(lines) == {f'threads {found}'}
