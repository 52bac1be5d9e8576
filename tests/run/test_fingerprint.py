"""What a resumed run must have in common with the run before, and what it may change."""

import copy
from pathlib import Path

import pytest
import torch

from selfsr_plugin.option_check import shorten_options
from selfsr_plugin.options import apply_overrides, read_option_file
from selfsr_plugin.run.fingerprint import differences, run_options

OPTIONS = Path(__file__).resolve().parents[2] / 'options'


def options(*overrides, file='train_selfsr_real.yml', world_size=1):
    opt = read_option_file(str(OPTIONS / file))
    apply_overrides(opt, overrides)
    return {**opt, 'world_size': world_size}


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    """As a state file brings it back."""
    file = tmp_path_factory.mktemp('state') / 'a.state'
    torch.save(run_options(options()), file)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(
    'override, named',
    [
        ('scale=8', 'scale (4 -> 8)'),
        ('manual_seed=1', 'manual_seed (0 -> 1)'),
        ('network_g:condition=concat', "network_g.condition ('scale' -> 'concat')"),
        ('network_deg:center_flow=true', 'network_deg.center_flow (False -> True)'),
        ('train:sr:optim_g:lr=0.001', 'train.sr.optim_g.lr (0.003 -> 0.001)'),
        ('train:sr:optim_g:amsgrad=true', 'train.sr.optim_g.amsgrad (False -> True)'),
        ('train:sr:optim_g:type=RAdam', "train.sr.optim_g.type ('Adam' -> 'RAdam')"),
        ('train:sr:ema_decay=0.9', 'train.sr.ema_decay (0.0 -> 0.9)'),
        ('train:sr:grow_at=[50000]', 'train.sr.grow_at ([60000] -> [50000])'),
        ('train:degradation:warmup_iter=5', 'train.degradation.warmup_iter (0 -> 5)'),
        ('train:degradation:total_iter=180001', 'train.degradation.total_iter (180000 -> 180001)'),
        ('train:sr:precision=bf16', "train.sr.precision ('auto' -> 'bf16')"),
        ('train:degradation:identity_opt=~', 'train.degradation.identity_opt'),
        ('datasets:train:use_hflip=false', 'datasets.train.use_hflip (True -> False)'),
        ('datasets:train:batch_size_per_gpu=24', 'batch_size_per_gpu x processes (48 -> 24)'),
    ],
)
def test_a_change_of_what_is_computed_is_named(saved, override, named):
    opt = options(override)
    if 'degradation:total_iter' in override:
        opt['train']['total_iter'] += 1
    assert named in differences(saved, opt)


@pytest.mark.parametrize(
    'override',
    [
        'name=other',
        'num_gpu=0',
        'datasets:train:dataroot_gt=elsewhere',
        'datasets:train:num_worker_per_gpu=0',
        'datasets:train:max_bad_share=0.5',
        'train:sr:nonfinite=skip',
        'logger:print_freq=1',
        'val:val_freq=7',
        'path:pretrain_network_g=x.pth',
        'train:sr:optim_g:weight_decay=0',
        'train:sr:scheduler=~',
        'network_g:cond_ratio=8',
    ],
)
def test_what_computes_the_same_may_change(saved, override):
    assert differences(saved, options(override)) == ''


def test_another_method_of_stage_1_is_named_as_such(saved):
    other = options(file='table3/train_cyc_idt.yml')
    assert "train.degradation.model_type ('FlowDegradationModel' -> 'CycleGANDegradationModel')" in differences(
        saved, other
    ).split(', ')


def test_a_finished_run_can_be_made_longer_unless_a_schedule_depends_on_its_length(saved):
    longer = options('train:sr:total_iter=170000', 'train:total_iter=350000')
    assert differences(saved, longer) == ''
    decay = 'train:sr:scheduler={type: LinearDecayLR, decay_from: 9}'
    saved = run_options(options(decay))
    longer = options(decay, 'train:sr:total_iter=170000', 'train:total_iter=350000')
    assert 'train.sr.total_iter (160000 -> 170000)' in differences(saved, longer)


def test_more_processes_with_smaller_batches_are_the_same_run(saved):
    assert differences(saved, options('datasets:train:batch_size_per_gpu=12', world_size=4)) == ''


def test_what_leaves_out_a_default_is_what_writes_it_out(saved):
    opt = options()
    for key in ('fade_iter', 'ema_decay', 'net_d_reg_every', 'warmup_iter', 'accum_iter', 'perceptual_opt'):
        del opt['train']['sr'][key]
    del opt['network_g']['condition'], opt['train']['sr']['pixel_opt']['reduction']
    assert differences(saved, opt) == differences(run_options(opt), options()) == ''


def test_states_of_version_0_1_0_are_compared_by_the_keys_that_it_had():
    opt = options(file='table3/train_vanilla.yml')
    old = {
        key: value
        for key, value in run_options(opt).items()
        if not key.endswith(
            (
                'lq_from_gt',
                'warmup_iter',
                'accum_iter',
                'net_d_iters',
                'net_d_init_iters',
                'perceptual_opt',
                'precision',
            )
        )
    }
    assert differences(old, opt) == ''
    both = options()
    old = {key.replace('d_lq', 'd_lr'): value for key, value in run_options(both).items()}
    assert differences({**old, 'model_type': 'SelfSRModel'}, both) == ''
    old = run_options(opt)
    assert 'train.ema_decay (0.0 -> 0.5)' in differences(
        old, options('train:ema_decay=0.5', file='table3/train_vanilla.yml')
    )


def test_a_shortened_run_says_so(saved):
    opt = options()
    del opt['world_size']
    opt['shortened'] = {'by': 20000, **shorten_options(opt, 20000)}
    again = {**copy.deepcopy(opt), 'world_size': 1}
    assert "shortened by ('not set' -> 20000)" in differences(saved, again)
    assert differences(run_options(again), again) == ''
