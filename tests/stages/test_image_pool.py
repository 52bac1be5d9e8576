"""The pool of generated images: which come back, and that the draws depend on seed, name and iteration alone."""

import pytest
import torch

from selfsr_plugin.stages import image_pool
from selfsr_plugin.stages.image_pool import ImagePool


def numbered(first: int, count: int) -> torch.Tensor:
    """Images that are their number."""
    return torch.arange(first, first + count, dtype=torch.float32)[:, None, None, None].expand(-1, 3, 2, 2).clone()


def numbers(images: torch.Tensor) -> list:
    return [int(image[0, 0, 0]) for image in images]


def test_until_it_is_full_images_come_back_as_they_are():
    pool = ImagePool(50, 0, 'a')
    for i in range(12):
        assert numbers(pool.exchange(numbered(4 * i, 4), i)) == list(range(4 * i, 4 * i + 4))
    assert numbers(pool.state_dict()['images']) == list(range(48))


def test_what_comes_back_is_new_or_was_stored_and_is_stored_no_longer():
    """Against the rule, image by image: each new image is either given back, or takes the place of the one given."""
    pool = ImagePool(5, 3, 'a')
    stored, swapped, total, first = set(), 0, 0, 0
    for i in range(400):
        new = list(range(first, first + 3))
        first += 3
        for number, given in zip(new, numbers(pool.exchange(numbered(new[0], 3), i))):
            if len(stored) < 5:
                assert given == number
                stored.add(number)
                continue
            total += 1
            if given != number:
                swapped += 1
                assert given in stored
                stored.remove(given)
                stored.add(number)
        assert set(numbers(pool.state_dict()['images'])) == stored and len(pool.images) == len(stored)
    assert abs(swapped / total - 0.5) < 5 * 0.5 / total**0.5  # five standard errors


def test_every_place_is_used():
    pool = ImagePool(4, 0, 'a')
    pool.exchange(numbered(0, 4), 0)
    ages = []
    for i in range(1, 1500):
        given = numbers(pool.exchange(numbered(3 + i, 1), i))[0]
        if given != 3 + i:
            ages.append(3 + i - given)
    # A stored image leaves with probability 1/8 in each iteration.
    assert sum(ages) / len(ages) == pytest.approx(8, rel=0.25)


def test_draws_depend_on_seed_name_and_iteration_alone():
    def run(seed: int, name: str, resume_at: int = -1, start: int = 0) -> list:
        pool, found = ImagePool(6, seed, name), []
        for i in range(12):
            if i == resume_at:
                state = pool.state_dict()
                torch.manual_seed(99)
                pool = ImagePool(6, seed, name)
                pool.load_state_dict(state, torch.device('cpu'))
            found += numbers(pool.exchange(numbered(4 * i, 4), start + i))
        return found

    expected = run(1, 'a')
    torch.manual_seed(5)
    assert run(1, 'a') == expected
    assert all(run(1, 'a', resume_at=i) == expected for i in range(12))
    assert run(2, 'a') != expected and run(1, 'b') != expected and run(1, 'a', start=100) != expected


def test_stored_images_are_not_those_of_the_batch():
    # The batch may be changed after it; what the pool holds may not.
    pool, batch = ImagePool(4, 0, 'a'), numbered(0, 4)
    given = pool.exchange(batch, 0)
    batch.zero_()
    given.zero_()
    assert numbers(pool.images) == [0, 1, 2, 3]


def test_a_pool_of_size_0_gives_every_batch_back():
    pool = ImagePool(0, 0, 'a')
    for i in range(4):
        assert numbers(pool.exchange(numbered(i, 3), i)) == [i, i + 1, i + 2]
    assert pool.state_dict() == {'images': None}


def test_every_process_is_given_its_own_share(monkeypatch):
    """Two that hold the same pool; what each gathers is the batch of both."""
    whole, pools = ImagePool(5, 0, 'a'), [ImagePool(5, 0, 'a') for _ in range(2)]
    for i in range(12):
        batch = numbered(4 * i, 4)
        monkeypatch.setattr(image_pool, '_gather', lambda images, world_size, batch=batch: batch)
        shares = [pool.exchange(batch[2 * rank : 2 * rank + 2], i, rank, 2) for rank, pool in enumerate(pools)]
        assert numbers(torch.cat(shares)) == numbers(whole.exchange(batch, i))
