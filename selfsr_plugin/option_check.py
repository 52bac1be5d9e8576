"""The check of option files: everything wrong with them is said before training starts, in one sentence each.

Only option files of this package's models are checked as a whole. In those of BasicSR's models, the parts of this
package (networks, data sets) check their own arguments.
"""
import difflib
import inspect
import os
import re
from os import path as osp
from typing import Any, Callable, Dict, Iterable, Mapping, Optional

import torch
from basicsr.models import lr_scheduler
from basicsr.utils.registry import ARCH_REGISTRY, DATASET_REGISTRY, LOSS_REGISTRY, METRIC_REGISTRY, MODEL_REGISTRY

from .errors import UserError
from .metrics import check_metric, direction
from .stages.selfsr_model import DEFAULT_STAGE1, STAGE1_MODELS
from .ops import GrowthSchedule

TOP_KEYS = {'name', 'model_type', 'scale', 'num_gpu', 'manual_seed', 'datasets', 'path', 'train', 'val', 'logger',
            'dist_params'}
# io_backend and persistent_workers stand in every data set of BasicSR's option files and are accepted for that reason:
# an LMDB is known by its path, and the loader of ours never restarts its workers.
LOADER_KEYS = {'name', 'type', 'scale', 'num_worker_per_gpu', 'batch_size_per_gpu', 'pin_memory', 'io_backend',
               'persistent_workers'}
VAL_KEYS = {'val_freq', 'save_img', 'suffix', 'pbar', 'metrics'}
LOGGER_KEYS = {'print_freq', 'save_checkpoint_freq', 'keep_checkpoints', 'collapse_iter', 'use_tb_logger', 'wandb'}
SUPERVISIONS = ('paired', 'unpaired', 'pseudo')
_NUMBER_AS_TEXT = re.compile(r'[-+]?\d+(\.\d*)?[eE][-+]?\d+')


def check_options(opt: Dict[str, Any], is_train: bool) -> None:
    """Check the options of one of this package's models, as read from the file.

    Raises:
        UserError: the first thing found wrong, with its key and the remedy.
    """
    _no_numbers_as_text(opt, '')
    _require(opt, ('name', 'model_type', 'scale', 'num_gpu', 'datasets'), '')
    model = dict(iter(MODEL_REGISTRY))[opt['model_type']]
    labels = _network_labels(opt, model, is_train)
    _known(opt, TOP_KEYS | {f'network_{label}' for label in labels}, '')
    if not isinstance(opt['name'], str) or not opt['name'] or '/' in opt['name']:
        raise UserError(f'name: {opt["name"]!r} must be a text without "/"; it names the folder of the run.')
    if not _is_int(opt['scale'], 2) or opt['scale'] & (opt['scale'] - 1):
        raise UserError(f'scale: {opt["scale"]!r} must be 2, 4, 8 or another power of two.')
    _check_num_gpu(opt['num_gpu'])
    if opt.get('manual_seed') is not None and not _is_int(opt['manual_seed'], 0):
        raise UserError(f'manual_seed: {opt["manual_seed"]!r} must be a whole number, 0 or more.')
    for label in labels:
        if f'network_{label}' in opt:
            _check_component(opt[f'network_{label}'], ARCH_REGISTRY, f'network_{label}')
    _check_datasets(opt['datasets'], opt['scale'], is_train)
    _check_path(opt.get('path') or {}, labels)
    _check_val(opt.get('val'), opt['datasets'], is_train)
    if is_train:
        _require(opt, ('train', 'logger'), '')
        _check_logger(opt['logger'])
        _TRAIN_CHECKS[opt['model_type']](opt)
    elif opt['model_type'] in STAGE1_MODELS:
        _require(opt, sorted(f'network_{label}' for label in labels if not label.startswith('d_')), '')
    else:
        _require(opt, ('network_g', ), '')


# ----- parts -----


def _network_labels(opt: Mapping[str, Any], model: Any, is_train: bool) -> Iterable[str]:
    """The networks that the option file may describe; both stages in one run: those of the stage 1 that is chosen."""
    if opt['model_type'] != 'SelFSRModel' or not is_train:
        return model.network_labels
    registry = dict(iter(MODEL_REGISTRY))
    return registry[_stage1_model(opt)].network_labels | registry['SelfCondSRModel'].network_labels


