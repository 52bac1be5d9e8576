"""The commands that make landmarks and parsing maps, from files and from the networks that are here."""

import importlib.util
import json
import re
import shutil
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from common_kit import refused

from selfsr_plugin import make_landmarks, make_parsing
from selfsr_plugin.baselines import landmark_sources, parsing
from selfsr_plugin.baselines.landmarks import read_landmarks
from selfsr_plugin.baselines.parsing import _left_is_left
from selfsr_plugin.preparation.framing import align, frame

FIVE = np.array([(10, 12), (20, 12), (15, 18), (11, 24), (19, 24)], np.float64)
CELEBA = 'lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y'


@pytest.fixture
def faces(tmp_path, files):
    files.write_folder(tmp_path / 'hr', {name: files.make_image(number, 32) for number, name in enumerate('abc')})
    return tmp_path


def run(folder, *arguments, output='lm.csv'):
    make_landmarks.main(['--input', str(folder / 'hr'), '--output', str(folder / output), *map(str, arguments)])
    return read_landmarks(folder / output)


def line(name, points, between=' '):
    return between.join([name, *(f'{value:g}' for value in np.ravel(points))])


def test_files_of_all_kinds_say_the_same(faces, capsys):
    (faces / 'celeba.txt').write_text('\n'.join(['2', CELEBA, line('a.jpg', FIVE), line('b.jpg', FIVE + 1)]) + '\n')
    (faces / 'plain.csv').write_text('\n'.join(['name,x,y', line('a.png', FIVE, ','), line('b', FIVE + 1, ',')]))
    found = [run(faces, '--annotations', faces / name) for name in ('celeba.txt', 'plain.csv')]
    (faces / 'sheet.csv').write_text('\ufeff' + line('"a.png"', FIVE, ',') + '\n' + line('b', FIVE + 1, ','))  # Excel's
    found.append(run(faces, '--annotations', faces / 'sheet.csv'))
    (faces / 'lm.csv').write_text('\ufeff' + (faces / 'lm.csv').read_text())
    found.append(run(faces, '--annotations', faces / 'lm.csv', output='again.csv'))
    header, *rest = (faces / 'lm.csv').read_text().splitlines()
    (faces / 'lm.csv').write_text('\n'.join(['"' + header[1:].replace(',', '","') + '"', *rest]))  # R's
    found.append(run(faces, '--annotations', faces / 'lm.csv', output='third.csv'))
    assert np.array_equal(found[0]['a'].points, FIVE) and np.array_equal(found[0]['b'].points, FIVE + 1)
    assert found[0]['c'].points is None and found[0]['a'].width == 32
    for other in found[1:]:
        assert str(other) == str(found[0])
    text = capsys.readouterr().out
    assert '5 landmarks of 2 of 3 faces are in' in text and '1 without, nothing was found in: c' in text


def test_a_preview_shows_forty_faces_and_where_their_points_are(tmp_path, files):
    names = [f'{number:02d}' for number in range(41)]
    files.write_folder(tmp_path / 'hr', {name: np.zeros((32, 24, 3), np.uint8) for name in names})
    points = np.array([(2, 4), (20, 4), (11, 15), (5, 28), (18, 28)])
    (tmp_path / 'all.csv').write_text('\n'.join(line(name, points, ',') for name in names))
    run(tmp_path, '--annotations', tmp_path / 'all.csv', '--preview', tmp_path / 'preview.png')
    sheet = cv2.imread(str(tmp_path / 'preview.png'))
    assert sheet.shape == (5 * 192, 8 * 192, 3)
    for top, left in ((0, 0), (4 * 192, 7 * 192)):
        rows, columns = np.nonzero(sheet[top : top + 192, left : left + 192, 1] > 128)
        for x, y in (points + 0.5) * (192 / 24, 192 / 32):
            assert np.hypot(columns - x, rows - y).min() < 1.5
        assert abs(columns.mean() - (points[:, 0] + 0.5).mean() * 8) < 1 and len(rows) < 5 * 25


