"""The option files of the methods that Table II compares with; marks as in baseline_option_parts.py."""

from functools import partial

from baseline_option_parts import (
    Files,
    FSRNET,
    FSRNET_TERMS,
    PAIRED,
    PARSING,
    PRIORS,
    SPLIT_D,
    SUPERVISED,
    adam,
    l1,
    method,
    mse,
    steps,
    vgg,
)

TABLE2: Files = {}
_method = partial(method, TABLE2, 'table2')

_SRRESNET = """
network_g.type: SRResNet           # SRGAN's generator
network_g.num_in_ch: 3             # colour channels
network_g.num_out_ch: 3            # colour channels of the output
network_g.num_feat: 64             # SRGAN
network_g.num_block: 16            # SRGAN
network_g.scale: {scale}           # that of the run
"""
_DEEPDEBLUR = """
network_g.type: DeepDeblur         # 11.72 M parameters
network_g.num_in_ch: 3             # colour channels
network_g.num_feat: 64             # DeepDeblur
network_g.num_block: 19            # DeepDeblur: residual blocks of each scale
network_g.kernel_size: 5           # DeepDeblur
network_g.num_scale: 3             # DeepDeblur: full size, a half, a quarter
network_g.scale: {scale}           # that of the run; the LR face is enlarged first (ours: the method deblurs)
"""
_WAVELET = """
network_g.type: WaveletSRNet       # 51.4 M parameters at x4
network_g.num_in_ch: 3             # colour channels
network_g.num_feat: 64             # Wavelet-SRNet: of the first stage of the embedding
network_g.num_block: 2             # Wavelet-SRNet: residual blocks of each stage
network_g.wavelet_feat: 32         # Wavelet-SRNet: features of each packet
network_g.scale: {scale}           # that of the run; its doublings are the depth of the packets
"""
_CYCLEGAN = """
network_g.type: CycleGANUpscaler    # the LR face enlarged, then CycleGAN's generator (ours: the row's layout is not known)
network_g.num_in_ch: 3             # colour channels
network_g.num_feat: 64             # CycleGAN
network_g.num_block: 6             # CycleGAN: for images of less than 256 pixels
network_g.scale: {scale}           # that of the run
"""
_LOW_TO_HIGH = """
network_g.type: LowToHigh          # 15.5 M parameters
network_g.num_in_ch: 3             # colour channels
network_g.num_out_ch: 3            # colour channels of the output
network_g.widths: [256, 128, 96]    # Bulat: of x1, x2 and x4
network_g.num_block: [12, 3]       # Bulat: before each doubling
"""
_RCAN = """
network_{label}.type: RCAN          # BasicSR's
network_{label}.num_in_ch: 3        # colour channels
network_{label}.num_out_ch: 3       # colour channels of the output
network_{label}.num_feat: 64        # RCAN
network_{label}.num_group: 5        # yoon28/pseudo-sr
network_{label}.num_block: {blocks}    # yoon28/pseudo-sr
network_{label}.upscale: {scale}    # {why}
network_{label}.img_range: 1        # images in [0, 1] ...
network_{label}.rgb_mean: [0, 0, 0]    # ... as they are
"""
_MAEDA = (
    _RCAN.format(label='g', blocks=20, scale=4, why='that of the run')
    + """network_clean:                     # from real to clean LR faces
"""
    + _RCAN.format(label='clean', blocks=10, scale=1, why='LR to LR').lstrip('\n')
)

