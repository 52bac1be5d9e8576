import numpy as np
import pytest
import torch
from basicsr.data import build_dataset
from basicsr.utils.matlab_functions import imresize
from basicsr.utils.registry import DATASET_REGISTRY

from selfsr_plugin.data import (
    CorruptImageError,
    HRFaceDataset,
    LRFaceDataset,
    PairedFaceDataset,
    SeededDataset,
    UnpairedFaceDataset,
    build_train_loader,
)
from selfsr_plugin.data.face_images import FaceImages, is_square, one_thread, size_options
from selfsr_plugin.errors import UserError

ALL = [UnpairedFaceDataset, HRFaceDataset, LRFaceDataset, PairedFaceDataset]


@pytest.fixture
def roots(files, tmp_path):
    """8 HR faces of 16x16 and 5 LR faces of 4, 5, ... pixels, under names that say their number."""
    hr = files.write_folder(tmp_path / 'hr', {f'h{i}': files.make_image(i) for i in range(8)})
    lr = files.write_folder(tmp_path / 'lr', {f'l{i}': files.make_image(100 + i, 4 + i) for i in range(5)})
    return {'dataroot_gt': hr, 'dataroot_lq': lr}


@pytest.fixture
def pairs(files, tmp_path):
    return {
        'dataroot_gt': files.write_folder(tmp_path / 'gt', {f'p{i}': files.make_image(i) for i in range(4)}),
        'dataroot_lq': files.write_lmdb(tmp_path / 'lq.lmdb', {f'p{i}': files.make_image(i, 4) for i in range(4)}),
        'scale': 4,
    }


def as_tensor(image):
    return torch.from_numpy(image[..., ::-1].astype(np.float32) / 255).permute(2, 0, 1)


def assert_image(image, side):
    assert image.shape == (3, side, side) and image.dtype == torch.float32
    assert 0 <= image.min() and image.max() <= 1


def test_registered_and_built_as_basicsr_builds(roots):
    for dataset in ALL:
        assert DATASET_REGISTRY.get(dataset.__name__) is dataset
        assert isinstance(dataset.option_keys, frozenset)
    opt = {
        'name': 'faces',
        'type': 'HRFaceDataset',
        'phase': 'val',
        'scale': 4,
        'io_backend': {'type': 'disk'},
        'dataroot_gt': roots['dataroot_gt'],
    }
    assert len(build_dataset(opt)) == 8


def test_unpaired(roots):
    dataset = UnpairedFaceDataset({**roots, 'gt_size': 16, 'lq_size': 4, 'scale': 4, 'phase': 'train'})
    assert len(dataset) == 8 and dataset.bad_image_log.totals == {roots['dataroot_gt']: 8, roots['dataroot_lq']: 5}
    partners = set()
    for _ in range(20):
        item = dataset[3]
        assert set(item) == {'gt', 'lq', 'gt_path', 'lq_path', 'bad_images'} and item['bad_images'] == ''
        assert item['gt_path'].endswith('h3.png')
        partners.add(item['lq_path'])
        assert_image(item['gt'], 16)
        assert_image(item['lq'], 4)
    assert len(partners) > 1


@pytest.mark.parametrize('phase', ['train', 'val'])
def test_unpaired_has_as_many_items_as_hr_faces(files, roots, tmp_path, phase):
    """However many LR faces there are."""
    opt = {
        **roots,
        'dataroot_gt': files.write_folder(tmp_path / 'few', {f'h{i}': files.make_image(i) for i in range(2)}),
    }
    assert len(UnpairedFaceDataset({**opt, 'gt_size': 16, 'lq_size': 4, 'phase': phase})) == 2


def test_lr_faces_come_with_their_own_paths(roots):
    dataset = LRFaceDataset({'dataroot_lq': roots['dataroot_lq'], 'phase': 'test'})
    assert [item['lq_path'] for item in map(dataset.__getitem__, range(5))] == [
        f'{roots["dataroot_lq"]}/l{number}.png' for number in range(5)
    ]


