"""What several folders of tests use."""
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch


def write_faces(folder: Path, count: int, side: int, seed: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f'{number:03d}.png'), cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC))


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
