"""Paste-back: nothing outside the squares, nothing of a network that changes nothing, and no seam."""

import numpy as np
import pytest
import torch

from selfsr_plugin.ops import bicubic_resize, to_tensor
from selfsr_plugin.photo_restoration.background import bicubic
from selfsr_plugin.photo_restoration.pasting import FEATHER, cut, feather, keep_colours, paste
from selfsr_plugin.preparation.framing import Box

BOXES = [Box(20, 30, 40), Box(-12, 100, 40), Box(170, -9, 48), Box(-5, -5, 230)]


@pytest.mark.parametrize('box', BOXES)
def test_a_square_is_cut_as_for_training(kit, box):
    photo = kit.photo()
    found = cut(torch.from_numpy(photo), box, box.side)
    assert torch.equal(found, to_tensor(box.cut(photo)))


def test_a_small_square_is_enlarged_as_in_training(kit):
    photo, box = kit.photo(), Box(20, 30, 11)
    found = cut(torch.from_numpy(photo), box, 16)
    assert torch.allclose(found, bicubic_resize(to_tensor(box.cut(photo)), 16).clamp(0, 1))
    photo[:, 25:] = 255
    photo[:, :25] = 0
    found = cut(torch.from_numpy(photo), box, 16)  # the kernel overshoots at such an edge
    assert found.min() == 0 and found.max() == 1


@pytest.mark.parametrize('upscale', [1, 2, 3])
@pytest.mark.parametrize('box', BOXES)
def test_outside_the_square_every_bit_is_kept(kit, box, upscale):
    photo = torch.from_numpy(bicubic(kit.photo(), upscale))
    before = photo.clone()
    paste(photo, 1 - cut(torch.from_numpy(kit.photo()), box, box.side * upscale), box, upscale)
    inside = torch.zeros(photo.shape[:2], dtype=torch.bool)
    left, top, end = max(box.left, 0) * upscale, max(box.top, 0) * upscale, box.side * upscale
    inside[top : box.top * upscale + end, left : box.left * upscale + end] = True
    assert torch.equal(photo[~inside], before[~inside])
    assert (photo[inside] != before[inside]).float().mean() > 0.5


@pytest.mark.parametrize('side', [5, 16, 63, 256])
def test_the_mask_fades_out_smoothly(side):
    ramp = feather(side, torch.device('cpu'))
    assert torch.equal(ramp, ramp.flip(0)) and ramp.max() <= 1
    assert side < 16 or ramp[0] < 0.2 and ramp[side // 4] == 1
    assert ramp.diff().abs().max() < 1.6 / max(FEATHER * side, 1)


def test_how_wide_the_mask_fades():
    """Chins lie 0.02 from the lower edge of the square, and eyes far within it."""
    ramp = feather(100, torch.device('cpu'))
    assert (ramp == 1).nonzero()[0] == 12 and ramp[6] == pytest.approx(0.5, abs=0.1)


def test_no_seam(kit):
    """A network that makes everything brighter: no step across the border, or near it, is larger than those inside."""
    flat = torch.full((120, 120, 3), 60, dtype=torch.uint8)
    box = Box(30, 30, 60)
    paste(flat, torch.full((3, 60, 60), 180 / 255), box, 1)
    steps = flat[60, :, 0].int().diff().abs()
    border = steps[box.left - 1]  # from the last pixel outside to the first inside
    assert 0 < border < 10 and border < steps.max() < 30
    assert flat[60, 60, 0] == 180


def test_a_share_of_a_face_leaves_the_rest_to_the_photo():
    flat = torch.full((120, 120, 3), 60, dtype=torch.uint8)
    paste(flat, torch.full((3, 60, 60), 180 / 255), Box(30, 30, 60), 1, 0.25)
    assert (flat[40:80, 40:80] == 90).all() and (flat[:30] == 60).all()


def test_colours_are_those_of_the_lr_face_and_details_those_of_the_network(kit):
    torch.manual_seed(0)
    lqs = torch.rand(2, 3, 1, 1).expand(2, 3, 16, 16) * 0.5 + 0.25
    details = torch.rand(2, 3, 64, 64) * 0.1
    details -= bicubic_resize(bicubic_resize(details, 6), 64)
    shifted = lqs[..., :1, :1] + torch.tensor([0.1, -0.1, 0.05])[:, None, None] + details
    kept = keep_colours(shifted, lqs)
    assert (bicubic_resize(kept, 16) - lqs).mean((2, 3)).abs().max() < 1e-3
    assert torch.allclose(kept - kept.mean((2, 3), keepdim=True), details, atol=0.02)
    smooth = bicubic_resize(torch.rand(2, 3, 4, 4) * 0.5 + 0.25, 16)
    assert (keep_colours(bicubic_resize(smooth, 64), smooth) - bicubic_resize(smooth, 64)).abs().max() < 2e-3


def test_colours_are_kept_in_each_part_of_a_face(kit):
    lqs = torch.full((1, 3, 16, 16), 0.5)
    ramp = torch.linspace(-0.2, 0.2, 64).expand(1, 3, 64, 64)  # dark on the left, bright on the right
    assert (keep_colours(0.5 + ramp, lqs) - 0.5).abs().max() < 0.04


def test_colours_are_those_of_six_cells_along_the_side():
    lqs = 0.4 + 0.2 * torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = 0.5 + bicubic_resize(bicubic_resize(lqs - 0.5, 6), 64)
    torch.testing.assert_close(keep_colours(torch.full((1, 3, 64, 64), 0.5), lqs), expected, rtol=0, atol=1e-5)


def test_faces_of_kept_colours_are_images():
    lqs, faces = torch.ones(1, 3, 16, 16), torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for kept in (keep_colours(faces, lqs), keep_colours(faces, 1 - lqs)):
        assert 0 <= kept.min() and kept.max() <= 1


def test_feathers_of_squares_beyond_the_photo_do_not_fade_at_its_edge(kit):
    photo = torch.zeros(40, 40, 3, dtype=torch.uint8)
    paste(photo, torch.ones(3, 20, 20), Box(-10, 0, 20), 1)
    assert photo[10, 0, 0] == 255 and photo[10, 9, 0] < 60


def test_a_photo_of_one_row(kit):
    photo = torch.from_numpy(np.arange(30, dtype=np.uint8).reshape(1, 10, 3))
    assert cut(photo, Box(2, -3, 7), 7).shape == (3, 7, 7)


def test_in_the_corners_the_mask_fades_in_both_directions():
    photo = torch.zeros(40, 40, 3, dtype=torch.uint8)
    paste(photo, torch.ones(3, 20, 20), Box(10, 10, 20), 1)
    ramp = feather(20, torch.device('cpu'))
    expected = (255 * ramp[:, None] * ramp[None]).round()
    assert torch.equal(photo[10:30, 10:30, 0].float(), expected) and 0 < expected[0, 0] + 1 < expected[0, 10]
