"""The options that decide what a training run computes; a run is resumed with the same ones."""
from typing import Any, Dict, Mapping


def run_options(opt: Mapping[str, Any]) -> Dict[str, Any]:
    """Dotted key -> plain value, of completed options.

    Not in it: paths (data may be moved), numbers of workers and processes (their product with the batch is), what is
    logged and validated, what is done about a NaN, and ``total_iter`` where no schedule depends on it, so that a
    finished run can be made longer.
    """
    found: Dict[str, Any] = {key: opt[key] for key in ('model_type', 'scale', 'manual_seed')}
    for section in sorted(key for key in opt if key == 'train' or key.startswith('network_')):
        _flatten(opt[section], section, found)
    data = opt['datasets']['train']
    _flatten({key: value for key, value in data.items() if key in ('type', 'gt_size', 'lq_size', 'use_hflip')},
             'datasets.train', found)
    found['datasets.train.batch_size_per_gpu x processes'] = data['batch_size_per_gpu'] * opt['world_size']
    last = 'train.sr' if 'train.sr.total_iter' in found else 'train'
    if found.get(f'{last}.scheduler.type') != 'LinearDecayLR':
        found.pop('train.total_iter', None)
        found.pop(f'{last}.total_iter', None)
    return {key: value for key, value in found.items() if not key.endswith('.nonfinite')}


def _flatten(node: Any, key: str, found: Dict[str, Any]) -> None:
    if isinstance(node, dict):
        for name, value in node.items():
            _flatten(value, f'{key}.{name}', found)
    else:
        found[key] = node


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """'key (saved -> now), ...' for the keys in which two results of :func:`run_options` differ; '' if in none."""
    absent = 'not set'
    return ', '.join(f'{key} ({saved.get(key, absent)!r} -> {now.get(key, absent)!r})'
                     for key in sorted({*saved, *now}) if saved.get(key, absent) != now.get(key, absent))
