"""The option files of the paper's tables: each differs from its base in what it is about, and each runs.

The runs are those of scripts/short_runs.py, all in this process, in one folder.
"""

import importlib.util
import logging
import os
import re
import shlex
from pathlib import Path

import cv2
import pytest
import torch
from basicsr.archs import build_network
from basicsr.utils.logger import initialized_logger

from selfsr_plugin.archs import CycleGANGenerator, FlowDegradationNet, SelfCondSRNet
from selfsr_plugin import load
from selfsr_plugin.errors import UserError
from selfsr_plugin.metrics.requirements import WEIGHTS
from selfsr_plugin.option_check import check_options
from selfsr_plugin.options import apply_overrides, parse_arguments, read_option_file

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = ROOT / 'options'


def _load_script():
    spec = importlib.util.spec_from_file_location('short_runs', ROOT / 'scripts/short_runs.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


short_runs = _load_script()
FILES = {str(path.relative_to(OPTIONS)): path for path in short_runs.experiment_files()}
TRAIN = [name for name in FILES if Path(name).name.startswith('train')]
TEST = [name for name in FILES if Path(name).name.startswith('test')]


def test_a_file_that_is_not_there_is_said_in_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['short_runs.py', 'none.yml'])
    with pytest.raises(SystemExit):
        short_runs.main()
    assert capsys.readouterr().err.startswith('error: the option file none.yml cannot be read')


# ----- what the files say -----

DATA = 'datasets.train.'
# File: (the file it is held against, every key in which the two differ but for the name)
DIFFERENCES = {
    'table4/train_paired_no_scb.yml': ('table1/train_celeba_paired.yml', {'network_g.condition'}),
    'table4/train_paired_no_growth.yml': ('table1/train_celeba_paired.yml', {'train.grow_at'}),
    'table4/train_paired_no_r1.yml': ('table1/train_celeba_paired.yml', {'train.r1_reg_weight'}),
    'table4/train_unpaired_no_scb.yml': ('table1/train_celeba_unpaired.yml', {'network_g.condition'}),
    'table4/train_unpaired_no_growth.yml': ('table1/train_celeba_unpaired.yml', {'train.grow_at'}),
    'table4/train_unpaired_no_r1.yml': ('table1/train_celeba_unpaired.yml', {'train.r1_reg_weight'}),
    'table1/train_celeba_unpaired.yml': (
        'table1/train_celeba_paired.yml',
        {
            DATA + 'type',
            DATA + 'dataroot_lq',
            DATA + 'lq_size',
            'train.supervision',
            'train.lq_from_gt',
            'train.total_iter',
            'train.grow_at',
        },
    ),
    'table1/train_helen_paired.yml': (
        'table1/train_celeba_paired.yml',
        {DATA + 'name', DATA + 'dataroot_gt', 'datasets.val.name', 'datasets.val.dataroot_gt'},
    ),
    'table1/train_helen_unpaired.yml': (
        'table1/train_celeba_unpaired.yml',
        {DATA + 'name', DATA + 'dataroot_gt', DATA + 'dataroot_lq', 'datasets.val.name', 'datasets.val.dataroot_gt'},
    ),
    'table1/test_celeba_unpaired.yml': ('table1/test_celeba_paired.yml', {'path.pretrain_network_g'}),
    'table1/test_helen_paired.yml': (
        'table1/test_celeba_paired.yml',
        {'path.pretrain_network_g', 'datasets.test.name', 'datasets.test.dataroot_gt'},
    ),
    'table1/test_helen_unpaired.yml': ('table1/test_helen_paired.yml', {'path.pretrain_network_g'}),
    'table3/train_ff.yml': ('train_selfsr_real.yml', {'train.degradation.identity_opt'}),
    'table3/train_cyc.yml': ('table3/train_cyc_idt.yml', {'train.degradation.identity_opt'}),
    'table3/train_cyc_idt.yml': (
        'train_selfsr_real.yml',
        {
            'network_deg.type',
            'network_deg.max_flow',
            'network_deg.center_flow',
            'network_clean',
            'network_d_clean',
            'train.degradation.model_type',
            'train.degradation.optim_clean',
            'train.degradation.optim_d_clean',
            'train.degradation.gan_opt.gan_type',
            'train.degradation.cycle_opt',
            'train.degradation.pool_size',
            'train.degradation.identity_opt.loss_weight',
            'train.degradation.r1_reg_weight',
            'train.degradation.tv_opt',
        },
    ),
    'table3/train_vanilla.yml': (
        'train_selfsr_real_sr.yml',
        {'network_deg', 'path.pretrain_network_deg', 'train.supervision', 'train.lq_from_gt'},
    ),
}


