"""The batch that is due comes, whatever way the death of a worker process shows."""

import pytest
import torch
from torch.utils.data import Dataset

from selfsr_plugin.data import build_train_loader
from selfsr_plugin.errors import UserError
from selfsr_plugin.run.training_data import TrainingData


class Numbers(Dataset):
    def __len__(self):
        return 7

    def __getitem__(self, index):
        return {'number': torch.tensor(index)}


def data(workers):
    train = dict(batch_size_per_gpu=2, num_worker_per_gpu=workers)
    return TrainingData(Numbers(), options(train), 0)


def options(train, num_gpu=0):
    return dict(datasets=dict(train=train), manual_seed=3, rank=0, world_size=1, num_gpu=num_gpu)


def broken(error):
    """An iterator over batches whose worker is gone."""
    raise error
    yield


# A worker that is killed between handing over a batch and its tensors shows as a failed connection.
DEATHS = [
    ConnectionRefusedError(111, 'Connection refused'),
    ConnectionResetError(104, 'reset'),
    EOFError(),
    FileNotFoundError(2, 'No such file or directory'),
    RuntimeError('DataLoader worker (pid(s) 7) exited unexpectedly'),
]


@pytest.mark.parametrize('error', DEATHS, ids=lambda error: type(error).__name__)
def test_batches_go_on_as_if_nothing_had_happened(error):
    hit = data(1)
    loader = iter(build_train_loader(Numbers(), hit._settings, seed=3))
    expected = [next(loader)['number'].tolist() for _ in range(5)]
    found = []
    for number in range(1, 6):
        if number in (3, 5):
            hit._batches = broken(error)
        found.append(hit.next_batch(number)['number'].tolist())
    hit._batches = loader = None  # ends the workers
    assert found == expected


def test_what_a_batch_takes_is_twice_its_samples(monkeypatch):
    """Two numbers of eight bytes, and the batch that is made of them."""
    there = 32
    monkeypatch.setattr('selfsr_plugin.run.training_data.available_bytes', lambda device: there)
    data(0).check_memory()
    there = 31
    with pytest.raises(UserError, match=r'datasets\.train\.batch_size_per_gpu: 2: to collect a batch takes'):
        data(0).check_memory()


def test_epochs_are_whole_passes_of_all_processes():
    batches = data(0)  # of two from seven
    assert [batches.epoch(iteration) for iteration in (1, 3, 4, 7)] == [0, 0, 1, 2]
    two = TrainingData(Numbers(), dict(options(dict(batch_size_per_gpu=2)), world_size=2), 0)
    assert [two.epoch(iteration) for iteration in (1, 2, 4)] == [0, 1, 2]


def test_workers_that_die_again_and_again_end_the_run(monkeypatch):
    hit = data(1)
    hit._batches = broken(EOFError())
    monkeypatch.setattr(hit, '_load', lambda done: setattr(hit, '_batches', broken(EOFError())))
    with pytest.raises(UserError, match='worker processes die before they give the batch of iteration 1'):
        hit.next_batch(1)


@pytest.mark.parametrize(
    'workers, error',
    [
        (0, FileNotFoundError(2, 'gone')),
        (1, KeyError('bug')),
        (1, RuntimeError('x')),
        (1, FileNotFoundError('Caught it in DataLoader worker process 0.')),
    ],
)
def test_errors_of_the_data_set_are_passed_on(workers, error):
    hit = data(workers)
    hit._batches = broken(error)
    with pytest.raises(type(error)):
        hit.next_batch(1)


class Faces(Dataset):
    """Stored images, images between the levels of 255, and what is no image."""

    def __len__(self):
        return 7

    def __getitem__(self, index):
        levels = torch.randint(256, (3, 8, 8), generator=torch.Generator().manual_seed(index))
        return dict(gt=levels / 255, lq=levels / 256, label=torch.tensor([index / 255]), gt_path=f'{index}.png')


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device on this machine')
@pytest.mark.parametrize('workers, pin_memory', [(0, False), (2, True)])
def test_batches_on_a_gpu_are_those_on_the_cpu(workers, pin_memory):
    """While it computes, and the memory of earlier batches is used again."""
    train = dict(batch_size_per_gpu=4, num_worker_per_gpu=workers, pin_memory=pin_memory)
    here, there = (TrainingData(Faces(), options(train, num_gpu), 0) for num_gpu in (0, 1))
    work = torch.rand(2048, 2048, device='cuda')
    for number in range(1, 9):
        expected, found = here.next_batch(number), there.next_batch(number)
        for _ in range(20):
            work = work @ work / 1000
        assert found['gt'].is_cuda and found['lq'].is_cuda and not found['label'].is_cuda
        assert found['gt_path'] == expected['gt_path']
        for key in ('gt', 'lq', 'label'):
            assert torch.equal(found[key].cpu(), expected[key]), key
