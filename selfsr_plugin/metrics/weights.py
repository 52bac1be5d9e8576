"""Files with the weights that metrics need: what they are called, where they are looked for, where to get them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import UserError


class WeightsFile(NamedTuple):
    """A published file.

    Attributes:
        network: what it holds, for messages.
        name: its published name.
        source: where to get it.
    """

    network: str
    name: str
    source: str


ALEXNET = WeightsFile(
    "torchvision's AlexNet", 'alexnet-owt-7be5be79.pth', 'https://download.pytorch.org/models/alexnet-owt-7be5be79.pth'
)
FID_INCEPTION = WeightsFile(
    'the FID Inception network',
    'pt_inception-2015-12-05-6726825d.pth',
    'https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth',
)
ARCFACE = WeightsFile(
    "facexlib's ArcFace (IR-SE50)",
    'recognition_arcface_ir_se50.pth',
    'https://github.com/xinntao/facexlib/releases/download/v0.1.0/recognition_arcface_ir_se50.pth',
)


def find_weights(file: WeightsFile, path: str | None = None) -> Path:
    """The file at ``path`` if one is given, or else where the package that uses it downloads it to.

    Raises:
        FileNotFoundError: saying which file is needed, where to get it and where to put it.
    """
    found = Path(path).expanduser() if path else _cache(file) / file.name
    if not found.is_file():
        raise FileNotFoundError(
            f'there is no file {found}: download {file.source} ({file.network}) and put it there, '
            "or give its path as 'weights'."
        )
    return found


def _cache(file: WeightsFile) -> Path:
    if file is ARCFACE:
        import facexlib

        return Path(facexlib.__file__).parent / 'weights'
    return Path(torch.hub.get_dir()) / 'checkpoints'


def read_weights(file: WeightsFile, path: Path) -> dict[str, Tensor]:
    """The state dictionary in ``path``; tensors only, no code.

    Raises:
        ValueError: the file holds none.
    """
    try:
        weights: Any = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # torch raises many kinds, with long texts, for a truncated or foreign file
        raise wrong_weights(file, path) from error
    if not isinstance(weights, Mapping) or not all(torch.is_tensor(value) for value in weights.values()):
        raise wrong_weights(file, path)
    return dict(weights)


def wrong_weights(file: WeightsFile, path: Path) -> UserError:
    """The error for a file of another network."""
    return UserError(f'{path} does not hold {file.network}: download {file.source} again, or correct the path.')
