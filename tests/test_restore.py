"""Restoring a folder of faces: every image that can be, within the memory there is, and the others named."""

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from basicsr.utils import img2tensor, tensor2img
from common_kit import refused, save_params, small_network

from selfsr_plugin import inference, restore
from selfsr_plugin.archs import DomainDiscriminator
from selfsr_plugin.data import LRFaceDataset
from selfsr_plugin.files import OwnResults

DEMO = Path(__file__).resolve().parents[1] / 'datasets/demo'
ARGUMENTS = ('--faces', '--input', 'lr', '--output', 'out', '--model', 'g.pth', '--device', 'cpu')


def test_the_largest_face_that_is_warned_of_has_the_longest_side():
    class Faces(list):
        def path(self, index):
            return f'{self[index]}.png'

    said = restore.size_warning({0: (90, 90), 2: (60, 100)}, Faces('abc'), None, 4)
    assert said.startswith('2 of 3 images, the largest c.png of 100x60, are larger than 64x64')


def run(*arguments):
    restore.main([*ARGUMENTS, *map(str, arguments)])


def written():
    return sorted(path.name for path in Path('out').iterdir() if path.name != OwnResults.RECORD)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """Five LR faces of two sizes and a network."""
    monkeypatch.chdir(tmp_path)
    Path('lr').mkdir()
    for number, path in enumerate(sorted((DEMO / 'test_wild_lr').glob('*.png'))[:5]):
        image = cv2.imread(str(path))
        cv2.imwrite(f'lr/face{number}.png', image if number != 2 else cv2.resize(image, (20, 20)))
    save_params('g.pth', params=small_network())
    return tmp_path


def expected(path, size=None):
    lq = cv2.imread(path).astype(np.float32) / 255
    with torch.no_grad():
        return tensor2img(small_network()(img2tensor(lq)[None]))


@pytest.mark.parametrize('batch', [1, 16])
def test_every_image_of_a_folder_is_restored(workplace, batch):
    run('--batch', batch)
    assert written() == [f'face{number}.png' for number in range(5)]
    for number in range(5):
        found, wanted = cv2.imread(f'out/face{number}.png').astype(int), expected(f'lr/face{number}.png')
        assert found.shape == wanted.shape and np.abs(found - wanted).max() <= 1  # batches round differently
        assert batch > 1 or np.array_equal(found, wanted)


def test_a_second_run_replaces_its_results_and_nothing_else(workplace, capsys):
    run()
    save_params('g.pth', params=small_network(seed=1))
    before = Path('out/face0.png').read_bytes()
    Path('out/face3.png').write_bytes(b'mine')
    message = refused(capsys, restore.main, *ARGUMENTS)
    assert '1 of 5 images were not restored: out/face3.png is there already and no result of this command' in message
    assert Path('out/face3.png').read_bytes() == b'mine' and Path('out/face0.png').read_bytes() != before


def test_an_lmdb_with_a_key_too_long_for_a_file_name(workplace, files, capsys):
    images = {name: cv2.imread('lr/face0.png') for name in ('a', 'b' * 300, 'c')}
    files.write_lmdb(Path('lr.lmdb'), images)
    arguments = ['lr.lmdb' if each == 'lr' else each for each in ARGUMENTS]
    message = refused(capsys, restore.main, *arguments)
    assert '1 of 3 images were not restored: out/bbb' in message and 'its name is too long, shorten it' in message
    assert written() == ['a.png', 'c.png']


def test_lq_size_resizes_as_an_option_file_does(workplace):
    run('--lq-size', 16)
    lq = LRFaceDataset(dict(phase='test', dataroot_lq='lr', lq_size=16))[2]['lq'][None]
    with torch.no_grad():
        wanted = tensor2img(small_network()(lq))
    assert np.abs(cv2.imread('out/face2.png').astype(int) - wanted).max() <= 1


def test_a_home_folder_after_an_equals_sign(workplace, monkeypatch):
    monkeypatch.setenv('HOME', str(workplace))
    restore.main(['--faces', '--input=~/lr', '--output=~/home', '--model=~/g.pth', '--device=cpu'])
    assert len(list((workplace / 'home').glob('*.png'))) == 5 and not Path('~').exists()


