"""DIC, a row of Table I: super-resolution and landmarks that help each other, step by step."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Which landmarks each of the five attention maps is the sum of: left eye, right eye, nose, mouth, outline.
GROUPS: dict[int, tuple[tuple[range, ...], ...]] = {
    5: tuple((range(i, i + 1),) for i in range(5)),
    68: ((range(36, 42),), (range(42, 48),), (range(27, 36),), (range(48, 68),), (range(27),)),
    # Helen; the brows go with their eyes
    194: (
        (range(134, 154), range(174, 194)),
        (range(114, 134), range(154, 174)),
        (range(41, 58),),
        (range(58, 114),),
        (range(41),),
    ),
}
NUM_GROUP = 5


class HourglassParts(NamedTuple):
    """What the hourglass gives in one step."""

    heatmap: Tensor
    """(N, num_landmark, H/4, W/4): about 1 at the landmark, 0 far from it."""
    hidden: Tensor
    """(N, num_feat, H/4, W/4): what the next step is told."""


class DICParts(NamedTuple):
    """What DIC computes in its steps: all of it is supervised."""

    images: list[Tensor]
    """num_step times (N, 3, H, W), about [0, 1]; the last is the result."""
    heatmaps: list[Tensor]
    """num_step times (N, num_landmark, H/4, W/4), of the image of the same step."""


class Bottleneck(nn.Module):
    """1x1 to half the channels, ReLU, 3x3, 1x1, plus the input; without normalisation."""

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_width, width // 2, 1)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1)
        self.conv3 = nn.Conv2d(width // 2, width, 1)
        self.skip = nn.Identity() if in_width == width else nn.Conv2d(in_width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(self.conv2(F.relu(self.conv1(x)))) + self.skip(x)


class Hourglass(nn.Module):
    """Down by maxima and up again ``depth`` times, with a bottleneck beside each step."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.beside, self.down, self.up = (Bottleneck(width, width) for _ in range(3))
        self.inner = Hourglass(width, depth - 1) if depth > 1 else Bottleneck(width, width)

    def forward(self, x: Tensor) -> Tensor:
        beside = self.beside(x)
        h = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        return beside + F.interpolate(h, scale_factor=2, mode='bilinear', align_corners=True)


