"""Images come from the workers as bytes where that loses nothing, and otherwise as they are."""

import pytest
import torch
from basicsr.data import build_dataset

from selfsr_plugin.data import ImageBytes, PairedFaceDataset, UnpairedFaceDataset, build_train_loader
from selfsr_plugin.data.image_bytes import collate_bytes

CPU = torch.device('cpu')


def unpacked(value):
    return value.images(CPU) if isinstance(value, ImageBytes) else value


def test_every_level_comes_back_bit_for_bit():
    """As our data sets divide, as BasicSR's do, and as images are rounded that are made in float."""
    levels = torch.arange(256).reshape(1, 16, 16).repeat(3, 1, 1)
    divided = levels.float().div_(255)
    for images in (divided, torch.from_numpy(levels.numpy().astype('float32') / 255.0), (divided * 255).round() / 255):
        packed = collate_bytes([dict(gt=images), dict(gt=images.flip(-1))])['gt']
        assert packed.levels.dtype == torch.uint8
        assert torch.equal(packed.images(CPU), torch.stack((images, images.flip(-1))))


@pytest.mark.parametrize('value', [0.5, 1 / 255 + 2**-31, 1.5, -1 / 255, 256 / 255, float('nan'), float('inf')])
def test_one_value_that_is_no_level_keeps_the_batch_as_it_is(value):
    images = torch.zeros(3, 4, 4)
    images[1, 2, 3] = value
    found = collate_bytes([dict(gt=torch.zeros(3, 4, 4)), dict(gt=images)])['gt']
    assert torch.equal(found[1].nan_to_num(7), images.nan_to_num(7))


def test_what_is_no_float_image_is_not_touched():
    sample = dict(mask=torch.ones(1, 4, 4, dtype=torch.uint8), exact=torch.ones(3, 4, 4).double(), label=torch.ones(2))
    found = collate_bytes([dict(sample, gt_path='a', number=1)])
    assert all(torch.equal(found[key], value[None]) for key, value in sample.items())
    assert found['gt_path'] == ['a'] and found['number'].dtype == torch.int64
    assert torch.equal(collate_bytes([torch.ones(3, 4, 4)]), torch.ones(1, 3, 4, 4))  # a data set without names


@pytest.mark.filterwarnings('ignore:This DataLoader will create')
@pytest.mark.parametrize(
    'kind, size, packed',
    [('unpaired', 4, {'gt'}), ('unpaired', 16, {'gt', 'lq'}), ('pairs', 4, {'gt', 'lq'}), ('BasicSR', 4, {'gt', 'lq'})],
)
def test_batches_of_workers_are_the_same(files, tmp_path, kind, size, packed):
    """LR faces of 16x16 that are resized are no bytes; those that are made of the HR face are rounded, and are."""
    root = files.write_folder(tmp_path / 'faces', {f'{i}': files.make_image(i) for i in range(7)})
    opt = dict(dataroot_gt=root, gt_size=16, use_hflip=True, phase='train')
    if kind == 'unpaired':
        dataset = UnpairedFaceDataset(dict(opt, dataroot_lq=root, lq_size=size))
    elif kind == 'pairs':
        dataset = PairedFaceDataset(dict(opt, scale=4))
    else:
        lq = files.write_folder(tmp_path / 'lq', {f'{i}': files.make_image(i, 4) for i in range(7)})
        opt.update(name='x', type='PairedImageDataset', scale=4, gt_size=8, dataroot_lq=lq, use_rot=True)
        dataset = build_dataset(dict(opt, io_backend=dict(type='disk')))
    settings = dict(batch_size_per_gpu=3, num_worker_per_gpu=1)
    loaders = (iter(build_train_loader(dataset, settings, 5, as_bytes=each)) for each in (False, True))
    for plain, found, _ in zip(*loaders, range(4)):
        assert plain.keys() == found.keys()
        assert {key for key, value in found.items() if isinstance(value, ImageBytes)} == packed
        for key, value in plain.items():
            assert torch.equal(unpacked(found[key]), value) if torch.is_tensor(value) else found[key] == value
