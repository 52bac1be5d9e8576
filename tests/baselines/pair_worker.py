"""Trains some models of the methods compared with in two gloo processes: python pair_worker.py FOLDER.

As tests/stages/gloo_worker.py, whose models these are not.
"""

from pathlib import Path
from typing import Any

import torch
import two_ranks

import selfsr_plugin  # noqa: F401  before basicsr
from basicsr.models import build_model
from method_kit import CASES, batch
from model_kit import everything

# Not those with batch normalisation or PFSR's minibatch deviation, which are those of a process: of the others, phases,
# noise, pools and several updates in an iteration.
NAMES = ('dic', 'maeda', 'cyclegan')
ITERATIONS = 5


def run_case(name: str, folder: Path, rank: int, world_size: int) -> dict[str, Any]:
    """Train on this rank's share of the batches, in double precision; what the stage that is reached holds."""
    torch.set_default_dtype(torch.float64)
    try:
        opt = dict(CASES[name](folder), rank=rank, world_size=world_size, dist=world_size > 1)
        model = build_model(opt)
        share = 4 // world_size
        for i in range(1, ITERATIONS + 1):
            data = {key: value[rank * share : (rank + 1) * share] for key, value in batch(i, opt).items()}
            model.update_learning_rate(i, -1)
            model.feed_data(data)
            model.optimize_parameters(i)
        model.check_processes_agree()
        stage = getattr(model, 'stage', model)
        return {key: value for key, value in everything(stage).items() if '.' in key}
    finally:
        torch.set_default_dtype(torch.float32)


def all_cases(folder: Path, rank: int) -> dict[str, Any]:
    return {name: run_case(name, folder / f'{name}{rank}', rank, 2) for name in NAMES}


if __name__ == '__main__':
    two_ranks.run(all_cases)
