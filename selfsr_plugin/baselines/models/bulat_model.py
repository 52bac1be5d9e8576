"""Bulat, Yang and Tzimiropoulos (ECCV 2018): learn to degrade first, then to restore what was degraded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from basicsr.losses import build_loss
from torch import Tensor, nn

from ...engine.networks import build_network
from ...engine.stage import Stage, frozen_state, refuse_other_weights, to_signed
from ...engine.stage_options import StageOptions, needs_lq_images, needs_networks
from ...engine.update import Batch, Losses, Update
from ...engine.validation import Evaluation, to_image
from ...schema import AdversarialLoss, ImageLoss, Optimizer, option, require
from ...stages.adversarial import discriminator_terms
from ...stages.selfsr_model import SelFSRModel, SelFSROptions
from .noise import seeded_noise
from .supervised_sr_model import SupervisedSRModel, SupervisedSROptions, check_size


@dataclass(kw_only=True)
class HighToLowOptions(StageOptions):
    """The section ``train`` of HighToLowModel, or ``train.degradation``."""

    networks = {
        'deg': 'network from HR faces to LR faces like the real ones, stage 1',
        'd_lq': 'discriminator between these and real LR faces, stage 1',
    }
    tested = ('deg',)
    forward_arguments = {'deg': ('noise', 'HighToLow')}

    optim_deg: Optimizer = option('optimizer of network_deg')
    optim_d_lq: Optimizer = option('optimizer of network_d_lq')
    gan_opt: AdversarialLoss = option('adversarial loss')
    pixel_opt: ImageLoss = option(
        'loss between the LR face that is made and the HR face averaged to its size, in [-1, 1]'
    )

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        needs_networks(opt, HighToLowModel.trained, 'HighToLowModel trains it')
        needs_lq_images(opt, 'High-to-Low compares with real LR faces')


class HighToLowModel(Stage):
    """Trains ``network_deg`` (HighToLow) against ``network_d_lq`` on HR faces and unrelated real LR faces::

        l_deg_adv              train.gan_opt
        l_deg_pix              train.pixel_opt   the LR face and the averaged HR face, in [-1, 1]
        l_d_lq_real + l_d_lq_fake

    Each HR face comes with a noise vector of its own in each iteration. Batches have 'gt' and 'lq' in [0, 1].
    """

    options_class = HighToLowOptions
    trained = ('deg', 'd_lq')
    needs = 'gt'

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        self.net_deg = self.build_net('deg')
        if self.is_train:
            self.net_d_lq = self.build_net('d_lq')
            self.cri_gan = build_loss(self.options.gan_opt).to(self.device)
            self.cri_pix = build_loss(self.options.pixel_opt).to(self.device)
            self.start_training()

    def prepare(self, current_iter: int) -> Batch:
        """'gt' (N, 3, H, W), 'lq' (N, 3, H / scale, W / scale), and the 'noise' of a network that takes some."""
        gt, lq = self.data['gt'], self.data['lq']
        return {'gt': gt, 'lq': lq, **degradation_noise(self.net_deg, self.opt, current_iter, gt)}

    def updates(self, current_iter: int) -> list[Update]:
        return [Update(('deg',), self.degradation_loss), Update(('d_lq',), self.discriminator_loss)]

    def degradation_loss(self, batch: Batch) -> Losses:
        """Makes 'degraded' of the shape of 'lq'."""
        degraded = self.updater.net('deg')(batch['gt'], noise=batch.get('noise'))
        check_size(degraded, batch['lq'], 'network_deg')
        averaged = nn.functional.avg_pool2d(batch['gt'], self.opt['scale'])
        terms = {
            'l_deg_adv': self.cri_gan(self.updater.net('d_lq')(degraded), True, is_disc=False),
            'l_deg_pix': self.cri_pix(to_signed(degraded), to_signed(averaged)),
        }
        return Losses(terms, made={'degraded': degraded})

    def discriminator_loss(self, batch: Batch) -> Losses:
        """Real 'lq' against 'degraded'."""
        net_d = self.updater.net('d_lq')
        return Losses(discriminator_terms('l_d_lq', net_d, self.cri_gan, batch['lq'], batch['degraded']))

    def make_evaluation(self, data: dict[str, Any]) -> Evaluation:
        """Draw the LR face; log how far it is from the averaged HR face."""
        gt = data['gt'].to(self.device)
        degraded = self.net_deg(gt, noise=degradation_noise(self.net_deg, self.opt, 0, gt).get('noise'))
        averaged = nn.functional.avg_pool2d(gt, self.opt['scale'])
        return Evaluation(to_image(degraded), None, {'degraded_l1': (degraded - averaged).abs().mean().item()})


def degradation_noise(net: nn.Module, opt: Mapping[str, Any], current_iter: int, gt: Tensor) -> Batch:
    """{'noise': (N, noise_dim)} for a HighToLow that takes noise, else {}; 1 process and iteration 0 in validation."""
    count = net.noise_dim
    return {'noise': seeded_noise(opt, 'high_to_low', current_iter, gt, count)} if count else {}


@dataclass(kw_only=True)
class LowToHighOptions(SupervisedSROptions):
    """The section ``train`` of LowToHighModel, or ``train.sr``."""

    networks = {**SupervisedSROptions.networks, 'deg': 'network of HighToLowModel, which makes the LR faces'}
    needs_lq = False
    forward_arguments = {'deg': ('noise', 'HighToLow')}

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        needs_networks(opt, ('deg',), 'LowToHighModel makes the LR faces with it')
        if key == 'train':  # stage 2 alone
            require(
                opt.get('path') or {},
                ('pretrain_network_deg',),
                'path',
                'LowToHighModel needs the weights of HighToLowModel, experiments/<run>/models/net_deg_latest.pth',
            )


class LowToHighModel(SupervisedSRModel):
    """:class:`SupervisedSRModel` on pairs of HR faces and the LR faces that the frozen ``network_deg`` makes of them.

    Args:
        opt: BasicSR's option dictionary.
        net_deg: the trained network; by default it is built from ``network_deg`` and ``path.pretrain_network_deg``.
    """

    options_class = LowToHighOptions

    def __init__(self, opt: dict[str, Any], net_deg: nn.Module | None = None) -> None:
        self.net_deg = net_deg
        super().__init__(opt)

    def _init_training(self) -> None:
        if self.net_deg is None:
            self.net_deg = self.build_net('deg')
        self.net_deg.requires_grad_(False).eval()
        super()._init_training()

    def prepare(self, current_iter: int) -> Batch:
        gt = self.data['gt']
        noise = degradation_noise(self.net_deg, self.opt, current_iter, gt).get('noise')
        return {'gt': gt, 'lq': self.net_deg(gt, noise=noise).clamp(0, 1)}  # clamped, as a stored image is

    def extra_state(self) -> dict[str, Any]:
        return frozen_state('deg', self.net_deg)

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        refuse_other_weights('deg', self.net_deg, state)


@dataclass(kw_only=True)
class BulatOptions(SelFSROptions):
    """The section ``train`` of BulatModel."""

    degradation: HighToLowOptions = option('options of High-to-Low')
    sr: LowToHighOptions = option('options of Low-to-High')

    @classmethod
    def networks_of(cls, section: Any) -> Mapping[str, str]:
        return {**LowToHighOptions.networks, **HighToLowOptions.networks}


class BulatModel(SelFSRModel):
    """Runs HighToLowModel and then LowToHighModel, as SelFSRModel runs its two stages: one run, one option file."""

    options_class = BulatOptions
    stage1_models = {'HighToLowModel': HighToLowModel}
    stage2_model = LowToHighModel

    def _stand_in(self) -> nn.Module:
        return build_network(self.opt, 'deg', self.device)
