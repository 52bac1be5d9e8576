"""SelFSR for BasicSR: importing this package registers its networks, models, datasets and metrics in BasicSR."""
from .basicsr_compat.aliases import alias_functional_tensor

alias_functional_tensor()  # before anything below imports basicsr

__version__ = '0.1.0'

from . import archs, data, losses, metrics, stages  # noqa: E402, F401  registers their classes
from .loading import load  # noqa: E402, F401
