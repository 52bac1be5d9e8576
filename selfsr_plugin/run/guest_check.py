"""Parts of this package under one of BasicSR's models: what BasicSR's own loops would find out late, or never."""

import argparse
import inspect
import os
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from basicsr.models.sr_model import SRModel
from basicsr.models.video_base_model import VideoBaseModel
from basicsr.utils.options import _postprocess_yml_value
from basicsr.utils.registry import ARCH_REGISTRY

from ..data import LRFaceDataset, PairedFaceDataset
from ..engine.checkpoint import is_safetensors, load_checkpoint, select_weights
from ..engine.networks import refuse_random_parts
from ..engine.validation import sentence
from ..errors import UserError
from ..files import newest_instead
from ..metrics import check_metric, direction, needs_ground_truth
from ..option_check import check_guest_dataset, check_weights_given, words_of
from ..registration import is_ours, uses_plugin
from ..schema import Metric, Network, Section, is_section, one_of, options_of, registered, registered_names, require
from .guest_loop import check_learning, check_loop
from .guest_trial import try_networks
from .rehearsal import first_readable, try_metrics

_ON_GPU_ALONE = ('RealESRNetModel', 'RealESRGANModel')
_OUR_LOOP = {'keep_checkpoints', 'collapse_iter'}  # keys of the section logger that only our training loop knows
_WRITTEN_OVER = {'experiments_root', 'results_root', 'models', 'training_states', 'log', 'visualization'}  # of path
_READ_OF_NETWORKS = re.compile(r"""opt\['(network_\w+)'\]\['(\w+)'\]""")
_LOOP = {'total_iter', 'warmup_iter'}  # keys of the section train that BasicSR's loop reads, not its models


def check_guest_parts(opt: dict[str, Any], args: argparse.Namespace, is_train: bool) -> None:
    """Check our metrics, data sets and networks in the options of a model of BasicSR's, and the keys its loop reads.

    Option files that use nothing of ours are BasicSR's alone.

    Args:
        opt: the options, ``--force_yml`` carried out, which BasicSR's loop reads again for itself.
        args: the command line.
        is_train: whether they are of a training.

    Raises:
        UserError: naming the key.
    """
    if not uses_plugin(opt):
        return
    try:
        _check_overrides(opt, args.force_yml)
        _check_keys(opt, is_train)
        check_loop(opt, args, is_train)
        _check_names(opt)
        _check_metrics(opt, is_train)
        if not is_train and 'network_g' in opt:
            check_weights_given(opt, ['g'])
        _check_weights(opt)
        for key, settings in opt.items():
            is_network = str(key).startswith('network_') and isinstance(settings, dict)
            if is_network and is_ours('ARCH_REGISTRY', settings.get('type')):
                _check_network(opt, key, settings, is_train)
        for phase, settings in opt['datasets'].items():
            _check_dataset(opt, str(phase), settings)
        _check_device(opt)
    except UserError as error:
        raise UserError(f'{args.opt}: {error}') from error


