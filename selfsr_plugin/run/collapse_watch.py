"""A discriminator that has nothing left to learn, or has stopped learning, is reported."""
import math
from typing import Any, Dict, Mapping, Optional

from basicsr.utils import get_root_logger

# Loss of a discriminator that gives every image the same answer, real + fake terms: hinge(0) + hinge(0), twice
# -log(1/2), and 2 * 0.5 ** 2. WGAN losses have no bound.
_UNDECIDED = {'hinge': 2.0, 'vanilla': 2 * math.log(2), 'lsgan': 0.5}
_CLOSE = 1e-3


class CollapseWatch:
    """Warns when a discriminator's loss has stood at a bound for ``logger.collapse_iter`` iterations (ours).

    The bounds are 0, where it separates real and fake perfectly and the generator gets little from it, and the loss of
    a constant answer. Looked at are the values that are logged, so that watching costs nothing.
    """

    def __init__(self, opt: Mapping[str, Any]) -> None:
        self._span: int = opt['logger'].get('collapse_iter') or 0
        self._train = opt['train']
        self._since: Dict[str, Optional[int]] = {}

    def update(self, iteration: int, log: Mapping[str, Any]) -> None:
        """Take the values logged at an iteration."""
        if not self._span:
            return
        stage1, stage2 = (self._train.get(stage, self._train) for stage in ('degradation', 'sr'))
        for prefix, section in (('l_d_lq', stage1), ('l_d_clean', stage1), ('l_d', stage2)):
            if f'{prefix}_real' not in log:
                continue
            loss = log[f'{prefix}_real'] + log[f'{prefix}_fake']
            undecided = _UNDECIDED.get(section['gan_opt']['gan_type'], math.nan)
            bound = next((name for name, value in (('0: it tells real and fake apart without fail', 0.0),
                                                   ('that of a constant answer: it has stopped to tell them apart',
                                                    undecided)) if abs(loss - value) < _CLOSE), None)
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
                    'higher r1_reg_weight may help.')
                self._since[prefix] = iteration  # and once more after another span
