"""The package of docs/extending.md, in a process that has it for a user.

It is trained, resumed, tested, refused, and in BasicSR's loop.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from common_kit import assert_identical, write_faces

ROOT = Path(__file__).resolve().parents[1]

# Several runs in one process, which has imported everything once.
RUNS = """
import logging
import sys
import yaml
import my_package
from basicsr.train import train_pipeline
from basicsr.utils.logger import initialized_logger
from selfsr_plugin import test
from selfsr_plugin.train import main

def run(train, name, total_iter, *more, **changes):
    with open('options.yml') as file:
        opt = yaml.safe_load(file)
    opt['name'] = name
    if 'train' in opt:
        opt['train'].update(total_iter=total_iter, **changes)
    with open(f'{name}.yml', 'w') as file:
        yaml.safe_dump(opt, file)
    sys.argv[1:] = ['-opt', f'{name}.yml', *more]
    print(f'--- {name}', flush=True)
    try:
        train()
    except SystemExit as end:
        print('status', end.code)
    initialized_logger.clear()  # BasicSR has one for a process
    logging.getLogger('basicsr').handlers.clear()

sys.argv[1:] = open('documented.txt').read().split()
print('--- documented', flush=True)
main()
initialized_logger.clear()
logging.getLogger('basicsr').handlers.clear()
run(main, 'whole', 4)
run(main, 'stopped', 2)
run(main, 'stopped', 4, '--auto_resume')
run(main, 'mistyped', 4, mean_wieght=2.0)
run(lambda: train_pipeline('.'), 'basicsr', 1)
with open('options.yml') as file:
    opt = yaml.safe_load(file)
opt['datasets'] = dict(test=dict(name='faces', type='PairedFaceDataset', dataroot_gt='faces'))
opt.update(path=dict(pretrain_network_g='experiments/whole/models/net_g_latest.pth'), val=dict(save_img=True))
for section in ('train', 'logger', 'network_d'):
    del opt[section]
with open('options.yml', 'w') as file:
    yaml.safe_dump(opt, file)
run(test.main, 'tested', None)
"""


def options() -> dict:
    opt = yaml.safe_load((ROOT / 'options/train_selfsr_demo.yml').read_text())
    opt.update(model_type='MyModel', num_gpu=0)
    opt['datasets'] = dict(
        train=dict(
            name='faces',
            type='HRFaceDataset',
            dataroot_gt='faces',
            gt_size=64,
            batch_size_per_gpu=2,
            num_worker_per_gpu=0,
        )
    )
    opt['train'] = {**opt['train']['sr'], 'supervision': 'paired', 'lq_from_gt': True, 'grow_at': [], 'scheduler': None}
    del opt['network_deg'], opt['network_d_lq'], opt['val'], opt['train']['lq_noise']
    opt['network_g'].update(widths=[8, 8], num_block=1)
    opt['network_d'].update(feat_base=64, feat_max=8)
    opt['logger'].update(print_freq=1, save_checkpoint_freq=2, use_tb_logger=False)
    return opt


@pytest.fixture(scope='module')
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder of the runs, and what each of them printed."""
    folder = tmp_path_factory.mktemp('user')
    page = (ROOT / 'docs/extending.md').read_text('utf-8')
    package, entry = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
    (folder / 'my_package').mkdir()
    (folder / 'my_package/__init__.py').write_text(package)
    compile(entry, 'train.py', 'exec')
    (command,) = re.findall(r'```\npython train.py (.*?)```', page.replace('\\\n', ' '), re.DOTALL)
    (folder / 'documented.txt').write_text(f'{command} num_gpu=0 --shorten 100')
    for name in ('options', 'datasets'):
        (folder / name).symlink_to(ROOT / name)
    assert 'import my_package' in entry and 'from selfsr_plugin.train import main' in entry  # as RUNS does
    write_faces(folder / 'faces', 5, 64, 0)
    (folder / 'options.yml').write_text(yaml.safe_dump(options()))
    (folder / 'runs.py').write_text(RUNS)
    done = subprocess.run(
        [sys.executable, 'runs.py'],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, 'PYTHONPATH': f'{folder}:{ROOT}', 'SELFSR_AUTOLOAD': '0'},
    )
    assert done.returncode == 0, done.stdout
    outputs: dict[str, str] = {}
    for part in done.stdout.split('--- ')[1:]:
        name, _, text = part.partition('\n')
        outputs[name] = outputs.get(name, '') + text
    return folder, outputs


def test_the_term_is_computed_and_logged(ran):
    assert re.search(r'l_g_mean: \d', ran[1]['whole']), ran[1]['whole']


def test_the_command_on_the_page_trains(ran):
    assert 'l_g_mean: ' in ran[1]['documented'] and 'mean_weight: 0.5' in ran[1]['documented'], ran[1]['documented']
    assert (ran[0] / 'experiments/my_model/models/net_g_latest.pth').exists()


def test_a_resumed_run_ends_with_the_same_bits(ran):
    assert 'Resumed after iteration 2' in ran[1]['stopped'], ran[1]['stopped']
    whole, stopped = (
        torch.load(ran[0] / f'experiments/{name}/models/net_g_4.pth', weights_only=True)
        for name in ('whole', 'stopped')
    )
    assert_identical(whole, stopped)


def test_testing_restores(ran):
    assert len(list((ran[0] / 'results/tested').rglob('*.png'))) == 5, ran[1]['tested']


def test_options_are_checked(ran):
    assert "train.mean_wieght: unknown key; did you mean 'mean_weight'?" in ran[1]['mistyped']
    assert 'status 1' in ran[1]['mistyped'] and not (ran[0] / 'experiments/mistyped').exists()


def test_basicsr_own_loop_is_warned_of_once(ran):
    assert (ran[0] / 'experiments/basicsr/models/net_g_latest.pth').exists(), ran[1]['basicsr']
    assert ran[1]['basicsr'].count('MyModel is not trained by the loop of selfsr_plugin') == 1
    assert 'not trained by' not in ran[1]['whole'] + ran[1]['stopped']
