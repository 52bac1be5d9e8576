"""A discriminator that has nothing left to learn, or has stopped learning, is reported."""

import math
from collections.abc import Mapping
from typing import Any

from basicsr.utils import get_root_logger

# Loss of a discriminator that gives every image the same answer, real + fake terms: hinge(0) + hinge(0), twice
# -log(1/2), and 2 * 0.5 ** 2. WGAN losses have no bound.
_UNDECIDED = {'hinge': 2.0, 'vanilla': 2 * math.log(2), 'lsgan': 0.5}
_CLOSE = 1e-3


class CollapseWatch:
    """Warns when a discriminator's loss has stood at a bound for a span of iterations (ours).

    The bounds are 0, where it separates real and fake perfectly and the generator gets little from it, and the loss of
    a constant answer. Looked at are the values that are logged, so that watching costs nothing: every two of them that
    are called ``<name>_real`` and ``<name>_fake``.

    Args:
        span: ``logger.collapse_iter``; 0 for no warning.
    """

    def __init__(self, span: int) -> None:
        self._span = span
        self._since: dict[str, int | None] = {}

    def update(self, iteration: int, log: Mapping[str, Any], gan_type: str | None) -> None:
        """Take the values logged at an iteration, and the kind of BasicSR's GANLoss that they are of."""
        if not self._span:
            return
        bounds = {
            '0: it tells real and fake apart without fail': 0.0,
            'that of a constant answer: it has stopped to tell them apart': _UNDECIDED.get(gan_type, math.nan),
        }
        for prefix in (name.removesuffix('_real') for name in log if name.endswith('_real')):
            loss = log[f'{prefix}_real'] + log[f'{prefix}_fake']
            bound = next((name for name, value in bounds.items() if abs(loss - value) < _CLOSE), None)
            if bound is None:
                self._since[prefix] = None
                continue
            since = self._since.get(prefix)
            if since is None:
                self._since[prefix] = since = iteration
            if iteration - since >= self._span:
                get_root_logger().warning(
                    f'The discriminator may have collapsed: {prefix}_real + {prefix}_fake has been {loss:.4f} since '
                    f'iteration {since}, close to {bound}. Look at the pictures; a lower rate of its optimizer or a '
                    'higher r1_reg_weight may help.'
                )
                self._since[prefix] = iteration  # and once more after another span