@pytest.mark.parametrize('framing', ['square', 'similarity'])
def test_the_manifest_of_prepare_faces_carries_landmarks_into_the_crops(faces, framing):
    photo = np.zeros((200, 200, 3), np.uint8)
    points = np.array([(80, 82), (122, 90), (104, 108), (84, 132), (112, 136)], np.float64)
    for x, y in points:  # a pixel of its own for each, whose middle is half a pixel on
        photo[int(y), int(x)] = 255
    cut = (frame if framing == 'square' else align)(points, 200, 200, 16)
    crop = cut.cut(photo)
    crop_line = dict(
        file='a_000.png', box=None, landmarks=(points + 0.5).tolist(), score=None, crop=vars(cut), size=cut.side
    )
    (faces / 'hr/a.png').unlink()
    cv2.imwrite(str(faces / 'hr/a_000.png'), crop)
    lines = [{'settings': {}}, {'photo': 'a.jpg', 'faces': [crop_line], 'left_out': []}]
    (faces / 'hr/manifest.jsonl').write_text(''.join(json.dumps(each) + '\n' for each in lines))
    found = run(faces, '--annotations', faces / 'hr/manifest.jsonl')['a_000'].points
    for x, y in found:
        around = crop[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2, 0]
        assert around[1, 1] == around.max() > 60, framing


def test_landmarks_of_a_manifest_are_counted_from_the_middle_of_the_first_pixel_of_the_crop():
    points = np.array([(10.0, 20.0), (30.0, 40.0), (50.0, 50.0)])
    square = landmark_sources._in_crop(points, dict(left=10, top=20, side=40), 80)
    assert np.allclose(square, [(-0.5, -0.5), (39.5, 39.5), (79.5, 59.5)])
    narrow = landmark_sources._in_crop(points, dict(left=10, top=20, width=40, height=20), 80)
    assert np.allclose(narrow, [(-0.5, -0.5), (39.5, 79.5), (79.5, 119.5)])
    turned = dict(centre_x=30.0, centre_y=40.0, side=40, angle=90.0)  # clockwise: what was right is up
    assert np.allclose(
        landmark_sources._in_crop(np.array([(30.0, 40.0), (30.0, 50.0), (40.0, 40.0)]), turned, 80),
        [(39.5, 39.5), (59.5, 39.5), (39.5, 19.5)],
    )


def test_a_manifest_with_all_points_gives_all_of_them(faces):
    points = np.random.default_rng(0).uniform(4, 28, (68, 2))
    crop = dict(left=0, top=0, side=32)
    lines = [
        {'settings': {}},
        {
            'photo': 'a.jpg',
            'faces': [dict(file='a.png', crop=crop, size=32, landmarks=FIVE.tolist(), points=points.tolist())],
        },
        {'photo': 'b.jpg', 'faces': [dict(file='b.png', crop=crop, size=32, landmarks=FIVE.tolist())]},
    ]
    (faces / 'hr/manifest.jsonl').write_text(''.join(json.dumps(each) + '\n' for each in lines))
    found = run(faces, '--annotations', faces / 'hr/manifest.jsonl')
    assert np.allclose(found['a'].points, points - 0.5, atol=0.01) and found['b'].points is None


def test_of_several_detected_faces_the_one_in_the_middle_counts(monkeypatch):
    asked = []

    class Detector:
        def __init__(self, weights, device):
            asked.append((weights, device))

        def __call__(self, image, threshold):
            asked.append(threshold)
            return [SimpleNamespace(landmarks=FIVE + shift) for shift in (30, 8, 0)]

    monkeypatch.setattr(landmark_sources, 'FaceDetector', Detector)
    detect = landmark_sources.retinaface('w.pth', 'cpu')
    assert np.array_equal(detect(np.zeros((50, 52, 3), np.uint8)), FIVE + 8)
    assert asked == [('w.pth', 'cpu'), 0.5]  # less than of photos: these are known to be faces


