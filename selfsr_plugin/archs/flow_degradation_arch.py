"""The flow field degradation network (section III-A)."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..ops import flow_warp
from .layers import compare_constants, count_parameters, in_full_precision, leaky_relu


class Degradation(NamedTuple):
    """What the network predicts: ``degraded = flow_warp(intermediate, flow)`` (Eq. 1).

    ``degraded`` and ``intermediate`` are (N, C, H, W), about [0, 1], not clamped; ``flow`` is (N, 2, H, W) in
    pixels, channel 0 right and channel 1 down.
    """

    degraded: Tensor
    intermediate: Tensor
    flow: Tensor


class ResidualBlock(nn.Module):
    """conv, leaky ReLU, conv, plus the input; no normalisation (ours: statistics of 4x4 maps are noise)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(leaky_relu(self.conv1(x)))


class FlowDegradationNet(nn.Module):
    """From a clean LR face to one that looks like the real LR faces (section III-A, Fig. 2).

    An encoder-decoder predicts an intermediate image and a flow field; the flow warps the intermediate image.
    The intermediate image is the input plus a residual, and the flow is bounded by ``max_flow * tanh``; both heads
    start at zero, so that the untrained network gives its input back. The layout is our reconstruction (the paper
    gives none); 8,110,213 parameters with the defaults.

    ``net(lq)`` gives the degraded image alone, so that the network can stand in a dataset pipeline.

    Args:
        num_in_ch: image channels.
        num_feat: channels at full resolution; 2x and 4x as many after the two strided convolutions.
        num_block: residual blocks at a quarter of the resolution.
        max_flow: bound of each flow component in pixels, 0 or more.
        center_flow: subtract from the flow its mean over the image (each component is then bounded by twice
            ``max_flow``). A translation of the whole face costs nothing in Eqs. 3 and 4, blurs by interpolation, and
            puts the pseudo pairs of stage 2 out of register; only a long training of the discriminator corrects it.
            Off by default, since the paper says nothing of it.

    Raises:
        ValueError: a negative bound.
    """

    def __init__(
        self,
        num_in_ch: int = 3,
        num_feat: int = 64,
        num_block: int = 6,
        max_flow: float = 2.0,
        center_flow: bool = False,
    ) -> None:
        super().__init__()
        if not max_flow >= 0:
            raise ValueError(f'FlowDegradationNet: max_flow {max_flow} is no bound in pixels; use 0 or more.')
        self.stem = nn.Conv2d(num_in_ch, num_feat, 3, padding=1)
        self.down1 = nn.Conv2d(num_feat, num_feat * 2, 4, stride=2, padding=1)
        self.down2 = nn.Conv2d(num_feat * 2, num_feat * 4, 4, stride=2, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(num_feat * 4) for _ in range(num_block)))
        self.up1 = nn.Conv2d(num_feat * 4, num_feat * 2, 3, padding=1)
        self.up2 = nn.Conv2d(num_feat * 2, num_feat, 3, padding=1)
        self.image_head = nn.Conv2d(num_feat, num_in_ch, 3, padding=1)
        self.flow_head = nn.Conv2d(num_feat, 2, 3, padding=1)
        for head in (self.image_head, self.flow_head):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        self.max_flow, self.center_flow = max_flow, center_flow

    def forward(self, lq: Tensor, return_parts: bool = False) -> Tensor | Degradation:
        """Degrade clean LR faces.

        Args:
            lq: (N, C, H, W) in [0, 1], H and W at least 4.
            return_parts: give a :class:`Degradation` instead of the degraded image alone.
        """
        x0 = leaky_relu(self.stem(lq * 2 - 1))
        x1 = leaky_relu(self.down1(x0))
        x = self.blocks(leaky_relu(self.down2(x1)))
        # To the size of the skip, not by 2: sizes that are no multiple of 4 work too.
        x = leaky_relu(self.up1(F.interpolate(x, size=x1.shape[-2:], mode='nearest'))) + x1
        x = leaky_relu(self.up2(F.interpolate(x, size=x0.shape[-2:], mode='nearest'))) + x0
        # The residual counts in [-1, 1], as the images inside do.
        intermediate = lq + in_full_precision(self.image_head, x, lq) / 2
        flow = self.max_flow * torch.tanh(in_full_precision(self.flow_head, x, lq))
        if self.center_flow:
            flow = flow - flow.mean(dim=(2, 3), keepdim=True)
        degraded = flow_warp(intermediate, flow)
        return Degradation(degraded, intermediate, flow) if return_parts else degraded

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        compare_constants(state_dict, prefix, args[-1], max_flow=self.max_flow, center_flow=self.center_flow)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        return f'max_flow={self.max_flow} px, center_flow={self.center_flow}, {count_parameters(self):,} parameters'