def _stage1_model(opt: Mapping[str, Any]) -> str:
    """``train.degradation.model_type`` of a SelFSRModel."""
    _require(opt, ('train', ), '')
    _is_section(opt['train'], 'train')
    _require(opt['train'], ('degradation', ), 'train')
    _is_section(opt['train']['degradation'], 'train.degradation')
    name = opt['train']['degradation'].get('model_type', DEFAULT_STAGE1)
    if not isinstance(name, str) or name not in STAGE1_MODELS:
        raise UserError(f'train.degradation.model_type: {name!r} must be one of {", ".join(STAGE1_MODELS)}.')
    return name


def _check_num_gpu(num_gpu: Any) -> None:
    if num_gpu != 'auto' and not _is_int(num_gpu, 0):
        raise UserError(f"num_gpu: {num_gpu!r} must be 'auto' or a number of GPUs.")
    if _is_int(num_gpu, 1) and torch.cuda.device_count() < 1:
        raise UserError(f'num_gpu: {num_gpu} GPUs are asked for and this machine shows none; write num_gpu: auto.')


def _check_datasets(datasets: Any, scale: int, is_train: bool) -> None:
    _is_section(datasets, 'datasets')
    phases = ('train', 'val') if is_train else ('test', 'val')
    for phase, settings in datasets.items():
        key = f'datasets.{phase}'
        if str(phase).split('_')[0] not in phases:
            raise UserError(f"{key}: unknown phase; use {phases[0]} or {phases[1]}, or {phases[1]}_1, {phases[1]}_2 ...")
        _is_section(settings, key)
        _require(settings, ('name', 'type'), key)
        if not isinstance(settings['name'], str):
            raise UserError(f'{key}.name: {settings["name"]!r} must be a text; the log uses it.')
        cls = _look_up(settings['type'], DATASET_REGISTRY, f'{key}.type')
        for name, value in settings.items():
            if str(name).startswith('dataroot') and value is not None and not isinstance(value, str):
                raise UserError(f'{key}.{name}: {value!r} must be the path of a folder or an LMDB.')
        own = getattr(cls, 'option_keys', None)
        if own is not None:
            _known(settings, own | LOADER_KEYS, key)
        if phase == 'train':
            _require(settings, ('batch_size_per_gpu', 'num_worker_per_gpu'), key)
            for name, least in (('batch_size_per_gpu', 1), ('num_worker_per_gpu', 0)):
                if not _is_int(settings[name], least):
                    raise UserError(f'{key}.{name}: {settings[name]!r} must be a whole number, {least} or more.')
        if settings.get('scale', scale) != scale:
            raise UserError(f'{key}.scale: {settings["scale"]!r} differs from scale: {scale}; leave it out.')
    if is_train and 'train' not in datasets:
        raise UserError('datasets: there is no section train.')


def _check_path(path: Any, labels: Iterable[str]) -> None:
    _is_section(path, 'path')
    known = {'resume_state'}
    for label in labels:
        known |= {f'pretrain_network_{label}', f'strict_load_{label}', f'param_key_{label}'}
    _known(path, known, 'path')
    for key, value in path.items():
        if (key.startswith('pretrain_') or key == 'resume_state') and value is not None:
            if not isinstance(value, str) or not osp.isfile(osp.expanduser(value)):
                raise UserError(f'path.{key}: there is no file {value} (seen from {os.getcwd()}); '
                                'train the stage that makes it first, or correct the path.')


def _check_val(val: Any, datasets: Mapping[str, Any], is_train: bool) -> None:
    if val is None:
        if not is_train:
            raise UserError('val: this section is needed for testing; see options/test_selfsr_real.yml.')
        if any(str(phase).startswith('val') for phase in datasets):
            raise UserError('val: this section is needed for the data sets val in datasets; it says how often they are used.')
        return
    _is_section(val, 'val')
    _known(val, VAL_KEYS, 'val')
    _require(val, ('save_img', ) + (('val_freq', ) if is_train else ()), 'val')
    if is_train:
        _positive(val, ('val_freq', ), 'val')
    metrics = val.get('metrics') or {}
    _is_section(metrics, 'val.metrics')
    for name, settings in metrics.items():
        _check_component(settings, METRIC_REGISTRY, f'val.metrics.{name}', extra={'better'})
        try:
            check_metric(settings)
            if is_train and direction(settings) is None:
                raise UserError(f"better is missing: write 'better: higher' or 'better: lower', since {settings['type']} "
                                'does not say which of its values are.')
        except (OSError, ValueError) as error:
            raise UserError(f'val.metrics.{name}: {error}') from error


