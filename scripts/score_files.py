"""The score files of scripts/reproduce.py: read and held against the rows of today; what their options alone tell."""

import json
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from selfsr_plugin.errors import UserError

from reproduce_rows import BUDGETS, ROWS, trainings

LR_FACE = (1, 3, 16, 16)
ON_GPU = ', on a GPU'

Run = dict[str, Any]  # what a file holds
Runs = dict[str, list[Run]]  # by row


def read_scores(folder: Path) -> tuple[dict[str, Runs], list[dict[str, Any]]]:
    """All score files in a folder and below it, by part and row; and the files of scripts/quality_claims.py there.

    What is computed on a GPU, in its number formats, is a part of its own beside the CPU's; bicubic faces, which
    nobody trains, are in every part of their budget.

    Raises:
        UserError: there is none, one cannot be read, two are of one run, or one is not of the options that its row has
            today.
    """
    parts: dict[str, Runs] = {part: {} for budget in BUDGETS for part in (budget, budget + ON_GPU)}
    claims, known = [], {}
    for path in sorted(folder.rglob('*.json')):
        content = read(path)
        if 'claims' in content:
            claims.append(content)
        if 'row' not in content:
            continue  # scores.json of evaluate
        check_run(path, content)
        run = (part_of(content), content['row'], content['seed'])
        if run in known:
            raise UserError(f'{path} and {known[run]} are of the same row, seed and budget: take one away.')
        known[run] = path
        parts[run[0]].setdefault(content['row'], []).append(content)
    if not known:
        raise UserError(f'{folder}: there is no score file of scripts/reproduce.py.')
    for budget in BUDGETS:
        if parts[budget + ON_GPU]:
            bicubic = {row: runs for row, runs in parts[budget].items() if runs[0]['seed'] is None}
            parts[budget + ON_GPU] = {**bicubic, **parts[budget + ON_GPU]}
    return parts, claims


def part_of(run: Run) -> str:
    """Its budget; with ON_GPU behind it where a GPU trained it."""
    is_trained = run['seed'] is not None
    return run['budget'] + ON_GPU * (is_trained and not run.get('hardware', 'CPU').startswith('CPU'))


def read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise UserError(f'{path} is no whole JSON file ({error}): take it away, or get it again.') from error
    return content if isinstance(content, dict) else {}


def check_run(path: Path, run: Run) -> None:
    """Raises: UserError, naming what is missing, or the first option in which the run differs from its row."""
    needed = ['seed', 'status', 'budget', 'amount', 'commit', 'faces', 'lq_crop', 'options']
    if run.get('status') == 'finished':
        needed += ['scores', 'hardware', 'torch', 'date']
    missing = [key for key in needed if key not in run]
    if missing:
        raise UserError(f'{path} lacks {", ".join(missing)}: it was not written whole; take it away, or run it again.')
    if run['seed'] is None:
        return
    if run['row'] not in ROWS or run['budget'] not in BUDGETS:
        raise UserError(
            f'{path} is of row {run["row"]}, budget {run["budget"]}, which scripts/reproduce.py has not: take it away.'
        )
    expected = flat_trainings(trainings(run['row'], run['seed'], run['budget'], run['amount']))
    found = flat_trainings([*run.get('earlier', []), run['options']])
    for key in [*expected, *found]:
        if expected.get(key) != found.get(key):
            raise UserError(
                f'{path}: its run had {key} {found.get(key)!r}, and the row {run["row"]} has {expected.get(key)!r} '
                'today: run it again, or take the file away.'
            )


def flat_trainings(options: list[dict[str, Any]]) -> dict[str, Any]:
    """The values of the last training by their keys, and of those before it by the name of each and its keys.

    Without those that decide how the same is computed, such as ``compile``: a score stays what it is.
    """
    found = {f'{opt["name"]} {key}': value for opt in options[:-1] for key, value in flat(opt).items()}
    found.update(flat(options[-1]))
    return {key: value for key, value in found.items() if key.rpartition(':')[2] not in deciding_nothing()}


@cache
def deciding_nothing() -> frozenset[str]:
    """Keys of the section ``train`` that do not decide what is computed."""
    from selfsr_plugin.schema import options_of
    from selfsr_plugin.stages.selfcond_sr_model import SelfCondSROptions

    return frozenset(name for name, (_, about, _) in options_of(SelfCondSROptions).items() if not about.decides)


def flat(node: Any, key: str = '') -> dict[str, Any]:
    """The values of nested dictionaries by keys with colons, as --force_yml has them."""
    if not isinstance(node, dict):
        return {key: node}
    return {
        name: value for part, below in node.items() for name, value in flat(below, f'{key}:{part}'.strip(':')).items()
    }


def stages(opt: dict[str, Any]) -> list[int]:
    """Iterations of the stages of a training, or of all of it."""
    train = opt['train']
    return [train[stage]['total_iter'] for stage in ('degradation', 'sr') if stage in train] or [train['total_iter']]


def cost_of(run: Run) -> tuple[int, int]:
    """Parameters and multiply-adds of the network that restores; of the options, where the file does not have them."""
    if 'cost' in run:
        return run['cost']['parameters'], run['cost']['multiply_adds']
    labels = ['clean', 'g'] if run['options']['model_type'] == 'PseudoSupervisionModel' else ['g']
    found = [network_cost(json.dumps(run['options'][f'network_{label}'])) for label in labels]
    return sum(each[0] for each in found), sum(each[1] for each in found)


@lru_cache
def network_cost(section: str) -> tuple[int, int]:
    import torch
    from basicsr.archs import build_network
    from selfsr_plugin.baselines.complexity import complexity

    with torch.device('meta'):
        net = build_network(json.loads(section))
    return tuple(complexity(net, LR_FACE))
