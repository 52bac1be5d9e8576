"""Every model, trained for a dozen iterations in double precision: its loss terms, rates and final weights."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from basicsr.models import build_model
from golden_kit import fill, images, normal, rounded
from model_kit import both_stages_options, cyclegan_options, stage1_options, stage2_options
from torch import Tensor

NETWORKS = {
    'network_deg': dict(type='FlowDegradationNet', num_feat=3, num_block=1, max_flow=1.5),
    'network_clean': dict(type='CycleGANGenerator', num_feat=3, num_block=1),
    'network_d_lq': dict(type='DomainDiscriminator', num_feat=3),
    'network_d_clean': dict(type='DomainDiscriminator', num_feat=3),
    'network_g': dict(type='SelfCondSRNet', widths=[5, 4], num_block=1, cond_ratio=2),
    'network_d': dict(type='ProgressiveDiscriminator', size=64, num_level=2, feat_base=64, feat_max=4, stddev_group=2),
}
# A large eps: Adam would turn the rounding noise of a small gradient into full steps, other ones on other processors.
ADAM = dict(type='Adam', lr=0.0005, betas=[0.5, 0.99], eps=1e-4)
STAGE1 = dict(
    total_iter=12,
    scheduler=dict(type='LinearDecayLR', decay_from=7),
    gan_opt=dict(type='GANLoss', gan_type='vanilla', loss_weight=0.5),
    identity_opt=dict(type='L1Loss', loss_weight=10.0, reduction='mean'),
    tv_opt=dict(type='FlowTVLoss', loss_weight=3.0),
)
CYCLEGAN = dict(
    total_iter=12,
    scheduler=dict(type='LinearDecayLR', decay_from=7),
    gan_opt=dict(type='GANLoss', gan_type='lsgan', loss_weight=0.5),
    cycle_opt=dict(type='L1Loss', loss_weight=10.0, reduction='mean'),
    identity_opt=dict(type='L1Loss', loss_weight=5.0, reduction='mean'),
    pool_size=6,
)
STAGE2 = dict(
    total_iter=12,
    scheduler=dict(type='LinearDecayLR', decay_from=9),
    grow_at=[4],
    fade_iter=4,
    ema_decay=0.9,
    pixel_opt=dict(type='L1Loss', loss_weight=20.0, reduction='mean'),
    gan_opt=dict(type='GANLoss', gan_type='hinge', loss_weight=0.5),
    r1_reg_weight=10,
    net_d_reg_every=3,
)
# Alive discriminators, whose R1 counts; a degradation that keeps its images near [0, 1].
GAINS = dict(deg=0.3, clean=0.6, d_lq=1.0, d_clean=1.0, g=0.8, d=1.4)
# Degraded images of these values stay within [0, 1]: the run without noise meets no clamp of them.
GENTLE = dict(low=0.35, high=0.65)


def _prepare(opt: dict[str, Any], **changes: Any) -> dict[str, Any]:
    for key in opt:
        if key.startswith('network_'):
            opt[key] = dict(NETWORKS[key])
    for section in (opt['train'], *opt['train'].values()):
        if isinstance(section, dict):
            section.update({key: dict(ADAM) for key in section if key.startswith('optim_')})
    opt.update(changes)
    return opt


def fill_stage(
    stage: Any,
    labels: tuple[str, ...] | None = None,
    gains: Mapping[str, float] = GAINS,
    equalized: tuple[str, ...] = ('g', 'd'),
) -> dict[str, dict[str, Tensor]]:
    """Give the networks of a model of one stage their weights. -> label -> name -> weights."""
    start = {}
    for attribute, net in list(vars(stage).items()):
        if attribute.startswith('net_') and isinstance(net, torch.nn.Module):
            label = attribute.removeprefix('net_')
            if labels is None or label in labels:
                trained = [parameter.requires_grad for parameter in net.parameters()]
                kind = label.removesuffix('_ema')
                fill(net, kind, gains.get(kind, 1.0), equalized=kind in equalized)
                for parameter, learns in zip(net.parameters(), trained):
                    parameter.requires_grad_(learns)
            start[label] = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    return start


def moved(stage: Any, start: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, float]]:
    """A projection of every parameter that is not what it was; averages of constants are it but for rounding."""
    found = {}
    for label, weights in start.items():
        values = {
            name: parameter.detach()
            for name, parameter in getattr(stage, f'net_{label}').named_parameters()
            if not torch.allclose(parameter, weights[name], rtol=1e-12, atol=0)
        }
        found[label] = {
            name: rounded((value * normal(name, tuple(value.shape))).sum().item()) for name, value in values.items()
        }
    return found


def _batch(iteration: int, has_lq: bool, side: int, scale: int, **values: float) -> dict[str, Tensor]:
    data = dict(gt=images(f'gt {iteration}', 4, 3, side, side, **values))
    if has_lq:
        data['lq'] = images(f'lq {iteration}', 4, 3, side // scale, side // scale, **values)
    return data


def _train(
    opt: dict[str, Any], has_lq: bool = True, side: int = 64, iterations: int = 12, **values: float
) -> dict[str, Any]:
    model = build_model(opt)
    stage, start, log = None, {}, []
    for i in range(1, iterations + 1):
        model.update_learning_rate(i, -1)
        now = getattr(model, 'stage', model)
        if now is not stage:
            start = fill_stage(now, None if stage is None else ('g', 'g_ema', 'd'))
            stage = now
        model.feed_data(_batch(i, has_lq, side, opt['scale'], **values))
        model.optimize_parameters(i)
        terms = {name: rounded(float(value)) for name, value in model.get_current_log().items()}
        log.append(dict(terms, rates=[rounded(rate) for rate in model.get_current_learning_rate()]))
    return dict(log=log, weights=moved(stage, start))


def _flow(folder: Path) -> dict[str, Any]:
    return _train(_prepare(stage1_options(folder, **STAGE1)))


def _flow_r1(folder: Path) -> dict[str, Any]:
    opt = _prepare(stage1_options(folder, **dict(STAGE1, r1_reg_weight=3, gan_opt=CYCLEGAN['gan_opt'])))
    opt['train']['identity_opt'] = None
    opt['network_deg'].update(center_flow=True)
    return _train(opt)


def _cyclegan(folder: Path) -> dict[str, Any]:
    opt = _prepare(cyclegan_options(folder, **CYCLEGAN))
    opt['network_deg'] = dict(NETWORKS['network_clean'])
    return _train(opt)


def _stage2(folder: Path, supervision: str, has_lq: bool, **changes: Any) -> dict[str, Any]:
    values = GENTLE if changes.pop('gentle', False) else {}
    train = {**STAGE2, 'supervision': supervision, **changes}
    return _train(_prepare(stage2_options(folder, **train)), has_lq, **values)


def _x8(folder: Path) -> dict[str, Any]:
    train = dict(STAGE2, grow_at=[3, 7], fade_iter=2, supervision='paired', lq_from_gt=True)
    opt = _prepare(stage2_options(folder, ('g', 'd'), **train), scale=8)
    opt['network_g'].update(widths=[5, 4, 4], condition='concat')
    opt['network_d'].update(size=32, num_level=3)
    return _train(opt, has_lq=False, side=32)


def _without_discriminator(folder: Path) -> dict[str, Any]:
    train = dict(STAGE2, grow_at=[], ema_decay=0, supervision='paired')
    return _train(_prepare(stage2_options(folder, ('g',), **train)), iterations=4)


def _both(folder: Path) -> dict[str, Any]:
    stage1 = stage1_options(folder, **dict(STAGE1, total_iter=5, scheduler=dict(type='LinearDecayLR', decay_from=2)))
    stage2 = stage2_options(
        folder,
        **dict(
            STAGE2, total_iter=9, supervision='pseudo', lq_noise=4, scheduler=dict(type='LinearDecayLR', decay_from=6)
        ),
    )
    return _train(_prepare(both_stages_options(folder, stage1['train'], stage2['train'])), iterations=14)


CASES: dict[str, Callable[[Path], dict[str, Any]]] = {
    'flow degradation': _flow,
    'flow degradation, R1, centred flow, no identity': _flow_r1,
    'CycleGAN': _cyclegan,
    'paired': lambda folder: _stage2(folder, 'paired', True),
    'paired, bicubic': lambda folder: _stage2(folder, 'paired', False, lq_from_gt=True, net_d_reg_every=1, ema_decay=0),
    'unpaired': lambda folder: _stage2(folder, 'unpaired', True),
    'pseudo': lambda folder: _stage2(folder, 'pseudo', True, gentle=True),
    'pseudo with noise': lambda folder: _stage2(folder, 'pseudo', False, lq_noise=5, fade_iter=0),
    'paired, x8, concat': _x8,
    'paired without discriminator': _without_discriminator,
    'both stages': _both,
}


def compute(name: str) -> dict[str, Any]:
    """The log of every iteration, and the weights at the end."""
    torch.set_default_dtype(torch.float64)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return CASES[name](Path(folder))
    finally:
        torch.set_default_dtype(torch.float32)
