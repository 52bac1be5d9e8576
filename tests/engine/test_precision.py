"""Training in 16 bits beside training in 32: what is in which format, curves within a band, what devices refuse."""

import sys
from pathlib import Path

import pytest
import torch
from basicsr.utils import get_root_logger

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

from selfsr_plugin.engine.checkpoint import load_checkpoint  # noqa: E402
from selfsr_plugin.engine.precision import Precision  # noqa: E402
from selfsr_plugin.errors import UserError  # noqa: E402

CPU = torch.device('cpu')
SLOW = dict(ADAM, lr=0.0003)  # at ten times the rate the two networks of a GAN, a millionth apart, go their own ways


def curve(opt, iterations=10):
    model, found = start(opt), []
    for iteration in range(1, iterations + 1):
        train(model, [iteration])
        found.append(model.get_current_log())
    return found


def apart(one, other):
    """The largest difference of a value of two curves, relative to the value or to 0.1 if that is more."""
    return max(abs(a[name] - b[name]) / max(abs(a[name]), 0.1) for a, b in zip(one, other) for name in a)


@pytest.mark.parametrize(
    'make, changes',
    [
        (stage1_options, dict(r1_reg_weight=1)),
        (cyclegan_options, dict(pool_size=2)),
        (stage2_options, dict(supervision='pseudo', grow_at=[4], fade_iter=4, optim_g=SLOW, optim_d=SLOW)),
    ],
    ids=['stage1', 'cyclegan', 'stage2'],
)
def test_curves_of_bf16_lie_beside_those_of_fp32(tmp_path, make, changes):
    """Every term of ten iterations within 3 %, R1, growth and fading included; and they are not the same."""
    fp32, bf16 = (curve(make(tmp_path, precision=precision, **changes)) for precision in ('fp32', 'bf16'))
    assert 0 < apart(fp32, bf16) < 0.03


def test_auto_on_a_cpu_is_fp32(tmp_path):
    auto, fp32 = (train(start(stage1_options(tmp_path, **each)), [1]) for each in ({}, dict(precision='fp32')))
    assert_identical(everything(auto), everything(fp32))
    assert auto.updater.precision.name == 'fp32'


def test_what_is_computed_in_which_format(tmp_path, monkeypatch):
    """Convolutions in bf16 but for the last ones, and everything of R1 in float32; images, losses, weights as well."""
    from torch.nn import functional as F

    model = start(stage2_options(tmp_path, supervision='unpaired', precision='bf16', net_d_reg_every=1))
    seen, convolve = {}, F.conv2d

    def conv2d(x, *args, **kwargs):
        output = convolve(x, *args, **kwargs)
        seen.setdefault((x.shape[1], output.shape[1], x.shape[-1]), set()).add(output.dtype)
        return output

    monkeypatch.setattr(F, 'conv2d', conv2d)
    images = []
    model.net_g.register_forward_hook(lambda _, inputs, output: images.extend([inputs[0].dtype, output.dtype]))
    model.feed_data(batch(4))
    model.optimize_parameters(4)
    assert set(images) == {torch.float32}
    assert seen[(4, 3, 64)] == {torch.float32}  # to the image
    assert seen[(6, 6, 32)] == {torch.bfloat16}  # a block of the generator
    assert seen[(4, 4, 32)] >= {torch.float32, torch.bfloat16}  # of the discriminator: with R1, without
    assert all(value.dtype == torch.float32 for value in model.log_dict.values() if torch.is_tensor(value))
    for label in ('g', 'd'):
        for parameter in getattr(model, f'net_{label}').parameters():
            assert parameter.dtype == torch.float32 and (
                parameter.grad is None or parameter.grad.dtype == torch.float32
            )


def test_validation_is_in_single_precision(tmp_path):
    model = train(start(stage2_options(tmp_path, precision='bf16', ema_decay=0.5)), [1])
    data = dict(lq=batch(1)['lq'][:1], gt=batch(1)['gt'][:1])
    for module in model.net_g_ema.modules():
        module.register_forward_hook(lambda _, __, output: kinds.add(output.dtype))
    kinds = set()
    model.evaluate(data)
    assert kinds == {torch.float32}


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_resumed_run_is_bit_identical(tmp_path, precision):
    """The scale of fp16 too, which is found by trying: at its start some steps are left out."""
    opt = stage1_options(tmp_path, precision=precision)
    through = train(start(opt), range(1, 6), save_at=[3])
    resumed = start(opt)
    resumed.resume_training(load_checkpoint(tmp_path / 'training_states/3.state'))
    train(resumed, range(4, 6))
    assert_identical(everything(resumed), everything(through))
    assert resumed.updater.state_dict() == through.updater.state_dict()


