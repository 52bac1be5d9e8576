"""The JSON schema of option files and the page docs/options.md, from the dataclasses in which options are stated."""

import dataclasses
import inspect
import json
import typing
from typing import Any, Literal

import torch

import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs
from selfsr_plugin.engine.stage_options import StageOptions
from selfsr_plugin.option_sections import (
    DatasetOptions,
    FileOptions,
    LoggerOptions,
    PathOptions,
    TestValOptions,
    TrainDatasetOptions,
    TrainValOptions,
    WandbOptions,
    file_options,
)
from selfsr_plugin.schema import (
    Component,
    AdversarialLoss,
    FeatureLoss,
    FlowLoss,
    ImageLoss,
    Loss,
    Metric,
    Network,
    Optimizer,
    Option,
    Scheduler,
    Section,
    alternatives,
    expected,
    options_of,
    registered,
    registered_names,
    to_yaml,
)
from selfsr_plugin.baselines import models as baseline_models
from selfsr_plugin.baselines.data.face_prior_dataset import FacePriorDatasetOptions
from selfsr_plugin.stages.cyclegan_degradation_model import CycleGANDegradationOptions
from selfsr_plugin.stages.flow_degradation_model import FlowDegradationOptions
from selfsr_plugin.stages.selfcond_sr_model import SelfCondSROptions
from selfsr_plugin.stages.selfsr_model import SelFSROptions

Schema = dict[str, Any]
MODELS: dict[str, type[Section]] = {
    'SelFSRModel': SelFSROptions,
    'FlowDegradationModel': FlowDegradationOptions,
    'CycleGANDegradationModel': CycleGANDegradationOptions,
    'SelfCondSRModel': SelfCondSROptions,
}
BASELINES = {name: getattr(baseline_models, name).options_class for name in baseline_models.__all__}
COMPONENTS: tuple[type[Component], ...] = (
    Network,
    Loss,
    ImageLoss,
    AdversarialLoss,
    FeatureLoss,
    FlowLoss,
    Optimizer,
    Scheduler,
    Metric,
)
DATASETS = ('FacePriorDataset', 'HRFaceDataset', 'LRFaceDataset', 'PairedFaceDataset', 'UnpairedFaceDataset')
_PLAIN = {int: 'integer', float: 'number', bool: 'boolean', str: 'string'}


# ----- JSON schema -----


def json_schema() -> str:
    """A JSON schema (draft 7, which YAML language servers read) of option files of this package's models.

    Files of BasicSR's models are accepted whatever they hold.
    """
    conditions, definitions = [], {component.__name__: _component(component) for component in COMPONENTS}
    definitions['Optimizer']['$comment'] = f'those of torch {torch.__version__.rsplit(".", 1)[0]}'
    definitions['TrainDatasets'], definitions['TestDatasets'] = _datasets('train'), _datasets('test')
    for each in (*MODELS.values(), *BASELINES.values(), TrainValOptions, TestValOptions, LoggerOptions):
        definitions[each.__name__] = _section(each)
    for model, train_class in {**MODELS, **BASELINES}.items():
        networks = dict(train_class.networks_of(None))
        if train_class is SelFSROptions:
            networks.update(CycleGANDegradationOptions.networks)
        tested = {label: networks[label] for label in train_class.tested}
        for phase, file_class in (('train', file_options(networks, train_class)), ('test', file_options(tested, None))):
            is_this = {'properties': {'model_type': {'const': model}}, 'required': ['model_type']}
            trains = {'required': ['train']}
            conditions.append(
                {
                    'if': {'allOf': [is_this, trains if phase == 'train' else {'not': trains}]},
                    'then': _file(file_class, phase),
                }
            )
    schema = {
        '$schema': 'http://json-schema.org/draft-07/schema#',
        'title': 'Option file of selfsr_plugin',
        'description': 'Written by scripts/make_options.py; docs/options.md has the same to read.',
        'type': 'object',
        'properties': {
            'model_type': {'type': 'string', 'description': 'model that is trained or tested', 'examples': list(MODELS)}
        },
        'required': ['model_type'],
        'allOf': conditions,
        'definitions': definitions,
    }
    return json.dumps(schema, indent=1) + '\n'


def _file(file_class: type[FileOptions], phase: str) -> Schema:
    found = _section(file_class)
    found['properties']['datasets'] = {'$ref': f'#/definitions/{phase.title()}Datasets'}
    return found


def _datasets(phase: str) -> Schema:
    other = _dataset(DatasetOptions)
    if phase == 'train':
        return {
            'type': 'object',
            'properties': {'train': _dataset(TrainDatasetOptions)},
            'required': ['train'],
            'patternProperties': {'^val(_.*)?$': other},
            'additionalProperties': False,
        }
    return {'type': 'object', 'patternProperties': {'^(test|val)(_.*)?$': other}, 'additionalProperties': False}


