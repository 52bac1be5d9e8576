"""Maeda (CVPR 2020): unpaired super-resolution by pseudo-supervision, with a network that corrects real LR faces."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from basicsr.losses import build_loss
from torch import Tensor

from ...engine.stage import Stage, to_signed
from ...engine.stage_options import StageOptions, needs_lq_images, needs_networks
from ...engine.update import Batch, Losses, Update
from ...engine.validation import Evaluation, sr_evaluation
from ...ops import bicubic_downsample
from ...schema import AdversarialLoss, ImageLoss, Optimizer, option
from ...stages.adversarial import discriminator_terms
from .noise import seeded_noise
from .supervised_sr_model import check_size


@dataclass(kw_only=True)
class PseudoSupervisionOptions(StageOptions):
    """The section ``train`` of PseudoSupervisionModel."""

    networks = {
        'g': 'super-resolution network, from clean LR faces (U)',
        'clean': 'network from real to clean LR faces (G_xy)',
        'deg': 'network from clean to real LR faces (G_yx)',
        'd_lq': 'discriminator between degraded and real LR faces (D_x)',
        'd_clean': 'discriminator between corrected and clean LR faces (D_y)',
        'd': 'discriminator between restored pseudo-pairs and restored real faces (D_sr)',
    }
    tested = ('g', 'clean')
    forward_arguments = {'deg': ('noise', 'TransferNet')}

    optim_g: Optimizer = option('optimizer of network_g')
    optim_clean: Optimizer = option('optimizer of network_clean')
    optim_deg: Optimizer = option('optimizer of network_deg')
    optim_d_lq: Optimizer = option('optimizer of network_d_lq')
    optim_d_clean: Optimizer = option('optimizer of network_d_clean')
    optim_d: Optimizer = option('optimizer of network_d')
    gan_opt: AdversarialLoss = option('adversarial loss of the LR faces')
    sr_gan_opt: AdversarialLoss = option(
        'adversarial loss of the restored faces, from which network_clean and network_deg learn'
    )
    cycle_opt: ImageLoss = option('cycle consistency of clean LR faces, in [-1, 1]')
    identity_opt: ImageLoss = option('identity loss of network_clean on clean LR faces, in [-1, 1]')
    geometry_opt: ImageLoss = option('loss to the mean over the eight turns and flips of a face, in [-1, 1]')
    pixel_opt: ImageLoss = option('loss of the restored pseudo-pairs, in [-1, 1]')

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        needs_networks(opt, PseudoSupervisionModel.trained, 'PseudoSupervisionModel trains it')
        needs_lq_images(opt, 'PseudoSupervisionModel learns from real LR faces')


class PseudoSupervisionModel(Stage):
    """Trains all networks of Maeda's method at once, on HR faces and unrelated real LR faces.

    x are real LR faces, y clean ones (HR faces shrunk with the bicubic kernel), Y the HR faces; images in [-1, 1]::

        l_deg_adv     train.gan_opt        deg(y) passes for real before d_lq
        l_clean_adv   train.gan_opt        clean(x) passes for clean before d_clean
        l_clean_sr    train.sr_gan_opt     g(clean(deg(y))) passes for g(clean(x)) before d
        l_cyc_clean   train.cycle_opt      |clean(deg(y)) - y|
        l_idt_clean   train.identity_opt   |clean(y) - y|
        l_geo_clean   train.geometry_opt   |clean(x) - mean over turns and flips T of T'(clean(T(x)))|
        l_g_pix       train.pixel_opt      |g(clean(deg(y))) - Y|, from which g alone learns

    and half of real + fake for each discriminator. A real face is restored by ``g(clean(x))``. No code was published;
    the order of the updates is ours. Batches have 'gt' and 'lq' in [0, 1].
    """

    options_class = PseudoSupervisionOptions
    trained = ('g', 'clean', 'deg', 'd_lq', 'd_clean', 'd')
    needs = 'lq'

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        self.net_g, self.net_clean = self.build_net('g'), self.build_net('clean')
        if self.is_train:
            for label in ('deg', 'd_lq', 'd_clean', 'd'):
                setattr(self, f'net_{label}', self.build_net(label))
            for name in ('gan', 'sr_gan', 'cycle', 'identity', 'geometry', 'pixel'):
                setattr(self, f'cri_{name}', build_loss(getattr(self.options, f'{name}_opt')).to(self.device))
            self.start_training()

    def prepare(self, current_iter: int) -> Batch:
        """'gt', 'lq', 'clean' of the shape of 'lq', and 'noise' (N, 1, h / 4, w / 4)."""
        gt, lq = self.data['gt'], self.data['lq']
        clean = bicubic_downsample(gt, self.opt['scale']).clamp(0, 1)
        height, width = clean.shape[-2:]
        noise = seeded_noise(self.opt, 'transfer', current_iter, clean, 1, height // 4, width // 4)
        return {'gt': gt, 'lq': lq, 'clean': clean, 'noise': noise}

    def updates(self, current_iter: int) -> list[Update]:
        return [
            Update(('clean', 'deg'), self.translation_loss),
            Update(('g',), self.sr_loss),
            Update(('d_lq', 'd_clean', 'd'), self.discriminators_loss, self._restored),
        ]

    def translation_loss(self, batch: Batch) -> Losses:
        """Both LR networks; makes 'degraded', 'cleaned' and 'cycled' of the shape of 'lq'."""
        clean, lq = batch['clean'], batch['lq']
        net_clean = self.updater.net('clean')
        degraded, cleaned = self.updater.net('deg')(clean, noise=batch['noise']), net_clean(lq)
        cycled = net_clean(degraded)
        mean = geometric_mean(net_clean, lq)
        restored = self.updater.net('g')(cycled)
        check_size(restored, batch['gt'])
        terms = {
            'l_deg_adv': self.cri_gan(self.updater.net('d_lq')(degraded), True, is_disc=False),
            'l_clean_adv': self.cri_gan(self.updater.net('d_clean')(cleaned), True, is_disc=False),
            'l_clean_sr': self.cri_sr_gan(self.updater.net('d')(restored), True, is_disc=False),
            'l_cyc_clean': self.cri_cycle(to_signed(cycled), to_signed(clean)),
            'l_idt_clean': self.cri_identity(to_signed(net_clean(clean)), to_signed(clean)),
            'l_geo_clean': self.cri_geometry(to_signed(cleaned), to_signed(mean)),
        }
        return Losses(terms, made={'degraded': degraded, 'cleaned': cleaned, 'cycled': cycled})

    def sr_loss(self, batch: Batch) -> Losses:
        """Pseudo-pairs: 'cycled' and 'gt'."""
        restored = self.updater.net('g')(batch['cycled'])
        return Losses({'l_g_pix': self.cri_pixel(to_signed(restored), to_signed(batch['gt']))})

    def discriminators_loss(self, batch: Batch) -> Losses:
        """Each of the three: real faces, clean faces and restored real faces against what is made to pass for them."""
        terms: dict[str, Tensor] = {}
        for label, real, fake in (
            ('d_lq', 'lq', 'degraded'),
            ('d_clean', 'clean', 'cleaned'),
            ('d', 'restored_real', 'restored_pseudo'),
        ):
            net = self.updater.net(label)
            terms |= discriminator_terms(f'l_{label}', net, self.cri_gan, batch[real], batch[fake])
        return Losses(terms, factors=dict.fromkeys(terms, 0.5))

    def _restored(self, batch: Batch) -> Batch:
        return {'restored_real': self.net_g(batch['cleaned']), 'restored_pseudo': self.net_g(batch['cycled'])}

    def make_evaluation(self, data: dict[str, Any]) -> Evaluation:
        """Correct the LR image, then super-resolve it."""
        return sr_evaluation(self.net_g(self.net_clean(data['lq'].to(self.device))), data)


def geometric_mean(net: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The mean of what a network makes of the eight turns and flips of images, each turned back; (N, C, S, S)."""
    total = 0
    for turns in range(4):
        for flip in (False, True):
            turned = torch.rot90(images, turns, (-2, -1))
            made = net(turned.flip(-1)).flip(-1) if flip else net(turned)
            total = total + torch.rot90(made, -turns, (-2, -1))
    return total / 8
