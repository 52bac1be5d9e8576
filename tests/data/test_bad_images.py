import random

import pytest

from selfsr_plugin.data import BadImageLog, CorruptImageError
from selfsr_plugin.data.bad_images import find_first_good, read_or_replace, tolerated_bad_images


def reader(bad):
    def read(index):
        if index in bad:
            raise CorruptImageError(f'root/{index}.png', 'broken')
        return index * 10

    return read


@pytest.mark.parametrize(
    'total, share, tolerated',
    [
        (800, 0.01, 8),
        (850, 0.01, 8),
        (10, 0.01, 1),
        (2, 0.01, 1),
        (1, 0.01, 0),
        (1, 1, 0),
        (100, 0, 0),
        (100, 0.29, 29),
        (10, 1, 9),
    ],
)
def test_tolerated(total, share, tolerated):
    assert tolerated_bad_images(total, share) == tolerated


@pytest.mark.parametrize('share', [-0.1, 1.1, '1%', True, None])
def test_tolerated_refuses(share):
    with pytest.raises(ValueError, match='max_bad_share must be a number from 0 to 1'):
        tolerated_bad_images(10, share)


def test_replacement_is_decided_by_pythons_generator():
    read = reader({1, 2})
    assert read_or_replace(read, 5, 10, 2) == (50, 5, [])
    random.seed(0)
    item, index, bad = read_or_replace(read, 1, 10, 2)
    assert item == index * 10 and index not in (1, 2) and bad[0] == 'root/1.png: broken'
    random.seed(0)
    assert read_or_replace(read, 1, 10, 2) == (item, index, bad)
    assert len({read_or_replace(read, 1, 10, 2)[1] for _ in range(40)}) > 3


def test_all_bad_stops():
    with pytest.raises(ValueError, match='at most 9 may be bad; the last is root/.*png: broken'):
        read_or_replace(reader(set(range(10))), 3, 10, 9)
    with pytest.raises(ValueError, match='none of the first 3 images can be used, root/0.png: broken'):
        find_first_good(reader({0, 1, 2}), 2)
    assert find_first_good(reader({0, 1}), 2) == 20


def test_log_warns_once_and_stops_beyond_the_share(log):
    bad_images = BadImageLog({'a': 300, 'a/lr': 200}, 0.01)
    bad_images.update(['', 'a/1.png: broken', 'a/1.png: broken\na/lr/7.png: broken', ''])
    bad_images.update(['a/1.png: broken'])
    assert [r.levelname for r in log.records] == ['WARNING'] * 2
    assert 'a/1.png: broken (1 of 300 images so far, at most 3 tolerated)' in log.text
    bad_images.update([f'a/{i}.png: broken' for i in (2, 3)])
    bad_images.update(['a/lr/8.png: broken'])
    with pytest.raises(
        ValueError,
        match='3 of 200 images in a/lr cannot be used and at most 2 may be bad: .*'
        'max_bad_share .0.01.; the last is a/lr/9.png: broken',
    ):
        bad_images.update(['a/lr/9.png: broken'])
    assert len(bad_images.bad['a']) == 3
