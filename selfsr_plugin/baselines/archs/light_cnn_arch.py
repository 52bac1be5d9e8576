"""DICGAN's discriminator, and the network whose features it compares."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...archs.layers import leaky_relu


class MaxFeatureMap(nn.Module):
    """The larger one of two layers of one kind, feature by feature (Wu et al., "A Light CNN", TIFS 2018)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.filter = layer  # gives twice the features

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(*self.filter(x).chunk(2, dim=1))


def _conv(in_width: int, width: int, kernel_size: int) -> MaxFeatureMap:
    return MaxFeatureMap(nn.Conv2d(in_width, 2 * width, kernel_size, padding=kernel_size // 2))


class Group(nn.Module):
    """A 1x1 and a 3x3 convolution, each with the maximum of its features."""

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__()
        self.conv_a, self.conv = _conv(in_width, in_width, 1), _conv(in_width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.conv_a(x))


class LightCNNDiscriminator(nn.Module):
    """LightCNN-9 as a discriminator, as DICGAN's published code has it.

    ``features`` alone is the network of DICGAN's feature loss, there with weights trained on face recognition. Its
    parameters are named as in the published ``LightCNN_feature.pth``.

    Args:
        num_in_ch: image channels.
        widths: features of the four resolutions.
        num_hidden: features between the two linear layers.
        size: side of the images, a multiple of 16.

    Raises:
        ValueError: a size that is no multiple of 16, or not four widths.
    """

    def __init__(
        self, num_in_ch: int = 3, widths: Sequence[int] = (48, 96, 192, 128), num_hidden: int = 256, size: int = 128
    ) -> None:
        super().__init__()
        if size < 16 or size % 16:
            raise ValueError(f'LightCNNDiscriminator: size must be a multiple of 16, not {size}.')
        if len(widths) != 4:
            raise ValueError(f'LightCNNDiscriminator: widths takes four numbers, not {list(widths)}.')
        self.size = size
        a, b, c, d = widths
        self.features = nn.Sequential(
            _conv(num_in_ch, a, 5),
            nn.MaxPool2d(2),
            Group(a, b),
            nn.MaxPool2d(2),
            Group(b, c),
            nn.MaxPool2d(2),
            Group(c, d),
            Group(d, d),
            nn.MaxPool2d(2),
        )
        self.hidden = MaxFeatureMap(nn.Linear(d * (size // 16) ** 2, 2 * num_hidden))
        self.to_logit = nn.Linear(num_hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, size, size) in [0, 1] -> logits (N, 1); ValueError for another size."""
        if x.shape[-2:] != (self.size, self.size):
            raise ValueError(
                f'LightCNNDiscriminator(size={self.size}) judges images of {self.size}x{self.size}, '
                f'not {x.shape[-2]}x{x.shape[-1]}.'
            )
        return self.to_logit(leaky_relu(self.hidden(self.features(x).flatten(1))))
