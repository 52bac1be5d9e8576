"""DIC and DICGAN (Ma et al., CVPR 2020): recovery and landmark estimation that help each other, step by step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from basicsr.losses import build_loss
from basicsr.utils import get_root_logger
from torch import Tensor

from ...engine.networks import describe
from ...engine.stage import Stage, frozen_state, refuse_other_weights
from ...engine.stage_options import StageOptions, needs_networks
from ...engine.update import Batch, Losses, Update
from ...engine.validation import Evaluation, to_image
from ...errors import UserError
from ...schema import ImageLoss, Optimizer, option, require
from ..landmarks import heatmaps
from .priors import needs_landmarks
from .supervised_sr_model import SupervisedSRModel, SupervisedSROptions, check_size


@dataclass(kw_only=True)
class HourglassOptions(StageOptions):
    """The section ``train`` of HourglassModel."""

    networks = {'hg': 'network that finds landmarks in HR faces'}
    tested = ('hg',)

    optim_hg: Optimizer = option('optimizer of network_hg')
    heatmap_opt: ImageLoss = option('loss of the heatmaps')
    heatmap_sigma: float = option('width of the landmarks in the heatmaps, in their pixels', default=1.0, least=0.1)

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        needs_networks(opt, ('hg',), 'HourglassModel trains it')
        needs_landmarks(opt, describe(opt['network_hg']).get('num_landmark'), 'network_hg learns to find them')


class HourglassModel(Stage):
    """Trains ``network_hg`` (FeedbackHourglass) to find landmarks in HR faces, which DIC starts with: ``l_hg_heat``,
    ``train.heatmap_opt`` between its heatmaps and those of the landmarks. Batches have 'gt' and 'landmarks'."""

    options_class = HourglassOptions
    trained = ('hg',)
    needs = 'gt'

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        self.net_hg = self.build_net('hg')
        if self.is_train:
            self.cri_heat = build_loss(self.options.heatmap_opt).to(self.device)
            self.start_training()

    def prepare(self, current_iter: int) -> Batch:
        """'gt' (N, 3, H, W) and 'heatmaps' (N, P, H / 4, W / 4)."""
        gt = self.data['gt']
        maps = heatmaps(self.data['landmarks'], gt.shape[-1] // 4, self.options.heatmap_sigma)
        return {'gt': gt, 'heatmaps': maps}

    def updates(self, current_iter: int) -> list[Update]:
        return [Update(('hg',), self.heatmap_loss)]

    def heatmap_loss(self, batch: Batch) -> Losses:
        """Heatmaps of HR faces against those of their landmarks."""
        return Losses({'l_hg_heat': self.cri_heat(self.updater.net('hg')(batch['gt']), batch['heatmaps'])})

    def make_evaluation(self, data: dict[str, Any]) -> Evaluation:
        """Draw the HR face | the strongest value of all heatmaps in each place."""
        gt = data['gt'].to(self.device)
        strongest = self.net_hg(gt).amax(1, keepdim=True).expand(-1, 3, -1, -1)
        drawn = torch.nn.functional.interpolate(strongest, gt.shape[-2:])
        return Evaluation(np.concatenate([to_image(gt), to_image(drawn)], axis=1), None, {})


@dataclass(kw_only=True)
class DICOptions(SupervisedSROptions):
    """The section ``train`` of DICModel."""

    networks = {
        **SupervisedSROptions.networks,
        'hg': 'network of HourglassModel that the one in network_g starts with',
        'f': 'LightCNNDiscriminator whose features the feature loss compares; it does not learn',
    }

    forward_arguments = {'g': ('return_parts', 'DIC')}

    pixel_opt: ImageLoss = option('loss of the image of each step, in [0, 1], summed over the steps')
    heatmap_opt: ImageLoss = option('loss of the heatmaps of each step, summed over the steps')
    heatmap_sigma: float = option('width of the landmarks in the heatmaps, in their pixels', default=1.0, least=0.1)
    freeze_iter: int = option(
        'iterations in which the hourglass of network_g does not learn', default=0, least=0, unit='iterations'
    )
    feature_opt: ImageLoss | None = option('loss between features of network_f, of the last image', default=None)

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        needs_landmarks(opt, describe(opt['network_g']).get('num_landmark'), 'network_g learns to find them')
        path = opt.get('path') or {}
        if 'network_hg' in opt:
            require(path, ('pretrain_network_hg',), 'path', 'network_hg needs the weights that HourglassModel has left')
        if self.freeze_iter and not path.get('pretrain_network_hg') and not path.get('pretrain_network_g'):
            raise UserError(
                f'{key}.freeze_iter: {self.freeze_iter} iterations with a hourglass that has learnt nothing; give '
                'network_hg and path.pretrain_network_hg, or path.pretrain_network_g, or set it to 0.'
            )
        if (self.feature_opt is None) != ('network_f' not in opt):
            raise UserError(f'{key}.feature_opt: it and network_f need each other; give both or none.')
        if self.feature_opt is not None:
            require(path, ('pretrain_network_f',), 'path', "network_f needs weights: DIC's LightCNN_feature.pth")


class DICModel(SupervisedSRModel):
    """Trains ``network_g`` (DIC) on the images and heatmaps of all its steps, and as DICGAN against ``network_d``, from
    the weights of DIC. Objective::

        l_g_pix       train.pixel_opt     image of each step and HR image in [0, 1], summed
        l_g_heat      train.heatmap_opt   heatmaps of each step and of the landmarks, summed
        l_g_feature   train.feature_opt   features of network_f of the last image and the HR image

    and the perceptual and adversarial terms of :class:`SupervisedSRModel`, of the last image. The hourglass starts with
    the weights of ``network_hg`` (:class:`HourglassModel`), and for ``train.freeze_iter`` iterations it does not
    learn. Batches have 'gt', 'lq' and 'landmarks'.
    """

    options_class = DICOptions

    def _init_training(self) -> None:
        self._frozen: bool | None = None
        self.cri_heat = build_loss(self.options.heatmap_opt).to(self.device)
        self.net_f = None
        if self.options.feature_opt:
            self.cri_feature = build_loss(self.options.feature_opt).to(self.device)
            self.net_f = self.build_net('f').requires_grad_(False).eval()
        if 'network_hg' in self.opt:
            weights = self.build_net('hg').state_dict()
            try:
                self.net_g.hourglass.load_state_dict(weights)
            except RuntimeError as error:
                raise UserError(
                    'network_hg: it is not the hourglass of network_g: make hourglass_feat and num_landmark of '
                    'network_g num_feat and num_landmark of network_hg.'
                ) from error
        super()._init_training()

    def optimize_parameters(self, current_iter: int) -> None:
        if self._enter_phase(current_iter):
            get_root_logger().info('The hourglass is frozen.' if self._frozen else 'The hourglass learns.')
        super().optimize_parameters(current_iter)

    def rehearse(self, current_iter: int, data: dict[str, Any]) -> None:
        self._enter_phase(current_iter)
        super().rehearse(current_iter, data)
        self._frozen = None  # so that training says in its log where it begins

    def _enter_phase(self, current_iter: int) -> bool:
        """Freeze or release the hourglass; whether that has changed."""
        frozen = current_iter <= self.options.freeze_iter
        if frozen == self._frozen:
            return False
        self._frozen = frozen
        parts = [part for name, part in self.net_g.named_children() if not (frozen and name == 'hourglass')]
        self.updater.enter_phase({'g': parts})
        return True

    def prepare(self, current_iter: int) -> Batch:
        batch = super().prepare(current_iter)
        size = batch['gt'].shape[-1] // 4
        return {**batch, 'heatmaps': heatmaps(self.data['landmarks'], size, self.options.heatmap_sigma)}

    def supervised_terms(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        parts = self.updater.net('g')(batch['lq'], return_parts=True)
        fake = parts.images[-1]
        check_size(fake, batch['gt'])
        terms = {
            'l_g_pix': sum(self.cri_pix(image, batch['gt']) for image in parts.images),
            'l_g_heat': sum(self.cri_heat(maps, batch['heatmaps']) for maps in parts.heatmaps),
        }
        if self.net_f is not None:
            terms['l_g_feature'] = self.cri_feature(self.net_f.features(fake), self.net_f.features(batch['gt']))
        return fake, terms

    def extra_state(self) -> dict[str, Any]:
        return {} if self.net_f is None else frozen_state('f', self.net_f)

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        if self.net_f is not None:
            refuse_other_weights('f', self.net_f, state)
