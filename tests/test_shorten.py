"""--shorten: one way to make a run small."""

import copy
from pathlib import Path

import pytest

from selfsr_plugin.errors import UserError
from selfsr_plugin.option_check import check_options, shorten_options
from selfsr_plugin.options import apply_overrides, parse_arguments, read_option_file

OPTIONS = Path(__file__).resolve().parents[1] / 'options'


def options(*overrides, file='train_selfsr_real.yml'):
    opt = read_option_file(str(OPTIONS / file))
    apply_overrides(opt, overrides)
    return opt


def test_everything_is_divided_together():
    opt = options(
        'train:sr:fade_iter=4000',
        'train:degradation:warmup_iter=1000',
        'train:sr:net_d_init_iters=500',
        'train:sr:scheduler={type: MultiStepLR, milestones: [80000, 120000], gamma: 0.5}',
    )
    before = copy.deepcopy(opt)
    changed = shorten_options(opt, 100)
    stage1, stage2 = opt['train']['degradation'], opt['train']['sr']
    assert (opt['train']['total_iter'], stage1['total_iter'], stage2['total_iter']) == (3400, 1800, 1600)
    assert (stage1['scheduler']['decay_from'], stage1['warmup_iter']) == (900, 10)
    assert (stage2['grow_at'], stage2['fade_iter'], stage2['net_d_init_iters']) == ([600], 40, 5)
    assert stage2['scheduler'] == {'type': 'MultiStepLR', 'milestones': [800, 1200], 'gamma': 0.5}
    assert (opt['val']['val_freq'], opt['logger']['save_checkpoint_freq'], opt['logger']['collapse_iter']) == (
        100,
        100,
        50,
    )
    assert opt['logger']['print_freq'] == 34  # a hundred lines
    assert changed['train.total_iter'] == '340000 -> 3400' and changed['train.sr.grow_at'] == '[60000] -> [600]'
    assert changed['train.degradation.scheduler.decay_from'] == '90000 -> 900'
    for key in ('net_d_reg_every', 'r1_reg_weight', 'optim_g'):  # no numbers of iterations
        assert stage2[key] == before['train']['sr'][key]
    check_options(opt, is_train=True)


def test_two_stages_are_the_sum_of_what_is_left_of_each():
    opt = options()
    shorten_options(opt, 70000)
    assert [opt['train'][stage]['total_iter'] for stage in ('degradation', 'sr')] == [2, 2] and opt['train'][
        'total_iter'
    ] == 4


def test_nothing_is_switched_off():
    opt = options('train:degradation:warmup_iter=1000', 'train:sr:fade_iter=0', 'train:sr:net_d_init_iters=500')
    changed = shorten_options(opt, 20000)  # the README's, for a CPU
    assert opt['logger']['collapse_iter'] == 1 and changed['logger.collapse_iter'] == '5000 -> 1'
    assert opt['train']['degradation']['warmup_iter'] == opt['train']['sr']['net_d_init_iters'] == 1
    assert opt['train']['sr']['fade_iter'] == 0  # it was off
    opt = options('train:sr:warmup_iter=-1')
    shorten_options(opt, 20000)
    assert opt['train']['sr']['warmup_iter'] == -1  # so was that
    check_options(opt, is_train=True)


def test_a_run_that_would_lose_a_level_is_refused_with_what_to_do():
    for divisor, works in ((80000, False), (40000, True)):
        opt = options(file='table1/train_celeba_paired.yml')
        if works:
            shorten_options(opt, divisor)
            check_options(opt, is_train=True)
        else:
            with pytest.raises(
                UserError, match=r'--shorten 80000 leaves too few iterations, give a smaller number: train\.'
            ):
                shorten_options(opt, divisor)


def test_the_sum_of_the_periods_still_lasts():
    opt = options(
        'train:scheduler={type: CosineAnnealingRestartLR, periods: [60001, 60001, 60001], restart_weights: [1, 1, 1]}',
        file='train_selfsr_real_degradation.yml',
    )
    shorten_options(opt, 7)
    check_options(opt, is_train=True)


@pytest.mark.parametrize('text', ['0', '-3', 'ten', '1.5', '1e3'])
def test_the_command_line_takes_whole_numbers(text, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(['-opt', 'a.yml', '--shorten', text])
    assert 'give a whole number, 1 or more' in capsys.readouterr().err or text == '-3'


@pytest.mark.parametrize('option', ['--shorten', '--auto_resume'])
def test_a_test_has_no_iterations(option, capsys):
    """Neither offered nor taken and ignored."""
    value = ['4'] if option == '--shorten' else []
    with pytest.raises(SystemExit):
        parse_arguments(['--help'], is_train=False)
    assert option not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        parse_arguments(['-opt', 'a.yml', option, *value], is_train=False)
    assert f'{option}: it is for training; leave it out' in capsys.readouterr().err
