"""The options that decide what a training run computes; a run is resumed with the same ones."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ..option_sections import FaceDatasetOptions
from ..schema import Component, Network, Section, options_of, parse, registered, renamed

Entry = tuple[str, Any, Any]  # dotted key, value, default


def run_options(opt: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key -> plain value, of completed options.

    That is every option that its schema marks as deciding what is computed, with its default where the file leaves it
    out, and so not: paths (data may be moved), numbers of workers and processes (their product with the batch is), what
    is logged and validated, what is done about a NaN. ``total_iter`` is left out where no schedule depends on it, so
    that a finished run can be made longer.
    """
    return {key: value for key, value, _ in _entries(opt, complete=False)}


def differences(saved: Mapping[str, Any], opt: Mapping[str, Any]) -> str:
    """'key (saved -> now), ...' for the keys in which saved :func:`run_options` differ from ``opt``'s; '' if in none.

    What is not there, in a file that leaves it out or in what a version saved that did not know it, is its default.
    """
    absent = 'not set'
    entries = list(_entries(opt, complete=True))
    now = {key: value for key, value, _ in entries}
    saved = {renamed(key): renamed(value) if isinstance(value, str) else value for key, value in saved.items()}
    saved = {**{key: default for key, _, default in entries if default is not dataclasses.MISSING}, **saved}
    return ', '.join(
        f'{key} ({saved.get(key, absent)!r} -> {now.get(key, absent)!r})'
        for key in sorted({*saved, *now})
        if saved.get(key, absent) != now.get(key, absent)
    )


def _entries(opt: Mapping[str, Any], complete: bool) -> Iterator[Entry]:
    """Of all that decides; with ``complete`` also the arguments that sections with a type leave out."""
    for key in ('model_type', 'scale', 'manual_seed'):
        yield key, opt[key], dataclasses.MISSING
    train = parse(registered('MODEL_REGISTRY', opt['model_type']).options_class, opt['train'], 'train')
    last = getattr(train, 'sr', train)
    open_ended = (
        () if (last.scheduler or {}).get('type') == 'LinearDecayLR' else ('train.total_iter', 'train.sr.total_iter')
    )
    for key, value, default in _of_section(train, 'train', complete):
        if key not in open_ended:
            # Version 0.1.0 had no such key and made LR images wherever a data set gave none,
            # as the check now wants said.
            yield key, value, value if key.endswith('.lq_from_gt') else default
    for label in sorted(key for key in opt if key.startswith('network_')):
        yield from _of_component(Network(opt[label]), label, complete)
    data = opt['datasets']['train']
    face_options = getattr(registered('DATASET_REGISTRY', data['type']), 'options_class', FaceDatasetOptions)
    for key, (_, about, default) in {'type': (None, None, None), **options_of(face_options)}.items():
        if about is None or about.decides:
            yield f'datasets.train.{key}', data.get(key, default), default
    yield (
        'datasets.train.batch_size_per_gpu x processes',
        data['batch_size_per_gpu'] * opt['world_size'],
        dataclasses.MISSING,
    )
    if 'shortened' in opt:
        yield 'shortened by', opt['shortened']['by'], dataclasses.MISSING


def _of_section(section: Section, key: str, complete: bool) -> Iterator[Entry]:
    for name, (_, about, default) in options_of(type(section)).items():
        value = getattr(section, name)
        if about.variants is not None:
            chosen = next(each for each, cls in about.variants().items() if cls is type(value))
            yield f'{key}.{name}.{about.selector}', chosen, next(iter(about.variants()))
        if isinstance(value, Section):
            yield from _of_section(value, f'{key}.{name}', complete)
        elif isinstance(value, Component):
            yield from _of_component(value, f'{key}.{name}', complete)
        elif about.decides:
            yield f'{key}.{name}', value, default


def _of_component(component: Component, key: str, complete: bool) -> Iterator[Entry]:
    defaults = type(component)(type=component['type']).complete()
    for name, value in (component.complete() if complete else component).items():
        yield f'{key}.{name}', value, dataclasses.MISSING if name == 'type' else defaults.get(name, dataclasses.MISSING)
