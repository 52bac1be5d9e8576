"""Sections of option files are read into typed dataclasses, or refused with the key and a remedy that works."""

from dataclasses import dataclass
from typing import Literal

import pytest
import yaml

from selfsr_plugin.errors import UserError
from selfsr_plugin.schema import Loss, Network, Optimizer, Scheduler, Section, option, parse


@dataclass(kw_only=True)
class Inner(Section):
    size: int = option('side in pixels', least=1)


@dataclass(kw_only=True)
class Other(Section):
    width: float = option('width', default=1)


@dataclass(kw_only=True)
class Example(Section):
    count: int = option('number of things', least=1)
    rate: float = option('rate', default=0.5, least=0, below=2)
    steps: list[int] = option('steps', default=[], least=1)
    mode: Literal['scale', 'concat'] = option('mode', default='scale')
    number: int | Literal['auto'] = option('number or auto', default='auto', least=0)
    flip: bool = option('flip', default=False)
    shuffle: Literal[True] = option('the only way', default=True)
    name: str | None = option('name', default=None)
    inner: Inner | None = option('inner section', default=None)
    either: Section | None = option(
        'one of two kinds', default=None, selector='kind', variants=lambda: {'first': Inner, 'second': Other}
    )
    wanted: int | None = option('number or none', missing='write wanted: ~ for none.')
    refused = {'threads': 'the machine decides that; leave it out'}


def read(text):
    return parse(Example, yaml.safe_load('{count: 3, wanted: ~, ' + text + '}'), 'part')


def test_defaults_and_types():
    found = read('rate: 1, inner: {size: 2}, number: 4, steps: [3, 5]')
    assert found == Example(count=3, rate=1.0, steps=[3, 5], number=4, inner=Inner(size=2), wanted=None)
    assert isinstance(found.rate, float) and found.mode == 'scale' and found.number == 4
    found.steps.append(7)
    assert read('rate: 0, number: 0') == Example(count=3, rate=0.0, number=0, wanted=None)  # the least is allowed
    assert read('').steps == []  # a default is not shared


def test_the_class_of_a_section_is_chosen_by_its_selector():
    assert read('either: {size: 4}').either == Inner(size=4)
    assert read('either: {kind: second}').either == Other(width=1.0)
    with pytest.raises(UserError, match=r"part\.either\.kind: 'third' must be one of first, second\."):
        read('either: {kind: third}')


@pytest.mark.parametrize(
    'text, message',
    [
        ('rate: 2', 'part.rate: 2 must be a number from 0 to below 2.'),
        ('rate: .nan', 'part.rate: nan must be a number from 0 to below 2.'),
        ('rate: true', 'part.rate: True must be a number from 0 to below 2.'),
        ('steps: [0]', 'part.steps: [0] must be a list; each a whole number, 1 or more.'),
        ('mode: x', "part.mode: 'x' must be one of scale, concat."),
        ('number: -1', 'part.number: -1 must be a whole number, 0 or more or one of auto.'),
        ('either: {kind: second, width: .inf}', 'part.either.width: inf must be a number.'),
        ('shuffle: 1', 'part.shuffle: 1 must be'),
        ('flip: 1', 'part.flip: 1 must be true or false.'),
        ('flip: ~', 'part.flip: None must be true or false; leave the key out for false.'),
        ('name: [a]', "part.name: ['a'] must be a text."),
        ('inner: 3', 'part.inner: 3 must be a section with "key: value" lines.'),
        ('inner: {}', 'part.inner.size: this key is missing; it is the side in pixels.'),
        ('inner: {sizes: 3}', "part.inner.sizes: unknown key; did you mean 'size'?"),
        ('threads: 3', 'part.threads: the machine decides that; leave it out.'),
        ('1: 3', 'part.1: unknown key; known here: '),
    ],
)
def test_refused(text, message):
    with pytest.raises(UserError) as caught:
        read(text)
    assert str(caught.value).startswith(message)


def test_a_key_that_must_be_said_names_its_way_out():
    with pytest.raises(UserError, match='part.wanted: this key is missing; write wanted: ~ for none.'):
        parse(Example, {'count': 3}, 'part')


@pytest.mark.parametrize(
    'given, key, message, remedy',
    [
        ('1e3', 'count', 'YAML reads 1e3 as text; write 1000.', '1000'),
        ('!!float 1e3', 'count', '1000.0 must be a whole number, 1 or more: write 1000.', '1000'),
        ('1e-3', 'rate', 'YAML reads 1e-3 as text; write !!float 1e-3.', '!!float 1e-3'),
        ('1e0', 'rate', 'YAML reads 1e0 as text; write 1.', '1'),
        ("'0,003'", 'rate', "'0,003' is text; write 0.003, with a point.", '0.003'),
    ],
)
def test_the_remedy_for_a_number_works(given, key, message, remedy):
    with pytest.raises(UserError) as caught:
        parse(
            Example,
            yaml.safe_load(f'{{wanted: ~, count: 3, {key}: {given}}}'.replace('count: 3, count', 'count')),
            'part',
        )
    assert str(caught.value) == f'part.{key}: {message}'
    read(f'{key}: {remedy}'.replace('count', 'wanted'))


