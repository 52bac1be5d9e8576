"""Reading option files: BasicSR's format and command line, with a safe loader."""

import argparse
from collections.abc import Mapping
from os import path as osp
from typing import Any
from collections.abc import Sequence

import yaml

from .errors import UserError
from .schema import Scheduler, Section, alternatives, join, options_of


_MERGE = 'tag:yaml.org,2002:merge'


class _OptionLoader(getattr(yaml, 'CSafeLoader', yaml.SafeLoader)):  # the one in C, where it was built, as BasicSR
    """SafeLoader that refuses a key given twice, of which YAML would silently take the last, and keys that are no text:
    what prints and names things by them, BasicSR's log first, would end with a traceback."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._merged: set[yaml.MappingNode] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Called for every mapping, for one that ``<<`` names more than once: its keys then stand there twice."""
        if node not in self._merged:
            self._merged.add(node)
            self._check_keys(node)
            super().flatten_mapping(node)

    def _check_keys(self, node: yaml.MappingNode) -> None:
        seen = set()
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                if node.flow_style and not (value_node.value or getattr(value_node, 'style', None)):
                    raise yaml.constructor.ConstructorError(
                        None,
                        None,
                        'a comma within { } begins the next key: write several values in brackets, [0.9, 0.99], and a '
                        'decimal with a point, 0.003',
                        key_node.start_mark,
                    )
                plain = getattr(key_node, 'value', None)
                quoted = (
                    f", and YAML reads {plain} as something else: write '{plain}'" if isinstance(plain, str) else ''
                )
                raise yaml.constructor.ConstructorError(None, None, f'a key must be text{quoted}', key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' is given twice", key_node.start_mark
                )
            seen.add(key)


def parse_arguments(
    argv: Sequence[str] | None = None, prog: str | None = None, is_train: bool = True
) -> argparse.Namespace:
    """BasicSR's command line and ours; ``prog`` is how the command is written, for its help."""
    parser = argparse.ArgumentParser(prog=prog)
    parser.add_argument('-opt', required=True, type=osp.expanduser, help='path to the option file (YAML)')
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='pytorch when started by torchrun'
    )
    parser.add_argument(
        '--auto_resume',
        action='store_true',
        help='go on from the newest checkpoint of this run' if is_train else argparse.SUPPRESS,
    )
    parser.add_argument(
        '--debug',
        action='store_true',
        help="BasicSR's debug mode: a run named debug_..., logged and validated every few iterations",
    )
    parser.add_argument('--traceback', action='store_true', help='show where an error came from')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by some launchers; not used')
    parser.add_argument(
        '--force_yml',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY:KEY=VALUE',
        help='override options, e.g. train:total_iter=1000',
    )
    parser.add_argument(
        '--shorten',
        type=_divisor,
        metavar='N',
        help='a trial: train with all numbers of iterations (stages, growth, rates, log), those of --force_yml too, '
        'divided by N'
        if is_train
        else argparse.SUPPRESS,
    )
    args = parser.parse_args(argv)
    for name in () if is_train else ('auto_resume', 'shorten'):
        if getattr(args, name):
            parser.error(f'--{name}: it is for training; leave it out')
    return args


def _divisor(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text}: give a whole number, 1 or more; 100 makes 3400 iterations of 340000')
    return int(text)


def read_options(args: argparse.Namespace) -> dict[str, Any]:
    """The option file of a command line, with its ``--force_yml``; UserError if it cannot be read."""
    opt = read_option_file(args.opt)
    apply_overrides(opt, args.force_yml)
    return opt


def read_option_file(path: str) -> dict[str, Any]:
    """Read an option file; it can describe values only, never run code.

    Raises:
        UserError: no such file, not YAML, or not a mapping.
    """
    if osp.exists(path) and not osp.isfile(path) and not osp.isdir(path):  # a pipe, which can be read once
        raise UserError(f'the option file {path} is no file on a disk, and runs keep a copy: save it and give that.')
    try:
        with open(path, encoding='utf-8') as file:
            opt = _unshared(yaml.load(file, Loader=_OptionLoader))
    except OSError as error:
        raise UserError(f'the option file {path} cannot be read: {error.strerror}.') from None
    except UnicodeDecodeError:
        raise UserError(f'the option file {path} is not UTF-8 text: save it as UTF-8.') from None
    except RecursionError:
        raise UserError(f'the option file {path} holds an alias (*) within what it stands for: write it out.') from None
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        where = f', line {mark.line + 1}, column {mark.column + 1}' if mark else ''
        raise UserError(
            f'the option file {path}{where} is not valid YAML: '
            f'{getattr(error, "problem", None) or str(error).splitlines()[0]}{_tab_there(path, mark)}.'
        ) from None
    if not isinstance(opt, dict):
        raise UserError(f'the option file {path} must hold "key: value" lines, as those in options/ do.')
    return opt


def _unshared(node: Any) -> Any:
    """A copy in which what an alias stands for is there again: who changes one section must not change the other."""
    if isinstance(node, dict):
        return {key: _unshared(value) for key, value in node.items()}
    return [_unshared(value) for value in node] if isinstance(node, list) else node


def _tab_there(path: str, mark: Any) -> str:
    """What to add where YAML stumbles over a tab, which it does not name."""
    if mark is None:
        return ''
    with open(path, encoding='utf-8') as file:
        lines = file.read().splitlines()
    there = lines[mark.line][mark.column :] if mark.line < len(lines) else ''
    return ', a tab: YAML is indented by spaces' if there.startswith('\t') else ''


