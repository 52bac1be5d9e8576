"""NaN and infinity never reach the weights; and between two lines of the log nothing waits for the device."""

import sys
from pathlib import Path

import pytest
import torch
from basicsr.utils import get_root_logger
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'stages'))  # the models' kit
from model_kit import (  # noqa: E402
    ADAM,
    assert_identical,
    batch,
    cyclegan_options,
    everything,
    stage1_options,
    stage2_options,
    start,
    train,
)

from selfsr_plugin.engine.finite import FiniteCheck, NonFiniteError  # noqa: E402

# Whatever a GPU would be waited for: numbers, and tensors whose size depends on values.
WAITS = ('_local_scalar_dense', 'is_nonzero', 'nonzero', 'equal', 'masked_select', '_unique2', 'item')


class Waits(TorchDispatchMode):
    """Counts, by name, what a GPU would be waited for."""

    def __init__(self, monkeypatch) -> None:
        super().__init__()
        self.found = []
        for name in ('cpu', 'numpy', 'tolist'):
            original = getattr(torch.Tensor, name)

            def method(tensor, *args, _original=original, _name=name):
                self.found.append(_name)
                return _original(tensor, *args)

            monkeypatch.setattr(torch.Tensor, name, method)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in WAITS:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


EVERYTHING = dict(
    supervision='pseudo', lq_noise=3.0, grow_at=[2], fade_iter=2, ema_decay=0.9, net_d_reg_every=2, accum_iter=2
)
CASES = [
    (stage1_options, dict(r1_reg_weight=1)),
    (stage1_options, dict(precision='fp16')),
    (cyclegan_options, dict(pool_size=3)),
    (stage2_options, EVERYTHING),
    (stage2_options, dict(supervision='unpaired', precision='bf16')),
    (stage2_options, dict(optim_g=dict(ADAM, type='AdamW'), nonfinite='skip')),
]
IDS = ['stage1', 'fp16', 'cyclegan', 'pseudo', 'bf16', 'skip']


@pytest.mark.parametrize('make, changes', CASES, ids=IDS)
def test_no_iteration_waits_for_the_device(tmp_path, monkeypatch, make, changes):
    model = start(make(tmp_path, **changes))
    with Waits(monkeypatch) as waits:
        train(model, range(1, 5))
        assert waits.found == []
        model.get_current_log()
        assert waits.found  # the count is one


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device on this machine')
@pytest.mark.parametrize('make, changes', CASES, ids=IDS)
def test_no_iteration_waits_for_a_gpu(tmp_path, make, changes):
    model = train(start(dict(make(tmp_path, **changes), num_gpu=1)), [1, 2, 3, 4])
    torch.cuda.synchronize()
    data = {key: value.cuda() for key, value in batch(5).items()}
    torch.cuda.set_sync_debug_mode('error')
    try:
        model.update_learning_rate(5)
        model.feed_data(data)
        model.optimize_parameters(5)
    finally:
        torch.cuda.set_sync_debug_mode('default')


def poisoned(model, iterations, bad):
    """Train; the batches of some iterations hold a NaN."""
    for iteration in iterations:
        data = batch(iteration)
        if iteration in bad:
            data['gt'][0, 0, 0, 0] = float('nan')
        model.update_learning_rate(iteration)
        model.feed_data(data)
        model.optimize_parameters(iteration)
    return model


@pytest.fixture
def warnings(monkeypatch):
    """Those of steps left out."""
    found = []
    monkeypatch.setattr(get_root_logger(), 'warning', lambda text: found.append(text) if 'skipped' in text else None)
    return found


SETTINGS = dict(supervision='paired', lq_from_gt=True, scheduler=None, grow_at=[])
OPTIMIZERS = pytest.mark.parametrize(
    'optimizer',
    [ADAM, dict(ADAM, foreach=True), dict(type='SGD', lr=0.01, momentum=0.9)],
    ids=['fused', 'foreach', 'SGD'],
)


@OPTIMIZERS
def test_stop_keeps_the_weights_of_before_until_it_is_told(tmp_path, optimizer):
    opt = stage2_options(tmp_path, optim_g=optimizer, optim_d=optimizer, **SETTINGS)
    before, model = poisoned(start(opt), range(1, 3), ()), poisoned(start(opt), range(1, 6), (3, 5))
    for label in ('g', 'd'):
        assert_identical(everything(model)[f'{label}.params'], everything(before)[f'{label}.params'])
    for what in (model.get_current_log, lambda: model.save(0, 5)):
        with pytest.raises(NonFiniteError, match='l_g_rec is nan') as caught:
            what()
        assert caught.value.iteration == 3
    assert not list(Path(opt['path']['training_states']).iterdir())