def _dataset(section_class: type[DatasetOptions]) -> Schema:
    general, face = _section(section_class), _section(FacePriorDatasetOptions)['properties']
    general['properties']['type']['enum'] = registered_names('DATASET_REGISTRY')
    conditions = []
    for name in DATASETS:
        keys = sorted(registered('DATASET_REGISTRY', name).option_keys)
        properties = {**{key: face.get(key, {}) for key in keys}, **dict.fromkeys(general['properties'], True)}
        conditions.append(
            {
                'if': {'properties': {'type': {'const': name}}},
                'then': {'properties': properties, 'additionalProperties': False},
            }
        )
    return {**general, 'additionalProperties': True, 'allOf': conditions}


def _section(cls: type[Section]) -> Schema:
    """Of a dataclass: its keys, none other, and which are required."""
    properties, required = {}, []
    for name, (kind, about, default) in options_of(cls).items():
        properties[name] = _value(kind, about, default)
        if default is dataclasses.MISSING:
            required.append(name)
    return {'type': 'object', 'properties': properties, 'required': required, 'additionalProperties': False}


def _value(kind: Any, about: Option, default: Any) -> Schema:
    kinds = [_kind(each, about) for each in alternatives(kind)]
    if about.variants is not None:
        kinds = [_variants(about)]
    if type(None) in typing.get_args(kind):
        kinds.append({'type': 'null'})
    found = kinds[0] if len(kinds) == 1 else {'anyOf': kinds}
    description = about.meaning + {'paper': ' (paper)', 'ours': ' (ours)', 'basicsr': ''}[about.source]
    found = {'description': description, **({'allOf': [found]} if '$ref' in found else found)}
    if default is not dataclasses.MISSING:
        found['default'] = default
    return found


def _kind(kind: Any, about: Option) -> Schema:
    if kind in _PLAIN:
        limits = (
            {}
            if kind not in (int, float)
            else {
                key: value
                for key, value in (('minimum', about.least), ('exclusiveMaximum', about.below))
                if value is not None
            }
        )
        return {'type': _PLAIN[kind], **limits}
    if typing.get_origin(kind) is Literal:
        return {'enum': list(typing.get_args(kind))}
    if typing.get_origin(kind) is list:
        return {'type': 'array', 'items': _kind(typing.get_args(kind)[0], about)}
    if typing.get_origin(kind) is dict:
        return {'type': 'object', 'additionalProperties': _kind(typing.get_args(kind)[1], about)}
    if kind in (*MODELS.values(), *BASELINES.values(), *COMPONENTS, TrainValOptions, TestValOptions, LoggerOptions):
        return {'$ref': f'#/definitions/{kind.__name__}'}
    if inspect.isclass(kind) and issubclass(kind, Section):
        return _section(kind)
    return {'type': 'object'}


def _variants(about: Option) -> Schema:
    """The section by what its selector names; the first where it is left out."""
    conditions = []
    for number, (name, cls) in enumerate(about.variants().items()):
        section = _section(cls)  # not a reference: it has one key more
        section['properties'][about.selector] = {'const': name}
        named = {'properties': {about.selector: {'const': name}}}  # fits as well where it is left out
        conditions.append({'if': named if number == 0 else {**named, 'required': [about.selector]}, 'then': section})
    return {'type': 'object', 'properties': {about.selector: {'enum': list(about.variants())}}, 'allOf': conditions}


def _component(cls: type[Component]) -> Schema:
    conditions = []
    for name in cls.names():
        parameters = cls.arguments(name)
        if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
            continue  # takes anything
        properties = {
            key: _argument(each)
            for key, each in parameters.items()
            if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
        }
        required = [key for key in properties if parameters[key].default is inspect.Parameter.empty]
        conditions.append(
            {
                'if': {'properties': {'type': {'const': name}}},
                'then': {
                    'properties': {'type': True, **properties, **dict.fromkeys(sorted(cls.extra), True)},
                    'required': required,
                    'additionalProperties': False,
                },
            }
        )
    return {
        'type': 'object',
        'description': f'{cls.what}: its name, and the arguments of the class of that name',
        'properties': {'type': {'enum': cls.names()}},
        'required': ['type'],
        'allOf': conditions,
    }


