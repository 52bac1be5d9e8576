"""Names that BasicSR 1.4.2 imports and that newer packages no longer have."""

import importlib.util
import sys
import types

_REMOVED = 'torchvision.transforms.functional_tensor'


def alias_functional_tensor() -> None:
    """Provide ``torchvision.transforms.functional_tensor`` if, and only if, torchvision has dropped it.

    ``basicsr/data/degradations.py`` imports ``rgb_to_grayscale`` from there; torchvision 0.17 removed the module
    and kept the function in ``torchvision.transforms.functional``. Without the alias ``import basicsr`` fails.
    """
    if _REMOVED in sys.modules:
        return
    from torchvision.transforms import functional

    if importlib.util.find_spec(_REMOVED) is not None:
        return
    module = types.ModuleType(_REMOVED, 'Alias made by selfsr_plugin for BasicSR 1.4.2.')
    module.rgb_to_grayscale = functional.rgb_to_grayscale
    sys.modules[_REMOVED] = module
