import errno
import os
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from selfsr_plugin import inspect_faces, prepare_faces
from selfsr_plugin.data import open_image_source
from selfsr_plugin.data.face_images import FaceImages
from selfsr_plugin.ops import resize_array, to_uint8
from selfsr_plugin.preparation import detection, runner
from selfsr_plugin.preparation.faces import Face
from selfsr_plugin.preparation.inspection import (
    Framing,
    compare,
    compare_framing,
    differ,
    difference_hash,
    laplacian_energy,
    measure,
    measure_framing,
    near_groups,
    warnings_of,
    warnings_of_pair,
)


def test_figures_of_flat_images_are_known(files, tmp_path):
    flat = {'a': np.full((32, 32, 3), (10, 20, 30), np.uint8), 'b': np.full((24, 24, 3), (30, 40, 50), np.uint8)}
    figures = measure(open_image_source(files.write_folder(tmp_path / 'flat', flat)), 16)
    np.testing.assert_allclose(figures.mean, (20, 30, 40), atol=1e-3)
    np.testing.assert_allclose(figures.std, 10, atol=1e-3)
    np.testing.assert_allclose(figures.mean_face, np.broadcast_to((20, 30, 40), (16, 16, 3)), atol=1e-3)
    assert figures.sharpness < 1e-3 and figures.sides.tolist() == [[32, 32], [24, 24]]


def test_a_noisy_image_among_many_makes_no_sharp_set(files, tmp_path):
    images = {str(number): np.full((16, 16, 3), 128, np.uint8) for number in range(4)}
    images['noise'] = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert measure(open_image_source(files.write_folder(tmp_path / 'f', images)), 16).sharpness == 0


def test_faces_are_measured_as_training_sees_them(files, tmp_path):
    """An edge, beyond which the kernel overshoots; images that are stored do not."""
    edge = np.zeros((60, 60, 3), np.uint8)
    edge[:, 31:] = 255
    root = files.write_folder(tmp_path / 'edge', {'a': edge})
    figures = measure(open_image_source(root), 16)
    seen = 255 * FaceImages({'dataroot_lq': root}, 'dataroot_lq', 16).read(0).flip(0).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(figures.mean_face, seen, atol=1e-2)
    assert figures.std[0] == pytest.approx(seen[..., 0].std(), rel=1e-4)
    assert figures.mean_face.min() == 0 and figures.mean_face.max() == 255


def test_laplacian_energy_of_a_chessboard():
    board = np.indices((8, 8)).sum(0) % 2 * 2.0 - 1  # +-1: each pixel differs by 2 from each of its 4 neighbours
    assert laplacian_energy(np.repeat(board[..., None], 3, 2)) == pytest.approx(64)


def test_copies_and_look_alikes_are_told_apart(files, tmp_path):
    face = files.make_image(1, 64)
    images = {
        'a': face,
        'copy': face,
        'brighter': np.clip(face * 0.5 + 60, 0, 255).astype(np.uint8),
        'other': files.make_image(2, 64),
    }
    figures = measure(open_image_source(files.write_lmdb(tmp_path / 'x.lmdb', images)), 16)
    assert figures.identical == [['a', 'copy']]
    assert len(figures.similar) == 1 and set(figures.similar[0]) == {'a', 'brighter'}
    assert any('1 images' in line and 'copies' in line for line in warnings_of(figures, 64))


def test_near_groups_equal_those_of_all_pairs():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**16, (60, 16), dtype=np.uint16)
    for index, bits in ((1, 1), (2, 12), (3, 13)):  # copies of the first hashes with a bit turned in some rows
        hashes[50 + index] = hashes[index]
        hashes[50 + index, :bits] ^= 1 << 5
    assert near_groups(hashes) == [[1, 51], [2, 52]]


def test_difference_hash_survives_resizing_and_coding_and_not_mirroring(files):
    image = files.make_image(3, 64)

    def apart(other):
        return np.unpackbits((difference_hash(image) ^ difference_hash(other)).view(np.uint8)).sum()

    assert apart(cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)) <= 12
    assert apart(cv2.imdecode(cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 98])[1], cv2.IMREAD_COLOR)) <= 12
    assert apart(image[:, ::-1]) > 80


