"""Wavelet-SRNet (Huang et al., ICCV 2017): the wavelet packets of the HR face are predicted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...engine.stage_options import StageOptions
from ...engine.update import Batch
from ...errors import UserError
from ...ops import log2_of_scale
from ...schema import ImageLoss, option
from ..archs import haar_packets
from .supervised_sr_model import SupervisedSRModel, SupervisedSROptions, check_size


@dataclass(kw_only=True)
class WaveletSROptions(SupervisedSROptions):
    """The section ``train`` of WaveletSRModel."""

    forward_arguments = {'g': ('return_parts', 'WaveletSRNet')}

    pixel_opt: ImageLoss | None = option('further loss between output and HR image in [0, 1]', default=None)
    low_weight: float = option('weight of the low-pass packet', default=0.01, least=0)
    high_weight: float = option('weight of all other packets', default=0.99, least=0)
    image_weight: float = option('weight of the image', default=0.1, least=0)
    texture_weight: float = option('weight of the texture loss', default=1.0, least=0)
    texture_alpha: float = option(
        'energy of the packets that the texture loss asks for, as a share of the true one', default=1.2, least=0
    )

    def check(self, key: str) -> None:
        StageOptions.check(self, key)

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        side = opt['datasets']['train'].get('gt_size') or opt['scale'] * opt['datasets']['train'].get('lq_size', 0)
        if side % opt['scale']:
            raise UserError(
                f'datasets.train.gt_size: {side} must be a multiple of scale, {opt["scale"]}: the wavelet packets of a '
                f'face are {opt["scale"]} times smaller than it.'
            )


class WaveletSRModel(SupervisedSRModel):
    """Trains ``network_g`` (WaveletSRNet) on the wavelet packets of the HR face, as many steps deep as the scale has
    doublings, and on the image that they make. |.|^2 is the sum of squares over an image, and halved (authors' code)::

        l_g_low       train.low_weight       |c_1 - c'_1|^2      the low-pass packet
        l_g_high      train.high_weight      |c_i - c'_i|^2      the others
        l_g_img       train.image_weight     |image - HR image|^2, in [0, 1]
        l_g_texture   train.texture_weight   max(0, alpha c_i^2 - c'_i^2), the mean over places: they must not die away

    with c true and c' predicted; and the terms of :class:`SupervisedSRModel`, if they are asked for.
    """

    options_class = WaveletSROptions

    def supervised_terms(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        options = self.options
        parts = self.updater.net('g')(batch['lq'], return_parts=True)
        gt = batch['gt']
        check_size(parts.image, gt)
        colours, depth = gt.shape[1], log2_of_scale('WaveletSRModel', self.opt['scale'])
        true, made = haar_packets(gt, depth), parts.packets
        terms = {
            'l_g_low': options.low_weight * half_squares(made[:, :colours], true[:, :colours]),
            'l_g_high': options.high_weight * half_squares(made[:, colours:], true[:, colours:]),
            'l_g_img': options.image_weight * half_squares(parts.image, gt),
        }
        if options.texture_weight:
            energies = [packets[:, colours:].unflatten(1, (-1, colours)).square().sum(2) for packets in (true, made)]
            lacking = (options.texture_alpha * energies[0] - energies[1]).relu()
            terms['l_g_texture'] = options.texture_weight * lacking.mean()
        if self.cri_pix is not None:
            terms['l_g_pix'] = self.cri_pix(parts.image, gt)
        return parts.image, terms


def half_squares(a: Tensor, b: Tensor) -> Tensor:
    """Half the sum of squared differences in an image, the mean over the batch."""
    return (a - b).square().sum() / (2 * len(a))
