"""Option files changed at random: each either trains or is refused with one sentence, never with a traceback."""

import copy
import functools
import logging
import os
import random
from typing import Any

import pytest
import torch
import yaml
from basicsr.utils.logger import initialized_logger
from fault_kit import make_workplace, options

from selfsr_plugin import train
from selfsr_plugin.errors import UserError
from selfsr_plugin.option_check import check_options
from selfsr_plugin.options import read_option_file

DUMPER = getattr(yaml, 'CSafeDumper', yaml.SafeDumper)  # in C where it was built
MUTATIONS = int(os.environ.get('SELFSR_FAULT_MUTATIONS', '3000'))
RUNS = MUTATIONS // 100  # of those that the check accepts; each takes half a second
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    4,
    7,
    64,
    10**9,
    0.5,
    -0.5,
    float('nan'),
    float('inf'),
    '',
    'x',
    'Adam',
    'L1Loss',
    'SelfCondSRNet',
    'scale',
    'concat',
    'paired',
    'unpaired',
    'vanilla',
    [],
    [1],
    [2, 1],
    [0.0, 0.9],
    ['a'],
    {},
    {'type': 'L1Loss'},
    '1e-3',
    'data/hr',
    'no/such/place',
)


def places(node: Any, path: tuple = ()) -> list[tuple]:
    found = [path] if path else []
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        found += places(value, (*path, key))
    return found


def mutate(opt: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """One to three keys dropped, renamed, doubled into another section, or given another value."""
    opt = copy.deepcopy(opt)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        *above, last = rng.choice(places(opt))
        node = opt
        for key in above:
            node = node[key]
        what = rng.random()
        if what < 0.15:
            del node[last]
        elif what < 0.3 and isinstance(node, dict):
            node[f'{last}x'] = node.pop(last)
        elif what < 0.4:
            node[last] = copy.deepcopy(
                rng.choice([opt['network_g'] if 'network_g' in opt else 1, opt.get('train'), opt])
            )
        else:
            node[last] = copy.deepcopy(rng.choice(VALUES))
    return opt


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    make_workplace(tmp_path)
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    yield tmp_path
    initialized_logger.clear()
    logging.getLogger('basicsr').handlers.clear()


@functools.cache  # reading the option file takes longer than everything else here
def base_options(model_type: str) -> dict[str, Any]:
    base = options(model_type, val__val_freq=5)
    if base['model_type'] == 'SelFSRModel':
        base['train']['degradation'].update(total_iter=2, scheduler=dict(type='LinearDecayLR', decay_from=1))
        base['train']['sr'].update(total_iter=3, grow_at=[1], fade_iter=1)
        base['train']['total_iter'] = 5
    return base


def mutated(number: int) -> dict[str, Any]:
    rng = random.Random(number)
    model_type = rng.choice(['SelFSRModel', 'SelFSRModel', 'FlowDegradationModel', 'SelfCondSRModel'])
    return mutate(base_options(model_type), rng)


def test_every_mutation_is_refused_in_one_sentence_or_trains(workplace, capsys):
    accepted, refusals = [], 0
    for number in range(MUTATIONS):
        opt = mutated(number)
        (workplace / 'options.yml').write_text(yaml.dump(opt, Dumper=DUMPER))
        try:
            read = read_option_file('options.yml')
            if read.get('model_type') in ('SelFSRModel', 'FlowDegradationModel', 'SelfCondSRModel'):
                check_options(read, is_train=True)
            accepted.append(number)
        except UserError as error:
            refusals += 1
            assert '\n' not in str(error) and len(str(error)) > 20, f'mutation {number}: {error}'
    assert refusals > MUTATIONS / 3 and len(accepted) > MUTATIONS / 50
    trained, tracebacks = 0, []
    for number in random.Random(0).sample(accepted, RUNS):
        opt = mutated(number)
        if max((value for value in _numbers(opt)), default=0) > 10**6 or opt.get('train', {}) is None:
            continue  # allowed, and would run for ever or take all memory
        (workplace / 'options.yml').write_text(yaml.safe_dump(opt))
        capsys.readouterr()
        try:
            train.main(['-opt', 'options.yml'])
            trained += 1
        except SystemExit as stop:
            lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
            assert stop.code == 1 and len(lines) == 1, f'mutation {number}: {lines}'
        except BaseException as error:
            tracebacks.append(f'mutation {number}: {error!r}')
    assert not tracebacks, '\n'.join(tracebacks)
    with capsys.disabled():
        print(
            f' [{MUTATIONS} mutated option files: {refusals} refused by the check, {trained} of {RUNS} others trained]',
            end='',
        )


def _numbers(node: Any):
    if isinstance(node, dict):
        for value in node.values():
            yield from _numbers(value)
    elif isinstance(node, list):
        for value in node:
            yield from _numbers(value)
    elif isinstance(node, (int, float)) and node == node:
        yield node
