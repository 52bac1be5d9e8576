"""The sections of an option file that no model owns: top level, data sets, path, val, logger."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, make_dataclass
from os import path as osp
from typing import Any, ClassVar, Literal

from .errors import UserError
from .files import newest_instead
from .schema import Metric, Network, Section, option

MAX_NAME = 200  # bytes; files of the run are named after it, and a file system takes 255


def _check_letters(name: str, key: str) -> None:
    if '/' in name or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise UserError(
            f'{key}: {name!r} must be a text without "/", line breaks and other control characters; names of '
            'files are made of it.'
        )


def check_folder_name(name: str, key: str) -> None:
    """Raises UserError unless ``name`` can be that of one folder."""
    if name in ('', '.', '..') or '/' in name:
        raise UserError(f'{key}: {name!r} must be a text without "/"; it names a folder.')
    if name.startswith('~'):
        raise UserError(
            f'{key}: {name!r} names a folder, and what starts with "~" is a home for shells: begin otherwise.'
        )
    _check_letters(name, key)
    if len(name.encode(errors='surrogateescape')) > MAX_NAME:
        raise UserError(
            f'{key}: {name[:30]!r}... is too long for the names of files; use at most {MAX_NAME} bytes, one for '
            'each letter of English and two or more for others.'
        )


@dataclass(kw_only=True)
class DatasetOptions(Section):
    """What every section of ``datasets`` may hold beside the keys of its class; this one for validation and testing."""

    name: str = option('name, for the log and the folder of pictures', decides=False, source='basicsr')
    type: str = option('class of the data set', source='basicsr')
    scale: int | None = option('that of the run; left out', default=None, source='basicsr', decides=False)
    refused: ClassVar[Mapping[str, str]] = {
        name: 'validation and testing read their images one by one, in the process that computes; leave it out'
        for name in (
            'batch_size_per_gpu',
            'num_worker_per_gpu',
            'pin_memory',
            'use_shuffle',
            'persistent_workers',
            'prefetch_mode',
            'dataset_enlarge_ratio',
            'num_prefetch_queue',
        )
    }

    def check(self, key: str) -> None:
        check_folder_name(self.name, f'{key}.name')


@dataclass(kw_only=True)
class TrainDatasetOptions(DatasetOptions):
    """What ``datasets.train`` may hold beside the keys of its class."""

    batch_size_per_gpu: int = option('batch size of each process', least=1, source='paper')
    num_worker_per_gpu: int = option(
        'processes that read images, for each that trains; 0: none', least=0, decides=False, source='basicsr'
    )
    pin_memory: bool = option(
        'whether batches are put where copies to a GPU are faster', default=False, decides=False, source='basicsr'
    )
    use_shuffle: Literal[True] = option(
        'images come in random order; there is no other',
        default=True,
        source='basicsr',
        expects='true, or left out: training draws its images in random order',
    )
    persistent_workers: Literal[True] = option(
        'the processes that read images live as long as the run; there is no other way',
        default=True,
        source='basicsr',
        decides=False,
        expects='true, or left out: the processes that read images live as long as the run',
    )
    refused: ClassVar[Mapping[str, str]] = {
        'dataset_enlarge_ratio': 'it spares restarting the workers between epochs, and here they never restart; '
        'leave it out',
        'prefetch_mode': 'batches are read ahead by num_worker_per_gpu processes, and pin_memory speeds up their copy '
        'to a GPU; leave it out',
        'num_prefetch_queue': 'it belongs to prefetch_mode; leave it out',
    }


@dataclass(kw_only=True)
class FaceDatasetOptions(Section):
    """Keys of this package's data sets; each class lists those that it takes (``option_keys``)."""

    dataroot_gt: str | None = option('HR images: folder or LMDB', default=None, decides=False, source='basicsr')
    dataroot_lq: str | None = option('LR images: folder or LMDB', default=None, decides=False, source='basicsr')
    gt_size: int | None = option(
        'side of HR images, to which larger ones are shrunk', default=None, least=1, source='basicsr'
    )
    lq_size: int | None = option('side of LR images, to which others are resized', default=None, least=1)
    use_hflip: bool = option('whether training mirrors images at random', default=False, source='basicsr')
    max_bad_share: float = option(
        'share of unreadable images that training puts up with', default=0.01, least=0, decides=False
    )


