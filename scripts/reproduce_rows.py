"""The rows of scripts/reproduce.py: option files in options/, made small by the same few rules for every row (ours).

    minutes    every number of iterations of the file is divided by one divisor, as --shorten does; the sizes, batch,
               optimizers, loss weights, R1 interval and decay of options/train_selfsr_demo.yml, as far as a row has
               them, and 8 channels at x8; CycleGAN keeps its own losses, as the demo has none for it
    hours      a batch of 8. Stage 1 with the networks of the file, stage 2 with one block and 64, 32, 16 channels; as
               many iterations each, of stage 2 the last 60 % at the full scale. Rates and weights are the file's, but
               for the flow field's stage 1: R1, the flow's variation and centre, chosen on training faces that were
               held back (docs/results.md)
    full       as minutes, with networks, batch and rates of the file, for a GPU

What a row is about (its degradation, parts and losses that are there or not) stays. Runs are not validated. Those are
the rows of Tables III and IV, SelFSR's; the methods of Tables I and II are in scripts/reproduce_baselines.py.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

from selfsr_plugin.option_check import shorten_options
from selfsr_plugin.options import read_option_file

from reproduce_baselines import BASELINES, STATED, TABLE1, Places, baseline_trainings

OPTIONS = Path(__file__).resolve().parents[1] / 'options'
TABLE3 = {
    'vanilla': 'table3/train_vanilla.yml',
    'cyc': 'table3/train_cyc.yml',
    'cyc_idt': 'table3/train_cyc_idt.yml',
    'ff': 'table3/train_ff.yml',
    'ff_idt': 'train_selfsr_real.yml',
}
TABLE4 = {
    f'{half}_{part}': f'table4/train_{half}_{part}.yml' if part != 'full' else f'table1/train_celeba_{half}.yml'
    for half in ('paired', 'unpaired')
    for part in ('no_scb', 'no_growth', 'no_r1', 'full')
}
ROWS = (*TABLE3, *TABLE4, *BASELINES)  # SelFSR's first: those of Tables I and II get as much time as they took
BUDGETS = ('minutes', 'hours', 'full')
WIDTH_X8 = 8  # channels of the small network at x8; the demo stops at x4
HOURS_WIDTHS = (64, 32, 16)  # of x2, x4, x8
HOURS_X2 = 0.4  # share of the iterations of stage 2 below the full scale


def trainings(row: str, seed: int, budget: str, amount: int, places: Places = STATED) -> list[dict[str, Any]]:
    """The options of each training of a row, in order; the last makes the network that is scored.

    Args:
        row: one of ROWS.
        seed: ``manual_seed``; also in the names of the runs.
        budget: one of BUDGETS.
        amount: of a row of Tables I and II the iterations in all; of the others as in :func:`run_options`.
        places: of data and weights; by default the names that stand for them in score files, since faces lie elsewhere
            on every machine.
    """
    if row not in BASELINES:
        return [run_options(row, seed, budget, amount, places.gt, places.lq)]
    method = run_options(method_of(row), seed, budget, 100 if budget == 'hours' else 1)
    batch = method['datasets']['train']['batch_size_per_gpu']
    return baseline_trainings(row, seed, budget, amount, batch, str(OPTIONS), places)


def method_of(row: str) -> str:
    """SelFSR's row in the table of a row of Tables I and II, which says what budget it gets."""
    return 'paired_full' if row in TABLE1 else 'ff_idt'


def least_iterations(row: str, budget: str, amount: int) -> int:
    """Iterations in all of :func:`method_of`, with ``amount`` as in :func:`run_options`."""
    return run_options(method_of(row), 0, budget, amount)['train']['total_iter']


