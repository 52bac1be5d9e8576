"""PFSR (Kim et al., BMVC 2019): a growing GAN that looks at the parts of the face that matter."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from basicsr.losses import build_loss
from torch import Tensor, nn

from ...engine.stage import frozen_state, refuse_other_weights, to_signed
from ...engine.update import Batch, Losses
from ...errors import UserError
from ...schema import ImageLoss, option, require
from ...stages.selfcond_sr_model import SelfCondSRModel, SelfCondSROptions
from ..landmarks import heatmaps
from .priors import needs_landmarks


@dataclass(kw_only=True)
class PFSROptions(SelfCondSROptions):
    """The section ``train`` of PFSRModel: that of SelfCondSRModel, and the two losses of landmarks."""

    networks = {
        **SelfCondSROptions.networks,
        'hg': 'network of HourglassModel whose heatmaps the heatmap loss compares; it does not learn',
    }

    attention_weight: float = option('weight of the facial attention loss, images in [-1, 1]', default=0, least=0)
    attention_sigma: float = option(
        'width of the landmarks in the attention map, as a share of the side of the image', default=0.05, least=0.001
    )
    heatmap_opt: ImageLoss | None = option(
        'loss between heatmaps that network_hg finds in the output and in the HR image', default=None
    )

    def check(self, key: str) -> None:
        super().check(key)
        if self.supervision != 'paired':
            raise UserError(f'{key}.supervision: {self.supervision}: PFSR learns from pairs; write paired.')

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        if self.attention_weight:
            needs_landmarks(opt, None, 'the facial attention loss looks where they are')
        if (self.heatmap_opt is None) != ('network_hg' not in opt):
            raise UserError(f'{key}.heatmap_opt: it and network_hg need each other; give both or none.')
        if self.heatmap_opt is not None:
            path = opt.get('path') or {}
            require(path, ('pretrain_network_hg',), 'path', 'network_hg needs the weights that HourglassModel has left')


class PFSRModel(SelfCondSRModel):
    """Trains ``network_g`` (PFSRNet) against ``network_d`` (PFSRDiscriminator), level by level, as SelfCondSRModel does
    with ``supervision: paired``, and with the paper's losses of landmarks::

        l_g_att    train.attention_weight   absolute difference of output and HR image in [-1, 1], weighted by the
                                            largest heatmap of a landmark
        l_g_heat   train.heatmap_opt        heatmaps of the output and of the HR image

    The paper has all heatmaps from a distilled face alignment network, whose weights are not to be had. Ours: those of
    the attention are made of the landmarks of the data set, those of the other loss by ``network_hg``
    (:class:`HourglassModel`), which sees images below the full size enlarged to it.
    """

    options_class = PFSROptions

    def _init_training(self, net_deg: nn.Module | None) -> None:
        if self.options.heatmap_opt is not None:
            self.cri_heat = build_loss(self.options.heatmap_opt).to(self.device)
            self.net_hg = self.build_net('hg').requires_grad_(False).eval()
        super()._init_training(net_deg)

    def feed_data(self, data: dict[str, Any]) -> None:
        super().feed_data(data)
        self.landmarks = data['landmarks'].to(self.device, non_blocking=True) if 'landmarks' in data else None

    def prepare(self, current_iter: int) -> Batch:
        batch = super().prepare(current_iter)
        if self.options.attention_weight:
            side = batch['real'].shape[-1]
            maps = heatmaps(self.landmarks, side, self.options.attention_sigma * side)
            batch['attention'] = maps.amax(1, keepdim=True)
        return batch

    def generator_loss(self, batch: Batch) -> Losses:
        loss = super().generator_loss(batch)
        if self.options.attention_weight:
            error = (to_signed(loss.made['fake']) - to_signed(batch['real'])).abs()
            loss.terms['l_g_att'] = self.options.attention_weight * (batch['attention'] * error).mean()
        if self.options.heatmap_opt is not None:
            with torch.no_grad():
                wanted = self._heatmaps(batch['real'])
            loss.terms['l_g_heat'] = self.cri_heat(self._heatmaps(loss.made['fake']), wanted)
        return loss

    def _heatmaps(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) of any level -> (N, P, h, w), always of the size that network_hg makes of HR images."""
        size = self.gt.shape[-2:]
        return self.net_hg(nn.functional.interpolate(images, size, mode='bilinear', align_corners=False))

    def extra_state(self) -> dict[str, Any]:
        own = {} if self.options.heatmap_opt is None else frozen_state('hg', self.net_hg)
        return {**super().extra_state(), **own}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        super().load_extra_state(state)
        if self.options.heatmap_opt is not None:
            refuse_other_weights('hg', self.net_hg, state)
