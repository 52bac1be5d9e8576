"""Compute the golden values anew: ``python tests/golden/make.py`` compares, with ``--write`` it stores them.

Store only what is meant to change: every trained checkpoint computes what these files say.
"""

import json
import sys
from typing import Any

import conftest  # noqa: F401  the folders that the kits import from
from golden_kit import FOLDER, differences


def main() -> None:
    import baseline_cases
    import baseline_model_cases
    import model_cases
    import network_cases

    kinds = {
        'networks.json': network_cases,
        'models.json': model_cases,
        'baselines.json': baseline_cases,
        'baseline_models.json': baseline_model_cases,
    }
    for file, module in kinds.items():
        found: dict[str, Any] = {name: module.compute(name) for name in module.CASES}
        path = FOLDER / file
        if '--write' in sys.argv[1:]:
            lines = (f' {json.dumps(name)}: {json.dumps(value)}' for name, value in found.items())
            path.write_text('{\n' + ',\n'.join(lines) + '\n}\n', encoding='utf-8')
        else:
            print(file, *differences(found, json.loads(path.read_text(encoding='utf-8')), 1e-9) or ['agrees'], sep='\n')


if __name__ == '__main__':
    main()
