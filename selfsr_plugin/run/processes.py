"""What the processes of a run have to wait for and to agree on."""

from typing import Any

import torch

from ..errors import UserError


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


def raise_in_all(problem: str | None, opt: dict[str, Any]) -> None:
    """Wait for all processes and end them alike if one of them found a problem.

    Raises:
        UserError: in every process, with the first problem.
    """
    problems = [problem]
    if opt['dist']:
        problems *= opt['world_size']
        torch.distributed.all_gather_object(problems, problem)
    found = [each for each in problems if each]
    if found:
        raise UserError(found[0])
