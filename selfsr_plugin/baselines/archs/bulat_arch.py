"""High-to-Low, Low-to-High and the discriminators of Bulat et al., a row of Table II."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class ResidualBlock(nn.Module):
    """conv, BatchNorm, ReLU, conv, BatchNorm, plus the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))


class HighToLow(nn.Module):
    """Degrades an HR face as real LR faces are (Bulat et al., "To learn image super-resolution, use a GAN to learn how
    to do image degradation first", ECCV 2018, section 3).

    Residual blocks and strided convolutions from 64x64 down to 4x4, then residual blocks and pixel shuffles up to
    16x16. Layout after that of the five variants in the authors' H2L.py that they mark; it has 1,336,515 parameters
    without noise (``noise_dim=0``). With the paper's noise vector, by a linear layer made one more channel of the image
    as other variants have it, 1,603,331.

    Args:
        num_in_ch: image channels.
        num_feat: channels.
        num_block: residual blocks before each change of the resolution.
        num_down, num_up: halvings and, after them, doublings.
        noise_dim: length of the noise vector; 0: none.
        size: side of the HR images, needed for the noise.
    """

    def __init__(
        self,
        num_in_ch: int = 3,
        num_feat: int = 64,
        num_block: int = 2,
        num_down: int = 4,
        num_up: int = 2,
        noise_dim: int = 64,
        size: int = 64,
    ) -> None:
        super().__init__()
        self.size, self.noise_dim, self.multiple = size, noise_dim, 2**num_down
        self.noise = nn.Linear(noise_dim, size**2) if noise_dim else None
        self.stem = nn.Conv2d(num_in_ch + bool(noise_dim), num_feat, 3, padding=1)

        def blocks() -> list[nn.Module]:
            return [ResidualBlock(num_feat) for _ in range(num_block)]

        self.down = nn.Sequential(
            *(
                layer
                for _ in range(num_down)
                for layer in (
                    *blocks(),
                    nn.BatchNorm2d(num_feat),
                    nn.ReLU(),
                    nn.Conv2d(num_feat, num_feat, 3, stride=2, padding=1),
                )
            )
        )
        self.up = nn.Sequential(
            *(
                layer
                for _ in range(num_up)
                for layer in (*blocks(), nn.Conv2d(num_feat, num_feat * 4, 3, padding=1), nn.PixelShuffle(2), nn.ReLU())
            )
        )
        self.to_rgb = nn.Conv2d(num_feat, num_in_ch, 3, padding=1)

    def forward(self, hr: Tensor, noise: Tensor | None = None) -> Tensor:
        """Degrade faces.

        Args:
            hr: (N, C, H, W) in [0, 1]; H and W are ``size`` with noise, else multiples of 2 ** num_down.
            noise: (N, noise_dim), N(0, 1); drawn here by default.

        Returns:
            Tensor (N, C, H * 2 ** (num_up - num_down), W * 2 ** (num_up - num_down)) in [0, 1].

        Raises:
            ValueError: images of another size.
        """
        n, _, height, width = hr.shape
        if (height, width) != (self.size, self.size) if self.noise else height % self.multiple or width % self.multiple:
            needed = f'of {self.size}x{self.size}' if self.noise else f'whose sides are multiples of {self.multiple}'
            raise ValueError(f'HighToLow takes images {needed}, not {height}x{width}.')
        x = hr * 2 - 1
        if self.noise is not None:
            if noise is None:
                noise = torch.randn(n, self.noise_dim, dtype=hr.dtype, device=hr.device)
            x = torch.cat((x, self.noise(noise).reshape(n, 1, height, width)), dim=1)
        return (torch.tanh(self.to_rgb(self.up(self.down(F.relu(self.stem(x)))))) + 1) / 2


class PreactivationBlock(nn.Module):
    """BatchNorm, ReLU, conv, BatchNorm, ReLU, conv, plus the input, by a 1x1 convolution where the channels differ."""

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(in_width), nn.Conv2d(in_width, width, 3, padding=1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.skip = nn.Identity() if in_width == width else nn.Conv2d(in_width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))


