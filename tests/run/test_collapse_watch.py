"""A discriminator that has collapsed is reported, a healthy one is not."""

import logging
import math
import sys
from pathlib import Path

import pytest
from basicsr.utils import get_root_logger

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'stages'))  # the models' kit
from model_kit import both_stages_options, stage1_train, stage2_options, stage2_train, start, train  # noqa: E402

from selfsr_plugin.run.collapse_watch import CollapseWatch  # noqa: E402


def watch(caplog, losses, gan_type='hinge', span=30, prefix='l_d'):
    watched = CollapseWatch(span)
    with caplog.at_level(logging.WARNING, 'basicsr'):
        for number, (real, fake) in enumerate(losses, start=1):
            watched.update(10 * number, {f'{prefix}_real': real, f'{prefix}_fake': fake, 'l_g_rec': 1.0}, gan_type)
    return [record.message for record in caplog.records]


@pytest.fixture(autouse=True)
def propagate():
    logger = get_root_logger()  # BasicSR sets it up, and keeps its messages to itself, at the first call
    before, logger.propagate = logger.propagate, True
    yield
    logger.propagate = before


@pytest.mark.parametrize(
    'gan_type, loss',
    [
        ('hinge', (0.0, 0.0)),
        ('hinge', (0.0, 0.0009)),
        ('hinge', (1.0, 1.0)),
        ('hinge', (1.0, 0.9991)),
        ('vanilla', (math.log(2), math.log(2))),
        ('lsgan', (0.25, 0.25)),
    ],
)
def test_loss_at_a_bound_is_reported_once_for_each_span(caplog, gan_type, loss):
    messages = watch(caplog, [loss] * 7, gan_type)  # iterations 10 to 70
    assert len(messages) == 2
    assert 'l_d_real + l_d_fake' in messages[0] and 'since iteration 10' in messages[0]


@pytest.mark.parametrize(
    'losses',
    [
        [(0.0, 0.0)] * 3,  # not long enough
        [(0.0, 0.0)] * 3 + [(0.4, 0.3)] + [(0.0, 0.0)] * 3,
        [(0.6, 0.7)] * 20,
        [(0.0, 0.002)] * 20,
        [(0.998, 1.0)] * 20,
    ],
)
def test_healthy_losses_are_not(caplog, losses):
    assert watch(caplog, losses) == []


def test_off_and_unbounded(caplog):
    assert watch(caplog, [(0.0, 0.0)] * 20, span=0) == []
    assert watch(caplog, [(1.0, 1.0)] * 20, 'wgan') == []


def test_any_discriminator(caplog):
    assert 'l_d_lq_real' in watch(caplog, [(0.0, 0.0)] * 7, 'vanilla', prefix='l_d_lq')[0]


def test_models_say_what_kind_of_loss_theirs_is(tmp_path):
    both = start(both_stages_options(tmp_path, stage1_train(), stage2_train()))
    assert both.gan_type == 'vanilla'
    train(both, [9])
    assert both.gan_type == 'hinge'
    assert start(stage2_options(tmp_path, labels=('g',), optim_d=None, gan_opt=None)).gan_type is None