def run_options(
    row: str, seed: int, budget: str, amount: int, gt: str = STATED.gt, lq: str = STATED.lq
) -> dict[str, Any]:
    """The options of a run of Tables III and IV under the rules above.

    Args:
        row: a key of TABLE3 or TABLE4.
        seed: ``manual_seed``; also the end of the run's name.
        budget: one of BUDGETS.
        amount: with 'hours' the iterations of each stage, otherwise the divisor of all numbers of iterations.
        gt, lq: folder or LMDB of HR faces; of real LR faces, which Table III uses.
    """
    opt = read_option_file(str(OPTIONS / {**TABLE3, **TABLE4}[row]))
    opt.update(name=f'{row}_seed{seed}', manual_seed=seed)
    opt['datasets'] = {'train': opt['datasets']['train']}
    data = opt['datasets']['train']
    data['dataroot_gt'] = gt
    if 'dataroot_lq' in data:
        data['dataroot_lq'] = lq if row in TABLE3 else gt
    if budget == 'hours':
        make_hours(opt, amount)
    else:
        shorten_options(opt, amount)
    if budget == 'minutes':
        make_small(opt, read_option_file(str(OPTIONS / 'train_selfsr_demo.yml')))
    del opt['val']
    total = opt['train']['total_iter']
    # with hours all checkpoints stay, ten of a stage, and are scored as the points of a curve
    parts, kept = (10 * total // amount, 0) if budget == 'hours' else (4, 1)
    opt['logger'] = dict(
        print_freq=-(-total // 20), save_checkpoint_freq=-(-total // parts), keep_checkpoints=kept, use_tb_logger=False
    )
    return opt


def make_hours(opt: dict[str, Any], iterations: int) -> None:
    """The budget of hours: sizes and numbers of iterations; see the head of this file."""
    levels = len(opt['network_g']['widths'])
    opt['network_g'].update(widths=list(HOURS_WIDTHS[:levels]), num_block=1)
    opt['network_d'].update(feat_base=512, feat_max=64)
    data = opt['datasets']['train']
    data.update(batch_size_per_gpu=8, num_worker_per_gpu=0)
    data.pop('pin_memory', None)
    stage1, stage2 = opt['train'].get('degradation'), opt['train'].get('sr', opt['train'])
    below = int(iterations * HOURS_X2)
    if stage2['grow_at']:
        stage2['grow_at'] = [below * (level + 1) // (levels - 1) for level in range(levels - 1)]
    stage2.update(total_iter=iterations, net_d_reg_every=8, ema_decay=0.995)
    if stage1:
        stage1['total_iter'] = iterations
        stage1['scheduler']['decay_from'] = iterations // 2
        opt['train']['total_iter'] = 2 * iterations
        if 'tv_opt' in stage1:
            opt['network_deg']['center_flow'] = True
            stage1['r1_reg_weight'] = 1
            stage1['tv_opt']['loss_weight'] = 3.0


def make_small(opt: dict[str, Any], demo: dict[str, Any]) -> None:
    """Take sizes and rates from the demo's options."""
    sources = {**demo, 'network_clean': demo['network_deg'], 'network_d_clean': demo['network_d_lq']}
    for label, net in opt.items():
        if label.startswith('network_'):
            sizes = ('num_feat', 'num_block', 'feat_base', 'feat_max', 'center_flow')
            net.update({key: sources[label][key] for key in sizes if key in net})
            if 'widths' in net:
                net['widths'] = [*sources[label]['widths'], WIDTH_X8][: len(net['widths'])]
    opt['datasets']['train'].update(
        {key: demo['datasets']['train'][key] for key in ('batch_size_per_gpu', 'num_worker_per_gpu')}
    )
    stage1, stage2 = opt['train'].get('degradation'), opt['train'].get('sr', opt['train'])
    rates, losses = demo['train']['degradation'], ('identity_opt', 'r1_reg_weight')
    for key in stage1 or {}:
        if key.startswith('optim_'):
            stage1[key] = deepcopy(rates[key.replace('clean', 'lq' if '_d_' in key else 'deg')])
        elif key in losses and 'tv_opt' in stage1 and stage1[key] is not None:  # the flow field's
            stage1[key] = deepcopy(rates[key])
    rates = demo['train']['sr']
    copied = ('optim_g', 'optim_d', 'pixel_opt', 'gan_opt', 'net_d_reg_every')
    stage2.update({key: deepcopy(rates[key]) for key in copied})
    share = rates['scheduler']['decay_from'] / rates['total_iter']
    stage2['scheduler'] = dict(rates['scheduler'], decay_from=int(stage2['total_iter'] * share))
