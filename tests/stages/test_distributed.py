"""Two gloo processes with half a batch each equal one process with the whole batch."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from basicsr.archs import build_network
from gloo_worker import CASES, GROWTH, ITERATIONS, PARTING, run_case
from model_kit import (
    ADAM,
    NETWORKS,
    STAGE1_RATE,
    assert_identical,
    cyclegan_options,
    images,
    stage1_options,
    stage2_options,
    start,
    train,
)

from selfsr_plugin.basicsr_compat.distributed import init_distributed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """What both ranks ended with, for every case; one launch for all."""
    folder = tmp_path_factory.mktemp('gloo')
    paths = [str(ROOT), str(ROOT / 'tests'), *filter(None, [os.environ.get('PYTHONPATH')])]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(paths), OMP_NUM_THREADS='1')
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name('gloo_worker.py')), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f'rank{i}.pth', weights_only=True) for i in range(2)]


@pytest.mark.parametrize('case', CASES)
def test_ranks_hold_identical_weights(ranks, case):
    assert_identical(ranks[0][case]['weights'], ranks[1][case]['weights'])
    assert_identical(ranks[0][case]['extra'], ranks[1][case]['extra'])


def test_network_with_batch_normalisation_trains(ranks):
    """Buffers are those of process 0 when an update begins; what its batches do to statistics differs, as under DDP."""
    first, second = (rank['batchnorm']['weights'] for rank in ranks)
    differing = {
        f'{net}.{name}'
        for net, values in first.items()
        for name, value in values.items()
        if not torch.equal(value, second[net][name])
    }
    assert differing == {'d.params.1.running_mean', 'd.params.1.running_var'}
    assert second['d.params']['rank'] == 0


def test_pool_of_two_processes_is_that_of_one(ranks, alone):
    for label, pool in alone['stage1_cyclegan']['extra']['pools'].items():
        assert pool['images'].shape == (6, 3, 16, 16)
        found = ranks[0]['stage1_cyclegan']['extra']['pools'][label]['images']
        torch.testing.assert_close(found, pool['images'], rtol=0, atol=1e-9)


@pytest.fixture(scope='module')
def alone(tmp_path_factory):
    return {name: run_case(name, tmp_path_factory.mktemp(name), 0, 1) for name in (*CASES, *PARTING)}


DOUBLE_PRECISION = [name for name, (_, double) in CASES.items() if double]
SINGLE_PRECISION = [name for name in (*CASES, *PARTING) if name not in DOUBLE_PRECISION]


@pytest.mark.parametrize('case', DOUBLE_PRECISION)
def test_weights_equal_those_of_one_process(ranks, alone, case):
    theirs = ranks[0][case]['weights']
    found = {
        f'{net}.{name}': (value - theirs[net][name]).abs().max().item()
        for net, values in alone[case]['weights'].items()
        for name, value in values.items()
    }
    assert len(found) > 20
    worst = {name: f'{value:.1e}' for name, value in found.items() if not value <= 1e-10}
    assert not worst, worst


@pytest.mark.parametrize('case', [*DOUBLE_PRECISION, *SINGLE_PRECISION])
def test_first_gradients_equal_those_of_one_process(ranks, alone, case):
    """To rounding, against the largest of each tensor; docs/robustness.md says so."""
    theirs, tolerance = ranks[0][case]['gradients'], 1e-10 if case in DOUBLE_PRECISION else 1e-4
    assert theirs.keys() == alone[case]['gradients'].keys() and len(theirs) > 8
    for name, gradient in alone[case]['gradients'].items():
        assert (gradient - theirs[name]).abs().max() <= tolerance * gradient.abs().max(), name


@pytest.mark.parametrize('case', SINGLE_PRECISION)
def test_weights_part_no_further_than_adam_can_take_them(ranks, alone, case):
    """Adam divides a gradient by its size: where that is near zero, rounding decides the direction of a step. With
    beta1 = 0, step t is at most sqrt((1 - beta2^t) / (1 - beta2)) rates long."""
    rate = STAGE1_RATE if case.startswith('stage1') else ADAM['lr']
    beta2 = ADAM['betas'][1]
    bound = 2 * rate * sum(((1 - beta2**t) / (1 - beta2)) ** 0.5 for t in range(1, ITERATIONS + 1))
    theirs = ranks[0][case]['weights']
    apart = torch.cat(
        [
            (value - theirs[net][name]).abs().flatten()
            for net, values in alone[case]['weights'].items()
            for name, value in values.items()
        ]
    )
    assert apart.max() <= bound and apart.median() < rate / 10


def test_networks_of_one_and_two_processes_compute_the_same(ranks, alone):
    faces = images(2, 3, 16, 16).float()
    outputs = []
    for found in (alone, ranks[0]):
        net = build_network(dict(NETWORKS['network_g']))
        net.load_state_dict(found['pseudo_float32']['weights']['g.params'])
        outputs.append(net(faces))
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=1e-4)


@pytest.mark.parametrize('case', CASES)
def test_logged_losses_are_those_of_the_whole_batch(ranks, alone, case):
    # In single precision a weight may have parted (see above), and a loss of a thousandth then moves by more of itself.
    rel, least = (1e-9, 1e-12) if CASES[case][1] else (1e-2, 1e-4)
    assert ranks[0][case]['log'] == pytest.approx(alone[case]['log'], rel=rel, abs=least)


@pytest.mark.parametrize('case', CASES)
def test_validation_over_two_processes_gives_the_figures_of_one(ranks, alone, case):
    figures = ranks[0][case]['figures']
    assert figures and figures == pytest.approx(alone[case]['figures'], rel=1e-3 if CASES[case][1] else 1e-2)
    assert not ranks[1][case]['figures']  # rank 0 alone reports


@pytest.mark.parametrize(
    'num_gpu',
    [
        pytest.param(0, id='gloo'),
        pytest.param(
            1,
            id='nccl',
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device on this machine'),
            ],
        ),
    ],
)
def test_one_process_of_torchrun_is_a_run_without(tmp_path, monkeypatch, float64, num_gpu):
    """As torchrun --nproc_per_node=1 starts it: gradients, flags, logs and checksums go through the process group."""
    cases = [
        stage1_options(tmp_path, r1_reg_weight=1),
        cyclegan_options(tmp_path, pool_size=3),
        stage2_options(tmp_path, supervision='pseudo', accum_iter=2, **GROWTH),
    ]
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = server.getsockname()[1]
    torchrun = dict(RANK=0, LOCAL_RANK=0, WORLD_SIZE=1, MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    for name, value in torchrun.items():
        monkeypatch.setenv(name, str(value))
    alone = [train(start(dict(opt, num_gpu=num_gpu)), range(1, 5)) for opt in cases]
    init_distributed('pytorch', use_gpu=num_gpu > 0)
    try:
        assert torch.distributed.get_backend() == ('nccl' if num_gpu else 'gloo')
        for opt, expected in zip(cases, alone):
            model = train(start(dict(opt, num_gpu=num_gpu, dist=True)), range(1, 5))
            model.check_processes_agree()
            assert model.get_current_log() == pytest.approx(expected.get_current_log(), rel=1e-6, abs=1e-9)
            for label in model.trained:
                weights = getattr(expected, f'net_{label}').state_dict()
                for name, value in getattr(model, f'net_{label}').state_dict().items():
                    torch.testing.assert_close(value, weights[name], rtol=1e-6, atol=1e-8)
    finally:
        torch.distributed.destroy_process_group()
