"""The discriminator between estimated and real LR faces (section III-A)."""

from torch import Tensor, nn

from .layers import count_parameters, in_full_precision, leaky_relu


class DomainDiscriminator(nn.Module):
    """LR domain discriminator of Eq. 2: is this LR face real or degraded by the network?

    3x3 conv, two strided 4x4 convs, 3x3 conv, and a 4x4 conv to the logit, which at 16x16 sees the whole face.
    Our reconstruction; 1,845,889 parameters with the defaults, initialised after He et al. No normalisation, no
    equalized learning rate: the paper trains stage 1 at the usual rate of 2e-4.

    Args:
        num_in_ch: image channels.
        num_feat: channels of the first conv; 2x, 4x and 8x as many in the next three.
    """

    def __init__(self, num_in_ch: int = 3, num_feat: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(num_in_ch, num_feat, 3, padding=1)
        self.conv2 = nn.Conv2d(num_feat, num_feat * 2, 4, stride=2, padding=1)
        self.conv3 = nn.Conv2d(num_feat * 2, num_feat * 4, 4, stride=2, padding=1)
        self.conv4 = nn.Conv2d(num_feat * 4, num_feat * 8, 3, padding=1)
        self.to_logit = nn.Conv2d(num_feat * 8, 1, 4)
        # torch's default shrinks the signal in every layer, until hardly more than the biases reaches the logit.
        for conv in self.children():
            nn.init.kaiming_normal_(conv.weight, a=0.2)
            nn.init.zeros_(conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], H and W at least 16 -> logits (N, 1, H // 4 - 3, W // 4 - 3), no sigmoid."""
        h = x * 2 - 1
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            h = leaky_relu(conv(h))
        return in_full_precision(self.to_logit, h, x)

    def extra_repr(self) -> str:
        return (
            f'num_in_ch={self.conv1.in_channels}, num_feat={self.conv1.out_channels}, '
            f'{count_parameters(self):,} parameters'
        )
