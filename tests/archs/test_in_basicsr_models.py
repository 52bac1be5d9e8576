"""Every network of ours in BasicSR's SRModel and SRGANModel, on two processes."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from basicsr_worker import CASES

ROOT = Path(__file__).resolve().parents[2]


def test_two_processes_train_alike(tmp_path):
    """DistributedDataParallel ends a run at its second iteration if a parameter that requires a gradient gets none."""
    paths = [str(ROOT), str(ROOT / 'tests'), *filter(None, [os.environ.get('PYTHONPATH')])]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(paths), OMP_NUM_THREADS='1')
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name('basicsr_worker.py')), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f'rank{rank}.pth', weights_only=True) for rank in range(2))
    assert len(first) == len(CASES)
    for case, weights in first.items():
        assert all(torch.equal(value, second[case][name]) for name, value in weights.items()), case
        still = [
            name
            for name, value in weights.items()
            if name.endswith('weight after') and torch.equal(value, weights[name.replace('after', 'before')])
        ]
        # The levels that the whole network does not look at.
        assert {name.removesuffix(' after') for name in still} == {
            *(['g.module.levels.0.to_rgb.weight'] if case.split()[0] in ('scale', 'concat') else []),
            *(['d.module.from_rgb.1.weight'] if case.split()[1] == 'progressive' else []),
        }, case
