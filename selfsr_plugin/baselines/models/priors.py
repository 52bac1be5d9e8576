"""What models that learn from landmarks and parsing maps share: where they come from, and that they are there."""

from collections.abc import Mapping
from typing import Any

from ...errors import UserError
from ..landmarks import read_count
from ..parsing import PARTS


def needs_landmarks(opt: Mapping[str, Any], count: int | None, why: str) -> None:
    """Raise UserError unless the training set has the landmarks that a method learns from.

    Args:
        opt: the whole file.
        count: points that a face must have; None for any number.
        why: of the message: who needs them.
    """
    data = opt['datasets']['train']
    if data['type'] != 'FacePriorDataset':
        raise UserError(f'datasets.train.type: {data["type"]} gives no landmarks; {why}: use FacePriorDataset.')
    if not data.get('landmarks'):
        raise UserError(
            f'datasets.train.landmarks: missing; {why}. python -m selfsr_plugin.make_landmarks makes the file.'
        )
    there = read_count(data['landmarks'])
    if count is not None and there != count:
        raise UserError(
            f'datasets.train.landmarks: {data["landmarks"]} has {there} points of each face, and network_g is made for '
            f'{count}: set its num_landmark to {there}, or make landmarks of {count}.'
        )


def needs_parsing(opt: Mapping[str, Any], why: str) -> None:
    """Raise UserError unless the training set has the parsing maps that a method learns from."""
    data = opt['datasets']['train']
    if data['type'] != 'FacePriorDataset':
        raise UserError(f'datasets.train.type: {data["type"]} gives no parsing maps; {why}: use FacePriorDataset.')
    if not data.get('dataroot_parsing'):
        raise UserError(
            f'datasets.train.dataroot_parsing: missing; {why}. python -m selfsr_plugin.make_parsing makes the maps.'
        )


def check_parts(count: int) -> None:
    """Raises UserError for a network with another number of parsing maps than there are parts."""
    if count != PARTS:
        raise UserError(f'network_g.num_parsing: {count} must be {PARTS}, the parts that parsing maps name, or 0.')
