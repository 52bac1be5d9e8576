import itertools
import multiprocessing.context
import random

import cv2
import numpy as np
import pytest
import torch
import torch.multiprocessing
from basicsr.data import build_dataset
from torch.utils.data import Dataset

from selfsr_plugin.data import InfiniteSampler, SeededDataset, UnpairedFaceDataset, build_train_loader


KNOWN_ORDER = [7, 4, 6, 5, 1, 2, 3, 0, 0, 2, 4, 1, 3, 5, 7, 6]
KNOWN_DRAWS = (0.634645, 0.624454)


class Draws(Dataset):
    """Items show what every global generator gives, as any BasicSR data set's augmentation would."""

    def __init__(self, size=10):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return {'index': index, 'python': random.random(), 'numpy': np.random.rand(), 'torch': torch.rand(())}


@pytest.fixture
def faces(files, tmp_path):
    """Two data sets' worth of faces in one LMDB, which the data set opens as HR and as LR."""
    root = files.write_lmdb(tmp_path / 'faces.lmdb', {f'{i:02d}': files.make_image(i) for i in range(10)})
    return UnpairedFaceDataset(
        {
            'dataroot_gt': root,
            'dataroot_lq': root,
            'gt_size': 16,
            'lq_size': 4,
            'scale': 4,
            'use_hflip': True,
            'phase': 'train',
        }
    )


def take(dataset, count, workers=0, batch=4, **position):
    opt = {'batch_size_per_gpu': batch, 'num_worker_per_gpu': workers}
    loader = build_train_loader(dataset, opt, seed=position.pop('seed', 5), **position)
    return list(itertools.islice(loader, count))


