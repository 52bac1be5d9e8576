"""The mutations that scripts/mutate.py tries: what a refactoring could change unnoticed."""

from typing import NamedTuple


class Mutation(NamedTuple):
    """``old`` in ``file`` (below selfsr_plugin) becomes ``new``; ``tests`` are files or folders below tests."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


# Tests that a mutation is tried against.
NETWORKS = ('golden/test_networks.py',)
BASELINES = ('golden/test_baseline_networks.py',)
BASELINE_METHODS = ('baselines/test_baseline_methods.py',)
START = ('golden/test_initialisation.py',)
MODELS = ('golden/test_models.py',)
SAMPLING = ('golden/test_faces_seen.py',)
FID = ('metrics/test_references.py::test_fid_resizes_as_pytorch_fid',)
INCEPTION = ('metrics/test_fid.py::test_features_are_torch_fidelitys',)
ALEX_INPUT = ('metrics/test_references.py::test_alexnet_is_given_what_torchvision_gives_it',)
ALEX = ('metrics/test_references.py::test_alexnet_features_are_the_means_of_its_last_maps',)
FRECHET = ('metrics/test_references.py::test_frechet_alex_of_a_set',)
LPIPS = ('metrics/test_references.py::test_lpips_is_the_package_lpips',)
ARCFACE = ('metrics/test_references.py::test_arcface_is_given_faces_as_pillow_resizes_them',)
DEFAULTS = ('golden/test_defaults.py',)
OPS = ('ops/test_resize.py', 'ops/test_warp.py')
UPDATES = ('engine/test_updates.py',)
FORMATS = (
    'engine/test_precision.py::test_what_is_computed_in_which_format',
    'engine/test_precision.py::test_what_networks_return_is_in_single_precision_or_better',
    'engine/test_precision.py::test_which_convolutions_of_a_gpu_are_rounded',
    'engine/test_precision.py::test_what_a_device_cannot_do_is_refused',
)
FP16 = (
    'engine/test_precision.py::test_a_gradient_beyond_fp16_lowers_the_scale_and_is_no_fault',
    'engine/test_precision.py::test_a_network_that_fp16_cannot_hold_ends_the_run',
)
FAULTS = (
    'engine/test_finite.py::test_stop_keeps_the_weights_of_before_until_it_is_told',
    'engine/test_finite.py::test_the_first_fault_is_told_and_each_is_counted_once',
    'engine/test_finite.py::test_a_fault_of_another_process_is_one_of_this',
    'engine/test_finite.py::test_too_many_in_a_row_end_the_run',
)
CONDITIONED_NORM = ('archs/test_conditioned_norm.py',)
CLAMPS = (
    'stages/test_flow_degradation_model.py::test_clean_faces_are_clamped_as_stored_images_are',
    'stages/test_selfcond_sr_model.py::test_shrunk_images_are_clamped_as_stored_images_are',
    'stages/test_selfcond_sr_model.py::test_pseudo_pairs_are_clamped_without_noise_too',
)
CLAMPED_BASELINES = ('baselines/test_baseline_terms.py',)
BEST_VALUES = ('engine/test_validation.py',)
SCORED = (
    'stages/test_selfcond_sr_model.py::test_moving_average_is_saved_and_validated',
    'stages/test_selfcond_sr_validation.py::test_validation_at_every_level',
)

SELFCOND, LAYERS = 'archs/selfcond_sr_arch.py', 'archs/layers.py'
FLOW_NET, DOMAIN = 'archs/flow_degradation_arch.py', 'archs/domain_discriminator_arch.py'
PROGRESSIVE, CYCLEGAN = 'archs/progressive_discriminator_arch.py', 'archs/cyclegan_generator_arch.py'
BASELINE_ARCHS = 'baselines/archs/'
SR_MODEL, STAGE, ADVERSARIAL = 'stages/selfcond_sr_model.py', 'engine/stage.py', 'stages/adversarial.py'

MUTATIONS = [
    # ----- SelfCondSRNet -----
    Mutation(
        'SR: no activation in the block',
        'archs/conditioned_norm.py',
        'else leaky_relu(F.instance_norm(x) * sigma)',
        'else F.instance_norm(x) * sigma',
        NETWORKS,
    ),
    Mutation(
        'SR: normalisation after the condition',
        'archs/conditioned_norm.py',
        'leaky_relu(F.instance_norm(x) * sigma)\n',
        'leaky_relu(F.instance_norm(x * sigma))\n',
        NETWORKS,
    ),
    Mutation(
        'SR: no activation in the vanilla block',
        SELFCOND,
        'return leaky_relu(F.instance_norm(conv(torch.cat((x, y), dim=1)))), nullcontext()',
        'return F.instance_norm(conv(torch.cat((x, y), dim=1))), nullcontext()',
        NETWORKS,
    ),
    Mutation('SR: no skip connection', SELFCOND, 'return (x + h) / math.sqrt(2)', 'return h', NETWORKS),
    Mutation('SR: sum is not divided', SELFCOND, 'return (x + h) / math.sqrt(2)', 'return x + h', NETWORKS),
    Mutation(
        'SR: second convolution sees the input',
        SELFCOND,
        'self._layer(h, condition, self.conv2, self.sigma2)',
        'self._layer(x, condition, self.conv2, self.sigma2)',
        NETWORKS,
    ),
    Mutation(
        'SR: condition is linear',
        SELFCOND,
        'self.conv2(leaky_relu(self.conv1(condition)))',
        'self.conv2(self.conv1(condition))',
        NETWORKS,
    ),
    Mutation(
        'SR: condition upsampled bilinearly',
        SELFCOND,
        "mode='bicubic', align_corners=False",
        "mode='bilinear', align_corners=False",
        NETWORKS,
    ),
    Mutation(
        'SR: condition aligned at its corners',
        SELFCOND,
        "mode='bicubic', align_corners=False",
        "mode='bicubic', align_corners=True",
        NETWORKS,
    ),
    Mutation(
        'SR: features upsampled bilinearly',
        SELFCOND,
        "return F.interpolate(x, scale_factor=2, mode='nearest')",
        "return F.interpolate(x, scale_factor=2, mode='bilinear')",
        NETWORKS,
    ),
    Mutation(
        'SR: activation after the level convolution',
        SELFCOND,
        'x = self.conv(enlarged)',
        'x = leaky_relu(self.conv(enlarged))',
        NETWORKS,
    ),
    Mutation(
        'SR: old output upsampled bilinearly',
        SELFCOND,
        "F.interpolate(old, scale_factor=2, mode='nearest')",
        "F.interpolate(old, scale_factor=2, mode='bilinear')",
        NETWORKS,
    ),
    Mutation(
        'SR: fade-in ends early', SELFCOND, 'if alpha < 1 and level > 1:', 'if alpha < 0.25 and level > 1:', NETWORKS
    ),
    Mutation('SR: fade-in the other way round', SELFCOND, 'lerp(old, rgb, alpha)', 'lerp(rgb, old, alpha)', NETWORKS),
    Mutation('SR: input in [0, 1]', SELFCOND, 'lq = lq * 2 - 1', 'lq = lq * 1', NETWORKS),
    Mutation('SR: output clamped', SELFCOND, 'return (rgb + 1) / 2', 'return ((rgb + 1) / 2).clamp(0, 1)', NETWORKS),
    Mutation('SR: condition starts at zero', SELFCOND, 'gain=1.0, bias_init=1.0', 'gain=1.0', START),
    Mutation('SR: gain of the condition', SELFCOND, 'hidden, width, gain=1.0', 'hidden, width', NETWORKS),
    Mutation(
        'SR: gain of the output',
        SELFCOND,
        'EqualizedConv2d(width, num_out_ch, gain=1.0)',
        'EqualizedConv2d(width, num_out_ch)',
        NETWORKS,
    ),
    # ----- layers -----
    Mutation('layers: slope of the leaky ReLU', LAYERS, 'SLOPE = 0.2', 'SLOPE = 0.1', NETWORKS),
    Mutation(
        'layers: fan-in without the kernel',
        LAYERS,
        'math.sqrt(in_channels * kernel_size**2)',
        'math.sqrt(in_channels)',
        NETWORKS,
    ),
    Mutation(
        'layers: gain of a linear layer',
        LAYERS,
        'gain / math.sqrt(in_features)',
        '1 / math.sqrt(in_features)',
        NETWORKS,
    ),
    Mutation(
        'layers: convolutions start small',
        LAYERS,
        'padding=kernel_size // 2)\n        nn.init.normal_(self.weight)',
        'padding=kernel_size // 2)\n        nn.init.normal_(self.weight, std=0.5)',
        START,
    ),
    Mutation(
        'layers: linear layers start small',
        LAYERS,
        'nn.init.normal_(self.weight)\n        nn.init.zeros_',
        'nn.init.normal_(self.weight, std=0.5)\n        nn.init.zeros_',
        START,
    ),
    Mutation('layers: lerp', LAYERS, 'old + (new - old) * alpha', 'old + (new - old) * alpha**2', NETWORKS),
    # ----- FlowDegradationNet -----
    Mutation(
        'flow net: no skip in the block',
        FLOW_NET,
        'return x + self.conv2(leaky_relu(self.conv1(x)))',
        'return self.conv2(leaky_relu(self.conv1(x)))',
        NETWORKS,
    ),
    Mutation(
        'flow net: linear block',
        FLOW_NET,
        'x + self.conv2(leaky_relu(self.conv1(x)))',
        'x + self.conv2(self.conv1(x))',
        NETWORKS,
    ),
    Mutation(
        'flow net: activation after the block',
        FLOW_NET,
        'return x + self.conv2(leaky_relu(self.conv1(x)))',
        'return leaky_relu(x + self.conv2(leaky_relu(self.conv1(x))))',
        NETWORKS,
    ),
    Mutation('flow net: no skip at half size', FLOW_NET, "mode='nearest'))) + x1", "mode='nearest')))", NETWORKS),
    Mutation('flow net: no skip at full size', FLOW_NET, "mode='nearest'))) + x0", "mode='nearest')))", NETWORKS),
    Mutation(
        'flow net: upsampled bilinearly',
        FLOW_NET,
        "size=x1.shape[-2:], mode='nearest'",
        "size=x1.shape[-2:], mode='bilinear'",
        NETWORKS,
    ),
    Mutation(
        'flow net: no activation after down1',
        FLOW_NET,
        'x1 = leaky_relu(self.down1(x0))',
        'x1 = self.down1(x0)',
        NETWORKS,
    ),
    Mutation(
        'flow net: residual counts in [0, 1]',
        FLOW_NET,
        '(self.image_head, x, lq) / 2',
        '(self.image_head, x, lq)',
        NETWORKS,
    ),
    Mutation(
        'flow net: another bound of the flow',
        FLOW_NET,
        'torch.tanh(in_full_precision(self.flow_head, x, lq))',
        'in_full_precision(self.flow_head, x, lq).clamp(-1, 1)',
        NETWORKS,
    ),
    Mutation('flow net: max_flow ignored', FLOW_NET, 'self.max_flow * torch.tanh', '2.0 * torch.tanh', NETWORKS),
    Mutation('flow net: center_flow ignored', FLOW_NET, 'if self.center_flow:', 'if False:', NETWORKS),
    Mutation(
        'flow net: flow centred over the batch',
        FLOW_NET,
        'flow.mean(dim=(2, 3), keepdim=True)',
        'flow.mean(dim=(0, 2, 3), keepdim=True)',
        NETWORKS,
    ),
    Mutation(
        'flow net: heads do not start at zero',
        FLOW_NET,
        'nn.init.zeros_(head.weight)',
        'nn.init.normal_(head.weight, std=1e-3)',
        START,
    ),
    Mutation(
        'flow net: degraded image clamped',
        FLOW_NET,
        '        degraded = flow_warp(intermediate, flow)',
        '        degraded = flow_warp(intermediate, flow).clamp(0, 1)',
        NETWORKS,
    ),
    # ----- DomainDiscriminator -----
    Mutation(
        'domain: scale of the start',
        DOMAIN,
        'nn.init.kaiming_normal_(conv.weight, a=0.2)',
        'nn.init.kaiming_normal_(conv.weight, a=0.3)',
        START,
    ),
    Mutation('domain: scheme of the start', DOMAIN, 'nn.init.kaiming_normal_', 'nn.init.kaiming_uniform_', START),
    Mutation('domain: torch biases', DOMAIN, 'nn.init.zeros_(conv.bias)', 'pass', START),
    Mutation(
        'domain: one layer is linear',
        DOMAIN,
        'h = leaky_relu(conv(h))',
        'h = conv(h) if conv is self.conv4 else leaky_relu(conv(h))',
        NETWORKS,
    ),
    Mutation('domain: input in [0, 1]', DOMAIN, 'h = x * 2 - 1', 'h = x * 1', NETWORKS),
    # ----- ProgressiveDiscriminator -----
    Mutation(
        'progressive: maxima instead of means', PROGRESSIVE, 'return F.avg_pool2d(', 'return F.max_pool2d(', NETWORKS
    ),
    Mutation(
        'progressive: maxima in the fade-in', PROGRESSIVE, 'F.avg_pool2d(x, 2)))', 'F.max_pool2d(x, 2)))', NETWORKS
    ),
    Mutation(
        'progressive: fade-in takes every second pixel',
        PROGRESSIVE,
        'F.avg_pool2d(x, 2)))',
        'x[..., ::2, ::2]))',
        NETWORKS,
    ),
    Mutation(
        'progressive: linear input convolution',
        PROGRESSIVE,
        'leaky_relu(self.from_rgb[first](x))',
        'self.from_rgb[first](x)',
        NETWORKS,
    ),
    Mutation(
        'progressive: linear last but one layer',
        PROGRESSIVE,
        'leaky_relu(self.linear(h.flatten(1)))',
        'self.linear(h.flatten(1))',
        NETWORKS,
    ),
    Mutation(
        'progressive: linear block',
        PROGRESSIVE,
        'self.conv2(leaky_relu(self.conv1(x)))',
        'self.conv2(self.conv1(x))',
        NETWORKS,
    ),
    Mutation('progressive: unbiased deviation', PROGRESSIVE, 'unbiased=False', 'unbiased=True', NETWORKS),
    Mutation('progressive: groups interleaved', PROGRESSIVE, '.repeat_interleave(group)', '.repeat(group)', NETWORKS),
    Mutation('progressive: variance instead of deviation', PROGRESSIVE, '.add(1e-8).sqrt()', '.add(1e-8)', NETWORKS),
    Mutation(
        'progressive: gain of the logit',
        PROGRESSIVE,
        'EqualizedLinear(widths[-1], 1, gain=1.0)',
        'EqualizedLinear(widths[-1], 1)',
        NETWORKS,
    ),
    # ----- CycleGANGenerator -----
    Mutation('CycleGAN: scale of the start', CYCLEGAN, 'std=0.02', 'std=0.03', START),
    Mutation('CycleGAN: padded with zeros', CYCLEGAN, "padding_mode='reflect'", "padding_mode='zeros'", NETWORKS),
    Mutation(
        'CycleGAN: padded with the border', CYCLEGAN, "padding_mode='reflect'", "padding_mode='replicate'", NETWORKS
    ),
    Mutation(
        'CycleGAN: no skip connection', CYCLEGAN, 'return x + F.instance_norm(', 'return F.instance_norm(', NETWORKS
    ),
    Mutation(
        'CycleGAN: activation after the block',
        CYCLEGAN,
        'return x + F.instance_norm(self.conv2(_norm_relu(self.conv1(x))))',
        'return F.relu(x + F.instance_norm(self.conv2(_norm_relu(self.conv1(x)))))',
        NETWORKS,
    ),
    Mutation(
        'CycleGAN: leaky ReLU',
        CYCLEGAN,
        'return F.relu(F.instance_norm(x))',
        'return F.leaky_relu(F.instance_norm(x), 0.2)',
        NETWORKS,
    ),
    Mutation(
        'CycleGAN: upsampled bilinearly',
        CYCLEGAN,
        "size=x0.shape[-2:], mode='nearest'",
        "size=x0.shape[-2:], mode='bilinear'",
        NETWORKS,
    ),
    Mutation(
        'CycleGAN: no tanh',
        CYCLEGAN,
        'torch.tanh(in_full_precision(self.to_rgb, x, lq))',
        'in_full_precision(self.to_rgb, x, lq)',
        NETWORKS,
    ),
    # ----- baselines -----
    Mutation(
        'RDN: no global skip connection',
        BASELINE_ARCHS + 'rdn_arch.py',
        'x = first + self.fuse2(',
        'x = self.fuse2(',
        BASELINES,
    ),
    Mutation(
        'RDN: linear dense layers', BASELINE_ARCHS + 'rdn_arch.py', 'F.relu(conv(found))', 'conv(found)', BASELINES
    ),
    Mutation(
        'SRResNet: no skip around the blocks',
        BASELINE_ARCHS + 'srgan_arch.py',
        'self.up(x + self.fuse(self.blocks(x)))',
        'self.up(self.fuse(self.blocks(x)))',
        BASELINES,
    ),
    Mutation(
        'SRGAN discriminator: strides first',
        BASELINE_ARCHS + 'srgan_arch.py',
        'stride=1 + i % 2',
        'stride=2 - i % 2',
        BASELINES,
    ),
    Mutation(
        'FSRNet: priors do not teach the coarse image',
        BASELINE_ARCHS + 'fsrnet_arch.py',
        'self.encoder(coarse), self.prior(coarse)',
        'self.encoder(coarse), self.prior(coarse.detach())',
        BASELINES,
    ),
    Mutation(
        'FSRNet: hourglass enlarges smoothly',
        BASELINE_ARCHS + 'fsrnet_arch.py',
        "mode='nearest'",
        "mode='bilinear'",
        BASELINES,
    ),
    Mutation(
        'FSRNet: padded with zeros',
        BASELINE_ARCHS + 'fsrnet_arch.py',
        "padding_mode='reflect'",
        "padding_mode='zeros'",
        BASELINES,
    ),
    Mutation(
        'DIC: maps of no competing components',
        BASELINE_ARCHS + 'dic_arch.py',
        'attention.softmax(dim=1)',
        'attention.sigmoid()',
        BASELINES,
    ),
    Mutation(
        'DIC: weak heatmaps made strong',
        BASELINE_ARCHS + 'dic_arch.py',
        '.clamp(min=0.05)',
        '.clamp(min=0.005)',
        BASELINE_METHODS,
    ),
    Mutation(
        'DIC: hourglass aligned otherwise',
        BASELINE_ARCHS + 'dic_arch.py',
        "mode='bilinear', align_corners=True",
        "mode='bilinear'",
        BASELINES,
    ),
    Mutation(
        'DIC: hourglass without memory',
        BASELINE_ARCHS + 'dic_arch.py',
        'x if hidden is None else hidden',
        'x',
        BASELINES,
    ),
    Mutation(
        'DIC: brows with the nose',
        BASELINE_ARCHS + 'dic_arch.py',
        '(range(27, 36),)',
        '(range(17, 36),)',
        BASELINE_METHODS,
    ),
    Mutation(
        'LightCNN: smaller of two features',
        BASELINE_ARCHS + 'light_cnn_arch.py',
        'torch.maximum',
        'torch.minimum',
        BASELINES,
    ),
    Mutation('PFSR: smooth fade-in', BASELINE_ARCHS + 'pfsr_arch.py', "mode='nearest'", "mode='bilinear'", BASELINES),
    Mutation(
        'PFSR discriminator: biased deviation',
        BASELINE_ARCHS + 'pfsr_arch.py',
        'x.var(dim=0)',
        'x.var(dim=0, unbiased=False)',
        BASELINES,
    ),
    Mutation(
        'wavelets: details along width and height exchanged',
        BASELINE_ARCHS + 'wavelet_packets.py',
        '(a - b + c - d) / 2, (a + b - c - d) / 2',
        '(a + b - c - d) / 2, (a - b + c - d) / 2',
        BASELINE_METHODS,
    ),
    Mutation(
        'wavelets: last step counts most',
        BASELINE_ARCHS + 'wavelet_packets.py',
        'torch.stack(_butterfly(*corners), dim=2)',
        'torch.stack(_butterfly(*corners), dim=1)',
        BASELINE_METHODS,
    ),
    Mutation(
        'Wavelet-SRNet: no last ReLU',
        BASELINE_ARCHS + 'wavelet_srnet_arch.py',
        'return F.relu(self.norm2(h + self.skip(x)))',
        'return self.norm2(h + self.skip(x))',
        BASELINES,
    ),
    Mutation(
        'DeepDeblur: mid grey is not 0',
        BASELINE_ARCHS + 'deepdeblur_arch.py',
        'else lq) - 0.5) * self',
        'else lq)) * self',
        BASELINES,
    ),
    Mutation(
        'High-to-Low: no skip connection',
        BASELINE_ARCHS + 'bulat_arch.py',
        'return x + self.norm2(',
        'return self.norm2(',
        BASELINES,
    ),
    Mutation(
        'Low-to-High: aligned otherwise',
        BASELINE_ARCHS + 'bulat_arch.py',
        "mode='bilinear', align_corners=True",
        "mode='bilinear'",
        BASELINES,
    ),
    Mutation(
        'SN discriminator: no last ReLU',
        BASELINE_ARCHS + 'bulat_arch.py',
        'F.relu(self.blocks(x * 2 - 1)).mean',
        'self.blocks(x * 2 - 1).mean',
        BASELINES,
    ),
    Mutation(
        'Maeda: noise before the image',
        BASELINE_ARCHS + 'pseudo_supervision_arch.py',
        '(self.stem(clean), self.noise(noise))',
        '(self.noise(noise), self.stem(clean))',
        BASELINES,
    ),
    Mutation(
        'PatchGAN: last layers stride',
        BASELINE_ARCHS + 'pseudo_supervision_arch.py',
        'stride=2 if i < num_down',
        'stride=2 if i >= num_layer - num_down',
        BASELINES,
    ),
    Mutation(
        'CycleGAN upscaler: enlarged image not clamped',
        BASELINE_ARCHS + 'cyclegan_scaling_arch.py',
        '.clamp(0, 1)',
        '.clamp(-1, 2)',
        BASELINE_METHODS,
    ),
    # ----- ops and losses -----
    Mutation('warp: zeros outside', 'ops/warp.py', "padding_mode='border'", "padding_mode='zeros'", OPS),
    Mutation('warp: bicubic', 'ops/warp.py', "mode='bilinear'", "mode='bicubic'", NETWORKS),
    Mutation('warp: between the corners of pixels', 'ops/warp.py', 'align_corners=True', 'align_corners=False', OPS),
    Mutation(
        'warp: right and down exchanged',
        'ops/warp.py',
        'torch.stack((x, y), dim=-1)',
        'torch.stack((y, x), dim=-1)',
        NETWORKS,
    ),
    Mutation(
        'total variation: squares',
        'ops/warp.py',
        '(flow[..., :, 1:] - flow[..., :, :-1]).abs()',
        '(flow[..., :, 1:] - flow[..., :, :-1]).square()',
        MODELS,
    ),
    Mutation(
        'total variation: weight ignored',
        'losses/flow_tv_loss.py',
        'self.loss_weight * flow_total_variation',
        'flow_total_variation',
        MODELS,
    ),
    Mutation('bicubic: another kernel', 'ops/resize.py', 'far = -0.5 * x**3', 'far = -0.6 * x**3', OPS),
    Mutation(
        'bicubic: no antialiasing', 'ops/resize.py', 'max(in_size / out_size, 1.0)', 'min(in_size / out_size, 1.0)', OPS
    ),
    Mutation(
        'bicubic: border sample not doubled',
        'ops/resize.py',
        '2 * in_size - 1 - taps',
        '(2 * in_size - 2 - taps).clamp(min=0)',
        OPS,
    ),
    Mutation(
        'bicubic: other centres', 'ops/resize.py', '+ 0.5) * in_size / out_size', '+ 0.25) * in_size / out_size', OPS
    ),
    Mutation('growth: one iteration early', 'ops/schedule.py', 'if iteration > step]', 'if iteration >= step]', MODELS),
    Mutation(
        'growth: fade-in begins with the level below',
        'ops/schedule.py',
        '(iteration - passed[-1]) / self.fade_iter',
        '(iteration - passed[-1] - 1) / self.fade_iter',
        MODELS,
    ),
    Mutation('growth: fade-in ignored', 'ops/schedule.py', 'if not passed or not self.fade_iter:', 'if True:', MODELS),
    # ----- models -----
    Mutation(
        'stage 1: clean faces not clamped',
        'stages/degradation_model.py',
        "self.opt['scale']).clamp(0, 1)",
        "self.opt['scale'])",
        CLAMPS,
    ),
    Mutation(
        'stage 1: identity loss in [0, 1]',
        'stages/flow_degradation_model.py',
        'self.cri_idt(to_signed(parts.intermediate), to_signed(clean))',
        'self.cri_idt(parts.intermediate, clean)',
        MODELS,
    ),
    Mutation(
        'stage 1: identity of the degraded image',
        'stages/flow_degradation_model.py',
        'to_signed(parts.intermediate)',
        'to_signed(parts.degraded)',
        MODELS,
    ),
    Mutation('stage 1: R1 ignored', 'stages/flow_degradation_model.py', 'self.options.r1_reg_weight,', '0,', MODELS),
    Mutation(
        'stage 1: generator wants to be found out',
        'stages/flow_degradation_model.py',
        "self.updater.net('d_lq')(parts.degraded), True",
        "self.updater.net('d_lq')(parts.degraded), False",
        MODELS,
    ),
    Mutation(
        'CycleGAN: discriminators not halved',
        'stages/cyclegan_degradation_model.py',
        'dict.fromkeys(terms, 0.5)',
        'dict.fromkeys(terms, 1.0)',
        MODELS,
    ),
    Mutation(
        'CycleGAN: cycle of the wrong side',
        'stages/cyclegan_degradation_model.py',
        'to_signed(net_deg(cleaned))',
        'to_signed(net_clean(cleaned))',
        MODELS,
    ),
    Mutation(
        'CycleGAN: pool never exchanges',
        'stages/image_pool.py',
        'draws.random_sample() < 0.5',
        'draws.random_sample() < 0',
        MODELS,
    ),
    Mutation(
        'CycleGAN: pools draw alike',
        'stages/image_pool.py',
        "f'{self.seed} {self.name} {iteration}'",
        "f'{self.seed} {iteration}'",
        MODELS,
    ),
    Mutation(
        'R1 for images in [0, 1]', ADVERSARIAL, 'flatten(1).sum(1).mean() / 4', 'flatten(1).sum(1).mean()', MODELS
    ),
    Mutation('R1 not halved', ADVERSARIAL, 'r1_reg_weight / 2 *', 'r1_reg_weight *', MODELS),
    Mutation(
        'real and fake exchanged', ADVERSARIAL, 'criterion(judge(fake), False', 'criterion(judge(fake), True', MODELS
    ),
    Mutation(
        'stage 2: bicubic LR faces not clamped',
        SR_MODEL,
        "clean = bicubic_downsample(self.gt, self.opt['scale']).clamp(0, 1)",
        "clean = bicubic_downsample(self.gt, self.opt['scale'])",
        CLAMPS,
    ),
    Mutation(
        'stage 2: pseudo LR faces not clamped', SR_MODEL, 'return degraded.clamp(0, 1)', 'return degraded', CLAMPS
    ),
    Mutation(
        'stage 2: HR faces not clamped',
        SR_MODEL,
        'bicubic_downsample(self.gt, shrink).clamp(0, 1)',
        'bicubic_downsample(self.gt, shrink)',
        CLAMPS,
    ),
    Mutation('stage 2: noise twice as strong', SR_MODEL, 'lq_noise / 255', 'lq_noise / 127.5', MODELS),
    Mutation('stage 2: the same noise in every iteration', SR_MODEL, ' lq_noise {current_iter}', ' lq_noise', MODELS),
    Mutation(
        'stage 2: maxima in the fade-in',
        SR_MODEL,
        'nn.functional.avg_pool2d(real, 2)',
        'nn.functional.max_pool2d(real, 2)',
        MODELS,
    ),
    Mutation(
        'stage 2: fade-in upsampled bilinearly',
        SR_MODEL,
        "scale_factor=2, mode='nearest')",
        "scale_factor=2, mode='bilinear')",
        MODELS,
    ),
    Mutation('stage 2: HR faces do not fade in', SR_MODEL, 'if growth.alpha < 1:', 'if False:', MODELS),
    Mutation(
        'stage 2: lazy R1 not made up for',
        SR_MODEL,
        "factors={'l_d_r1': options.net_d_reg_every}",
        'factors={}',
        MODELS,
    ),
    Mutation(
        'stage 2: reconstruction in [0, 1]',
        SR_MODEL,
        "self.cri_pix(to_signed(fake), to_signed(batch['real']))",
        "self.cri_pix(fake, batch['real'])",
        MODELS,
    ),
    Mutation(
        'stage 2: output shrunk by another factor',
        SR_MODEL,
        'bicubic_downsample(fake, 2**self._growth.level)',
        'nn.functional.avg_pool2d(fake, 2**self._growth.level)',
        MODELS,
    ),
    Mutation('stage 2: alpha ignored', SR_MODEL, 'alpha=self._growth.alpha)', 'alpha=1.0)', MODELS),
    Mutation('stage 2: moving average frozen', STAGE, 'alpha=1 - decay', 'alpha=0', MODELS),
    Mutation('warmup_iter ignored', STAGE, 'if current_iter < warmup_iter:', 'if False:', UPDATES),
    Mutation('schedule ignored', STAGE, 'if current_iter > 1:', 'if False:', MODELS),
    Mutation(
        'linear decay: other end',
        'engine/lr_scheduler.py',
        '(self.total_iter - self.last_epoch)',
        '(self.total_iter - self.last_epoch - 1)',
        MODELS,
    ),
    Mutation('factors of terms ignored', 'engine/update.py', 'self.factors.get(name, 1) * value', 'value', MODELS),
    Mutation('parts of a batch add up', 'engine/update.py', 'loss.total / self.accum_iter', 'loss.total', UPDATES),
    Mutation('validation of the raw weights', SR_MODEL, "getattr(self, 'net_g_ema', self.net_g)", 'self.net_g', SCORED),
    Mutation(
        'validation at full scale by nearest neighbours',
        SR_MODEL,
        'bicubic_resize(output, tuple(full_size))',
        'nn.functional.interpolate(output, full_size)',
        SCORED,
    ),
    Mutation('default: bound of the flow', FLOW_NET, 'max_flow: float = 2.0', 'max_flow: float = 2.5', DEFAULTS),
    Mutation(
        'default: group of the deviation', PROGRESSIVE, 'stddev_group: int = 4', 'stddev_group: int = 3', DEFAULTS
    ),
    Mutation('default: ratio of the condition', SELFCOND, 'cond_ratio: int = 8', 'cond_ratio: int = 9', DEFAULTS),
    Mutation('networks start alike', 'engine/networks.py', '"manual_seed", 0)} {label}', '"manual_seed", 0)}', START),
    # ----- metrics -----
    Mutation(
        'FID: bicubic',
        'metrics/fid_metric.py',
        "mode='bilinear', align_corners=False",
        "mode='bicubic', align_corners=False",
        FID,
    ),
    Mutation(
        'FID: antialiased',
        'metrics/fid_metric.py',
        "mode='bilinear', align_corners=False",
        "mode='bilinear', align_corners=False, antialias=True",
        FID,
    ),
    Mutation(
        'FID: aligned at the corners',
        'metrics/fid_metric.py',
        "mode='bilinear', align_corners=False",
        "mode='bilinear', align_corners=True",
        FID,
    ),
    Mutation('FID: images in [0, 1]', 'metrics/fid_metric.py', 'self.net(images * 2 - 1)', 'self.net(images)', FID),
    Mutation(
        'FID: pooling of torchvision',
        'metrics/fid_metric.py',
        'net.Mixed_7c = FIDInceptionE_2(2048)',
        'net.Mixed_7c = FIDInceptionE_1(2048)',
        INCEPTION,
    ),
    Mutation(
        'FID: one block of torchvision',
        'metrics/fid_metric.py',
        'net.Mixed_6e = FIDInceptionC(768, channels_7x7=192)',
        'pass',
        INCEPTION,
    ),
    Mutation(
        'AlexNet: mean', 'metrics/frechet_alex_metric.py', '[0.485, 0.456, 0.406]', '[0.485, 0.485, 0.406]', ALEX_INPUT
    ),
    Mutation(
        'AlexNet: deviation',
        'metrics/frechet_alex_metric.py',
        '[0.229, 0.224, 0.225]',
        '[0.229, 0.229, 0.225]',
        ALEX_INPUT,
    ),
    Mutation(
        'AlexNet: another size', 'metrics/frechet_alex_metric.py', 'size=(224, 224)', 'size=(227, 227)', ALEX_INPUT
    ),
    Mutation(
        'AlexNet: antialiased',
        'metrics/frechet_alex_metric.py',
        'align_corners=False)',
        'align_corners=False, antialias=True)',
        ALEX_INPUT,
    ),
    Mutation('AlexNet: bicubic', 'metrics/frechet_alex_metric.py', "mode='bilinear'", "mode='bicubic'", ALEX_INPUT),
    Mutation(
        'AlexNet: without the last ReLU', 'metrics/frechet_alex_metric.py', 'features[:12]', 'features[:11]', ALEX
    ),
    Mutation('AlexNet: maxima', 'metrics/frechet_alex_metric.py', '.mean(dim=(2, 3))', '.amax(dim=(2, 3))', ALEX),
    Mutation(
        'Frechet: covariance divided by N',
        'metrics/feature_statistics.py',
        'self._scatter / (self._count - 1)',
        'self._scatter / self._count',
        FRECHET,
    ),
    Mutation('Frechet: values to 255/256', 'metrics/frechet.py', '.to(device) / 255', '.to(device) / 256', ALEX),
    Mutation('Frechet: BGR', 'metrics/frechet.py', 'img2tensor(image)', 'img2tensor(image, bgr2rgb=False)', ALEX),
    Mutation('LPIPS: images in [0, 1]', 'metrics/lpips_metric.py', '/ 127.5 - 1', '/ 255', LPIPS),
    Mutation('LPIPS: BGR', 'metrics/lpips_metric.py', '/ 127.5 - 1)', '/ 127.5 - 1, bgr2rgb=False)', LPIPS),
    Mutation('LPIPS: border ignored', 'metrics/lpips_metric.py', 'if crop_border:', 'if False:', LPIPS),
    Mutation('LPIPS: a slice keeps its random weights', 'metrics/lpips_metric.py', ", 'slice5')", ')', LPIPS),
    Mutation('identity: no antialiasing', 'metrics/identity_metric.py', ', antialias=True', '', ARCFACE),
    Mutation('identity: bicubic', 'metrics/identity_metric.py', "mode='bilinear'", "mode='bicubic'", ARCFACE),
    Mutation('identity: normalisation', 'metrics/identity_metric.py', '/ 127.5 - 1', '/ 128 - 1', ARCFACE),
    Mutation('identity: BGR', 'metrics/identity_metric.py', '/ 127.5 - 1)', '/ 127.5 - 1, bgr2rgb=False)', ARCFACE),
    # ----- data -----
    Mutation(
        'data: resized faces not clamped',
        'data/face_images.py',
        'bicubic_resize(tensor, size).clamp_(0, 1)',
        'bicubic_resize(tensor, size)',
        SAMPLING,
    ),
    Mutation('data: values to 255/256', 'ops/images.py', 'div_(255)', 'div_(256)', SAMPLING),
    Mutation('data: BGR', 'ops/images.py', 'cv2.split(image)[::-1]', 'cv2.split(image)', SAMPLING),
    Mutation(
        'data: LR face of the same number',
        'data/unpaired_face_dataset.py',
        'random.randrange(len(self.lq))',
        'index % len(self.lq)',
        SAMPLING,
    ),
    Mutation(
        'data: the last LR face is never drawn',
        'data/unpaired_face_dataset.py',
        'random.randrange(len(self.lq))',
        'random.randrange(len(self.lq) - 1)',
        SAMPLING,
    ),
    Mutation('data: LR faces are not mirrored', 'data/unpaired_face_dataset.py', 'lq = lq.flip(-1)', 'pass', SAMPLING),
    Mutation(
        'data: LR faces are turned over',
        'data/unpaired_face_dataset.py',
        'lq = lq.flip(-1)',
        'lq = lq.flip(-2)',
        SAMPLING,
    ),
    Mutation(
        'data: pairs mirrored in part',
        'data/paired_face_dataset.py',
        'gt, lq = gt.flip(-1), lq.flip(-1)',
        'gt = gt.flip(-1)',
        SAMPLING,
    ),
    Mutation(
        'data: pairs mirrored more often',
        'data/paired_face_dataset.py',
        'random.random() < 0.5',
        'random.random() < 0.6',
        SAMPLING,
    ),
    Mutation('data: HR faces are not mirrored', 'data/hr_face_dataset.py', 'gt = gt.flip(-1)', 'pass', SAMPLING),
    Mutation(
        'data: LR faces from HR not rounded',
        'data/paired_face_dataset.py',
        '.mul_(255).round_().div_(255)',
        '',
        SAMPLING,
    ),
    Mutation(
        'data: one order for all epochs', 'data/sampling.py', '_hash(self.seed, epoch)', '_hash(self.seed, 0)', SAMPLING
    ),
    Mutation(
        'data: draws do not depend on the position',
        'data/sampling.py',
        '_hash(self.seed, k)',
        '_hash(self.seed, 0)',
        SAMPLING,
    ),
    Mutation(
        'data: bytes for images between the levels',
        'data/image_bytes.py',
        'return found if torch.equal(found.images(value.device), value) else value',
        'return found',
        ('data/test_image_bytes.py',),
    ),
    Mutation(
        'data: bytes of another range',
        'data/image_bytes.py',
        'torch.full((), 255.0',
        'torch.full((), 256.0',
        ('data/test_image_bytes.py',),
    ),
    # ----- precision, NaN and infinity, Eq. 6 in less memory -----
    Mutation(
        'precision: fp16 on the first GPUs with bf16',
        'engine/precision.py',
        "'bf16' if _capability(device) >= _AMPERE else",
        "'bf16' if _capability(device) > _AMPERE else",
        FORMATS,
    ),
    Mutation(
        'precision: what networks return stays in 16 bits',
        'engine/precision.py',
        'return tree_map(_widened, net(*args, **kwargs))',
        'return net(*args, **kwargs)',
        FORMATS,
    ),
    Mutation(
        'precision: convolutions of fp32 are rounded',
        'engine/precision.py',
        "allow_tf32 = self.name != 'fp32'",
        'allow_tf32 = True',
        FORMATS,
    ),
    Mutation(
        'precision: convolutions left over by bf16 are exact',
        'engine/precision.py',
        "allow_tf32 = self.name != 'fp32'",
        "allow_tf32 = self.name == 'tf32'",
        FORMATS,
    ),
    Mutation(
        'precision: R1 in 16 bits',
        'engine/update.py',
        '        if not exact:\n            net = self.precision.runs(net)',
        '        net = self.precision.runs(net)',
        FORMATS,
    ),
    Mutation(
        'buffers stay those of each process',
        'engine/update.py',
        '            if self.dist:\n                self._share_buffers(label)\n',
        '',
        ('stages/test_distributed.py::test_network_with_batch_normalisation_trains',),
    ),
    Mutation(
        'precision: last layers in 16 bits',
        LAYERS,
        'if x.is_meta or not torch.is_autocast_enabled(x.device.type):',
        'if True:',
        FORMATS,
    ),
    Mutation('finite: one process that is fine is enough', 'engine/finite.py', 'ReduceOp.MIN', 'ReduceOp.MAX', FAULTS),
    Mutation(
        'finite: a scaled gradient beyond fp16 is a fault',
        'engine/finite.py',
        'finite[: len(terms)].all() if scaled else finite.all()',
        'finite.all()',
        FP16,
    ),
    Mutation(
        'finite: steps are made again after a fault',
        'engine/finite.py',
        'self._going_on = self._going_on & blameless',
        'self._going_on = self._going_on',
        FAULTS,
    ),
    Mutation(
        'finite: the last fault is told, not the first',
        'engine/finite.py',
        'is_first = at_fault & (found.iteration == 0)',
        'is_first = at_fault',
        FAULTS,
    ),
    Mutation(
        'finite: skipped steps in a row are never over',
        'engine/finite.py',
        '(self._in_a_row.get(labels, none) + 1) * ~fine',
        'self._in_a_row.get(labels, none) + ~fine',
        FAULTS,
    ),
    Mutation(
        'finite: one step more in a row',
        'engine/finite.py',
        'in_a_row >= MAX_SKIPPED_IN_A_ROW:  # of',
        'in_a_row > MAX_SKIPPED_IN_A_ROW:  # of',
        FP16,
    ),
    Mutation(
        'finite: skipped steps are counted again with each line of the log',
        'engine/finite.py',
        'found.iteration, found.count = torch.zeros_like(found.iteration), torch.zeros_like(found.count)',
        'found.iteration = torch.zeros_like(found.iteration)',
        FAULTS,
    ),
    Mutation(
        'finite: fused steps are made all the same',
        'engine/update.py',
        'optimizer.found_inf = (~fine).float()',
        'optimizer.found_inf = (~fine).float() * 0',
        FAULTS,
    ),
    Mutation(
        'Eq. 6 in less memory: deviation of N - 1',
        'archs/conditioned_norm.py',
        'correction=0',
        'correction=1',
        CONDITIONED_NORM,
    ),
    Mutation(
        'Eq. 6 in less memory: statistics in the format of x',
        'archs/conditioned_norm.py',
        'exact = x.to(torch.promote_types(x.dtype, torch.float32))',
        'exact = x',
        CONDITIONED_NORM,
    ),
    Mutation(
        'Eq. 6 in less memory: slope where the normalised x is negative',
        'archs/conditioned_norm.py',
        'normalised * sigma, SLOPE, False',
        'normalised, SLOPE, False',
        CONDITIONED_NORM,
    ),
    Mutation(
        'Eq. 6 in less memory: no gradient through the mean',
        'archs/conditioned_norm.py',
        'grad = grad.sub_(grad.mean((2, 3), keepdim=True))',
        'grad = grad.clone()',
        CONDITIONED_NORM,
    ),
    Mutation(
        'Eq. 6 in less memory: no gradient through the deviation',
        'archs/conditioned_norm.py',
        'along, value=-1)',
        'along, value=0)',
        CONDITIONED_NORM,
    ),
    Mutation(
        'Eq. 6 in less memory: never used',
        'archs/less_memory.py',
        "return x.device.type != 'cpu' and",
        'return False and',
        CONDITIONED_NORM,
    ),
    Mutation(
        'computed again: nothing is', 'archs/less_memory.py', 'if not keeps_less(output):', 'if True:', CONDITIONED_NORM
    ),
    Mutation(
        'computed again: in checkpointed blocks too',
        SELFCOND,
        'with nullcontext() if checkpointed else again:',
        'with again:',
        CONDITIONED_NORM,
    ),
    Mutation(
        'graphs: gradients of the last recording',
        'engine/recording.py',
        '            parameter.grad = gradient\n',
        '            pass\n',
        ('engine/test_recording.py::test_recorded_updates_compute_the_same',),
    ),
    Mutation(
        'graphs: the batch of the recording',
        'engine/recording.py',
        'self._place[name].copy_(value, non_blocking=True)',
        'self._place[name].copy_(self._place[name], non_blocking=True)',
        ('engine/test_recording.py::test_recorded_updates_compute_the_same',),
    ),
    Mutation(
        'graphs: R1 or none, whichever came first',
        'stages/selfcond_sr_model.py',
        'self._fakes_if_none, variant=has_r1)',
        'self._fakes_if_none)',
        ('engine/test_recording.py::test_recorded_updates_compute_the_same',),
    ),
    Mutation(
        'R1: the second derivative of convolutions without the weights',
        'ops/input_gradient.py',
        '[1] if of_weight else None,\n            None,',
        '[1].zero_() if of_weight else None,\n            None,',
        ('ops/test_input_gradient.py::test_a_penalty_and_what_is_learnt_from_it',),
    ),
    Mutation(
        'graphs: iterations are not told apart',
        'engine/update.py',
        '        if self.graphs:\n',
        '        if False:\n',
        ('engine/test_compiling.py::test_graphs_may_be_overwritten_from_one_iteration_to_the_next',),
    ),
    Mutation(
        'blur: of a wrong luminance',
        'metrics/blur_metric.py',
        'COLOR_BGR2GRAY',
        'COLOR_RGB2GRAY',
        ('metrics/test_references.py::test_blur_is_that_of_the_luminance',),
    ),
    Mutation(
        'Bulat: skip connections start as the others',
        'baselines/archs/bulat_arch.py',
        '(self.skip, math.sqrt(2))',
        '(self.skip, 1.0)',
        ('baselines/test_baseline_archs.py::test_sn_discriminator_starts_as_published',),
    ),
    Mutation(
        'stage 2: the style term is dropped',
        'stages/selfcond_sr_model.py',
        "('l_g_style', style)) if",
        "('l_g_style', None)) if",
        ('stages/test_selfcond_sr_model.py::test_perceptual_term_compares_with_the_hr_image',),
    ),
    Mutation(
        'Maeda: clean faces are not clamped',
        'baselines/models/pseudo_supervision_model.py',
        "self.opt['scale']).clamp(0, 1)",
        "self.opt['scale'])",
        CLAMPED_BASELINES,
    ),
    Mutation(
        'CycleGAN LR -> HR: shrunk faces are not clamped',
        'baselines/models/cyclegan_sr_model.py',
        "bicubic_downsample(gt, self.opt['scale']).clamp(0, 1)",
        "bicubic_downsample(gt, self.opt['scale'])",
        CLAMPED_BASELINES,
    ),
    Mutation(
        'Bulat: LR faces that are made are not clamped',
        'baselines/models/bulat_model.py',
        "noise.get('noise')).clamp(0, 1)}",
        "noise.get('noise'))}",
        CLAMPED_BASELINES,
    ),
    Mutation(
        'pairs: shrunk faces are not clamped',
        'data/paired_face_dataset.py',
        'bicubic_downsample(gt, self.scale).clamp_(0, 1)',
        'bicubic_downsample(gt, self.scale)',
        ('data/test_face_datasets.py::test_lr_faces_made_of_hr_faces_are_clamped',),
    ),
    Mutation(
        'faces: 10 % from square',
        'data/face_images.py',
        'max(1, 0.05 * max(height, width))',
        'max(1, 0.1 * max(height, width))',
        ('data/test_face_datasets.py::test_what_counts_as_square',),
    ),
    Mutation(
        'update: gradients for those that judge',
        'engine/update.py',
        'parameter.requires_grad_(label in update.labels)',
        'parameter.requires_grad_(True)',
        ('engine/test_updates.py::test_networks_that_only_judge_get_no_gradients',),
    ),
    Mutation(
        'validation: every metric is better higher',
        'engine/validation.py',
        "better = direction(settings) or 'higher'",
        "better = 'higher'",
        BEST_VALUES,
    ),
    Mutation(
        'validation: the worst value of a distance is the best',
        'engine/validation.py',
        "worst = float('-inf') if better == 'higher' else float('inf')",
        "worst = float('-inf')",
        BEST_VALUES,
    ),
    Mutation(
        'photos: colours are kept of the whole face',
        'photo_restoration/pasting.py',
        'COARSE = 6',
        'COARSE = 1',
        ('photo_restoration/test_pasting.py::test_colours_are_kept_in_each_part_of_a_face',),
    ),
    Mutation(
        'photos: the largest face is pasted last',
        'photo_restoration/restorer.py',
        'key=lambda number: -planned[number].frame.side',
        'key=lambda number: planned[number].frame.side',
        ('photo_restoration/test_restorer.py::test_a_small_face_before_a_large_one_is_seen_whole',),
    ),
    Mutation(
        'photos: a bilinear background',
        'photo_restoration/background.py',
        'Image.Resampling.BICUBIC',
        'Image.Resampling.BILINEAR',
        ('photo_restoration/test_restorer.py::test_the_background_is_enlarged_as_the_faces_are',),
    ),
    Mutation(
        'photos: squares grow to one side',
        'photo_restoration/restorer.py',
        'frame.left - more // 2',
        'frame.left - more',
        ('photo_restoration/test_restorer.py::test_sizes',),
    ),
    Mutation(
        'SelFSR: faults are counted from the start of stage 2',
        'stages/selfsr_model.py',
        'self.stage.iterations_before = self.stage1_iter',
        'self.stage.iterations_before = 0',
        ('stages/test_selfsr_model.py::test_a_fault_of_stage_2_is_told_by_its_iteration_of_the_whole_run',),
    ),
    Mutation(
        'arrays: not rounded to the nearest level',
        'ops/resize.py',
        'np.clip(np.rint(image), 0, 255)',
        'np.clip(np.floor(image + 0.499), 0, 255)',
        ('ops/test_resize.py::test_arrays_are_rounded_to_the_nearest_level_and_clipped',),
    ),
    Mutation(
        'photos: faces that two tiles show stay two',
        'photo_restoration/finding.py',
        '_SAME = 0.4',
        '_SAME = 0.9',
        ('photo_restoration/test_restorer.py::test_a_face_that_two_tiles_show_is_one',),
    ),
    Mutation(
        'checkpointing: of the first level alone',
        SELFCOND,
        'for level in self.levels:\n            level.checkpointing = use',
        'for level in self.levels[:1]:\n            level.checkpointing = use',
        ('archs/test_conditioned_norm.py::test_checkpointing_gives_the_same_gradient',),
    ),
    Mutation(
        'stage 2: the HR image is held against the output',
        'stages/selfcond_sr_model.py',
        "self.cri_perceptual(fake, batch['real'])",
        "self.cri_perceptual(batch['real'], fake)",
        ('stages/test_selfcond_sr_model.py::test_perceptual_term_compares_with_the_hr_image',),
    ),
]
