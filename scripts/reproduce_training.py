"""What scripts/reproduce.py trains: how long the rows of Tables I and II may, and the trainings of a row one by one."""

import argparse
import datetime
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import torch
import yaml
from selfsr_plugin import train
from selfsr_plugin.errors import UserError

from reproduce_baselines import BASELINES, Places
from reproduce_rows import least_iterations, method_of, trainings
from reproduce_scoring import models

TRIAL = 60  # iterations that say how long one takes


def check_minutes(args: argparse.Namespace) -> None:
    """Raises: UserError, if a row is to get as many minutes as one that has not been run and is not to be."""
    for row in args.rows:
        if row in BASELINES and args.least_minutes is None and method_of(row) not in args.rows:
            method_minutes(row, args)


def method_minutes(row: str, args: argparse.Namespace) -> float:
    """The longest training of SelFSR's row of the table of ``row``, at this budget.

    Raises:
        UserError: no score file says it.
    """
    method, amount = method_of(row), own_amount(args)
    found = [json.loads(path.read_text()) for path in Path('scores').glob(f'{method}_seed*.json')]
    minutes = [run.get('minutes') for run in found if (run['budget'], run['amount']) == (args.budget, amount)]
    if not any(minutes):
        raise UserError(
            f'{row} gets as many minutes as {method}, of which no run in {Path("scores").absolute()} says how many it '
            f'took from its start to its end: run {method} first, or give --least-minutes.'
        )
    return max(filter(None, minutes))


def own_amount(args: argparse.Namespace) -> int:
    """What says how long SelFSR's rows are trained."""
    return args.iterations if args.budget == 'hours' else args.divide


def baseline_amount(
    row: str, seed: int, before: dict[str, Any] | None, args: argparse.Namespace
) -> tuple[int, dict[str, Any]]:
    """How many iterations a row of Tables I and II is trained for, and what it gets at the least, for its score file.

    What a run began with stays, however long an iteration takes today.
    """
    iterations = least_iterations(row, args.budget, own_amount(args))
    if before is not None and before.get('least', {}).get('iterations') == iterations:
        return before['amount'], before['least']
    minutes = method_minutes(row, args) if args.least_minutes is None else args.least_minutes
    wanted = math.ceil(60 * minutes / trial_seconds(row, seed, args)) if minutes else 0
    return max(iterations, wanted), dict(iterations=iterations, minutes=minutes)


def places(args: argparse.Namespace) -> Places:
    """Where the data and the weights of this call lie."""
    lq = str(Path('data/train_lq').absolute())
    return Places(args.train_gt, lq, args.landmarks, args.parsing, str(models('').parent.absolute()))


def train_all(options: list[dict[str, Any]]) -> bool:
    """Train one after the other, or go on where a call before this one stopped; False if one ends with an error."""
    for opt in options:
        if torch.cuda.is_available():
            use_gpu(opt)
        file = Path(f'options/{opt["name"]}.yml')
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(opt, sort_keys=False))
        try:
            train.main(['-opt', str(file), '--auto_resume'])
        except SystemExit as end:
            if end.code != 1:  # a signal
                raise
            return False
    return True


def use_gpu(opt: dict[str, Any]) -> None:
    """What is computed stays; score files do not say it."""
    stages = [opt['train'][stage] for stage in ('degradation', 'sr') if stage in opt['train']] or [opt['train']]
    for stage in stages:
        stage.update(channels_last=True, cuda_graphs=True)
    data = opt['datasets']['train']
    data.update(num_worker_per_gpu=data['num_worker_per_gpu'] or 2, pin_memory=True)


def trial_seconds(row: str, seed: int, args: argparse.Namespace) -> float:
    """Seconds of an iteration, the mean over the trainings of a row, each tried in small under another name."""
    options = trainings(row, seed, args.budget, len(BASELINES[row].files) * TRIAL, places(args))
    for opt in options:
        opt['name'] = f'trial_{opt["name"]}'
        opt['path'] = {
            key: path and path.replace(f'/{row}_seed', f'/trial_{row}_seed') for key, path in opt['path'].items()
        }
    folders = [models(opt['name']).parent for opt in options]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)  # of a trial that was killed
    for opt in options:
        opt['logger'].update(print_freq=1, save_checkpoint_freq=opt['train']['total_iter'])
    if not train_all(options):
        raise UserError(f'{row}: a trial of it ended with the error above.')
    seconds = 0.0
    for opt, folder in zip(options, folders):
        log = ''.join(path.read_text() for path in folder.glob('*.log'))
        times = [
            datetime.datetime.strptime(each, '%Y-%m-%d %H:%M:%S,%f')
            for each in re.findall(r'^(\S+ \S+) INFO: \[[^\]]*\]\[epoch:', log, re.MULTILINE)
        ]
        seconds += (times[-1] - times[0]).total_seconds() / (len(times) - 1) * opt['train']['total_iter']
    for folder in folders:
        shutil.rmtree(folder)
    return seconds / sum(opt['train']['total_iter'] for opt in options)
