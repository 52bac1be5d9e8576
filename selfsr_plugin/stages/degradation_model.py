"""What the models of stage 1 share."""

from typing import Any

from ..engine.stage import Stage
from ..engine.update import Batch
from ..ops import bicubic_downsample


class DegradationModel(Stage):
    """Base of the models that learn how clean LR faces become like real ones (section III-A).

    Batches have 'gt' (N, 3, H, W), HR faces, and for training 'lq' (N, 3, H / scale, W / scale), unrelated real LR
    faces, in [0, 1]. ``self.clean`` are the HR faces shrunk by ``scale`` with the bicubic kernel, ``self.lq`` the real
    ones.
    """

    needs = 'gt'

    def feed_data(self, data: dict[str, Any]) -> None:
        gt = data['gt'].to(self.device, non_blocking=True)
        # Clamped as a stored image would be: the bicubic kernel overshoots.
        self.clean = bicubic_downsample(gt, self.opt['scale']).clamp(0, 1)
        if 'lq' in data:
            self.lq = data['lq'].to(self.device, non_blocking=True)

    def prepare(self, current_iter: int) -> Batch:
        """'clean' and, for training, 'lq', both (N, 3, H / scale, W / scale)."""
        return {'clean': self.clean, 'lq': self.lq}
