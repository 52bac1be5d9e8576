"""Trains every network of ours in BasicSR's own models, in two gloo processes: python basicsr_worker.py FOLDER.

Its own process, so that the ranks can be forked: torch cannot fork a process that has run a backward pass.
"""

import sys
from pathlib import Path
from typing import Any

import torch
import two_ranks

import selfsr_plugin  # noqa: F401  before basicsr
from basicsr.models import build_model
from basicsr.models.base_model import BaseModel
from torch import nn
from torch.nn.parallel import DistributedDataParallel

SR = dict(type='SelfCondSRNet', widths=[6, 4], num_block=1, cond_ratio=2)
GENERATORS = {
    'scale': (SR, 4),
    'concat': (dict(SR, condition='concat'), 4),
    'flow': (dict(type='FlowDegradationNet', num_feat=3, num_block=1), 1),
    'cyclegan': (dict(type='CycleGANGenerator', num_feat=3, num_block=1), 1),
}
DISCRIMINATORS = {
    'progressive': dict(
        type='ProgressiveDiscriminator', size=64, num_level=2, feat_base=64, feat_max=4, stddev_group=2
    ),
    'domain': dict(type='DomainDiscriminator', num_feat=3),
}
CASES = [(name, None) for name in GENERATORS] + [
    ('scale', 'progressive'),
    ('concat', 'domain'),
    ('flow', 'domain'),
    ('cyclegan', 'progressive'),
]
ADAM = dict(type='Adam', lr=1e-3, betas=[0.0, 0.99])
PIXEL = dict(type='L1Loss', loss_weight=1.0, reduction='mean')
GAN = dict(type='GANLoss', gan_type='vanilla', real_label_val=1.0, fake_label_val=0.0, loss_weight=0.1)


def options(generator: str, discriminator: str | None, rank: int) -> dict[str, Any]:
    network_g, scale = GENERATORS[generator]
    train = dict(
        optim_g=dict(ADAM),
        scheduler=dict(type='MultiStepLR', milestones=[100], gamma=0.5),
        total_iter=3,
        ema_decay=0.9,
        pixel_opt=PIXEL,
    )
    opt = dict(
        name='test',
        model_type='SRModel',
        scale=scale,
        num_gpu=0,
        is_train=True,
        dist=True,
        rank=rank,
        world_size=2,
        path={},
        train=train,
        network_g=dict(network_g),
    )
    if discriminator is not None:
        opt.update(model_type='SRGANModel', network_d=dict(DISCRIMINATORS[discriminator]))
        train.update(optim_d=dict(ADAM), gan_opt=GAN, net_d_iters=1, net_d_init_iters=0)
    return opt


def distributed_on_cpu(self: BaseModel, net: nn.Module) -> nn.Module:
    """``BaseModel.model_to_device``, which names a CUDA device whatever num_gpu says."""
    return DistributedDataParallel(net, find_unused_parameters=self.opt.get('find_unused_parameters', False))


def run_case(generator: str, discriminator: str | None, rank: int) -> dict[str, torch.Tensor]:
    """Three iterations on different images in each process; what the networks were and became."""
    torch.manual_seed(0)
    model = build_model(options(generator, discriminator, rank))
    nets = {'g': model.net_g, **({'d': model.net_d} if discriminator else {})}
    found = {
        f'{label}.{name} before': value.clone()
        for label, net in nets.items()
        for name, value in net.state_dict().items()
    }
    images = torch.Generator().manual_seed(rank)
    for iteration in range(1, 4):
        gt = torch.rand(2, 3, 64, 64, generator=images)
        model.feed_data(dict(gt=gt, lq=nn.functional.avg_pool2d(gt, GENERATORS[generator][1])))
        model.optimize_parameters(iteration)
    found.update(
        {f'{label}.{name} after': value for label, net in nets.items() for name, value in net.state_dict().items()}
    )
    return found


def all_cases(folder: Path, rank: int) -> dict[str, Any]:
    BaseModel.model_to_device = distributed_on_cpu
    found = {}
    for case in CASES:
        print(*case, file=sys.stderr, flush=True)  # a case that fails is the last one named
        found[' '.join(map(str, case))] = run_case(*case, rank)
    return found


if __name__ == '__main__':
    two_ranks.run(all_cases)
