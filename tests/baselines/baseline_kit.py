"""Every network of the baselines, small, and what it is given."""

from typing import Any, NamedTuple

from selfsr_plugin.baselines import archs


class Small(NamedTuple):
    cls: type
    arguments: dict[str, Any]
    given: tuple[tuple[int, ...], ...]
    """Shapes of the image and, if it takes any, of the noise."""
    shape: tuple[int, ...]
    """Shape of what ``net(image)`` gives."""
    has_parts: bool = False
    """``net(image, return_parts=True)`` gives more."""


SMALL = {
    'RDN': Small(
        archs.RDN, dict(num_feat=4, num_grow_ch=3, num_block=2, num_conv=2, scale=4), ((2, 3, 5, 6),), (2, 3, 20, 24)
    ),
    'RDN stepwise': Small(
        archs.RDN,
        dict(num_feat=4, num_grow_ch=3, num_block=2, num_conv=2, scale=4, upsampler='stepwise'),
        ((2, 3, 5, 6),),
        (2, 3, 20, 24),
    ),
    'SRResNet': Small(archs.SRResNet, dict(num_feat=4, num_block=2), ((2, 3, 5, 6),), (2, 3, 20, 24)),
    'SRGANDiscriminator': Small(
        archs.SRGANDiscriminator, dict(num_feat=2, size=32, num_hidden=5), ((2, 3, 32, 32),), (2, 1)
    ),
    'SRGANDiscriminator patch': Small(
        archs.SRGANDiscriminator, dict(num_feat=2, head='patch'), ((2, 3, 32, 48),), (2, 1, 2, 3)
    ),
    'FSRNet': Small(
        archs.FSRNet,
        dict(num_feat=4, num_parsing=3, num_landmark=2, num_block=[1, 2, 2], num_hourglass=1, depth=2, scale=4),
        ((2, 3, 4, 6),),
        (2, 3, 16, 24),
        True,
    ),
    'FSRNet unshared': Small(
        archs.FSRNet,
        dict(num_feat=4, num_parsing=3, share_blocks=False, num_block=[1, 2, 1], num_hourglass=2, depth=1, scale=2),
        ((2, 3, 4, 6),),
        (2, 3, 8, 12),
        True,
    ),
    'DIC': Small(
        archs.DIC,
        dict(num_feat=3, num_step=3, num_group=2, num_fusion_block=1, num_landmark=5, hourglass_feat=8),
        ((2, 3, 8, 8),),
        (2, 3, 64, 64),
        True,
    ),
    'FeedbackHourglass': Small(
        archs.FeedbackHourglass, dict(num_feat=8, num_landmark=3, depth=2), ((2, 3, 16, 32),), (2, 3, 4, 8), True
    ),
    'LightCNNDiscriminator': Small(
        archs.LightCNNDiscriminator, dict(widths=[2, 3, 4, 2], num_hidden=3, size=16), ((2, 3, 16, 16),), (2, 1)
    ),
    'PFSRNet': Small(archs.PFSRNet, dict(num_feat=8, num_level=2), ((2, 3, 4, 5),), (2, 3, 16, 20)),
    'PFSRDiscriminator': Small(
        archs.PFSRDiscriminator, dict(num_feat=2, num_level=2, num_hidden=4), ((3, 3, 16, 16),), (3, 1)
    ),
    'WaveletSRNet': Small(
        archs.WaveletSRNet, dict(num_feat=2, num_block=2, wavelet_feat=2), ((2, 3, 4, 3),), (2, 3, 16, 12), True
    ),
    'DeepDeblur': Small(
        archs.DeepDeblur, dict(num_feat=3, num_block=2, kernel_size=3), ((2, 3, 4, 5),), (2, 3, 16, 20), True
    ),
    'HighToLow': Small(
        archs.HighToLow,
        dict(num_feat=3, num_block=1, num_down=2, num_up=1, noise_dim=4, size=16),
        ((2, 3, 16, 16), (2, 4)),
        (2, 3, 8, 8),
    ),
    'HighToLow without noise': Small(
        archs.HighToLow,
        dict(num_feat=3, num_block=1, num_down=2, num_up=1, noise_dim=0),
        ((2, 3, 16, 12),),
        (2, 3, 8, 6),
    ),
    'LowToHigh': Small(archs.LowToHigh, dict(widths=[5, 4, 3], num_block=[2, 1]), ((2, 3, 4, 3),), (2, 3, 16, 12)),
    'SNDiscriminator': Small(archs.SNDiscriminator, dict(num_feat=4, num_block=3, num_down=2), ((2, 3, 8, 8),), (2, 1)),
    'TransferNet': Small(
        archs.TransferNet, dict(num_feat=8, num_noise_feat=2, num_block=1), ((2, 3, 8, 12), (2, 1, 2, 3)), (2, 3, 8, 12)
    ),
    'TransferNet without BatchNorm': Small(
        archs.TransferNet,
        dict(num_feat=8, num_noise_feat=2, num_block=1, use_bn=False),
        ((2, 3, 8, 4), (2, 1, 2, 1)),
        (2, 3, 8, 4),
    ),
    'NLayerDiscriminator': Small(
        archs.NLayerDiscriminator, dict(num_feat=2, num_layer=2, num_down=1), ((2, 3, 24, 22),), (2, 1, 2, 1)
    ),
    'CycleGANUpscaler': Small(archs.CycleGANUpscaler, dict(num_feat=2, num_block=1), ((2, 3, 2, 3),), (2, 3, 8, 12)),
    'CycleGANDownscaler': Small(
        archs.CycleGANDownscaler, dict(num_feat=2, num_block=1), ((2, 3, 8, 12),), (2, 3, 2, 3)
    ),
}
