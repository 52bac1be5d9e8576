"""Rows of the paper's tables differ in what they are about, and in nothing else."""

import json
from types import SimpleNamespace

import pytest
import torch
from reproduce_kit import ROOT, reproduce_baselines, reproduce_rows, reproduce_training, score_files

from selfsr_plugin.options import read_option_file


def options(row, budget='minutes', amount=600):
    return reproduce_rows.run_options(row, 3, budget, amount, 'hr', 'lr')


def flat(node, key=''):
    if isinstance(node, dict):
        return {name: value for part, below in node.items() for name, value in flat(below, f'{key}{part}.').items()}
    return {key[:-1]: node}


def differences(a, b):
    a, b = flat(options(*a)), flat(options(*b))
    return {key for key in a.keys() | b.keys() if a.get(key, 'none') != b.get(key, 'none')} - {'name'}


@pytest.mark.parametrize('budget', reproduce_rows.BUDGETS)
@pytest.mark.parametrize('half', ['paired', 'unpaired'])
@pytest.mark.parametrize(
    'part, key', [('no_scb', 'network_g.condition'), ('no_growth', 'train.grow_at'), ('no_r1', 'train.r1_reg_weight')]
)
def test_rows_of_table_4_differ_from_the_full_method_in_their_part_alone(budget, half, part, key):
    assert differences((f'{half}_{part}', budget), (f'{half}_full', budget)) == {key}


@pytest.mark.parametrize('budget', reproduce_rows.BUDGETS)
def test_rows_of_table_3_share_stage_2(budget):
    rows = {row: options(row, budget) for row in reproduce_rows.TABLE3}
    same = dict(supervision='any', lq_from_gt='any')
    stage2 = [{**opt['train'].get('sr', opt['train']), **same} for opt in rows.values()]
    assert all(other == stage2[0] for other in stage2)
    assert len({json.dumps([opt['network_g'], opt['network_d']]) for opt in rows.values()}) == 1
    for row in ('ff', 'cyc'):
        found = differences((row, budget), (f'{row}_idt', budget))
        found -= {'train.degradation.nonfinite', 'train.sr.nonfinite', 'train.sr.lq_noise'}
        assert found and all(key.startswith('train.degradation.identity_opt') for key in found)
        assert rows[row]['train']['degradation']['identity_opt'] is None


def flat_networks(opt):
    return {key: value for key, value in flat(opt).items() if key.startswith('network_')}


@pytest.mark.parametrize('row', reproduce_baselines.BASELINES)
def test_rows_of_tables_1_and_2_get_the_iterations_and_the_batch_of_the_method(row):
    files = reproduce_baselines.BASELINES[row].files
    for budget, amount in (('minutes', 600), ('hours', 5000), ('full', 20)):
        method = options(reproduce_rows.method_of(row), budget, amount)
        iterations = reproduce_rows.least_iterations(row, budget, amount)
        assert iterations == method['train']['total_iter']
        found = reproduce_rows.trainings(row, 3, budget, iterations)
        assert sum(opt['train']['total_iter'] for opt in found) == iterations and len(found) == len(files)
        batches = {opt['datasets']['train']['batch_size_per_gpu'] for opt in (*found, method)}
        assert len(batches) == 1
        for opt, file in zip(found, files):
            theirs = flat_networks(read_option_file(str(ROOT / 'options' / file)))
            assert (flat_networks(opt) == theirs) == (budget == 'full')
        started = [value for opt in found[1:] for key, value in opt['path'].items() if key.startswith('pretrain_')]
        assert [value.split('/')[1] for value in started] == [opt['name'] for opt in found[:-1]]


def test_no_row_of_tables_1_and_2_has_a_smaller_network_than_the_method():
    def multiply_adds(opt):
        return score_files.cost_of(dict(options=opt))[1]

    for row in reproduce_baselines.BASELINES:
        if row.endswith('_no_vgg') or row in ('fsrgan', 'dicgan'):
            continue  # networks of others
        ours = multiply_adds(options(reproduce_rows.method_of(row), 'hours', 5000))
        theirs = multiply_adds(reproduce_rows.trainings(row, 3, 'hours', 5000)[-1])
        assert 1 <= theirs / ours <= 1.3, row