def differences(a, b, key=''):
    """The keys in which two options differ; a section that only one of them has counts as one key."""
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return set() if a == b and type(a) is type(b) else {key}
    found = set()
    for name in a.keys() | b.keys():
        below = f'{key}.{name}' if key else name
        found |= differences(a[name], b[name], below) if name in a and name in b else {below}
    return found


@pytest.mark.parametrize('name', DIFFERENCES)
def test_a_file_differs_from_its_base_in_what_it_is_about_and_nothing_else(name):
    base, expected = DIFFERENCES[name]
    assert differences(read_option_file(str(FILES[name])), read_option_file(str(FILES[base]))) == expected | {'name'}


@pytest.mark.parametrize('name', DIFFERENCES)
def test_a_short_run_keeps_what_its_file_is_about(name):
    # Data roots become one and the same; everything else that distinguishes two files distinguishes their short runs.
    base, expected = DIFFERENCES[name]
    lost = {key for key in expected if key.endswith('dataroot_gt')}
    lost |= {'datasets.train.dataroot_lq'} if 'helen' in name else set()
    lost |= {'val.val_freq', 'logger.save_checkpoint_freq'}  # at the end of each
    found = differences(short_runs.short_options(FILES[name]), short_runs.short_options(FILES[base])) - lost
    assert found == (expected - lost) | {'name'}


@pytest.mark.parametrize('name', FILES)
def test_files_are_accepted_as_they_are(name):
    opt = read_option_file(str(FILES[name]))
    for key in list(opt['path']):
        if key.startswith('pretrain_'):
            opt['path'][key] = __file__  # weights of an earlier run are taken to exist
    check_options(opt, is_train=name in TRAIN)


@pytest.mark.parametrize('name', [name for name in FILES if name.startswith('table1')])
def test_network_of_table_1_has_its_17_89_million_parameters(name):
    with torch.device('meta'):
        net = build_network(read_option_file(str(FILES[name]))['network_g'])
    assert round(sum(parameter.numel() for parameter in net.parameters()) / 1e6, 2) == 17.89


def test_every_table_file_is_held_against_a_base():
    bases = {base for base, _ in DIFFERENCES.values()}
    assert {name for name in FILES if name.startswith('table')} <= set(DIFFERENCES) | bases


def test_names_of_runs_are_unique_and_tell_the_file():
    names = {name: read_option_file(str(path))['name'] for name, path in FILES.items()}
    assert len(set(names.values())) == len(names)
    for file, name in names.items():
        if file.startswith('table'):
            kind, _, rest = Path(file).stem.partition('_')
            assert name == f'{"test_" if kind == "test" else ""}{Path(file).parent}_{rest}'


@pytest.mark.parametrize(
    'name, total, grow_at',
    [
        ('table1/train_celeba_paired.yml', 160_000, [20_000, 80_000]),
        ('table1/train_celeba_unpaired.yml', 280_000, [40_000, 120_000]),
    ],
)
def test_schedules_are_those_of_section_4(name, total, grow_at):
    opt = read_option_file(str(FILES[name]))
    assert (opt['train']['total_iter'], opt['train']['grow_at']) == (total, grow_at)
    assert opt['datasets']['train']['batch_size_per_gpu'] == 48 and opt['scale'] == 8
    assert opt['train']['optim_g']['lr'] == opt['train']['optim_d']['lr'] == 0.003


