"""Stage 1: learn, unpaired, how real LR faces are degraded (section III-A)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from basicsr.losses import build_loss

from ..engine.stage import to_signed
from ..engine.stage_options import StageOptions, needs_lq_images, needs_networks
from ..engine.update import Batch, Losses, Update
from ..engine.validation import Evaluation, to_image
from ..schema import AdversarialLoss, FlowLoss, ImageLoss, Optimizer, option
from .adversarial import discriminator_terms
from .degradation_model import DegradationModel


@dataclass(kw_only=True)
class FlowDegradationOptions(StageOptions):
    """The section ``train`` of FlowDegradationModel, or ``train.degradation``."""

    networks = {
        'deg': 'degradation network, stage 1',
        'd_lq': 'discriminator between degraded and real LR faces, stage 1',
    }
    tested = ('deg',)

    optim_deg: Optimizer = option('optimizer of network_deg', source='paper')
    optim_d_lq: Optimizer = option('optimizer of network_d_lq', source='paper')
    gan_opt: AdversarialLoss = option('adversarial loss, Eq. 2', source='paper')
    identity_opt: ImageLoss | None = option(
        'identity loss, Eq. 3, between intermediate image and input in [-1, 1]; ~ for none',
        source='paper',
        missing='write identity_opt: ~ to train without it.',
    )
    tv_opt: FlowLoss = option('total variation of the flow in pixels, Eq. 4', source='paper')
    r1_reg_weight: float = option(
        'gamma of Eq. 9 for network_d_lq; the paper has none in this stage', default=0, least=0
    )

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        needs_networks(opt, FlowDegradationModel.trained, 'FlowDegradationModel trains it')
        needs_lq_images(opt, 'stage 1 compares with real LR faces')


class FlowDegradationModel(DegradationModel):
    """Trains ``network_deg`` (FlowDegradationNet) against ``network_d_lq`` on HR faces and unrelated real LR faces.

    The HR faces are shrunk by ``scale`` with the bicubic kernel; the network turns these clean LR faces into ones
    that the discriminator cannot tell from the real LR faces. Objective (Eq. 5)::

        l_deg_adv  Eq. 2, generator side   train.gan_opt
        l_deg_idt  Eq. 3                   train.identity_opt   |intermediate - clean|, in [-1, 1], if there is one
        l_deg_tv   Eq. 4                   train.tv_opt         flow in pixels

    and ``l_d_lq_real + l_d_lq_fake`` for the discriminator; with ``train.r1_reg_weight`` (ours, 0 by default) also
    ``l_d_lq_r1``, Eq. 9, which damps the oscillation of short trainings. Batches have 'gt' (N, 3, H, W) and 'lq'
    (N, 3, H / scale, W / scale) in [0, 1].
    """

    options_class = FlowDegradationOptions
    trained = ('deg', 'd_lq')

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        self.net_deg = self.build_net('deg')
        if self.is_train:
            self._init_training()

    def _init_training(self) -> None:
        self.net_d_lq = self.build_net('d_lq')
        self.cri_gan = build_loss(self.options.gan_opt).to(self.device)
        identity_opt = self.options.identity_opt  # none in options/table3/train_ff.yml
        self.cri_idt = build_loss(identity_opt).to(self.device) if identity_opt else None
        self.cri_tv = build_loss(self.options.tv_opt).to(self.device)
        self.start_training()

    def updates(self, current_iter: int) -> list[Update]:
        return [Update(('deg',), self.degradation_loss), Update(('d_lq',), self.discriminator_loss)]

    def compilable(self) -> list[str]:
        return ['deg'] if self.opt['dist'] and self.options.r1_reg_weight > 0 else ['deg', 'd_lq']

    def degradation_loss(self, batch: Batch) -> Losses:
        """Eq. 5: 'clean' (N, 3, h, w) is degraded; makes 'degraded' of the same shape."""
        clean = batch['clean']
        parts = self.updater.net('deg')(clean, return_parts=True)
        terms = {'l_deg_adv': self.cri_gan(self.updater.net('d_lq')(parts.degraded), True, is_disc=False)}
        if self.cri_idt is not None:
            terms['l_deg_idt'] = self.cri_idt(to_signed(parts.intermediate), to_signed(clean))
        terms['l_deg_tv'] = self.cri_tv(parts.flow)
        return Losses(terms, logged={'flow_px': parts.flow.detach().abs().mean()}, made={'degraded': parts.degraded})

    def discriminator_loss(self, batch: Batch) -> Losses:
        """Eq. 2, discriminator side: real 'lq' against 'degraded'."""
        return Losses(
            discriminator_terms(
                'l_d_lq',
                self.updater.net('d_lq'),
                self.cri_gan,
                batch['lq'],
                batch['degraded'],
                self.options.r1_reg_weight,
                self.updater.net('d_lq', exact=True),
            )
        )

    def make_evaluation(self, data: dict[str, Any]) -> Evaluation:
        """Draw clean LR | intermediate image | flow as colours | degraded; log how far image and flow moved."""
        self.feed_data(data)
        parts = self.net_deg(self.clean, return_parts=True)
        flow = draw_flow(parts.flow[0].cpu().numpy(), self.net_deg.max_flow)
        strip = [to_image(self.clean), to_image(parts.intermediate), flow, to_image(parts.degraded)]
        values = {
            'intermediate_l1': (parts.intermediate - self.clean).abs().mean().item(),
            'degraded_l1': (parts.degraded - self.clean).abs().mean().item(),
            'flow_px': parts.flow.abs().mean().item(),
        }
        return Evaluation(np.concatenate(strip, axis=1), None, values)


def draw_flow(flow: np.ndarray, max_flow: float) -> np.ndarray:
    """A flow field as colours: direction is hue, length is saturation, white is no motion (mmcv's ``flow2rgb``).

    Args:
        flow: (2, H, W) in pixels.
        max_flow: length drawn at full saturation, so that pictures can be compared.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    flow = flow.transpose(1, 2, 0) / max_flow
    flow = 0.999 * flow / np.maximum(np.linalg.norm(flow, axis=2, keepdims=True), 1)
    from mmcv import flow2rgb

    # flow2rgb divides by the longest vector that it sees: a row of unit vectors keeps the scale, and is cut off again.
    # 0.999, because it darkens what rounding makes longer than that.
    unit = np.zeros_like(flow[:1])
    unit[..., 0] = 1
    rgb = flow2rgb(np.concatenate((flow, unit)))[:-1]
    return cv2.cvtColor((rgb * 255).round().clip(0, 255).astype(np.uint8), cv2.COLOR_RGB2BGR)
