"""Help and usage errors are answered before anything heavy is imported."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ('torch', 'torchvision', 'basicsr', 'cv2', 'scipy', 'mmcv', 'facexlib')
COMMANDS = sorted(
    path.stem
    for path in (ROOT / 'selfsr_plugin').glob('*.py')
    if "if __name__ == '__main__'" in path.read_text('utf-8') and path.stem != '__main__'
)

# Commands in one process, in which nothing heavy can be imported.
ASK = f"""
import importlib.abc, runpy, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {HEAVY}:
            raise AssertionError(name + ' is imported')

sys.meta_path.insert(0, Blocker())
arguments = sys.argv[2:]
for command in sys.argv[1].split():
    print('---', command, flush=True)
    sys.argv = [command, *arguments]
    try:
        runpy.run_module('selfsr_plugin.' + command, run_name='__main__', alter_sys=True)
    except SystemExit as end:
        print('status', end.code, flush=True)
"""


def ask(*arguments: str, commands: Sequence[str] = COMMANDS) -> dict[str, str]:
    """What each command prints."""
    done = subprocess.run(
        [sys.executable, '-c', ASK, ' '.join(commands), *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout
    return dict(part.split('\n', 1) for part in done.stdout.split('--- ')[1:])


def test_help():
    answers = ask('--help')
    assert list(answers) == COMMANDS and len(COMMANDS) >= 8
    for command, answer in answers.items():
        assert answer.startswith(f'usage: python -m selfsr_plugin.{command} ') and answer.endswith('status 0\n'), answer
        assert '--traceback' in answer and ('--debug' in answer) == (command in ('train', 'test')), command


def test_usage_errors():
    for answer in ask('--nonsense').values():
        assert 'error: ' in answer and answer.endswith('status 2\n'), answer


@pytest.mark.parametrize(
    'command, arguments, message',
    [
        ('restore', '--faces --input a --output b --upscale 2', '--upscale: of photos only'),
        ('restore', '--faces --input a b --output c', 'one folder or LMDB'),
        ('restore', '--input a --output b --bg_upsampler realesrgan', 'nothing to enlarge'),
        ('evaluate', '--restored a --lq b --metrics blur', '--lq: none of --metrics'),
        ('evaluate', '--restored a --reference a', '--reference is the folder of --restored'),
        ('restore', '--input none --output b', '--input: none does not exist'),
        ('restore', '--input . none --output b', '--input: none does not exist'),
        ('restore', '--faces --input none --output b', '--input: none does not exist'),
        ('restore', '--input . --output b --model none.pth', '--model: there is no checkpoint none.pth.'),
        ('evaluate', '--restored none --metrics blur', '--restored: none does not exist'),
        ('evaluate', '--restored . --reference none', '--reference: none does not exist'),
        ('evaluate', '--restored . --lq none', '--lq: none does not exist'),
        ('inspect_faces', '--gt none --output b', '--gt: none does not exist'),
        ('inspect_faces', '--gt . --lq none --output b', '--lq: none does not exist'),
        ('prepare_faces', '--input none --output b', '--input: none does not exist'),
        ('prepare_faces', '--input . --output b --annotations setup.py/none', '--annotations: setup.py/none does not'),
        ('create_lmdb', '--input none --output b.lmdb', '--input: none does not exist'),
        ('make_landmarks', '--input none --output b.csv --detector fan', '--input: none does not exist'),
        ('make_landmarks', '--input . --output b.csv --annotations none', '--annotations: none does not exist'),
        ('make_parsing', '--input none --output b --parsenet', '--input: none does not exist'),
        ('make_parsing', '--input . --output b --landmarks none', '--landmarks: none does not exist'),
        ('convert', '--model none.pth --output b.pth', '--model: there is no checkpoint none.pth.'),
        ('export_onnx', '--model none.pth --output b.onnx', '--model: there is no checkpoint none.pth.'),
        ('web', '--model none.pth', '--model: there is no checkpoint none.pth.'),
    ],
)
def test_conflicting_options_and_missing_files_are_told_at_once(command, arguments, message):
    answer = ask(*arguments.split(), commands=[command])[command]
    assert answer.startswith('error: ') and message in answer and answer.endswith('status 1\n'), answer


@pytest.mark.parametrize(
    'text, message',
    [
        (None, 'cannot be read'),
        ('name: [1\n', 'is not valid YAML'),
        ('name: a\nname: b\n', "the key 'name' is given twice"),
    ],
)
def test_an_option_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path, text: str, message: str):
    file = tmp_path / 'options.yml'
    if text is not None:
        file.write_text(text)
    answers = ask('-opt', str(file))
    for command in ('train', 'test'):
        assert message in answers[command] and answers[command].endswith('status 1\n'), answers[command]
