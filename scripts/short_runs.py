"""Every experiment for a few iterations on the CPU: does its option file work, from the first iteration to the test?

The option files are run as they are, by the trainer that runs them in full. What makes a run short are --shorten, which
leaves a few iterations for each level, and the overrides that this script hands to --force_yml, the same rules for
every file:

    name                    short_<name>; weights of another run are taken from that run's short one
    data                    datasets/demo instead of every folder or LMDB; HR side 64, LR side 64 / scale
    batch, workers          4 and 0
    networks                the same types and the same number of levels, a few channels, one block
    log, checkpoints        validation and checkpoint at the end, no TensorBoard

What an experiment is about (model, supervision, condition, growth or none, R1, losses and their weights) stays.
Results are in ./experiments/short_* and ./results/short_*.
"""

import argparse
import shlex
from pathlib import Path
from typing import Any

import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs
from selfsr_plugin import test, train
from selfsr_plugin.errors import one_sentence_errors
from selfsr_plugin.option_check import shorten_options
from selfsr_plugin.options import apply_overrides, read_option_file
from selfsr_plugin.registration import ENTRIES

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / 'datasets/demo'
SIDE = 64  # of the demo's HR faces
SHORTEN = 40000
LEAST = 4  # iterations, of files that have fewer than the paper's


def experiment_files() -> list[Path]:
    """The option files of the paper's experiments, each after those whose weights it needs; not those of the methods
    that it compares with, which tests/baselines runs."""
    found = [
        path
        for path in sorted((ROOT / 'options').rglob('*.yml'))
        if 'examples' not in path.parts and 'demo' not in path.name and not is_baseline(path)
    ]
    names = {read_option_file(str(path))['name']: path for path in found if path.name.startswith('train')}
    ordered: list[Path] = []

    def add(path: Path) -> None:
        for key, value in (read_option_file(str(path)).get('path') or {}).items():
            before = names.get(Path(value).parts[1]) if key.startswith('pretrain_') and value else None
            if before is not None:
                add(before)
        if path not in ordered:
            ordered.append(path)

    for kind in ('train', 'test'):
        for path in found:
            if path.name.startswith(kind):
                add(path)
    return ordered


def is_baseline(path: Path) -> bool:
    """Whether an option file is of a method that the paper compares with."""
    model = ENTRIES['MODEL_REGISTRY'].get(read_option_file(str(path))['model_type'], '')
    return model.startswith('baselines.')


def short_overrides(opt: dict[str, Any]) -> list[str]:
    """What makes a run of this option file short: entries for --force_yml, by the rules above."""
    entries = [f'name=short_{opt["name"]}', 'num_gpu=0']
    for phase, data in opt['datasets'].items():
        # the demo has pairs of its test people alone
        kind = 'train' if phase == 'train' and data['type'] != 'PairedFaceDataset' else 'test'
        for key in ('dataroot_gt', 'dataroot_lq'):
            if key in data:
                of_hr = key == 'dataroot_gt' or data[key] == data.get('dataroot_gt')
                entries.append(f'datasets:{phase}:{key}={DEMO}/{kind}_{"hr" if of_hr else "wild_lr"}')
        sizes = dict(gt_size=SIDE, lq_size=SIDE // opt['scale'], batch_size_per_gpu=4, num_worker_per_gpu=0)
        entries += [f'datasets:{phase}:{key}={value}' for key, value in sizes.items() if key in data]
    for name, net in opt.items():
        if name.startswith('network_'):
            small = dict(num_feat=4, num_block=1, feat_base=64, feat_max=8, size=SIDE)
            small['widths'] = [8] * len(net.get('widths', []))
            entries += [f'{name}:{key}={value}' for key, value in small.items() if key in net]
    for key, value in (opt.get('path') or {}).items():
        if key.startswith('pretrain_'):
            entries.append(f'path:{key}={value.replace("experiments/", "experiments/short_", 1)}')
    if 'train' in opt:
        total = opt['train']['total_iter']
        entries += [f'val:val_freq={total}', f'logger:save_checkpoint_freq={total}', 'logger:use_tb_logger=false']
    return entries


def short_options(path: Path) -> dict[str, Any]:
    """The options of a short run, as it reads them."""
    opt = read_option_file(str(path))
    apply_overrides(opt, short_overrides(opt))
    if 'train' in opt:
        shorten_options(opt, divisor(opt))
    return opt


def divisor(opt: dict[str, Any]) -> int:
    """Of the numbers of iterations."""
    return min(SHORTEN, opt['train']['total_iter'] // LEAST)


def run_short(path: Path) -> None:
    """Train or test by an option file, in this process, in the current folder; SystemExit if it is refused."""
    opt = read_option_file(str(path))
    arguments = ['-opt', str(path), '--force_yml', *short_overrides(opt)]
    entry = train if path.name.startswith('train') else test
    if entry is train:
        arguments += ['--shorten', str(divisor(opt))]
    print(f'\npython -m {entry.__name__} {shlex.join(arguments)}\n', flush=True)
    entry.main(arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'files', nargs='*', type=Path, help='option files, those that train before those that test; all by default'
    )
    files = parser.parse_args().files or experiment_files()
    with one_sentence_errors(False):
        for path in files:
            run_short(path)


if __name__ == '__main__':
    main()
