"""Where the results of a run go."""

import os
from os import path as osp


def results_root() -> str:
    """Where ``experiments``, ``results`` and ``tb_logger`` go: BasicSR's folder if it is a checkout, else here.

    BasicSR takes the folder above its package, which for an installed BasicSR is site-packages, or whatever folder
    ``pip install --target`` was given.
    """
    import basicsr

    above = osp.dirname(osp.dirname(osp.abspath(basicsr.__file__)))
    return above if osp.isfile(osp.join(above, 'setup.py')) else os.getcwd()
