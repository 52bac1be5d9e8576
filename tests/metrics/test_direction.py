"""Which way a metric counts is known, stated or asked for; never taken for 'higher' in silence."""

from pathlib import Path

import pytest
from basicsr.utils.registry import METRIC_REGISTRY

from selfsr_plugin.errors import UserError
from selfsr_plugin.metrics import check_metric, check_set_size, direction
from selfsr_plugin.option_check import check_options
from selfsr_plugin.options import read_option_file

ROOT = Path(__file__).resolve().parents[2]

KNOWN = dict(
    calculate_blur='lower',
    calculate_fid='lower',
    calculate_frechet_alex='lower',
    calculate_lpips='lower',
    calculate_niqe='lower',
    calculate_identity='higher',
    calculate_psnr='higher',
    calculate_ssim='higher',
    calculate_psnr_pt='higher',
    calculate_ssim_pt='higher',
)


@pytest.fixture
def foreign():
    """A metric of somebody else's, which says nothing of itself."""

    def calculate_foreign(img, img2, **kwargs):
        return 1.0

    METRIC_REGISTRY._obj_map['calculate_foreign'] = calculate_foreign
    yield calculate_foreign
    del METRIC_REGISTRY._obj_map['calculate_foreign']


def test_every_registered_metric_is_known():
    assert {name: direction(dict(type=name)) for name in METRIC_REGISTRY.keys()} == KNOWN


def test_a_foreign_metric_says_so_in_the_option_file_or_in_its_signature(foreign):
    assert direction(dict(type='calculate_foreign')) is None
    assert direction(dict(type='calculate_foreign', better='lower')) == 'lower'
    METRIC_REGISTRY._obj_map['calculate_foreign'] = lambda img, img2, better='lower': 1.0
    assert direction(dict(type='calculate_foreign')) == 'lower'
    METRIC_REGISTRY._obj_map['calculate_foreign'] = lambda img, img2, better=0.5: 1.0  # a parameter of its own
    assert direction(dict(type='calculate_foreign')) is None


@pytest.mark.parametrize(
    'settings, message',
    [
        (
            dict(type='calculate_lpips', better='higher'),
            'higher is wrong for calculate_lpips, of which lower values are',
        ),
        (dict(type='calculate_psnr', better='lower'), 'lower is wrong for calculate_psnr'),
        (dict(type='calculate_psnr', better='up'), "'up' must be 'higher' or 'lower'"),
    ],
)
def test_a_wrong_better_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        check_metric(settings)


def test_an_option_file_is_asked_for_what_nobody_says(foreign):
    opt = read_option_file(str(ROOT / 'options/train_selfsr_demo.yml'))
    opt['val']['metrics']['x'] = dict(type='calculate_foreign')
    with pytest.raises(
        UserError, match=r"val\.metrics\.x: better is missing: write 'better: higher' or 'better: lower'"
    ):
        check_options(opt, is_train=True)
    opt['val']['metrics']['x']['better'] = 'lower'
    check_options(opt, is_train=True)


def test_sets_are_compared_from_two_images_on():
    for metric in ('calculate_fid', 'calculate_frechet_alex'):
        check_set_size(dict(type=metric), 2)
        with pytest.raises(UserError, match=f'{metric} compares sets of images, and this data set has one'):
            check_set_size(dict(type=metric), 1)
    check_set_size(dict(type='calculate_psnr'), 1)
