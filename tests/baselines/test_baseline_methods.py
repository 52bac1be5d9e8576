"""What each method of the baselines is about, where its network is held against the method."""

import math

import pytest
import torch
from arch_asserts import (
    assert_active_modules_are_those_used,
    assert_only_used_parameters_are_trained,
    make,
    parameters_with_gradient,
    rand,
)
from baseline_kit import SMALL
from torch import nn
from torch.nn import functional as F

from selfsr_plugin.baselines import archs
from selfsr_plugin.baselines.archs.dic_arch import merge_heatmaps
from selfsr_plugin.baselines.archs.upsampling import enlarge
from selfsr_plugin.ops import bicubic_downsample


def made(name: str, **changes: object) -> nn.Module:
    return make(SMALL[name].cls, **{**SMALL[name].arguments, **changes}).double()


# ----- FSRNet -----


def test_shared_blocks_are_one_block_again_and_again():
    shared, separate = made('FSRNet').eval(), made('FSRNet', share_blocks=False).eval()
    weights = shared.state_dict()
    for key in separate.state_dict():
        if key not in weights:  # of the second block of a chain, which the shared chain has not
            weights[key] = weights[key.replace('.blocks.1.', '.blocks.0.')]
    separate.load_state_dict(weights)
    lq = rand(1, 3, 4, 4).double()
    torch.testing.assert_close(shared(lq), separate(lq), rtol=1e-12, atol=1e-12)


def test_fsrnet_takes_its_priors_from_the_coarse_image_and_landmarks_come_first():
    net, lq = made('FSRNet').eval(), rand(1, 3, 4, 4).double()
    nn.init.constant_(net.heads[0].bias, 1e6)  # of the two landmarks
    parts = net(lq, return_parts=True)
    assert parts.prior.shape == (1, 5, 8, 8) and parts.coarse.shape == parts.image.shape == (1, 3, 16, 16)
    assert (parts.prior[:, :2] > 1e5).all() and (parts.prior[:, 2:] < 1e5).all()
    of_prior = parameters_with_gradient(net, lambda: net(lq, return_parts=True).prior)
    assert any(key.startswith('coarse.') for key in of_prior)
    assert not any(key.startswith(('encoder.', 'decoder.')) for key in of_prior)
    assert 0 <= parts.coarse.min() and parts.coarse.max() <= 1 and 0 <= parts.image.min() and parts.image.max() <= 1


def test_fsrnet_without_heads_gives_no_maps():
    parts = made('FSRNet', num_landmark=0, num_parsing=0)(rand(2, 3, 4, 4).double(), return_parts=True)
    assert parts.prior.shape == (2, 0, 8, 8)


# ----- DIC -----


def test_heatmaps_are_merged_by_facial_component():
    heatmaps = torch.zeros(1, 68, 4, 4, dtype=torch.float64)
    at = {36: (0, 0), 47: (0, 3), 27: (1, 1), 35: (1, 2), 48: (2, 0), 67: (2, 3), 0: (3, 0), 26: (3, 3)}
    for number, (row, column) in at.items():
        heatmaps[0, number, row, column] = 0.5
    heatmaps[0, 8, 3, 1] = 0.02  # too weak to be made 1
    merged = merge_heatmaps(heatmaps)
    expected = torch.zeros(1, 5, 4, 4, dtype=torch.float64)
    for group, number in ((0, 36), (1, 47), (2, 27), (2, 35), (3, 48), (3, 67), (4, 0), (4, 26)):
        expected[0, group][at[number]] = 1
    expected[0, 4, 3, 1] = 0.02 / 0.05
    torch.testing.assert_close(merged, expected)


@pytest.mark.parametrize('count', [5, 68, 194])
def test_every_landmark_is_in_one_group(count):
    """A heatmap that is 1 everywhere becomes 1 in one group: their sum counts the landmarks."""
    merged = merge_heatmaps(torch.ones(1, count, 2, 2, dtype=torch.float64))
    assert merged.shape == (1, 5, 2, 2) and merged[0, :, 0, 0].sum() == count


def test_five_landmarks_are_a_group_each():
    assert [group_of(number, 5) for number in range(5)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    'first, last, group',
    [
        (0, 40, 4),  # outline
        (41, 57, 2),  # nose
        (58, 113, 3),  # mouth
        (114, 133, 1),  # right eye and, below, its brow
        (134, 153, 0),
        (154, 173, 1),
        (174, 193, 0),
    ],
)
def test_groups_of_helens_landmarks(first, last, group):
    assert [group_of(number, 194) for number in (first, last)] == [group, group]


