"""CycleGAN (Zhu et al., ICCV 2017) from real LR faces to HR faces directly, the row of Table II."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from basicsr.losses import build_loss
from torch import Tensor

from ...engine.stage import Stage, to_signed
from ...engine.stage_options import StageOptions, needs_lq_images, needs_networks
from ...engine.update import Batch, Losses, Update
from ...engine.validation import Evaluation, sr_evaluation
from ...ops import bicubic_downsample, bicubic_resize
from ...schema import AdversarialLoss, ImageLoss, Optimizer, option
from ...stages.adversarial import discriminator_terms
from ...stages.image_pool import ImagePool, WithImagePools
from .supervised_sr_model import check_scale, check_size


@dataclass(kw_only=True)
class CycleGANSROptions(StageOptions):
    """The section ``train`` of CycleGANSRModel."""

    networks = {
        'g': 'network from real LR faces to HR faces',
        'deg': 'network from HR faces to LR faces like the real ones',
        'd': 'discriminator between restored and HR faces',
        'd_lq': 'discriminator between degraded and real LR faces',
    }
    tested = ('g',)

    optim_g: Optimizer = option('optimizer of network_g')
    optim_deg: Optimizer = option('optimizer of network_deg')
    optim_d: Optimizer = option('optimizer of network_d')
    optim_d_lq: Optimizer = option('optimizer of network_d_lq')
    gan_opt: AdversarialLoss = option('adversarial loss of both directions')
    cycle_opt: ImageLoss = option('cycle consistency loss of both directions, images in [-1, 1]')
    identity_opt: ImageLoss | None = option(
        'identity loss of both directions, of HR faces and their bicubic LR faces, images in [-1, 1]; ~ for none',
        missing='write identity_opt: ~ to train without it.',
    )
    pool_size: int = option(
        'earlier generated images that each discriminator is shown',
        least=0,
        expects='a whole number of images, 50 in CycleGAN, 0 for no pool',
    )

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        needs_networks(opt, CycleGANSRModel.trained, 'CycleGANSRModel trains it')
        needs_lq_images(opt, 'CycleGANSRModel learns from real LR faces')
        for label in ('g', 'deg'):
            check_scale(opt, label)


class CycleGANSRModel(WithImagePools, Stage):
    """Trains CycleGAN between real LR faces and unrelated HR faces. Objective of the two generators, in [-1, 1]::

        l_g_adv + l_deg_adv      train.gan_opt        g(lq) and deg(gt) pass for HR faces and for real LR faces
        l_cyc_lq + l_cyc_gt      train.cycle_opt      |deg(g(lq)) - lq| and |g(deg(gt)) - gt|
        l_idt_g + l_idt_deg      train.identity_opt   |g(b(gt)) - gt| and |deg(b'(lq)) - lq|, if there is one

    CycleGAN's identity loss shows a generator an image of the domain that it leads to. Here the two domains differ in
    size, so it is shown that image at the size of the other: ``b`` shrinks and ``b'`` enlarges with the bicubic kernel
    (ours; the layout of the row in Table II is not known). Each discriminator learns ``(real + fake) / 2`` with a pool
    of ``train.pool_size`` earlier images. Batches have 'gt' and 'lq' in [0, 1].
    """

    options_class = CycleGANSROptions
    trained = ('g', 'deg', 'd', 'd_lq')
    needs = 'lq'

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        self.net_g = self.build_net('g')
        if self.is_train:
            self._init_training()

    def _init_training(self) -> None:
        for label in ('deg', 'd', 'd_lq'):
            setattr(self, f'net_{label}', self.build_net(label))
        options = self.options
        self.cri_gan = build_loss(options.gan_opt).to(self.device)
        self.cri_cyc = build_loss(options.cycle_opt).to(self.device)
        self.cri_idt = build_loss(options.identity_opt).to(self.device) if options.identity_opt else None
        self.pools = {label: ImagePool(options.pool_size, self.opt['manual_seed'], label) for label in ('d', 'd_lq')}
        self.start_training()

    def prepare(self, current_iter: int) -> Batch:
        """'gt' (N, 3, H, W) and 'lq' (N, 3, H / scale, W / scale)."""
        return {'gt': self.data['gt'], 'lq': self.data['lq']}

    def updates(self, current_iter: int) -> list[Update]:
        return [
            Update(('g', 'deg'), self.generators_loss),
            Update(('d',), self.d_loss, partial(self._exchange, 'd', 'restored', current_iter)),
            Update(('d_lq',), self.d_lq_loss, partial(self._exchange, 'd_lq', 'degraded', current_iter)),
        ]

    def generators_loss(self, batch: Batch) -> Losses:
        """Both generators at once; makes 'restored' of the shape of 'gt' and 'degraded' of that of 'lq'."""
        gt, lq = batch['gt'], batch['lq']
        net_g, net_deg = self.updater.net('g'), self.updater.net('deg')
        restored, degraded = net_g(lq), net_deg(gt)
        check_size(restored, gt)
        check_size(degraded, lq, 'network_deg')
        terms = {
            'l_g_adv': self.cri_gan(self.updater.net('d')(restored), True, is_disc=False),
            'l_deg_adv': self.cri_gan(self.updater.net('d_lq')(degraded), True, is_disc=False),
            'l_cyc_lq': self.cri_cyc(to_signed(net_deg(restored)), to_signed(lq)),
            'l_cyc_gt': self.cri_cyc(to_signed(net_g(degraded)), to_signed(gt)),
        }
        if self.cri_idt is not None:
            small = bicubic_downsample(gt, self.opt['scale']).clamp(0, 1)
            large = bicubic_resize(lq, tuple(gt.shape[-2:])).clamp(0, 1)
            terms['l_idt_g'] = self.cri_idt(to_signed(net_g(small)), to_signed(gt))
            terms['l_idt_deg'] = self.cri_idt(to_signed(net_deg(large)), to_signed(lq))
        return Losses(terms, made={'restored': restored, 'degraded': degraded})

    def d_loss(self, batch: Batch) -> Losses:
        """HR faces against 'restored' from the pool."""
        return self._halved('d', batch['gt'], batch['restored'])

    def d_lq_loss(self, batch: Batch) -> Losses:
        """Real 'lq' against 'degraded' from the pool."""
        return self._halved('d_lq', batch['lq'], batch['degraded'])

    def _halved(self, label: str, real: Tensor, fake: Tensor) -> Losses:
        terms = discriminator_terms(f'l_{label}', self.updater.net(label), self.cri_gan, real, fake)
        return Losses(terms, factors=dict.fromkeys(terms, 0.5))

    def make_evaluation(self, data: dict[str, Any]) -> Evaluation:
        """Super-resolve the LR image."""
        return sr_evaluation(self.net_g(data['lq'].to(self.device)), data)