def test_a_gradient_beyond_fp16_lowers_the_scale_and_is_no_fault(tmp_path):
    """nonfinite: stop. Of the scale that fits the weights learn, and the gradient is that of fp32."""
    opt = stage1_options(tmp_path, precision='fp16')
    model = start(opt)
    model.updater.load_state_dict(
        {
            'scalers': {
                'deg': dict(scale=2.0**40, growth_factor=2, backoff_factor=2**-30, growth_interval=9, _growth_tracker=0)
            }
        }
    )
    before = everything(model)['deg.params']
    train(model, [1])
    assert_identical(everything(model)['deg.params'], before)
    train(model, [2])
    assert any(not torch.equal(value, before[name]) for name, value in everything(model)['deg.params'].items())
    model.get_current_log()  # would raise
    assert model.updater.state_dict()['scalers']['deg']['scale'] == 2.0**10


def test_a_network_that_fp16_cannot_hold_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr('selfsr_plugin.engine.finite.MAX_SKIPPED_IN_A_ROW', 3)
    model = start(stage1_options(tmp_path, precision='fp16'))
    for parameter in model.net_deg.parameters():
        parameter.register_hook(lambda gradient: gradient * float('inf'))
    train(model, [1, 2])
    model.get_current_log()
    train(model, [3])
    with pytest.raises(UserError, match='gradient of network_deg is not finite at any scale of fp16, 3 times in a row'):
        model.get_current_log()


def test_what_networks_return_is_in_single_precision_or_better():
    """Those of BasicSR too, whose last layers are in 16 bits."""

    class TwoImages(torch.nn.Conv2d):
        def forward(self, x):
            return super().forward(x), x

    net, image = TwoImages(3, 3, 1), torch.rand(1, 3, 4, 4)
    in_bf16, unchanged = Precision('bf16', CPU).runs(net)(image)
    assert in_bf16.dtype == torch.float32 and not torch.equal(in_bf16, net(image)[0])
    assert unchanged is image
    double = image.double()
    assert Precision('bf16', CPU).runs(torch.nn.Identity())(double).dtype == torch.float64


@pytest.mark.parametrize('precision, rounded', [('fp32', False), ('tf32', True), ('bf16', True), ('fp16', True)])
def test_which_convolutions_of_a_gpu_are_rounded(monkeypatch, precision, rounded):
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda _: (8, 0))
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', not rounded)
    Precision(precision, torch.device('cuda')).choose_convolutions()
    assert torch.backends.cudnn.allow_tf32 is rounded


@pytest.mark.parametrize('before', [True, False])
def test_a_run_on_the_cpu_leaves_the_convolutions_of_gpus_to_others(monkeypatch, before):
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', before)
    for precision in ('fp32', 'bf16'):
        Precision(precision, CPU).choose_convolutions()
    assert torch.backends.cudnn.allow_tf32 is before


def test_a_format_that_cpus_are_slow_in_is_remarked_on(monkeypatch, caplog):
    monkeypatch.setattr(get_root_logger(), 'propagate', True)
    for precision in ('auto', 'fp32'):
        Precision(precision, CPU)
    assert not caplog.records
    for precision in ('bf16', 'fp16'):
        Precision(precision, CPU)
        assert f'precision: {precision}: this run computes on the CPU' in caplog.records[-1].getMessage()
    assert len({each.getMessage() for each in caplog.records}) == 2


def test_what_a_device_cannot_do_is_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match='precision: tf32: .* the CPU: write precision: auto'):
        start(stage1_options(tmp_path, precision='tf32'))
    gpu = torch.device('cuda')
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda _: 'Tesla V100')
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda _: (7, 0))
    for precision in ('tf32', 'bf16'):
        with pytest.raises(UserError, match=f'precision: {precision}: Tesla V100 has no such format'):
            Precision(precision, gpu)
    assert Precision('auto', gpu).name == Precision('fp16', gpu).name == 'fp16'
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda _: (7, 5))
    assert Precision('auto', gpu).name == 'fp16'
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda _: (8, 0))
    assert Precision('auto', gpu).name == 'bf16' and Precision('tf32', gpu).dtype == torch.float32
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda _: (6, 1))
    assert Precision('auto', gpu).name == Precision('auto', CPU).name == 'fp32'


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device on this machine')
@pytest.mark.parametrize('precision', ['tf32', 'bf16', 'fp16'])
def test_curves_on_a_gpu_lie_beside_those_of_fp32(tmp_path, precision):
    settings = dict(supervision='pseudo', grow_at=[4], fade_iter=4, optim_g=SLOW, optim_d=SLOW)
    curves = [
        curve(dict(stage2_options(tmp_path, precision=each, **settings), num_gpu=1)) for each in ('fp32', precision)
    ]
    # The first scales of fp16 are too large: its steps lag behind by a few.
    assert apart(*curves) < (0.3 if precision == 'fp16' else 0.03)
