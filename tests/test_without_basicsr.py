"""Networks are used where BasicSR is absent or broken: in node editors, on servers, in other people's training code."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from selfsr_plugin.archs import SelfCondSRNet

ROOT = Path(__file__).parents[1]

BLOCKED = """
import importlib.abc, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == 'basicsr':
            raise ModuleNotFoundError("No module named 'basicsr'", name='basicsr')

sys.meta_path.insert(0, Blocker())
"""
USE = """
sys.modules['cv2'] = None  # ComfyUI brings no OpenCV
import torch
import selfsr_plugin
from selfsr_plugin.archs import (CycleGANGenerator, DomainDiscriminator, FlowDegradationNet, ProgressiveDiscriminator,
                                 SelfCondSRNet)
from selfsr_plugin.baselines.archs import FSRNet
from selfsr_plugin.losses import FlowTVLoss
from selfsr_plugin.ops import bicubic_downsample, flow_warp
net = selfsr_plugin.load(sys.argv[1])
assert net(torch.rand(1, 3, 8, 8)).shape == (1, 3, 16, 16)
small = dict(num_feat=2, num_hourglass=1, depth=1)
other = dict(params=FSRNet(**small).state_dict(), architecture=dict(type='FSRNet', **small))
torch.save(other, sys.argv[2])
assert selfsr_plugin.load(sys.argv[2])(torch.rand(1, 3, 4, 4)).shape == (1, 3, 32, 32)
assert FlowTVLoss()(torch.zeros(1, 2, 4, 4)) == 0
"""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    net = SelfCondSRNet(widths=[8], num_block=1)
    torch.save({'params': net.state_dict()}, tmp_path / 'net_g.pth')
    return tmp_path / 'net_g.pth'


def run(code: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, '-c', BLOCKED + code, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_networks_losses_operators_and_load(checkpoint: Path, tmp_path: Path):
    run(USE, checkpoint, tmp_path / 'fsrnet.pth')


def test_commands_for_networks(checkpoint: Path, tmp_path: Path, files):
    pytest.importorskip('onnxscript')
    faces = files.write_folder(tmp_path / 'faces', {'a': files.make_image(0)})
    # As `python -m` does it one after the other, but torch is imported once.
    run(
        """
from selfsr_plugin import export_onnx, restore
model, faces, output = sys.argv[1:]
restore.main(['--faces', '--input', faces, '--output', output, '--model', model])
export_onnx.main(['--model', model, '--output', output + '/net.onnx'])
""",
        checkpoint,
        faces,
        tmp_path / 'out',
    )
    assert (tmp_path / 'out/a.png').is_file() and (tmp_path / 'out/net.onnx').is_file()