class LowToHigh(nn.Module):
    """Super-resolves real LR faces (Bulat et al., ECCV 2018, section 3).

    For each doubling: pre-activation blocks with a skip connection around all of them, bilinear enlarging, BatchNorm,
    ReLU and a 1x1 convolution. Layout after the authors' model.py, whose 15,490,403 parameters count a 1x1 convolution
    (12,384) that it never calls; without that 15,478,019.

    Args:
        num_in_ch, num_out_ch: image channels.
        widths: channels at the size of the LR image, after the first doubling, ..., of the last layers.
        num_block: blocks before each doubling; their number sets the scale, 2 ** len(num_block).

    Raises:
        ValueError: not one width more than numbers of blocks.
    """

    def __init__(
        self,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        widths: Sequence[int] = (256, 128, 96),
        num_block: Sequence[int] = (12, 3),
    ) -> None:
        super().__init__()
        if len(widths) != len(num_block) + 1 or not num_block:
            raise ValueError(
                'LowToHigh: give the blocks of each doubling in num_block and one width more, '
                f'not {list(num_block)} and {list(widths)}.'
            )
        self.scale = 2 ** len(num_block)
        self.stem = nn.Conv2d(num_in_ch, widths[0], 3, padding=1, bias=False)
        self.bodies, self.skips, self.ups = (nn.ModuleList() for _ in range(3))
        for before, width, count in zip([widths[0], *widths], widths, num_block):
            self.bodies.append(
                nn.Sequential(*(PreactivationBlock(width if i else before, width) for i in range(count)))
            )
            self.skips.append(nn.Identity() if before == width else nn.Conv2d(before, width, 1))
            self.ups.append(
                nn.Sequential(
                    nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                    nn.Conv2d(width, width, 1),
                )
            )
        width, last = widths[-2:]
        self.to_rgb = nn.Sequential(
            nn.Conv2d(width, last, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(last, last, 1),
            nn.ReLU(),
            nn.Conv2d(last, num_out_ch, 1),
        )

    def forward(self, lq: Tensor) -> Tensor:
        """(N, C, h, w) in [0, 1] -> (N, C, h * scale, w * scale) in [0, 1]."""
        x = self.stem(lq * 2 - 1)
        for body, skip, up in zip(self.bodies, self.skips, self.ups):
            x = up(body(x) + skip(x))
        return (torch.tanh(self.to_rgb(x)) + 1) / 2


class DiscriminatorBlock(nn.Module):
    """ReLU, conv, ReLU, conv, plus the input (by a 1x1 convolution where it is pooled); all of spectral norm 1.

    ``first``: without the ReLU before, which an image would lose by. ``pool``: averaged over squares of four.
    """

    def __init__(self, in_width: int, width: int, pool: bool, first: bool = False) -> None:
        super().__init__()
        self.pool, self.first = pool, first
        self.conv1, self.conv2 = (nn.Conv2d(before, width, 3, padding=1) for before in (in_width, width))
        self.skip = nn.Conv2d(in_width, width, 1) if pool or in_width != width else None
        for conv, gain in ((self.conv1, 1.0), (self.conv2, 1.0), (self.skip, math.sqrt(2))):
            if conv is not None:
                nn.init.xavier_uniform_(conv.weight, gain)
                spectral_norm(conv)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        if self.pool:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        return h + (x if self.skip is None else self.skip(x))


class SNDiscriminator(nn.Module):
    """Residual discriminator with spectral normalisation (Miyato et al., "Spectral Normalization for GANs", ICLR 2018).

    Bulat et al. have it on both sides; layout after their Discriminator.py: four of the five blocks pool for HR faces
    of 64x64, two for LR faces of 16x16.

    Args:
        num_in_ch: image channels.
        num_feat: channels.
        num_block: residual blocks.
        num_down: how many of them, the first ones, pool.

    Raises:
        ValueError: more blocks that pool than blocks, or none of either.
    """

    def __init__(self, num_in_ch: int = 3, num_feat: int = 128, num_block: int = 5, num_down: int = 4) -> None:
        super().__init__()
        if not 1 <= num_down <= num_block:
            raise ValueError(
                f'SNDiscriminator: num_down must be from 1 to num_block, not {num_down} of {num_block} blocks.'
            )
        self.blocks = nn.Sequential(
            DiscriminatorBlock(num_in_ch, num_feat, pool=True, first=True),
            *(DiscriminatorBlock(num_feat, num_feat, pool=i < num_down) for i in range(1, num_block)),
        )
        self.to_logit = nn.Linear(num_feat, 1)
        nn.init.xavier_uniform_(self.to_logit.weight)
        spectral_norm(self.to_logit)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], H and W at least 2 ** num_down -> logits (N, 1)."""
        return self.to_logit(F.relu(self.blocks(x * 2 - 1)).mean(dim=(2, 3)))
