import cv2
import numpy as np
import pytest

from selfsr_plugin.preparation.faces import Face, Refused
from selfsr_plugin.preparation.framing import (
    BOX_HEIGHT,
    BOX_X,
    BOX_Y,
    Box,
    TurnedBox,
    align,
    frame,
    frame_box,
    frame_face,
)


def test_square_is_where_the_template_says(kit):
    assert frame(kit.landmarks(40, 50, 100), 300, 300, 16) == Box(40, 50, 100)


@pytest.mark.parametrize('angle', [0, 20, -35])
def test_alignment_undoes_rotation_and_scale(kit, angle):
    box = align(kit.landmarks(80, 70, 120, angle), 300, 300, 16)
    assert box.side == 120 and box.angle == pytest.approx(angle)
    assert (box.centre_x, box.centre_y) == (pytest.approx(140), pytest.approx(130))


def test_both_framings_cut_the_same_from_an_upright_face(kit):
    photo, points = kit.photo(height=300, width=300), kit.landmarks(80, 70, 120)
    np.testing.assert_array_equal(align(points, 300, 300, 16).cut(photo), frame(points, 300, 300, 16).cut(photo))


def test_turned_crop_shows_the_upright_face(kit):
    """A photo turned by OpenCV about a point, cut with the turned landmarks, looks like the upright crop."""
    photo = kit.photo(1, 300, 300)
    upright = frame(kit.landmarks(90, 90, 120), 300, 300, 16).cut(photo).astype(float)
    # clockwise by 25 degrees about the middle of the face; OpenCV counts angles the other way round
    turned = cv2.warpAffine(photo, cv2.getRotationMatrix2D((149.5, 149.5), -25, 1), (300, 300), flags=cv2.INTER_CUBIC)
    aligned = align(kit.landmarks(90, 90, 120, 25), 300, 300, 16).cut(turned)
    assert np.abs(aligned - upright).mean() < 1
    assert (
        np.abs(frame(kit.landmarks(90, 90, 120, 25), 300, 300, 16).cut(turned)[:110, :110] - upright[:110, :110]).mean()
        > 5
    )


def test_turned_crops_are_cut_with_a_cubic_kernel():
    """Half a pixel off, it overshoots beside a bright line, which a bilinear one never does."""
    photo = np.full((60, 60, 3), 128, np.uint8)
    photo[:, 30] = 255
    crop = TurnedBox(30.5, 30.5, 20, 0.0).cut(photo)
    assert crop.max() < 220 and 110 < crop.min() < 120


@pytest.mark.parametrize('framing', ['square', 'similarity'])
def test_margin_grows_on_all_sides(kit, framing):
    face = Face(None, kit.landmarks(100, 90, 100))
    box = frame_face(face, framing, 400, 400, 16, 0.25)
    assert box.side == 150
    if framing == 'square':
        assert (box.left, box.top) == (75, 65)
    else:
        assert (box.centre_x, box.centre_y) == (pytest.approx(150), pytest.approx(140))


def test_boxes_are_framed_like_landmarks():
    left, top, side = 60, 50, 200
    x, y, height = left + BOX_X * side, top + BOX_Y * side, BOX_HEIGHT * side
    assert frame_box((x - 50, y - height / 2, x + 50, y + height / 2), 400, 400, 16) == Box(left, top, side)


def test_where_a_box_lies_in_its_square():
    """A box of WIDER FACE has 0.82 of its height, and its middle at 0.5 and 0.567 of it."""
    assert frame_box((100, 59, 200, 223), 400, 400, 16) == Box(50, 28, 200)


@pytest.mark.parametrize('framing', ['square', 'similarity'])
def test_refusals(kit, framing):
    assert frame_face(Face(None, kit.landmarks(50, 50, 64)), framing, 400, 400, 64, 0).side == 64
    with pytest.raises(Refused, match='fills 40 pixels only, at least 64'):
        frame_face(Face(None, kit.landmarks(50, 50, 40)), framing, 400, 400, 64, 0)
    with pytest.raises(Refused, match='edge of the photo'):
        frame_face(Face(None, kit.landmarks(-40, 50, 100)), framing, 400, 400, 16, 0)
    with pytest.raises(Refused, match='cuts the face'):
        frame_face(Face(None, kit.landmarks(-40, 50, 100)), framing, 400, 400, 16, 0)
    with pytest.raises(
        Refused, match='show some of it again'
    ):  # an eye lies 14 pixels from the edge, the square 22 beyond
        frame_face(Face(None, kit.landmarks(-22, 50, 100)), framing, 400, 400, 16, 0)
    # in a margin it may be seen again: only the crop with it is then framed as all the others
    assert frame_face(Face(None, kit.landmarks(60, 60, 100)), framing, 220, 220, 16, 2.0).side == 500
    with pytest.raises(Refused, match='invalid'):
        frame_face(Face(None, None, flaw='it is invalid'), framing, 400, 400, 16, 0)


@pytest.mark.parametrize('framing', ['square', 'similarity'])
@pytest.mark.parametrize(
    'left, top, beyond',
    [(-10, 50, (10, 0, 0, 0)), (50, -15, (0, 15, 0, 0)), (108, 105, (0, 0, 8, 5)), (50, 50, (0, 0, 0, 0))],
)
def test_a_square_that_leaves_the_photo_is_mirrored_there(kit, framing, left, top, beyond):
    photo = kit.photo(2, 200, 200)
    box = frame_face(Face(None, kit.landmarks(left, top, 100)), framing, 200, 200, 16)
    assert box.beyond(200, 200) == beyond
    whole = np.pad(photo, ((50, 50), (50, 50), (0, 0)), 'reflect')[top + 50 : top + 150, left + 50 : left + 150]
    np.testing.assert_array_equal(box.cut(photo), whole)


@pytest.mark.parametrize('framing', ['square', 'similarity'])
def test_shift_moves_the_square_in_shares_without_margin(kit, framing):
    face = Face(None, kit.landmarks(100, 90, 100))
    box = frame_face(face, framing, 400, 400, 16, 0.25, (0.1, -0.2))
    assert box.side == 150
    middle = (box.left + 75, box.top + 75) if framing == 'square' else (box.centre_x, box.centre_y)
    assert middle == (pytest.approx(160), pytest.approx(120))
    assert frame_face(face, framing, 400, 400, 16, -0.2).side == 60
