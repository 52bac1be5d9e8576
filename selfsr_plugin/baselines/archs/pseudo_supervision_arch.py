"""Networks of Maeda's pseudo-supervision, a row of Table II, that BasicSR does not have."""

import torch
from torch import Tensor, nn

from ...archs.layers import leaky_relu


class ResidualBlock(nn.Module):
    """conv, BatchNorm, leaky ReLU, conv, BatchNorm, plus the input."""

    def __init__(self, width: int, use_bn: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 5, padding=2) for _ in range(2))
        self.norm1, self.norm2 = (nn.BatchNorm2d(width) if use_bn else nn.Identity() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm2(self.conv2(leaky_relu(self.norm1(self.conv1(x)))))


class TransferNet(nn.Module):
    """From clean LR faces to real ones: G_yx of Maeda ("Unpaired Image Super-Resolution using Pseudo-Supervision", CVPR
    2020, arXiv 2002.11397).

    Residual blocks with 5x5 kernels over image and noise, then 1x1 convolutions. No code was published with the paper;
    layout after the unofficial yoon28/pseudo-sr, whose 1,291,379 parameters hold 24 of two 1x1 convolutions that shift
    the mean by nothing; without them 1,291,355. The other two generators are BasicSR's ``RCAN``.

    Args:
        num_in_ch: image channels.
        num_feat: channels, a multiple of 4.
        num_noise_feat: channels of the noise after its first enlarging; twice as many after the second.
        num_block: residual blocks.
        use_bn: BatchNorm after the convolutions.
    """

    def __init__(
        self, num_in_ch: int = 3, num_feat: int = 64, num_noise_feat: int = 8, num_block: int = 6, use_bn: bool = True
    ) -> None:
        super().__init__()
        half = num_feat // 2
        self.stem = nn.Sequential(
            nn.Conv2d(num_in_ch, half, 5, padding=2),
            nn.BatchNorm2d(half) if use_bn else nn.Identity(),
            nn.LeakyReLU(0.2),
            ResidualBlock(half, use_bn),
        )
        self.noise = nn.Sequential(
            nn.ConvTranspose2d(1, num_noise_feat, 2, stride=2),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(num_noise_feat, 2 * num_noise_feat, 2, stride=2),
            nn.LeakyReLU(0.2),
        )
        self.merge = nn.Conv2d(half + 2 * num_noise_feat, num_feat, 1)
        self.blocks = nn.Sequential(*(ResidualBlock(num_feat, use_bn) for _ in range(num_block)))
        self.to_rgb = nn.Sequential(
            nn.Conv2d(num_feat, half, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(half, half // 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(half // 2, num_in_ch, 1),
        )

    def forward(self, clean: Tensor, noise: Tensor | None = None) -> Tensor:
        """Degrade faces.

        Args:
            clean: (N, C, h, w) in [0, 1], h and w multiples of 4.
            noise: (N, 1, h / 4, w / 4), N(0, 1); drawn here by default.

        Returns:
            Tensor (N, C, h, w), about [0, 1], not clamped.

        Raises:
            ValueError: a size that is no multiple of 4.
        """
        n, _, height, width = clean.shape
        if height % 4 or width % 4:
            raise ValueError(f'TransferNet takes images whose sides are multiples of 4, not {height}x{width}.')
        if noise is None:
            noise = torch.randn(n, 1, height // 4, width // 4, dtype=clean.dtype, device=clean.device)
        return self.to_rgb(self.blocks(self.merge(torch.cat((self.stem(clean), self.noise(noise)), dim=1))))


class NLayerDiscriminator(nn.Module):
    """PatchGAN (Isola et al., CVPR 2017) without normalisation and padding, as yoon28/pseudo-sr has it for Maeda.

    2,764,737 parameters with the defaults, at every ``num_down``.

    Args:
        num_in_ch: image channels.
        num_feat: channels of the first convolution.
        num_layer: convolutions after which the channels double, up to eight times.
        num_down: how many convolutions, the first ones, stride: 0 for LR faces, 1 for faces twice as large, ...

    Raises:
        ValueError: more strides than convolutions that may.
    """

    def __init__(self, num_in_ch: int = 3, num_feat: int = 64, num_layer: int = 3, num_down: int = 0) -> None:
        super().__init__()
        if not 0 <= num_down <= num_layer:
            raise ValueError(
                f'NLayerDiscriminator: num_down must be from 0 to num_layer, not {num_down} of {num_layer}.'
            )
        widths = [num_feat * min(2**i, 8) for i in range(num_layer + 1)]
        self.convs = nn.ModuleList(
            nn.Conv2d(before, width, 4, stride=2 if i < num_down else 1)
            for i, (before, width) in enumerate(zip([num_in_ch, *widths], widths))
        )
        self.to_logit = nn.Conv2d(widths[-1], 1, 4)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], 16 * 2 ** num_down or more each side -> logits (N, 1, H', W'), one for each patch."""
        for conv in self.convs:
            x = leaky_relu(conv(x))
        return self.to_logit(x)