def test_bad_images_are_listed_and_sizes_are_judged(files, tmp_path):
    folder = tmp_path / 'mixed'
    files.write_folder(
        folder,
        {'small': files.make_image(1, 20), 'wide': files.make_image(2, 70, 100), 'good': files.make_image(3, 70)},
    )
    (folder / 'zero.png').write_bytes(b'')
    figures = measure(open_image_source(str(folder)), 16)
    text = ' '.join(warnings_of(figures, 64))
    assert '1 of 3 images' in text and 'smaller than 64' in text and 'not square' in text
    assert '1 images' in text and 'cannot be read' in text and 'zero.png: it is empty' in figures.bad[0]


def figures(files, tmp_path, name, change):
    images = {str(i): change(files.make_image(i, 32).astype(float)).clip(0, 255).astype(np.uint8) for i in range(8)}
    return measure(open_image_source(files.write_folder(tmp_path / name, images)), 16)


def test_colours_that_differ_are_named(files, tmp_path):
    hr = figures(files, tmp_path, 'hr', lambda x: x * 0.6 + 40)
    assert compare(hr, hr) == []
    dark = compare(hr, figures(files, tmp_path, 'dark', lambda x: x * 0.6 + 15))
    assert len(dark) == 1 and 'darker than HR by 25 grey levels' in dark[0]
    cast = compare(hr, figures(files, tmp_path, 'cast', lambda x: x * 0.6 + np.array([60, 40, 20.0])))
    assert len(cast) == 1 and 'red -20, green +0, blue +20' in cast[0]
    noise = np.random.default_rng(0).normal(0, 60, (32, 32, 3))
    noisy = figures(files, tmp_path, 'noisy', lambda x: x * 0.6 + 40 + noise)
    assert any('Laplacian' in line for line in compare(hr, noisy))


def test_lr_faces_that_are_no_lr_faces(files, tmp_path, capsys):
    photos = [files.make_image(i, 64) for i in range(20)]
    hr = measure(open_image_source(files.write_folder(tmp_path / 'hr', dict(zip('abcdefghij', photos)))), 16)
    as_large, copies = warnings_of_pair(hr, hr, 64, 16)[:2]
    assert 'as large as the HR faces will be' in as_large and copies.startswith('10 images of ')
    small = {f'lr{i}': to_uint8(resize_array(photo, 20)) for i, photo in enumerate(photos[9:])}
    root = files.write_folder(tmp_path / 'small', small)
    (text,) = warnings_of_pair(hr, measure(open_image_source(root), 16), 64, 16)
    assert '1 images of' in text and 'look like images of' in text
    inspect_faces.main(['--gt', hr.root, '--lq', root, '--output', str(tmp_path / 'out'), '--sample', '0'])
    assert 'HR and LR look-alikes:\n\n- j (HR), lr0 (LR)\n' in capsys.readouterr().out

    large = {f'{i:02}': files.make_image(i, 80 if i < 41 else 20) for i in range(30, 50)}
    of_other_people = measure(open_image_source(files.write_folder(tmp_path / 'large', large)), 16)
    (text,) = warnings_of_pair(hr, of_other_people, 64, 16)
    assert '11 of 20 images' in text and 'as large as the HR faces will be (64 pixels) or larger' in text
    assert warnings_of_pair(hr, of_other_people, 81, 16) == []


