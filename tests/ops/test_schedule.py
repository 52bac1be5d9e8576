"""The growth schedule at its boundaries, and as a pure function."""

import pytest

from selfsr_plugin.ops import Growth, GrowthSchedule


@pytest.mark.parametrize('iteration, level', [(1, 1), (60000, 1), (60001, 2), (160000, 2)])
def test_papers_schedule_for_real_faces(iteration, level):
    assert GrowthSchedule(2, (60000,)).at(iteration) == Growth(level, 1.0)


@pytest.mark.parametrize('iteration, level', [(1, 1), (20000, 1), (20001, 2), (80000, 2), (80001, 3), (160000, 3)])
def test_papers_schedule_for_celeba(iteration, level):
    assert GrowthSchedule(3, (20000, 80000)).at(iteration) == Growth(level, 1.0)


@pytest.mark.parametrize('iteration', [1, 7, 10**6])
def test_no_steps_means_full_scale_from_the_start(iteration):
    assert GrowthSchedule(3, (), fade_iter=5).at(iteration) == Growth(3, 1.0)


def test_fade_in():
    schedule = GrowthSchedule(3, (10, 20), fade_iter=4)
    got = [tuple(schedule.at(i)) for i in (1, 10, 11, 12, 13, 14, 15, 20, 21, 23, 24, 25)]
    assert got == [
        (1, 1.0),
        (1, 1.0),
        (2, 0.25),
        (2, 0.5),
        (2, 0.75),
        (2, 1.0),
        (2, 1.0),
        (2, 1.0),
        (3, 0.25),
        (3, 0.75),
        (3, 1.0),
        (3, 1.0),
    ]


def test_first_level_never_fades():
    assert GrowthSchedule(2, (100,), fade_iter=50).at(1) == Growth(1, 1.0)


@pytest.mark.parametrize(
    'arguments, message',
    [
        ((3, (10,)), r'\[10\] has 1 steps, but a network of 3 levels \(x2 to x8\) grows 2 times'),
        ((1, (10,)), 'grows 0 times'),
        ((3, (20, 10)), 'must be positive and increasing'),
        ((3, (10, 10)), 'must be positive and increasing'),
        ((2, (0,)), 'must be positive and increasing'),
        ((2, (-5,)), 'must be positive and increasing'),
        ((2, (10,), -1), 'fade_iter: -1 must not be negative'),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        GrowthSchedule(*arguments)


def test_properties_of_any_schedule():
    hypothesis = pytest.importorskip('hypothesis')
    numbers = hypothesis.strategies

    @hypothesis.given(
        steps=numbers.lists(numbers.integers(1, 500), min_size=1, max_size=4, unique=True).map(sorted),
        fade_iter=numbers.integers(0, 600),
        visits=numbers.lists(numbers.integers(1, 700), min_size=1, max_size=20),
    )
    @hypothesis.settings(max_examples=200, deadline=None)
    def check(steps, fade_iter, visits):
        schedule = GrowthSchedule(len(steps) + 1, tuple(steps), fade_iter)
        path = [schedule.at(i) for i in range(1, 701)]
        # Pure: neither the order of the visits nor the object matters.
        again = GrowthSchedule(len(steps) + 1, tuple(steps), fade_iter)
        assert all(again.at(i) == path[i - 1] for i in visits)
        for before, after in zip(path, path[1:]):
            assert after.level - before.level in (0, 1)
            assert after.level > before.level or after.alpha >= before.alpha
        assert [i for i in range(1, 700) if path[i].level > path[i - 1].level] == steps
        assert all(0 < growth.alpha <= 1 for growth in path)
        for step, following in zip(steps, steps[1:] + [701]):
            if fade_iter and step + fade_iter < following and step + fade_iter <= 700:
                assert path[step + fade_iter - 1].alpha == 1
                assert fade_iter == 1 or path[step + fade_iter - 2].alpha < 1

    check()