_T2_PAIRED = PAIRED + 'datasets.train.gt_size: 64\n'
_method(
    'deepdeblur',
    'DeepDeblur (Nah et al., CVPR 2017)',
    '# A method against blur, on bicubic pairs: L1 at three scales. Without the GAN of its first code.',
    'DeepDeblurModel',
    _DEEPDEBLUR,
    data=_T2_PAIRED,
    batch='16    # DeepDeblur (PyTorch code)',
    total='300000    # ours',
    train=SUPERVISED.format(
        optim=adam(), optim_from='DeepDeblur', pixel=l1(), pixel_from='DeepDeblur (PyTorch code), the mean over scales'
    )
    + f'train.scheduler: {steps(150000, 225000, 270000)}    # DeepDeblur: at 50, 75 and 90 % of the training\n',
)
_method(
    'wavelet',
    'Wavelet-SRNet (Huang et al., ICCV 2017)',
    '# The wavelet packets of the HR face are predicted, on bicubic pairs.',
    'WaveletSRModel',
    _WAVELET,
    data=_T2_PAIRED,
    batch='64    # Wavelet-SRNet',
    total='200000    # ours',
    train="""
train.optim_g: {type: Adam, lr: !!float 2e-4, betas: [0.9, 0.999], weight_decay: !!float 5e-4}    # Wavelet-SRNet
train.low_weight: 0.01             # Wavelet-SRNet: low-pass packet
train.high_weight: 0.99            # Wavelet-SRNet: all other packets
train.image_weight: 0.1            # Wavelet-SRNet: the image
train.texture_weight: 1.0          # Wavelet-SRNet: texture loss
train.texture_alpha: 1.2           # Wavelet-SRNet: energy that it asks for, as a share of the true one
""",
)
_method(
    'srresnet',
    'the network that SRGAN starts with (Ledig et al., CVPR 2017)',
    '# SRResNet: the generator by itself, on bicubic pairs. Then options/table2/train_srgan.yml.',
    'SupervisedSRModel',
    _SRRESNET,
    data=_T2_PAIRED,
    batch='16    # memory',
    total='1000000    # memory',
    train=SUPERVISED.format(optim=adam(), optim_from='memory', pixel=mse(), pixel_from='SRGAN'),
)
_method(
    'srgan',
    'SRGAN (Ledig et al., CVPR 2017)',
    '# From the weights of options/table2/train_srresnet.yml, on bicubic pairs.',
    'SupervisedSRModel',
    _SRRESNET.rstrip('\n') + '\n' + SPLIT_D.format(head='dense', why='SRGAN: one answer for an image', size=64),
    data=_T2_PAIRED,
    batch='16    # memory',
    total='200000    # memory: half of them at the full rate',
    path='path.pretrain_network_g: experiments/table2_srresnet/models/net_g_latest.pth    # weights of SRResNet\n',
    train=f"""
train.optim_g: {adam()}    # memory
train.optim_d: {adam()}    # memory
train.pixel_opt: ~                 # SRGAN: none beside the features
train.perceptual_opt: {vgg(0.006)}    # memory; there squares, here what BasicSR's loss offers (ours)
train.gan_opt: {{type: GANLoss, gan_type: vanilla, loss_weight: 0.001}}    # memory
train.scheduler: {{type: MultiStepLR, milestones: [100000], gamma: 0.1}}    # memory
""",
)
_method(
    'fsrnet',
    'FSRNet (Chen et al., CVPR 2018)',
    '# As options/table1/train_celeba_fsrnet.yml, on bicubic pairs of this table.',
    'FSRNetModel',
    FSRNET,
    data=PRIORS.format(keys=PARSING.format(root='datasets/real/train_hr')),
    batch='14    # FSRNet',
    total='1306000    # cs-giung/FSRNet-pytorch: 100 epochs, of 182,866 faces here',
    train=FSRNET_TERMS,
)
_UNPAIRED = """
datasets.train.type: UnpairedFaceDataset    # HR faces, each with a real LR face of someone else drawn at random
datasets.train.dataroot_gt: datasets/real/train_hr
datasets.train.dataroot_lq: datasets/real/train_lr    # real LR faces
datasets.train.gt_size: 64
datasets.train.lq_size: 16
"""
_method(
    'cyclegan',
    'CycleGAN (Zhu et al., ICCV 2017)',
    '# From real LR faces to HR faces directly, without pairs.',
    'CycleGANSRModel',
    _CYCLEGAN.rstrip('\n')
    + """
network_d:                         # judges HR and restored faces
network_d.type: DomainDiscriminator    # a PatchGAN, as CycleGAN's
network_d.num_in_ch: 3             # colour channels
network_d.num_feat: 64             # CycleGAN
network_deg:                       # the way back: HR faces to LR faces
network_deg.type: CycleGANDownscaler
network_deg.num_in_ch: 3           # colour channels
network_deg.num_feat: 64           # CycleGAN
network_deg.num_block: 6           # CycleGAN
network_deg.scale: 4               # that of the run
network_d_lq:                      # judges real and made LR faces
network_d_lq.type: DomainDiscriminator
network_d_lq.num_in_ch: 3          # colour channels
network_d_lq.num_feat: 64          # CycleGAN
""",
    data=_UNPAIRED,
    batch='16    # ours; CycleGAN: 1',
    total='200000    # ours; CycleGAN: 200 epochs',
    train=f"""
train.optim_g: {adam('2e-4', '0.5, 0.999')}    # CycleGAN
train.optim_deg: {adam('2e-4', '0.5, 0.999')}    # CycleGAN
train.optim_d: {adam('2e-4', '0.5, 0.999')}    # CycleGAN
train.optim_d_lq: {adam('2e-4', '0.5, 0.999')}    # CycleGAN
train.scheduler: {{type: LinearDecayLR, decay_from: 100000}}    # CycleGAN: to zero over the second half
train.gan_opt: {{type: GANLoss, gan_type: lsgan, loss_weight: 1.0}}    # CycleGAN
train.cycle_opt: {l1(10.0)}    # CycleGAN: there and back again, in [-1, 1], both ways
train.identity_opt: {l1(5.0)}    # CycleGAN; on which images is ours (docs/baselines.md); ~ for none
train.pool_size: 50                # CycleGAN: earlier images that the discriminators see too; 0 for none
""",
)
_SN_D = """network_{label}:                         # {what}
network_{label}.type: SNDiscriminator    # spectral normalisation
network_{label}.num_in_ch: 3             # colour channels
network_{label}.num_feat: 128            # {source}
network_{label}.num_block: 5             # {source}
network_{label}.num_down: {down}             # {why}
"""
_method(
    'bulat',
    'Bulat et al. (ECCV 2018)',
    """# "To learn image super-resolution, use a GAN to learn how to do image degradation first": High-to-Low, then Low-to-High on
# what it makes, in one run. No training code was published.""",
    'BulatModel',
    _LOW_TO_HIGH.rstrip('\n')
    + '\n'
    + _SN_D.format(label='d', what='stage 2: judges HR and restored faces', down=4, source='Bulat', why='64x64 to 4x4')
    + """network_deg:                       # stage 1: High-to-Low, from HR faces and noise to LR faces
network_deg.type: HighToLow        # 1.34 M parameters without noise
network_deg.num_in_ch: 3           # colour channels
network_deg.num_feat: 64           # Bulat
network_deg.num_block: 2           # Bulat: residual blocks of each size
network_deg.num_down: 4            # Bulat: 64x64 to 4x4 ...
network_deg.num_up: 2              # Bulat: ... to 16x16
network_deg.noise_dim: 64          # ours; 0 for no noise, as in the authors' file
network_deg.size: 64               # HR side
"""
    + _SN_D.format(
        label='d_lq', what='stage 1: judges real and made LR faces', down=2, source='Bulat', why='16x16 to 4x4'
    ),
    data=_UNPAIRED,
    batch='32    # Bulat',
    total='400000    # both stages',
    train=f"""
- train.warmup_iter
- train.accum_iter
- train.nonfinite
train.degradation:                 # stage 1
train.degradation.total_iter: 200000    # ours
train.degradation.warmup_iter: 0    # as in BasicSR: iterations over which the learning rates rise, 0 for none
train.degradation.accum_iter: 1    # ours: parts that a batch is computed in, to save memory
train.degradation.nonfinite: stop    # ours: a NaN or infinite loss or gradient stops the run; skip leaves the step out
train.degradation.optim_deg: {adam('1e-4', '0.0, 0.9')}    # Bulat
train.degradation.optim_d_lq: {adam('1e-4', '0.0, 0.9')}    # Bulat
train.degradation.gan_opt: {{type: GANLoss, gan_type: hinge, loss_weight: 0.05}}    # Bulat
train.degradation.pixel_opt: {mse()}    # Bulat: against the averaged HR face, in [-1, 1]
train.sr:                          # stage 2
train.sr.total_iter: 200000        # ours
train.sr.warmup_iter: 0
train.sr.accum_iter: 1
train.sr.nonfinite: stop
train.sr.optim_g: {adam('1e-4', '0.0, 0.9')}    # Bulat
train.sr.optim_d: {adam('1e-4', '0.0, 0.9')}    # Bulat
train.sr.gan_opt: {{type: GANLoss, gan_type: hinge, loss_weight: 0.05}}    # Bulat
train.sr.pixel_opt: {mse(4.0)}    # Bulat: 1 for images in [-1, 1], which is 4 for these in [0, 1]
""",
)
_LAYERS_D = """network_{label}:                         # {what}
network_{label}.type: NLayerDiscriminator    # a PatchGAN without normalisation
network_{label}.num_in_ch: 3             # colour channels
network_{label}.num_feat: 64             # yoon28/pseudo-sr
network_{label}.num_layer: 3             # yoon28/pseudo-sr
network_{label}.num_down: {down}             # {why}
"""
_method(
    'maeda',
    'Maeda (CVPR 2020)',
    """# "Unpaired image super-resolution using pseudo-supervision": a network that corrects real LR faces, and one that restores
# them. No code was published: values are those of the unofficial yoon28/pseudo-sr.""",
    'PseudoSupervisionModel',
    _MAEDA.rstrip('\n')
    + """
network_deg:                       # from clean LR faces and noise to real ones
network_deg.type: TransferNet
network_deg.num_in_ch: 3           # colour channels
network_deg.num_feat: 64           # yoon28/pseudo-sr
network_deg.num_noise_feat: 8      # yoon28/pseudo-sr
network_deg.num_block: 6           # yoon28/pseudo-sr
network_deg.use_bn: true           # yoon28/pseudo-sr: batch normalisation
"""
    + _LAYERS_D.format(label='d_lq', what='judges real and made LR faces', down=0, why='16x16')
    + _LAYERS_D.format(label='d_clean', what='judges clean and corrected LR faces', down=0, why='16x16')
    + _LAYERS_D.format(
        label='d', what='judges restored real faces and restored pseudo-pairs', down=2, why='four times 16x16'
    ),
    test_nets=_MAEDA,
    test_more='path.pretrain_network_clean: experiments/table2_maeda/models/net_clean_latest.pth    # weights of network_clean',
    data=_UNPAIRED,
    batch='16    # Maeda',
    total='300000    # Maeda',
    train=f"""
train.optim_g: {adam('1e-4')}    # yoon28/pseudo-sr
train.optim_clean: {adam('1e-4', '0.5, 0.999')}    # yoon28/pseudo-sr
train.optim_deg: {adam('1e-4', '0.5, 0.999')}    # yoon28/pseudo-sr
train.optim_d_lq: {adam('1e-4', '0.5, 0.999')}    # yoon28/pseudo-sr
train.optim_d_clean: {adam('1e-4', '0.5, 0.999')}    # yoon28/pseudo-sr
train.optim_d: {adam('1e-4', '0.5, 0.999')}    # yoon28/pseudo-sr
train.scheduler: {steps(100000, 180000, 240000, 280000)}    # Maeda
train.gan_opt: {{type: GANLoss, gan_type: lsgan, loss_weight: 1.0}}    # yoon28/pseudo-sr
train.sr_gan_opt: {{type: GANLoss, gan_type: lsgan, loss_weight: 0.1}}    # yoon28/pseudo-sr
train.cycle_opt: {l1(1.0)}    # yoon28/pseudo-sr
train.identity_opt: {l1(2.0)}    # yoon28/pseudo-sr
train.geometry_opt: {l1(1.0)}    # yoon28/pseudo-sr
train.pixel_opt: {l1(1.0)}    # yoon28/pseudo-sr
""",
)