def test_a_remedy_that_would_be_refused_is_not_given():
    for text in ('rate: 1e3', "rate: '9,5'", 'number: 1e-3'):
        with pytest.raises(UserError, match='must be a'):
            read(text)


# ----- sections with a type -----


@pytest.mark.parametrize('name', ['Adam', 'AdamW', 'RAdam', 'NAdam', 'SGD', 'RMSprop', 'Adamax', 'Adagrad', 'Adadelta'])
def test_any_optimizer_of_torch(name):
    assert Optimizer.parse({'type': name, 'lr': 0.1}, 'optim') == {'type': name, 'lr': 0.1}


@pytest.mark.parametrize(
    'section, message',
    [
        ('{type: Adan, lr: 0.1}', "optim.type: unknown name 'Adan'; did you mean 'Adam'?"),
        ('{type: LBFGS, lr: 0.1}', 'optim.type: LBFGS: it computes the loss several times in a step'),
        ('{type: Adam}', 'optim.lr: this key is missing'),
        ("{type: Adam, lr: '0,003'}", "optim.lr: '0,003' is text; write 0.003, with a point."),
        ('{type: Adam, lr: abc}', "optim.lr: 'abc' must be a number."),
        ('{type: Adam, lr: -1}', 'optim: Adam does not take these values: Invalid learning rate: -1.'),
        ('{type: Adam, lr: 1e-3}', 'optim.lr: YAML reads 1e-3 as text; write !!float 1e-3.'),
        ('{type: SGD, lr: 0.1, betas: [0.0, 0.9]}', 'optim.betas: unknown key'),
        (
            '{type: Adam, lr: 0.1, betas: [0.0, 1.5]}',
            'optim: Adam does not take these values: Invalid beta parameter at index 1',
        ),
    ],
)
def test_refused_optimizers(section, message):
    with pytest.raises(UserError) as caught:
        Optimizer.parse(yaml.safe_load(section), 'optim')
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    'section, message',
    [
        ('{type: MultiStepLR}', 'milestones: this key is missing'),
        ('{type: MultiStepLR, milestones: [a]}', r"milestones: \['a'\] must be a list of iterations"),
        (
            '{type: CosineAnnealingRestartLR, periods: [5, 4]}',
            'CosineAnnealingRestartLR does not take these values: periods and',
        ),
        (
            '{type: CosineAnnealingRestartLR, periods: [9]}',
            r'periods: \[9\] ends after 9 iterations, before total_iter \(10\)',
        ),
        ('{type: LinearDecayLR, decay_from: 10}', r'decay_from: 10 must be a whole number below total_iter \(10\)'),
    ],
)
def test_refused_schedules(section, message):
    with pytest.raises(UserError, match=r'train\.scheduler.*' + message):
        Scheduler.parse(yaml.safe_load(section), 'train.scheduler').check_length(10, 'train.scheduler')


def test_schedules():
    for text in (
        '{type: MultiStepLR, milestones: [4], gamma: 0.5}',
        '{type: LinearDecayLR, decay_from: 9}',
        '{type: CosineAnnealingRestartLR, periods: [6, 4], restart_weights: [1, 0.5]}',
    ):
        Scheduler.parse(yaml.safe_load(text), 'train.scheduler').check_length(10, 'train.scheduler')


def test_arguments_are_held_against_annotations():
    with pytest.raises(UserError, match=r'network_g\.num_block: YAML reads 1e1 as text; write 10\.'):
        Network.parse({'type': 'SelfCondSRNet', 'num_block': '1e1'}, 'network_g')
    with pytest.raises(UserError, match=r"network_g\.num_block: 'four' must be a whole number\."):
        Network.parse({'type': 'SelfCondSRNet', 'num_block': 'four'}, 'network_g')
    with pytest.raises(UserError, match=r'pixel_opt\.loss_weight: YAML reads 1e1 as text; write 10\.'):
        Loss.parse({'type': 'L1Loss', 'loss_weight': '1e1'}, 'pixel_opt')


def test_completed_arguments():
    assert Loss.parse({'type': 'L1Loss'}, 'pixel_opt').complete() == {
        'type': 'L1Loss',
        'loss_weight': 1.0,
        'reduction': 'mean',
    }