def apply_overrides(opt: dict[str, Any], overrides: Sequence[str]) -> None:
    """Carry out ``--force_yml``; values are read as YAML.

    Raises:
        UserError: an entry without '=', a value that is not YAML, or a path through something that is no section.
    """
    for entry in overrides:
        keys, sign, text = entry.partition('=')
        if not sign:
            raise UserError(f'--force_yml {entry}: write KEY:KEY=VALUE, e.g. train:total_iter=1000.')
        try:
            value = yaml.load(text, Loader=_OptionLoader)
        except yaml.YAMLError as error:
            problem = getattr(error, 'problem', None)
            raise UserError(
                f'--force_yml {entry}: the value is not valid YAML{f": {problem}" if problem else ""}.'
            ) from None
        *sections, last = keys.strip().split(':')
        target = opt
        for section in sections:
            target = target.get(section)
            if not isinstance(target, dict):
                raise UserError(f"--force_yml {entry}: there is no section '{section}' in the option file.")
        target[last] = value


def shorten(section: dict[str, Any], cls: type[Section], divisor: int, key: str = '') -> dict[str, str]:
    """Divide every number of iterations in a section, and in those below it; changes ``section``.

    None becomes less than the option allows, and none that is above 0 becomes 0, which switches something off. The
    number of all stages becomes the sum of theirs.

    Args:
        section: valid as ``cls`` states it.
        cls: says which options are numbers of iterations.
        divisor: 1 or more.
        key: the dotted name of the section.

    Returns:
        Dotted key -> 'before -> after' for each that has changed.
    """
    before = {name: value for name, value in section.items() if not isinstance(value, dict)}
    changed = {}
    for name, (kind, about, _) in options_of(cls).items():
        value, inner = section.get(name), alternatives(kind)[0]
        if value is None:
            continue
        if about.variants is not None:
            variants = about.variants()
            changed |= shorten(
                value, variants[value.get(about.selector, next(iter(variants)))], divisor, join(key, name)
            )
        elif inner is Scheduler:
            changed |= _divide(value, Scheduler.iterations, divisor, join(key, name))
        elif isinstance(inner, type) and issubclass(inner, Section):
            changed |= shorten(value, inner, divisor, join(key, name))
        elif about.unit == 'iterations':
            is_on = isinstance(value, list) or value > 0
            _divide(section, {name: max(int(about.least), 1) if is_on else int(about.least)}, divisor, key)
    stages = [each['total_iter'] for each in section.values() if isinstance(each, dict) and 'total_iter' in each]
    if stages:
        section['total_iter'] = sum(stages)
    return {
        **{join(key, name): f'{value} -> {section[name]}' for name, value in before.items() if section[name] != value},
        **changed,
    }


def _divide(section: dict[str, Any], least: Mapping[str, int], divisor: int, key: str) -> dict[str, str]:
    """The same for the keys of ``least``, each with its least value."""
    changed = {}
    for name in least.keys() & section.keys():
        before = section[name]
        up = divisor - 1 if name == 'periods' else 0  # which must last as long as the run
        numbers = [
            max((number + up) // divisor, least[name]) for number in (before if isinstance(before, list) else [before])
        ]
        section[name] = numbers if isinstance(before, list) else numbers[0]
        changed[join(key, name)] = f'{before} -> {section[name]}'
    return changed


def complete_options(
    opt: dict[str, Any], args: argparse.Namespace, root: str, is_train: bool, rank: int, world_size: int
) -> dict[str, Any]:
    """Add what BasicSR's ``parse_options`` adds for its models, loggers and data sets; changes and returns ``opt``.

    ``num_gpu: auto`` means one GPU if there is one: several are used by starting one process for each (torchrun).
    """
    import torch  # not at the top: usage errors are answered without

    opt['dist'] = args.launcher != 'none'
    opt['rank'], opt['world_size'] = rank, world_size
    opt['auto_resume'] = args.auto_resume
    opt['is_train'] = is_train
    opt['root_path'] = root
    if args.debug and not opt['name'].startswith('debug'):
        opt['name'] = 'debug_' + opt['name']
    if opt['num_gpu'] == 'auto':
        opt['num_gpu'] = min(torch.cuda.device_count(), 1)
    for phase, dataset in opt['datasets'].items():
        dataset['phase'] = phase.split('_')[0]
        dataset.setdefault('scale', opt['scale'])
        for key in ('dataroot_gt', 'dataroot_lq'):
            if dataset.get(key) is not None:
                dataset[key] = osp.expanduser(dataset[key])
    path = opt.setdefault('path', {})
    if path is None:
        path = opt['path'] = {}
    for key, value in path.items():
        if isinstance(value, str):
            path[key] = osp.expanduser(value)
    if is_train:
        experiment = osp.join(root, 'experiments', opt['name'])
        path.update(
            experiments_root=experiment,
            models=osp.join(experiment, 'models'),
            training_states=osp.join(experiment, 'training_states'),
            log=experiment,
            visualization=osp.join(experiment, 'visualization'),
        )
        if 'debug' in opt['name']:
            if opt.get('val'):
                opt['val']['val_freq'] = 8
            opt['logger'].update(print_freq=1, save_checkpoint_freq=8)
    else:
        results = osp.join(root, 'results', opt['name'])
        path.update(results_root=results, log=results, visualization=osp.join(results, 'visualization'))
    return opt
