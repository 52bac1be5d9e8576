"""Streaming mean and covariance against numpy's, in any split, and their files."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from selfsr_plugin.metrics.feature_statistics import FeatureStatistics


def gather(rows, *chunks):
    """Statistics of ``rows``, taken in the given chunks."""
    statistics, start = FeatureStatistics(rows.shape[1]), 0
    for size in (*chunks, len(rows)):
        statistics.update(rows[start : start + size])
        start += size
    return statistics


def features(count, dimension=7, seed=0, offset=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, dimension)) @ rng.normal(size=(dimension, dimension)) + offset


@pytest.mark.parametrize('count', [2, 127, 128, 129, 600])
def test_equal_to_numpy(count):
    rows = features(count)
    statistics = gather(rows, 1, 50, 3)
    assert statistics.count == count
    np.testing.assert_allclose(statistics.mean, rows.mean(axis=0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(statistics.covariance, np.cov(rows, rowvar=False), rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=6))
def test_parts_merge_to_the_whole(sizes):
    rows = features(sum(sizes) + 2)
    total, start = gather(rows[:2]), 2
    for size in sizes:
        part = FeatureStatistics(rows.shape[1])
        part.update(rows[start : start + size])
        total.merge(part)
        start += size
    assert total.count == len(rows)
    np.testing.assert_allclose(total.mean, rows.mean(axis=0), rtol=0, atol=1e-11)
    np.testing.assert_allclose(total.covariance, np.cov(rows, rowvar=False), rtol=0, atol=1e-11)


def test_reading_in_between_changes_nothing():
    rows = features(300)
    once, often = gather(rows), FeatureStatistics(7)
    for row in rows:
        often.update(row[None])
        often.mean
    np.testing.assert_allclose(often.covariance, once.covariance, rtol=0, atol=1e-11)


def test_a_large_mean_costs_no_digits():
    rows = features(500, offset=1e6)
    parts = gather(rows[:200]), gather(rows[200:])
    parts[0].merge(parts[1])
    expected = np.cov(rows - 1e6, rowvar=False)
    np.testing.assert_allclose(parts[0].covariance, expected, rtol=1e-7)


def test_float32_features_are_summed_in_float64():
    rows = features(300).astype(np.float32)
    assert gather(rows).covariance.dtype == np.float64
    np.testing.assert_allclose(gather(rows).covariance, np.cov(rows.astype(np.float64), rowvar=False), atol=1e-12)


def test_a_saved_file_gives_the_same_statistics(tmp_path):
    statistics = gather(features(300))
    statistics.save(tmp_path / 'set.npz')
    loaded = FeatureStatistics.load(tmp_path / 'set.npz', 7)
    assert loaded.count == 300 and np.array_equal(loaded.mean, statistics.mean)
    np.testing.assert_allclose(loaded.covariance, statistics.covariance, rtol=1e-15)


def test_a_file_of_pytorch_fid_does_not_say_n(tmp_path):
    rows = features(50)
    np.savez(tmp_path / 'theirs.npz', mu=rows.mean(axis=0), sigma=np.cov(rows, rowvar=False))
    loaded = FeatureStatistics.load(tmp_path / 'theirs.npz', 7)
    assert loaded.count is None
    np.testing.assert_array_equal(loaded.covariance, np.cov(rows, rowvar=False))


def test_bad_files_are_refused_by_name(tmp_path):
    gather(features(9)).save(tmp_path / 'set.npz')
    with pytest.raises(ValueError, match=r'set\.npz holds statistics of shapes \(7,\) and \(7, 7\).* 2048 values'):
        FeatureStatistics.load(tmp_path / 'set.npz', 2048)
    np.savez(tmp_path / 'other.npz', a=np.zeros(3))
    (tmp_path / 'text.npz').write_text('no zip')
    for name in ('other.npz', 'text.npz'):
        with pytest.raises(ValueError, match=rf'{name} is no statistics file'):
            FeatureStatistics.load(tmp_path / name, 7)
    np.savez(tmp_path / 'nan.npz', mu=np.full(7, np.nan), sigma=np.eye(7))
    with pytest.raises(ValueError, match='nan.npz holds values that are not finite'):
        FeatureStatistics.load(tmp_path / 'nan.npz', 7)
    with pytest.raises(FileNotFoundError, match='none.npz'):
        FeatureStatistics.load(tmp_path / 'none.npz', 7)


@pytest.mark.parametrize('count, said', [(0, 'none'), (1, '1')])
def test_a_covariance_needs_two_images(count, said):
    with pytest.raises(ValueError, match=f'two images or more, and there is {said}'):
        gather(features(max(count, 1))[:count]).covariance


def test_features_that_are_no_numbers_or_of_another_number_are_refused():
    rows = features(4)
    rows[2, 1] = np.nan
    with pytest.raises(ValueError, match='no finite numbers'):
        gather(rows)
    with pytest.raises(ValueError, match=r'\(N, 7\) are needed, got \(4, 6\)'):
        FeatureStatistics(7).update(rows[:, :6])
    with pytest.raises(ValueError, match='7 and of 6'):
        FeatureStatistics(7).merge(FeatureStatistics(6))
