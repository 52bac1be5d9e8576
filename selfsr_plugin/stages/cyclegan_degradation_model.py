"""Stage 1 by CycleGAN: the baseline that the paper's flow field degradation is compared with (Table III, "Cyc")."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from basicsr.losses import build_loss
from torch import Tensor

from ..engine.stage import to_signed
from ..engine.stage_options import StageOptions, needs_lq_images, needs_networks
from ..engine.update import Batch, Losses, Update
from ..engine.validation import Evaluation, to_image
from ..schema import AdversarialLoss, ImageLoss, Optimizer, option
from .adversarial import discriminator_terms
from .degradation_model import DegradationModel
from .image_pool import ImagePool, WithImagePools


@dataclass(kw_only=True)
class CycleGANDegradationOptions(StageOptions):
    """The section ``train`` of CycleGANDegradationModel, or ``train.degradation``."""

    networks = {
        'deg': 'degradation network, stage 1',
        'd_lq': 'discriminator between degraded and real LR faces, stage 1',
        'clean': 'network from real to clean LR faces',
        'd_clean': 'discriminator between cleaned and clean LR faces',
    }
    tested = ('deg', 'clean')

    optim_deg: Optimizer = option('optimizer of network_deg')
    optim_clean: Optimizer = option('optimizer of network_clean')
    optim_d_lq: Optimizer = option('optimizer of network_d_lq')
    optim_d_clean: Optimizer = option('optimizer of network_d_clean')
    gan_opt: AdversarialLoss = option('adversarial loss of both directions')
    cycle_opt: ImageLoss = option('cycle consistency loss of both directions, images in [-1, 1]')
    identity_opt: ImageLoss | None = option(
        'identity loss of CycleGAN, images in [-1, 1]; ~ for none', missing='write identity_opt: ~ to train without it.'
    )
    pool_size: int = option(
        'earlier generated images that each discriminator is shown',
        least=0,
        expects='a whole number of images, 50 in CycleGAN, 0 for no pool',
    )

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        needs_networks(opt, CycleGANDegradationModel.trained, 'CycleGANDegradationModel trains it')
        needs_lq_images(opt, 'stage 1 compares with real LR faces')


class CycleGANDegradationModel(WithImagePools, DegradationModel):
    """Trains CycleGAN (Zhu et al., ICCV 2017) between clean and real LR faces, in place of FlowDegradationModel.

    ``network_deg`` turns clean LR faces, HR faces shrunk by ``scale`` with the bicubic kernel, into ones like the real
    LR faces; it is what stage 2 uses. ``network_clean`` goes the other way. ``network_d_lq`` judges real and degraded,
    ``network_d_clean`` clean and cleaned faces. Objective of the two generators, images in [-1, 1]::

        l_deg_adv + l_clean_adv      train.gan_opt       deg(clean) and clean(lq) pass for real and for clean
        l_cyc_clean + l_cyc_lq       train.cycle_opt     |clean(deg(clean)) - clean| and |deg(clean(lq)) - lq|
        l_idt_lq + l_idt_clean       train.identity_opt  |deg(lq) - lq| and |clean(clean) - clean|, if there is one

    The identity loss is CycleGAN's, on faces that already are in the domain a generator leads to; Eq. 3 of the paper
    needs the intermediate image, which CycleGAN has not (ours: the paper does not say which one its "Cyc + Idt" is).
    Each discriminator learns ``(l_d_*_real + l_d_*_fake) / 2``, the generated faces drawn from a pool of
    ``train.pool_size`` earlier ones (:class:`ImagePool`). Batches are those of FlowDegradationModel: 'gt'
    (N, 3, H, W) and 'lq' (N, 3, H / scale, W / scale) in [0, 1].
    """

    options_class = CycleGANDegradationOptions
    trained = ('deg', 'clean', 'd_lq', 'd_clean')

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        self.net_deg, self.net_clean = self.build_net('deg'), self.build_net('clean')
        if self.is_train:
            self._init_training()

    def _init_training(self) -> None:
        self.net_d_lq, self.net_d_clean = self.build_net('d_lq'), self.build_net('d_clean')
        self.cri_gan = build_loss(self.options.gan_opt).to(self.device)
        self.cri_cyc = build_loss(self.options.cycle_opt).to(self.device)
        identity_opt = self.options.identity_opt
        self.cri_idt = build_loss(identity_opt).to(self.device) if identity_opt else None
        self.pools = {
            label: ImagePool(self.options.pool_size, self.opt['manual_seed'], label) for label in ('d_lq', 'd_clean')
        }
        self.start_training()

    def updates(self, current_iter: int) -> list[Update]:
        return [
            Update(('deg', 'clean'), self.generators_loss),
            Update(('d_lq',), self.d_lq_loss, partial(self._exchange, 'd_lq', 'degraded', current_iter)),
            Update(('d_clean',), self.d_clean_loss, partial(self._exchange, 'd_clean', 'cleaned', current_iter)),
        ]

    def compilable(self) -> tuple[str, ...]:
        return self.trained

    def generators_loss(self, batch: Batch) -> Losses:
        """Both generators at once; makes 'degraded' and 'cleaned' from 'clean' and 'lq', all (N, 3, h, w)."""
        clean, lq = batch['clean'], batch['lq']
        net_deg, net_clean = self.updater.net('deg'), self.updater.net('clean')
        degraded, cleaned = net_deg(clean), net_clean(lq)
        terms = {
            'l_deg_adv': self.cri_gan(self.updater.net('d_lq')(degraded), True, is_disc=False),
            'l_clean_adv': self.cri_gan(self.updater.net('d_clean')(cleaned), True, is_disc=False),
            'l_cyc_clean': self.cri_cyc(to_signed(net_clean(degraded)), to_signed(clean)),
            'l_cyc_lq': self.cri_cyc(to_signed(net_deg(cleaned)), to_signed(lq)),
        }
        if self.cri_idt is not None:
            terms['l_idt_lq'] = self.cri_idt(to_signed(net_deg(lq)), to_signed(lq))
            terms['l_idt_clean'] = self.cri_idt(to_signed(net_clean(clean)), to_signed(clean))
        return Losses(terms, made={'degraded': degraded, 'cleaned': cleaned})

    def d_lq_loss(self, batch: Batch) -> Losses:
        """Real 'lq' against 'degraded' from the pool."""
        return self._halved(
            discriminator_terms('l_d_lq', self.updater.net('d_lq'), self.cri_gan, batch['lq'], batch['degraded'])
        )

    def d_clean_loss(self, batch: Batch) -> Losses:
        """'clean' against 'cleaned' from the pool."""
        return self._halved(
            discriminator_terms(
                'l_d_clean', self.updater.net('d_clean'), self.cri_gan, batch['clean'], batch['cleaned']
            )
        )

    @staticmethod
    def _halved(terms: dict[str, Tensor]) -> Losses:
        return Losses(terms, factors=dict.fromkeys(terms, 0.5))

    def make_evaluation(self, data: dict[str, Any]) -> Evaluation:
        """Draw clean LR | degraded | cleaned again; log how far the first and the last move away from clean."""
        self.feed_data(data)
        degraded = self.net_deg(self.clean)
        cycled = self.net_clean(degraded)
        strip = [to_image(self.clean), to_image(degraded), to_image(cycled)]
        values = {
            'degraded_l1': (degraded - self.clean).abs().mean().item(),
            'cycle_l1': (cycled - self.clean).abs().mean().item(),
        }
        return Evaluation(np.concatenate(strip, axis=1), None, values)
