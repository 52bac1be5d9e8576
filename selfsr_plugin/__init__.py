"""SelFSR for BasicSR.

Importing this package costs next to nothing: it makes sure that BasicSR, imported before or after, can be imported with
today's torchvision and knows this package's networks, data sets, losses, metrics and models by name. The parts
themselves (``selfsr_plugin.load``, ``selfsr_plugin.archs``, ...) are imported when they are used; networks, ops, losses
``load`` and ``save`` need no BasicSR.
"""

import importlib
import sys
from typing import Any

from .hook.autoload import watch

__version__ = '0.2.0'

_ROOMS = ('archs', 'data', 'losses', 'metrics', 'ops', 'stages')

watch()
if 'basicsr.utils.registry' in sys.modules:  # imported before us, with the start-up hook off
    from .registration import register

    register()


def __getattr__(name: str) -> Any:
    if name in ('load', 'save'):
        return getattr(importlib.import_module(f'{__name__}.loading'), name)
    if name == 'PhotoRestorer':
        return importlib.import_module(f'{__name__}.photo_restoration.restorer').PhotoRestorer
    if name in _ROOMS:
        return importlib.import_module(f'{__name__}.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