def group_of(number, count):
    heatmaps = torch.zeros(1, count, 2, 2)
    heatmaps[0, number] = 1
    (group,) = merge_heatmaps(heatmaps)[0, :, 0, 0].nonzero().flatten().tolist()
    return group


def test_dic_attends_to_what_its_hourglass_found():
    net, lq = made('DIC'), rand(1, 3, 8, 8).double()
    before = net(lq, return_parts=True)
    nn.init.constant_(net.hourglass.head[-1].bias, 3.0)  # flattens the attention after the maxima are divided out
    after = net(lq, return_parts=True)
    torch.testing.assert_close(after.images[0], before.images[0])
    assert (after.images[1] - before.images[1]).abs().max() > 1e-6
    assert len(before.images) == len(before.heatmaps) == 3 and before.heatmaps[0].shape == (1, 5, 16, 16)
    torch.testing.assert_close(net(lq), after.images[-1])


def test_dic_starts_from_the_bilinear_image():
    net, lq = made('DIC'), rand(1, 3, 8, 8).double()
    for parameter in net.to_rgb.parameters():
        nn.init.zeros_(parameter)
    expected = F.interpolate(lq, scale_factor=8, mode='bilinear', align_corners=False)
    for image in net(lq, return_parts=True).images:
        torch.testing.assert_close(image, expected)


def test_detached_attention_lets_no_image_teach_the_hourglass():
    lq = rand(1, 3, 8, 8).double()
    for detach in (False, True):
        net = made('DIC', detach_attention=detach)
        learn = parameters_with_gradient(net, lambda: net(lq, return_parts=True).images[-1])
        assert any(key.startswith('hourglass.') for key in learn) != detach


def test_a_hourglass_trained_alone_serves_dic():
    net = made('DIC')
    alone = archs.FeedbackHourglass(num_feat=8, num_landmark=5).double()
    net.hourglass.load_state_dict(alone.state_dict())
    parts = net(rand(1, 3, 8, 8).double(), return_parts=True)
    torch.testing.assert_close(alone(parts.images[0]), parts.heatmaps[0])


def test_dic_starts_after_he_but_for_its_hourglass():
    torch.manual_seed(0)
    net = archs.DIC(num_feat=16, num_group=2, num_fusion_block=1, hourglass_feat=32)
    for key, module in net.named_modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and not key.startswith('hourglass.'):
            count, fan_in = module.weight.numel(), module.weight[0].numel()
            assert abs(module.weight.std().item() / math.sqrt(2 / fan_in) - 1) < 5 / (2 * count) ** 0.5, key
            assert not module.bias.any(), key
        if isinstance(module, nn.PReLU):
            assert module.weight.item() == pytest.approx(0.2)
    first = net(torch.rand(1, 3, 8, 8), return_parts=True).heatmaps[0]
    assert first.abs().max() < 10  # thousands, if the hourglass started so, too


# ----- PFSR -----


@pytest.mark.parametrize('level, alpha', [(1, 1.0), (2, 1.0), (2, 0.3)])
def test_pfsr_trains_what_a_level_uses(level, alpha):
    net, lq = made('PFSRNet'), rand(2, 3, 4, 4).double()
    assert_active_modules_are_those_used(net, level, alpha < 1, lambda: net(lq, level, alpha))
    assert_only_used_parameters_are_trained(net, level, alpha, lambda: net(lq))
    assert net.scale == 2**level and net(lq).shape == (2, 3, 4 * 2**level, 4 * 2**level)
    net, hr = made('PFSRDiscriminator'), rand(2, 3, 4 * 2**level, 4 * 2**level).double()
    assert_active_modules_are_those_used(net, level, alpha < 1, lambda: net(hr, level, alpha))
    assert_only_used_parameters_are_trained(net, level, alpha, lambda: net(hr))


def test_pfsr_fades_from_the_level_below():
    net, lq = made('PFSRNet').eval(), rand(1, 3, 4, 4).double()
    expected = F.interpolate(net(lq, level=1), scale_factor=2, mode='nearest')
    torch.testing.assert_close(net(lq, level=2, alpha=0.0), expected)


