import numpy as np
import pytest

from selfsr_plugin.preparation.annotations import read_annotations
from selfsr_plugin.errors import UserError

CELEBA = """2
lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y
000001.jpg  69  109  106  113   77  142   73  152  108  154
000002.jpg  69  110  107  112   81  135   70  151  108  153
"""
WIDER = """0--Parade/a.jpg
2
449 330 122 149 0 0 0 0 0 0
10 20 30 40 2 0 0 1 0 0
0--Parade/none.jpg
0
0 0 0 0 0 0 0 0 0 0
1--Handshaking/b.jpg
1
1 2 0 9 0 0 0 0 0 0
"""


def test_celeba(tmp_path):
    (tmp_path / 'list.txt').write_text(CELEBA)
    faces = read_annotations(tmp_path / 'list.txt')
    assert list(faces) == ['000001.jpg', '000002.jpg']
    np.testing.assert_array_equal(faces['000001.jpg'][0].landmarks[[0, 4]], [[69, 109], [108, 154]])
    assert faces['000001.jpg'][0].box is None


def test_wider(tmp_path):
    (tmp_path / 'list.txt').write_text(WIDER)
    faces = read_annotations(tmp_path / 'list.txt')
    assert {name: len(found) for name, found in faces.items()} == {
        '0--Parade/a.jpg': 2,
        '0--Parade/none.jpg': 0,
        '1--Handshaking/b.jpg': 1,
    }
    good, invalid = faces['0--Parade/a.jpg']
    assert good.box == (449, 330, 571, 479) and good.landmarks is None and not good.flaw
    assert 'invalid' in invalid.flaw and '0 by 9 pixels' in faces['1--Handshaking/b.jpg'][0].flaw


@pytest.mark.parametrize(
    'text, why',
    [
        (CELEBA.replace('  154', ''), 'line 3 .*10 numbers'),
        (CELEBA.replace('112', 'x'), 'line 4 .*10 numbers'),
        (WIDER.replace('\n2\n', '\n'), 'line 2 .*number of faces'),
        (WIDER.rstrip().rsplit('\n', 1)[0], 'file ends'),
        (WIDER.replace('330', 'nan'), 'line 3'),
        ('', 'lists no photos'),
    ],
)
def test_bad_lines_are_named(tmp_path, text, why):
    (tmp_path / 'list.txt').write_text(text)
    with pytest.raises(UserError, match=why):
        read_annotations(tmp_path / 'list.txt')


def points(name, between=','):
    return f'{name}{between}' + between.join(f'{number % 40}.5' for number in range(136)) + '\n'


@pytest.mark.parametrize(
    'text', [points('a.jpg'), '\ufeff' + points('a.jpg'), points('"a.jpg"'), '\ufeff' + points('"a.jpg"')]
)
def test_a_csv_as_spreadsheets_save_it(tmp_path, text):
    (tmp_path / 'a.csv').write_text(text, encoding='utf-8')
    faces = read_annotations(tmp_path / 'a.csv')
    assert list(faces) == ['a.jpg'] and faces['a.jpg'][0].points.shape == (68, 2)


def test_a_file_that_is_no_text_of_ours_is_named_with_a_remedy(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text(points('a.jpg'), encoding='utf-16')
    with pytest.raises(UserError, match='a.csv is not UTF-8 text: save it as UTF-8'):
        read_annotations(path)
    for mark, called in ((';', 'semicolons'), ('\t', 'tabs')):
        path.write_text(points('a.jpg', mark))
        with pytest.raises(UserError, match=f'are separated by {called}: save it with commas'):
            read_annotations(path)
    path.write_text(points('a.jpg', '|'))
    with pytest.raises(UserError, match='the number of faces of a.jpg.0.5') as caught:
        read_annotations(path)
    assert len(str(caught.value)) < len(str(path)) + 250
    with pytest.raises(UserError, match='none.csv cannot be read .No such file'):
        read_annotations(tmp_path / 'none.csv')


def test_the_five_landmarks_of_68(tmp_path):
    """iBUG's order, from 0: eyes 36 to 41 and 42 to 47, tip of the nose 30, corners of the mouth 48 and 54."""
    numbers = np.arange(136).reshape(68, 2) ** 1.5
    (tmp_path / 'a.csv').write_text('a.jpg,' + ','.join(map(str, numbers.ravel())) + '\n')
    (face,) = read_annotations(tmp_path / 'a.csv')['a.jpg']
    expected = [numbers[36:42].mean(0), numbers[42:48].mean(0), numbers[30], numbers[48], numbers[54]]
    np.testing.assert_allclose(face.landmarks, expected)