def test_a_name_that_is_not_utf8(workplace, capsys):
    os.rename(b'lr/face0.png', b'lr/caf\xe9.png')
    run()
    assert b'caf\xe9.png' in os.listdir(b'out') and len(written()) == 5
    os.rename('lr', os.fsdecode(b'donn\xe9es'))
    restore.main(['--faces', '--input', os.fsdecode(b'donn\xe9es'), *ARGUMENTS[3:]])
    Path(os.fsdecode(b'donn\xe9es/caf\xe9.png')).write_bytes(b'no image')
    assert r'donn\xe9es/caf\xe9.png: it is cut short' in refused(
        capsys, restore.main, '--faces', '--input', os.fsdecode(b'donn\xe9es'), *ARGUMENTS[3:]
    )


# ----- bad input -----


@pytest.mark.parametrize('batch', [1, 16])
def test_bad_images_are_passed_over_and_named(workplace, capsys, batch):
    Path('lr/face0.png').write_bytes(b'')
    Path('lr/face3.png').write_bytes(Path('lr/face3.png').read_bytes()[:300])
    message = refused(capsys, restore.main, *ARGUMENTS, '--batch', batch)
    assert message.startswith('error: 2 of 5 images were not restored: lr/face0.png: it is empty')
    assert '; lr/face3.png: it is cut short or not an image' in message
    assert written() == ['face1.png', 'face2.png', 'face4.png']


def test_what_cannot_be_used_is_refused_before_anything_is_written(workplace, capsys):
    def said(*changes):
        options = dict(zip(ARGUMENTS[1::2], ARGUMENTS[2::2]))
        options.update(dict(zip(changes[::2], changes[1::2])))
        return refused(capsys, restore.main, '--faces', *(part for pair in options.items() for part in pair))

    save_params('d.pth', params=small_network(DomainDiscriminator, num_feat=4))
    save_params('grey.pth', params=small_network(widths=[4], num_block=1, num_in_ch=1))
    assert 'd.pth holds a DomainDiscriminator' in said('--model', 'd.pth')
    assert 'grey.pth: the network is not one of colour images' in said('--model', 'grey.pth')
    save_params('grey_out.pth', params=small_network(widths=[4], num_block=1, num_out_ch=1))
    assert 'grey_out.pth: the network is not one of colour images' in said('--model', 'grey_out.pth')
    assert 'there is no checkpoint none.pth' in said('--model', 'none.pth')
    assert "no weights under the key 'params_ema'" in said('--key', 'params_ema')
    assert 'nowhere does not exist' in said('--input', 'nowhere')
    assert 'is the input folder' in said('--output', 'lr')
    assert '--input: nowhere does not exist' in said('--input', 'nowhere')
    assert 'lr is a folder: give a file' in said('--model', 'lr')
    assert '--device abacus cannot be used here' in said('--device', 'abacus')
    assert '--device meta cannot be used here' in said('--device', 'meta')
    assert not Path('out').exists()


def test_options_of_photos_and_wrong_numbers(workplace, capsys):
    assert '--upscale, --json: of photos only, not with --faces' in refused(
        capsys, restore.main, *ARGUMENTS, '--upscale', 2, '--json'
    )
    assert 'give one folder or LMDB as --input' in refused(capsys, restore.main, *ARGUMENTS, '--lq-size', 12, 16)
    assert '0 must be 1 or more' in refused(capsys, restore.main, *ARGUMENTS, '--batch', 0, status=2)
    assert 'with --faces the results are a picture of each face: name a folder' in refused(
        capsys, restore.main, *ARGUMENTS, '--output', 'face.png'
    )
    assert not Path('out').exists()


def test_an_option_of_before_is_answered_with_its_new_name(capsys):
    assert '--debug is now --traceback' in refused(capsys, restore.main, *ARGUMENTS, '--debug', status=2)


def test_weights_that_are_not_finite(workplace, capsys):
    net = small_network()
    net.levels[1].to_rgb.bias.data[0] = float('nan')
    save_params('g.pth', params=net)
    assert 'not finite' in refused(capsys, restore.main, *ARGUMENTS)
    assert not Path('out').exists()


