"""Learning-rate schedule that BasicSR lacks."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class LinearDecayLR(LRScheduler):
    """Constant rate, then a straight line to zero (section IV-B: "linearly decays to zero over the last half steps").

    Iteration ``i`` (the first is 1) runs at ``lr`` up to ``decay_from + 1`` and at
    ``lr * (total_iter - i + 1) / (total_iter - decay_from)`` after it; iteration ``total_iter + 1`` would be at zero.

    Args:
        optimizer: its current rates are the constant ones.
        total_iter: iterations of the run.
        decay_from: iterations before the decay sets in.
    """

    def __init__(self, optimizer: Optimizer, total_iter: int, decay_from: int) -> None:
        self.total_iter, self.decay_from = total_iter, decay_from
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        left = (self.total_iter - self.last_epoch) / (self.total_iter - self.decay_from)
        return [rate * min(1.0, max(0.0, left)) for rate in self.base_lrs]
