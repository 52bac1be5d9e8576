"""What several folders of tests use."""

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch


def write_faces(folder: Path, count: int, side: int, seed: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f'{number:03d}.png'), cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC))


class Code:
    """What a file makes ``folder`` by that is read with its code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def assert_identical(a: Any, b: Any, where: str = '') -> None:
    """Bit for bit, through dictionaries and lists."""
    assert type(a) is type(b), where
    if torch.is_tensor(a):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_identical(a[key], b[key], f'{where}/{key}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b)):
            assert_identical(x, y, f'{where}/{i}')
    else:
        assert a == b, where


def small_network(cls: type = None, seed: int = 0, **arguments: Any) -> torch.nn.Module:
    """A small network with random weights, in eval mode; a SelfCondSRNet of x4 by default."""
    from selfsr_plugin.archs import SelfCondSRNet

    torch.manual_seed(seed)
    return (cls or SelfCondSRNet)(**(arguments or dict(widths=[8, 6], num_block=2, cond_ratio=4))).eval()


def save_params(path: Path | str, **networks: torch.nn.Module) -> str:
    """Write a checkpoint as BasicSR does, ``params=net``; its path."""
    torch.save({key: net.state_dict() for key, net in networks.items()}, path)
    return str(path)


def refused(capsys: Any, command: Any, *arguments: Any, status: int = 1) -> str:
    """Run a command that must end with ``status`` and one sentence; that sentence."""
    with pytest.raises(SystemExit) as caught:
        command([str(argument) for argument in arguments])
    assert caught.value.code == status
    errors = [line for line in capsys.readouterr().err.replace('\r', '\n').splitlines() if 'error: ' in line]
    assert len(errors) == 1, errors
    return errors[0]
