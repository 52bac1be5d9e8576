"""Starting the processes of a distributed run, also without a GPU."""
import os
from typing import Tuple

import torch
from basicsr.utils import dist_util


def init_distributed(launcher: str) -> Tuple[int, int]:
    """Join the process group that torchrun (launcher 'pytorch') or Slurm has set up; NCCL with GPUs, gloo without.

    BasicSR always takes NCCL, divides by the number of GPUs, and switches to spawned data workers, each of which
    imports BasicSR again.

    Returns:
        Rank and number of processes; (0, 1) for launcher 'none'.
    """
    if launcher == 'slurm':
        dist_util.init_dist('slurm')
    elif launcher == 'pytorch':
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
        torch.distributed.init_process_group('nccl' if torch.cuda.is_available() else 'gloo')
    return dist_util.get_dist_info()
