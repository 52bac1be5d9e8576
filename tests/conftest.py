"""Fixtures of several folders: image folders and LMDBs, double precision."""

from pathlib import Path
from types import SimpleNamespace
from collections.abc import Iterable

import cv2
import lmdb
import numpy as np
import pytest
import torch

import selfsr_plugin  # noqa: F401  before any test imports basicsr: applies the alias that its import needs

TESTS = Path(__file__).resolve().parent
SHARED_DATA = TESTS.parents[1] / 'shared' / 'data'


def make_image(seed: int, height: int = 16, width: int = 0) -> np.ndarray:
    """Smooth random colours, uint8 BGR: no image equals its mirror image or another seed's."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width or height, height), interpolation=cv2.INTER_LINEAR)


def encode(image: np.ndarray, extension: str = '.png') -> bytes:
    return cv2.imencode(extension, image)[1].tobytes()


def write_folder(folder: Path, images: dict[str, np.ndarray], extension: str = '.png') -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        (folder / f'{name}{extension}').write_bytes(encode(image, extension))
    return str(folder)


def write_lmdb(root: Path, images: dict[str, np.ndarray], lines: Iterable[str] = ()) -> str:
    """BasicSR's layout with plain lmdb; ``lines`` replaces what meta_info.txt would hold."""
    environment = lmdb.open(str(root), map_size=1 << 24)
    with environment.begin(write=True) as transaction:
        for name, image in images.items():
            transaction.put(name.encode(), encode(image))
    environment.close()
    lines = list(lines) or [f'{name}.png ({i.shape[0]},{i.shape[1]},3) 1' for name, i in images.items()]
    (root / 'meta_info.txt').write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8')
    return str(root)


@pytest.hookimpl(tryfirst=True)  # xdist looks for the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``pytest -n``: tests that share a fixture of their module run in one process, which makes it once."""
    for item in items:
        definitions = [each for found in item._fixtureinfo.name2fixturedefs.values() for each in found]
        if any(each.scope == 'module' for each in definitions):
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(TESTS).as_posix()))


@pytest.fixture(scope='session')
def files() -> SimpleNamespace:
    return SimpleNamespace(make_image=make_image, encode=encode, write_folder=write_folder, write_lmdb=write_lmdb)


@pytest.fixture(scope='session')
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip('the real faces of ../shared/data are not on this machine')
    return SHARED_DATA


@pytest.fixture
def float64():
    """Networks, batches and losses of the test in double precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope='session')
def alexnet_file(tmp_path_factory) -> str:
    """A file as torchvision's, with random weights."""
    from torchvision.models import alexnet

    torch.manual_seed(0)
    weights = {key: value for key, value in alexnet(weights=None).state_dict().items() if key.startswith('features.')}
    path = tmp_path_factory.mktemp('weights') / 'alexnet.pth'
    torch.save(weights, path)
    return str(path)


@pytest.fixture(scope='session')
def arcface_file(tmp_path_factory) -> str:
    """A file as facexlib's, with random weights."""
    from facexlib.recognition.arcface_arch import Backbone

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('weights') / 'arcface.pth'
    torch.save(Backbone(50, 0.6, 'ir_se').state_dict(), path)
    return str(path)
