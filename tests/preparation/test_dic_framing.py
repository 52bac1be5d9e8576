"""The crop of Table I's faces: numbers by hand from the rule that DIC's authors give, and what it refuses."""

import numpy as np
import pytest
from common_kit import refused
from PIL import Image

from selfsr_plugin import make_landmarks, prepare_faces
from selfsr_plugin.baselines.landmarks import read_landmarks
from selfsr_plugin.preparation.faces import Refused
from selfsr_plugin.preparation.framing import ClippedBox, frame_dic


def points(left, top, right, bottom, count=68):
    """Landmarks whose box is this."""
    spread = np.linspace(0, 1, count)[:, None]
    return np.array([left, top]) * (1 - spread) + np.array([right, bottom]) * spread


@pytest.mark.parametrize(
    'box, expected',
    [
        # 60 wide, 80 high: the square of 60 in the middle, 9 more on each side
        ((100, 50, 160, 130), ClippedBox(91, 51, 78, 78)),
        ((100, 50, 180, 110), ClippedBox(101, 41, 78, 78)),
        # moved in at the left and the top, and as large as before
        ((2, 3, 62, 63), ClippedBox(0, 0, 78, 78)),
        # cut off at the right and the bottom
        ((250, 140, 310, 200), ClippedBox(241, 131, 59, 69)),
    ],
)
def test_numbers(box, expected):
    assert frame_dic(points(*box), 200, 300, 16) == expected


def test_refusals():
    with pytest.raises(Refused, match='fills 78 pixels only'):
        frame_dic(points(100, 50, 160, 130), 200, 300, 128)
    with pytest.raises(Refused, match='beyond the photo'):
        frame_dic(points(400, 50, 460, 130), 200, 300, 16)


def test_from_a_csv_to_crops_and_their_landmarks(tmp_path, files):
    photo = files.make_image(1, 200, 300)
    files.write_folder(tmp_path / 'photos', {'a': photo})
    marks = points(250, 120, 310, 180)
    line = ','.join(['a.png', *(f'{value:g}' for value in marks.ravel())])
    (tmp_path / 'lm.csv').write_text(f'{line}\n')
    output = tmp_path / 'faces'
    arguments = ['--framing', 'dic', '--annotations', tmp_path / 'lm.csv', '--size', 48]
    prepare_faces.main(list(map(str, ['--input', tmp_path / 'photos', '--output', output, *arguments])))
    crop = Image.fromarray(photo[111:189, 241:300, ::-1]).resize((48, 48), Image.BICUBIC)  # 59 of the 78 columns
    assert np.array_equal(np.asarray(Image.open(output / 'a_000.png')), np.asarray(crop))
    make_landmarks.main(
        [
            '--input',
            str(output),
            '--output',
            str(tmp_path / 'crops.csv'),
            '--annotations',
            str(output / 'manifest.jsonl'),
        ]
    )
    found = read_landmarks(tmp_path / 'crops.csv')['a_000'].points
    assert np.allclose(found, (marks - (241, 111)) * (48 / 59, 48 / 78) - 0.5, atol=0.02)


def test_what_it_needs_is_said(tmp_path, capsys, files):
    files.write_folder(tmp_path / 'photos', {'a': files.make_image(1, 64)})
    base = ['--input', tmp_path / 'photos', '--output', tmp_path / 'faces']
    assert 'cuts by the box of 68 or 194 landmarks' in refused(capsys, prepare_faces.main, *base, '--framing', 'dic')
    (tmp_path / 'lm.csv').write_text(','.join(['a.png', *(['9'] * 388)]) + '\n')
    given = [*base, '--annotations', tmp_path / 'lm.csv']
    assert 'use --framing dic' in refused(capsys, prepare_faces.main, *given)
    text = refused(capsys, prepare_faces.main, *given, '--framing', 'dic', '--margin', '0.1')
    assert 'it has its own margin' in text
    (tmp_path / 'lm.csv').write_text(','.join(['a.png', *(['9'] * 137)]) + '\n')
    assert 'line 1 of' in refused(capsys, prepare_faces.main, *given, '--framing', 'dic')
