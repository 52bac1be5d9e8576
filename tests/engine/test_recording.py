"""cuda_graphs changes how a network is computed, not what."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'stages'))  # the models' kit
from graph_kit import Graphs  # noqa: E402
from model_kit import (  # noqa: E402
    assert_identical,
    batch,
    cyclegan_options,
    everything,
    stage1_options,
    stage2_options,
    start,
    train,
)

from selfsr_plugin.engine.checkpoint import load_checkpoint  # noqa: E402
from selfsr_plugin.engine.recording import Recordings  # noqa: E402
from selfsr_plugin.errors import UserError  # noqa: E402

GROWTH = dict(grow_at=[6], fade_iter=4, ema_decay=0.9, supervision='pseudo', net_d_reg_every=2)


def recording(opt):
    model = start(opt)
    return model, Graphs(model)


@pytest.mark.parametrize(
    'make, changes, iterations, recorded, replayed',
    [
        (stage1_options, {}, 5, 2, 6),
        (stage1_options, dict(accum_iter=2, r1_reg_weight=1), 5, 2, 6),
        (cyclegan_options, dict(pool_size=3), 5, 3, 9),
        # At x2 of 6 iterations 4 of G, of D 1 with R1 and 1 without; at x4 of 8, when it has been faded in.
        (stage2_options, GROWTH, 17, 6, 4 + 1 + 1 + 6 + 2 + 2),
    ],
    ids=['stage1', 'parts', 'cyclegan', 'stage2'],
)
def test_recorded_updates_compute_the_same(tmp_path, make, changes, iterations, recorded, replayed):
    model, graphs = recording(make(tmp_path, total_iter=18, **changes))
    train(model, range(1, iterations + 1))
    assert_identical(
        everything(model), everything(train(start(make(tmp_path, total_iter=18, **changes)), range(1, iterations + 1)))
    )
    assert (graphs.recorded, graphs.replayed) == (recorded, replayed)


def test_batches_are_not_written_over_by_replays():
    recordings = Recordings(capture=lambda function, pool: (function(), function))
    batches = [dict(images=torch.full((2,), float(number))) for number in range(6)]
    for each in batches:
        recordings.run('all of one kind', lambda batch: batch['images'].sum(), each, [])
    assert [each['images'].tolist() for each in batches] == [[number, number] for number in range(6)]


def test_the_log_keeps_what_is_not_computed_each_time(tmp_path):
    """R1 of the last iteration that had it; where its recording left it, other replays have been since."""
    opt = stage2_options(tmp_path, supervision='pseudo', grow_at=[], net_d_reg_every=4)
    models = start(opt), recording(opt)[0]
    for iteration in range(1, 20):
        logs = [train(model, [iteration]).get_current_log() for model in models]
        assert logs[0] == logs[1]
    assert 'l_d_r1' in logs[0]


def test_another_phase_is_another_recording(tmp_path):
    """Of the same shapes, as where a part of a network that was frozen learns: its gradients are in no recording."""
    model, graphs = recording(stage1_options(tmp_path))
    train(model, range(1, 5))
    assert graphs.recorded == 2
    model.updater.enter_phase({'deg': [model.net_deg.stem], 'd_lq': [model.net_d_lq]})
    train(model, range(5, 8))
    assert graphs.recorded == 4


def test_the_last_smaller_batch_is_another_recording(tmp_path):
    """Of another shape."""
    model, graphs = recording(stage1_options(tmp_path))
    for iteration in range(1, 9):
        images = batch(iteration)
        model.feed_data({key: value[: 1 if iteration == 7 else None] for key, value in images.items()})
        model.optimize_parameters(iteration)
    assert graphs.recorded == 2 and graphs.replayed == 2 * 5


def test_a_rehearsal_records_and_leaves_nothing_behind(tmp_path):
    model, graphs = recording(stage1_options(tmp_path))
    before = everything(model)
    model.rehearse(1, batch(1))
    assert graphs.recorded == 2 and graphs.replayed == 0
    assert_identical(everything(model), before)
    assert all(each.grad is None for each in model.net_deg.parameters())
    train(model, [1, 2])
    assert graphs.recorded == 2  # the first iterations are not those that were rehearsed


def test_a_resumed_run_goes_on_the_same(tmp_path):
    opt = stage2_options(tmp_path, supervision='pseudo', grow_at=[], ema_decay=0.9)
    through = train(recording(opt)[0], range(1, 9), save_at=[4])
    resumed, graphs = recording(opt)
    train(resumed, [1, 2, 3])
    resumed.resume_training(load_checkpoint(tmp_path / 'training_states/4.state'))
    assert_identical(everything(train(resumed, range(5, 9))), everything(through))
    assert graphs.replayed == 2 + 4


def test_what_cannot_be_recorded_is_named(tmp_path):
    model, _ = recording(stage1_options(tmp_path))

    def fails(function, _):
        raise RuntimeError('operation not permitted when stream is capturing\nSearch for ...')

    model.updater.recordings = Recordings(fails)
    with pytest.raises(
        UserError, match=r'^cuda_graphs: true: .*\(operation not permitted .*capturing\): write cuda_graphs: false\.$'
    ):
        model.rehearse(1, batch(1))


def test_graphs_are_refused_on_a_cpu(tmp_path):
    with pytest.raises(UserError, match=r'^cuda_graphs: true: .* computes on the CPU: write cuda_graphs: false\.$'):
        start(stage1_options(tmp_path, cuda_graphs=True))


def test_batches_of_another_kind_are_recorded_for_themselves():
    given = []

    def function(batch):
        given.append(batch['x'])
        return batch['x'].sum()

    recordings = Recordings(lambda function, pool: (function(), lambda: None))
    kinds = (torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.float64), torch.zeros(1, 3))
    for number, x in enumerate(kinds, 1):
        for _ in range(5):
            assert recordings.run('key', function, {'x': x}, ()).dtype == x.dtype
        assert len(given) == 3 * number  # twice as ever, and once to be recorded
