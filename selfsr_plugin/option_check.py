"""The check of option files: everything wrong with them is said before training starts, in one sentence each.

What a section may hold is stated in dataclasses (``schema/``): that of each model in its own file, the others in
``option_sections.py``. Here a whole file is read by them and its sections are compared with each other. Only option
files of this package's models are checked as a whole. In those of BasicSR's models, the parts of this package
(networks, data sets) check their own arguments.
"""

import dataclasses
import difflib
import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from .errors import UserError
from .metrics import check_metric, direction
from .option_sections import (
    DatasetOptions,
    FaceDatasetOptions,
    FileOptions,
    LoggerOptions,
    TrainDatasetOptions,
    TrainValOptions,
    file_options,
)
from .options import shorten
from .registration import is_ours
from .schema import (
    is_section,
    known,
    no_numbers_as_text,
    one_of,
    options_of,
    parse,
    registered,
    registered_names,
    require,
)


def check_options(opt: dict[str, Any], is_train: bool) -> FileOptions:
    """Check the options of one of this package's models, as read from the file.

    Returns:
        All of them, with the defaults of what is left out. ``val`` and ``logger`` of ``opt`` are completed as well:
        BasicSR's own code reads them there.

    Raises:
        UserError: the first thing found wrong, with its key and the remedy.
    """
    require(opt, ('model_type',), '')
    _check_purpose(opt, is_train)
    options_class = registered('MODEL_REGISTRY', opt['model_type']).options_class
    networks = options_class.networks_of(opt.get('train') if is_train else None)
    _check_roles(opt, networks)
    if is_train:
        found = parse(file_options(networks, options_class), opt, '')
    else:
        tested = {label: networks[label] for label in options_class.tested}
        found = parse(file_options(tested, None, networks.keys() - tested), opt, '')
    if found.num_gpu not in ('auto', 0) and torch.cuda.device_count() < 1:
        raise UserError(
            f'num_gpu: {found.num_gpu} GPUs are asked for and this machine shows none; write num_gpu: auto.'
        )
    _check_datasets(found, is_train)
    _check_metrics(found, is_train)
    if is_train:
        if found.val is None and any(str(phase).startswith('val') for phase in found.datasets):
            raise UserError(
                'val: this section is needed for the data sets val in datasets; it says how often they are used.'
            )
        found.train.check_run(opt, 'train')
    else:
        require(opt, [f'network_{label}' for label in options_class.tested], '', 'testing runs it')
        if not (found.val.save_img or found.val.metrics):
            raise UserError(
                'val: with save_img: false and no metrics a test leaves nothing: write save_img: true, or name metrics.'
            )
        check_weights_given(opt, options_class.tested)
    for section in ('val', 'logger'):
        if opt.get(section) is not None:
            opt[section] = {**_defaults(getattr(found, section)), **opt[section]}
    return found


def _check_roles(opt: Mapping[str, Any], networks: Mapping[str, str]) -> None:
    """A discriminator where images are made, or the reverse, and networks of grey images would show in the first
    iteration of their level."""
    for label, meaning in networks.items():
        section = opt.get(f'network_{label}')
        name = section.get('type') if isinstance(section, dict) else None
        if not isinstance(name, str):
            continue
        for key in ('num_in_ch', 'num_out_ch'):
            if section.get(key, 3) != 3 and is_ours('ARCH_REGISTRY', name):
                raise UserError(f'network_{label}.{key}: {section[key]!r} must be 3, since images are read in colour.')
        is_discriminator, asked = 'Discriminator' in name, 'discriminator' in meaning.lower()
        if is_discriminator and not asked or asked and not is_discriminator and is_ours('ARCH_REGISTRY', name):
            raise UserError(
                f'network_{label}.type: {name} is {"a" if is_discriminator else "no"} discriminator, and this is the '
                f'{meaning.split(";")[0]}: were two networks swapped?'
            )


def _check_purpose(opt: Mapping[str, Any], is_train: bool) -> None:
    """One file in place of the other would be answered key by key, with what is wrong with it as that other."""
    phases = {str(phase).split('_')[0] for phase in opt['datasets']} if isinstance(opt.get('datasets'), dict) else set()
    if is_train and 'train' not in opt and 'train' not in phases and 'test' in phases:
        raise UserError('this is an option file for testing, without a section train: run it with basicsr.test.')
    if not is_train and 'train' in opt and 'train' in phases and 'test' not in phases:
        raise UserError(
            'this is an option file for training: testing has files of its own, such as options/test_selfsr_real.yml.'
        )


