"""Print the table of docs/baselines.md: every network's parameters, and its multiply-adds for one face.

``python scripts/baseline_table.py``; nothing is trained or computed, which takes seconds.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import selfsr_plugin  # noqa: E402, F401  before basicsr, if the start-up hook is off
import torch  # noqa: E402
from basicsr.archs.rcan_arch import RCAN  # noqa: E402
from torch import nn  # noqa: E402

from selfsr_plugin import archs  # noqa: E402
from selfsr_plugin.baselines import archs as baselines  # noqa: E402
from selfsr_plugin.baselines.complexity import complexity  # noqa: E402

LR, SMALL, LARGE = (1, 3, 16, 16), (1, 3, 64, 64), (1, 3, 128, 128)


class Row(NamedTuple):
    table: str
    network: str
    make: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...] = (LR,)


def maeda(num_block: int, upscale: int) -> nn.Module:
    return RCAN(3, 3, num_group=5, num_block=num_block, upscale=upscale, img_range=1.0, rgb_mean=[0.0, 0.0, 0.0])


ROWS = (
    Row('I', '`RDN`', baselines.RDN),
    Row('I', '`RDN`, stepwise', lambda: baselines.RDN(upsampler='stepwise')),
    Row('I', '`FSRNet` (FSRNet, FSRGAN)', baselines.FSRNet),
    Row('I', '`FSRNet` without heads', lambda: baselines.FSRNet(num_parsing=0)),
    Row('I', '`FSRNet`, separate blocks', lambda: baselines.FSRNet(share_blocks=False)),
    Row('I', '`DIC` (DIC, DICGAN)', baselines.DIC),
    Row('I', '`PFSRNet`', baselines.PFSRNet),
    Row('I', '`SelfCondSRNet` x8 (ours)', archs.SelfCondSRNet),
    Row('II', '`DeepDeblur`', baselines.DeepDeblur),
    Row('II', '`WaveletSRNet`', baselines.WaveletSRNet),
    Row('II', '`SRResNet` (SRGAN)', baselines.SRResNet),
    Row('II', '`FSRNet` x4', lambda: baselines.FSRNet(scale=4)),
    Row('II', '`CycleGANUpscaler`', baselines.CycleGANUpscaler),
    Row('II', '`LowToHigh` (Bulat et al.)', baselines.LowToHigh),
    Row('II', '`RCAN`, correction (Maeda)', lambda: maeda(10, 1)),
    Row('II', '`RCAN` x4, after it (Maeda)', lambda: maeda(20, 4)),
    Row('II', '`SelfCondSRNet` x4 (ours)', lambda: archs.SelfCondSRNet(widths=[384, 192])),
    Row('training', '`FeedbackHourglass` (in DIC)', baselines.FeedbackHourglass, (LARGE,)),
    Row('training', '`CycleGANDownscaler`', baselines.CycleGANDownscaler, (SMALL,)),
    Row('training', '`HighToLow` (Bulat et al.)', baselines.HighToLow, (SMALL, (1, 64))),
    Row('training', '`HighToLow` without noise', lambda: baselines.HighToLow(noise_dim=0), (SMALL,)),
    Row('training', '`TransferNet` (Maeda)', baselines.TransferNet, (LR, (1, 1, 4, 4))),
    Row('training', '`SRGANDiscriminator` (SRGAN)', baselines.SRGANDiscriminator, (SMALL,)),
    Row(
        'training', '`SRGANDiscriminator`, patch (FSRGAN)', lambda: baselines.SRGANDiscriminator(head='patch'), (LARGE,)
    ),
    Row('training', '`LightCNNDiscriminator` (DICGAN)', baselines.LightCNNDiscriminator, (LARGE,)),
    Row('training', '`PFSRDiscriminator`', baselines.PFSRDiscriminator, (LARGE,)),
    Row('training', '`SNDiscriminator`, HR faces (Bulat et al.)', baselines.SNDiscriminator, (SMALL,)),
    Row('training', '`SNDiscriminator`, LR faces (Bulat et al.)', lambda: baselines.SNDiscriminator(num_down=2), (LR,)),
    Row('training', '`NLayerDiscriminator` (Maeda)', baselines.NLayerDiscriminator, (LR,)),
)


def lines() -> list[str]:
    """The table in Markdown, without its two head lines."""
    found = []
    for row in ROWS:
        # Spectral normalisation takes seconds to start without values.
        with torch.device('cpu' if 'SNDisc' in row.network else 'meta'):
            net = row.make()
        cost = complexity(net, *row.shapes)
        found.append(
            f'| {row.table} | {row.network} | {cost.parameters:,} | {cost.multiply_adds / 1e9:.3f} G '
            f'| {row.shapes[0][-1]}x{row.shapes[0][-1]} |'
        )
    return found


if __name__ == '__main__':
    print('| table | network | parameters | multiply-adds | input |', '|---|---|---|---|---|', *lines(), sep='\n')
