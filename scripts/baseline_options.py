"""The option files of the methods that the paper compares with, for scripts/make_options.py: Tables I and II.

Each is stated as the others are, as a base and the differences from it. Marks in the comments: the method's name where its
paper or its authors' code states the value, "memory" where it is from memory of the paper, "ours" otherwise.
"""

_ADAM = '{{type: Adam, lr: !!float {lr}, betas: [{betas}]}}'
_VGG = (
    '{type: PerceptualLoss, layer_weights: {relu5_4: 1.0}, vgg_type: vgg19, use_input_norm: true, '
    'perceptual_weight: WEIGHT, style_weight: 0, criterion: l1}'
)


def _adam(lr: str = '1e-4', betas: str = '0.9, 0.999') -> str:
    return _ADAM.format(lr=lr, betas=betas)


def _steps(*milestones: int) -> str:
    return f'{{type: MultiStepLR, milestones: {list(milestones)}, gamma: 0.5}}'


# ----- networks, as training and test files have them -----

_RDN = """
network_g.type: RDN                # 24.34 M parameters, as Table I says
network_g.num_in_ch: 3             # colour channels
network_g.num_out_ch: 3            # colour channels of the output
network_g.num_feat: 64             # RDN
network_g.num_grow_ch: 64          # RDN: features that each convolution of a block adds
network_g.num_block: 16            # RDN: residual dense blocks
network_g.num_conv: 8              # RDN: convolutions in a block
network_g.scale: {scale}           # that of the run
network_g.upsampler: direct        # one pixel shuffle, by which the count is Table I's; stepwise is the authors' code
"""
_FSRNET = """
network_g.type: FSRNet             # 2.15 M parameters, as Table I says
network_g.num_feat: 64             # FSRNet
network_g.num_parsing: 11          # FSRNet: parsing maps for CelebA; 0 for none
network_g.num_landmark: 0          # heatmaps of landmarks; FSRNet: 194 for Helen
network_g.share_blocks: true       # blocks of a stage share their weights, by which the count is Table I's; FSRNet: false
network_g.num_block: [3, 12, 3]    # FSRNet: residual blocks of coarse network, encoder and decoder
network_g.num_hourglass: 2         # FSRNet
network_g.depth: 3                 # FSRNet: halvings in an hourglass
network_g.scale: {scale}           # that of the run
"""
_DIC = """
network_g.type: DIC                # 21.80 M parameters, as Table I says
network_g.num_in_ch: 3             # colour channels
network_g.num_out_ch: 3            # colour channels of the output
network_g.num_feat: 48             # DIC
network_g.num_step: 4              # DIC: steps of recovery and landmark estimation
network_g.num_group: 6             # DIC
network_g.num_fusion_block: 7      # DIC
network_g.num_landmark: 68         # DIC: 68 for CelebA, 194 for Helen; 5 works as well (ours)
network_g.hourglass_feat: 256      # DIC
network_g.detach_attention: false  # DIC
"""
_PFSR = """
network_g.type: PFSRNet            # 8.97 M parameters, as Table I says
network_g.num_in_ch: 3             # colour channels
network_g.num_out_ch: 3            # colour channels of the output
network_g.num_feat: 512            # PFSR; half as many at each level
network_g.num_level: 3             # x2, x4, x8
"""
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

# ----- what the training files share -----