def test_a_folder_without_one_usable_lr_face_is_refused_at_once(tmp_path):
    (tmp_path / 'face.png').write_text('no face')
    with pytest.raises(ValueError, match='dataroot_lq: .*face.png'):
        LRFaceDataset({'dataroot_lq': str(tmp_path), 'phase': 'val'})


def test_unpaired_validation_is_not_random(roots):
    opt = {**roots, 'gt_size': 16, 'lq_size': 4, 'phase': 'val', 'use_hflip': True}
    items = [UnpairedFaceDataset(opt)[7] for _ in range(5)]
    assert all(torch.equal(a['gt'], items[0]['gt']) and torch.equal(a['lq'], items[0]['lq']) for a in items)
    assert set(items[0]) == {'gt', 'lq', 'gt_path', 'lq_path'} and items[0]['lq_path'].endswith('l2.png')


def test_values_are_rgb_in_0_1_and_kept_at_their_own_size(files, roots):
    item = HRFaceDataset({'dataroot_gt': roots['dataroot_gt'], 'gt_size': 16})[2]
    assert torch.equal(item['gt'], as_tensor(files.make_image(2)))
    item = LRFaceDataset({'dataroot_lq': roots['dataroot_lq'], 'phase': 'test'})[3]
    assert torch.equal(item['lq'], as_tensor(files.make_image(103, 7))) and set(item) == {'lq', 'lq_path'}


def test_resizing_is_basicsrs_bicubic_clamped(files, roots):
    gt = HRFaceDataset({'dataroot_gt': roots['dataroot_gt'], 'gt_size': 8, 'phase': 'val'})[2]['gt']
    expected = np.clip(imresize(files.make_image(2).astype(np.float32) / 255, 0.5), 0, 1)
    np.testing.assert_allclose(gt.flip(0).permute(1, 2, 0).numpy(), expected, atol=1e-5)
    small, large = (
        LRFaceDataset({'dataroot_lq': roots['dataroot_lq'], 'lq_size': 6, 'phase': 'test'})[i]['lq'] for i in (0, 4)
    )
    assert_image(small, 6)
    assert_image(large, 6)


def test_a_pair_is_what_is_stored(files, pairs):
    dataset = PairedFaceDataset({**pairs, 'phase': 'train', 'gt_size': 16})
    for index in range(4):
        item = dataset[index]
        assert torch.equal(item['gt'], as_tensor(files.make_image(index)))
        assert torch.equal(item['lq'], as_tensor(files.make_image(index, 4)))
    assert dataset.bad_image_log.totals == {pairs['dataroot_gt']: 4, pairs['dataroot_lq']: 4}


def test_both_sides_of_an_hr_image_must_be_multiples_of_the_scale(files, tmp_path):
    images = {'a': files.make_image(0, 16, 16), 'b': files.make_image(1, 18, 16), 'c': files.make_image(2, 16, 18)}
    root = files.write_folder(tmp_path / 'hr', images)
    dataset = PairedFaceDataset({'dataroot_gt': root, 'scale': 4, 'phase': 'val'})
    for index, said in ((1, '16x18'), (2, '18x16')):
        with pytest.raises(CorruptImageError, match=f'it is {said}, which scale 4 does not divide'):
            dataset[index]


def test_an_image_that_is_right_in_height_alone_is_resized_too(files, tmp_path):
    root = files.write_folder(tmp_path / 'odd', {'a': files.make_image(1, 16, 17), 'b': files.make_image(2, 17, 16)})
    dataset = LRFaceDataset({'dataroot_lq': root, 'lq_size': 16, 'phase': 'test'})
    for index in range(2):
        assert_image(dataset[index]['lq'], 16)


