"""What a constructor or an option file means where it says nothing: files of networks and of options rest on it."""

import dataclasses
import inspect

import pytest

from selfsr_plugin import archs, losses, stages
from selfsr_plugin.baselines import models
from selfsr_plugin.stages import selfsr_model
from selfsr_plugin.stages.cyclegan_degradation_model import CycleGANDegradationOptions
from selfsr_plugin.stages.flow_degradation_model import FlowDegradationOptions
from selfsr_plugin.stages.selfcond_sr_model import SelfCondSROptions

ARGUMENTS = {
    archs.SelfCondSRNet: dict(
        num_in_ch=3, num_out_ch=3, widths=(384, 192, 96), num_block=4, cond_ratio=8, condition='scale'
    ),
    archs.FlowDegradationNet: dict(num_in_ch=3, num_feat=64, num_block=6, max_flow=2.0, center_flow=False),
    archs.CycleGANGenerator: dict(num_in_ch=3, num_feat=64, num_block=6),
    archs.DomainDiscriminator: dict(num_in_ch=3, num_feat=64),
    archs.ProgressiveDiscriminator: dict(
        size=128, num_in_ch=3, num_level=3, feat_base=4096, feat_max=512, stddev_group=4
    ),
    losses.FlowTVLoss: dict(loss_weight=1.0),
}
FAST = dict(nonfinite='stop', precision='auto', compile=False, channels_last=False)
OPTIONS = {
    FlowDegradationOptions: dict(r1_reg_weight=0, warmup_iter=0, accum_iter=1, **FAST, scheduler=None),
    CycleGANDegradationOptions: dict(warmup_iter=0, accum_iter=1, **FAST, scheduler=None),
    SelfCondSROptions: dict(
        grow_at=[],
        fade_iter=0,
        r1_reg_weight=0,
        net_d_reg_every=1,
        ema_decay=0,
        lq_noise=0,
        lq_from_gt=False,
        net_d_iters=1,
        net_d_init_iters=0,
        warmup_iter=0,
        accum_iter=1,
        checkpointing=False,
        **FAST,
    ),
}


@pytest.mark.parametrize('cls', ARGUMENTS)
def test_arguments(cls):
    assert {name: each.default for name, each in inspect.signature(cls).parameters.items()} == ARGUMENTS[cls]


@pytest.mark.parametrize('cls', OPTIONS)
def test_options(cls):
    fields = {field.name: field for field in dataclasses.fields(cls)}
    found = {name: fields[name].default for name in OPTIONS[cls] if fields[name].default is not dataclasses.MISSING}
    found.update({name: fields[name].default_factory() for name in OPTIONS[cls] if name not in found})
    assert found == OPTIONS[cls]


def test_stage_1_is_the_method_of_the_paper():
    assert selfsr_model.DEFAULT_STAGE1 == 'FlowDegradationModel'


def test_networks_that_a_test_asks_for_are_those_that_it_runs():
    others = dict(
        CycleGANDegradationModel=('deg', 'clean'),
        FlowDegradationModel=('deg',),
        HighToLowModel=('deg',),
        HourglassModel=('hg',),
        PseudoSupervisionModel=('g', 'clean'),
    )
    for name in [*stages.__all__, *models.__all__]:
        model = getattr(stages, name, None) or getattr(models, name)
        assert model.options_class.tested == others.get(name, ('g',)), name
