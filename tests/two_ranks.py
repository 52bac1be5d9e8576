"""Runs a worker of the tests in two gloo processes, forked, which torch cannot do once a backward pass has run."""

import datetime
import multiprocessing
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

# Seconds; far more than the work takes, since other processes may hold the cores. Nothing asserts a time.
COLLECTIVE, WHOLE = 300, 500


def _rank(rank: int, folder: Path, work: Callable[[Path, int], dict[str, Any]]) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo',
        init_method=f'file://{folder}/rendezvous',
        rank=rank,
        world_size=2,
        timeout=datetime.timedelta(seconds=COLLECTIVE),
    )
    torch.save(work(folder, rank), folder / f'rank{rank}.pth')
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def run(work: Callable[[Path, int], dict[str, Any]]) -> None:
    """Write what ``work(folder, rank)`` gives to rank<r>.pth in the folder of the command line, and exit."""
    context = multiprocessing.get_context('fork')
    ranks = [context.Process(target=_rank, args=(rank, Path(sys.argv[1]), work)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(WHOLE)
        if process.exitcode is None:
            process.kill()
    sys.exit(max(abs(process.exitcode or 0) if process.exitcode is not None else 1 for process in ranks))