PAGE = (ROOT / 'docs/experiments.md').read_text(encoding='utf-8')


def test_the_page_names_every_file():
    named = set(re.findall(r'options/(\S+\.yml)', PAGE))
    assert named == {
        name for name in FILES if name not in ('train_selfsr_real_degradation.yml', 'train_selfsr_real_sr.yml')
    }


@pytest.mark.parametrize('command', re.findall(r'^python -m basicsr\.test (.*)$', PAGE, re.MULTILINE))
def test_commands_of_the_page_test_the_network_of_a_training_file(command):
    arguments = parse_arguments(shlex.split(command))
    opt = read_option_file(str(ROOT / arguments.opt))
    apply_overrides(opt, arguments.force_yml)
    trained = {read_option_file(str(FILES[name]))['name']: name for name in TRAIN}
    (run,) = re.fullmatch(r'experiments/(\w+)/models/net_g_latest\.pth', opt['path']['pretrain_network_g']).groups()
    assert opt['name'] == f'test_{run.removeprefix("train_")}'
    assert opt['network_g'] == read_option_file(str(FILES[trained[run]]))['network_g']
    opt['path']['pretrain_network_g'] = __file__
    for metric in (opt['val'].get('metrics') or {}).values():
        if metric['type'] in WEIGHTS:
            metric['weights'] = __file__
    check_options(opt, is_train=False)


def test_every_training_of_the_tables_has_its_test():
    tested = set(re.findall(r'experiments/(table\w+)/', PAGE))
    tested |= {read_option_file(str(FILES[name]))['name'].removeprefix('test_') for name in TEST}
    assert {read_option_file(str(FILES[name]))['name'] for name in TRAIN if name.startswith('table')} <= tested


@pytest.mark.parametrize(
    'override, message',
    [
        ('train:degradation:model_type=Flow', r"train\.degradation\.model_type: 'Flow' must be one of"),
        ('train:degradation:model_type=[1]', r'train\.degradation\.model_type: \[1\] must be one of'),
        ('train:degradation:model_type=FlowDegradationModel', r'network_(d_)?clean: unknown key'),
        ('train:degradation:pool_size=-1', r'train\.degradation\.pool_size: -1 must be a whole number of images'),
        ('train:degradation:tv_opt={}', r'train\.degradation\.tv_opt: unknown key'),
        ('train:degradation:cycle_opt=~', r'train\.degradation\.cycle_opt: this key is missing'),
        ('train:degradation:optim_clean=~', r'train\.degradation\.optim_clean: this key is missing'),
        ('network_clean=~', r'network_clean'),
        ('network_clean:num_blocks=2', r"network_clean\.num_blocks: unknown key; did you mean 'num_block'"),
        ('datasets:train:dataroot_lq=~', r'datasets\.train\.dataroot_lq: missing; stage 1'),
    ],
)
def test_wrong_settings_of_cyclegan_are_refused(override, message):
    opt = read_option_file(str(FILES['table3/train_cyc_idt.yml']))
    apply_overrides(opt, [override])
    with pytest.raises(UserError, match=message):
        check_options(opt, is_train=True)


def test_a_forgotten_identity_loss_does_not_pass_for_none():
    for name in ('train_selfsr_real.yml', 'table3/train_cyc_idt.yml'):
        opt = read_option_file(str(FILES[name]))
        del opt['train']['degradation']['identity_opt']
        with pytest.raises(UserError, match='identity_opt: this key is missing; write identity_opt: ~'):
            check_options(opt, is_train=True)


# ----- what they do -----


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Every experiment run short, training before tests, in one folder, which is returned."""
    folder, before = tmp_path_factory.mktemp('short_runs'), os.getcwd()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    os.chdir(folder)
    try:
        for path in FILES.values():
            short_runs.run_short(path)
    finally:
        os.chdir(before)
        torch.set_num_threads(threads)
        # BasicSR keeps one logger for the process: the next test, as the next process, starts without
        initialized_logger.clear()
        logging.getLogger('basicsr').handlers.clear()
    return folder


def log_lines(run: Path):
    """The lines of a run's log that report an iteration, and the whole log."""
    text = ''.join(path.read_text() for path in sorted(run.glob('*.log')))
    return re.findall(r'\[epoch:.*', text), text