def _check_logger(logger: Any) -> None:
    _is_section(logger, 'logger')
    _known(logger, LOGGER_KEYS, 'logger')
    _require(logger, ('print_freq', 'save_checkpoint_freq', 'use_tb_logger'), 'logger')
    _positive(logger, ('print_freq', 'save_checkpoint_freq'), 'logger')
    for name in ('keep_checkpoints', 'collapse_iter'):
        if logger.get(name) is not None and not _is_int(logger[name], 0):
            raise UserError(f'logger.{name}: {logger[name]!r} must be a whole number, 0 for off.')


# ----- the section train of each model -----


def _check_common(train: Mapping[str, Any], key: str, model: str, optimizers: Iterable[str]) -> None:
    _is_section(train, key)
    _known(train, dict(iter(MODEL_REGISTRY))[model].train_keys, key)
    _require(train, ('total_iter', *optimizers), key)
    _positive(train, ('total_iter', ), key)
    for name in optimizers:
        optimizer = train[name]
        _is_section(optimizer, f'{key}.{name}')
        if optimizer.get('type') != 'Adam':
            raise UserError(f"{key}.{name}.type: {optimizer.get('type')!r}; BasicSR knows 'Adam'.")
        _check_arguments(optimizer, torch.optim.Adam, f'{key}.{name}', given=('params', ))
        betas = optimizer.get('betas', [0.0, 0.99])
        if not isinstance(betas, list) or [type(beta) for beta in betas] != [float, float]:
            raise UserError(f'{key}.{name}.betas: {betas!r} must be two numbers with a decimal point, '
                            'e.g. [0.0, 0.99]: torch refuses a whole number there.')
    _check_scheduler(train.get('scheduler'), train['total_iter'], f'{key}.scheduler')
    if train.get('nonfinite', 'stop') not in ('stop', 'skip'):
        raise UserError(f"{key}.nonfinite: {train['nonfinite']!r} must be stop or skip.")


def _check_scheduler(scheduler: Any, total_iter: int, key: str) -> None:
    if scheduler is None:
        return
    _is_section(scheduler, key)
    kind = scheduler.get('type')
    if kind == 'LinearDecayLR':
        _known(scheduler, {'type', 'decay_from'}, key)
        _require(scheduler, ('decay_from', ), key)
        if not _is_int(scheduler['decay_from'], 0) or scheduler['decay_from'] >= total_iter:
            raise UserError(f'{key}.decay_from: {scheduler["decay_from"]!r} must be a whole number below total_iter '
                            f'({total_iter}).')
        return
    if kind == 'MultiStepLR':
        kind = 'MultiStepRestartLR'  # BasicSR treats them alike
    if kind not in ('MultiStepRestartLR', 'CosineAnnealingRestartLR'):
        raise UserError(f"{key}.type: {kind!r} is unknown; use LinearDecayLR, MultiStepLR or CosineAnnealingRestartLR, "
                        'or leave the section out for a constant rate.')
    _check_arguments(scheduler, getattr(lr_scheduler, kind), key, given=('optimizer', ))


def _check_losses(train: Mapping[str, Any], names: Iterable[str], key: str) -> None:
    _require(train, names, key)
    for name in names:
        _check_component(train[name], LOSS_REGISTRY, f'{key}.{name}')


def _check_number(train: Mapping[str, Any], name: str, bound: float, key: str) -> None:
    value = train.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < bound:
        raise UserError(f'{key}.{name}: {value!r} must be a number from 0 to below {bound}.')