def test_pfsr_discriminator_has_a_gradient_penalty_where_faces_are_alike():
    """Two images that share a pixel: the standard deviation there is 0."""
    net = archs.PFSRDiscriminator(num_feat=2, num_level=2, num_hidden=4)
    images = torch.rand(2, 3, 16, 16)
    images[1, :, :4] = images[0, :, :4]
    images.requires_grad_(True)
    (gradient,) = torch.autograd.grad(net(images).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert all(each.grad is None or each.grad.isfinite().all() for each in net.parameters())


def test_pfsr_discriminator_sees_how_much_faces_differ_and_takes_one():
    net, faces = made('PFSRDiscriminator'), rand(3, 3, 16, 16).double()
    alike = faces[:1].expand_as(faces)
    assert (net(alike)[0] - net(faces)[0]).abs() > 1e-6
    torch.testing.assert_close(net(faces[:1]), net(alike)[:1])


# ----- Wavelet-SRNet -----


def test_packets_are_those_of_pywavelets():
    pywt = pytest.importorskip('pywt', reason='PyWavelets is not installed')
    images = rand(2, 3, 16, 24).double()
    for depth in (1, 2, 3):
        packets = archs.haar_packets(images, depth)
        found = packets.unflatten(1, (4**depth, 3))
        for n in range(2):
            for channel in range(3):
                tree = pywt.WaveletPacket2D(images[n, channel].numpy(), 'haar', mode='periodization', maxlevel=depth)
                for band in range(4**depth):
                    digits = [band // 4**step % 4 for step in reversed(range(depth))]
                    # its 'v' is the detail along the width, 'h' that along the height
                    expected = torch.from_numpy(tree[''.join('avhd'[digit] for digit in digits)].data)
                    torch.testing.assert_close(found[n, band, channel], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('depth', [0, 1, 2, 3])
def test_packets_give_the_image_back(depth):
    images = rand(2, 3, 16, 24).double()
    packets = archs.haar_packets(images, depth)
    assert packets.shape == (2, 3 * 4**depth, 16 >> depth, 24 >> depth)
    torch.testing.assert_close(archs.inverse_haar_packets(packets, depth), images, rtol=1e-13, atol=1e-13)
    # orthonormal: as much energy; and the first band is the small image
    torch.testing.assert_close(packets.square().sum(), images.square().sum())
    torch.testing.assert_close(packets[:, :3], F.avg_pool2d(images, 2**depth) * 2**depth)


def test_packets_of_a_size_that_does_not_fit():
    for height, width in ((12, 16), (16, 12)):
        with pytest.raises(ValueError, match='multiples of 8'):
            archs.haar_packets(torch.zeros(1, 3, height, width), 3)
    with pytest.raises(ValueError, match='no multiple of 16'):
        archs.inverse_haar_packets(torch.zeros(1, 12, 4, 4), 2)


def test_wavelet_branches_are_the_bands_in_order():
    net, lq = made('WaveletSRNet', scale=8).eval(), rand(1, 3, 4, 4).double()
    before = net(lq, return_parts=True)
    torch.testing.assert_close(archs.haar_packets(before.image, 3), before.packets)
    for number, channels in enumerate((slice(0, 3), slice(3, 12), slice(12, 48), slice(48, 192))):
        nn.init.constant_(net.branches[number][-1].bias, 100.0)
        changed = (net(lq, return_parts=True).packets - before.packets).abs().amax(dim=(0, 2, 3)) > 50
        assert changed[channels].all() and changed.sum() == channels.stop  # this branch, and those before


def test_every_branch_projects_the_embedding_whatever_its_width():
    net = archs.WaveletSRNet(num_feat=2, num_block=1, wavelet_feat=32)  # the first branch is as wide: 16 * 2
    assert all(isinstance(branch[0].skip, nn.Conv2d) for branch in net.branches)
    assert isinstance(net.embedding[0].skip, nn.Identity)


def test_wavelet_srnet_starts_as_published():
    torch.manual_seed(0)
    for key, parameter in archs.WaveletSRNet(num_feat=8, wavelet_feat=8).named_parameters():
        if parameter.dim() == 4:
            std = math.sqrt(2 / (parameter.shape[0] * parameter.shape[2] ** 2))
            assert abs(parameter.std().item() / std - 1) < 5 / (2 * parameter.numel()) ** 0.5, key
        elif key.endswith('2.bias'):
            assert not parameter.any()


# ----- DeepDeblur -----


def test_deepdeblur_goes_from_the_coarse_image_to_the_fine():
    net, lq = made('DeepDeblur').eval(), rand(1, 3, 4, 5).double()
    images = net(lq, return_parts=True).images
    assert [tuple(image.shape[-2:]) for image in images] == [(16, 20), (8, 10), (4, 5)]
    learn = parameters_with_gradient(net, lambda: net(lq, return_parts=True).images[-1])
    assert learn == {key for key, _ in net.named_parameters() if key.startswith('bodies.2.')}
    learn = parameters_with_gradient(net, lambda: net(lq))
    assert learn == {key for key, _ in net.named_parameters()}


def test_deepdeblur_is_blind_to_the_unit_where_it_is_linear():
    """Mid grey is 0 inside, and the range is a matter of the biases alone: without them it does not show."""
    lq = rand(1, 3, 4, 4).double()
    nets = [made('DeepDeblur', img_range=img_range) for img_range in (1.0, 255.0)]
    for net in nets:
        for key, parameter in net.named_parameters():
            if key.endswith('bias'):
                nn.init.zeros_(parameter)
        torch.testing.assert_close(net(torch.full_like(lq, 0.5)), torch.full((1, 3, 16, 16), 0.5).double())
    torch.testing.assert_close(nets[0](lq), nets[1](lq))


# ----- Bulat et al., Maeda -----


@pytest.mark.parametrize('name', ['HighToLow', 'TransferNet'])
def test_noise_makes_other_faces_of_a_face(name):
    net, small = made(name).eval(), SMALL[name]
    face, noise = (rand(*shape).double() for shape in small.given)
    torch.testing.assert_close(net(face, noise), net(face, noise), rtol=0, atol=0)
    assert (net(face, noise + 1) - net(face, noise)).abs().max() > 1e-6
    assert (net(face) - net(face)).abs().max() > 1e-6  # drawn anew
    torch.manual_seed(3)
    first = net(face)
    torch.manual_seed(3)
    torch.testing.assert_close(net(face), first, rtol=0, atol=0)


@pytest.mark.parametrize('name', ['HighToLow', 'TransferNet'])
def test_noise_that_is_drawn_is_normal_and_another_for_each_face(name):
    net, drawn = made(name).eval(), []
    net.noise.register_forward_pre_hook(lambda _, given: drawn.append(given[0].flatten(1)))
    torch.manual_seed(0)
    net(rand(500, *SMALL[name].given[0][1:]).double())
    assert drawn[0].mean().abs() < 0.1 and abs(drawn[0].std() - 1) < 0.1 and drawn[0].abs().max() > 2.5
    assert len(drawn[0].unique(dim=0)) == 500


def test_spectral_norms_are_one():
    net, faces = made('SNDiscriminator'), rand(2, 3, 8, 8).double()
    with torch.no_grad():
        for _ in range(200):
            net(faces)
        net.eval()
        weights = [m.weight.flatten(1) for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(weights) == 2 * 3 + 2 + 1
    for weight in weights:
        assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=1e-3)


def test_sn_discriminator_takes_any_size_by_the_mean_over_places():
    net = made('SNDiscriminator').eval()
    face = rand(1, 3, 4, 4).double().mean(dim=(2, 3), keepdim=True).expand(1, 3, 64, 64)
    # One colour: the border, padded with zeros, counts less the larger the image is.
    small, large = net(face[..., :16, :16]), net(face)
    assert small.shape == large.shape == (1, 1) and (small - large).abs() < 1


# ----- CycleGAN -----


def test_cyclegan_translates_at_the_full_size():
    up, down = made('CycleGANUpscaler'), made('CycleGANDownscaler')
    lq, hr = rand(1, 3, 4, 4).double(), rand(1, 3, 16, 16).double()
    generator = super(archs.CycleGANUpscaler, up).forward
    torch.testing.assert_close(up(lq), generator(enlarge(lq, 4).clamp(0, 1)))
    down.load_state_dict(up.state_dict())
    torch.testing.assert_close(down(hr), bicubic_downsample(generator(hr), 4))
    with pytest.raises(ValueError, match='multiples of 4'):
        down(hr[..., :14])