@pytest.mark.parametrize('cls', [UnpairedFaceDataset, HRFaceDataset, PairedFaceDataset])
@pytest.mark.parametrize('given', [dict(phase='train'), dict(phase='val', use_hflip=True), dict(phase='test')])
def test_nothing_is_mirrored_unless_training_asks_for_it(pairs, cls, given):
    dataset = cls({**pairs, 'gt_size': 16, 'lq_size': 4, **given})
    expected = dataset.gt.read(1)
    assert not torch.equal(expected, expected.flip(-1))
    assert all(torch.equal(dataset[1]['gt'], expected) for _ in range(12))


def test_sizes_may_be_equal_and_must_fit_the_scale():
    assert size_options(dict(gt_size=16, lq_size=16)) == (16, 16)
    assert size_options(dict(gt_size=16, lq_size=4, scale=4)) == (16, 4)
    for gt_size in (12, 20):
        with pytest.raises(ValueError, match=f'gt_size {gt_size} is not scale 4 x lq_size 4: set gt_size to 16'):
            size_options(dict(gt_size=gt_size, lq_size=4, scale=4))


def test_flips_are_real_and_independent(roots):
    plain = UnpairedFaceDataset({**roots, 'gt_size': 16, 'lq_size': 4})
    flipping = UnpairedFaceDataset({**roots, 'gt_size': 16, 'lq_size': 4, 'use_hflip': True})
    originals = {plain.lq.path(i): plain.lq.read(i) for i in range(5)}
    seen = set()
    for _ in range(60):
        item = flipping[1]
        gt, lq = plain.gt.read(1), originals[item['lq_path']]
        assert torch.equal(item['gt'], gt) or torch.equal(item['gt'], gt.flip(-1))
        assert torch.equal(item['lq'], lq) or torch.equal(item['lq'], lq.flip(-1))
        seen.add((torch.equal(item['gt'], gt), torch.equal(item['lq'], lq)))
        assert not torch.equal(plain[1]['gt'], gt.flip(-1))
    assert len(seen) == 4


def test_lr_faces_made_of_hr_faces_are_clamped(files, tmp_path):
    """The bicubic kernel overshoots at an edge between black and white."""
    halves = np.zeros((16, 16, 3), np.uint8)
    halves[:, 8:] = 255
    root = files.write_folder(tmp_path / 'halves', {'a': halves})
    lq = PairedFaceDataset({'dataroot_gt': root, 'gt_size': 16, 'scale': 4, 'phase': 'val'})[0]['lq']
    assert lq.min() == 0 and lq.max() == 1


def test_pairs_flip_together(files, pairs):
    opt = {**pairs, 'gt_size': 16, 'lq_size': 4}
    tested = PairedFaceDataset({**opt, 'phase': 'val', 'use_hflip': True})
    gt, lq = (tested[1][key] for key in ('gt', 'lq'))
    assert all(torch.equal(tested[1]['gt'], as_tensor(files.make_image(1))) for _ in range(10))
    flips = []
    for _ in range(40):
        item = PairedFaceDataset({**opt, 'use_hflip': True})[1]
        flips.append(torch.equal(item['gt'], gt.flip(-1)))
        assert torch.equal(item['lq'], lq.flip(-1)) == flips[-1]
        assert item['gt_path'].endswith('gt/p1.png') and item['lq_path'].endswith('lq.lmdb/p1.png')
    assert 5 < sum(flips) < 35


def test_pair_sizes(pairs):
    for sizes in ({'gt_size': 8}, {'lq_size': 2}):
        item = PairedFaceDataset({**pairs, **sizes})[0]
        assert_image(item['gt'], 8)
        assert_image(item['lq'], 2)
    item = PairedFaceDataset({**pairs, 'phase': 'val'})[0]
    assert_image(item['gt'], 16)
    assert_image(item['lq'], 4)


