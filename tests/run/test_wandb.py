"""Weights & Biases with the package itself, which writes to the disk and talks to nobody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_a_run_arrives_at_wandb_offline(tmp_path: Path) -> None:
    pytest.importorskip('wandb', reason="wandb is not installed (pip install '.[wandb]')")
    (tmp_path / 'datasets').symlink_to(ROOT / 'datasets')
    folders = {f'WANDB_{name}_DIR': str(tmp_path / name) for name in ('CACHE', 'CONFIG', 'DATA')}
    changes = [
        'name=offline',
        'num_gpu=0',
        'logger:print_freq=1',
        'logger:wandb:project=faces',
        'val:save_img=false',
        'network_g:widths=[8,4]',
        'network_deg:num_feat=4',
        'network_d_lq:num_feat=4',
    ]
    command = [
        sys.executable,
        '-m',
        'selfsr_plugin.train',
        '-opt',
        ROOT / 'options/train_selfsr_demo.yml',
        '--shorten',
        '450',
        '--force_yml',
        *changes,
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, **folders, 'WANDB_MODE': 'offline', 'OMP_NUM_THREADS': '1'},
    )
    assert done.returncode == 0, done.stderr
    (written,) = (tmp_path / 'wandb').glob('offline-run-*/run-*.wandb')
    record = written.read_bytes()
    # Early losses, and the run's options: wandb copies from TensorBoard's file every few seconds, and on a busy machine
    # the last values of a run of seconds may not arrive.
    for expected in (b'losses/l_deg_adv', b'grow_at'):
        assert expected in record, expected
