"""Progressive growth (section III-B) as a pure function of the iteration number.

Nothing is stored: a resumed run computes the level and the fade-in weight that the interrupted one had.
"""

from dataclasses import dataclass
from typing import NamedTuple


def log2_of_scale(owner: str, scale: int) -> int:
    """How often ``scale`` doubles; ValueError, naming the network or model, unless it is 2, 4, 8, ..."""
    if scale < 2 or scale & (scale - 1):
        raise ValueError(f'{owner}: scale must be a power of two from 2 on, not {scale}.')
    return scale.bit_length() - 1


class Growth(NamedTuple):
    """Where training stands: ``level`` (1 is x2, 2 is x4, ...) and ``alpha``, the weight of its newest output."""

    level: int
    alpha: float


@dataclass(frozen=True)
class GrowthSchedule:
    """The network starts at x2 and doubles its factor after each iteration in ``grow_at``.

    Args:
        num_level: levels of the network; the last one reaches the full scale.
        grow_at: iterations after which the next level comes in, increasing. Either one for each level beyond the
            first, or none at all: the full scale from the first iteration on (Table IV, no progressive growth).
        fade_iter: iterations over which a new level is faded in, 0 for at once. The paper cites ProGAN for its
            progressive learning and does not say whether it fades; fading is an option of ours.

    Raises:
        ValueError: the steps do not increase or their number does not fit ``num_level``.
    """

    num_level: int
    grow_at: tuple[int, ...] = ()
    fade_iter: int = 0

    def __post_init__(self) -> None:
        steps = list(self.grow_at)
        if steps and len(steps) != self.num_level - 1:
            raise ValueError(
                f'grow_at: {steps} has {len(steps)} steps, but a network of {self.num_level} levels '
                f'(x2 to x{2**self.num_level}) grows {self.num_level - 1} times; '
                'give one step for each growth, or [] for the full scale from the start.'
            )
        if any(later <= earlier for earlier, later in zip([0] + steps, steps)):
            raise ValueError(f'grow_at: {steps} must be positive and increasing.')
        if self.fade_iter < 0:
            raise ValueError(f'fade_iter: {self.fade_iter} must not be negative.')

    def at(self, iteration: int) -> Growth:
        """The growth state in which iteration number ``iteration`` (the first is 1) is trained."""
        if not self.grow_at:
            return Growth(self.num_level, 1.0)
        passed = [step for step in self.grow_at if iteration > step]
        if not passed or not self.fade_iter:
            return Growth(1 + len(passed), 1.0)
        return Growth(1 + len(passed), min(1.0, (iteration - passed[-1]) / self.fade_iter))