def test_lr_made_from_hr_equals_a_stored_file(files, tmp_path, pairs):
    """Made on the fly, or made by BasicSR's imresize and stored as PNG: the same to one 8-bit step."""
    made = PairedFaceDataset({'dataroot_gt': pairs['dataroot_gt'], 'scale': 4, 'phase': 'val'})[2]
    small = imresize(files.make_image(2).astype(np.float32) / 255, 0.25)
    stored = np.round(np.clip(small, 0, 1) * 255).astype(np.uint8)
    levels = made['lq'] * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    assert np.abs(levels.round().flip(0).permute(1, 2, 0).numpy() - stored).max() <= 1
    assert made['lq_path'] == made['gt_path']


def test_pairs_must_match_by_name(files, pairs, tmp_path):
    files.write_folder(tmp_path / 'gt', {f'q{i}': files.make_image(i) for i in range(5)})
    with pytest.raises(
        ValueError,
        match='5 of 9 images in .*gt have no partner in .*lq.lmdb '
        r'\(q0, q1, q2, ...\): pairs need equal names',
    ):
        PairedFaceDataset({**pairs, 'phase': 'val'})


def test_names_that_only_look_alike_are_said(files, tmp_path):
    """As from a Mac and from elsewhere: the message would show one name twice."""
    for folder, name, side in (('gt', 'caf\u00e9', 16), ('lq', 'cafe\u0301', 4)):
        files.write_folder(tmp_path / folder, {name: files.make_image(0)[:side, :side], 'b': files.make_image(1)})
    roots = {f'dataroot_{folder}': str(tmp_path / folder) for folder in ('gt', 'lq')}
    with pytest.raises(ValueError, match='caf\u00e9 is in both, its accents written in other bytes.*rename'):
        PairedFaceDataset({**roots, 'scale': 4, 'phase': 'val'})


def test_pairs_must_match_in_size(files, pairs, tmp_path):
    with pytest.raises(ValueError, match='gt/p0.png: it is 16x16, not scale 2 x its LR image .*p0.png of 4x4'):
        PairedFaceDataset({**pairs, 'scale': 2, 'phase': 'val'})
    files.write_folder(tmp_path / 'gt', {'p3': files.make_image(3, 20)})
    dataset = PairedFaceDataset({**pairs, 'phase': 'val'})
    with pytest.raises(CorruptImageError, match='gt/p3.png: it is 20x20, not scale 4 x'):
        dataset[3]
    files.write_folder(tmp_path / 'gt', {'p2': files.make_image(2, 16, 17)})
    with pytest.raises(CorruptImageError, match='gt/p2.png: it is 17x16, not scale 4 x'):
        dataset[2]
    files.write_folder(tmp_path / 'gt', {'p2': files.make_image(2)})
    training = PairedFaceDataset({**pairs, 'gt_size': 16})
    item = training[3]
    assert 'p3.png: it is 20x20' in item['bad_images'] and 'p3' not in item['gt_path']


@pytest.mark.parametrize(
    'change, sentence',
    [
        ({'gt_size': None}, 'gt_size is missing'),
        ({'gt_size': '16'}, "gt_size must be a whole number of pixels above 0, got '16'"),
        ({'gt_size': 4, 'lq_size': 16}, 'lq_size 16 is larger than gt_size 4'),
        ({'gt_size': 16, 'lq_size': 8}, 'gt_size 16 is not scale 4 x lq_size 8: set gt_size to 32'),
        (
            {'gt_size': 64, 'lq_size': 16},
            'dataroot_gt: none of the first 2 images can be used, .*h0.png: it is 16x16, smaller than gt_size 64',
        ),
        ({'dataroot_lq': None}, 'dataroot_lq is missing'),
        ({'dataroot_gt': 'nowhere'}, 'dataroot_gt: the folder nowhere does not exist'),
        ({'max_bad_share': 5}, 'max_bad_share must be'),
    ],
)
def test_bad_options_give_one_sentence(roots, change, sentence):
    opt = {**roots, 'gt_size': 16, 'lq_size': 4, 'scale': 4, 'phase': 'train', **change}
    with pytest.raises((ValueError, FileNotFoundError), match=sentence) as caught:
        UnpairedFaceDataset(opt)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('count, seen', [(1, [0]), (2, [0, 5]), (3, [0, 2, 5]), (50, [0, 1, 2, 3, 4, 5])])
