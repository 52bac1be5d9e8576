"""Every model of the methods compared with, trained for six iterations in double precision: loss terms and weights."""

import tempfile
from pathlib import Path
from typing import Any

import method_kit
import torch
from basicsr.models import build_model
from golden_kit import images, normal, rounded
from model_cases import ADAM, fill_stage, moved
from torch import Tensor

CASES = method_kit.CASES
ITERATIONS = 6
# Of weights, where 1 lets deep networks saturate the losses, or explode.
GAINS = dict(HourglassModel=dict(hg=0.5), DICModel=dict(g=0.5, d=0.5, f=0.5), PFSRModel=dict(hg=0.5))


def _batch(iteration: int, opt: dict[str, Any], size: int = 4) -> dict[str, Tensor]:
    """As method_kit's, of numbers that no generator of torch gives."""
    like = method_kit.batch(iteration, opt, size)
    parts = images(f'parsing {iteration}', size, 1, *like['parsing'].shape[1:])[:, 0]
    return dict(
        gt=images(f'gt {iteration}', *like['gt'].shape),
        lq=images(f'lq {iteration}', *like['lq'].shape),
        landmarks=(0.5 + 0.2 * normal(f'landmarks {iteration}', tuple(like['landmarks'].shape))).clamp(0, 1),
        parsing=(12 * parts).clamp(max=11).to(torch.uint8),
    )


def _train(opt: dict[str, Any]) -> dict[str, Any]:
    for section in (opt['train'], *opt['train'].values()):
        if isinstance(section, dict):
            section.update({key: dict(ADAM) for key in section if key.startswith('optim_')})
    model, model_type = build_model(opt), opt['model_type']
    stage, start, log = None, {}, []
    for i in range(1, ITERATIONS + 1):
        model.update_learning_rate(i, -1)
        now = getattr(model, 'stage', model)
        if now is not stage:
            start = fill_stage(now, None if stage is None else ('g', 'g_ema', 'd'), GAINS.get(model_type, {}), ())
            stage = now
        model.feed_data(_batch(i, opt))
        model.optimize_parameters(i)
        log.append({name: rounded(float(value)) for name, value in model.get_current_log().items()})
    return dict(log=log, weights=moved(stage, start))


def compute(name: str) -> dict[str, Any]:
    """The log of every iteration, and the weights at the end."""
    torch.set_default_dtype(torch.float64)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _train(CASES[name](Path(folder)))
    finally:
        torch.set_default_dtype(torch.float32)
