"""What is asked of every network of the baselines, and the parameter counts of their sources."""

import inspect
import math
from typing import Any

import pytest
import torch
from arch_asserts import assert_built_by_basicsr, count_on_meta, make, parameters_with_gradient, rand
from baseline_kit import SMALL, Small
from basicsr.archs.rcan_arch import RCAN
from torch import Tensor, nn

from selfsr_plugin.baselines import archs
from selfsr_plugin.baselines.archs import dic_arch

COUNTS = [
    # The counts of Table I: 24.34 M, 2.15 M, 21.80 M, 8.97 M.
    (archs.RDN, {}, 24_339_075),
    (archs.RDN, dict(upsampler='stepwise'), 22_418_819),
    (archs.FSRNet, dict(num_parsing=0), 2_152_512),
    (archs.FSRNet, {}, 2_153_931),
    (archs.FSRNet, dict(share_blocks=False), 3_263_691),
    (archs.DIC, {}, 21_803_849),
    (archs.FeedbackHourglass, {}, 11_999_172),
    (archs.PFSRNet, {}, 8_969_097),
    (archs.PFSRDiscriminator, {}, 8_065_537),
    (archs.LightCNNDiscriminator, {}, 5_485_921),
    (archs.SRGANDiscriminator, dict(head='patch'), 4_693_697),
    # Table II states none.
    (archs.DeepDeblur, {}, 11_721_321),
    (archs.WaveletSRNet, {}, 51_353_968),
    (archs.WaveletSRNet, dict(scale=8), 74_999_296),
    (archs.SRResNet, {}, 1_549_462),
    (archs.SRGANDiscriminator, {}, 13_079_745),
    (archs.HighToLow, dict(noise_dim=0), 1_336_515),
    # the linear layer that makes the noise a channel, and that channel in the first convolution
    (archs.HighToLow, {}, 1_336_515 + 64 * 64**2 + 64**2 + 64 * 9),
    # what is published counts a 1x1 convolution, 128 to 96, that it does not use
    (archs.LowToHigh, {}, 15_490_403 - 128 * 96 - 96),
    (archs.SNDiscriminator, {}, 1_382_017),
    (archs.SNDiscriminator, dict(num_down=2), 1_348_993),
    # what is published counts two 1x1 convolutions from colours to colours that shift by nothing
    (archs.TransferNet, {}, 1_291_379 - 2 * (3 * 3 + 3)),
    (RCAN, dict(num_in_ch=3, num_out_ch=3, num_group=5, num_block=10, upscale=1), 3_946_915 - 2 * (3 * 3 + 3)),
    (RCAN, dict(num_in_ch=3, num_out_ch=3, num_group=5, num_block=20, upscale=4), 7_964_139 - 2 * (3 * 3 + 3)),
    (archs.NLayerDiscriminator, {}, 2_764_737),
    (archs.NLayerDiscriminator, dict(num_down=2), 2_764_737),
    (archs.CycleGANUpscaler, {}, 7_818_627),
]


@pytest.mark.parametrize('cls, arguments, count', COUNTS)
def test_parameter_count(cls, arguments, count):
    if cls is archs.SNDiscriminator:  # whose power iteration takes seconds to start on 'meta'
        assert sum(parameter.numel() for parameter in cls(**arguments).parameters()) == count
    else:
        assert count_on_meta(cls, **arguments) == count


def inputs(small: Small) -> list[Tensor]:
    return [rand(*shape, seed=seed).double() for seed, shape in enumerate(small.given)]


def made(name: str) -> nn.Module:
    return make(SMALL[name].cls, **SMALL[name].arguments).double()


def tensors(output: Any) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else [tensor for part in output for tensor in tensors(part)]


every_network = pytest.mark.parametrize('name', SMALL)


@every_network
def test_built_by_basicsr(name):
    assert_built_by_basicsr(SMALL[name].cls, SMALL[name].arguments)