def test_framing_is_read_from_detections_in_shares_of_the_crop(files, tmp_path):
    """A detector sees the crop enlarged to 128 pixels with 64 around it."""
    source = open_image_source(files.write_folder(tmp_path / 'f', {'a': files.make_image(1, 40)}))
    points = np.array([[0.4, 0.4], [0.6, 0.4], [0.5, 0.5], [0.42, 0.7], [0.58, 0.7]]) * 128 + 64
    there = SimpleNamespace(box=tuple(np.array([0.3, 0.2, 0.7, 0.9]) * 128 + 64), landmarks=points)
    away = SimpleNamespace(box=(0, 0, 40, 40), landmarks=points * 0)
    framing = measure_framing(source, lambda image, threshold: [away, there], 5)
    assert (framing.tried, framing.found) == (1, 1)
    assert [framing.width, framing.height, framing.distance, framing.x, framing.y] == pytest.approx(
        [0.4, 0.7, 0.2 + 0.3, 0.5, 0.55]
    )
    seen = []
    measure_framing(source, lambda image, _: seen.append(image) or [], 5, sides=[10])
    expected = cv2.resize(to_uint8(resize_array(source.read(0), 10)), (128, 128), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(seen[0][64:-64, 64:-64], expected)
    assert seen[0].shape == (256, 256, 3) and (seen[0][:64] == (104, 117, 123)).all()  # the detector's own mean


def test_framing_that_differs_is_warned_of():
    hr = Framing(100, 100, 0.63, 0.81, 0.56, 0.5, 0.6, 0.02)
    assert compare_framing(hr, Framing(100, 95, 0.62, 0.8, 0.55, 0.51, 0.59, 0.03), 16) == []
    text = ' '.join(compare_framing(hr, Framing(100, 76, 0.48, 0.59, 0.42, 0.5, 0.53, 0.07), 16))
    assert '0.75 times the size' in text and '1.1 further up' in text
    assert '76%' in text and '3.5 times' in text
    assert 'no face in the LR' in compare_framing(hr, Framing(100, 0), 16)[0]


@pytest.mark.parametrize(
    'change, differs',
    [
        (dict(distance=0.56 * 1.07), False),
        (dict(distance=0.56 * 1.09), True),
        (dict(distance=0.56 / 1.09), True),
        (dict(x=0.525), False),
        (dict(x=0.535), True),
        (dict(y=0.565), True),
    ],
)
def test_how_much_framing_may_differ(change, differs):
    """By 8 % of the size of a face, or half a pixel of 16."""
    hr = Framing(100, 100, 0.63, 0.81, 0.56, 0.5, 0.6, 0.02)
    assert differ(hr, replace(hr, **change)) is differs


def test_how_much_colours_may_differ(files, tmp_path):
    hr = figures(files, tmp_path, 'hr', lambda x: x * 0.6 + 40)
    for number, (shift, count) in enumerate([(13, 0), (17, 1), ([5, -5, 0], 0), ([7, -7, 0], 1)]):
        other = figures(files, tmp_path, f'lr{number}', lambda x: x * 0.6 + 40 + np.array(shift, float))
        assert len(compare(hr, other)) == count, shift


def painted(kit, folder, count, seed=0):
    """Photos with a face each: its landmarks are dots of colours that nothing else has."""
    random = np.random.default_rng(seed)
    for number in range(count):
        photo = kit.photo(number + 100 * seed, 300, 340) // 4 + 90
        left, top, side = random.integers(60, 140), random.integers(60, 100), random.integers(90, 110)
        for point, colour in zip(kit.landmarks(left, top, side), DOTS):
            cv2.circle(photo, tuple(int(round(16 * each)) for each in point), 5 * 16, colour, -1, cv2.LINE_AA, 4)
        kit.write(folder / f'{number}.png', photo)


DOTS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]


def find_dots(image, threshold):
    points = []
    for colour in DOTS:
        near = (np.abs(image.astype(int) - colour).max(2) < 110).nonzero()
        if not len(near[0]):
            return []
        points.append((near[1].mean() + 0.5, near[0].mean() + 0.5))
    points = np.array(points)
    return [Face(box=(*points.min(0), *points.max(0)), landmarks=points, score=1.0)]


@pytest.mark.parametrize('lr_has_manifest', [True, False])
def test_the_options_it_names_make_the_domains_alike(kit, tmp_path, capsys, monkeypatch, lr_has_manifest):
    """From photos to the report and back, both ways: LR is cut again, or HR where LR is no work of prepare_faces."""
    monkeypatch.setattr(runner, 'FaceDetector', lambda *_: find_dots)
    monkeypatch.setattr(detection, 'FaceDetector', lambda *_: find_dots)
    painted(kit, tmp_path / 'hr_photos', 6)
    painted(kit, tmp_path / 'lr_photos', 6, seed=1)

    def cut(kind, output, *options):
        prepare_faces.main(['--input', str(tmp_path / f'{kind}_photos'), '--output', str(tmp_path / output), *options])

    def look(hr, lr):
        inspect_faces.main(
            [
                '--gt',
                str(tmp_path / hr),
                '--lq',
                str(tmp_path / lr),
                '--output',
                str(tmp_path / 'report'),
                '--weights',
                'retinaface=FILE',
                '--sample',
                '6',
                '--lq-size',
                '16',
            ]
        )
        return (tmp_path / 'report' / 'report.md').read_text()

    cut('hr', 'hr', '--margin', '0.05')
    cut('lr', 'lr', '--margin', '0.2', '--shift-x', '0.1', '--shift-y', '-0.08')
    if not lr_has_manifest:
        (tmp_path / 'lr' / 'manifest.jsonl').unlink()
    text = look('hr', 'lr')
    assert 'the framing differs' in text and f'cut the {"LR" if lr_has_manifest else "HR"} faces again' in text
    advice = next(line for line in text.splitlines() if line.startswith('    --margin')).split()
    again = ('lr',) if lr_has_manifest else ('hr',)
    cut(*again, 'again', *advice)
    text = look('hr', 'again') if lr_has_manifest else look('again', 'lr')
    assert 'The two domains are framed alike.' in text and 'differs' not in text
    said = ' photos of' in text and 'such as 0.png): take LR faces from other photos' in text
    assert said == lr_has_manifest  # here the photos of both have the same names and sizes