@dataclass(kw_only=True)
class PathOptions(Section):
    """The section ``path``; :func:`path_options` adds the keys of the networks."""

    resume_state: str | None = option(
        '.state file of a run to go on from; --auto_resume finds the newest by itself',
        default=None,
        decides=False,
        source='basicsr',
    )
    refused: ClassVar[Mapping[str, str]] = {
        'ignore_resume_networks': 'a resumed run goes on with the networks that it saved; leave it out'
    }

    def check(self, key: str) -> None:
        for name, value in vars(self).items():
            if (name.startswith('pretrain_') or name == 'resume_state') and value is not None:
                if osp.isdir(osp.expanduser(value)):
                    raise UserError(f'{key}.{name}: {value} is a folder: give the file itself.')
                if not osp.isfile(osp.expanduser(value)):
                    other = newest_instead(value)
                    remedy = (
                        f'its folder has {other}'
                        if other
                        else 'train the stage that makes it first, or correct the path'
                    )
                    raise UserError(f'{key}.{name}: there is no file {value} (seen from {os.getcwd()}); {remedy}.')
        for name, file in vars(self).items():
            label = name.removeprefix('pretrain_network_')
            if label == name or file is not None:
                continue
            for about, default in ((f'param_key_{label}', None), (f'strict_load_{label}', True)):
                if getattr(self, about) != default:
                    raise UserError(
                        f'{key}.{about}: it is about the file of {name}, and there is none: give it, or leave this out.'
                    )


def path_options(networks: Iterable[str], unused: Iterable[str] = ()) -> type[PathOptions]:
    """The class of the section ``path`` in a file with networks of these labels.

    ``unused`` are the labels of a test's other networks.
    """
    fields = []
    refused = {
        f'{name}_{label}': f'testing does not run network_{label}; leave it out'
        for label in unused
        for name in ('pretrain_network', 'param_key', 'strict_load')
    }
    for label in networks:
        fields += [
            (
                f'pretrain_network_{label}',
                str | None,
                option(
                    f'file of weights that network_{label} starts with', default=None, decides=False, source='basicsr'
                ),
            ),
            (
                f'param_key_{label}',
                str | None,
                option(
                    'which weights of that file: params, params_ema; ~ for params_ema if the file has them',
                    default=None,
                    decides=False,
                    source='basicsr',
                ),
            ),
            (
                f'strict_load_{label}',
                bool,
                option(
                    'whether the file must hold exactly the weights of the network',
                    default=True,
                    decides=False,
                    source='basicsr',
                ),
            ),
        ]
    return make_dataclass(
        'PathOptions',
        fields,
        bases=(PathOptions,),
        kw_only=True,
        namespace={'refused': {**PathOptions.refused, **refused}},
    )


@dataclass(kw_only=True)
class ValOptions(Section):
    """The section ``val``."""

    save_img: bool = option('whether pictures are written', decides=False, source='basicsr')
    pbar: bool = option('a progress bar', default=False, decides=False, source='basicsr')
    metrics: dict[str, Metric] | None = option(
        'metrics by names of your own', default=None, decides=False, source='basicsr'
    )


@dataclass(kw_only=True)
class TrainValOptions(ValOptions):
    """The section ``val`` of a training."""

    val_freq: int = option(
        'number of iterations from one validation to the next',
        least=1,
        decides=False,
        source='basicsr',
        unit='iterations',
    )
    refused: ClassVar[Mapping[str, str]] = {
        'suffix': 'pictures of a training are named after the face and the iteration; leave it out'
    }


@dataclass(kw_only=True)
class TestValOptions(ValOptions):
    """The section ``val`` of a test."""

    suffix: str | None = option(
        'pictures are named <face>_<suffix>.png, without one <face>_<name>.png',
        default=None,
        decides=False,
        source='basicsr',
    )
    refused: ClassVar[Mapping[str, str]] = {'val_freq': 'a test is one validation; leave it out'}

    def check(self, key: str) -> None:
        if self.suffix is not None:
            _check_letters(self.suffix, f'{key}.suffix')


@dataclass(kw_only=True)
class WandbOptions(Section):
    """The section ``logger.wandb``: Weights & Biases."""

    project: str | None = option('project there, ~ for off', default=None, decides=False, source='basicsr')
    resume_id: str | None = option('run there to go on with', default=None, decides=False, source='basicsr')

    def check(self, key: str) -> None:
        if self.resume_id is not None and self.project is None:
            raise UserError(f'{key}.resume_id: it is the id of a run in a project; name the project, or leave it out.')


