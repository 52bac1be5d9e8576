import cv2
import numpy as np
import pytest

from selfsr_plugin.preparation.faces import Face, Refused
from selfsr_plugin.preparation.framing import BOX_HEIGHT, BOX_X, BOX_Y, Box, align, frame, frame_box, frame_face


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
    assert np.abs(frame(kit.landmarks(90, 90, 120, 25), 300, 300, 16).cut(turned)[:110, :110]
                  - upright[:110, :110]).mean() > 5


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


@pytest.mark.parametrize('framing', ['square', 'similarity'])
def test_refusals(kit, framing):
    with pytest.raises(Refused, match='fills 40 pixels only, at least 64'):
        frame_face(Face(None, kit.landmarks(50, 50, 40)), framing, 400, 400, 64, 0)
    with pytest.raises(Refused, match='edge of the photo'):
        frame_face(Face(None, kit.landmarks(-40, 50, 100)), framing, 400, 400, 16, 0)
    frame_face(Face(None, kit.landmarks(-8, 50, 100)), framing, 400, 400, 16, 0)
    with pytest.raises(Refused, match='invalid'):
        frame_face(Face(None, None, flaw='it is invalid'), framing, 400, 400, 16, 0)
