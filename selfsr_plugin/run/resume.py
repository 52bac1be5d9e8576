"""Finding the checkpoint to go on from."""

import os
from os import path as osp
from typing import Any

from basicsr.utils import get_root_logger

from ..errors import UserError
from ..engine.checkpoint import checkpoint_iterations, load_checkpoint


def find_resume_state(opt: dict[str, Any]) -> dict[str, Any] | None:
    """The training state to go on from: with --auto_resume the newest whole one of this run if there is one, or else
    the one named by ``path.resume_state``, as in BasicSR. So a job that is started again and again gets on.

    Whole means that the state and every network that belongs to it can be read; one that cannot is passed over with a
    warning. BasicSR looks in ./experiments whatever folder the run wrote to, and needs CUDA to load.

    Returns:
        The state, on the CPU, with the content of its networks' files under 'networks', by file name; None to start
        from the beginning.

    Raises:
        UserError: the state named in the option file cannot be read, or there are states, none is whole and none is
            named.
    """
    named = opt['path'].get('resume_state')
    folder = opt['path']['training_states']
    iterations = checkpoint_iterations(folder) if opt['auto_resume'] else []
    for iteration in iterations:
        path = osp.join(folder, f'{iteration}.state')
        try:
            state = _read_whole(path, opt)
        except (OSError, ValueError) as error:
            _say(f'Skipped the state of iteration {iteration}: {error}', opt)
            continue
        instead = f', the newest of this run, and not from path.resume_state: {named}.' if named else ''
        _say(f'Resuming from {path}{instead}', opt)
        return state
    if named:
        try:
            state = _read_whole(named, opt)
        except (OSError, ValueError) as error:
            raise UserError(f'path.resume_state: {error}') from None
        _say(f'Resuming from {named}', opt)
        return state
    if iterations:
        raise UserError(
            f'--auto_resume: none of the {len(iterations)} states in {folder} can be used (reasons above); to '
            'start anew, leave --auto_resume out, and the folder of this run is renamed and kept.'
        )
    return None


def _say(text: str, opt: dict[str, Any]) -> None:
    if opt['rank'] == 0:
        get_root_logger().info(text)


def _read_whole(path: str, opt: dict[str, Any]) -> dict[str, Any]:
    state = load_checkpoint(path)
    if not isinstance(state, dict) or not isinstance(state.get('iter'), int) or 'optimizers' not in state:
        raise ValueError(f'{path} is not a training state.')
    names = [osp.basename(os.fspath(name)) for name in state.get('weights', ())]
    models = opt['path']['models']
    absent = [name for name in names if not osp.isfile(osp.join(models, name))]
    if absent:
        raise ValueError(
            f'{path} belongs with {", ".join(absent)}, not found in {models}: to go on with the run that wrote '
            'it, give its name; to start a run of another name from its weights, path.pretrain_network_*.'
        )
    return {**state, 'networks': {name: load_checkpoint(osp.join(models, name)) for name in names}}
