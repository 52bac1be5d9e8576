"""How processes are started, and what is said when they were started otherwise than the command line says."""

import os
import socket
import subprocess
import sys

import pytest
import torch

from selfsr_plugin.basicsr_compat import distributed
from selfsr_plugin.basicsr_compat.distributed import first_host, init_distributed

VARIABLES = (
    'RANK',
    'LOCAL_RANK',
    'WORLD_SIZE',
    'MASTER_ADDR',
    'MASTER_PORT',
    'SLURM_PROCID',
    'SLURM_NTASKS',
    'SLURM_NODELIST',
    'SLURM_LOCALID',
    'SLURM_STEP_NUM_TASKS',
)
SLURM = dict(SLURM_PROCID='1', SLURM_NTASKS='2', SLURM_LOCALID='0', SLURM_NODELIST='gpu[03-05],cpu1')


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No launcher has been here; what the tested code sets does not outlive its test."""
    before = dict(os.environ)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    yield monkeypatch
    monkeypatch.undo()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def joined(monkeypatch):
    """What the process group is started with; no group is."""
    calls = {}
    monkeypatch.setattr(torch.distributed, 'init_process_group', lambda backend: calls.update(backend=backend))
    monkeypatch.setattr(torch.distributed, 'get_rank', lambda: int(os.environ['RANK']))
    monkeypatch.setattr(torch.distributed, 'get_world_size', lambda: int(os.environ['WORLD_SIZE']))
    monkeypatch.setattr(torch.cuda, 'set_device', lambda device: calls.update(device=device))
    return calls


@pytest.mark.parametrize(
    'launcher, variables, message',
    [
        ('pytorch', {}, '--launcher pytorch: this process was not started by torchrun .* torchrun --nproc_per_node=N'),
        ('slurm', {}, '--launcher slurm: this process was not started by srun'),
        ('slurm', dict(SLURM_PROCID='zero', SLURM_NTASKS='1', SLURM_NODELIST='a'), "SLURM_PROCID is 'zero', no number"),
        (
            'pytorch',
            dict(RANK='x', LOCAL_RANK='0', WORLD_SIZE='1', MASTER_ADDR='a', MASTER_PORT='1'),
            "--launcher pytorch: RANK is 'x', no number",
        ),
        (
            'pytorch',
            dict(RANK='0', LOCAL_RANK='0', WORLD_SIZE='1', MASTER_ADDR='a', MASTER_PORT='99999'),
            'MASTER_PORT is 99999: a port is a number up to 65535',
        ),
        ('none', dict(WORLD_SIZE='2', RANK='0'), 'torchrun started 2 processes, .* add --launcher pytorch'),
        ('none', dict(SLURM_STEP_NUM_TASKS='4'), 'srun started 4 processes, .* add --launcher slurm'),
    ],
)
def test_started_otherwise(environment, launcher, variables, message):
    for name, value in variables.items():
        environment.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        init_distributed(launcher, use_gpu=False)


@pytest.mark.parametrize(
    'variables', [{}, dict(WORLD_SIZE='1', RANK='0'), dict(WORLD_SIZE='none'), dict(SLURM_PROCID='0', SLURM_NTASKS='4')]
)
def test_one_process(environment, variables):
    """A batch script of Slurm has the variables of the job, also where it starts a single process."""
    for name, value in variables.items():
        environment.setenv(name, value)
    assert init_distributed('none', use_gpu=True) == (0, 1)


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm'])
@pytest.mark.parametrize('use_gpu', [False, True])
def test_gpus_or_not(environment, joined, launcher, use_gpu):
    environment.setattr(torch.cuda, 'device_count', lambda: 2)
    torchrun = dict(RANK='1', LOCAL_RANK='1', WORLD_SIZE='2', MASTER_ADDR='here', MASTER_PORT='1234')
    for name, value in (SLURM if launcher == 'slurm' else torchrun).items():
        environment.setenv(name, value)
    assert init_distributed(launcher, use_gpu) == (1, 2)
    device = 0 if launcher == 'slurm' else 1  # there process 1 is the first of the second machine
    assert joined == (dict(backend='nccl', device=device) if use_gpu else dict(backend='gloo'))


@pytest.mark.parametrize('count, launcher, device', [(1, 'slurm', 0), (4, 'slurm', 1), (4, 'pytorch', 1)])
def test_own_gpu(count, launcher, device):
    assert distributed._own_gpu(1, count, launcher) == device


@pytest.mark.parametrize('count, launcher', [(1, 'pytorch'), (0, 'slurm')])
def test_no_gpu_of_its_own(count, launcher):
    with pytest.raises(ValueError, match='process 2 of this machine has no GPU of its own, .* num_gpu: 0'):
        distributed._own_gpu(1, count, launcher)


def test_where_slurm_meets(environment, joined):
    for name, value in SLURM.items():
        environment.setenv(name, value)
    init_distributed('slurm', use_gpu=False)
    assert (os.environ['MASTER_ADDR'], os.environ['MASTER_PORT']) == ('gpu03', '29500')
    init_distributed('slurm', use_gpu=False, port=4321)
    assert os.environ['MASTER_PORT'] == '4321'


@pytest.mark.parametrize(
    'hosts, first',
    [
        ('localhost', 'localhost'),
        ('a,b', 'a'),
        ('gpu[03-05,9],cpu1', 'gpu03'),
        ('n[7,9]-ib', 'n7-ib'),
        ('rack1-n02', 'rack1-n02'),
    ],
)
def test_first_host(hosts, first):
    assert first_host(hosts) == first


WORKER = """
import sys, torch
from selfsr_plugin.basicsr_compat.distributed import init_distributed
rank, world_size = init_distributed('slurm', use_gpu=False)
value = torch.tensor(float(rank + 1))
torch.distributed.all_reduce(value)
print(rank, world_size, value.item())
torch.distributed.destroy_process_group()
"""


def test_two_processes_under_the_variables_of_slurm():
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = server.getsockname()[1]
    ranks = [
        subprocess.Popen(
            [sys.executable, '-c', WORKER],
            text=True,
            stdout=subprocess.PIPE,
            env=dict(
                os.environ,
                SLURM_PROCID=str(rank),
                SLURM_LOCALID=str(rank),
                SLURM_NTASKS='2',
                SLURM_NODELIST='localhost',
                MASTER_PORT=str(port),
            ),
        )
        for rank in range(2)
    ]
    outputs = [rank.communicate(timeout=600)[0].split() for rank in ranks]
    assert outputs == [['0', '2', '3.0'], ['1', '2', '3.0']]
