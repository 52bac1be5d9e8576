"""The option files of the methods that Table I compares with; marks as in baseline_option_parts.py."""

from functools import partial

from baseline_option_parts import (
    CELEBA_PAIRED,
    Files,
    FSRNET,
    FSRNET_TERMS,
    GAN,
    LANDMARKS,
    PAIRED,
    PARSING,
    PRIORS,
    SPLIT_D,
    SUPERVISED,
    adam,
    l1,
    lines,
    method,
    mse,
    steps,
    train_file,
    vgg,
)

TABLE1: Files = {}
_method = partial(method, TABLE1, 'table1')

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

_method(
    'rdn',
    'RDN (Zhang et al., CVPR 2018)',
    '# L1 on bicubic pairs, nothing else.',
    'SupervisedSRModel',
    _RDN,
    data=PAIRED,
    batch='16    # RDN',
    total='1000000    # ours: the rate is halved five times',
    train=SUPERVISED.format(optim=adam(), optim_from='RDN', pixel=l1(), pixel_from='RDN')
    + f'train.scheduler: {steps(200000, 400000, 600000, 800000)}    # RDN: halved every 200,000 iterations\n',
)
_method(
    'fsrnet',
    'FSRNet (Chen et al., CVPR 2018)',
    """# A coarse image, facial priors and a fine image, each held against the truth. The priors are CelebA's parsing maps; with
# landmarks instead: network_g.num_parsing 0, num_landmark 68, datasets.train.landmarks in place of dataroot_parsing.""",
    'FSRNetModel',
    FSRNET,
    data=PRIORS.format(keys=PARSING.format(root='datasets/celeba/train_hr')),
    batch='14    # FSRNet',
    total='1206000    # cs-giung/FSRNet-pytorch: 100 epochs, of 168,854 faces here',
    train=FSRNET_TERMS,
)
_method(
    'fsrgan',
    'FSRGAN (Chen et al., CVPR 2018)',
    '# FSRNet trained further against a discriminator, from the weights of options/table1/train_celeba_fsrnet.yml.',
    'FSRNetModel',
    FSRNET.rstrip('\n') + '\n' + SPLIT_D.format(head='patch', why='FSRGAN: an answer for each patch', size=128),
    data=PRIORS.format(keys=PARSING.format(root='datasets/celeba/train_hr')),
    batch='14    # FSRNet',
    total='1206000    # cs-giung/FSRNet-pytorch: 100 epochs',
    path='path.pretrain_network_g: experiments/table1_celeba_fsrnet/models/net_g_latest.pth    # weights of FSRNet\n',
    train=FSRNET_TERMS
    + GAN.format(
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
TABLE1['table1/train_celeba_dic_hourglass.yml'] = (
    CELEBA_PAIRED,
    train_file(
        'table1/train_celeba_dic_hourglass',
        'Table I, CelebA, x8: the network that finds landmarks, with which DIC starts.',
        "# On HR faces. DIC's authors publish theirs without how it was trained: the schedule is ours.",
        'HourglassModel',
        PRIORS.format(keys=LANDMARKS),
        '8    # ours, as DIC',
        'network_hg:' + _HOURGLASS,
        '50000    # ours',
        f"""
train.optim_hg: {adam()}    # ours, as DIC
train.heatmap_opt: {mse()}    # ours
train.heatmap_sigma: 1.0           # DIC: width of a landmark, in pixels of the heatmap
train.scheduler: {steps(20000, 40000)}    # ours
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
    'dic',
    'DIC (Ma et al., CVPR 2020)',
    """# Recovery and landmark estimation in four steps. It starts with the hourglass of
# options/table1/train_celeba_dic_hourglass.yml, which is frozen at first.""",
    'DICModel',
    _DIC.rstrip('\n')
    + '\nnetwork_hg:                        # the hourglass that network_g starts with\n'
    + _HOURGLASS.strip('\n'),
    data=PRIORS.format(keys=LANDMARKS),
    batch='8    # DIC',
    total='150000    # DIC',
    path='path.pretrain_network_hg: experiments/table1_celeba_dic_hourglass/models/net_hg_latest.pth    # its weights\n',
    train=f'train.optim_g: {adam()}    # DIC\n'
    + _DIC_TERMS.format(
        pixel=l1(), heat=mse(0.1), freeze='2000            # DIC: iterations in which the hourglass does not learn'
    )
    + f'train.scheduler: {steps(10000, 20000, 40000, 80000)}    # DIC\n',
)
_LIGHT_D = """network_d:                         # judges HR and restored faces
network_d.type: LightCNNDiscriminator    # DICGAN: laid out as LightCNN
network_d.num_in_ch: 3             # colour channels
network_d.widths: [48, 96, 192, 128]    # DICGAN
network_d.num_hidden: 256          # DICGAN
network_d.size: 128                # HR side
"""
_method(
    'dicgan',
    'DICGAN (Ma et al., CVPR 2020)',
    """# DIC trained further against a discriminator, from the weights of options/table1/train_celeba_dic.yml. Its feature loss
# needs a LightCNN trained to know faces: with DIC's LightCNN_feature.pth add network_f (as network_d),
# path.pretrain_network_f, strict_load_f: false and train.feature_opt, an L1Loss of weight 0.1 (DICGAN).""",
    'DICModel',
    _DIC.rstrip('\n') + '\n' + _LIGHT_D,
    data=PRIORS.format(keys=LANDMARKS),
    batch='8    # DICGAN',
    total='80000    # DICGAN',
    path='path.pretrain_network_g: experiments/table1_celeba_dic/models/net_g_latest.pth    # weights of DIC\n',
    train=f"""
train.optim_g: {adam()}    # DICGAN
train.optim_d: {adam()}    # DICGAN
"""
    + _DIC_TERMS.format(pixel=l1(), heat=mse(0.1), freeze='80000           # DICGAN: the hourglass does not learn')
    + f"""
train.gan_opt: {{type: GANLoss, gan_type: vanilla, loss_weight: 0.005}}    # DICGAN, of the last image
train.scheduler: {steps(10000, 20000, 40000)}    # DICGAN
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
    data=PRIORS.format(keys=LANDMARKS),
    batch='16    # ours',
    total='150000    # ours',
    path='path.pretrain_network_hg: experiments/table1_celeba_dic_hourglass/models/net_hg_latest.pth    # its weights\n',
    train=f"""
train.supervision: paired          # the HR face of the LR face; nothing else
train.grow_at: [50000, 100000]     # ours: x2, then x4, then x8
train.fade_iter: 10000             # PFSR fades in, over how long is ours
train.optim_g: {adam('1e-3', '0.0, 0.99')}    # ours; large because of the equalized learning rate
train.optim_d: {adam('1e-3', '0.0, 0.99')}    # ours
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
    TABLE1[f'{train}.yml'] = (
        f'table1/train_celeba_{method}.yml',
        lines(f"""
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
        TABLE1[f'{test}.yml'] = (
            f'table1/test_celeba_{method}.yml',
            lines(f"""
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
