"""Finding the checkpoint to go on from."""
from pathlib import Path
from typing import Any, Dict, Optional

from ..errors import UserError
from ..models.checkpoint import load_checkpoint


def find_resume_state(opt: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """The training state named by ``path.resume_state``, or with --auto_resume the newest readable one of this run.

    BasicSR looks in ./experiments whatever folder the run wrote to, and needs CUDA to load.

    Returns:
        The state, on the CPU; None to start from the beginning.

    Raises:
        UserError: the state named in the option file cannot be read.
    """
    if opt['path'].get('resume_state'):
        try:
            return load_checkpoint(opt['path']['resume_state'])
        except (OSError, ValueError) as error:
            raise UserError(f'path.resume_state: {error}') from None
    if not opt['auto_resume']:
        return None
    folder = Path(opt['path']['training_states'])
    states = [path for path in folder.glob('*.state') if path.stem.isdigit()]
    for path in sorted(states, key=lambda path: int(path.stem), reverse=True):
        try:
            state = load_checkpoint(path)
        except (OSError, ValueError) as error:
            print(f'Skipped: {error}', flush=True)
            continue
        print(f'Resuming from {path}', flush=True)
        return state
    return None