def _check_stage1(opt: Mapping[str, Any], train: Mapping[str, Any], key: str, model: str) -> None:
    labels = STAGE1_MODELS[model].trained
    _require(opt, [f'network_{label}' for label in labels], '')
    _check_common(train, key, model, [f'optim_{label}' for label in labels])
    _check_losses(train, ('gan_opt', 'tv_opt' if model == 'FlowDegradationModel' else 'cycle_opt'), key)
    if 'identity_opt' not in train:  # one that is forgotten must not pass for the ablation
        raise UserError(f'{key}.identity_opt: this key is missing; write identity_opt: ~ to train without it.')
    if train['identity_opt'] is not None:
        _check_losses(train, ('identity_opt', ), key)
    if model == 'FlowDegradationModel':
        _check_number(train, 'r1_reg_weight', float('inf'), key)
    elif not _is_int(train.get('pool_size'), 0):
        raise UserError(f'{key}.pool_size: {train.get("pool_size")!r} must be a whole number of images, 50 in '
                        'CycleGAN, 0 for no pool.')
    _needs_images(opt, 'lq', 'stage 1 compares with real LR faces')


def _check_stage2(opt: Mapping[str, Any], train: Mapping[str, Any], key: str) -> None:
    _require(opt, ('network_g', ), '')
    adversarial = 'network_d' in opt
    _check_common(train, key, 'SelfCondSRModel', ('optim_g', 'optim_d') if adversarial else ('optim_g', ))
    if not adversarial:
        surplus = sorted({'optim_d', 'gan_opt', 'r1_reg_weight', 'net_d_reg_every'} & set(train))
        if surplus:
            raise UserError(f'{key}.{surplus[0]}: there is no network_d to use it; add network_d or leave it out.')
    _check_losses(train, ('pixel_opt', 'gan_opt') if adversarial else ('pixel_opt', ), key)
    _require(train, ('supervision', ), key)
    if train['supervision'] not in SUPERVISIONS:
        raise UserError(f"{key}.supervision: {train['supervision']!r} must be one of {', '.join(SUPERVISIONS)}.")
    gt_size = opt['datasets']['train'].get('gt_size')
    if adversarial and 'size' in opt['network_d'] and gt_size is not None and opt['network_d']['size'] != gt_size:
        raise UserError(f'network_d.size: {opt["network_d"]["size"]!r} must be the side of the HR images, '
                        f'datasets.train.gt_size: {gt_size}.')
    if train['supervision'] == 'unpaired':
        _needs_images(opt, 'lq', 'supervision: unpaired trains on LR faces')
    if train['supervision'] == 'pseudo':
        _require(opt, ('network_deg', ), '')
    for name, least in (('fade_iter', 0), ('net_d_reg_every', 1)):
        if name in train and not _is_int(train[name], least):
            raise UserError(f'{key}.{name}: {train[name]!r} must be a whole number, {least} or more.')
    _check_number(train, 'r1_reg_weight', float('inf'), key)
    _check_number(train, 'ema_decay', 1, key)
    _check_number(train, 'lq_noise', 256, key)
    if train.get('lq_noise') and train['supervision'] != 'pseudo':
        raise UserError(f'{key}.lq_noise: it is added to the LR images of stage 1, and supervision: {train["supervision"]} '
                        'uses none; leave it out.')
    grow_at = train.get('grow_at') or []
    if not isinstance(grow_at, list) or not all(_is_int(step, 1) for step in grow_at):
        raise UserError(f'{key}.grow_at: {grow_at!r} must be a list of iterations, e.g. [60000], or [].')
    try:
        GrowthSchedule(opt['scale'].bit_length() - 1, tuple(grow_at), train.get('fade_iter', 0))
    except ValueError as error:
        raise UserError(f'{key}.{error}') from None
    if grow_at and grow_at[-1] >= train['total_iter']:
        raise UserError(f'{key}.grow_at: the step at {grow_at[-1]} is never reached, {key}.total_iter is '
                        f'{train["total_iter"]}.')


def _check_train_stage2(opt: Mapping[str, Any]) -> None:
    _check_stage2(opt, opt['train'], 'train')
    if opt['train']['supervision'] == 'pseudo' and not (opt.get('path') or {}).get('pretrain_network_deg'):
        raise UserError('path.pretrain_network_deg: supervision: pseudo needs the weights of stage 1, '
                        'experiments/<stage 1 run>/models/net_deg_latest.pth.')


def _check_train_both(opt: Mapping[str, Any]) -> None:
    train = opt['train']
    _is_section(train, 'train')
    _known(train, dict(iter(MODEL_REGISTRY))['SelFSRModel'].train_keys, 'train')
    _require(train, ('total_iter', 'degradation', 'sr'), 'train')
    stage1 = {name: value for name, value in train['degradation'].items() if name != 'model_type'}
    _check_stage1(opt, stage1, 'train.degradation', _stage1_model(opt))
    _check_stage2(opt, train['sr'], 'train.sr')
    total = train['degradation']['total_iter'] + train['sr']['total_iter']
    if train['total_iter'] != total:
        raise UserError(f'train.total_iter: {train["total_iter"]} must be the sum of the two stages, {total}.')


