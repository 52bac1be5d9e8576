"""split_faces as a user types it."""

import errno
import json
import os

import pytest
from common_kit import refused

from selfsr_plugin import split_faces
from selfsr_plugin.data import open_image_source
from selfsr_plugin.errors import UserError
from selfsr_plugin.preparation import splitting
from selfsr_plugin.preparation.runner import Settings, prepare


@pytest.fixture
def folder(files, tmp_path):
    """20 people with 1 to 4 images each."""
    images = {
        f'p{person:02d}_{number}': files.make_image(person) for person in range(20) for number in range(1 + person % 4)
    }
    return files.write_folder(tmp_path / 'faces', images)


def run(*arguments):
    split_faces.main(list(map(str, arguments)))


def parts_of(root, parts=('train', 'val', 'test')):
    return {part: open_image_source(str(root / part)).names for part in parts}


def test_no_person_is_in_two_parts_and_every_image_in_one(folder, tmp_path, capsys):
    arguments = ['--input', folder, '--person', '^(p[0-9]+)_', '--shares', 'train=0.6', 'val=0.2', 'test=0.2']
    run(*arguments, '--output', tmp_path / 'a' / 'PART')
    found = parts_of(tmp_path / 'a')
    assert sorted(sum(found.values(), [])) == open_image_source(folder).names
    people = [{name.split('_')[0] for name in names} for names in found.values()]
    assert sum(map(len, people)) == len(set.union(*people)) == 20
    assert [len(names) for names in found.values()] == pytest.approx([30, 10, 10], abs=3)
    assert f'train: {len(found["train"])} images of {len(people[0])} people' in capsys.readouterr().out
    assert os.stat(tmp_path / 'a/val' / f'{found["val"][0]}.png').st_nlink == 2
    run(*arguments, '--output', tmp_path / 'b' / 'PART')
    assert parts_of(tmp_path / 'b') == found
    run(*arguments, '--output', tmp_path / 'c' / 'PART', '--seed', 1)
    assert parts_of(tmp_path / 'c') != found


def test_faces_of_one_photo_stay_together_and_the_manifest_is_divided(kit, tmp_path, capsys):
    for number in range(12):
        kit.write(tmp_path / 'photos' / f'who{number % 6}' / f'{number}.png', kit.photo(number))
    prepare(tmp_path / 'photos', tmp_path / 'faces', Settings(margin=0.1), detect=kit.two_faces)
    run('--input', tmp_path / 'faces', '--output', tmp_path / 'PART_hr', '--shares', 'train=0.5', 'val=0.5')
    train, val = (
        {name.rsplit('_', 1)[0] for name in open_image_source(str(tmp_path / part)).names}
        for part in ('train_hr', 'val_hr')
    )
    assert len(train) == len(val) == 6 and not train & val
    assert 'If somebody is in several photos, give --person' in capsys.readouterr().out
    first, *lines = map(json.loads, (tmp_path / 'val_hr' / 'manifest.jsonl').read_text().splitlines())
    assert first['settings']['margin'] == 0.1 and len(lines) == 6
    with pytest.raises(UserError, match='other settings .*split'):
        prepare(tmp_path / 'photos', tmp_path / 'val_hr', Settings(margin=0.1), detect=kit.two_faces)
    run(
        '--input',
        tmp_path / 'faces',
        '--output',
        tmp_path / 'by_person' / 'PART',
        '--person',
        '^([^/]+)/',
        '--shares',
        'train=0.5',
        'val=0.5',
    )
    people = [{name[:4] for name in names} for names in parts_of(tmp_path / 'by_person', ('train', 'val')).values()]
    assert [len(part) for part in people] == [3, 3] and not people[0] & people[1]


def test_part_is_a_word_of_the_path(folder, tmp_path):
    run('--input', folder, '--output', tmp_path / 'PARTY' / 'facesPART_hr', '--person', 'p..')
    assert {path.name for path in (tmp_path / 'PARTY').iterdir()} == {'facestrain_hr', 'facesval_hr', 'facestest_hr'}