_HEAD = """
# {title}
#   python -m selfsr_plugin.train -opt options/{file}
{text}
# The keys of data, validation and log are explained in options/train_selfsr_real.yml, the others here. A comment says where a
# value is from: the method itself, "memory" (of its paper), or "ours".
name: {name}
model_type: {model}    # baselines/models
"""
_PAIRED = """
datasets.train.type: PairedFaceDataset    # HR faces and their bicubic LR faces
"""
_PRIORS = """
datasets.train.type: FacePriorDataset    # HR faces, their bicubic LR faces, and what is known of the faces
{keys}
"""
_LANDMARKS = (
    'datasets.train.landmarks: datasets/celeba/train_hr.csv    # python -m selfsr_plugin.make_landmarks, 68 points'
)
_PARSING = 'datasets.train.dataroot_parsing: {root}_parsing    # python -m selfsr_plugin.make_parsing'
_TRAIN = """
- train
path:
train:
train.total_iter: {total}
train.warmup_iter: 0               # as in BasicSR: iterations over which the learning rates rise, 0 for none
train.accum_iter: 1                # ours: parts that a batch is computed in, to save memory
train.nonfinite: stop              # ours: a NaN or infinite loss or gradient stops the run; skip leaves the step out
"""
_SUPERVISED = """
train.optim_g: {optim}    # {optim_from}
train.pixel_opt: {pixel}    # {pixel_from}
"""
_GAN = """
train.optim_d: {optim}    # {optim_from}
train.perceptual_opt: {percep}    # {percep_from}
train.gan_opt: {{type: GANLoss, gan_type: {kind}, loss_weight: {weight}}}    # {gan_from}
"""
_L1 = '{type: L1Loss, loss_weight: WEIGHT, reduction: mean}'
_MSE = '{type: MSELoss, loss_weight: WEIGHT, reduction: mean}'


def l1(weight: float = 1.0) -> str:
    return _L1.replace('WEIGHT', str(weight))


def mse(weight: float = 1.0) -> str:
    return _MSE.replace('WEIGHT', str(weight))


def vgg(weight: float) -> str:
    return _VGG.replace('WEIGHT', str(weight))


_SPLIT_D = """network_d:                         # judges HR and restored faces
network_d.type: SRGANDiscriminator    # SRGAN: ten convolutions
network_d.num_in_ch: 3             # colour channels
network_d.num_feat: 64             # SRGAN; up to 512
network_d.head: {head}             # {why}
network_d.size: {size}             # HR side
network_d.num_hidden: 1024         # SRGAN: of the dense layer
"""


def _train_file(
    name: str,
    title: str,
    text: str,
    model: str,
    data: str,
    batch: str,
    nets: str,
    total: str,
    train: str,
    path: str = '',
) -> str:
    """The differences of a training file from its base; ``name`` is table1/train_... or table2/train_..."""
    run = name.replace('/train_', '_')
    parts = [
        _HEAD.format(title=title, file=f'{name}.yml', text=text.strip(), name=run, model=model),
        data,
        f'datasets.train.batch_size_per_gpu: {batch}',
        '- network_g\n- network_d\ndatasets:',
        nets,
        path,
        _TRAIN.format(total=total),
        train,
    ]
    return _lines('\n'.join(parts))


def _lines(about: str) -> str:
    return '\n' + '\n'.join(line for line in about.splitlines() if line.strip()) + '\n'


def _test_file(name: str, title: str, model: str, nets: str, weights: str, more: str) -> str:
    """The differences of a test file from its base; ``weights`` is the training file, without ``train_``."""
    folder, _, file = name.partition('/test_')
    return _lines(f"""
# {title}
#   python -m selfsr_plugin.test -opt options/{name}.yml
# Keys are explained in options/test_selfsr_real.yml, those of the network in options/{weights.replace('/', '/train_')}.yml.
name: test_{folder}_{file}
model_type: {model}
- network_g
datasets:
network_g:                         # as it was trained
{nets}
path.pretrain_network_g: experiments/{weights.replace('/', '_')}/models/net_g_latest.pth
{more}
""")


# ----- the files: name -> (base, differences) -----

_T1, _T2 = 'table1/train_celeba_paired.yml', 'table3/train_vanilla.yml'
BASELINES: dict[str, tuple[str, str]] = {}


def _add(name: str, base: str, about: str) -> None:
    BASELINES[f'{name}.yml'] = (base, about)


def _method(table: str, file: str, title: str, text: str, model: str, nets: str, **rest: str) -> None:
    """A training file, and the file that tests what it has trained."""
    first = table == 'table1'
    where = 'Table I, CelebA, x8' if first else 'Table II, real faces, x4'
    nets_of_test = rest.pop('test_nets', nets.split('\nnetwork_d:')[0].split('\nnetwork_hg:')[0])
    nets_of_test = nets_of_test.format(scale=8 if first else 4)
    more = rest.pop('test_more', '')
    name = f'celeba_{file}' if first else file
    _add(
        f'{table}/train_{name}',
        _T1 if first else _T2,
        _train_file(
            f'{table}/train_{name}',
            f'{where}: {title}.',
            text,
            model,
            nets='network_g:\n' + nets.format(scale=8 if first else 4),
            **rest,
        ),
    )
    _add(
        f'{table}/test_{name}',
        'table1/test_celeba_paired.yml' if first else 'test_selfsr_real.yml',
        _test_file(
            f'{table}/test_{name}',
            f'{where}: restore the test faces by {title.split(" (")[0]}' + (' and score them.' if first else '.'),
            model,
            nets_of_test.strip('\n'),
            f'{table}/{name}',
            more,
        ),
    )


