"""Between tensors and arrays: BasicSR's numbers, without BasicSR."""

import numpy as np
import pytest
import torch
from basicsr.utils import img2tensor, tensor2img

from selfsr_plugin.errors import UserError
from selfsr_plugin.ops import to_image, to_tensor


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.float16])
def test_images_are_those_of_basicsr_bit_for_bit(dtype):
    noise = torch.randn(3, 61, 47, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.5
    halves = (torch.arange(3 * 8 * 64).reshape(3, 8, 64) / 2 - 100) / 255  # every level and what lies between two
    for tensor in (noise.to(dtype), halves.to(dtype)):
        before = tensor.clone()
        assert np.array_equal(to_image(tensor), tensor2img(tensor.clone()))
        assert torch.equal(tensor, before)


def test_tensors_are_those_of_basicsr_bit_for_bit():
    image = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    assert torch.equal(to_tensor(image), img2tensor(image.astype(np.float32) / 255))
    assert np.array_equal(to_image(to_tensor(image)), image)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_values_that_are_not_finite_are_not_drawn_black(value):
    tensor = torch.zeros(3, 4, 4)
    tensor[1, 2, 3] = value
    with pytest.raises(UserError, match='not finite'):
        to_image(tensor)