@pytest.mark.parametrize(
    'wrong, sentence',
    [
        ([], 'no manifest.jsonl of prepare_faces that says which photo p00_0.png is from: give --person'),
        (['--person', 'q(.)'], "'q(.)' finds nobody in p00_0.png"),
        (['--person', '('], 'is no regular expression'),
        (['--person', 'p.', '--shares', 'train=0.9', 'test=0.2'], 'add up to 1.1'),
        (['--person', 'p.', '--shares', 'train=0.9', 'test'], "'test' is not PART=SHARE"),
        (['--person', 'p.', '--shares', 'train=0.5', 'train=0.5'], "'train=0.5' is not PART=SHARE"),
        (['--person', 'p', '--shares', 'train=0.5', 'val=0.5'], 'images each: name fewer parts.'),
        (['--person', 'p.', '--shares', 'train=0.99', 'val=0.01'], 'images each: give it a larger share.'),
        (['--person', 'p.', '--output', 'x'], '--output: x has no PART in it'),
        (['--person', 'p..', '--output', 'PART.lmdb'], 'train.lmdb is to be a folder of images, and its name is that'),
        (['--person', 'p.', '--input', 'nowhere'], 'nowhere cannot be read'),
        (['--person', 'p..', '--output', 'full_PART'], 'full_train exists already'),
    ],
)
def test_what_cannot_be_split_is_one_sentence(folder, tmp_path, capsys, monkeypatch, wrong, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'full_train').mkdir()
    (tmp_path / 'full_train' / 'a').touch()
    with pytest.raises(SystemExit) as stop:
        run('--input', folder, '--output', tmp_path / 'PART', *wrong)
    error = capsys.readouterr().err
    assert stop.value.code == 1 and error.count('\n') == 1
    assert sentence in error and not (tmp_path / 'train').exists()


def test_links_that_lead_nowhere_are_all_named(folder, tmp_path, capsys):
    links = [tmp_path / 'faces' / f'gone_{number}.png' for number in range(2)]
    for link in links:
        link.symlink_to(tmp_path / 'unmounted' / link.name)
    arguments = '--input', folder, '--output', tmp_path / 'PART', '--person', '[^_]+'
    message = refused(capsys, split_faces.main, *arguments)
    assert '(gone_0.png, gone_1.png): remove them' in message and not (tmp_path / 'train').exists()
    for link in links:
        link.unlink()
    run(*arguments)


def test_a_full_disk_is_that_of_the_parts(folder, tmp_path, monkeypatch, capsys):
    """Where nothing can be linked; what copies says names the face that was read."""

    def fill(source, target):
        target.write_bytes(b'half')
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source))

    def no_links(*_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(splitting.os, 'link', no_links)
    monkeypatch.setattr(splitting.shutil, 'copyfile', fill)
    with pytest.raises(SystemExit):
        run('--input', folder, '--output', tmp_path / 'PART', '--person', '^(p[0-9]+)_')
    error = capsys.readouterr().err
    assert f'error: {tmp_path / "train"}/p' in error and 'make room on its disk' in error
    assert not [*tmp_path.glob('*train*')]


@pytest.mark.parametrize('stop', [KeyboardInterrupt, None])
def test_a_split_that_was_stopped_leaves_no_half_set_and_is_made_again(folder, tmp_path, monkeypatch, stop):
    arguments = ['--input', folder, '--output', tmp_path / 'PART', '--person', '^(p[0-9]+)_']
    if stop is None:  # SIGKILL
        (tmp_path / '.val.part').mkdir()
        (tmp_path / '.val.part' / 'p00_0.png').write_bytes(b'half')
    else:
        names, link = [], os.link

        def stops(source, target):
            names.append(source)
            if len(names) == 45:  # in the second part
                raise stop
            link(source, target)

        monkeypatch.setattr(splitting.os, 'link', stops)
        with pytest.raises(SystemExit):
            run(*arguments)
        assert not [path for path in tmp_path.iterdir() if path.name != 'faces']
        monkeypatch.undo()
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'test').symlink_to('elsewhere')  # an empty folder on another disk, say
    run(*arguments)
    assert sorted(sum(parts_of(tmp_path).values(), [])) == open_image_source(folder).names
    assert (tmp_path / 'test').is_symlink() and not [*tmp_path.glob('.*')]
