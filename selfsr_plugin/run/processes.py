"""What the processes of a run have to wait for and to agree on."""
from typing import Any

import torch

from ..errors import UserError


def barrier(opt: dict[str, Any]) -> None:
    """Wait for all processes of the run."""
    if opt['dist']:
        torch.distributed.barrier()


def all_processes_agree_on(value: Any, opt: dict[str, Any], what: str) -> None:
    """Wait for all processes and compare their ``value``.

    Raises:
        UserError: in every process, when they differ.
    """
    if opt['dist']:
        values = [None] * opt['world_size']
        torch.distributed.all_gather_object(values, value)
        if any(each != value for each in values):
            raise UserError(f'the processes do not agree on {what}: {values}; they must see the same files.')
