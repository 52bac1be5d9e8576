"""Tiny networks, option dictionaries, batches and runs for the model tests and the two-process worker."""

import hashlib
from copy import deepcopy
from pathlib import Path
from typing import Any
from collections.abc import Iterable

import torch
from basicsr.models import build_model
from basicsr.utils.matlab_functions import imresize
from common_kit import assert_identical  # noqa: F401  for the tests
from torch import Tensor, nn

from selfsr_plugin.archs import FlowDegradationNet

NETWORKS = {
    'network_deg': dict(type='FlowDegradationNet', num_feat=3, num_block=1, max_flow=2.0),
    'network_d_lq': dict(type='DomainDiscriminator', num_feat=3),
    'network_clean': dict(type='CycleGANGenerator', num_feat=3, num_block=1),
    'network_d_clean': dict(type='DomainDiscriminator', num_feat=3),
    'network_g': dict(type='SelfCondSRNet', widths=[6, 4], num_block=1, cond_ratio=2),
    'network_d': dict(type='ProgressiveDiscriminator', size=64, num_level=2, feat_base=64, feat_max=4, stddev_group=2),
}
ADAM = dict(type='Adam', lr=0.003, betas=[0.0, 0.99], eps=1e-8)
STAGE1_RATE = 2e-4


def options(
    folder: Path, model_type: str, labels: Iterable[str], train: dict[str, Any], scale: int = 4, **changes: Any
) -> dict[str, Any]:
    """What ``complete_options`` makes of an option file; the folders exist."""
    folders = {key: folder / key for key in ('models', 'training_states', 'visualization')}
    for each in folders.values():
        each.mkdir(parents=True, exist_ok=True)
    opt = dict(
        name='test',
        model_type=model_type,
        scale=scale,
        num_gpu=0,
        manual_seed=5,
        is_train=True,
        dist=False,
        rank=0,
        world_size=1,
        auto_resume=False,
        root_path=str(folder),
        datasets={},
        path={key: str(value) for key, value in folders.items()},
        train=train,
        val=dict(
            val_freq=1,
            save_img=True,
            metrics=dict(psnr=dict(type='calculate_psnr', crop_border=0, test_y_channel=True)),
        ),
        logger=dict(print_freq=1, save_checkpoint_freq=1, use_tb_logger=False),
    )
    opt.update({f'network_{label}': NETWORKS[f'network_{label}'] for label in labels})
    opt.update(changes)
    return deepcopy(opt)


def stage1_train(**changes: Any) -> dict[str, Any]:
    return dict(
        dict(
            total_iter=8,
            optim_deg=dict(ADAM, lr=STAGE1_RATE),
            optim_d_lq=dict(ADAM, lr=STAGE1_RATE),
            scheduler=dict(type='LinearDecayLR', decay_from=4),
            gan_opt=dict(type='GANLoss', gan_type='vanilla', loss_weight=0.5),
            identity_opt=dict(type='L1Loss', loss_weight=10.0, reduction='mean'),
            tv_opt=dict(type='FlowTVLoss', loss_weight=3.0),
        ),
        **changes,
    )


def cyclegan_train(**changes: Any) -> dict[str, Any]:
    optimizers = {f'optim_{label}': dict(ADAM, lr=STAGE1_RATE) for label in ('deg', 'clean', 'd_lq', 'd_clean')}
    return dict(
        dict(
            total_iter=8,
            scheduler=dict(type='LinearDecayLR', decay_from=4),
            **optimizers,
            gan_opt=dict(type='GANLoss', gan_type='lsgan', loss_weight=0.5),
            cycle_opt=dict(type='L1Loss', loss_weight=10.0, reduction='mean'),
            identity_opt=dict(type='L1Loss', loss_weight=5.0, reduction='mean'),
            pool_size=6,
        ),
        **changes,
    )


def stage2_train(**changes: Any) -> dict[str, Any]:
    return dict(
        dict(
            total_iter=8,
            supervision='paired',
            grow_at=[3],
            fade_iter=0,
            optim_g=ADAM,
            optim_d=ADAM,
            pixel_opt=dict(type='L1Loss', loss_weight=20.0, reduction='mean'),
            gan_opt=dict(type='GANLoss', gan_type='hinge', loss_weight=0.5),
            r1_reg_weight=10,
            net_d_reg_every=1,
            ema_decay=0,
        ),
        **changes,
    )


def stage1_options(folder: Path, **train: Any) -> dict[str, Any]:
    return options(folder, 'FlowDegradationModel', ('deg', 'd_lq'), stage1_train(**train))


def cyclegan_options(folder: Path, **train: Any) -> dict[str, Any]:
    return options(
        folder,
        'CycleGANDegradationModel',
        ('clean', 'd_lq', 'd_clean'),
        cyclegan_train(**train),
        network_deg=NETWORKS['network_clean'],
    )


