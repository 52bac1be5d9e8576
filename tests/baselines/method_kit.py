"""Tiny options of every model of the methods compared with, and their batches."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

# tests/stages is put before this folder by conftest.py
from model_kit import images, options

from selfsr_plugin.baselines.archs import FeedbackHourglass, LightCNNDiscriminator

ADAM = dict(type='Adam', lr=1e-3, betas=[0.5, 0.9])
L1, MSE = (
    dict(type='L1Loss', loss_weight=1.0, reduction='mean'),
    dict(type='MSELoss', loss_weight=1.0, reduction='mean'),
)
HINGE = dict(type='GANLoss', gan_type='hinge', loss_weight=0.5)
VANILLA, LSGAN = dict(HINGE, gan_type='vanilla'), dict(HINGE, gan_type='lsgan')

RDN = dict(type='RDN', num_feat=4, num_grow_ch=3, num_block=1, num_conv=2, scale=4)
PATCHES = dict(type='SRGANDiscriminator', num_feat=2, head='patch')
FSRNET = dict(type='FSRNet', num_feat=4, num_landmark=5, num_parsing=11, num_block=[1, 1, 1], num_hourglass=1, depth=1)
HOURGLASS = dict(type='FeedbackHourglass', num_feat=8, num_landmark=5)
DIC = dict(type='DIC', num_feat=6, num_step=2, num_group=1, num_fusion_block=1, num_landmark=5, hourglass_feat=8)
LIGHT = dict(type='LightCNNDiscriminator', widths=[4, 4, 4, 4], num_hidden=4, size=64)
RCAN = dict(type='RCAN', num_in_ch=3, num_out_ch=3, num_feat=4, num_group=1, num_block=1, squeeze_factor=2)
RCAN |= dict(upscale=1, img_range=1, rgb_mean=[0, 0, 0])


def supervised(folder: Path, **train: Any) -> dict[str, Any]:
    return _options(folder, 'SupervisedSRModel', dict(optim_g=ADAM, pixel_opt=L1, **train), network_g=RDN)


def srgan(folder: Path) -> dict[str, Any]:
    return dict(supervised(folder, optim_d=ADAM, gan_opt=VANILLA), network_d=PATCHES)


def fsrnet(folder: Path, **train: Any) -> dict[str, Any]:
    settings = dict(optim_g=ADAM, pixel_opt=MSE, coarse_opt=MSE, prior_opt=MSE, **train)
    return _options(folder, 'FSRNetModel', settings, 8, network_g=FSRNET)


def hourglass(folder: Path) -> dict[str, Any]:
    return _options(folder, 'HourglassModel', dict(optim_hg=ADAM, heatmap_opt=MSE), 8, network_hg=HOURGLASS)


def dic(folder: Path, **train: Any) -> dict[str, Any]:
    settings = dict(dict(optim_g=ADAM, pixel_opt=L1, heatmap_opt=MSE, freeze_iter=2), **train)
    opt = _options(folder, 'DICModel', settings, 8, network_g=DIC, network_hg=HOURGLASS)
    return _with_weights(opt, 'hg', FeedbackHourglass, HOURGLASS)


def dicgan(folder: Path) -> dict[str, Any]:
    opt = dic(folder, freeze_iter=0, optim_d=ADAM, gan_opt=VANILLA, feature_opt=L1)
    opt.update(network_d=LIGHT, network_f=LIGHT)
    return _with_weights(opt, 'f', LightCNNDiscriminator, LIGHT)


def _with_weights(
    opt: dict[str, Any], label: str, cls: type[torch.nn.Module], section: dict[str, Any]
) -> dict[str, Any]:
    """As an earlier run has left them, the same for everybody."""
    file = Path(opt['root_path']) / f'{label}.pth'
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = cls(**{key: value for key, value in section.items() if key != 'type'})
    torch.save(dict(params=net.state_dict()), file)
    opt['path'][f'pretrain_network_{label}'] = str(file)
    return opt


def wavelet(folder: Path, **train: Any) -> dict[str, Any]:
    net = dict(type='WaveletSRNet', num_feat=4, num_block=1, wavelet_feat=2, scale=4)
    return _options(folder, 'WaveletSRModel', dict(optim_g=ADAM, pixel_opt=MSE, **train), network_g=net)


def deep_deblur(folder: Path) -> dict[str, Any]:
    net = dict(type='DeepDeblur', num_feat=4, num_block=1, kernel_size=3, num_scale=2, scale=4)
    return _options(folder, 'DeepDeblurModel', dict(optim_g=ADAM, pixel_opt=L1), network_g=net)


def pfsr(folder: Path, **train: Any) -> dict[str, Any]:
    settings = dict(supervision='paired', lq_from_gt=True, grow_at=[2, 4], fade_iter=2, attention_weight=2.0)
    settings |= dict(optim_g=ADAM, optim_d=ADAM, pixel_opt=L1, gan_opt=HINGE, r1_reg_weight=1, heatmap_opt=MSE, **train)
    nets = dict(network_g=dict(type='PFSRNet', num_feat=8), network_hg=HOURGLASS)
    nets['network_d'] = dict(type='PFSRDiscriminator', num_feat=2, num_hidden=4)
    return _with_weights(_options(folder, 'PFSRModel', settings, 8, **nets), 'hg', FeedbackHourglass, HOURGLASS)


def high_to_low(folder: Path) -> dict[str, Any]:
    train = dict(optim_deg=ADAM, optim_d_lq=ADAM, gan_opt=HINGE, pixel_opt=MSE)
    return _options(folder, 'HighToLowModel', train, **_HIGH_TO_LOW)


_HIGH_TO_LOW = dict(
    network_deg=dict(type='HighToLow', num_feat=4, num_block=1, noise_dim=3, size=32),
    network_d_lq=dict(type='SNDiscriminator', num_feat=4, num_block=2, num_down=1),
)


def bulat(folder: Path) -> dict[str, Any]:
    first = dict(optim_deg=ADAM, optim_d_lq=ADAM, gan_opt=HINGE, pixel_opt=MSE, total_iter=3)
    second = dict(optim_g=ADAM, optim_d=ADAM, gan_opt=HINGE, pixel_opt=MSE, total_iter=3)
    nets = dict(
        network_g=dict(type='LowToHigh', widths=[4, 4, 4], num_block=[1, 1]),
        network_d=dict(type='SNDiscriminator', num_feat=4, num_block=2, num_down=2),
    )
    return _options(folder, 'BulatModel', dict(degradation=first, sr=second), **_HIGH_TO_LOW, **nets)


def maeda(folder: Path) -> dict[str, Any]:
    labels = ('g', 'clean', 'deg', 'd_lq', 'd_clean', 'd')
    train = {f'optim_{label}': ADAM for label in labels}
    train |= dict(gan_opt=LSGAN, sr_gan_opt=LSGAN, cycle_opt=L1, identity_opt=L1, geometry_opt=L1, pixel_opt=L1)
    judge = dict(type='NLayerDiscriminator', num_feat=2, num_layer=2)
    nets = dict(network_g=dict(RCAN, upscale=4), network_clean=RCAN, network_d_lq=judge, network_d_clean=judge)
    nets |= dict(network_d=dict(judge, num_down=2))
    nets['network_deg'] = dict(type='TransferNet', num_feat=4, num_noise_feat=2, num_block=1, use_bn=False)
    return _options(folder, 'PseudoSupervisionModel', train, **nets)


def cyclegan(folder: Path, **train: Any) -> dict[str, Any]:
    settings = {f'optim_{label}': ADAM for label in ('g', 'deg', 'd', 'd_lq')}
    settings |= dict(gan_opt=LSGAN, cycle_opt=L1, identity_opt=L1, pool_size=3, **train)
    net, judge = dict(num_feat=3, num_block=1, scale=4), dict(type='DomainDiscriminator', num_feat=3)
    nets = dict(network_g=dict(net, type='CycleGANUpscaler'), network_deg=dict(net, type='CycleGANDownscaler'))
    return _options(folder, 'CycleGANSRModel', settings, network_d=judge, network_d_lq=judge, **nets)


def _options(folder: Path, model: str, train: dict[str, Any], scale: int = 4, **networks: Any) -> dict[str, Any]:
    total = dict(total_iter=sum(part['total_iter'] for part in train.values())) if 'sr' in train else dict(total_iter=6)
    return options(folder, model, (), dict(total, **train), scale, **networks)


CASES = {
    make.__name__: make
    for make in (
        supervised,
        srgan,
        fsrnet,
        hourglass,
        dic,
        dicgan,
        wavelet,
        deep_deblur,
        pfsr,
        high_to_low,
        bulat,
        maeda,
        cyclegan,
    )  # fmt: skip
}


def batch(iteration: int, opt: dict[str, Any], size: int = 4) -> dict[str, Tensor]:
    """The batch of an iteration, a function of the number alone: HR faces, LR faces, landmarks, parsing maps."""
    lq = 16 if opt['model_type'] in ('PseudoSupervisionModel', 'CycleGANSRModel') else 8  # their discriminators
    gt = lq * opt['scale']
    generator = torch.Generator().manual_seed(iteration)
    landmarks = torch.rand(size, 5, 2, generator=generator, dtype=torch.float64)
    return dict(
        gt=images(size, 3, gt, gt, seed=2 * iteration),
        lq=images(size, 3, lq, lq, seed=2 * iteration + 1),
        landmarks=landmarks.to(torch.get_default_dtype()),
        parsing=torch.randint(0, 12, (size, gt, gt), generator=generator, dtype=torch.uint8),
    )


def train(model: Any, opt: dict[str, Any], iterations: Any, save_at: Any = ()) -> Any:
    """The part of the training loop that touches the model."""
    for i in iterations:
        model.update_learning_rate(i, -1)
        model.feed_data(batch(i, opt))
        model.optimize_parameters(i)
        if i in save_at:
            model.save(0, i)
    return model


# A drawn face, 68 points as iBUG orders them, symmetric about x = 64 of 129 pixels (0 to 128).
_LEFT = {  # of the points in the left half of the picture
    **{i: (10 + 5 * i, 60 + 7 * i) for i in range(8)},
    **{17 + i: (20 + 8 * i, 40 - i) for i in range(5)},
    **{31: (55, 84), 32: (60, 86), 36: (25, 50), 37: (32, 46), 38: (40, 46), 39: (46, 50), 40: (40, 53), 41: (32, 53)},
    **{
        48: (40, 100),
        49: (48, 96),
        50: (57, 94),
        58: (57, 110),
        59: (48, 107),
        60: (44, 101),
        61: (56, 99),
        67: (56, 103),
    },
}
_MIDDLE = {8: (64, 120), 27: (64, 50), 28: (64, 59), 29: (64, 68), 30: (64, 77), 33: (64, 88)}
_MIDDLE |= {51: (64, 95), 57: (64, 112), 62: (64, 99), 66: (64, 103)}
_PARTNER = {**{i: 16 - i for i in range(8)}, **{17 + i: 26 - i for i in range(5)}, 31: 35, 32: 34}
_PARTNER |= {36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46}
_PARTNER |= {48: 54, 49: 53, 50: 52, 58: 56, 59: 55, 60: 64, 61: 63, 67: 65}


def drawn_landmarks(side: int) -> np.ndarray:
    """The 68 points of a drawn face that is its own mirror image, in an image of ``side`` pixels."""
    points = np.zeros((68, 2), np.float32)
    for number, place in {**_LEFT, **_MIDDLE}.items():
        points[number] = place
    for number, partner in _PARTNER.items():
        points[partner] = (128 - points[number][0], points[number][1])
    return (points + 0.5) * side / 129 - 0.5
