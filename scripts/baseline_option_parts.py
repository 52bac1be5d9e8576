"""What the option files of the methods that the paper compares with share.

They are in baseline_options_table1.py and baseline_options_table2.py.

Each is stated as the others are, as a base and the differences from it. Marks in the comments: the method's name where its
paper or its authors' code states the value, "memory" where it is from memory of the paper, "ours" otherwise.
"""

_ADAM = '{{type: Adam, lr: !!float {lr}, betas: [{betas}]}}'
_VGG = (
    '{type: PerceptualLoss, layer_weights: {relu5_4: 1.0}, vgg_type: vgg19, use_input_norm: true, '
    'perceptual_weight: WEIGHT, style_weight: 0, criterion: l1}'
)


def adam(lr: str = '1e-4', betas: str = '0.9, 0.999') -> str:
    return _ADAM.format(lr=lr, betas=betas)


def steps(*milestones: int) -> str:
    return f'{{type: MultiStepLR, milestones: {list(milestones)}, gamma: 0.5}}'


# ----- networks, as training and test files have them -----

FSRNET = """
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
PAIRED = """
datasets.train.type: PairedFaceDataset    # HR faces and their bicubic LR faces
"""
PRIORS = """
datasets.train.type: FacePriorDataset    # HR faces, their bicubic LR faces, and what is known of the faces
{keys}
"""
LANDMARKS = (
    'datasets.train.landmarks: datasets/celeba/train_hr.csv    # python -m selfsr_plugin.make_landmarks, 68 points'
)
PARSING = 'datasets.train.dataroot_parsing: {root}_parsing    # python -m selfsr_plugin.make_parsing'
_TRAIN = """
- train
path:
train:
train.total_iter: {total}
train.warmup_iter: 0               # as in BasicSR: iterations over which the learning rates rise, 0 for none
train.accum_iter: 1                # ours: parts that a batch is computed in, to save memory
train.nonfinite: stop              # ours: a NaN or infinite loss or gradient stops the run; skip leaves the step out
"""
SUPERVISED = """
train.optim_g: {optim}    # {optim_from}
train.pixel_opt: {pixel}    # {pixel_from}
"""
GAN = """
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


FSRNET_TERMS = f"""
train.optim_g: {{type: RMSprop, lr: !!float 2.5e-4}}    # FSRNet
train.coarse_opt: {mse()}    # FSRNet: coarse and HR image, in [-1, 1]
train.prior_opt: {mse()}    # FSRNet: facial priors, in [-1, 1]
train.heatmap_sigma: 3.0           # FSRNet: width of landmarks in heatmaps of half the size; not used without landmarks
train.pixel_opt: {mse()}    # FSRNet: fine and HR image, in [-1, 1]
"""
SPLIT_D = """network_d:                         # judges HR and restored faces
network_d.type: SRGANDiscriminator    # SRGAN: ten convolutions
network_d.num_in_ch: 3             # colour channels
network_d.num_feat: 64             # SRGAN; up to 512
network_d.head: {head}             # {why}
network_d.size: {size}             # HR side
network_d.num_hidden: 1024         # SRGAN: of the dense layer
"""


def train_file(
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
    return lines('\n'.join(parts))


def lines(about: str) -> str:
    return '\n' + '\n'.join(line for line in about.splitlines() if line.strip()) + '\n'


def _test_file(name: str, title: str, model: str, nets: str, weights: str, more: str) -> str:
    """The differences of a test file from its base; ``weights`` is the training file, without ``train_``."""
    folder, _, file = name.partition('/test_')
    return lines(f"""
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


# ----- the files -----

CELEBA_PAIRED, _VANILLA = 'table1/train_celeba_paired.yml', 'table3/train_vanilla.yml'
Files = dict[str, tuple[str, str]]  # by name: base and differences


def method(files: Files, table: str, file: str, title: str, text: str, model: str, nets: str, **rest: str) -> None:
    """Add a training file, and the file that tests what it has trained."""
    first = table == 'table1'
    where = 'Table I, CelebA, x8' if first else 'Table II, real faces, x4'
    nets_of_test = rest.pop('test_nets', nets.split('\nnetwork_d:')[0].split('\nnetwork_hg:')[0])
    nets_of_test = nets_of_test.format(scale=8 if first else 4)
    more = rest.pop('test_more', '')
    name = f'celeba_{file}' if first else file
    files[f'{table}/train_{name}.yml'] = (
        CELEBA_PAIRED if first else _VANILLA,
        train_file(
            f'{table}/train_{name}',
            f'{where}: {title}.',
            text,
            model,
            nets='network_g:\n' + nets.format(scale=8 if first else 4),
            **rest,
        ),
    )
    files[f'{table}/test_{name}.yml'] = (
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
