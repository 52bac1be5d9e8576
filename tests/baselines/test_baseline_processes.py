"""Two gloo processes with half a batch each train what one process with the whole batch trains."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from model_kit import assert_identical
from pair_worker import NAMES, run_case

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """What both ranks ended with; one launch for all."""
    folder = tmp_path_factory.mktemp('pair')
    paths = [ROOT, ROOT / 'tests', ROOT / 'tests/stages', *filter(None, [os.environ.get('PYTHONPATH')])]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, paths)), OMP_NUM_THREADS='1')
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name('pair_worker.py')), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f'rank{rank}.pth', weights_only=True) for rank in range(2)]


@pytest.mark.parametrize('name', NAMES)
def test_two_processes_train_what_one_does(ranks, tmp_path, name):
    # spectral normalisation keeps singular vectors in buffers, which are those of process 0
    alone = run_case(name, tmp_path, 0, 1)
    assert ranks[0][name].keys() == alone.keys() and len(alone) >= 1
    for key, weights in alone.items():
        assert_identical(ranks[0][name][key], ranks[1][name][key])
        for parameter, value in weights.items():
            found = ranks[0][name][key][parameter]
            assert (found - value).abs().max() <= 1e-9 * max(1.0, value.abs().max()), (key, parameter)
