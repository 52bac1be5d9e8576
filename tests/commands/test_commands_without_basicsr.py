"""restore and export_onnx where BasicSR is not installed, or broken."""

import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from common_kit import save_params, small_network

ROOT = Path(__file__).resolve().parents[2]
BLOCKED = "import runpy, sys; sys.modules['basicsr'] = None; runpy.run_module('selfsr_plugin.{}', run_name='__main__')"


@pytest.mark.parametrize(
    'command, arguments, output',
    [
        ('restore', ['--input', 'lr', '--output', 'out'], 'out/face.png'),
        ('export_onnx', ['--output', 'g.onnx'], 'g.onnx'),
    ],
)
def test_it_works(command, arguments, output, tmp_path):
    if command == 'export_onnx':
        pytest.importorskip('onnxruntime')
    save_params(tmp_path / 'g.pth', params=small_network(widths=[4], num_block=1))
    (tmp_path / 'lr').mkdir()
    image = cv2.imread(str(next((ROOT / 'datasets/demo/test_wild_lr').iterdir())))
    cv2.imwrite(str(tmp_path / 'lr/face.png'), image)
    done = subprocess.run(
        [sys.executable, '-c', BLOCKED.format(command), *arguments, '--model', 'g.pth'],
        cwd=tmp_path,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / output).exists()