def test_an_output_that_is_not_finite_is_not_written(workplace, capsys, monkeypatch):
    class Overflow(torch.nn.Module):
        def forward(self, lq):
            return torch.where(lq.mean(dim=(1, 2, 3), keepdim=True) > 0.5, torch.inf, lq)

    from selfsr_plugin.data.face_images import FaceImages

    cv2.imwrite('lr/face1.png', np.full((16, 16, 3), 250, np.uint8))
    for number in (0, 3, 4):
        cv2.imwrite(f'lr/face{number}.png', np.full((16, 16, 3), 10, np.uint8))
    results = list(
        inference.run_network(
            Overflow(), FaceImages(dict(dataroot_lq='lr', phase='test'), 'dataroot_lq', None), 16, torch.device('cpu')
        )
    )
    (bad,) = (result for result in results if result.output is None and 'face2' not in result.problem)
    assert re.match(r'lr/face1\.png: the network makes values of it that are not finite', bad.problem)


# ----- memory and sizes -----


def test_a_batch_is_made_smaller_before_memory_lacks(workplace, capsys, monkeypatch):
    per_pixel = inference.bytes_per_pixel(small_network())
    batches = []
    monkeypatch.setattr(inference, 'available_bytes', lambda device: int(per_pixel * 16 * 16 * 2.5))
    monkeypatch.setattr(inference, '_forward', lambda net, images, device: batches.append(len(images)) or list(images))
    run()
    assert batches == [2, 1, 2]  # two of 16x16; one of 20x20; two of 16x16


def test_an_image_too_large_for_the_memory_is_named_and_the_others_restored(workplace, capsys, monkeypatch):
    cv2.imwrite('lr/face1.png', np.zeros((140, 100, 3), np.uint8))
    per_pixel = inference.bytes_per_pixel(small_network())
    monkeypatch.setattr(inference, 'available_bytes', lambda device: int(per_pixel * 100 * 100))
    message = refused(capsys, restore.main, *ARGUMENTS)
    assert re.search(
        r'lr/face1\.png: an image of 100x140 pixels needs about [\d.]+ GB of memory, and [\d.]+ GB are free: '
        'cut the face out or give --lq-size$',
        message,
    )
    assert written() == ['face0.png', 'face2.png', 'face3.png', 'face4.png']


@pytest.mark.parametrize(
    'error',
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
        RuntimeError('could not create a memory object'),  # oneDNN
        torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 MiB.'),
        MemoryError(),
    ],
    ids=['CPU', 'oneDNN', 'CUDA', 'Python'],
)
def test_an_allocator_that_refuses_is_asked_for_less(error):
    class Greedy(torch.nn.Module):
        def forward(self, lq):
            if lq.device.type != 'meta' and lq.numel() > limit:
                raise error
            return lq

    images = torch.rand(5, 3, 8, 8)
    limit = 2 * images[0].numel()
    assert torch.equal(torch.stack(inference._forward(Greedy(), images, torch.device('cpu'))), images)
    limit = 1
    assert inference._forward(Greedy(), images, torch.device('cpu')) == [None] * 5


def test_sizes_far_from_what_such_networks_are_for_are_said(workplace, capsys):
    cv2.imwrite('lr/face4.png', cv2.resize(cv2.imread('lr/face4.png'), (90, 90)))
    run()
    said = capsys.readouterr().err
    assert '1 of 5 images, the largest lr/face4.png of 90x90, are larger than 64x64, far from the sizes' in said
    run('--lq-size', 4)
    said = capsys.readouterr().err
    assert '2 of 5 images, the largest lr/face4.png of 90x90, are larger than the 16x16 that come out' in said
    run('--lq-size', 30)
    assert 'warning' not in capsys.readouterr().err


def test_a_size_too_large_for_the_memory_is_refused_before_an_image_is_resized_to_it(workplace, capsys):
    message = refused(capsys, restore.main, *ARGUMENTS, '--lq-size', '1000000')
    assert '5 of 5 images were not restored' in message
    assert 'lr/face2.png: an image of 1000000x1000000 pixels needs about' in message
    assert message.endswith('GB are free: give a smaller --lq-size')


def test_a_batch_that_memory_does_not_hold_is_halved():
    tried = []

    def net(images):
        tried.append(len(images))
        if len(images) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return images

    images = torch.rand(8, 3, 4, 4)
    parts = inference.forward_batch(net, images)
    assert tried == [8, 4, 2, 2, 4, 2, 2] and torch.equal(torch.cat([part for _, part in parts]), images)
