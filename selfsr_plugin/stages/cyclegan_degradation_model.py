"""Stage 1 by CycleGAN: the baseline that the paper's flow field degradation is compared with (Table III, "Cyc")."""
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Tuple

import numpy as np
import torch
from basicsr.losses import build_loss
from basicsr.utils import tensor2img
from basicsr.utils.registry import MODEL_REGISTRY
from torch import Tensor

from .degradation_model import DegradationModel
from .image_pool import ImagePool
from ..engine.plugin_model import to_signed
from ..engine.stage_options import StageOptions, needs_lq_images, needs_networks
from ..engine.validation import Evaluation
from ..schema import Loss, Optimizer, option


@dataclass(kw_only=True)
class CycleGANDegradationOptions(StageOptions):
    """The section ``train`` of CycleGANDegradationModel, or ``train.degradation``."""
    optim_deg: Optimizer = option('optimizer of network_deg')
    optim_clean: Optimizer = option('optimizer of network_clean')
    optim_d_lq: Optimizer = option('optimizer of network_d_lq')
    optim_d_clean: Optimizer = option('optimizer of network_d_clean')
    gan_opt: Loss = option('adversarial loss of both directions')
    cycle_opt: Loss = option('cycle consistency loss of both directions, images in [-1, 1]')
    identity_opt: Loss | None = option('identity loss of CycleGAN, images in [-1, 1]; ~ for none',
                                       missing='write identity_opt: ~ to train without it.')
    pool_size: int = option('earlier generated images that each discriminator is shown', least=0,
                            expects='a whole number of images, 50 in CycleGAN, 0 for no pool')

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        needs_networks(opt, CycleGANDegradationModel.trained, 'CycleGANDegradationModel trains it')
        needs_lq_images(opt, 'stage 1 compares with real LR faces')


@MODEL_REGISTRY.register()
class CycleGANDegradationModel(DegradationModel):
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
    train_keys = DegradationModel.train_keys | {
        'optim_deg', 'optim_clean', 'optim_d_lq', 'optim_d_clean', 'gan_opt', 'cycle_opt', 'identity_opt', 'pool_size'
    }
    network_labels = frozenset(trained)

    def __init__(self, opt: Dict[str, Any]) -> None:
        super().__init__(opt)
        self.net_deg, self.net_clean = self.build_net('deg'), self.build_net('clean')
        if self.is_train:
            self._init_training()

    def _init_training(self) -> None:
        self.net_d_lq, self.net_d_clean = self.build_net('d_lq'), self.build_net('d_clean')
        train_opt = self.opt['train']
        self.cri_gan = build_loss(train_opt['gan_opt']).to(self.device)
        self.cri_cyc = build_loss(train_opt['cycle_opt']).to(self.device)
        identity_opt = train_opt.get('identity_opt')
        self.cri_idt = build_loss(identity_opt).to(self.device) if identity_opt else None
        self.pools = {label: ImagePool(train_opt['pool_size'], self.opt['manual_seed'], label)
                      for label in ('d_lq', 'd_clean')}
        self.setup_optimizers()
        self.setup_schedulers()
        for label in self.trained:
            setattr(self, f'train_{label}', self.distribute(getattr(self, f'net_{label}')))

    def optimize_parameters(self, current_iter: int) -> None:
        log: Dict[str, Any] = OrderedDict()
        degraded, cleaned = self._step_generators(log)
        self._step_discriminator('d_lq', self.lq, degraded.detach(), current_iter, log)
        self._step_discriminator('d_clean', self.clean, cleaned.detach(), current_iter, log)
        self.log_dict = log

    def _step_generators(self, log: Dict[str, Any]) -> Tuple[Tensor, Tensor]:
        """Both generators at once, through the bare and frozen discriminators. -> degraded and cleaned faces."""
        for net in (self.net_d_lq, self.net_d_clean):
            net.requires_grad_(False)
        for optimizer in (self.optimizer_deg, self.optimizer_clean):
            optimizer.zero_grad(set_to_none=True)
        degraded, cleaned = self.train_deg(self.clean), self.train_clean(self.lq)
        log['l_deg_adv'] = self.cri_gan(self.net_d_lq(degraded), True, is_disc=False)
        log['l_clean_adv'] = self.cri_gan(self.net_d_clean(cleaned), True, is_disc=False)
        log['l_cyc_clean'] = self.cri_cyc(to_signed(self.train_clean(degraded)), to_signed(self.clean))
        log['l_cyc_lq'] = self.cri_cyc(to_signed(self.train_deg(cleaned)), to_signed(self.lq))
        if self.cri_idt is not None:
            log['l_idt_lq'] = self.cri_idt(to_signed(self.train_deg(self.lq)), to_signed(self.lq))
            log['l_idt_clean'] = self.cri_idt(to_signed(self.train_clean(self.clean)), to_signed(self.clean))
        self.step(['deg', 'clean'], log, sum(log.values()))
        return degraded, cleaned

    def _step_discriminator(self, label: str, real: Tensor, fake: Tensor, current_iter: int,
                            log: Dict[str, Any]) -> None:
        net = getattr(self, f'train_{label}')
        getattr(self, f'net_{label}').requires_grad_(True)
        getattr(self, f'optimizer_{label}').zero_grad(set_to_none=True)
        fake = self.pools[label].exchange(fake, current_iter, self.opt['rank'], self.opt['world_size'])
        terms = {
            f'l_{label}_real': self.cri_gan(net(real), True, is_disc=True),
            f'l_{label}_fake': self.cri_gan(net(fake), False, is_disc=True),
        }
        self.step([label], terms, sum(terms.values()) / 2)
        log.update(terms)

    def extra_state(self) -> Dict[str, Any]:
        return {'pools': {label: pool.state_dict() for label, pool in self.pools.items()}}

    def load_extra_state(self, state: Dict[str, Any]) -> None:
        for label, pool in self.pools.items():
            pool.load_state_dict(state['pools'][label], self.device)

    @torch.no_grad()
    def evaluate(self, data: Dict[str, Any]) -> Evaluation:
        """Draw clean LR | degraded | cleaned again; log how far the first and the last move away from clean."""
        self.feed_data(data)
        nets = (self.net_deg.eval(), self.net_clean.eval())
        degraded = self.net_deg(self.clean)
        cycled = self.net_clean(degraded)
        for net in nets:
            net.train(self.is_train)
        strip = [tensor2img(self.clean), tensor2img(degraded), tensor2img(cycled)]
        values = {
            'degraded_l1': (degraded - self.clean).abs().mean().item(),
            'cycle_l1': (cycled - self.clean).abs().mean().item(),
        }
        return Evaluation(np.concatenate(strip, axis=1), None, values)
