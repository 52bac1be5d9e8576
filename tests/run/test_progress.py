"""The time left is that of the parts still to come, each at its own cost."""

import pytest

from basicsr.utils import get_root_logger

from selfsr_plugin.run.progress import Part, ProgressLog, TimeLeft, parts


def test_parts_of_both_stages():
    sr = dict(total_iter=100, grow_at=[30, 60], net_d_reg_every=16)
    opt = dict(train=dict(total_iter=150, degradation=dict(total_iter=50), sr=sr))
    assert parts(opt) == [Part(1, 1, 1), Part(51, 66, 16), Part(81, 82, 16), Part(111, 114, 16)]


def test_parts_of_one_stage():
    assert parts(dict(train=dict(total_iter=9))) == [Part(1, 1, 1)]
    train = dict(total_iter=9, grow_at=[4], net_d_iters=2, net_d_init_iters=5)
    assert parts(dict(train=train)) == [Part(1, 6, 2), Part(5, 6, 2)]  # both networks learn from iteration 6 on


def test_later_parts_cost_what_the_rehearsal_says_in_proportion():
    left = TimeLeft([1, 11, 21], 30, {}, {1: 1.0, 11: 3.0, 21: 10.0})
    assert left(1) is None
    for iteration in range(1, 6):
        left.add(iteration, 2.0)  # twice what was rehearsed
    assert left(5) == pytest.approx(5 * 2 + 10 * 6 + 10 * 20)
    left.add(11, 5.0)  # measured is better than rehearsed
    assert left(11) == pytest.approx(9 * 5 + 10 * 10 * 5 / 3)
    left.add(21, 4.0)
    assert left(28) == pytest.approx(2 * 4) and left(30) == 0


@pytest.mark.parametrize('left, said', [(None, 'eta: ?,'), (3700.9, 'eta: 1:01:40,')])
def test_a_line_of_the_log_and_the_points_of_its_curves(monkeypatch, left, said):
    lines, points = [], []
    monkeypatch.setattr(get_root_logger(), 'info', lines.append)

    class Writer:
        def add_scalar(self, *point):
            points.append(point)

    for rank in (1, 0):
        log = ProgressLog(dict(rank=rank, name='train_selfsr'), Writer())
        log(1200, 3, [3e-3, 1e-4], 0.25, 0.0625, left, dict(l_g_rec=0.5, level=2, skipped_steps=7))
    assert lines == [
        f'[train..][epoch:  3, iter:   1,200, lr:(3.000e-03,1.000e-04,)] [{said} time (data): 0.250 (0.062)] '
        'l_g_rec: 5.0000e-01 level: 2.0000e+00 skipped_steps: 7.0000e+00 '
    ]
    assert points == [('losses/l_g_rec', 0.5, 1200), ('level', 2, 1200), ('skipped_steps', 7, 1200)]


def test_interruptions_count():
    left = TimeLeft([1], 100, {'validation': 25, 'checkpoint': 10}, {})
    left.add(1, 1.0)
    left.add('validation', 7.0)
    left.add('checkpoint', 2.0)
    assert left(40) == pytest.approx(60 + 3 * 7 + 6 * 2)
    left.add('validation', 20.0)  # of stage 2, which takes longer: so will those to come
    assert left(40) == pytest.approx(60 + 3 * 20 + 6 * 2)
    assert left(100) == 0


def test_the_validation_at_the_end_counts_where_none_is_due():
    left = TimeLeft([1], 29, {'validation': 10}, {})
    left.add(1, 1.0)
    left.add('validation', 7.0)
    assert left(15) == pytest.approx(14 + 2 * 7)
    assert left(25) == pytest.approx(4 + 7)
