"""What a metric of an option file needs."""

import pytest
import torch
from common_kit import Code

from selfsr_plugin.errors import UserError
from selfsr_plugin.metrics import check_metric, needs_ground_truth
from selfsr_plugin.metrics.weights import ALEXNET, read_weights


@pytest.mark.parametrize(
    'settings, needed',
    [
        (dict(type='calculate_psnr', crop_border=0), True),
        (dict(type='calculate_lpips'), True),
        (dict(type='calculate_blur'), False),
        (dict(type='calculate_niqe', crop_border=0), False),
        (dict(type='calculate_fid'), True),
        (dict(type='calculate_fid', reference='faces.npz'), False),
    ],
)
def test_what_cannot_be_computed_without_ground_truth(settings, needed):
    assert needs_ground_truth(settings) == needed


@pytest.mark.parametrize('border', [-1, True, 1.0, '4'])
def test_borders_that_are_cropped_are_whole_numbers_from_0_on(border):
    check_metric(dict(type='calculate_psnr', crop_border=0))
    with pytest.raises(UserError, match='crop_border: .* must be a whole number of pixels, 0 or more'):
        check_metric(dict(type='calculate_psnr', crop_border=border))


def test_code_in_a_file_of_weights_is_not_run(tmp_path):
    torch.save({'features.0.weight': Code(tmp_path / 'made')}, tmp_path / 'weights.pth')
    with pytest.raises(UserError, match="does not hold torchvision's AlexNet"):
        read_weights(ALEXNET, tmp_path / 'weights.pth')
    assert not (tmp_path / 'made').exists()
