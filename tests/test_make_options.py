"""The generated option files, schema and page of options are what scripts/make_options.py makes of its sources."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = ROOT / 'options'


@pytest.fixture(scope='module')
def make_options():
    sys.path.insert(0, str(ROOT / 'scripts'))  # it imports its neighbour
    try:
        spec = importlib.util.spec_from_file_location('make_options', ROOT / 'scripts/make_options.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(ROOT / 'scripts'))


def test_generating_again_changes_nothing(make_options):
    for path, text in make_options.everything().items():
        found = path.read_text('utf-8')
        if path.name == 'schema.json':
            found, text = json.loads(found), json.loads(text)
            # each torch has other optimizers, with other arguments
            if found['definitions']['Optimizer']['$comment'] != text['definitions']['Optimizer']['$comment']:
                del found['definitions']['Optimizer'], text['definitions']['Optimizer']
        assert found == text, f'{path}: run python scripts/make_options.py'


def test_a_change_of_a_base_is_in_all_files_after_one_run(make_options, monkeypatch, tmp_path):
    """Also where a file is stated before its base."""
    (tmp_path / 'hand.yml').write_text('name: hand\ntotal_iter: 7\n')
    files = {
        'last.yml': make_options.EXPERIMENTS['train_face_x4.yml']._replace(base='middle.yml', about='name: last'),
        'middle.yml': make_options.EXPERIMENTS['train_face_x4.yml']._replace(base='hand.yml', about='name: middle'),
    }
    monkeypatch.setattr(make_options, 'OPTIONS', tmp_path)
    monkeypatch.setattr(make_options, 'EXPERIMENTS', files)
    assert {name: yaml.safe_load(text) for name, text in make_options.option_files().items()} == {
        'last.yml': {'name': 'last', 'total_iter': 7},
        'middle.yml': {'name': 'middle', 'total_iter': 7},
    }


def test_every_option_file_is_written_by_hand_or_generated(make_options):
    by_hand = {
        'train_selfsr_real.yml',
        'test_selfsr_real.yml',
        'examples/train_rrdbnet_in_selfcondsrmodel.yml',
        'examples/train_selfcondsrnet_in_srmodel.yml',
    }
    assert {str(path.relative_to(OPTIONS)) for path in OPTIONS.rglob('*.yml')} == by_hand | set(
        make_options.EXPERIMENTS
    )


@pytest.mark.parametrize('path', sorted(OPTIONS.rglob('*.yml')), ids=lambda path: path.name)
def test_the_first_line_leads_an_editor_to_the_schema(path):
    first = path.read_text('utf-8').splitlines()[0]
    mark, _, schema = first.partition('$schema=')
    assert mark == '# yaml-language-server: ' and (path.parent / schema).resolve() == OPTIONS / 'schema.json'


def test_a_difference_is_applied_where_it_belongs(make_options):
    values = yaml.safe_load('{a: {x: 1, y: 2, z: {type: T, n: 1}}, b: {c: {d: 3}}, gone: 1}')
    comments = {'a.x': 'old', 'b.c.d': 'moves', 'a.y': 'stays'}
    header = make_options.apply(
        values,
        comments,
        """
# About
a.x: 5            # new
a.between: ~
- gone
b <- b.c
""",
    )
    assert header == '# About' and values == {
        'a': {'x': 5, 'between': None, 'y': 2, 'z': {'type': 'T', 'n': 1}},
        'b': {'d': 3},
    }
    assert list(values['a']) == ['x', 'between', 'y', 'z']
    assert comments == {'a.x': 'new', 'b.d': 'moves', 'a.y': 'stays'}
    assert yaml.safe_load(make_options.write(values, comments, compact=True)) == values


def test_files_of_one_kind_have_the_same_keys():
    """Files that are copied by hand drift: a key that one training has, the others have too."""
    logger = {
        tuple(sorted(yaml.safe_load(path.read_text('utf-8'))['logger']))
        for path in OPTIONS.rglob('train_*.yml')
        if 'examples' not in path.parts
    }
    assert len(logger) == 1 and {'collapse_iter', 'keep_checkpoints', 'wandb'} <= set(*logger)
