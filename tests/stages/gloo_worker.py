"""Trains every case in two gloo processes and writes what each rank ends with: python gloo_worker.py FOLDER.

Its own process, so that the ranks can be forked: torch cannot fork a process that has run a backward pass.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import two_ranks
from torch import nn

import selfsr_plugin  # noqa: F401  before basicsr
from basicsr.utils.registry import ARCH_REGISTRY
from model_kit import (
    Recorder,
    batch,
    both_stages_options,
    cyclegan_options,
    everything,
    loader,
    stage1_options,
    stage1_train,
    stage2_options,
    stage2_train,
    start,
)

GROWTH = dict(grow_at=[2], fade_iter=2, ema_decay=0.9, net_d_reg_every=2)
ITERATIONS = 6


def _both(folder: Path) -> dict[str, Any]:
    return both_stages_options(
        folder, stage1_train(total_iter=2, scheduler=None), stage2_train(supervision='pseudo', **GROWTH)
    )


class BatchNormDiscriminator(nn.Sequential):
    """A network of somebody else, with buffers."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 4, 4, 2, 1), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 4, 2, 1))
        self.register_buffer('rank', torch.tensor(float(torch.distributed.get_rank())))


def _batchnorm(folder: Path) -> dict[str, Any]:
    if 'BatchNormDiscriminator' not in ARCH_REGISTRY:  # in the worker alone: other tests list what is registered
        ARCH_REGISTRY.register(BatchNormDiscriminator)
    return dict(stage2_options(folder, grow_at=[], ema_decay=0.9), network_d=dict(type='BatchNormDiscriminator'))


# Name: (options, double precision)
CASES = {
    'stage1': (stage1_options, True),
    'stage1_cyclegan': (cyclegan_options, True),
    'paired': (lambda folder: stage2_options(folder, **GROWTH), True),
    'unpaired': (lambda folder: stage2_options(folder, supervision='unpaired', **GROWTH), True),
    'pseudo': (lambda folder: stage2_options(folder, supervision='pseudo', lq_noise=3.0, **GROWTH), True),
    'both': (_both, True),
    'accumulated': (lambda folder: stage2_options(folder, supervision='pseudo', accum_iter=2, **GROWTH), True),
    'stage1_cyclegan_float32': (cyclegan_options, False),
    'stage1_float32': (stage1_options, False),
    'pseudo_float32': (lambda folder: stage2_options(folder, supervision='pseudo', **GROWTH), False),
}

# Batch statistics are those of a process: two do not compute what one does, yet train, and hold the same parameters.
OF_RANKS_ALONE = {'batchnorm': (_batchnorm, True)}


def _wide(folder: Path) -> dict[str, Any]:
    opt = stage2_options(folder, supervision='pseudo', **GROWTH)
    opt['network_g'].update(widths=[32, 16], num_block=2)
    return opt


# In single precision: some weights of so many part, since rounding decides where Adam takes them.
PARTING = {'wide_float32': (_wide, False)}


def run_case(name: str, folder: Path, rank: int, world_size: int) -> dict[str, Any]:
    """Train on this rank's share of the batches; weights, log, figures of a validation, gradients of iteration 1."""
    make, double = {**CASES, **OF_RANKS_ALONE, **PARTING}[name]
    torch.set_default_dtype(torch.float64 if double else torch.float32)
    try:
        opt = dict(make(folder), rank=rank, world_size=world_size, dist=world_size > 1)
        model = start(opt)
        for i in range(1, ITERATIONS + 1):
            share = 8 // world_size
            data = {key: value[rank * share : (rank + 1) * share] for key, value in batch(i, size=8).items()}
            model.update_learning_rate(i, -1)
            model.feed_data(data)
            model.optimize_parameters(i)
            if i == 1:
                first = getattr(model, 'stage', model)
                gradients = {
                    f'{label}.{key}': each.grad.clone()
                    for label in first.trained
                    for key, each in getattr(first, f'net_{label}').named_parameters()
                    if each.grad is not None
                }
        model.check_processes_agree()
        log, writer = model.get_current_log(), Recorder()
        model.validation(loader(['gt', 'lq'], count=3), ITERATIONS, writer, save_img=rank == 0)
        stage = getattr(model, 'stage', model)
        return dict(
            weights={key: value for key, value in everything(stage).items() if '.' in key},
            extra=deepcopy(stage.extra_state()),
            log=dict(log),
            figures=deepcopy(writer.scalars),
            gradients=gradients,
        )
    finally:
        torch.set_default_dtype(torch.float32)


def all_cases(folder: Path, rank: int) -> dict[str, Any]:
    return {name: run_case(name, folder / f'two_{name}', rank, 2) for name in (*CASES, *OF_RANKS_ALONE, *PARTING)}


if __name__ == '__main__':
    two_ranks.run(all_cases)