@dataclass(kw_only=True)
class LoggerOptions(Section):
    """The section ``logger`` of a training."""

    print_freq: int = option(
        'number of iterations from one line of the log to the next',
        least=1,
        decides=False,
        source='basicsr',
        unit='iterations',
    )
    save_checkpoint_freq: int = option(
        'number of iterations from one checkpoint to the next',
        least=1,
        decides=False,
        source='basicsr',
        unit='iterations',
    )
    keep_checkpoints: int = option(
        'number of checkpoints that stay, the newest ones; 0 for all',
        default=0,
        least=0,
        decides=False,
        expects='a whole number, 0 for off',
    )
    collapse_iter: int = option(
        "warn when a discriminator's loss has stood at its bound for so many iterations; 0 for never",
        default=0,
        least=0,
        decides=False,
        expects='a whole number, 0 for off',
        unit='iterations',
    )
    use_tb_logger: bool = option(
        'whether there are curves for TensorBoard, in tb_logger/<name>', decides=False, source='basicsr'
    )
    wandb: WandbOptions | None = option('Weights & Biases', default=None, decides=False, source='basicsr')

    def check(self, key: str) -> None:
        if self.wandb is not None and self.wandb.project is not None and not self.use_tb_logger:
            raise UserError(f'{key}.use_tb_logger: it must be true for {key}.wandb, which sends the same curves.')


@dataclass(kw_only=True)
class DistOptions(Section):
    """The section ``dist_params``."""

    port: int | None = option(
        'port at which the processes of a Slurm job meet',
        default=None,
        least=1,
        below=65536,
        decides=False,
        source='basicsr',
        expects='a port, a whole number from 1 to 65535',
    )
    refused: ClassVar[Mapping[str, str]] = {'backend': 'it is nccl between GPUs and gloo between CPUs; leave it out'}


@dataclass(kw_only=True)
class FileOptions(Section):
    """The top level of an option file; :func:`file_options` adds the networks and the sections of the kind of file."""

    name: str = option('name of the run and of its folder', decides=False, source='basicsr')
    model_type: str = option('model that is trained or tested', source='basicsr')
    scale: int = option(
        'side of HR images / side of LR images, a power of two',
        least=2,
        source='paper',
        expects='2, 4, 8 or another power of two',
    )
    num_gpu: int | Literal['auto'] = option(
        'number of GPUs: auto is one if there is one, 0 the CPU; several take a process each',
        least=0,
        decides=False,
        source='basicsr',
        expects="'auto' or a number of GPUs",
    )
    manual_seed: int | None = option(
        'seed of initial weights, data order and flips; without one it is drawn at random',
        default=None,
        least=0,
        below=2**32,
        source='basicsr',
        expects='a whole number from 0 to 4294967295',
    )
    datasets: dict[str, dict] = option('data sets', source='basicsr')
    dist_params: DistOptions | None = option(
        'how processes find each other', default=None, decides=False, source='basicsr'
    )
    refused: ClassVar[Mapping[str, str]] = {
        'find_unused_parameters': 'each network is wrapped with exactly the parameters that its phase of training '
        'uses; leave it out'
    }

    def check(self, key: str) -> None:
        check_folder_name(self.name, 'name')
        if self.scale & (self.scale - 1):
            raise UserError(f'scale: {self.scale!r} must be 2, 4, 8 or another power of two.')


def file_options(
    networks: Mapping[str, str], train_class: type[Section] | None, unused: Iterable[str] = ()
) -> type[FileOptions]:
    """The class of a whole option file.

    Args:
        networks: that the file may describe (label -> what it is).
        train_class: of the section ``train``; None for a file that tests.
        unused: labels of networks that a test does not run and refuses.
    """
    fields: list[tuple[str, Any, Any]] = [
        (f'network_{label}', Network, option(meaning, default=None)) for label, meaning in networks.items()
    ]
    fields.append(
        (
            'path',
            path_options(networks, unused) | None,
            option('files that the run starts from', default=None, decides=False),
        )
    )
    if train_class is None:
        fields.append(
            (
                'val',
                TestValOptions,
                option(
                    'section that says whether pictures are written (save_img) and which metrics there are',
                    decides=False,
                ),
            )
        )
        refused = {
            **{name: 'testing trains nothing; leave it out' for name in ('train', 'logger')},
            **{f'network_{label}': 'testing does not run it; leave it out' for label in unused},
        }
    else:
        fields += [
            ('train', train_class, option('section with the options of the model')),
            ('val', TrainValOptions | None, option('how often and how is validated', default=None, decides=False)),
            ('logger', LoggerOptions, option('section on log and checkpoints', decides=False)),
        ]
        refused = {}
    return make_dataclass(
        'FileOptions',
        fields,
        bases=(FileOptions,),
        kw_only=True,
        namespace={'refused': {**FileOptions.refused, **refused}},
    )
