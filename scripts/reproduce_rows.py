"""The rows of scripts/reproduce.py: option files in options/, made small by the same few rules for every row (ours).

    iterations    every number of iterations of the file is divided by one divisor, as --shorten does
    networks      full: those of the file, for a GPU. small, without one: the sizes, batch, optimizers, loss weights, R1
                  interval and decay of options/train_selfsr_demo.yml, as far as a row has them, and 8 channels at x8;
                  CycleGAN keeps its own losses, as the demo has none for it

What a row is about (its degradation, parts and losses that are there or not) stays. Runs are not validated.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

from selfsr_plugin.option_check import shorten_options
from selfsr_plugin.options import read_option_file

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
ROWS = {**TABLE3, **TABLE4}
WIDTH_X8 = 8  # channels of the small network at x8; the demo stops at x4


def run_options(row: str, seed: int, small: bool, divisor: int, gt: str, lq: str) -> dict[str, Any]:
    """The options of a run under the rules above.

    Args:
        row: a key of ROWS.
        seed: ``manual_seed``; also the end of the run's name.
        small: small networks instead of the file's.
        divisor: of all numbers of iterations.
        gt, lq: folder or LMDB of HR faces; of real LR faces, which Table III uses.
    """
    opt = read_option_file(str(OPTIONS / ROWS[row]))
    opt.update(name=f'{row}_seed{seed}', manual_seed=seed)
    opt['datasets'] = {'train': opt['datasets']['train']}
    data = opt['datasets']['train']
    data['dataroot_gt'] = gt
    if 'dataroot_lq' in data:
        data['dataroot_lq'] = lq if row in TABLE3 else gt
    shorten_options(opt, divisor)
    if small:
        make_small(opt, read_option_file(str(OPTIONS / 'train_selfsr_demo.yml')))
    del opt['val']
    total = opt['train']['total_iter']
    opt['logger'] = dict(
        print_freq=-(-total // 20), save_checkpoint_freq=-(-total // 4), keep_checkpoints=1, use_tb_logger=False
    )
    return opt


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