def test_names_that_are_not_utf8_are_written(files, tmp_path, capsys):
    folder = tmp_path / 'f'
    folder.mkdir()
    for name in (b'a.png', b'caf\xe9.png'):
        with open(os.path.join(os.fsencode(folder), name), 'wb') as file:
            file.write(files.encode(files.make_image(0, 64)))
    output = os.path.join(str(tmp_path), os.fsdecode(b'donn\xe9es'))
    inspect_faces.main(['--gt', str(folder), '--output', output, '--sample', '0'])
    assert r'a, caf\xe9' in capsys.readouterr().out
    assert os.path.getsize(os.path.join(output, 'report.png')) > 1000


def test_reports_of_its_own_are_replaced_and_nothing_else(files, tmp_path, capsys):
    faces = files.write_folder(tmp_path / 'faces', {f'{i}': files.make_image(i, 64) for i in range(3)})
    arguments = ['--gt', faces, '--output', str(tmp_path / 'out'), '--sample', '0']
    inspect_faces.main(arguments)
    inspect_faces.main(arguments)
    (tmp_path / 'out' / 'report.md').write_text('of somebody')
    with pytest.raises(SystemExit):
        inspect_faces.main(arguments)
    assert 'report.md is there already and no result of this command' in capsys.readouterr().err
    assert (tmp_path / 'out' / 'report.md').read_text() == 'of somebody'


def test_a_disk_that_takes_nothing(files, tmp_path, capsys, monkeypatch):
    faces = files.write_folder(tmp_path / 'faces', {f'{i}': files.make_image(i, 64) for i in range(3)})
    arguments = ['--gt', faces, '--output', str(tmp_path / 'out'), '--sample', '0']

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr('selfsr_plugin.files.write_file', full)
    with pytest.raises(SystemExit):
        inspect_faces.main(arguments)
    said = capsys.readouterr()
    assert '| images | 3 |' in said.out and 'report.md cannot be written (No space left on device)' in said.err
    monkeypatch.setattr('tempfile.TemporaryFile', full)
    with pytest.raises(SystemExit):
        inspect_faces.main(arguments)
    said = capsys.readouterr()
    assert not said.out and 'report.md cannot be written' in said.err  # before the work


def test_script_writes_page_and_text(files, tmp_path, capsys):
    hr = files.write_folder(tmp_path / 'hr', {f'h{i}': files.make_image(i, 64) for i in range(5)})
    lr = files.write_lmdb(tmp_path / 'lr.lmdb', {f'l{i}': files.make_image(i, 20) // 2 for i in range(70)})
    inspect_faces.main(['--gt', hr, '--lq', lr, '--output', str(tmp_path / 'out'), '--sample', '0'])
    text = (tmp_path / 'out' / 'report.md').read_text()
    assert 'darker than HR' in text and '| images | 5 | 70 |' in text and text in capsys.readouterr().out
    page = cv2.imread(str(tmp_path / 'out' / 'report.png'))
    assert page.shape[1] == 1080 and page[24 + 128, 128].max() < 255  # the mean face is there
    with pytest.raises(SystemExit) as stop:
        inspect_faces.main(['--gt', str(tmp_path / 'none'), '--output', str(tmp_path / 'out')])
    assert stop.value.code == 1 and 'none does not exist' in capsys.readouterr().err