_TRAIN_CHECKS: Dict[str, Callable[[Mapping[str, Any]], None]] = {
    **{name: lambda opt: _check_stage1(opt, opt['train'], 'train', opt['model_type']) for name in STAGE1_MODELS},
    'SelfCondSRModel': _check_train_stage2,
    'SelFSRModel': _check_train_both,
}


def _needs_images(opt: Mapping[str, Any], kind: str, why: str) -> None:
    if not opt['datasets']['train'].get(f'dataroot_{kind}'):
        raise UserError(f'datasets.train.dataroot_{kind}: missing; {why}.')


# ----- tools -----


def _is_int(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_section(value: Any, key: str) -> None:
    if not isinstance(value, dict):
        raise UserError(f'{key}: {value!r} must be a section with "key: value" lines.')


def _positive(section: Mapping[str, Any], names: Iterable[str], key: str) -> None:
    for name in names:
        if not _is_int(section[name], 1):
            raise UserError(f'{key}.{name}: {section[name]!r} must be a whole number, 1 or more '
                            '(a number such as 5e3 is text in YAML: write 5000).')


def _join(key: str, name: Any) -> str:
    return f'{key}.{name}' if key else str(name)


def _require(section: Mapping[str, Any], names: Iterable[str], key: str) -> None:
    for name in names:
        if section.get(name) is None:
            raise UserError(f'{_join(key, name)}: this key is missing; options/train_selfsr_real.yml says what it means.')


def _known(section: Mapping[str, Any], names: Iterable[str], key: str) -> None:
    for name in section:
        if name not in names:
            close = difflib.get_close_matches(str(name), sorted(names), n=1)
            hint = f"did you mean '{close[0]}'?" if close else f'known here: {", ".join(sorted(names))}.'
            raise UserError(f'{_join(key, name)}: unknown key; {hint}')


def _look_up(name: Any, registry: Any, key: str) -> Any:
    entries = dict(iter(registry))  # it has keys() but no [], so dict(registry) fails
    if isinstance(name, str) and f'{name}_basicsr' in entries:
        name = f'{name}_basicsr'  # BasicSR's own fallback, for names that other projects register as well
    if not isinstance(name, str) or name not in entries:
        close = difflib.get_close_matches(str(name), sorted(entries), n=1)
        hint = f"; did you mean '{close[0]}'?" if close else f'; there are {", ".join(sorted(entries))}.'
        raise UserError(f'{key}: unknown name {name!r}{hint}')
    return entries[name]


def _check_component(settings: Any, registry: Any, key: str, extra: Iterable[str] = ()) -> None:
    """A section with a ``type`` from one of BasicSR's registries and that class's or function's arguments."""
    _is_section(settings, key)
    _require(settings, ('type', ), key)
    target = _look_up(settings['type'], registry, f'{key}.type')
    given = ('img', 'img2') if registry is METRIC_REGISTRY else ()
    _check_arguments({k: v for k, v in settings.items() if k not in extra}, target, key, given)


def _check_arguments(settings: Mapping[str, Any], target: Any, key: str, given: Iterable[str] = ()) -> None:
    """Compare a section with the signature of what it is passed to; ``given`` are arguments that code passes."""
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(target).parameters.items() if name not in given
    }
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        _known(settings, set(parameters) | {'type'}, key)
    needed: Optional[str] = next((name for name, parameter in parameters.items()
                                  if parameter.default is parameter.empty and name not in settings
                                  and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)), None)
    if needed:
        raise UserError(f'{key}.{needed}: this key is missing; {settings["type"]} needs it.')


def _no_numbers_as_text(node: Any, key: str) -> None:
    if isinstance(node, dict):
        for name, value in node.items():
            _no_numbers_as_text(value, _join(key, name))
    elif isinstance(node, list):
        for value in node:
            _no_numbers_as_text(value, key)
    elif isinstance(node, str) and _NUMBER_AS_TEXT.fullmatch(node):
        raise UserError(f'{key}: YAML reads {node} as text; write !!float {node}.')