@every_network
def test_shape_of_the_output(name):
    small, net = SMALL[name], made(name)
    output = net(*inputs(small))
    assert output.shape == small.shape and output.dtype == torch.float64
    if small.has_parts:
        parts = tensors(net.eval()(*inputs(small), return_parts=True))
        # the image for which a network is called is one of its parts, and the same
        assert any(torch.equal(part, net(*inputs(small))) for part in parts)


@every_network
def test_every_parameter_learns(name):
    """DistributedDataParallel waits for a gradient from each."""
    small, net = SMALL[name], made(name)
    wanted = {key for key, parameter in net.named_parameters() if parameter.requires_grad}
    keywords = dict(return_parts=True) if small.has_parts else {}
    second = [rand(2, 8, 4, 8).double()] if name == 'FeedbackHourglass' else []
    given = [*inputs(small), *second]
    learn = parameters_with_gradient(net, lambda: sum(part.sum() for part in tensors(net(*given, **keywords))))
    assert learn == wanted
    assert len(learn) == len(list(net.parameters())) or name.startswith('PFSR')  # these grow


@every_network
def test_close_in_mixed_precision(name):
    """In which GPUs train by default."""
    net, given = made(name).float().eval(), [each.float() for each in inputs(SMALL[name])]
    with torch.no_grad():
        expected = net(*given)
        with torch.autocast('cpu', torch.bfloat16):
            got = net(*given).float()
    assert (got - expected).abs().max() < 0.1 * expected.abs().max()


DEEP = {
    'RDN': dict(num_block=4, num_conv=5),
    'RDN stepwise': dict(scale=16),
    'SRResNet': dict(num_block=5, scale=8),
    'FSRNet': dict(num_block=[2, 3, 4]),
    'FSRNet unshared': dict(num_block=[4, 5, 4], num_hourglass=4),
    'DIC': dict(num_step=4, num_group=4, num_fusion_block=4, num_landmark=68),
    'PFSRNet': dict(num_feat=16, num_level=4),
    'PFSRDiscriminator': dict(num_level=4),
    'WaveletSRNet': dict(num_block=4, scale=8),
    'DeepDeblur': dict(num_block=5, num_scale=4, scale=8),
    'HighToLow': dict(num_block=3, num_down=4, num_up=4),
    'LowToHigh': dict(widths=[5, 4, 3, 2], num_block=[4, 5, 4]),
    'SNDiscriminator': dict(num_block=6, num_down=3),
    'TransferNet': dict(num_block=5),
    'NLayerDiscriminator': dict(num_layer=5, num_down=1),
}


@pytest.mark.parametrize('name', DEEP)
def test_however_deep_every_layer_learns(name):
    small = SMALL[name]
    net = make(small.cls, **{**small.arguments, **DEEP[name]}).double()
    given = inputs(small)
    if name == 'NLayerDiscriminator':
        given = [rand(1, 3, 56, 56).double()]
    keywords = dict(return_parts=True) if small.has_parts else {}
    learn = parameters_with_gradient(net, lambda: sum(part.sum() for part in tensors(net(*given, **keywords))))
    lower = {key for key, _ in net.named_parameters() if 'rgb' in key and name.startswith('PFSR')}  # of other levels
    assert {key for key, _ in net.named_parameters()} - learn <= lower


@every_network
def test_evaluation_changes_nothing_and_mixes_no_faces(name):
    small, net = SMALL[name], made(name)
    with torch.no_grad():
        for _ in range(3):  # statistics that are not those of the start
            net(*inputs(small))
        state = {key: value.clone() for key, value in net.state_dict().items()}
        together = net.eval()(*inputs(small))
        alone = net(*(given[1:2] for given in inputs(small)))
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    if name != 'PFSRDiscriminator':  # is told how much the faces of a batch differ
        torch.testing.assert_close(alone, together[1:2], rtol=1e-9, atol=1e-9)


@every_network
def test_statistics_are_learnt_in_training(name):
    small, net = SMALL[name], made(name)
    before = {key: value.clone() for key, value in net.named_buffers()}
    net(*inputs(small))
    for key, value in net.named_buffers():
        assert not torch.equal(value, before[key]) or key == 'to_logit.parametrizations.weight.0._u', key  # of length 1


