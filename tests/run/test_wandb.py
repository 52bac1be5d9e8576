"""Weights & Biases with the package itself, which writes to the disk and talks to nobody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from run_kit import options, start, workplace  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]


def record(folder: Path) -> bytes:
    """What wandb kept of the one run below a folder: LevelDB's log format, blocks of 32 KiB of chunks with headers."""
    (file,) = (folder / 'wandb').glob('offline-run-*/run-*.wandb')
    data, position, content = file.read_bytes(), 7, b''  # the file has a header of its own
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:  # no room for the header of a chunk
            position += 32768 - position % 32768
            continue
        length = int.from_bytes(data[position + 4 : position + 6], 'little')
        content += data[position + 7 : position + 7 + length]
        position += 7 + length
    return content


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
    kept = record(tmp_path)
    for expected in (b'losses/l_deg_adv', b'losses/l_g_rec', b'metrics/demo_val/psnr', b'grow_at'):  # the last: options
        assert expected in kept, expected


def test_the_run_ends_with_the_training(workplace, monkeypatch):  # noqa: F811
    """Not with the process, and before its service, which another process may have started (WANDB_SERVICE)."""
    wandb = pytest.importorskip('wandb', reason="wandb is not installed (pip install '.[wandb]')")
    monkeypatch.setenv('WANDB_MODE', 'offline')
    monkeypatch.setenv('WANDB_SERVICE', '')  # the service of this test is not that of the tests after it
    monkeypatch.delenv('WANDB_SERVICE')
    try:
        start(options(logger__use_tb_logger=True, logger__wandb=dict(project='faces')))
        assert wandb.run is None
    finally:
        wandb.teardown()  # the service writes the end of the file
    kept = record(workplace)
    assert b'losses/l_g_rec' in kept and b'metrics/people/psnr' in kept
