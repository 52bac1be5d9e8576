"""PFSR (Kim et al., BMVC 2019): a growing GAN that looks at the parts of the face that matter."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...engine.stage import to_signed
from ...engine.update import Batch, Losses
from ...errors import UserError
from ...schema import option
from ...stages.selfcond_sr_model import SelfCondSRModel, SelfCondSROptions
from ..landmarks import heatmaps
from .priors import needs_landmarks


@dataclass(kw_only=True)
class PFSROptions(SelfCondSROptions):
    """The section ``train`` of PFSRModel: that of SelfCondSRModel, and the facial attention loss."""

    attention_weight: float = option('weight of the facial attention loss, images in [-1, 1]', default=0, least=0)
    attention_sigma: float = option(
        'width of the landmarks in the attention map, as a share of the side of the image', default=0.05, least=0.001
    )

    def check(self, key: str) -> None:
        super().check(key)
        if self.supervision != 'paired':
            raise UserError(f'{key}.supervision: {self.supervision}: PFSR learns from pairs; write paired.')

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        if self.attention_weight:
            needs_landmarks(opt, None, 'the facial attention loss looks where they are')


class PFSRModel(SelfCondSRModel):
    """Trains ``network_g`` (PFSRNet) against ``network_d`` (PFSRDiscriminator), level by level, as SelfCondSRModel does
    with ``supervision: paired``, and with the paper's facial attention loss: ``l_g_att``, ``train.attention_weight``
    times the absolute difference of output and HR image in [-1, 1], weighted by the largest heatmap of a landmark.

    The paper has its heatmaps from a distilled face alignment network, whose weights are not to be had, and holds those
    of the output against those of the HR image too. Here they are made of the landmarks of the data set, and that
    second loss is left out (ours).
    """

    options_class = PFSROptions

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
        return loss