def stage2_options(folder: Path, labels: Iterable[str] = ('g', 'd', 'deg'), **train: Any) -> dict[str, Any]:
    return options(folder, 'SelfCondSRModel', labels, stage2_train(**train))


def both_stages_options(folder: Path, stage1: dict[str, Any], stage2: dict[str, Any]) -> dict[str, Any]:
    train = dict(degradation=stage1, sr=stage2, total_iter=stage1['total_iter'] + stage2['total_iter'])
    opt = options(folder, 'SelFSRModel', ('deg', 'd_lq', 'g', 'd'), train)
    if stage1.get('model_type') == 'CycleGANDegradationModel':
        opt.update(
            deepcopy({key: NETWORKS[key] for key in ('network_clean', 'network_d_clean')}),
            network_deg=deepcopy(NETWORKS['network_clean']),
        )
    return opt


def images(*shape: int, seed: int = 0) -> Tensor:
    """Smooth enough that neighbours differ little, rough enough that kernels matter; in [0, 1]."""
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    smooth = nn.functional.avg_pool2d(noise, 5, 1, 2, count_include_pad=False)
    return (0.5 * noise + 0.5 * smooth).to(torch.get_default_dtype())


def resized(faces: Tensor, factor: float) -> Tensor:
    """BasicSR's imresize for a batch; float32 inside."""
    return torch.stack([imresize(face.detach().float(), factor) for face in faces]).to(faces.dtype)


def batch(iteration: int, size: int = 4, gt: int = 64, lq: int = 16) -> dict[str, Tensor]:
    """The batch of an iteration: HR faces and unrelated LR faces, a function of the number alone."""
    return dict(gt=images(size, 3, gt, gt, seed=2 * iteration), lq=images(size, 3, lq, lq, seed=2 * iteration + 1))


def train(model: Any, iterations: Iterable[int], save_at: Iterable[int] = ()) -> Any:
    """The part of the training loop that touches the model."""
    for i in iterations:
        model.update_learning_rate(i, -1)
        model.feed_data(batch(i))
        model.optimize_parameters(i)
        if i in save_at:
            model.save(0, i)
    return model


def digest(stage: Any) -> str:
    """Of the names and bits of all weights that a stage saves."""
    found = hashlib.blake2b()
    for label in stage.trained:
        for each in stage.weights_to_save(label).values():
            for name, value in each.state_dict().items():
                found.update(name.encode() + value.numpy().tobytes())
    return found.hexdigest()


def start(opt: dict[str, Any], seed_heads: bool = True) -> Any:
    """Build the model; the heads of a degradation network, which start at zero, get weights so that they count."""
    model = build_model(opt)
    net_deg = getattr(model, 'net_deg', None)
    if seed_heads and isinstance(net_deg, FlowDegradationNet):
        give_heads_weights(net_deg)
    return model


def give_heads_weights(net_deg: nn.Module, seed: int = 3) -> None:
    generator = torch.Generator().manual_seed(seed)
    for head in (net_deg.image_head, net_deg.flow_head):
        for parameter in head.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.data.copy_(0.3 * noise)


def snapshot(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def everything(model: Any) -> dict[str, Any]:
    """All that a run leaves in a model of one stage: weights, moving average, optimizers, schedulers, and its own."""
    found = {
        f'{label}.{key}': snapshot(net) for label in model.trained for key, net in model.weights_to_save(label).items()
    }
    found['optimizers'] = [deepcopy(optimizer.state_dict()) for optimizer in model.optimizers]
    found['schedulers'] = [scheduler.state_dict() for scheduler in model.schedulers]
    found['extra'] = deepcopy(model.extra_state())
    return found


class Recorder:
    """Stands in for TensorBoard's writer."""

    def __init__(self) -> None:
        self.scalars: dict[str, float] = {}

    def add_scalar(self, name: str, value: float, _: Any) -> None:
        self.scalars[name] = value


class Faces(torch.utils.data.Dataset):
    """A data set as BasicSR's models see one; ``keys`` says what the samples have."""

    def __init__(self, keys: Iterable[str], count: int = 2, name: str = 'faces', scale: int = 4) -> None:
        self.opt, self.keys, self.count, self.scale = dict(name=name), tuple(keys), count, scale

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index >= self.count:
            raise IndexError(index)
        gt = images(1, 3, 64, 64, seed=100 + index)
        sides = dict(gt=gt[0], lq=nn.functional.avg_pool2d(gt, self.scale)[0])
        sample: dict[str, Any] = {key: sides[key] for key in self.keys}
        sample.update({f'{key}_path': f'/faces/{key}/face{index}.png' for key in self.keys})
        return sample


def loader(keys: Iterable[str], name: str | None = None, count: int = 2) -> torch.utils.data.DataLoader:
    return torch.utils.data.DataLoader(Faces(keys, count, name or 'faces'))


def files_below(folder: str | Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob('*') if path.is_file())