_method(
    'table1',
    'rdn',
    'RDN (Zhang et al., CVPR 2018)',
    '# L1 on bicubic pairs, nothing else.',
    'SupervisedSRModel',
    _RDN,
    data=_PAIRED,
    batch='16    # RDN',
    total='1000000    # ours: the rate is halved five times',
    train=_SUPERVISED.format(optim=_adam(), optim_from='RDN', pixel=l1(), pixel_from='RDN')
    + f'train.scheduler: {_steps(200000, 400000, 600000, 800000)}    # RDN: halved every 200,000 iterations\n',
)
_method(
    'table1',
    'fsrnet',
    'FSRNet (Chen et al., CVPR 2018)',
    """# A coarse image, facial priors and a fine image, each held against the truth. The priors are CelebA's parsing maps; with
# landmarks instead: network_g.num_parsing 0, num_landmark 68, datasets.train.landmarks in place of dataroot_parsing.""",
    'FSRNetModel',
    _FSRNET,
    data=_PRIORS.format(keys=_PARSING.format(root='datasets/celeba/train_hr')),
    batch='14    # FSRNet',
    total='1206000    # cs-giung/FSRNet-pytorch: 100 epochs, of 168,854 faces here',
    train="""
train.optim_g: {type: RMSprop, lr: !!float 2.5e-4}    # FSRNet
train.coarse_opt: """
    + mse()
    + """    # FSRNet: coarse and HR image, in [-1, 1]
train.prior_opt: """
    + mse()
    + """    # FSRNet: facial priors, in [-1, 1]
train.heatmap_sigma: 3.0           # FSRNet: width of landmarks in heatmaps of half the size; not used without landmarks
train.pixel_opt: """
    + mse()
    + """    # FSRNet: fine and HR image, in [-1, 1]
""",
)
_method(
    'table1',
    'fsrgan',
    'FSRGAN (Chen et al., CVPR 2018)',
    '# FSRNet trained further against a discriminator, from the weights of options/table1/train_celeba_fsrnet.yml.',
    'FSRNetModel',
    _FSRNET.rstrip('\n') + '\n' + _SPLIT_D.format(head='patch', why='FSRGAN: an answer for each patch', size=128),
    data=_PRIORS.format(keys=_PARSING.format(root='datasets/celeba/train_hr')),
    batch='14    # FSRNet',
    total='1206000    # cs-giung/FSRNet-pytorch: 100 epochs',
    path='path.pretrain_network_g: experiments/table1_celeba_fsrnet/models/net_g_latest.pth    # weights of FSRNet\n',
    train="""
train.optim_g: {type: RMSprop, lr: !!float 2.5e-4}    # FSRNet
train.coarse_opt: """
    + mse()
    + """    # FSRNet: coarse and HR image, in [-1, 1]
train.prior_opt: """
    + mse()
    + """    # FSRNet: facial priors, in [-1, 1]
train.heatmap_sigma: 3.0           # FSRNet: width of landmarks in heatmaps of half the size; not used without landmarks
train.pixel_opt: """
    + mse()
    + """    # FSRNet: fine and HR image, in [-1, 1]
"""
    + _GAN.format(
        optim='{type: RMSprop, lr: !!float 2.5e-4}',
        optim_from='FSRNet',
        percep=vgg(0.1),
        percep_from="FSRGAN: 0.1; there VGG16 and squares, here what BasicSR's loss offers (ours)",
        kind='vanilla',
        weight=0.001,
        gan_from='FSRGAN',
    ),
)
_HOURGLASS = """
network_hg.type: FeedbackHourglass    # 12.00 M of DIC's 21.80 M parameters
network_hg.num_in_ch: 3            # colour channels
network_hg.num_feat: 256           # DIC: hourglass_feat of network_g
network_hg.num_landmark: 68        # that of network_g and of the landmarks
network_hg.depth: 4                # DIC: halvings in the hourglass
"""
_add(
    'table1/train_celeba_dic_hourglass',
    _T1,
    _train_file(
        'table1/train_celeba_dic_hourglass',
        'Table I, CelebA, x8: the network that finds landmarks, with which DIC starts.',
        "# On HR faces. DIC's authors publish theirs without how it was trained: the schedule is ours.",
        'HourglassModel',
        _PRIORS.format(keys=_LANDMARKS),
        '8    # ours, as DIC',
        'network_hg:' + _HOURGLASS,
        '50000    # ours',
        f"""
train.optim_hg: {_adam()}    # ours, as DIC
train.heatmap_opt: {mse()}    # ours
train.heatmap_sigma: 1.0           # DIC: width of a landmark, in pixels of the heatmap
train.scheduler: {_steps(20000, 40000)}    # ours
""",
    ),
)
_DIC_TERMS = """
train.pixel_opt: {pixel}    # DIC: image of each step, summed
train.heatmap_opt: {heat}    # DIC: heatmaps of each step, summed
train.heatmap_sigma: 1.0           # DIC: width of a landmark, in pixels of the heatmap
train.freeze_iter: {freeze}
"""
_method(
    'table1',
    'dic',
    'DIC (Ma et al., CVPR 2020)',
    """# Recovery and landmark estimation in four steps. It starts with the hourglass of
# options/table1/train_celeba_dic_hourglass.yml, which is frozen at first.""",
    'DICModel',
    _DIC.rstrip('\n')
    + '\nnetwork_hg:                        # the hourglass that network_g starts with\n'
    + _HOURGLASS.strip('\n'),
    data=_PRIORS.format(keys=_LANDMARKS),
    batch='8    # DIC',
    total='150000    # DIC',
    path='path.pretrain_network_hg: experiments/table1_celeba_dic_hourglass/models/net_hg_latest.pth    # its weights\n',
    train=f'train.optim_g: {_adam()}    # DIC\n'
    + _DIC_TERMS.format(
        pixel=l1(), heat=mse(0.1), freeze='2000            # DIC: iterations in which the hourglass does not learn'
    )
    + f'train.scheduler: {_steps(10000, 20000, 40000, 80000)}    # DIC\n',
)
_LIGHT_D = """network_d:                         # judges HR and restored faces
network_d.type: LightCNNDiscriminator    # DICGAN: laid out as LightCNN
network_d.num_in_ch: 3             # colour channels
network_d.widths: [48, 96, 192, 128]    # DICGAN
network_d.num_hidden: 256          # DICGAN
network_d.size: 128                # HR side
"""
_method(
    'table1',
    'dicgan',
    'DICGAN (Ma et al., CVPR 2020)',
    """# DIC trained further against a discriminator, from the weights of options/table1/train_celeba_dic.yml. Its feature loss
# needs a LightCNN trained to know faces: with DIC's LightCNN_feature.pth add network_f (as network_d),
# path.pretrain_network_f, strict_load_f: false and train.feature_opt, an L1Loss of weight 0.1 (DICGAN).""",
    'DICModel',
    _DIC.rstrip('\n') + '\n' + _LIGHT_D,
    data=_PRIORS.format(keys=_LANDMARKS),
    batch='8    # DICGAN',
    total='80000    # DICGAN',
    path='path.pretrain_network_g: experiments/table1_celeba_dic/models/net_g_latest.pth    # weights of DIC\n',
    train=f"""
train.optim_g: {_adam()}    # DICGAN
train.optim_d: {_adam()}    # DICGAN
"""
    + _DIC_TERMS.format(pixel=l1(), heat=mse(0.1), freeze='80000           # DICGAN: the hourglass does not learn')
    + f"""
train.gan_opt: {{type: GANLoss, gan_type: vanilla, loss_weight: 0.005}}    # DICGAN, of the last image
train.scheduler: {_steps(10000, 20000, 40000)}    # DICGAN
""",
)
_PFSR_D = """network_d:                         # judges HR and restored faces at the level that training has reached
network_d.type: PFSRDiscriminator
network_d.num_in_ch: 3             # colour channels
network_d.num_feat: 64             # PFSR: at the full size
network_d.num_level: 3             # as many as network_g has
network_d.num_hidden: 2048         # PFSR
"""
_method(
    'table1',
    'pfsr',
    'PFSR (Kim et al., BMVC 2019)',
    """# Grows from x2 to x8, with two losses of landmarks. Its weights and schedule could not be found: all of train is ours, as is
# the gradient penalty. Its distilled face alignment network is not to be had: in its place is the hourglass of
# options/table1/train_celeba_dic_hourglass.yml (ours).""",
    'PFSRModel',
    _PFSR.rstrip('\n')
    + '\n'
    + _PFSR_D
    + 'network_hg:                        # finds the landmarks that the heatmap loss compares; it does not learn\n'
    + _HOURGLASS.replace('DIC: hourglass_feat of network_g', 'as it was trained')
    .replace('that of network_g and of the landmarks', 'as it was trained')
    .strip('\n'),
    data=_PRIORS.format(keys=_LANDMARKS),
    batch='16    # ours',
    total='150000    # ours',
    path='path.pretrain_network_hg: experiments/table1_celeba_dic_hourglass/models/net_hg_latest.pth    # its weights\n',
    train=f"""
train.supervision: paired          # the HR face of the LR face; nothing else
train.grow_at: [50000, 100000]     # ours: x2, then x4, then x8
train.fade_iter: 10000             # PFSR fades in, over how long is ours
train.optim_g: {_adam('1e-3', '0.0, 0.99')}    # ours; large because of the equalized learning rate
train.optim_d: {_adam('1e-3', '0.0, 0.99')}    # ours
train.pixel_opt: {l1(10.0)}    # ours
train.attention_weight: 10.0       # ours: facial attention loss, where landmarks are
train.attention_sigma: 0.05        # ours: width of a landmark there, as a share of the side of the image
train.heatmap_opt: {mse(100.0)}    # ours: heatmaps of output and HR image; squares of a few thousandths
train.gan_opt: {{type: GANLoss, gan_type: hinge, loss_weight: 1.0}}    # ours
train.r1_reg_weight: 10            # ours: gradient penalty of Eq. 9
""",
)