def _argument(parameter: inspect.Parameter) -> Schema:
    kinds = [each for each in alternatives(parameter.annotation) if each in _PLAIN]
    found: Schema = {}
    if len(kinds) == 1 and len(alternatives(parameter.annotation)) == 1:
        found['type'] = _PLAIN[kinds[0]] if parameter.default is not None else [_PLAIN[kinds[0]], 'null']
    if parameter.default is not parameter.empty and isinstance(parameter.default, (int, float, str, bool)):
        found['default'] = parameter.default
    return found


# ----- the page -----

_SOURCES = {'paper': 'paper', 'ours': 'ours', 'basicsr': 'BasicSR'}
_INTRODUCTION = """# Options

<!-- Written by scripts/make_options.py from the dataclasses in which the options are stated; do not edit. -->

Every key of an option file of this package's models, as the check of option files knows it. Whole files to copy are in
`options/`; `options/train_selfsr_real.yml` has a comment on every key. *Source*: "paper" where the paper states the
option, "BasicSR" where it is BasicSR's with its meaning, "ours" otherwise. A run is resumed with the same value of
every option marked `=`. `--shorten N` divides the options marked `/`.

An editor with a YAML language server completes and checks option files by `options/schema.json`, which the first line
of each names; `check-jsonschema --schemafile options/schema.json FILE` does it on the command line.

A section with a `type` holds the arguments of the class or function of that name: networks, losses, metrics and data
sets of BasicSR's registries, this package's among them; optimizers of `torch.optim`; schedules `LinearDecayLR` (ours),
and `MultiStepLR` and `CosineAnnealingRestartLR` of BasicSR.
"""


def reference_page() -> str:
    """docs/options.md: a table for each section."""
    parts = [_INTRODUCTION]
    for title, cls in (
        ('Top level', FileOptions),
        ('`datasets.train`', TrainDatasetOptions),
        ("`datasets.*` of this package's data sets", FacePriorDatasetOptions),
        ('`path`', PathOptions),
        ('`train` in every stage', StageOptions),
    ):
        parts.append(_table(title, cls))
        if cls is PathOptions:
            parts.append(
                'and for each `network_<label>`: `pretrain_network_<label>`, a file of weights; '
                '`param_key_<label>`, which of its weights, `params` or `params_ema` (default: `params_ema` if the '
                'file has them); `strict_load_<label>`, '
                'whether they must be exactly those of the network (default true).\n'
            )
    common = set(options_of(StageOptions))
    for model, cls in MODELS.items():
        where = (
            '`train`'
            if cls in (SelFSROptions,)
            else '`train.sr` or `train`'
            if cls is SelfCondSROptions
            else '`train.degradation` or `train`'
        )
        parts.append(_table(f'{where} of {model}', cls, without=common if cls is not SelFSROptions else set()))
        networks = ', '.join(f'`network_{label}` ({meaning})' for label, meaning in cls.networks_of(None).items())
        if cls is not SelFSROptions:
            parts.append(f'Networks: {networks}.\n')
    for model, cls in BASELINES.items():
        shown = options_of(SelfCondSROptions) if issubclass(cls, SelfCondSROptions) else common
        without = set() if issubclass(cls, SelFSROptions) else set(shown)
        parts.append(_table(f'`train` of {model}', cls, without))
        if shown is not common:
            parts.append('and the keys of SelfCondSRModel.\n')
        networks = ', '.join(f'`network_{label}` ({meaning})' for label, meaning in cls.networks_of(None).items())
        parts.append(f'Networks: {networks}.\n')
    for title, cls in (
        ('`val` of a training', TrainValOptions),
        ('`val` of a test', TestValOptions),
        ('`logger`', LoggerOptions),
        ('`logger.wandb`', WandbOptions),
    ):
        parts.append(_table(title, cls))
    parts.append(
        'A metric (`val.metrics.<name>`) may have `better: higher` or `better: lower`, for metrics that do not say '
        'which of their values are.\n'
    )
    return '\n'.join(parts)


def _table(title: str, cls: type[Section], without: set[str] = frozenset()) -> str:
    lines = [f'## {title}\n', '| Key | Value | Default | Source | | Meaning |', '| --- | --- | --- | --- | --- | --- |']
    for name, (kind, about, default) in options_of(cls).items():
        if name in without:
            continue
        value = expected(kind, about) + (', or ~' if type(None) in typing.get_args(kind) else '')
        shown = 'required' if default is dataclasses.MISSING else f'`{to_yaml(default)}`'
        marks = ('=' if about.decides else '') + ('/' if about.unit == 'iterations' else '')
        lines.append(f'| `{name}` | {value} | {shown} | {_SOURCES[about.source]} | {marks} | {about.meaning} |')
    if cls.refused:
        lines += ['', 'Refused by name: ' + '; '.join(f'`{name}`: {why}' for name, why in cls.refused.items()) + '.']
    return '\n'.join(lines) + '\n'