class FeedbackHourglass(nn.Module):
    """Landmark heatmaps of a face, from its image and from what the step before it found (DIC, section 3.3).

    11,999,172 parameters with the defaults. DIC is trained from one that knows landmarks already: trained by itself on
    HR faces, this network's weights are those of ``DIC.hourglass``.

    Args:
        num_in_ch: image channels.
        num_feat: features of the heatmaps, a multiple of 8; the hourglass has as many more for the next step.
        num_landmark: heatmaps.
        depth: halvings in the hourglass.
    """

    def __init__(self, num_in_ch: int = 3, num_feat: int = 256, num_landmark: int = 68, depth: int = 4) -> None:
        super().__init__()
        self.num_feat, self.multiple = num_feat, 4 * 2**depth
        self.stem = nn.Sequential(
            nn.Conv2d(num_in_ch, num_feat // 4, 7, stride=2, padding=3),
            nn.ReLU(),
            Bottleneck(num_feat // 4, num_feat // 2),
            nn.MaxPool2d(2),
            Bottleneck(num_feat // 2, num_feat // 2),
            Bottleneck(num_feat // 2, num_feat),
        )
        self.compress = nn.Conv2d(2 * num_feat, 2 * num_feat, 1)
        self.hourglass = Hourglass(2 * num_feat, depth)
        self.head = nn.Sequential(
            Bottleneck(num_feat, num_feat),
            nn.Conv2d(num_feat, num_feat, 1),
            nn.ReLU(),
            nn.Conv2d(num_feat, num_landmark, 1),
        )

    def forward(
        self, image: Tensor, hidden: Tensor | None = None, return_parts: bool = False
    ) -> Tensor | HourglassParts:
        """Find landmarks.

        Args:
            image: (N, C, H, W) in [0, 1], H and W multiples of 4 * 2 ** depth.
            hidden: of the step before; by default this is the first.
            return_parts: give what the next step is told too.

        Returns:
            Tensor (N, num_landmark, H / 4, W / 4), or :class:`HourglassParts`.

        Raises:
            ValueError: a size that the hourglass cannot halve.
        """
        height, width = image.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise ValueError(
                f'FeedbackHourglass takes images whose sides are multiples of {self.multiple}, not {height}x{width}.'
            )
        x = self.stem(image)
        x = self.hourglass(self.compress(torch.cat((x, x if hidden is None else hidden), dim=1)))
        heatmap = self.head(x[:, : self.num_feat])
        return HourglassParts(heatmap, x[:, self.num_feat :]) if return_parts else heatmap


class _Conv(nn.Sequential):
    """A convolution and PReLU of one parameter, which starts at 0.2."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__(conv, nn.PReLU(init=0.2))


class AttentiveFusion(nn.Module):
    """Features of their own for each facial component, summed with the weights of its heatmap (DIC, section 3.2)."""

    def __init__(self, num_feat: int, num_block: int) -> None:
        super().__init__()
        width = num_feat * NUM_GROUP
        self.spread = nn.Conv2d(num_feat, width, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, groups=NUM_GROUP),
                nn.LeakyReLU(0.2),
                nn.Conv2d(width, width, 3, padding=1, groups=NUM_GROUP),
            )
            for _ in range(num_block)
        )

    def forward(self, x: Tensor, attention: Tensor) -> Tensor:
        x = F.leaky_relu(self.spread(x), 0.2)
        for block in self.blocks:
            x = x + block(x)
        n, _, height, width = x.shape
        return (x.reshape(n, NUM_GROUP, -1, height, width) * attention.softmax(dim=1)[:, :, None]).sum(dim=1)


class FeedbackBlock(nn.Module):
    """Projections up by ``scale`` and down again, each of which sees those before it (SRFBN, Li et al., CVPR 2019).

    Args:
        in_width: channels that come in.
        num_feat: channels inside and out.
        num_group: pairs of projections.
        scale: how far up they go.
        num_fusion_block: blocks of the attentive fusion after the first convolution; 0: none.
    """

    def __init__(self, in_width: int, num_feat: int, num_group: int, scale: int, num_fusion_block: int = 0) -> None:
        super().__init__()
        kernel = dict(kernel_size=scale + 4, stride=scale, padding=2)
        self.compress_in = _Conv(nn.Conv2d(in_width, num_feat, 1))
        self.fusion = AttentiveFusion(num_feat, num_fusion_block) if num_fusion_block else None
        self.up = nn.ModuleList(_Conv(nn.ConvTranspose2d(num_feat, num_feat, **kernel)) for _ in range(num_group))
        self.down = nn.ModuleList(_Conv(nn.Conv2d(num_feat, num_feat, **kernel)) for _ in range(num_group))
        # from the second group on
        self.to_up, self.to_down = (
            nn.ModuleList(_Conv(nn.Conv2d(num_feat * (i + 1), num_feat, 1)) for i in range(1, num_group))
            for _ in range(2)
        )
        self.compress_out = _Conv(nn.Conv2d(num_group * num_feat, num_feat, 1))

    def forward(self, x: Tensor, attention: Tensor | None = None) -> Tensor:
        x = self.compress_in(x)
        if self.fusion is not None:
            x = self.fusion(x, attention)
        low, high = [x], []
        for i, (up, down) in enumerate(zip(self.up, self.down)):
            x = torch.cat(low, dim=1)
            high.append(up(self.to_up[i - 1](x) if i else x))
            x = torch.cat(high, dim=1)
            low.append(down(self.to_down[i - 1](x) if i else x))
        return self.compress_out(torch.cat(low[1:], dim=1))


def merge_heatmaps(heatmap: Tensor) -> Tensor:
    """(N, 5, 68 or 194, h, w) heatmaps -> (N, 5, h, w): each at its maximum 1 (if that was 0.05 or more), summed."""
    peak = heatmap.amax(dim=(2, 3), keepdim=True).clamp(min=0.05)
    heatmap = heatmap / peak
    groups = GROUPS[heatmap.shape[1]]
    return torch.stack([torch.cat([heatmap[:, each] for each in ranges], 1).sum(1) for ranges in groups], 1)


class DIC(nn.Module):
    """Deep iterative collaboration (Ma et al., "Deep Face Super-Resolution with Iterative Collaboration between
    Attentive Recovery and Landmark Estimation", CVPR 2020).

    x8. A first feedback block makes a coarse image; in every further step a second one, fed with its own last output,
    attends to the five facial components that an hourglass finds in the last image. 21,803,849 parameters with the
    defaults, of which 11,999,172 are the hourglass: Table I's 21.80 M. Layout after the published code; its groups of
    the 194 points each leave out a last point, which ours hold.

    Convolutions start after He et al., as in the published code; not those of the hourglass (ours), which there get the
    weights of a trained one at once.

    Args:
        num_in_ch, num_out_ch: image channels.
        num_feat: channels (48).
        num_step: images made one after the other, 2 or more.
        num_group: pairs of projections in a feedback block.
        num_fusion_block: residual blocks of the attentive fusion.
        num_landmark: 5, 68 or 194 heatmaps; 5 are taken as the five components themselves.
        hourglass_feat: features of the hourglass.
        detach_attention: let no gradient of the images reach the heatmaps.

    Raises:
        ValueError: another number of landmarks, or fewer than two steps.
    """

    scale = 8

    def __init__(
        self,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        num_feat: int = 48,
        num_step: int = 4,
        num_group: int = 6,
        num_fusion_block: int = 7,
        num_landmark: int = 68,
        hourglass_feat: int = 256,
        detach_attention: bool = False,
    ) -> None:
        super().__init__()
        if num_landmark not in GROUPS:
            raise ValueError(f'DIC: num_landmark must be one of {", ".join(map(str, GROUPS))}, not {num_landmark}.')
        if num_step < 2:
            raise ValueError(f'DIC: num_step must be 2 or more, not {num_step}: landmarks serve from the second on.')
        self.num_step, self.detach_attention = num_step, detach_attention
        self.stem = nn.Sequential(_Conv(nn.Conv2d(num_in_ch, 4 * num_feat, 3, padding=1)), nn.PixelShuffle(2))
        self.first_block = FeedbackBlock(num_feat, num_feat, num_group, self.scale)
        self.block = FeedbackBlock(2 * num_feat, num_feat, num_group, self.scale, num_fusion_block)
        self.up = _Conv(nn.ConvTranspose2d(num_feat, num_feat, 8, stride=4, padding=2))
        self.to_rgb = nn.Conv2d(num_feat, num_out_ch, 3, padding=1)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)
        # not so the hourglass, which has no normalisation: its first heatmaps would be in the hundred thousands
        self.hourglass = FeedbackHourglass(num_out_ch, hourglass_feat, num_landmark)

    def forward(self, lq: Tensor, return_parts: bool = False) -> Tensor | DICParts:
        """Super-resolve a face by 8.

        Args:
            lq: (N, C, h, w) in [0, 1], h and w multiples of 8.
            return_parts: give the images and heatmaps of all steps.

        Returns:
            Tensor (N, C, 8h, 8w), about [0, 1], not clamped, or :class:`DICParts`.

        Raises:
            ValueError: a size that the hourglass cannot halve.
        """
        base = F.interpolate(lq, scale_factor=self.scale, mode='bilinear', align_corners=False)
        features = self.stem(lq)
        images, heatmaps = [], []
        hidden = None
        for step in range(self.num_step):
            if step == 0:
                state = self.first_block(features)
            else:
                attention = merge_heatmaps(heatmaps[-1])
                attention = attention.detach() if self.detach_attention else attention
                state = self.block(torch.cat((features, state), dim=1), attention)
            images.append(base + self.to_rgb(self.up(state)))
            if step < self.num_step - 1 or return_parts:
                heatmap, hidden = self.hourglass(images[-1], hidden, return_parts=True)
                heatmaps.append(heatmap)
        return DICParts(images, heatmaps) if return_parts else images[-1]