@OPTIMIZERS
def test_skip_leaves_the_step_out_and_goes_on(tmp_path, warnings, optimizer):
    """As if the iteration had not been: the optimizer's count and averages too."""
    opt = stage2_options(tmp_path, optim_g=optimizer, optim_d=optimizer, nonfinite='skip', **SETTINGS)
    without, model = poisoned(start(opt), (1, 2, 4), ()), poisoned(start(opt), range(1, 5), (3,))
    assert model.get_current_log()['skipped_steps'] == 2
    assert warnings == [
        'l_g_rec is nan: this step of network_g is skipped, 1 so far.',
        'l_d_real is nan: this step of network_d is skipped, 2 so far.',
    ]
    assert_identical(everything(model), everything(without))


@OPTIMIZERS
def test_skipped_from_the_first_step_on(tmp_path, warnings, optimizer):
    """Before the optimizer has made its averages."""
    opt = stage2_options(tmp_path, optim_g=optimizer, optim_d=optimizer, nonfinite='skip', **SETTINGS)
    without, model = poisoned(start(opt), (3, 4), ()), poisoned(start(opt), range(1, 5), (1, 2))
    assert model.get_current_log()['skipped_steps'] == 4
    assert warnings[0] == 'l_g_rec is nan: this step of network_g and 1 of those after it are skipped, 2 so far.'
    assert_identical(everything(model), everything(without))


def test_a_large_gradient_is_no_fault_and_is_not_clipped(tmp_path):
    """Also one whose squares are beyond single precision."""
    sgd = dict(type='SGD', lr=1e-30)
    model = start(stage2_options(tmp_path, optim_g=sgd, optim_d=sgd, **SETTINGS))
    weight = next(model.net_g.parameters())
    before = weight.detach().clone()
    weight.register_hook(lambda gradient: torch.full_like(gradient, 1e30))
    train(model, [1])
    model.get_current_log()
    torch.testing.assert_close(weight.detach(), before - 1)


def tell(check, value, iteration):
    return check(('g',), {'l_g': torch.tensor(value)}, {}, iteration, scaled=False).item()


def test_the_first_fault_is_told_and_each_is_counted_once(warnings):
    check = FiniteCheck('skip', torch.device('cpu'), dist=False)
    assert [tell(check, value, i) for i, value in enumerate((1.0, float('inf'), float('nan'), 2.0))] == [1, 0, 0, 1]
    check.check()
    check.check()
    assert warnings == ['l_g is inf: this step of network_g and 1 of those after it are skipped, 2 so far.']


def test_a_fault_of_another_process_is_one_of_this(monkeypatch, warnings):
    """Of two, the other has met a NaN in a term, which may leave the gradient of both as it is."""
    combined = {torch.distributed.ReduceOp.MIN: torch.minimum, torch.distributed.ReduceOp.MAX: torch.maximum}
    monkeypatch.setattr(
        torch.distributed, 'all_reduce', lambda flags, how: flags.copy_(combined[how](flags, torch.zeros_like(flags)))
    )
    check = FiniteCheck('stop', torch.device('cpu'), dist=True)
    assert not tell(check, 1.0, 1)
    with pytest.raises(NonFiniteError, match='a loss of another process is not finite'):
        check.check()


def test_too_many_in_a_row_end_the_run(tmp_path, warnings, monkeypatch):
    monkeypatch.setattr('selfsr_plugin.engine.finite.MAX_SKIPPED_IN_A_ROW', 4)
    model = start(stage2_options(tmp_path, nonfinite='skip', net_d_reg_every=2, **SETTINGS))
    poisoned(model, range(1, 6), (1, 2, 3, 5))
    model.get_current_log()
    poisoned(model, range(6, 9), (6, 7, 8))
    with pytest.raises(NonFiniteError, match='l_g_rec is nan, as in the 4 steps before'):
        model.get_current_log()


def test_an_infinite_gradient_of_finite_terms_is_named(tmp_path):
    model = start(stage2_options(tmp_path, **SETTINGS))
    next(model.net_d.parameters()).register_hook(lambda gradient: gradient / 0)
    poisoned(model, [1], ())
    with pytest.raises(NonFiniteError, match='gradient of network_d is (inf|nan)'):
        model.get_current_log()