def test_dlib_is_given_the_colours_in_its_order_and_asked_for_the_largest_face(monkeypatch):
    image, seen = np.full((20, 30, 3), (200, 100, 50), np.uint8), []
    boxes = [SimpleNamespace(area=lambda side=side: side**2, side=side) for side in (4, 9, 6)]

    def find(rgb, enlarged):
        seen.append((rgb[0, 0].tolist(), enlarged))
        return boxes[: len(boxes) * (rgb.shape[0] == 20)]

    def predict(rgb, box):
        seen.append((rgb[0, 0].tolist(), box.side))
        return SimpleNamespace(parts=lambda: [SimpleNamespace(x=number, y=2 * number) for number in range(68)])

    dlib = SimpleNamespace(get_frontal_face_detector=lambda: find, shape_predictor=lambda path: predict)
    monkeypatch.setitem(sys.modules, 'dlib', dlib)
    spec = SimpleNamespace(submodule_search_locations=['nowhere'])
    monkeypatch.setattr(landmark_sources.importlib.util, 'find_spec', lambda name, *rest: spec)
    detect = landmark_sources.dlib_68(None, 'cpu')
    assert np.array_equal(detect(image), np.stack([np.arange(68), 2 * np.arange(68)], 1))
    assert seen == [([50, 100, 200], 1), ([50, 100, 200], 9)]
    assert detect(image[:10]) is None


def test_fan_is_run_in_eval_mode(monkeypatch):
    pytest.importorskip('facexlib')
    given = np.random.default_rng(0).uniform(0, 60, (98, 2))

    class Fan(torch.nn.Module):
        def __init__(self, **_):
            super().__init__()

        def get_landmarks(self, image):
            assert not self.training and not torch.is_grad_enabled()
            return given

    monkeypatch.setattr(landmark_sources, 'facexlib_file', lambda *_: None)
    monkeypatch.setattr(landmark_sources, 'load_facexlib', lambda *_: None)
    monkeypatch.setattr('facexlib.alignment.FAN', Fan)
    found = landmark_sources.fan(None, 'cpu')(np.zeros((64, 64, 3), np.uint8))
    assert found.shape == (68, 2) and np.allclose(found[8], given[16])  # the chin


@pytest.mark.parametrize(
    'text, message',
    [
        ('x y\n', r"--annotations: line 2 of .* is not as in CelebA's"),
        ('a,1,2,3\n', r'--annotations: line 1 of .* must hold a name and the x and y of 5, 68 or 194 points'),
        (line('a', FIVE, ',') + '\nb,1,2\n', r'--annotations: line 2 of .* must hold a name'),
        (line('z', FIVE, ',') + '\n', r'has none of the images in .*, such as a: it is of other faces'),
        (None, r'--annotations: .*x\.csv does not exist'),
        (
            '\n'.join(line(name, FIVE, ',') for name in ('p/a.png', 'b', 'q/a.png')),
            r'--annotations: line 3 of .*x\.csv is the second for an image called a ',
        ),
        (
            line('a', FIVE, ',') + '\n' + line('b', 10 * FIVE, ','),  # in pixels of the photo
            r'--annotations: in .*x\.csv the middle of the landmarks of b lies outside its 32x32 image: give those',
        ),
        (
            line('a', FIVE, ';'),
            r'--annotations: the values of .*x\.csv are separated by semicolons: save it with commas',
        ),
        (line('a', FIVE, ';').replace('5', ',5'), r'separated by semicolons: .* and numbers with points'),
        (line('a', FIVE, '\t'), r'separated by tabs'),
        ('"' + 100_000 * 'x,', r'--annotations: line 1 of .*x\.csv is no CSV \(field larger'),
    ],
)
def test_wrong_annotations_are_refused(faces, capsys, text, message):
    if text is not None:
        (faces / 'x.csv').write_text(text)
    arguments = ['--input', faces / 'hr', '--output', faces / 'o.csv', '--annotations', faces / 'x.csv']
    assert re.search(message, refused(capsys, make_landmarks.main, *arguments))
    assert not (faces / 'o.csv').exists()


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--detector', 'fan', '--weights', 'fan=nowhere.pth'], '--weights fan=nowhere.pth: there is no such file'),
        (['--detector', 'fan', '--weights', 'mtcnn=x'], 'write NAME=FILE with one of retinaface, fan, dlib'),
        (['--detector', 'retinaface', '--weights', 'retinaface=nowhere.pth'], 'there is no such file'),
    ],
)
def test_missing_weights_are_one_sentence(faces, capsys, arguments, message):
    text = refused(capsys, make_landmarks.main, '--input', faces / 'hr', '--output', faces / 'o.csv', *arguments)
    assert message in text
    if 'fan' in message.split('=')[0]:
        assert 'alignment_WFLW_4HG.pth' in text


