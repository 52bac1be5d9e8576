"""Which runs of ``python -m basicsr.train`` and ``python -m basicsr.test`` are ours: those of this package's models."""

import argparse
import os
import re
from collections.abc import Sequence
from typing import Any

import yaml

from ..registration import is_ours, is_registered, uses_plugin

_TYPE = re.compile(r"""^[^#\n]*?\b(model_type|type)["']?\s*:\s*["']?(\w+)""", re.MULTILINE)


def is_for_us(argv: Sequence[str]) -> bool:
    """Whether BasicSR's command line ``argv`` names an option file of one of our models or of a class derived from one.

    Besides those, files that no model can be found for are ours if they cannot be opened, or name parts of ours: the
    user is told in a sentence what is wrong. Everything else is BasicSR's. BasicSR must have been imported; nothing of
    ours is, and of the file nothing is taken but names.
    """
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument('-opt')
    parser.add_argument('--force_yml', nargs='+', action='extend', default=[])
    try:
        args = parser.parse_known_args(argv)[0]
    except argparse.ArgumentError:
        return False
    if args.opt is None:
        return False
    if not os.path.isfile(args.opt):  # one that is no file is answered by us; of a pipe nothing is taken
        return True
    try:
        with open(args.opt, encoding='utf-8', errors='replace') as file:
            opt = _read_names(file.read())
    except OSError:
        return True
    for entry in args.force_yml:
        key, _, value = entry.partition('=')
        if key.strip() == 'model_type':
            opt['model_type'] = value.strip()
    model = opt.get('model_type')
    return uses_plugin(opt) if not is_registered('MODEL_REGISTRY', model) else is_ours('MODEL_REGISTRY', model)


def _read_names(text: str) -> dict[str, Any]:
    """The option file as a dictionary; of one that is not valid YAML the values of ``model_type`` and ``type``."""
    try:
        opt = yaml.safe_load(text)
        return opt if isinstance(opt, dict) else {}
    except yaml.YAMLError:
        found = _TYPE.findall(text)
        return {
            'model_type': next((name for key, name in found if key == 'model_type'), None),
            'others': [{key: name} for key, name in found],
        }