def assert_equal(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        assert a.keys() == b.keys()
        for key in a:
            assert torch.equal(a[key], b[key]) if torch.is_tensor(a[key]) else a[key] == b[key]


def test_every_image_once_per_epoch_over_all_ranks():
    samplers = [iter(InfiniteSampler(10, 0, rank, 3, 2)) for rank in range(3)]
    keys = [next(sampler) for _ in range(10) for sampler in samplers for _ in range(2)]
    assert [k for _, k in keys] == list(range(60))
    epochs = [[index for index, k in keys if k // 10 == epoch] for epoch in range(6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 6  # a new order each time
    other = [index for index, _ in itertools.islice(InfiniteSampler(10, 1, 0, 1, 1), 10)]
    assert other != epochs[0]


def test_order_and_draws_never_change():
    """Known values: a resumed run must go on in the order that an earlier version of this code began."""
    assert [index for index, _ in itertools.islice(InfiniteSampler(8, 0, 0, 1, 4), 16)] == KNOWN_ORDER
    item = SeededDataset(Draws(), 0)[3, 7]
    assert item['index'] == 3
    assert (item['python'], item['numpy']) == pytest.approx(KNOWN_DRAWS, abs=1e-6)


def test_draws_depend_on_seed_and_position_alone():
    draws = SeededDataset(Draws(), 0)
    assert draws[3, 7] == draws[3, 7] and draws[4, 7]['python'] == draws[3, 7]['python']
    values = {(seed, k): SeededDataset(Draws(), seed)[0, k] for seed in (0, 1, -1) for k in range(20)}
    for key in ('python', 'numpy', 'torch'):
        assert len({float(value[key]) for value in values.values()}) == 60


def test_states_of_the_caller_are_left_alone(faces):
    def states():
        return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()

    np.random.standard_normal()  # leaves a second value waiting in NumPy's state
    before = states()
    SeededDataset(Draws(), 0)[0, 0]
    with pytest.raises(IndexError):
        SeededDataset(['only one'], 0)[1, 0]
    assert states() == before
    take(faces, 2)
    take(faces, 1, workers=1)
    assert states() == before


@pytest.mark.filterwarnings('ignore:This DataLoader will create')
def test_number_of_workers_changes_nothing(faces):
    expected = take(faces, 9)
    for workers in (1, 2, 3):
        assert_equal(take(faces, 9, workers), expected)
    assert len({path for batch in expected for path in batch['lq_path']}) > 5


def test_resuming_skips_exactly_what_was_done(faces):
    expected = take(faces, 10)
    assert_equal(take(faces, 3, workers=1, start_iter=7), expected[7:])
    for rank in range(2):
        whole, resumed = (itertools.islice(InfiniteSampler(10, 0, rank, 2, 3, start), 60) for start in (0, 7))
        assert list(whole)[7 * 3 :] == list(resumed)[: 60 - 7 * 3]


def test_two_ranks_are_one_process(faces):
    expected = take(faces, 5, batch=6)
    ranks = [take(faces, 5, batch=3, rank=rank, world_size=2) for rank in range(2)]
    together = [
        {key: torch.cat([a[key], b[key]]) if torch.is_tensor(a[key]) else a[key] + b[key] for key in a}
        for a, b in zip(*ranks)
    ]
    assert_equal(together, expected)


def test_basicsrs_own_data_set_becomes_reproducible(files, tmp_path):
    images = {f'{i}': files.make_image(i, 24) for i in range(5)}
    opt = {
        'name': 'x',
        'type': 'PairedImageDataset',
        'phase': 'train',
        'scale': 2,
        'gt_size': 8,
        'use_hflip': True,
        'use_rot': True,
        'io_backend': {'type': 'disk'},
        'dataroot_gt': files.write_folder(tmp_path / 'gt', images),
        'dataroot_lq': files.write_folder(tmp_path / 'lq', {n: files.make_image(7, 12) for n in images}),
    }
    expected = take(build_dataset(opt), 6)
    assert_equal(take(build_dataset(opt), 2, workers=2, start_iter=4), expected[4:])


def test_workers_take_what_cannot_be_pickled_whatever_python_prefers(monkeypatch):
    # forkserver: what Python 3.14 and later do unless told otherwise
    default = multiprocessing.context._default_context
    monkeypatch.setattr(default, '_actual_context', multiprocessing.get_context('forkserver'))

    class Local(Draws):
        pass

    assert_equal(take(Local(), 2, workers=1), take(Local(), 2))


def test_spawned_workers(faces):
    """Spawned workers import everything anew and unpickle the data set, LMDB source included."""
    expected = take(faces, 3)
    # one worker, since each takes its time to import torch and BasicSR
    loader = build_train_loader(faces, {'batch_size_per_gpu': 4, 'num_worker_per_gpu': 1}, seed=5)
    loader.multiprocessing_context = torch.multiprocessing.get_context('spawn')
    assert_equal(list(itertools.islice(loader, 3)), expected)


def test_bad_images_reach_the_training_process(faces, files, tmp_path):
    root = files.write_lmdb(
        tmp_path / 'bad.lmdb',
        {f'{i:02d}': files.make_image(i) for i in range(10)},
        [f'{i:02d}.png (16,16,3) 1' for i in range(9)] + ['absent.png (16,16,3) 1'],
    )
    faces = UnpairedFaceDataset({**faces.opt, 'dataroot_gt': root})
    batches = take(faces, 5, workers=2)
    assert_equal(batches, take(faces, 5))
    reports = {line for batch in batches for item in batch['bad_images'] for line in item.split('\n')} - {''}
    assert reports == {f'{root}/absent.png: meta_info.txt lists it, but it is not in the LMDB'}


@pytest.mark.parametrize('values', [(0, 0, 0, 1, 1), (5, 0, 1, 1, 1), (5, 0, 0, 1, 0), (5, 0, 0, 1, 1, -1)])
def test_impossible_sampling_is_refused(values):
    with pytest.raises(ValueError, match='impossible sampling'):
        InfiniteSampler(*values)


class DecodingThreads(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return cv2.getNumThreads()


def test_workers_share_the_cores_and_decode_in_one_thread_each():
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        settings = dict(batch_size_per_gpu=2, num_worker_per_gpu=1)
        assert next(iter(build_train_loader(DecodingThreads(), settings, seed=0))).tolist() == [1, 1]
    finally:
        cv2.setNumThreads(before)