@pytest.mark.parametrize('row', ['vanilla', 'ff_idt', 'cyc', 'bulat', 'dicgan'])
def test_a_gpu_changes_how_a_row_is_computed_and_nothing_else(row, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written = []
    monkeypatch.setattr(reproduce_training.train, 'main', lambda argv: written.append(read_option_file(argv[1])))
    for gpu in (False, True):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda gpu=gpu: gpu)
        assert reproduce_training.train_all(reproduce_rows.trainings(row, 0, 'hours', 100))
    half = len(written) // 2
    data = ('datasets.train.num_worker_per_gpu', 'datasets.train.pin_memory')
    for cpu, gpu in zip(written[:half], written[half:], strict=True):
        changed = {key for key, value in flat(gpu).items() if value != flat(cpu).get(key)} - set(data)
        stages = [each for each in ('degradation', 'sr') if each in cpu['train']]
        sections = [f'train.{each}' for each in stages] or ['train']
        assert changed == {f'{each}.{key}' for each in sections for key in ('channels_last', 'cuda_graphs')}


def test_what_a_row_of_hours_is():
    opt = options('ff_idt', 'hours', 5000)
    stage1, stage2 = opt['train']['degradation'], opt['train']['sr']
    assert (opt['network_g']['widths'], opt['network_g']['num_block']) == ([64, 32], 1)
    assert (stage2['net_d_reg_every'], stage2['ema_decay'], stage2['grow_at']) == (8, 0.995, [2000])
    assert (stage1['total_iter'], stage2['total_iter'], opt['train']['total_iter']) == (5000, 5000, 10000)
    assert (stage1['scheduler']['decay_from'], stage1['r1_reg_weight'], stage1['tv_opt']['loss_weight']) == (2500, 1, 3)
    assert opt['network_deg']['center_flow'] and opt['datasets']['train']['batch_size_per_gpu'] == 8
    assert (opt['logger']['save_checkpoint_freq'], opt['logger']['keep_checkpoints']) == (500, 0)  # points of a curve
    x8 = options('paired_full', 'hours', 5000)
    assert x8['network_g']['widths'] == [64, 32, 16] and x8['train']['grow_at'] == [1000, 2000]


def test_iterations_are_the_papers_divided():
    full = options('unpaired_full', 'full', 400)
    assert (full['train']['total_iter'], full['train']['grow_at']) == (700, [100, 300])
    method = options('ff_idt', 'full', 1000)['train']
    assert (method['total_iter'], method['degradation']['total_iter'], method['sr']['total_iter']) == (340, 180, 160)
    assert method['degradation']['scheduler']['decay_from'] == 90 and method['sr']['grow_at'] == [60]
    assert 'scheduler' not in method['sr']  # the full networks keep the constant rate of the paper
    assert options('ff_idt', 'full')['network_g']['widths'] == [384, 192]
    assert options('paired_full')['network_g']['widths'] == [64, 16, 8]


@pytest.mark.parametrize('row', ['srgan', 'fsrgan'])
def test_rows_without_vgg_compare_pixels(row):
    plain, without = (reproduce_rows.trainings(each, 0, 'hours', 100)[-1]['train'] for each in (row, f'{row}_no_vgg'))
    assert plain['perceptual_opt'] and without['perceptual_opt'] is None
    assert without['pixel_opt'] == (plain['pixel_opt'] or dict(type='MSELoss', loss_weight=1.0, reduction='mean'))


@pytest.mark.parametrize('minutes, wanted', [(0, 200), (1, 200), (10, 1200)])
def test_rows_of_tables_1_and_2_get_the_time_of_the_method_or_its_iterations(monkeypatch, minutes, wanted):
    monkeypatch.setattr(reproduce_training, 'trial_seconds', lambda *_: 0.5)
    args = SimpleNamespace(budget='hours', iterations=100, least_minutes=minutes)
    assert reproduce_training.baseline_amount('bulat', 0, None, args) == (wanted, dict(iterations=200, minutes=minutes))
    before = dict(amount=7, least=dict(iterations=200, minutes=3))  # what a run began with stays
    assert reproduce_training.baseline_amount('bulat', 0, before, args) == (7, before['least'])