@pytest.mark.parametrize(
    'cls, arguments, words',
    [
        (archs.RDN, dict(scale=6), 'power of two'),
        (archs.RDN, dict(upsampler='other'), "'direct' or 'stepwise'"),
        (archs.SRResNet, dict(scale=1), 'power of two'),
        (archs.SRGANDiscriminator, dict(head='other'), "'dense' or 'patch'"),
        (archs.SRGANDiscriminator, dict(size=40), 'multiple of 16'),
        (archs.FSRNet, dict(num_block=[3, 12]), 'three numbers'),
        (archs.DIC, dict(num_landmark=98), '5, 68, 194'),
        (archs.DIC, dict(num_step=1), '2 or more'),
        (archs.LightCNNDiscriminator, dict(size=24), 'multiple of 16'),
        (archs.LightCNNDiscriminator, dict(size=0), 'multiple of 16'),
        (archs.LightCNNDiscriminator, dict(widths=[48]), 'four numbers'),
        (archs.PFSRNet, dict(num_feat=20), r'multiple of 2 \*\* num_level'),
        (archs.PFSRDiscriminator, dict(num_level=0), '1 or more'),
        (archs.WaveletSRNet, dict(scale=3), 'power of two'),
        (archs.DeepDeblur, dict(scale=2), 'smaller than the LR image'),
        (archs.LowToHigh, dict(widths=[8, 4]), 'one width more'),
        (archs.LowToHigh, dict(widths=[8], num_block=[]), 'one width more'),
        (archs.SNDiscriminator, dict(num_down=6), 'from 1 to num_block'),
        (archs.NLayerDiscriminator, dict(num_down=4), 'from 0 to num_layer'),
        (archs.CycleGANUpscaler, dict(scale=0), 'CycleGANUpscaler: scale'),
    ],
)
def test_arguments_that_cannot_be(cls, arguments, words):
    with pytest.raises(ValueError, match=words), torch.device('meta'):
        cls(**arguments)


@pytest.mark.parametrize(
    'cls, arguments',
    [
        (archs.SNDiscriminator, dict(num_feat=4, num_block=2, num_down=2)),
        (archs.NLayerDiscriminator, dict(num_feat=4, num_layer=2, num_down=2)),
        (archs.DeepDeblur, dict(num_feat=4, num_block=1, num_scale=2, scale=2)),
    ],
)
def test_arguments_at_their_bounds(cls, arguments):
    assert cls(**arguments)(rand(1, 3, 64, 64)).isfinite().all()


@pytest.mark.parametrize(
    'name, shape, words',
    [
        ('SRGANDiscriminator', (1, 3, 32, 48), '32x32'),
        ('SRGANDiscriminator', (1, 3, 48, 32), '32x32'),
        ('FSRNet', (1, 3, 5, 4), 'multiples of 8, not 20x16'),
        ('FSRNet', (1, 3, 4, 5), 'multiples of 8, not 16x20'),
        ('DIC', (1, 3, 12, 8), 'multiples of 64, not 96x64'),
        ('DIC', (1, 3, 8, 12), 'multiples of 64, not 64x96'),
        ('LightCNNDiscriminator', (1, 3, 32, 16), '16x16'),
        ('LightCNNDiscriminator', (1, 3, 16, 32), '16x16'),
        ('HighToLow', (1, 3, 32, 16), '16x16'),
        ('HighToLow', (1, 3, 8, 32), '16x16'),  # of as many pixels
        ('HighToLow without noise', (1, 3, 18, 16), 'multiples of 4'),
        ('HighToLow without noise', (1, 3, 16, 18), 'multiples of 4'),
        ('TransferNet', (1, 3, 6, 8), 'multiples of 4'),
        ('TransferNet', (1, 3, 8, 6), 'multiples of 4'),
    ],
)
def test_images_that_do_not_fit(name, shape, words):
    with pytest.raises(ValueError, match=words):
        made(name)(rand(*shape).double())