def test_images_that_are_looked_at_are_spread_over_the_folder(files, tmp_path, count, seen):
    sides = [20, 21, 22, 23, 24, 25]
    root = files.write_folder(tmp_path / 'set', {f'{side}': files.make_image(0, side) for side in sides})
    faces = FaceImages({'dataroot_lq': root}, 'dataroot_lq', None)
    assert faces.stored_sides(count) == [(sides[number], sides[number]) for number in seen]


@pytest.mark.parametrize(
    'change, sentence',
    [
        ({'scale': None}, 'scale must be a whole number'),
        ({'scale': 0}, 'scale must be a whole number above 0, got 0'),
        ({'scale': True}, 'scale must be a whole number above 0, got True'),
        ({}, 'gt_size is missing'),
        ({'gt_size': 18}, 'gt_size 18 is not a multiple of scale 4: set it to 16'),
    ],
)
def test_bad_pair_options(pairs, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        PairedFaceDataset({**pairs, **change})


def test_pictures_that_are_left_out_are_warned_of(roots, tmp_path, log):
    LRFaceDataset({'dataroot_lq': roots['dataroot_lq'], 'phase': 'test'})
    assert not log.records
    (tmp_path / 'lr' / 'more').mkdir()
    (tmp_path / 'lr' / 'a.gif').touch()
    LRFaceDataset({'dataroot_lq': roots['dataroot_lq'], 'phase': 'test'})
    assert 'dataroot_lq' in log.text and '.gif 1) and folders in it (1), which are not searched' in log.text


def test_bad_images_are_replaced_and_named(files, roots, tmp_path):
    (tmp_path / 'hr' / 'h0.png').write_bytes(b'')
    (tmp_path / 'lr' / 'l1.png').write_text('no image')
    dataset = UnpairedFaceDataset({**roots, 'gt_size': 16, 'lq_size': 4})
    item = dataset[0]
    assert item['gt_path'] != dataset.gt.path(0)
    assert f'{dataset.gt.path(0)}: it is empty (0 bytes)' in item['bad_images'].split('\n')
    lines = {line for _ in range(60) for line in dataset[5]['bad_images'].split('\n')}
    assert any('l1.png: it is cut short or not an image' in line for line in lines)
    # in validation nothing is replaced
    with pytest.raises(ValueError, match='h0.png: it is empty'):
        HRFaceDataset({'dataroot_gt': roots['dataroot_gt'], 'phase': 'val'})
    # a test goes on past it
    tested = HRFaceDataset({'dataroot_gt': roots['dataroot_gt'], 'phase': 'test'})
    with pytest.raises(CorruptImageError, match='h0.png: it is empty'):
        tested[0]
    assert tested[1]['gt_path'].endswith('h1.png')


@pytest.mark.parametrize('kind', [UnpairedFaceDataset, HRFaceDataset, PairedFaceDataset])
def test_bad_images_are_warned_of_where_nobody_reads_the_batches_for_it(kind, roots, tmp_path, log):
    """BasicSR's loop does not; ours does, and then each is reported once."""
    bad = tmp_path / 'hr' / 'h3.png'
    good = bad.read_bytes()
    bad.write_bytes(b'')
    opt = {**roots, 'gt_size': 16, 'lq_size': 4, 'scale': 4}
    if kind is PairedFaceDataset:
        del opt['dataroot_lq']
    dataset = kind(opt)
    ours = SeededDataset(dataset, 0)
    assert 'h3.png' in ours[3, 3]['bad_images'] and not log.records
    dataset = kind(opt)
    assert dataset[3]['gt'].shape == (3, 16, 16)
    assert [record.levelname for record in log.records] == ['WARNING'] and 'h3.png: it is empty' in log.text
    bad.write_bytes(good)  # two in a row, which chance may bring, would be another message
    (tmp_path / 'hr' / 'h4.png').write_bytes(b'')
    with pytest.raises(ValueError, match='2 of 8 images in .*hr cannot be used and at most 1 may be bad'):
        dataset[4]


def test_what_counts_as_square():
    """Sides that differ by at most 5 % of the longer one, or by one pixel."""
    assert [is_square(height, 100) for height in (94, 95, 105, 106)] == [False, True, True, False]
    assert [is_square(16, width) for width in (14, 15, 17, 18)] == [False, True, True, False]


def test_faces_that_are_not_square_are_bad(files, roots, tmp_path):
    files.write_folder(tmp_path / 'hr', {'h1': files.make_image(1, 24, 18), 'h2': files.make_image(2, 17, 16)})
    dataset = HRFaceDataset({'dataroot_gt': roots['dataroot_gt'], 'gt_size': 16})
    assert 'h1.png: it is 18x24, not square: crop it to the face' in dataset[1]['bad_images']
    assert dataset[2]['bad_images'] == '' and dataset[2]['gt'].shape == (3, 16, 16)


def test_hr_faces_are_not_enlarged_in_either_direction(files, roots, tmp_path):
    files.write_folder(tmp_path / 'hr', {'h1': files.make_image(1, 16, 15), 'h2': files.make_image(2, 15, 16)})
    dataset = HRFaceDataset({'dataroot_gt': roots['dataroot_gt'], 'gt_size': 16, 'phase': 'test'})
    for index in (1, 2):
        with pytest.raises(CorruptImageError, match='smaller than gt_size 16'):
            dataset[index]


@pytest.mark.parametrize(
    'sizes, sentence',
    [
        ({'gt_size': 32}, 'smaller than gt_size 32, .* lower gt_size.$'),
        ({'lq_size': 8}, 'smaller than scale x lq_size, 32, .* lower lq_size.$'),
        ({'gt_size': 32, 'lq_size': 8}, 'smaller than gt_size 32, .* lower gt_size and lq_size.$'),
    ],
)
def test_what_is_to_be_lowered_is_what_was_given(roots, sizes, sentence):
    opt = {'dataroot_gt': roots['dataroot_gt'], 'scale': 4, 'phase': 'test', **sizes}
    with pytest.raises(UserError, match=f'h0.png: it is 16x16, {sentence}'):
        PairedFaceDataset(opt)


def test_torch_has_its_threads_back(roots):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        HRFaceDataset({'dataroot_gt': roots['dataroot_gt'], 'gt_size': 8})[0]
        assert torch.get_num_threads() == 2
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_all_bad_stops_at_construction_and_later(files, roots, tmp_path):
    dataset = HRFaceDataset({'dataroot_gt': roots['dataroot_gt'], 'gt_size': 16})
    for i in range(8):
        (tmp_path / 'hr' / f'h{i}.png').write_bytes(b'')
    with pytest.raises(ValueError, match='none of the first 2 images can be used, .*h0.png: it is empty'):
        HRFaceDataset({'dataroot_gt': roots['dataroot_gt'], 'gt_size': 16})
    with pytest.raises(ValueError, match='of all 8 at most 1 may be bad'):
        dataset[0]


def test_real_faces(shared_data):
    opt = {
        'dataroot_gt': str(shared_data / 'train/faces_hr'),
        'dataroot_lq': str(shared_data / 'train/faces_lr'),
        'gt_size': 64,
        'lq_size': 16,
        'scale': 4,
        'use_hflip': True,
        'phase': 'train',
        'batch_size_per_gpu': 16,
        'num_worker_per_gpu': 0,
    }
    dataset = UnpairedFaceDataset(opt)
    batch = next(iter(build_train_loader(dataset, opt, seed=0)))
    assert batch['gt'].shape == (16, 3, 64, 64) and batch['lq'].shape == (16, 3, 16, 16)
    assert batch['bad_images'] == [''] * 16
    assert 0.2 < batch['gt'].mean() < 0.7 and batch['lq'].std() > 0.1
