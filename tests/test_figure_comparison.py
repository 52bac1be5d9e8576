"""Sheets, and Fig. 5: every image in its place, and no face of somebody else."""

import cv2
import numpy as np
import pytest
from basicsr.metrics import calculate_psnr
from figure_kit import DEMO, enlarged, refused_by, run, script, tile

from selfsr_plugin.errors import UserError
from selfsr_plugin.pictures import draw_sheet

comparison = script('figure_comparison')


def test_captions_stand_below_their_rows_and_move_no_image():
    rows = [[np.full((8, 8, 3), 40 * row + 20 * column, np.uint8) for column in range(2)] for row in range(3)]
    plain, captioned = draw_sheet(rows, ['a', 'b'], 16), draw_sheet(rows, ['a', 'b'], 16, captions=['x'] * 3)
    for row in range(3):
        for column in range(2):
            expected = np.full((16, 16, 3), 40 * row + 20 * column, np.uint8)
            assert np.array_equal(tile(plain, row, column, 16), expected)
            assert np.array_equal(tile(captioned, row, column, 16, caption=24), expected)
        below = 24 + row * 44 + 16
        assert (captioned[below : below + 28, :16] < 128).any()  # something is written
    assert captioned.shape == (plain.shape[0] + 3 * 24, plain.shape[1], 3)
    with pytest.raises(ValueError, match='3 rows have 1 captions'):
        draw_sheet(rows, ['a', 'b'], captions=['x'])


# ----- Fig. 5 -----


@pytest.mark.parametrize(
    'names, ending',
    [
        (['a', 'b'], ''),
        (['a_run', 'b_run', 'c_run'], '_run'),
        (['a', 'b', 'a_x', 'b_x'], ''),
        (['a_x', 'b_y', 'a_z', 'b_z'], '_z'),
    ],
)
def test_ending_of_a_methods_images(names, ending):
    assert comparison.common_ending(names, ['a', 'b'], 'folder') == ending


@pytest.mark.parametrize(
    'names, message',
    [
        (['a0', 'b0'], 'folder has no image of a, b'),  # a0 may be another face
        (['a_x', 'b_y'], 'folder has no image of b'),
        (['b'], 'folder has no image of a'),
        (['a_x', 'b_x', 'a_y', 'b_y'], 'several images of each face, ending in _x, _y'),
    ],
)
def test_images_that_may_be_of_other_faces_are_refused(names, message):
    with pytest.raises(UserError, match=message):
        comparison.common_ending(names, ['a', 'b'], 'folder')


def test_comparison_puts_every_image_in_its_place(tmp_path, monkeypatch):
    faces = sorted(path.stem for path in (DEMO / 'test_hr').iterdir())[:3]
    hr = {face: cv2.imread(str(DEMO / f'test_hr/{face}.png')) for face in faces}
    for method, change in (('inverted', lambda image: 255 - image), ('mirrored', lambda image: image[:, ::-1])):
        (tmp_path / method).mkdir()
        for face, image in hr.items():
            cv2.imwrite(str(tmp_path / method / f'{face}_{method}.png'), change(image))
    run(
        comparison,
        monkeypatch,
        '--gt',
        DEMO / 'test_hr',
        '--lq',
        DEMO / 'test_wild_lr',
        '--count',
        3,
        '--tile',
        64,
        f'A={tmp_path}/inverted',
        f'B={tmp_path}/mirrored',
        '--output',
        tmp_path / 'out/sheet.png',
    )
    sheet = cv2.imread(str(tmp_path / 'out/sheet.png'))
    assert sheet.shape[1] == 5 * 68
    for row, face in enumerate(faces):
        lq = cv2.imread(str(DEMO / f'test_wild_lr/{face}.png'))
        for column, image in ((0, enlarged(lq, 64)), (2, 255 - hr[face]), (3, hr[face][:, ::-1]), (4, hr[face])):
            assert np.array_equal(tile(sheet, row, column, 64), image)
        # Antialiased or not, bicubic enlargement is OpenCV's up to the choice of a: the faces agree closely.
        assert calculate_psnr(tile(sheet, row, 1, 64), cv2.resize(lq, (64, 64), interpolation=cv2.INTER_CUBIC), 0) > 35


def test_comparison_names_what_is_missing(tmp_path, monkeypatch, capsys):
    (tmp_path / 'few').mkdir()
    first, second = sorted((DEMO / 'test_hr').iterdir())[:2]
    (tmp_path / 'few' / first.name).write_bytes(first.read_bytes())
    for arguments, message in (
        ([f'A={tmp_path}/few'], f'few has no image of {second.stem}'),
        ([f'A={tmp_path}/none'], 'none'),
        (['A'], 'A: write NAME=FOLDER'),
        ([f'A={DEMO}/test_hr', f'A={DEMO}/test_hr'], 'a name of its own'),
        ([f'A={DEMO}/test_hr', '--faces', 'nobody'], 'test_hr has no image of nobody'),
    ):
        assert message in refused_by(
            comparison, monkeypatch, capsys, '--gt', DEMO / 'test_hr', '--count', 2, *arguments
        )