def test_sn_discriminator_starts_as_published():
    """Xavier's uniform weights, those of a skip connection sqrt(2) as large, before they are divided by their norm."""
    torch.manual_seed(0)
    for key, parameter in archs.SNDiscriminator(num_feat=32).named_parameters():
        if parameter.dim() < 2:  # a bias
            continue
        receptive = parameter[0, 0].numel()
        bound = math.sqrt(6 / (receptive * sum(parameter.shape[:2]))) * (math.sqrt(2) if '.skip.' in key else 1)
        assert 0.95 * bound < parameter.abs().max() <= bound, key


def test_options_that_leave_out_the_number_of_landmarks_mean_68():
    defaults = [
        inspect.signature(cls).parameters['num_landmark'].default for cls in (archs.DIC, archs.FeedbackHourglass)
    ]
    assert defaults == [68, 68]


def test_srresnet_starts_as_published():
    """PReLU's slopes of He et al."""
    slopes = [module.weight.item() for module in archs.SRResNet(num_feat=4).modules() if isinstance(module, nn.PReLU)]
    assert slopes == [0.25] * (1 + 16 + 2)


def test_channels_of_a_deeper_discriminator_end_at_eight_times_the_first():
    net = archs.NLayerDiscriminator(num_feat=2, num_layer=5)
    assert [conv.out_channels for conv in net.convs] == [2, 4, 8, 16, 16, 16]


def test_landmarks_of_dic_are_grouped_by_the_parts_of_a_face():
    """Left eye, right eye, nose, mouth, the rest: iBUG's 68 points, and Helen's 194, each of which counts once."""
    groups = {count: [[i for part in parts for i in part] for parts in of] for count, of in dic_arch.GROUPS.items()}
    assert groups[5] == [[0], [1], [2], [3], [4]]
    assert groups[68] == [list(range(*ends)) for ends in ((36, 42), (42, 48), (27, 36), (48, 68), (0, 27))]
    assert sorted(i for group in groups[194] for i in group) == list(range(194))
    assert [len(group) for group in groups[194]] == [40, 40, 17, 56, 41]


def test_dic_starts_after_he_with_normal_weights_and_slopes_of_a_fifth():
    torch.manual_seed(0)
    net = archs.DIC(num_feat=8, num_group=2, num_fusion_block=1, hourglass_feat=8)
    weight = net.first_block.down[0][0].weight  # 8 channels, 12x12
    assert weight.std().item() == pytest.approx((2 / weight[0].numel()) ** 0.5, rel=0.05)
    assert weight.abs().max() > (6 / weight[0].numel()) ** 0.5  # beyond what a uniform distribution of this width has
    slopes = [module.weight for module in net.modules() if isinstance(module, nn.PReLU)]
    assert slopes and all((each == 0.2).all() for each in slopes)


def test_one_image_alone_differs_from_none():
    net = archs.PFSRDiscriminator(num_feat=4, num_level=2, num_hidden=8).double()
    image = torch.rand(1, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(net(image), net(torch.cat((image, image)))[:1], rtol=0, atol=1e-9)


def test_enlarged_faces_are_images_before_they_are_translated():
    """The bicubic kernel overshoots at edges."""
    net, seen = archs.CycleGANUpscaler(num_feat=2, num_block=1), []
    net.stem.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    net(torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(1, 3, 4, 1))
    assert (seen[0].min(), seen[0].max()) == (-1, 1)


def test_pfsr_at_its_first_level_has_nothing_to_fade_from():
    net = archs.PFSRNet(num_feat=8, num_level=3)
    assert net.active_modules(1, True) == net.active_modules(1, False) == [net.stem, net.levels[0], net.to_rgb[0]]


def test_noise_that_nobody_gives_is_normal():
    net, seen = archs.TransferNet(num_feat=4, num_block=1), []
    net.noise.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    torch.manual_seed(0)
    net(torch.rand(2, 3, 64, 64))
    assert seen[0].shape == (2, 1, 16, 16) and abs(seen[0].mean()) < 0.2 and abs(seen[0].std() - 1) < 0.2