def _check_overrides(opt: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """BasicSR does not read them as YAML: a section stays text, which ends the run at its first validation."""
    for keys, entry in {entry.partition('=')[0].strip(): entry for entry in overrides}.items():  # the last of a key
        ours, (*sections, last) = opt, keys.split(':')
        for section in sections:
            ours = ours[section]
        try:
            _, text = entry.split('=')
            theirs = _postprocess_yml_value(text.strip())
        except Exception:  # it evaluates what looks like a list
            reads = 'cannot read this value'
        else:
            reads = f'reads this value as {"the text " * isinstance(theirs, str)}{theirs!r}'
            if theirs == ours[last]:
                continue
        raise UserError(
            f'--force_yml {entry}: BasicSR, whose loop runs {opt["model_type"]}, {reads}: write it in the option file.'
        )


def _check_names(opt: Mapping[str, Any]) -> None:
    """The classes of networks and data sets, ours or not, which BasicSR looks up without a word on what there is."""
    for key, settings in opt.items():
        if str(key).startswith('network_') and isinstance(settings, dict):
            require(settings, ['type'], key)
            one_of(settings['type'], registered_names('ARCH_REGISTRY'), f'{key}.type')
    for phase, settings in opt['datasets'].items():
        one_of(settings['type'], registered_names('DATASET_REGISTRY'), f'datasets.{phase}.type')


def _check_keys(opt: Mapping[str, Any], is_train: bool) -> None:
    """What BasicSR's loops read without asking whether it is there."""
    why = f"BasicSR's loop, which runs {opt['model_type']}, reads it"
    require(opt, ['name', 'num_gpu', 'datasets', 'path'], '', why)
    is_section(opt['path'], 'path')
    for name in _WRITTEN_OVER & {*opt['path']}:
        raise UserError(
            f'path.{name}: {why.removesuffix("reads it")}writes to the folder of its own choice, '
            f'{"experiments" if is_train else "results"}/{opt["name"]}, whatever stands here; leave it out.'
        )
    if is_train:
        sections = {'train': ['total_iter'], 'logger': ['print_freq', 'save_checkpoint_freq', 'use_tb_logger']}
        if opt.get('val') is not None:
            sections['val'] = ['val_freq', 'save_img']
    else:
        sections = {'val': ['save_img']}
    for key, names in sections.items():
        is_section(opt.get(key), key)
        require(opt[key], names, key, why)
    if is_train:
        check_learning(opt)
    for name in _OUR_LOOP & {*(opt.get('logger') or {})}:
        raise UserError(f'logger.{name}: {why.removesuffix("reads it")}does not read it; leave it out.')
    model = registered('MODEL_REGISTRY', opt['model_type'])
    if model.__module__.startswith('basicsr.'):
        ours = {name for cls in _options_of_our_models() for name in options_of(cls)}
        for name in sorted(ours & {*(opt.get('train') or {})} - words_of(model) - _LOOP):
            raise UserError(f'train.{name}: {opt["model_type"]} is of BasicSR and does not read it; leave it out.')
    for label, name in _READ_OF_NETWORKS.findall(inspect.getsource(model)):
        if name != 'type' and name not in (opt.get(label) or {}):
            raise UserError(f'{label}.{name}: this key is missing; {opt["model_type"]} reads it: use SRModel.')
    is_section(opt['datasets'], 'datasets')
    for phase, settings in opt['datasets'].items():
        is_section(settings, f'datasets.{phase}')
        names = ['name', 'type', *(['batch_size_per_gpu', 'num_worker_per_gpu'] if phase == 'train' else [])]
        require(settings, names, f'datasets.{phase}', why)
        if phase == 'train' and settings.get('persistent_workers') and settings['num_worker_per_gpu'] == 0:
            raise UserError(
                'datasets.train.persistent_workers: there are no workers with num_worker_per_gpu: 0; write false.'
            )
    if not is_train and opt['val']['save_img'] and 'suffix' not in opt['val']:
        raise UserError(
            f'val.suffix: this key is missing; {why}: write suffix: ~ for pictures that are called after the run.'
        )


def _options_of_our_models() -> list[type[Section]]:
    from ..stages.selfcond_sr_model import SelfCondSROptions
    from ..stages.selfsr_model import STAGE1_MODELS, SelFSROptions

    return [SelFSROptions, SelfCondSROptions, *(each.options_class for each in STAGE1_MODELS.values())]


def _check_weights(opt: Mapping[str, Any]) -> None:
    """Files of networks, which BasicSR opens without looking, and only those of ``torch.save``."""
    for key, file in opt['path'].items():
        if not str(key).startswith('pretrain_network_') or not file:
            continue
        if not os.path.isfile(file):
            other = newest_instead(file)
            raise UserError(
                f'path.{key}: there is no file {file} (seen from {os.getcwd()}): '
                f'{f"its folder has {other}" if other else "correct the path"}.'
            )
        if is_safetensors(file):
            raise UserError(
                f'path.{key}: {opt["model_type"]} is of BasicSR, which reads .pth files alone: make one by python -m '
                f'selfsr_plugin.convert --model {file} --output {os.path.basename(os.path.splitext(file)[0])}.pth.'
            )
        _check_key_of_weights(opt, key.removeprefix('pretrain_network_'), file)


def _check_key_of_weights(opt: Mapping[str, Any], label: str, file: str) -> None:
    """BasicSR takes what is under ``param_key_*``, or else under 'params', and looks for nothing else."""
    key = opt['path'].get(f'param_key_{label}', 'params')
    try:
        content = load_checkpoint(file)
    except UserError:
        return  # _check_network says so of ours; what else BasicSR reads is its own affair
    if not isinstance(content, Mapping):
        return
    if key is None:  # our rule for ~ is the average, or else the weights; BasicSR takes the whole file for weights
        found = [name for name in ('params_ema', 'params') if name in content]
        if found:
            raise UserError(
                f'path.param_key_{label}: with ~ BasicSR takes {file} for bare weights, and it has them under '
                f'{" and ".join(found)}: write param_key_{label}: {found[0]}.'
            )
        return
    if {key, 'params'} & {*content}:
        return
    remedy = f'it has {", ".join(map(str, [*content][:3]))}'
    if 'params_ema' in content:
        remedy = f'write param_key_{label}: params_ema'
    elif all(torch.is_tensor(value) for value in content.values()):
        remedy = f'write param_key_{label}: ~'
    raise UserError(f"path.pretrain_network_{label}: {file} has no weights under the key '{key}': {remedy}.")


def _check_device(opt: Mapping[str, Any]) -> None:
    """These two of BasicSR move their compression to a GPU, whatever ``num_gpu`` says."""
    if opt['model_type'] in _ON_GPU_ALONE and (opt['num_gpu'] == 0 or not torch.cuda.is_available()):
        raise UserError(
            f'model_type: {opt["model_type"]} runs on a GPU alone, and there is none, or num_gpu is 0: use SRModel or '
            'SRGANModel.'
        )


def _check_network(opt: Mapping[str, Any], key: str, settings: Mapping[str, Any], is_train: bool) -> None:
    """Its keys and values, and the scale of a generator, which BasicSR's losses would find out with a traceback."""
    Network.parse(settings, key)
    arguments = {name: value for name, value in settings.items() if name != 'type'}
    try:
        net = ARCH_REGISTRY.get(settings['type'])(**arguments)
    except Exception as error:  # a width of 0 divides by it
        raise UserError(f'{key}: {settings["type"]} does not take these values: {str(error).rstrip(".")}.') from error
    scale = getattr(net, 'scale', None) if key == 'network_g' else None
    if scale not in (None, opt.get('scale')):
        raise UserError(
            f'{key}: this {settings["type"]} makes images {scale} times as large, and scale is {opt.get("scale")}: '
            'make the two equal.'
        )
    label = key.removeprefix('network_')
    file = opt['path'].get(f'pretrain_network_{label}')
    if not file:
        return
    _, weights = select_weights(load_checkpoint(file), file)
    if opt['path'].get(f'strict_load_{label}', True):
        try:
            net.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(
                f'path.pretrain_network_{label}: {file} does not fit {settings["type"]} as {key} describes it: '
                f'{" ".join(str(error).split())[:600]}'
            ) from error
    elif not is_train:
        refuse_random_parts(net, f'path.pretrain_network_{label}: {file}', weights)


def _check_metrics(opt: Mapping[str, Any], is_train: bool) -> None:
    metrics = (opt.get('val') or {}).get('metrics') or {}
    is_section(metrics, 'val.metrics')
    for name, settings in metrics.items():
        Metric.parse(settings, f'val.metrics.{name}')
        try:
            if is_ours('METRIC_REGISTRY', settings['type']):
                check_metric(settings)
            counts = direction(settings)
        except (OSError, ValueError) as error:
            raise UserError(f'val.metrics.{name}: {error}') from error
        if is_train and counts == 'lower' and 'better' not in settings:
            raise UserError(
                f'val.metrics.{name}.better: this key is missing; {opt["model_type"]} takes higher values for better '
                f'without it, and of {settings["type"]} lower ones are: write better: lower.'
            )


def _check_dataset(opt: Mapping[str, Any], phase: str, settings: Mapping[str, Any]) -> None:
    """Its keys and images.

    BasicSR's loops end with a traceback at a validation image that cannot be read, after hours, and leave the last
    images out that fill no batch: of a set smaller than one they train on nothing.
    """
    key, model = f'datasets.{phase}', opt['model_type']
    check_guest_dataset(settings, key)
    kind, ours = phase.split('_')[0], is_ours('DATASET_REGISTRY', settings['type'])
    try:  # not BasicSR's build_dataset, which would start the log before there is a file for it
        cls = registered('DATASET_REGISTRY', settings['type'])
        dataset = cls({'scale': opt.get('scale'), **deepcopy(settings), 'phase': kind})
        first = None if ours else dataset[0]
    except Exception as error:
        if ours and not isinstance(error, (OSError, ValueError)):
            raise
        if isinstance(error, KeyError):
            raise UserError(f'{key}.{error.args[0]}: this key is missing; {settings["type"]} reads it.') from error
        raise UserError(f'{key}: {" ".join(str(error).split()) or type(error).__name__}') from error
    batch = settings.get('batch_size_per_gpu', 1)
    if kind == 'train' and batch > len(dataset) * settings.get('dataset_enlarge_ratio', 1):
        raise UserError(
            f'{key}.batch_size_per_gpu: {batch} is more than the {len(dataset)} images, and {model} trains on '
            'whole batches alone: lower it, or write a larger dataset_enlarge_ratio.'
        )
    if kind == 'train' and model in _ON_GPU_ALONE and opt.get('high_order_degradation', True):
        raise UserError(
            f'{key}.type: {model} makes the LR images from kernels, which {type(dataset).__name__} does not give: '
            'write PairedFaceDataset, and high_order_degradation: false at the top of the file.'
        )
    pairs = issubclass(registered('MODEL_REGISTRY', model), SRModel)
    if pairs and ours:
        _check_pairs(opt, key, dataset, kind)
    elif pairs and kind != 'train' and 'gt' not in first:
        _check_no_ground_truth_needed(opt, key)
    if pairs and kind == 'train':
        try_networks(opt, (first_readable(dataset) or {}) if ours else first)
    bad = []
    for index in range(len(dataset) if kind != 'train' and ours else 0):  # those of others may hold whole films
        try:
            dataset[index]
        except (OSError, ValueError) as error:
            bad.append(sentence(error, f'image {index + 1}').rstrip('.'))
    if bad:
        more = f'; and {len(bad) - 3} more' if len(bad) > 3 else ''
        raise UserError(
            f'{key}: {len(bad)} of {len(dataset)} images cannot be used: {"; ".join(bad[:3])}{more}. Repair or remove '
            f'them: {model} ends at the first.'
        )
    if kind != 'train' and opt.get('val') is not None:
        try_metrics([(phase, dataset)], {**opt, 'dist': False})  # each process for itself


def _check_pairs(opt: Mapping[str, Any], key: str, dataset: Any, kind: str) -> None:
    """SRModel and what derives from it learn from pairs, and restore the LR image of an item."""
    if issubclass(registered('MODEL_REGISTRY', opt['model_type']), VideoBaseModel):
        raise UserError(
            f'model_type: {opt["model_type"]} learns from films, and {type(dataset).__name__} ({key}) gives single '
            'images: use SRModel or SRGANModel.'
        )
    if isinstance(dataset, PairedFaceDataset):
        return
    if kind == 'train' or not isinstance(dataset, LRFaceDataset):
        raise UserError(
            f'{key}.type: {opt["model_type"]} needs pairs, which {type(dataset).__name__} does not give: write '
            'PairedFaceDataset.'
        )
    _check_no_ground_truth_needed(opt, key)


def _check_no_ground_truth_needed(opt: Mapping[str, Any], key: str) -> None:
    for name, settings in ((opt.get('val') or {}).get('metrics') or {}).items():
        if needs_ground_truth(settings):
            raise UserError(
                f'val.metrics.{name}: it compares with a ground truth, and {key} has none: leave it out, or give pairs '
                '(PairedFaceDataset).'
            )