def test_without_dlib_the_sentence_names_the_packages(faces, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        landmark_sources.importlib.util,
        'find_spec',
        lambda name, *rest: None if name in ('dlib', 'face_recognition_models') else find(name, *rest),
    )
    arguments = ['--input', faces / 'hr', '--output', faces / 'o.csv', '--detector', 'dlib']
    text = refused(capsys, make_landmarks.main, *arguments)
    assert 'pip install dlib-bin face_recognition_models==0.3.0' in text and 'not for commercial use' in text


def test_nothing_found_is_refused(faces, capsys, monkeypatch):
    monkeypatch.setitem(landmark_sources.DETECTORS, 'dlib', lambda weights, device: lambda image: None)
    arguments = ['--input', faces / 'hr', '--output', faces / 'o.csv', '--detector', 'dlib']
    assert 'no landmarks were found in any of the 3 images' in refused(capsys, make_landmarks.main, *arguments)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--output', 'none/o.csv'], 'none/o.csv cannot be written (No such file or directory): make its folder'),
        (['--output', 'hr'], 'hr cannot be written (Is a directory)'),
        (['--preview', 'faces.txt'], 'faces.txt names no format of pictures: give a name that ends in .png'),
        (['--preview', 'none/p.png'], 'none/p.png cannot be written'),
        (['--device', 'gpu'], '--device gpu cannot be used here'),
        (['--annotations', 'plain.csv', '--output', 'plain.csv'], 'plain.csv is the file of --annotations'),
        (['--preview', 'o.png', '--output', 'o.png'], '--preview: o.png is the file of --output: name another'),
        (
            ['--annotations', 'plain.csv', '--weights', 'dlib=nowhere'],
            '--weights dlib=nowhere: with these options dlib is not used: leave it out',
        ),
        (['--weights', 'dlib=a', 'dlib=b'], '--weights dlib=b: dlib is given twice'),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(faces, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(faces)
    monkeypatch.setitem(landmark_sources.DETECTORS, 'dlib', lambda *_: pytest.fail('faces are looked for'))
    (faces / 'plain.csv').write_text(line('a', FIVE, ','))
    detector = [] if '--annotations' in arguments else ['--detector', 'dlib']
    assert message in refused(capsys, make_landmarks.main, '--input', 'hr', '--output', 'o.csv', *detector, *arguments)


def test_bad_images_are_left_out_and_named(faces, capsys):
    """The others are written; the status tells."""
    points = np.random.default_rng(0).uniform(4, 28, (68, 2))
    (faces / 'plain.csv').write_text('\n'.join(line(name, points, ',') for name in 'abc'))
    run(faces, '--annotations', faces / 'plain.csv')
    (faces / 'hr/b.png').write_bytes(b'')
    arguments = ['--input', faces / 'hr', '--output', faces / 'o.csv', '--annotations', faces / 'plain.csv']
    assert re.search(
        r'1 of 3 images are left out: .*b\.png: it is empty', refused(capsys, make_landmarks.main, *arguments)
    )
    assert read_landmarks(faces / 'o.csv').keys() == {'a', 'c'}
    maps = ['--input', faces / 'hr', '--output', faces / 'maps', '--landmarks', faces / 'lm.csv']
    assert 'parsenet is not used' in refused(capsys, make_parsing.main, *maps, '--weights', 'parsenet=nowhere')
    make_parsing.main([str(each) for each in maps])
    (faces / 'maps/c.png').write_bytes(b'mine')
    assert re.search(
        r'1 of 3 images are left out: .*c\.png is there already', refused(capsys, make_parsing.main, *maps)
    )
    assert (faces / 'maps/c.png').read_bytes() == b'mine'


@pytest.fixture
def cut_twice(tmp_path, files):
    """Faces under the same names in two folders, each with a manifest, as prepare_faces leaves them with a margin and
    without; 68 landmarks of the first."""
    for number, (folder, side) in enumerate((('hr', 32), ('wide', 40))):
        files.write_folder(
            tmp_path / folder, {name: files.make_image(9 * number + i, 32) for i, name in enumerate('ab')}
        )
        faces = [
            dict(file=f'{n}.png', landmarks=FIVE.tolist(), crop=dict(left=0, top=0, side=side), size=32) for n in 'ab'
        ]
        lines = [dict(settings={}), dict(photo='p.jpg', faces=faces, left_out=[])]
        (tmp_path / folder / 'manifest.jsonl').write_text(''.join(json.dumps(each) + '\n' for each in lines))
    points = np.random.default_rng(0).uniform(4, 28, (68, 2))
    (tmp_path / 'plain.csv').write_text('\n'.join(line(name, points, ',') for name in 'ab'))
    run(tmp_path, '--annotations', tmp_path / 'plain.csv')
    return tmp_path


@pytest.mark.parametrize(
    'command, arguments, message',
    [
        (
            make_parsing,
            ['--landmarks', 'lm.csv'],
            r'--landmarks: lm\.csv is of other faces: wide/a\.png is .* make them',
        ),
        (make_landmarks, ['--annotations', 'lm.csv'], r'--annotations: lm\.csv is of other faces: wide/a\.png'),
        (
            make_landmarks,
            ['--annotations', 'hr/manifest.jsonl'],
            r'hr/manifest\.jsonl is of other crops: a was cut otherwise in wide: give wide/manifest\.jsonl',
        ),
        (
            make_landmarks,
            ['--annotations', 'list_landmarks_align_celeba.txt'],
            r'celeba\.txt is of images of 178x218, and wide/a\.png is 32x32: let prepare_faces cut the faces',
        ),
    ],
)
def test_landmarks_of_other_faces_of_the_same_names(cut_twice, capsys, monkeypatch, command, arguments, message):
    monkeypatch.chdir(cut_twice)
    text = '\n'.join(['2', CELEBA, line('a.jpg', FIVE), line('b.jpg', FIVE)])
    (cut_twice / 'list_landmarks_align_celeba.txt').write_text(text)
    arguments = ['--input', 'wide', '--output', 'made', *arguments]
    assert re.search(message, refused(capsys, command.main, *arguments))
    assert not (cut_twice / 'made').exists()


def test_crops_that_were_resized_have_other_landmarks_than_their_manifest(cut_twice, capsys):
    (cut_twice / 'wide/manifest.jsonl').unlink()
    for name in 'ab':
        face = cut_twice / f'wide/{name}.png'
        cv2.imwrite(str(face), cv2.resize(cv2.imread(str(face)), (24, 24)))
    arguments = ['--input', cut_twice / 'wide', '--output', cut_twice / 'o.csv']
    arguments += ['--annotations', cut_twice / 'hr/manifest.jsonl']
    assert 'is of images of 32x32, and' in refused(capsys, make_landmarks.main, *arguments)


def test_what_was_there_is_not_replaced(cut_twice, capsys, monkeypatch):
    monkeypatch.chdir(cut_twice)
    arguments = ['--input', 'hr', '--annotations', 'plain.csv', '--output']
    mine = 'who,age\nme,3\n'
    (cut_twice / 'people.csv').write_text(mine)
    assert 'people.csv is there already and no file of landmarks' in refused(
        capsys, make_landmarks.main, *arguments, 'people.csv'
    )
    assert (cut_twice / 'people.csv').read_text() == mine
    before = (cut_twice / 'hr/a.png').read_bytes()
    assert 'hr/a.png would lie among the faces of --input' in refused(
        capsys, make_landmarks.main, *arguments, 'lm.csv', '--preview', 'hr/a.png'
    )
    assert (cut_twice / 'hr/a.png').read_bytes() == before


def few_real_faces(shared_data, folder, count=4):
    (folder / 'hr').mkdir()
    for path in sorted((shared_data / 'test/faces_hr').iterdir())[:count]:
        shutil.copy(path, folder / 'hr')


def test_real_faces(tmp_path, shared_data, capsys):
    """Where eyes and mouth are, two independent networks agree."""
    if any(importlib.util.find_spec(name) is None for name in ('dlib', 'face_recognition_models')):
        pytest.skip('dlib-bin and face_recognition_models are not installed')
    few_real_faces(shared_data, tmp_path)
    weights = shared_data.parent / 'weights/detection_mobilenet0.25_Final.pth'
    five = run(tmp_path, '--detector', 'retinaface', '--weights', f'retinaface={weights}')
    many = run(tmp_path, '--detector', 'dlib', '--preview', tmp_path / 'preview.png', output='many.csv')
    assert (tmp_path / 'preview.png').stat().st_size > 10000
    for name in five:
        points = many[name].points
        seen = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
        assert np.abs(seen - five[name].points).max() < 0.08 * 128, name
    make_parsing.main(
        ['--input', str(tmp_path / 'hr'), '--output', str(tmp_path / 'maps'), '--landmarks', str(tmp_path / 'many.csv')]
    )
    labels = cv2.imread(str(tmp_path / 'maps/00000.png'), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (128, 128) and {1, 2, 3, 4, 5, 8} <= set(np.unique(labels)) <= set(range(12))


def test_parsing_needs_68_points_of_these_faces(faces, capsys):
    (faces / 'plain.csv').write_text(line('a', FIVE, ','))
    run(faces, '--annotations', faces / 'plain.csv')
    arguments = ['--input', faces / 'hr', '--output', faces / 'maps', '--landmarks', faces / 'lm.csv']
    assert 'the polygons need 68' in refused(capsys, make_parsing.main, *arguments)
    arguments = ['--input', faces / 'hr', '--output', faces / 'maps', '--parsenet', '--weights', 'parsenet=nowhere.pth']
    assert 'parsenet=nowhere.pth: there is no such file; get it from' in refused(capsys, make_parsing.main, *arguments)


def test_parts_of_parsenet(monkeypatch):
    """Its 19 classes are those of CelebAMask-HQ; here each fills a band of the face."""
    pytest.importorskip('facexlib')
    names = 'background skin nose glasses l_eye r_eye l_brow r_brow l_ear r_ear mouth u_lip l_lip hair hat earring'
    names = [*names.split(), 'necklace', 'neck', 'cloth']
    parts = dict(skin=1, glasses=1, l_brow=2, r_brow=3, l_eye=4, r_eye=5, l_ear=6, r_ear=7, nose=8, mouth=9)
    parts.update(u_lip=10, l_lip=11)

    class Bands(torch.nn.Module):
        def __init__(self, **_):
            super().__init__()

        def forward(self, image):
            seen.append((image, self.training))
            band = torch.arange(512) * 19 // 512
            return [(torch.arange(19)[:, None] == band).float()[None, :, :, None].expand(1, 19, 512, 512)]

    seen = []
    monkeypatch.setattr(parsing, 'facexlib_file', lambda *_: None)
    monkeypatch.setattr(parsing, 'load_facexlib', lambda *_: None)
    monkeypatch.setattr('facexlib.parsing.parsenet.ParseNet', Bands)
    face = np.full((190, 100, 3), (255, 51, 0), np.uint8)  # BGR
    labels = parsing.parsenet(None, 'cpu')(face)
    assert labels.shape == (190, 100) and labels[5::10, 50].tolist() == [parts.get(name, 0) for name in names]
    ((image, training),) = seen
    assert not training and image.shape == (1, 3, 512, 512)
    assert np.allclose(image[0, :, 256, 256], [-1, 51 / 127.5 - 1, 1])  # RGB in [-1, 1]
    for height in (60, 203, 331):  # no part between two others at their border
        labels = parsing.parsenet(None, 'cpu')(np.zeros((height, 20, 3), np.uint8))[:, 10]
        expected = [parts.get(names[int((row + 0.5) * 19 / height)], 0) for row in range(height)]
        assert all(label in expected[max(row - 2, 0) : row + 3] for row, label in enumerate(labels)), height


def test_left_and_right_of_a_parsing_are_where_they_lie():
    labels = np.zeros((8, 8), np.uint8)
    labels[2, 1], labels[2, 6], labels[4, 1], labels[4, 6], labels[6, 1] = 5, 4, 2, 3, 7
    fixed = _left_is_left(labels)
    assert (fixed[2, 1], fixed[2, 6], fixed[4, 1], fixed[4, 6], fixed[6, 1]) == (4, 5, 2, 3, 7)