# ----- Table I, Helen: the files for CelebA, on other faces -----

_HELEN_PRIORS = """
datasets.train.landmarks: datasets/helen/train_hr.csv    # python -m selfsr_plugin.make_landmarks, Helen's 194 points
datasets.train.use_hflip: false    # which of 194 points change places is not known
"""
_HELEN_FSRNET = """
network_g.num_parsing: 0           # parsing maps; none for Helen
network_g.num_landmark: 194        # FSRNet: heatmaps of landmarks, for Helen
"""
_HELEN_DIC = 'network_g.num_landmark: 194        # DIC: for Helen'
_HELEN_HOURGLASS = 'network_hg.num_landmark: 194       # that of the landmarks'


def _helen(method: str, title: str, nets: str = '', more: str = '', after: str = '') -> None:
    """A training file and, unless ``title`` is '', one that tests; ``nets`` is what differs in network_g, ``more`` in the rest
    of the training, and ``after`` the line of ``path`` that names the weights of another training."""
    train, test, name = (f'table1/{kind}helen_{method}' for kind in ('train_', 'test_', ''))
    run = name.replace('/', '_')
    _add(
        train,
        f'table1/train_celeba_{method}.yml',
        _lines(f"""
# Table I, Helen, x8: {title or 'the network that finds landmarks, with which DIC starts'}.
#   python -m selfsr_plugin.train -opt options/{train}.yml
# options/table1/train_celeba_{method}.yml, whose comments are not said again, on other faces; as many iterations (ours).
name: {run}
datasets.train.name: helen_train
{'- datasets.train.dataroot_parsing' if method in ('fsrnet', 'fsrgan') else ''}
datasets.train.dataroot_gt: datasets/helen/train_hr.lmdb    # paper: 2,005 faces
{'' if method == 'rdn' else _HELEN_PRIORS}
datasets.val.name: helen_test
datasets.val.dataroot_gt: datasets/helen/test_hr.lmdb       # paper: 50 faces
{nets}
{more}
{f'path.pretrain_network_{after}' if after else ''}
"""),
    )
    if title:
        _add(
            test,
            f'table1/test_celeba_{method}.yml',
            _lines(f"""
# Table I, Helen, x8: restore the test faces by {title} and score them.
#   python -m selfsr_plugin.test -opt options/{test}.yml
# options/table1/test_celeba_{method}.yml with other faces and weights.
name: test_{run}
datasets.test.name: helen_test
datasets.test.dataroot_gt: datasets/helen/test_hr.lmdb    # paper: 50 faces
{nets}
path.pretrain_network_g: experiments/{run}/models/net_g_latest.pth
"""),
        )


