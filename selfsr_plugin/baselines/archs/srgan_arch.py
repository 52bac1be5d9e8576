"""Generator and discriminator of SRGAN, a row of Table II; FSRGAN's discriminator is the latter without its end."""

from typing import Literal

from torch import Tensor, nn

from ...archs.layers import leaky_relu
from ...ops import log2_of_scale


class NormalisedBlock(nn.Module):
    """conv, BatchNorm, PReLU, conv, BatchNorm, plus the input."""

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(num_feat, num_feat, 3, padding=1),
            nn.BatchNorm2d(num_feat),
            nn.PReLU(),
            nn.Conv2d(num_feat, num_feat, 3, padding=1),
            nn.BatchNorm2d(num_feat),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class SRResNet(nn.Module):
    """SRGAN's generator with BatchNorm, as published (Ledig et al., CVPR 2017, Fig. 4).

    9x9 convolutions at both ends, PReLU with one parameter, one pixel shuffle by 2 for each doubling. BasicSR's
    ``MSRResNet`` is the later form, without normalisation and for x2 to x4 only.

    Args:
        num_in_ch, num_out_ch: image channels.
        num_feat: channels (64 in the paper).
        num_block: residual blocks (16 in the paper).
        scale: a power of two, 2 or more.

    Raises:
        ValueError: a scale that is no power of two.
    """

    def __init__(
        self, num_in_ch: int = 3, num_out_ch: int = 3, num_feat: int = 64, num_block: int = 16, scale: int = 4
    ) -> None:
        super().__init__()
        doublings = log2_of_scale('SRResNet', scale)
        self.stem = nn.Sequential(nn.Conv2d(num_in_ch, num_feat, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(*(NormalisedBlock(num_feat) for _ in range(num_block)))
        self.fuse = nn.Sequential(nn.Conv2d(num_feat, num_feat, 3, padding=1), nn.BatchNorm2d(num_feat))
        self.up = nn.Sequential(
            *(
                layer
                for _ in range(doublings)
                for layer in (nn.Conv2d(num_feat, num_feat * 4, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())
            )
        )
        self.to_rgb = nn.Conv2d(num_feat, num_out_ch, 9, padding=4)

    def forward(self, lq: Tensor) -> Tensor:
        """(N, C, h, w) in [0, 1] -> (N, C, h * scale, w * scale), about [0, 1], not clamped."""
        x = self.stem(lq)
        return self.to_rgb(self.up(x + self.fuse(self.blocks(x))))


class SRGANDiscriminator(nn.Module):
    """SRGAN's discriminator (Ledig et al., Fig. 4), and that of FSRGAN.

    Eight 3x3 convolutions, every second one strided, of 1, 1, 2, 2, 4, 4, 8 and 8 times ``num_feat`` channels, leaky
    ReLU, BatchNorm after all but the first. 'dense': two linear layers, as in SRGAN. 'patch': a convolution to one
    logit for each 16x16 pixels, as cs-giung/FSRNet-pytorch has it for FSRGAN, whose own was not published.

    Args:
        num_in_ch: image channels.
        num_feat: channels of the first convolution.
        head: 'dense' or 'patch'.
        size: side of the images, a multiple of 16; 'patch' takes any other size as well.
        num_hidden: features between the two linear layers of 'dense'.

    Raises:
        ValueError: an unknown head, or a size that is no multiple of 16.
    """

    def __init__(
        self,
        num_in_ch: int = 3,
        num_feat: int = 64,
        head: Literal['dense', 'patch'] = 'dense',
        size: int = 64,
        num_hidden: int = 1024,
    ) -> None:
        super().__init__()
        if head not in ('dense', 'patch'):
            raise ValueError(f"SRGANDiscriminator: head '{head}' is unknown; use 'dense' or 'patch'.")
        if size < 16 or size % 16:
            raise ValueError(f'SRGANDiscriminator: size must be a multiple of 16, not {size}.')
        self.size, self.head = size, head
        widths = [num_feat * factor for factor in (1, 1, 2, 2, 4, 4, 8, 8)]
        self.convs = nn.ModuleList(
            nn.Conv2d(before, width, 3, stride=1 + i % 2, padding=1)
            for i, (before, width) in enumerate(zip([num_in_ch, *widths], widths))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])
        if head == 'dense':
            self.linear = nn.Linear(widths[-1] * (size // 16) ** 2, num_hidden)
            self.to_logit: nn.Module = nn.Linear(num_hidden, 1)
        else:
            self.to_logit = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Judge images.

        Args:
            x: (N, C, size, size) in [0, 1]; (N, C, H, W) of any size from 16 on for 'patch'.

        Returns:
            Tensor (N, 1) of logits, or (N, 1, H / 16, W / 16) for 'patch'.

        Raises:
            ValueError: 'dense' is given images of another size.
        """
        if self.head == 'dense' and x.shape[-2:] != (self.size, self.size):
            raise ValueError(
                f'SRGANDiscriminator(size={self.size}) judges images of {self.size}x{self.size}, '
                f'not {x.shape[-2]}x{x.shape[-1]}.'
            )
        x = leaky_relu(self.convs[0](x * 2 - 1))
        for conv, norm in zip(self.convs[1:], self.norms):
            x = leaky_relu(norm(conv(x)))
        if self.head == 'dense':
            x = leaky_relu(self.linear(x.flatten(1)))
        return self.to_logit(x)
