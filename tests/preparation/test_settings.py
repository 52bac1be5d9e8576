"""What settings of prepare_faces may be, what they are by default, and which folders of crops are gone on with."""

import json

import pytest

from selfsr_plugin.errors import UserError
from selfsr_plugin.preparation.runner import prepare
from selfsr_plugin.preparation.settings import Settings


@pytest.fixture
def photos(kit, tmp_path):
    for number in range(5):
        kit.write(tmp_path / 'in' / f'{number}.png', kit.photo(number))
    return tmp_path / 'in'


@pytest.mark.parametrize('name, least, most', [('margin', -0.3, 2.0), ('shift_x', -0.5, 0.5), ('shift_y', -0.5, 0.5)])
def test_shares_of_the_square_have_bounds(name, least, most):
    for value in (least, most):
        Settings(**{name: value}).check()
    for value in (least - 0.01, most + 0.01):
        with pytest.raises(UserError, match=f'is not a share from {least} to {most}'):
            Settings(**{name: value}).check()


def test_what_a_file_manager_hides_in_a_folder_does_not_make_it_one_of_others(kit, photos, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / '.DS_Store').touch()
    assert prepare(photos, tmp_path / 'out', Settings(), detect=kit.two_faces).counts()['faces'] == 10
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'a.txt').touch()
    with pytest.raises(UserError, match='other is not empty and has no manifest.jsonl'):
        prepare(photos, tmp_path / 'other', Settings(), detect=kit.two_faces)


def test_photos_of_a_manifest_that_does_not_say_how_large_they_were_are_not_others(kit, photos, tmp_path):
    prepare(photos, tmp_path / 'out', Settings(), detect=kit.two_faces)
    path = tmp_path / 'out' / 'manifest.jsonl'
    settings, *rest = map(json.loads, path.read_text().splitlines())
    for line in rest:
        del line['bytes'], line['changed'], line['digest']
    path.write_text(''.join(f'{json.dumps(line)}\n' for line in (settings, *rest)))
    assert prepare(photos, tmp_path / 'out', Settings(), detect=kit.two_faces).changed == []


def test_what_a_face_must_be_by_default(kit, photos, tmp_path):
    """The detector's score 0.8 or more, and 16 pixels or more of the square around it."""
    told = []

    def detect(image, least):
        told.append(least)
        return kit.two_faces(image, least)

    manifest = prepare(photos, tmp_path / 'out', Settings(), detect=detect)
    assert set(told) == {0.8} and manifest.counts()['faces'] == 10
    assert (Settings().smallest, Settings(size=12).smallest, Settings(size=64).smallest) == (16, 16, 64)
