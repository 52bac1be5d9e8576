"""FSRNet and FSRGAN (Chen et al., CVPR 2018): a coarse image, facial priors, a fine image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from basicsr.losses import build_loss
from torch import Tensor

from ...engine.networks import describe
from ...engine.stage import to_signed
from ...engine.update import Batch
from ...errors import UserError
from ...schema import ImageLoss, option
from ..landmarks import heatmaps
from ..parsing import one_hot
from .priors import check_parts, needs_landmarks, needs_parsing
from .supervised_sr_model import SupervisedSRModel, SupervisedSROptions, check_size


@dataclass(kw_only=True)
class FSRNetOptions(SupervisedSROptions):
    """The section ``train`` of FSRNetModel."""

    forward_arguments = {'g': ('return_parts', 'FSRNet')}

    pixel_opt: ImageLoss = option('loss of the fine image, in [-1, 1]')
    coarse_opt: ImageLoss = option('loss of the coarse image, in [-1, 1]')
    prior_opt: ImageLoss | None = option(
        'loss of the facial priors, maps in [-1, 1]; ~ for a network without any',
        missing='write prior_opt: ~ to train without priors.',
    )
    heatmap_sigma: float = option('width of the landmarks in the heatmaps, in their pixels', default=3.0, least=0.1)

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        net = describe(opt['network_g'])
        num_landmark, num_parsing = net.get('num_landmark'), net.get('num_parsing')  # None: not FSRNet
        if (self.prior_opt is None) == bool(num_landmark or num_parsing):
            raise UserError(
                f'{key}.prior_opt: it is for a network_g that predicts priors (num_landmark, num_parsing): give both, '
                'or none and num_parsing: 0.'
            )
        if self.prior_opt is None:
            return
        if num_landmark:
            needs_landmarks(opt, num_landmark, 'network_g learns to find them')
        if num_parsing:
            check_parts(num_parsing)
            needs_parsing(opt, 'network_g learns to make them')


class FSRNetModel(SupervisedSRModel):
    """Trains ``network_g`` (FSRNet) on its coarse image, its facial priors and its fine image, and as FSRGAN against
    ``network_d``, from the weights of FSRNet. Objective, images and maps in [-1, 1]::

        l_g_coarse   train.coarse_opt   coarse and HR image
        l_g_prior    train.prior_opt    landmark heatmaps, then parsing maps, at half the size of the image
        l_g_pix      train.pixel_opt    fine and HR image

    and the perceptual and adversarial terms of :class:`SupervisedSRModel`. Batches have 'gt', 'lq', and what
    ``network_g.num_landmark`` and ``num_parsing`` ask for: 'landmarks', 'parsing'.
    """

    options_class = FSRNetOptions

    def _init_training(self) -> None:
        self.cri_coarse = build_loss(self.options.coarse_opt).to(self.device)
        self.cri_prior = build_loss(self.options.prior_opt).to(self.device) if self.options.prior_opt else None
        super()._init_training()

    def prepare(self, current_iter: int) -> Batch:
        batch = super().prepare(current_iter)
        if self.cri_prior is not None:
            net, size, maps = describe(self.opt['network_g']), batch['gt'].shape[-1] // 2, []
            if net.get('num_landmark'):
                maps.append(heatmaps(self.data['landmarks'], size, self.options.heatmap_sigma))
            if net.get('num_parsing'):
                maps.append(one_hot(self.data['parsing'], size))
            batch['prior'] = to_signed(torch.cat(maps, 1))
        return batch

    def supervised_terms(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        parts = self.updater.net('g')(batch['lq'], return_parts=True)
        check_size(parts.image, batch['gt'])
        gt = to_signed(batch['gt'])
        terms = {'l_g_coarse': self.cri_coarse(to_signed(parts.coarse), gt)}
        if self.cri_prior is not None:
            terms['l_g_prior'] = self.cri_prior(parts.prior, batch['prior'])
        terms['l_g_pix'] = self.cri_pix(to_signed(parts.image), gt)
        return parts.image, terms
