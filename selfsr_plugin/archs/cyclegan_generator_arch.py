"""The CycleGAN generator for LR faces, which the paper compares its flow network with (Table III)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import count_parameters, in_full_precision


class ReflectConv2d(nn.Conv2d):
    """3x3 convolution of CycleGAN: reflection padding, weights N(0, 0.02).

    Without a bias, unless asked for: the instance normalisation that follows would take it out again.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, bias: bool = False) -> None:
        super().__init__(in_channels, out_channels, 3, stride, padding=1, bias=bias, padding_mode='reflect')
        nn.init.normal_(self.weight, std=0.02)
        if bias:
            nn.init.zeros_(self.bias)


class ResidualBlock(nn.Module):
    """conv, instance norm, ReLU, conv, instance norm, plus the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = ReflectConv2d(width, width)
        self.conv2 = ReflectConv2d(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.instance_norm(self.conv2(_norm_relu(self.conv1(x))))


class CycleGANGenerator(nn.Module):
    """ResNet generator of CycleGAN (Zhu et al., ICCV 2017, appendix 7.2) scaled to 16x16 LR faces.

    In the paper's notation, for num_feat 64: c3s1-64, d128, d256, R256 x 6, u128, u64, c3s1-3, tanh; instance
    normalisation without parameters and ReLU after every convolution but the last, reflection padding. Ours, for 16x16
    images: 3x3 kernels at both ends instead of 7x7, which would span half a face, and 'u' as nearest x2 and a 3x3
    convolution instead of a transposed one, which draws checkerboards. 7,818,627 parameters with the defaults: about
    as many as FlowDegradationNet, so that Table III does not compare sizes.

    As in CycleGAN nothing leads around the network: the image is made anew, and the instance normalisation after the
    first convolution makes the output blind to a constant added to the input's colours.

    ``net(lq)`` gives the translated image alone, as FlowDegradationNet does, so that either can be ``network_deg``.

    Args:
        num_in_ch: image channels.
        num_feat: channels at full resolution; 2x and 4x as many after the two strided convolutions.
        num_block: residual blocks at a quarter of the resolution.
    """

    def __init__(self, num_in_ch: int = 3, num_feat: int = 64, num_block: int = 6) -> None:
        super().__init__()
        self.stem = ReflectConv2d(num_in_ch, num_feat)
        self.down1 = ReflectConv2d(num_feat, num_feat * 2, stride=2)
        self.down2 = ReflectConv2d(num_feat * 2, num_feat * 4, stride=2)
        self.blocks = nn.Sequential(*(ResidualBlock(num_feat * 4) for _ in range(num_block)))
        self.up1 = ReflectConv2d(num_feat * 4, num_feat * 2)
        self.up2 = ReflectConv2d(num_feat * 2, num_feat)
        self.to_rgb = ReflectConv2d(num_feat, num_in_ch, bias=True)

    def forward(self, lq: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], H and W at least 5 -> the same shape, within [0, 1]."""
        x0 = _norm_relu(self.stem(lq * 2 - 1))
        x1 = _norm_relu(self.down1(x0))
        x = self.blocks(_norm_relu(self.down2(x1)))
        # To the size before the stride, not by 2: sizes that are no multiple of 4 work too.
        x = _norm_relu(self.up1(F.interpolate(x, size=x1.shape[-2:], mode='nearest')))
        x = _norm_relu(self.up2(F.interpolate(x, size=x0.shape[-2:], mode='nearest')))
        return (torch.tanh(in_full_precision(self.to_rgb, x, lq)) + 1) / 2

    def extra_repr(self) -> str:
        return (
            f'num_in_ch={self.stem.in_channels}, num_feat={self.stem.out_channels}, '
            f'num_block={len(self.blocks)}, {count_parameters(self):,} parameters'
        )


def _norm_relu(x: Tensor) -> Tensor:
    return F.relu(F.instance_norm(x))