def shorten_options(opt: dict[str, Any], divisor: int) -> dict[str, str]:
    """Carry out ``--shorten``: divide all numbers of iterations of a training; changes ``opt``, which is checked.

    The log keeps a hundred lines where there were more.

    Returns:
        Dotted key -> 'before -> after' for each that has changed.

    Raises:
        UserError: the run cannot be so short: steps of its schedule fall together.
    """
    options_class = registered('MODEL_REGISTRY', opt['model_type']).options_class
    changed = shorten(opt['train'], options_class, divisor, 'train')
    before = opt['logger']['print_freq']
    for name, section_class in (('val', TrainValOptions), ('logger', LoggerOptions)):
        changed |= shorten(opt.get(name) or {}, section_class, divisor, name)
    lines = -(-opt['train']['total_iter'] // 100)
    opt['logger']['print_freq'] = min(before, max(opt['logger']['print_freq'], lines))
    changed['logger.print_freq'] = f'{before} -> {opt["logger"]["print_freq"]}'
    try:
        parse(options_class, opt['train'], 'train').check_run(opt, 'train')
    except UserError as error:
        raise UserError(f'--shorten {divisor} leaves too few iterations, give a smaller number: {error}') from None
    return changed


def check_weights_given(opt: Mapping[str, Any], labels: Iterable[str]) -> None:
    """Refuse to test networks of no weights: their pictures and figures would be those of noise.

    Raises:
        UserError: ``path.pretrain_network_<label>`` is not set.
    """
    for label in labels:
        if not (opt.get('path') or {}).get(f'pretrain_network_{label}'):
            raise UserError(
                f'path.pretrain_network_{label}: this key is missing; testing needs the weights of '
                f'network_{label}, such as experiments/<run>/models/net_{label}_latest.pth.'
            )


def _defaults(section: Any) -> dict[str, Any]:
    return {
        name: getattr(section, name)
        for name, (_, _, default) in options_of(type(section)).items()
        if default is not dataclasses.MISSING
    }


def _check_datasets(found: FileOptions, is_train: bool) -> None:
    phases = ('train', 'val') if is_train else ('test', 'val')
    keys: dict[str, str] = {}  # of the validation and test sets, by their names
    for phase, settings in found.datasets.items():
        key = f'datasets.{phase}'
        kind = str(phase).split('_')[0]
        if kind not in phases or (kind == 'train' and phase != 'train'):
            raise UserError(
                f'{key}: unknown phase; use {phases[0]} or {phases[1]}, or {phases[1]}_1, {phases[1]}_2 ...'
            )
        general = _check_dataset(settings, key, TrainDatasetOptions if phase == 'train' else DatasetOptions)
        if general.scale not in (None, found.scale):
            raise UserError(f'{key}.scale: {general.scale!r} differs from scale: {found.scale}; leave it out.')
        if phase != 'train':
            if general.name in keys:
                raise UserError(
                    f'{key}.name: {general.name!r} is the name of {keys[general.name]} as well; give each '
                    'data set its own, by which its pictures and figures go.'
                )
            keys[general.name] = key
    if is_train and 'train' not in found.datasets or not found.datasets:
        raise UserError(f'datasets: there is no section {phases[0]}.')


def _check_dataset(settings: Mapping[str, Any], key: str, section_class: type[DatasetOptions]) -> DatasetOptions:
    """Of the keys of a data set's section, those that are not for its class; the others are compared with its list."""
    is_section(settings, key)
    require(settings, ('type',), key, 'it names the class of the data set')
    cls = registered('DATASET_REGISTRY', one_of(settings['type'], registered_names('DATASET_REGISTRY'), f'{key}.type'))
    general = {*options_of(section_class), *section_class.refused}
    own = getattr(cls, 'option_keys', None)
    if own is not None:
        if 'io_backend' in settings:
            raise UserError(
                f'{key}.io_backend: {settings["type"]} knows a folder and an LMDB by their path; leave it out.'
            )
        known(settings, own | options_of(section_class).keys(), key, section_class.refused)
        face_options = getattr(cls, 'options_class', FaceDatasetOptions)
        face_keys = options_of(face_options)
        parse(face_options, {name: value for name, value in settings.items() if name in face_keys}, key)
        for name in ('use_hflip', 'max_bad_share'):
            if section_class is not TrainDatasetOptions and settings.get(name):
                raise UserError(f'{key}.{name}: it is of training alone; leave it out.')
    elif cls.__module__.startswith('basicsr.'):
        _check_keys_that_are_read(settings, cls, general, key)
    for name, value in settings.items():
        if str(name).startswith('dataroot') and value is not None and not isinstance(value, str):
            raise UserError(f'{key}.{name}: {value!r} must be the path of a folder or an LMDB.')
        if name not in general:
            no_numbers_as_text(value, f'{key}.{name}')
    return parse(section_class, {name: value for name, value in settings.items() if name in general}, key)


def check_guest_dataset(settings: Mapping[str, Any], key: str) -> None:
    """Refuse keys that this package's data sets do not read where they serve one of BasicSR's models.

    Raises:
        UserError: naming the key.
    """
    cls = registered('DATASET_REGISTRY', settings['type'])
    loop = {*options_of(TrainDatasetOptions), *TrainDatasetOptions.refused}  # BasicSR's loop reads those, too
    known(settings, getattr(cls, 'option_keys', settings.keys()) | loop, key)


def words_of(cls: type) -> set[str]:
    """The strings in the code of a class of BasicSR's: its data sets and models list their keys nowhere."""
    modules = {each.__module__ for each in cls.__mro__ if each.__module__.startswith('basicsr.')}
    return {
        word for module in modules for word in re.findall(r"""['"](\w+)['"]""", inspect.getsource(sys.modules[module]))
    }


def _check_keys_that_are_read(settings: Mapping[str, Any], cls: type, general: set[str], key: str) -> None:
    """BasicSR's data sets ignore unknown keys."""
    words = words_of(cls)
    for name in settings:
        if name not in words | general:
            close = difflib.get_close_matches(str(name), sorted(words), n=1)
            raise UserError(
                f'{key}.{name}: {cls.__name__} does not read this key; '
                + (f"did you mean '{close[0]}'?" if close else 'leave it out.')
            )


def _check_metrics(found: FileOptions, is_train: bool) -> None:
    for name, settings in ((found.val and found.val.metrics) or {}).items():
        try:
            check_metric(settings)
            if is_train and direction(settings) is None:
                raise UserError(
                    f"better is missing: write 'better: higher' or 'better: lower', since {settings['type']} "
                    'does not say which of its values are.'
                )
        except (OSError, ValueError) as error:
            raise UserError(f'val.metrics.{name}: {error}') from error
