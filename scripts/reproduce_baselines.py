"""The methods of Tables I and II as rows of scripts/reproduce.py: option files in options/, made small by these rules.

    iterations    of a row in all, at the least those of SelFSR's row of the table: a file that starts with the weights
                  of others shares them with these, as the files' own numbers of iterations stand to each other.
                  Everything else that counts iterations (rates, growth) changes with them
    batch         that of SelFSR's row
    sizes         with minutes and hours, network_g of so few channels that a face takes as many multiply-adds as by
                  SelFSR's network with hours, or up to 30 % more; network_d a quarter of its file's channels. Blocks
                  and steps are the file's, and so are networks that degrade, as SelFSR's are with hours (CycleGAN's
                  way back is as wide as network_g). With full, all sizes are the file's
    rates, losses the file's, always. Rows that end with _no_vgg lack the VGG features that the file compares (SRGAN
                  then has squares of pixels instead), for machines that have no VGG19

What the numbers are for a row stands in its score file, and parameters and multiply-adds on the page.
"""

from fractions import Fraction
from typing import Any, NamedTuple

from selfsr_plugin.options import read_option_file, shorten
from selfsr_plugin.schema import registered

Sizes = dict[str, dict[str, Any]]  # of a network by its label, in place of those of its file


class Baseline(NamedTuple):
    """``files`` are trained in this order, each from the weights of those before; the last is the row's."""

    files: tuple[str, ...]
    sizes: Sizes
    vgg: bool = True


class Places(NamedTuple):
    """Where the data and the weights of a run lie; by default names that stand for it, as score files have them."""

    gt: str = 'TRAIN_GT'
    lq: str = 'TRAIN_LQ'
    landmarks: str = 'TRAIN_LANDMARKS'
    parsing: str = 'TRAIN_PARSING'
    experiments: str = 'experiments'


STATED = Places()

_FSRNET = dict(g=dict(num_feat=12), d=dict(num_feat=16, num_hidden=256))
_DIC = dict(hg=dict(num_feat=16), g=dict(num_feat=6, hourglass_feat=16), d=dict(widths=[12, 24, 48, 32], num_hidden=64))
_SRGAN = dict(g=dict(num_feat=46), d=dict(num_feat=16, num_hidden=256))
_FSRGAN_FILES = ('table1/train_celeba_fsrnet.yml', 'table1/train_celeba_fsrgan.yml')
_DIC_FILES = ('table1/train_celeba_dic_hourglass.yml', 'table1/train_celeba_dic.yml')
_SRGAN_FILES = ('table2/train_srresnet.yml', 'table2/train_srgan.yml')

TABLE1 = {
    'rdn': Baseline(('table1/train_celeba_rdn.yml',), dict(g=dict(num_feat=18, num_grow_ch=18))),
    'fsrnet': Baseline(_FSRGAN_FILES[:1], _FSRNET),
    'dic': Baseline(_DIC_FILES, _DIC),
    'fsrgan': Baseline(_FSRGAN_FILES, _FSRNET),
    'fsrgan_no_vgg': Baseline(_FSRGAN_FILES, _FSRNET, vgg=False),
    'pfsr': Baseline(
        (_DIC_FILES[0], 'table1/train_celeba_pfsr.yml'),
        dict(g=dict(num_feat=152), d=dict(num_feat=16, num_hidden=512), hg=_DIC['hg']),
    ),
    'dicgan': Baseline((*_DIC_FILES, 'table1/train_celeba_dicgan.yml'), _DIC),
}
TABLE2 = {
    'deepdeblur': Baseline(('table2/train_deepdeblur.yml',), dict(g=dict(num_feat=8))),
    'wavelet': Baseline(('table2/train_wavelet.yml',), dict(g=dict(num_feat=10, wavelet_feat=5))),
    'srgan': Baseline(_SRGAN_FILES, _SRGAN),
    'srgan_no_vgg': Baseline(_SRGAN_FILES, _SRGAN, vgg=False),
    'fsrnet_x4': Baseline(('table2/train_fsrnet.yml',), dict(g=dict(num_feat=18))),
    'cyclegan': Baseline(
        ('table2/train_cyclegan.yml',), dict(g=dict(num_feat=22), deg=dict(num_feat=22), d=dict(num_feat=16))
    ),
    'bulat': Baseline(('table2/train_bulat.yml',), dict(g=dict(widths=[60, 30, 22]), d=dict(num_feat=32))),
    'maeda': Baseline(
        ('table2/train_maeda.yml',), dict(g=dict(num_feat=20), clean=dict(num_feat=20), d=dict(num_feat=16))
    ),
}
BASELINES = {**TABLE1, **TABLE2}


def baseline_trainings(
    row: str, seed: int, budget: str, iterations: int, batch: int, options: str, places: Places = STATED
) -> list[dict[str, Any]]:
    """The options of each training of a row, in order, under the rules above.

    Args:
        row: a key of BASELINES.
        seed: ``manual_seed``; also in the names of the runs, of which the last is ``<row>_seed<seed>``.
        budget: 'full' leaves the networks as they are.
        iterations: of all trainings together.
        batch: faces in an iteration.
        options: folder of the option files.
        places: of data and weights.
    """
    files = BASELINES[row].files
    found = [read_option_file(f'{options}/{file}') for file in files]
    theirs = [opt['train']['total_iter'] for opt in found]
    shares = [iterations * each // sum(theirs) for each in theirs[:-1]]
    shares.append(iterations - sum(shares))
    name, names = f'{row}_seed{seed}', {}  # of the runs, by what the files call them
    for opt, file, total in zip(found, files, shares):
        part = '' if file == files[-1] else f'_{file.rpartition("train_")[2].removesuffix(".yml")}'
        names[opt['name']] = name + part
        opt.update(name=names[opt['name']], manual_seed=seed)
        opt['datasets'] = {'train': _data(opt['datasets']['train'], batch, places)}
        for key, path in opt['path'].items():
            if key.startswith('pretrain_'):
                _, run, *rest = path.split('/')
                opt['path'][key] = '/'.join((places.experiments, names[run], *rest))
        if budget != 'full':
            for label, sizes in BASELINES[row].sizes.items():
                if f'network_{label}' in opt:
                    opt[f'network_{label}'].update(sizes)
        if not BASELINES[row].vgg and opt['train'].get('perceptual_opt'):
            opt['train']['perceptual_opt'] = None
            if opt['train']['pixel_opt'] is None:
                opt['train']['pixel_opt'] = dict(type='MSELoss', loss_weight=1.0, reduction='mean')
        options_class = registered('MODEL_REGISTRY', opt['model_type']).options_class
        shorten(opt['train'], options_class, Fraction(opt['train']['total_iter'], total), 'train')
        opt.pop('val', None)
        parts, kept = (10, 0) if budget == 'hours' else (4, 1)  # as of SelFSR's rows
        opt['logger'] = dict(
            print_freq=-(-total // 20),
            save_checkpoint_freq=-(-total // parts),
            keep_checkpoints=kept,
            use_tb_logger=False,
        )
    return found


def _data(data: dict[str, Any], batch: int, places: Places) -> dict[str, Any]:
    data = {**data, 'batch_size_per_gpu': batch, 'num_worker_per_gpu': 0, 'dataroot_gt': places.gt}
    data.pop('pin_memory', None)
    there = dict(dataroot_lq=places.lq, landmarks=places.landmarks, dataroot_parsing=places.parsing)
    return {**data, **{key: place for key, place in there.items() if key in data}}