_HELEN_HG = 'hg: experiments/table1_helen_dic_hourglass/models/net_hg_latest.pth    # its weights'
_helen('rdn', 'RDN')
_helen('fsrnet', 'FSRNet', _HELEN_FSRNET)
_helen(
    'fsrgan',
    'FSRGAN',
    _HELEN_FSRNET,
    after='g: experiments/table1_helen_fsrnet/models/net_g_latest.pth    # weights of FSRNet',
)
_helen('dic_hourglass', '', more=_HELEN_HOURGLASS)
_helen('dic', 'DIC', _HELEN_DIC, _HELEN_HOURGLASS, _HELEN_HG)
_helen(
    'dicgan', 'DICGAN', _HELEN_DIC, after='g: experiments/table1_helen_dic/models/net_g_latest.pth    # weights of DIC'
)
_helen('pfsr', 'PFSR', more=_HELEN_HOURGLASS, after=_HELEN_HG)

# ----- Table II -----
_T2_PAIRED = _PAIRED + 'datasets.train.gt_size: 64\n'
_method(
    'table2',
    'deepdeblur',
    'DeepDeblur (Nah et al., CVPR 2017)',
    '# A method against blur, on bicubic pairs: L1 at three scales. Without the GAN of its first code.',
    'DeepDeblurModel',
    _DEEPDEBLUR,
    data=_T2_PAIRED,
    batch='16    # DeepDeblur (PyTorch code)',
    total='300000    # ours',
    train=_SUPERVISED.format(
        optim=_adam(), optim_from='DeepDeblur', pixel=l1(), pixel_from='DeepDeblur (PyTorch code), the mean over scales'
    )
    + f'train.scheduler: {_steps(150000, 225000, 270000)}    # DeepDeblur: at 50, 75 and 90 % of the training\n',
)
_method(
    'table2',
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
    'table2',
    'srresnet',
    'the network that SRGAN starts with (Ledig et al., CVPR 2017)',
    '# SRResNet: the generator by itself, on bicubic pairs. Then options/table2/train_srgan.yml.',
    'SupervisedSRModel',
    _SRRESNET,
    data=_T2_PAIRED,
    batch='16    # memory',
    total='1000000    # memory',
    train=_SUPERVISED.format(optim=_adam(), optim_from='memory', pixel=mse(), pixel_from='SRGAN'),
)
_method(
    'table2',
    'srgan',
    'SRGAN (Ledig et al., CVPR 2017)',
    '# From the weights of options/table2/train_srresnet.yml, on bicubic pairs.',
    'SupervisedSRModel',
    _SRRESNET.rstrip('\n') + '\n' + _SPLIT_D.format(head='dense', why='SRGAN: one answer for an image', size=64),
    data=_T2_PAIRED,
    batch='16    # memory',
    total='200000    # memory: half of them at the full rate',
    path='path.pretrain_network_g: experiments/table2_srresnet/models/net_g_latest.pth    # weights of SRResNet\n',
    train=f"""
train.optim_g: {_adam()}    # memory
train.optim_d: {_adam()}    # memory
train.pixel_opt: ~                 # SRGAN: none beside the features
train.perceptual_opt: {vgg(0.006)}    # memory; there squares, here what BasicSR's loss offers (ours)
train.gan_opt: {{type: GANLoss, gan_type: vanilla, loss_weight: 0.001}}    # memory
train.scheduler: {{type: MultiStepLR, milestones: [100000], gamma: 0.1}}    # memory
""",
)
_method(
    'table2',
    'fsrnet',
    'FSRNet (Chen et al., CVPR 2018)',
    '# As options/table1/train_celeba_fsrnet.yml, on bicubic pairs of this table.',
    'FSRNetModel',
    _FSRNET,
    data=_PRIORS.format(keys=_PARSING.format(root='datasets/real/train_hr')),
    batch='14    # FSRNet',
    total='1306000    # cs-giung/FSRNet-pytorch: 100 epochs, of 182,866 faces here',
    train=f"""
train.optim_g: {{type: RMSprop, lr: !!float 2.5e-4}}    # FSRNet
train.coarse_opt: {mse()}    # FSRNet: coarse and HR image, in [-1, 1]
train.prior_opt: {mse()}    # FSRNet: facial priors, in [-1, 1]
train.heatmap_sigma: 3.0           # FSRNet: width of landmarks in heatmaps of half the size; not used without landmarks
train.pixel_opt: {mse()}    # FSRNet: fine and HR image, in [-1, 1]
""",
)
_UNPAIRED = """
datasets.train.type: UnpairedFaceDataset    # HR faces, each with a real LR face of someone else drawn at random
datasets.train.dataroot_gt: datasets/real/train_hr
datasets.train.dataroot_lq: datasets/real/train_lr    # real LR faces
datasets.train.gt_size: 64
datasets.train.lq_size: 16
"""
_method(
    'table2',
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
train.optim_g: {_adam('2e-4', '0.5, 0.999')}    # CycleGAN
train.optim_deg: {_adam('2e-4', '0.5, 0.999')}    # CycleGAN
train.optim_d: {_adam('2e-4', '0.5, 0.999')}    # CycleGAN
train.optim_d_lq: {_adam('2e-4', '0.5, 0.999')}    # CycleGAN
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
    'table2',
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
train.degradation.optim_deg: {_adam('1e-4', '0.0, 0.9')}    # Bulat
train.degradation.optim_d_lq: {_adam('1e-4', '0.0, 0.9')}    # Bulat
train.degradation.gan_opt: {{type: GANLoss, gan_type: hinge, loss_weight: 0.05}}    # Bulat
train.degradation.pixel_opt: {mse()}    # Bulat: against the averaged HR face, in [-1, 1]
train.sr:                          # stage 2
train.sr.total_iter: 200000        # ours
train.sr.warmup_iter: 0
train.sr.accum_iter: 1
train.sr.nonfinite: stop
train.sr.optim_g: {_adam('1e-4', '0.0, 0.9')}    # Bulat
train.sr.optim_d: {_adam('1e-4', '0.0, 0.9')}    # Bulat
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
    'table2',
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
train.optim_g: {_adam('1e-4')}    # yoon28/pseudo-sr
train.optim_clean: {_adam('1e-4', '0.5, 0.999')}    # yoon28/pseudo-sr
train.optim_deg: {_adam('1e-4', '0.5, 0.999')}    # yoon28/pseudo-sr
train.optim_d_lq: {_adam('1e-4', '0.5, 0.999')}    # yoon28/pseudo-sr
train.optim_d_clean: {_adam('1e-4', '0.5, 0.999')}    # yoon28/pseudo-sr
train.optim_d: {_adam('1e-4', '0.5, 0.999')}    # yoon28/pseudo-sr
train.scheduler: {_steps(100000, 180000, 240000, 280000)}    # Maeda
train.gan_opt: {{type: GANLoss, gan_type: lsgan, loss_weight: 1.0}}    # yoon28/pseudo-sr
train.sr_gan_opt: {{type: GANLoss, gan_type: lsgan, loss_weight: 0.1}}    # yoon28/pseudo-sr
train.cycle_opt: {l1(1.0)}    # yoon28/pseudo-sr
train.identity_opt: {l1(2.0)}    # yoon28/pseudo-sr
train.geometry_opt: {l1(1.0)}    # yoon28/pseudo-sr
train.pixel_opt: {l1(1.0)}    # yoon28/pseudo-sr
""",
)
