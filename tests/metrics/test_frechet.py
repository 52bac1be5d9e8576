"""The Frechet distance against closed forms and torch-fidelity, and how a set's metric adds up in BasicSR's loops."""

import logging
import pickle

import numpy as np
import pytest
import torch

from selfsr_plugin.errors import UserError
from selfsr_plugin.metrics import calculate_frechet_alex
from selfsr_plugin.metrics.feature_statistics import FeatureStatistics
from selfsr_plugin.metrics.frechet import (
    check_reference,
    extract_features,
    frechet_distance,
    reference_statistics,
    score,
    small_sample_warning,
)
from selfsr_plugin.metrics.frechet_alex_metric import FRECHET_ALEX


def gaussian(mean, covariance, tmp_path):
    """Statistics with exactly these moments."""
    np.savez(tmp_path / 'moments.npz', mu=np.asarray(mean, float), sigma=np.asarray(covariance, float))
    return FeatureStatistics.load(tmp_path / 'moments.npz', len(mean))


def sample(rows):
    statistics = FeatureStatistics(rows.shape[1])
    statistics.update(rows)
    return statistics


def test_commuting_covariances(tmp_path):
    """|mu_a - mu_b|^2 + sum (sqrt a_i - sqrt b_i)^2 in a common eigenbasis."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(40, 40)))[0]
    a, b, shift = rng.uniform(0, 5, 40), rng.uniform(0, 5, 40), rng.normal(size=40)
    a[:9] = b[5:12] = 0  # no full rank
    expected = shift @ shift + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    found = frechet_distance(
        gaussian(shift, basis * a @ basis.T, tmp_path), gaussian(np.zeros(40), basis * b @ basis.T, tmp_path)
    )
    assert found == pytest.approx(expected, rel=1e-9)


def test_two_by_two_covariances_that_do_not_commute(tmp_path):
    """The trace of the root of a 2x2 matrix M is sqrt(tr M + 2 sqrt(det M))."""
    a, b = np.array([[2.0, 0.7], [0.7, 1.0]]), np.array([[0.5, -0.3], [-0.3, 3.0]])
    assert np.abs(a @ b - b @ a).max() > 0.5
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    expected = 5 + np.trace(a) + np.trace(b) - 2 * root
    assert frechet_distance(gaussian([1, 2], a, tmp_path), gaussian([0, 0], b, tmp_path)) == pytest.approx(expected)


@pytest.mark.parametrize('counts', [(400, 300), (20, 300), (20, 30)], ids=str)
def test_equal_to_torch_fidelity_on_the_same_features(counts):
    """Also for sets of fewer images than the 64 features."""
    fidelity = pytest.importorskip('torch_fidelity.metric_fid')
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=(count, 64)) @ rng.normal(size=(64, 64)) + rng.normal(size=64) for count in counts)
    theirs = fidelity.fid_statistics_to_metric(
        *(fidelity.fid_features_to_statistics(torch.from_numpy(rows)) for rows in (a, b)), verbose=False
    )
    assert frechet_distance(sample(a), sample(b)) == pytest.approx(theirs[fidelity.KEY_METRIC_FID], rel=1e-6)


def test_equal_sets_are_at_zero_and_the_distance_is_symmetric():
    rng = np.random.default_rng(2)
    for count in (10, 200):  # below and above the 50 features
        a, b = sample(rng.normal(size=(count, 50)) * 100), sample(rng.normal(size=(300, 50)) + 3)
        assert frechet_distance(a, a) == pytest.approx(0, abs=1e-7)
        assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)


def test_rounding_leaves_no_distance_below_zero():
    rng = np.random.default_rng(4)
    assert all(frechet_distance(each, each) >= 0 for each in (sample(rng.normal(size=(30, 20))) for _ in range(40)))


def test_the_distance_is_biased_upwards_with_few_images():
    rng = np.random.default_rng(3)
    many = sample(rng.normal(size=(5000, 32)))
    distances = [frechet_distance(sample(rng.normal(size=(count, 32))), many) for count in (20, 100, 2000)]
    assert distances[0] > 2 * distances[1] > 4 * distances[2] > 0


# ----- the sum over a set -----


def whole(faces, alexnet_file, reference):
    """The distance computed in one piece."""
    ours = sample(extract_features(FRECHET_ALEX, faces, alexnet_file))
    return frechet_distance(ours, sample(extract_features(FRECHET_ALEX, reference, alexnet_file)))


def parts(images, truth, **options):
    return [calculate_frechet_alex(image, img2, **options) for image, img2 in zip(images, truth)]


def add(values):
    total = 0
    for value in values:
        total += value
    return total


def test_a_sum_divided_by_its_number_is_the_distance(faces, alexnet_file):
    found = add(parts(faces.blurred, faces.hr, weights=alexnet_file)) / len(faces.hr)
    assert type(found) is float and found > 0
    assert found == pytest.approx(whole(faces.blurred, alexnet_file, faces.hr), rel=1e-6)


def test_shares_of_processes_merge(faces, alexnet_file):
    each = parts(faces.blurred, faces.hr, weights=alexnet_file)
    expected = add(parts(faces.blurred, faces.hr, weights=alexnet_file)) / 8
    shares = [pickle.loads(pickle.dumps(add(each[rank::3]))) for rank in range(3)]
    assert add(shares) / 8 == pytest.approx(expected, rel=1e-6)


def test_a_reference_takes_the_place_of_ground_truth(faces, alexnet_file, write, tmp_path):
    folder = write(tmp_path / 'set', faces.hr[:5])
    expected = whole(faces.blurred, alexnet_file, faces.hr[:5])
    for img2 in (faces.blurred, [None] * 8):  # with ground truth too
        sums = add(parts(faces.blurred, img2, weights=alexnet_file, reference=folder))
        assert sums / 8 == pytest.approx(expected, rel=1e-6)
    reference_statistics(FRECHET_ALEX, folder, alexnet_file).save(tmp_path / 'set.npz')
    sums = add(parts(faces.blurred, [None] * 8, weights=alexnet_file, reference=str(tmp_path / 'set.npz')))
    assert sums / 8 == pytest.approx(expected, rel=1e-6)


def test_a_folder_of_images_of_several_sizes_is_a_reference(faces, alexnet_file, write, tmp_path):
    sides = [(64, 64), (56, 64), (64, 56), (64, 64)]  # two, two, ... alike in a row; some turned on their side
    images = [face[: sides[number // 2][0], : sides[number // 2][1]] for number, face in enumerate(faces.hr)]
    found = reference_statistics(FRECHET_ALEX, write(tmp_path / 'set', images), alexnet_file)
    each = [extract_features(FRECHET_ALEX, [image], alexnet_file) for image in images]
    np.testing.assert_allclose(found.mean, np.concatenate(each).mean(0), rtol=1e-4, atol=1e-6)
    assert found.count == 8


def test_an_lmdb_is_a_reference(faces, alexnet_file, tmp_path):
    import cv2
    import lmdb

    environment = lmdb.open(str(tmp_path / 'set.lmdb'), map_size=1 << 24)
    with environment.begin(write=True) as transaction:
        for number, image in enumerate(faces.hr):
            transaction.put(str(number).encode(), cv2.imencode('.png', image)[1].tobytes())
    environment.close()
    (tmp_path / 'set.lmdb/meta_info.txt').write_text(''.join(f'{number}.png (64,64,3) 1\n' for number in range(8)))
    sums = add(parts(faces.blurred, [None] * 8, weights=alexnet_file, reference=str(tmp_path / 'set.lmdb')))
    assert sums / 8 == pytest.approx(whole(faces.blurred, alexnet_file, faces.hr), rel=1e-6)


def test_n_is_logged_with_a_warning_below_the_dimension(faces, alexnet_file, caplog):
    logger = logging.getLogger('basicsr')
    logger.propagate, level = True, logger.level
    logger.setLevel(logging.INFO)
    try:
        add(parts(faces.blurred, faces.hr, weights=alexnet_file)) / 8
    finally:
        logger.setLevel(level)
        logger.propagate = False
    assert 'N = 8 restored images, N = 8 reference images' in caplog.text
    assert 'biased upwards' in caplog.text and '256 features' in caplog.text


def test_as_many_images_as_features_are_enough():
    assert small_sample_warning(FRECHET_ALEX, 256, None, 300) == ''
    assert 'N = 256 and 255 is below the 256 features' in small_sample_warning(FRECHET_ALEX, 256, 255)


def test_a_reference_of_one_image_is_refused_before_anything_is_computed(faces, write, tmp_path):
    check_reference(FRECHET_ALEX, write(tmp_path / 'two', faces.hr[:2]))
    with pytest.raises(UserError, match='holds one image, and Frechet-AlexNet compares sets'):
        check_reference(FRECHET_ALEX, write(tmp_path / 'one', faces.hr[:1]))


def test_one_image_has_no_distance(faces, alexnet_file):
    with pytest.raises(UserError, match='there is 1 restored against 1 reference'):
        add(parts(faces.hr[:1], faces.hr[:1], weights=alexnet_file)) / 1
    with pytest.raises(UserError, match='no value for a single one'):
        float(parts(faces.hr[:1], faces.hr[:1], weights=alexnet_file)[0])


def test_one_image_on_either_side_has_no_distance():
    one, two = (sample(np.random.default_rng(0).normal(size=(count, 3))) for count in (1, 2))
    for restored, reference in ((one, two), (two, one)):
        with pytest.raises(UserError, match='compares two sets of two or more images each'):
            score(FRECHET_ALEX, restored, reference)


def test_without_ground_truth_a_reference_is_needed(faces, alexnet_file):
    with pytest.raises(UserError, match="no ground truth, so the metric needs 'reference'"):
        calculate_frechet_alex(faces.hr[0], weights=alexnet_file)


def test_a_wrong_number_of_images_is_noticed(faces, alexnet_file):
    with pytest.raises(ValueError, match='of 8 images was divided by 7'):
        add(parts(faces.blurred, faces.hr, weights=alexnet_file)) / 7
