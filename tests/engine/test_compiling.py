"""compile, channels_last and checkpointing change how a network is computed, not what; and what is refused."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'stages'))  # the models' kit
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

from selfsr_plugin.engine import compiling  # noqa: E402
from selfsr_plugin.engine.checkpoint import load_checkpoint  # noqa: E402
from selfsr_plugin.errors import UserError  # noqa: E402

GROWTH = dict(grow_at=[1], fade_iter=2, ema_decay=0.9, supervision='pseudo', net_d_reg_every=2)


def assert_alike(found, expected):
    for label in expected.trained:
        for key, net in expected.weights_to_save(label).items():
            other = found.weights_to_save(label)[key].state_dict()
            for name, value in net.state_dict().items():
                torch.testing.assert_close(other[name], value, rtol=1e-8, atol=1e-11, msg=f'{label}.{name}')


@pytest.fixture
def captured(monkeypatch):
    """Graphs that are captured; they are run as they are, since a compiler for CPUs takes minutes."""
    graphs = []

    def run(graph, _):
        graphs.append(graph)
        return graph

    torch._dynamo.reset()
    compiling.check_compiler.cache_clear()
    monkeypatch.setattr(compiling, 'BACKEND', run)
    yield graphs
    torch._dynamo.reset()
    compiling.check_compiler.cache_clear()


@pytest.mark.parametrize(
    'make, changes, graphs',
    [
        (stage1_options, {}, 3),  # network_deg, network_d_lq frozen and learning
        (stage1_options, dict(r1_reg_weight=1), 3),  # the same, for R1 it runs as it is
        # At x2, and at x4 when it has been faded in: network_g, network_d frozen and learning.
        (stage2_options, GROWTH, 6),
    ],
    ids=['stage1', 'r1', 'stage2'],
)
def test_compiled_networks_compute_the_same(tmp_path, float64, captured, make, changes, graphs):
    model = train(start(make(tmp_path, compile=True, **changes)), range(1, 5))
    assert len(captured) == graphs + 1  # and the line that the compiler is tried with
    assert_alike(model, train(start(make(tmp_path, **changes)), range(1, 5)))


@pytest.mark.parametrize('make, bare', [(stage1_options, 'd_lq'), (stage2_options, 'd')], ids=['stage1', 'stage2'])
def test_several_processes_do_not_compile_what_r1_is_taken_of(tmp_path, make, bare):
    for weight in (0, 1):
        model = start(make(tmp_path, r1_reg_weight=weight))
        assert set(model.compilable()) == set(model.trained)
        model.opt['dist'] = True
        assert set(model.compilable()) == set(model.trained) - ({bare} if weight else set())


@pytest.mark.parametrize(
    'make, changes',
    [
        (stage1_options, dict(r1_reg_weight=1)),
        (cyclegan_options, {}),
        (stage2_options, dict(GROWTH, checkpointing=True)),
    ],
    ids=['stage1', 'cyclegan', 'stage2'],
)
def test_channels_last_computes_the_same(tmp_path, float64, make, changes):
    model = train(start(make(tmp_path, channels_last=True, **changes)), range(1, 4))
    weight = next(each for each in model.optimizers[0].param_groups[0]['params'] if min(each.shape[-2:]) > 1)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    average = getattr(model, 'net_g_ema', None)
    assert average is None or average.stem.weight.is_contiguous(memory_format=torch.channels_last)
    assert_alike(model, train(start(make(tmp_path, **changes)), range(1, 4)))


@pytest.mark.parametrize('saved, resumed', [(True, True), (True, False), (False, True)])
def test_channels_last_may_change_when_a_run_is_resumed(tmp_path, float64, saved, resumed):
    """What was saved lies in memory otherwise than the weights; fused steps would mix it up without a word."""
    train(start(stage1_options(tmp_path, channels_last=saved)), range(1, 3), save_at=[2])
    weights = torch.load(tmp_path / 'models/net_deg_2.pth', weights_only=True)['params']
    assert all(value.is_contiguous() for value in weights.values())
    model = start(stage1_options(tmp_path, channels_last=resumed))
    model.resume_training(load_checkpoint(tmp_path / 'training_states/2.state'))
    expected = train(start(stage1_options(tmp_path)), range(1, 5))
    assert_alike(train(model, range(3, 5)), expected)


@pytest.mark.parametrize('limit', [8, 200])
def test_all_variants_of_a_network_are_compiled_and_a_higher_limit_stays(monkeypatch, limit):
    config = torch._dynamo.config
    name = 'recompile_limit' if hasattr(config, 'recompile_limit') else 'cache_size_limit'
    monkeypatch.setattr(config, name, limit)
    compiling.compiled_network(torch.nn.Identity())
    assert getattr(config, name) == max(limit, 64)


def test_nothing_to_compile_with_is_said(tmp_path, monkeypatch):
    def fails(graph, _):
        raise RuntimeError('no C++ compiler found.')

    compiling.check_compiler.cache_clear()  # a failure is not kept
    monkeypatch.setattr(compiling, 'BACKEND', fails)
    with pytest.raises(UserError, match=r'compile: true: .*: install a C\+\+ compiler .*write compile: false\.$'):
        start(stage1_options(tmp_path, compile=True))


def test_checkpointing_of_a_network_without_blocks_is_refused(tmp_path):
    opt = stage2_options(tmp_path, ('g',), grow_at=[], checkpointing=True)
    opt['network_g'] = dict(type='MSRResNet', num_in_ch=3, num_out_ch=3, num_feat=4, num_block=1, upscale=4)
    with pytest.raises(UserError, match=r'checkpointing: network_g \(MSRResNet\) has no such blocks'):
        start(opt)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device on this machine')
@pytest.mark.skipif(shutil.which('gcc') is None, reason='no C compiler on this machine')
@pytest.mark.parametrize(
    'make, changes',
    [(stage1_options, {}), (cyclegan_options, {}), (stage2_options, GROWTH)],
    ids=['stage1', 'cyclegan', 'stage2'],
)
@pytest.mark.parametrize(
    'how',
    [
        dict(compile=True),
        dict(channels_last=True),
        dict(compile=True, channels_last=True),
        dict(cuda_graphs=True),
        dict(cuda_graphs=True, compile=True, channels_last=True),
        dict(cuda_graphs=True, accum_iter=2),
    ],
    ids=lambda how: ','.join(f'{key}={value}' for key, value in how.items()),
)
def test_on_a_gpu_they_compute_the_same(tmp_path, float64, make, changes, how):
    """For so many iterations that graphs have been recorded and replayed."""
    plain, model = (train(start(dict(make(tmp_path, **changes, **each), num_gpu=1)), range(1, 9)) for each in ({}, how))
    for label in plain.trained:
        for name, value in getattr(plain, f'net_{label}').state_dict().items():
            torch.testing.assert_close(getattr(model, f'net_{label}').state_dict()[name], value, rtol=1e-6, atol=1e-8)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device on this machine')
@pytest.mark.skipif(shutil.which('gcc') is None, reason='no C compiler on this machine')
def test_a_resumed_run_of_recorded_graphs(tmp_path, float64):
    opt = dict(stage1_options(tmp_path, cuda_graphs=True), num_gpu=1)
    through = train(start(opt), range(1, 9), save_at=[4])
    resumed = start(opt)
    resumed.rehearse(5, batch(5))  # records them with the weights of the start
    resumed.resume_training(load_checkpoint(tmp_path / 'training_states/4.state'))
    train(resumed, range(5, 9))
    for label in through.trained:
        for name, value in getattr(through, f'net_{label}').state_dict().items():
            found = getattr(resumed, f'net_{label}').state_dict()[name]
            torch.testing.assert_close(found, value, rtol=1e-6, atol=1e-8)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device on this machine')
def test_a_resumed_run_in_bf16_on_a_gpu(tmp_path):
    """To the rounding of sums that a GPU adds in no fixed order."""
    opt = dict(stage2_options(tmp_path, precision='bf16', **GROWTH), num_gpu=1)
    through = train(start(opt), range(1, 5), save_at=[2])
    resumed = start(opt)
    resumed.resume_training(load_checkpoint(tmp_path / 'training_states/2.state'))
    train(resumed, range(3, 5))
    assert resumed.net_g.level == through.net_g.level
    for name, value in through.net_g.state_dict().items():
        torch.testing.assert_close(resumed.net_g.state_dict()[name], value, rtol=0.05, atol=0.02)


def test_checkpointing_is_in_the_training(tmp_path):
    plain, model = (train(start(stage2_options(tmp_path, **each)), [4]) for each in ({}, dict(checkpointing=True)))
    assert all(level.checkpointing for level in model.net_g.levels)
    assert_identical(everything(model), everything(plain))
