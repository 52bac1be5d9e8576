"""Networks that do not go with a model of BasicSR's or with the images: said before its loop."""

import re
from pathlib import Path

import pytest
import torch
from basicsr.utils.registry import ARCH_REGISTRY
from run_kit import refused, start, trained, workplace  # noqa: F401
from torch import nn

from selfsr_plugin.archs import SelfCondSRNet


@pytest.fixture
def adversarial(trained):
    """Options of a training with BasicSR's SRGANModel and a discriminator of ours."""
    trained.update(model_type='SRGANModel', network_d=dict(type='DomainDiscriminator', num_feat=4))
    trained['train'].update(
        optim_d=dict(type='Adam', lr=0.0001), gan_opt=dict(type='GANLoss', gan_type='hinge', loss_weight=0.1)
    )
    return trained


def loop_of(monkeypatch):
    """The calls of BasicSR's loop, which does nothing here."""
    calls = []
    monkeypatch.setattr('basicsr.train.train_pipeline', calls.append)
    return calls


@pytest.mark.parametrize(
    'network, message',
    [
        (
            dict(type='FlowDegradationNet', num_feat=4, num_block=1),
            r'network_g\.type: FlowDegradationNet makes 16x16x3 of an LR image of 16x16x3, and SRModel compares it '
            r'with the HR image of 64x64x3: use a network that enlarges 4 times, such as SelfCondSRNet\.',
        ),
        (dict(type='EDSR', num_in_ch=3, num_out_ch=3, num_feat=4, num_block=1, upscale=2), r'EDSR makes 32x32x3 of an'),
        (dict(type='SelfCondSRNet', widths=[8, 8], num_block=1, num_out_ch=1), r'makes 64x64x1 of .* image of 64x64x3'),
    ],
)
def test_generators(trained, capsys, network, message):
    trained['network_g'] = network
    assert re.search(message, refused(capsys, trained))
    assert not Path('experiments').exists()


def test_a_discriminator_of_pairs(adversarial, capsys):
    adversarial['model_type'] = 'HiFaceGANModel'
    adversarial['train'].update(
        {f'{each}_opt': dict(type='L1Loss') for each in ('pixel', 'perceptual', 'feature_matching')}
    )
    message = refused(capsys, adversarial)
    assert 'network_d.type: DomainDiscriminator judges an image, and HiFaceGANModel' in message
    assert message.endswith('use HiFaceGANDiscriminator.') and not Path('experiments').exists()


def test_a_generator_of_several_images(trained, capsys, monkeypatch):
    class Two(SelfCondSRNet):
        def forward(self, images):
            return [super().forward(images)] * 2

    monkeypatch.setitem(ARCH_REGISTRY._obj_map, 'Two', Two)
    trained['network_g']['type'] = 'Two'
    assert 'network_g.type: Two gives more than one image, and SRModel learns from one' in refused(capsys, trained)


@pytest.mark.parametrize(
    'network, message',
    [
        (
            dict(type='ProgressiveDiscriminator', size=128, num_level=2, feat_base=128, feat_max=8),
            r'network_d: ProgressiveDiscriminator cannot be run with images of 64x64, which datasets\.train gives it: '
            r'it says: .* judges images of 128x128, not 64x64\.$',
        ),
        (
            dict(type='VGGStyleDiscriminator', num_in_ch=3, num_feat=4),
            r'network_d: VGGStyleDiscriminator cannot be run with images of 64x64, .* Input size must be identical',
        ),
    ],
)
def test_discriminators(adversarial, capsys, network, message):
    adversarial['network_d'] = network
    assert re.search(message, refused(capsys, adversarial))
    assert not Path('experiments').exists()


def test_what_fits_is_run(adversarial, monkeypatch):
    calls = loop_of(monkeypatch)
    start(adversarial)
    adversarial['network_d'] = dict(type='UNetDiscriminatorSN', num_in_ch=3, num_feat=4)
    start(adversarial)
    assert len(calls) == 2


def test_what_runs_on_a_gpu_alone_is_left_to_basicsr(adversarial, monkeypatch):
    class Fused(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise RuntimeError('input must be a CUDA tensor')

    monkeypatch.setitem(ARCH_REGISTRY._obj_map, 'Fused', Fused)
    adversarial['network_d'] = dict(type='Fused')
    calls = loop_of(monkeypatch)
    start(adversarial)
    assert len(calls) == 1
