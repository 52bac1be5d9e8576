"""Starting the processes of a distributed run, also without a GPU."""

import os
import re

import torch

_TORCHRUN = ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')
_SLURM = ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST')
_DEFAULT_PORT = 29500  # BasicSR's and torch's


def init_distributed(launcher: str, use_gpu: bool, port: int | None = None) -> tuple[int, int]:
    """Join the process group that torchrun (launcher 'pytorch') or Slurm has set up; NCCL with GPUs, gloo without.

    BasicSR always takes NCCL, divides by the number of GPUs, and switches to spawned data workers, each of which
    imports BasicSR again.

    Args:
        launcher: 'none', 'pytorch' or 'slurm'.
        use_gpu: one GPU for each process; else the CPU, also on a machine that has GPUs.
        port: under Slurm the port at which the processes meet; else MASTER_PORT, or 29500.

    Returns:
        Rank and number of processes; (0, 1) for launcher 'none'.

    Raises:
        ValueError: the process was started otherwise than ``launcher`` says, or has no GPU of its own.
    """
    check_started(launcher)
    if launcher == 'none':
        return 0, 1
    if launcher == 'slurm':
        _read_slurm(os.environ, port)
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_PORT'):
        if not os.environ[name].isdecimal():
            raise ValueError(
                f"--launcher {launcher}: {name} is '{os.environ[name]}', no number: start by torchrun or srun, which "
                'set it, or leave --launcher out for one process.'
            )
    if int(os.environ['MASTER_PORT']) > 65535:
        raise ValueError(f'MASTER_PORT is {os.environ["MASTER_PORT"]}: a port is a number up to 65535.')
    if use_gpu:
        torch.cuda.set_device(_own_gpu(int(os.environ['LOCAL_RANK']), torch.cuda.device_count(), launcher))
    torch.distributed.init_process_group('nccl' if use_gpu else 'gloo')
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def check_started(launcher: str) -> None:
    """Look whether this process was started as ``launcher`` says, 'none', 'pytorch' or 'slurm'. ValueError if not."""
    if launcher == 'none':
        _refuse_forgotten_launcher()
        return
    by, instead, names = (
        ('srun', 'write srun before the command', _SLURM)
        if launcher == 'slurm'
        else ('torchrun', 'write torchrun --nproc_per_node=N -m in place of python -m', _TORCHRUN)
    )
    absent = [name for name in names if name not in os.environ]
    if absent:
        raise ValueError(
            f'--launcher {launcher}: this process was not started by {by} ({absent[0]} is not set): {instead}, or '
            'leave --launcher out for one process.'
        )


def _refuse_forgotten_launcher() -> None:
    for launcher, by, variable in (('pytorch', 'torchrun', 'WORLD_SIZE'), ('slurm', 'srun', 'SLURM_STEP_NUM_TASKS')):
        if os.environ.get(variable, '').isdecimal() and int(os.environ[variable]) > 1:
            raise ValueError(
                f'{by} started {os.environ[variable]} processes, and without --launcher each would train for '
                f'itself: add --launcher {launcher}.'
            )


def _read_slurm(environment: os._Environ[str], port: int | None) -> None:
    """Set the variables of torchrun from those of Slurm."""
    for name in ('SLURM_PROCID', 'SLURM_NTASKS'):
        if not environment[name].isdecimal():
            raise ValueError(
                f"--launcher slurm: {name} is '{environment[name]}', no number as srun sets it: write srun before "
                'the command, or leave --launcher out for one process.'
            )
    environment.update(
        RANK=environment['SLURM_PROCID'],
        WORLD_SIZE=environment['SLURM_NTASKS'],
        LOCAL_RANK=environment.get('SLURM_LOCALID', '0'),
        MASTER_ADDR=first_host(environment['SLURM_NODELIST']),
        MASTER_PORT=str(port or environment.get('MASTER_PORT', _DEFAULT_PORT)),
    )


def first_host(node_list: str) -> str:
    """The first host of Slurm's list: 'gpu[03-05,9],cpu1' -> 'gpu03'."""
    prefix, bracket, suffix = re.match(r'([^,\[]*)(?:\[([^\]]*)\]([^,\[]*))?', node_list).groups(default='')
    return prefix + re.split('[,-]', bracket)[0] + suffix


def _own_gpu(local_rank: int, count: int, launcher: str) -> int:
    """The GPU of this process. Slurm may show each process its own alone (--gpus-per-task=1)."""
    if launcher == 'slurm' and count == 1:
        return 0
    if local_rank >= count:
        raise ValueError(
            f'process {local_rank + 1} of this machine has no GPU of its own, there are {count}: start at most one '
            'process for each, or write num_gpu: 0 to use the CPU.'
        )
    return local_rank