@pytest.mark.parametrize('name', TRAIN)
def test_training_does_what_the_file_says(runs, name):
    opt = short_runs.short_options(FILES[name])
    run = runs / 'experiments' / opt['name']
    lines, text = log_lines(run)
    assert re.search(r'shortened:\[\s+by: \d+\s+train\.\S+: \S+', text)  # said in the log
    assert len(lines) == opt['train']['total_iter']
    values = [float(value) for line in lines for value in re.findall(r' l_\w+: (\S+)', line)]
    assert len(values) >= 3 * len(lines) and all(abs(value) < 1e4 for value in values)  # nan is not below

    stage2 = opt['train'].get('sr', opt['train'])
    first = len(lines) - (stage2['total_iter'] if 'supervision' in stage2 else 0)
    for line in lines[:first]:
        settings = opt['train'].get('degradation', opt['train'])
        assert ('l_deg_tv:' in line) == ('tv_opt' in settings)
        assert ('l_cyc_lq:' in line) == ('cycle_opt' in settings)
        assert ('l_deg_idt:' in line or 'l_idt_lq:' in line) == (settings['identity_opt'] is not None)
    levels = []
    for number, line in enumerate(lines[first:], start=1):
        assert ('l_g_cyc:' in line) == (stage2['supervision'] == 'unpaired') != ('l_g_rec:' in line)
        due = number % stage2['net_d_reg_every'] == 0
        assert ('l_d_r1:' in line) == (due and stage2['r1_reg_weight'] > 0)
        levels.append(float(re.search(r' level: (\S+)', line)[1]))
    if 'supervision' in stage2:
        top = opt['scale'].bit_length() - 1
        grown = [1 + sum(i > step for step in stage2['grow_at']) for i in range(1, len(levels) + 1)]
        assert levels == (grown if stage2['grow_at'] else [top] * len(levels)) and levels[-1] == top
        found = load(run / 'models/net_g_latest.pth', expected=SelfCondSRNet).arguments
        assert found['condition'] == opt['network_g']['condition'] and len(found['widths']) == top


@pytest.mark.parametrize(
    'name, cls',
    [
        ('table3/train_cyc.yml', CycleGANGenerator),
        ('table3/train_cyc_idt.yml', CycleGANGenerator),
        ('table3/train_ff.yml', FlowDegradationNet),
        ('train_selfsr_real.yml', FlowDegradationNet),
    ],
)
def test_stage_1_leaves_its_degradation_network(runs, name, cls):
    run = runs / 'experiments' / short_runs.short_options(FILES[name])['name']
    last = short_runs.short_options(FILES[name])['train']['degradation']['total_iter']
    load(run / f'models/net_deg_{last}.pth', expected=cls)


@pytest.mark.parametrize('name', TEST)
def test_testing_restores_every_face(runs, name):
    opt = short_runs.short_options(FILES[name])
    folder = runs / 'results' / opt['name']
    images = list((folder / 'visualization' / opt['datasets']['test']['name']).iterdir())
    assert len(images) == len(list((ROOT / 'datasets/demo/test_hr').iterdir()))
    assert {cv2.imread(str(path)).shape for path in images} == {(64, 64, 3)}
    if 'metrics' in opt['val']:
        # Training validated the same network on the same faces at its end.
        _, tested = log_lines(folder)
        _, trained = log_lines(runs / 'experiments' / opt['name'].replace('short_test_', 'short_'))
        for metric in ('psnr', 'ssim'):
            found = [re.findall(rf'# {metric}: (\S+)', text) for text in (tested, trained)]
            assert len(found[0]) == 1 and found[0] == found[1][-1:], metric
