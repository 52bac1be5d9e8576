"""Parts of ours under BasicSR's own models: what its loops would find out with a traceback, late, or never."""

import re
import sys
from pathlib import Path

import pytest
import torch
import yaml
from common_kit import save_params, small_network
from run_kit import refused, start, trained, workplace  # noqa: F401

import selfsr_plugin
from selfsr_plugin import convert
from selfsr_plugin import test as test_entry
from selfsr_plugin.files import SHIPPED_NETWORK


@pytest.fixture
def tested(trained):
    """Options of a test with it."""
    trained['network_g'] = dict(type='SelfCondSRNet', widths=[8, 8], num_block=1)
    del trained['train'], trained['logger'], trained['datasets']['train']
    trained['datasets'] = dict(test=trained['datasets']['val'])
    trained['path'] = dict(pretrain_network_g=save_params('g.pth', params=small_network(widths=[8, 8], num_block=1)))
    trained['val'] = dict(save_img=True, suffix=None, metrics=dict(psnr=dict(type='calculate_psnr', crop_border=0)))
    return trained


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(batch_size_per_gpu=13), r'batch_size_per_gpu: 13 is more than the 12 images'),
        (dict(batch_size_per_gpu=25, dataset_enlarge_ratio=2), r'batch_size_per_gpu: 25 is more than the 12 images'),
        (dict(gt_sise=64), r"datasets\.train\.gt_sise: .*'gt_size'"),
        (dict(dataroot_gt='data/nowhere'), r'datasets\.train: .*data/nowhere'),
        (dict(num_worker_per_gpu=None), r'datasets\.train\.num_worker_per_gpu: this key is missing'),
        (
            dict(type='UnpairedFaceDataset', dataroot_lq='data/lr', lq_size=16),
            r'datasets\.train\.type: SRModel needs pairs, which UnpairedFaceDataset does not give: write PairedFace',
        ),
    ],
)
def test_training_data(trained, capsys, changes, message):
    trained['datasets']['train'].update(changes)
    assert re.search(message, refused(capsys, trained))
    assert not Path('experiments').exists()


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(widht=[8, 8]), r"network_g\.widht: unknown key; did you mean 'widths'"),
        (dict(widths=[8, 0]), r'network_g: SelfCondSRNet does not take these values: '),
        (dict(cond_ratio=0), r'network_g: SelfCondSRNet does not take these values: .*zero'),
        (
            dict(widths=[8, 8, 8]),
            r'network_g: this SelfCondSRNet makes images 8 times as large, and scale is 4: make the two equal',
        ),
    ],
)
def test_networks(trained, capsys, changes, message):
    trained['network_g'].update(changes)
    assert re.search(message, refused(capsys, trained))
    assert not Path('experiments').exists()


def test_every_validation_image_is_read(trained, capsys):
    for name in ('000', '002'):
        file = Path(f'data/test_hr/{name}.png')
        file.write_bytes(file.read_bytes()[:200])
    message = refused(capsys, trained)
    assert 'datasets.val: ' in message and 'data/test_hr/000.png' in message  # the set itself refuses its first image
    file.with_name('000.png').write_bytes(file.with_name('001.png').read_bytes())
    assert re.search(
        r'datasets\.val: 1 of 3 images cannot be used: data/test_hr/002\.png.*remove', refused(capsys, trained)
    )


@pytest.mark.parametrize('model', ['RealESRNetModel', 'RealESRGANModel'])
def test_models_that_basicsr_registers_with_a_suffix(trained, capsys, monkeypatch, model):
    """Option files say their names without it."""
    trained.update(model_type=model, network_d=dict(type='UNetDiscriminatorSN', num_in_ch=3))
    if model == 'RealESRGANModel':
        trained['train'].update(optim_d=dict(type='Adam', lr=0.001), gan_opt=dict(type='GANLoss', gan_type='vanilla'))
    for kind in ('HRFaceDataset', 'PairedFaceDataset'):
        trained['datasets']['train']['type'] = kind
        assert f'from kernels, which {kind} does not give: write PairedFaceDataset, and high_order' in refused(
            capsys, trained
        )
    trained['high_order_degradation'] = False
    assert f'model_type: {model} runs on a GPU alone' in refused(capsys, trained)
    assert not Path('experiments').exists()


def test_what_a_model_learns_by(trained, capsys):
    trained['model_type'] = 'ESRGANModel'
    for section, key, value in (
        ('', 'network_d', dict(type='UNetDiscriminatorSN', num_in_ch=3)),
        ('train.', 'optim_d', dict(type='Adam', lr=0.001)),
        ('train.', 'gan_opt', None),
    ):
        assert f'{section}{key}: this key is missing; ESRGANModel learns by it' in refused(capsys, trained)
        (trained['train'] if section else trained)[key] = value
    trained['model_type'] = 'SRModel'
    for key in ('pixel_opt', 'optim_g'):
        del trained['train'][key]
        assert f'train.{key}: this key is missing; SRModel learns by it' in refused(capsys, trained)
    assert not Path('experiments').exists()


def test_weights_to_start_from(trained, capsys):
    """Fine-tuning the network of the package: what BasicSR cannot read, and what does not fit."""
    net = selfsr_plugin.load()
    trained['network_g'] = dict(net.built_from)
    trained['train']['total_iter'] = trained['logger']['save_checkpoint_freq'] = trained['val']['val_freq'] = 1
    trained['path']['pretrain_network_g'] = str(SHIPPED_NETWORK)
    message = refused(capsys, trained)
    assert 'SRModel is of BasicSR, which reads .pth files alone: make one by python -m selfsr_plugin.convert' in message
    convert.main(message.removesuffix('.').split('selfsr_plugin.convert ')[1].split())
    trained['path']['pretrain_network_g'] = 'face_x4.pth'
    trained['network_g']['widths'] = [8, 8]
    assert 'face_x4.pth does not fit SelfCondSRNet as network_g describes it: ' in refused(capsys, trained)
    trained['path']['pretrain_network_g'] = 'nowhere.pth'
    assert 'path.pretrain_network_g: there is no file nowhere.pth (seen from' in refused(capsys, trained)
    Path('net_g_5.pth').touch()
    trained['path']['pretrain_network_g'] = 'net_g_latest.pth'
    assert refused(capsys, trained).endswith(': its folder has net_g_5.pth.')
    assert not Path('experiments').exists()
    trained['path']['pretrain_network_g'] = 'face_x4.pth'
    trained['network_g'] = dict(net.built_from)
    start(trained)
    assert Path('experiments/tiny/models/net_g_latest.pth').exists()


@pytest.mark.parametrize('section, key', [('train', 'total_iter'), ('logger', 'print_freq'), ('val', 'val_freq')])
def test_keys_that_the_loop_reads(trained, capsys, section, key):
    del trained[section][key]
    assert f"{section}.{key}: this key is missing; BasicSR's loop, which runs SRModel, reads it" in refused(
        capsys, trained
    )


def test_keys_of_our_loop_are_refused(trained, capsys):
    trained['logger']['keep_checkpoints'] = 2
    assert "logger.keep_checkpoints: BasicSR's loop, which runs SRModel, does not read it; leave it out" in refused(
        capsys, trained
    )


@pytest.mark.parametrize('key, value', [('grow_at', [2]), ('r1_reg_weight', 10), ('gan_opt', {'type': 'GANLoss'})])
def test_keys_of_our_models_are_refused(trained, capsys, key, value):
    trained['train'][key] = value
    assert f'train.{key}: SRModel is of BasicSR and does not read it; leave it out' in refused(capsys, trained)


@pytest.mark.parametrize(
    'section, changes, message',
    [
        ('network_g', dict(type='SelfCondSrNet'), r"network_g\.type: unknown name .* did you mean 'SelfCondSRNet'"),
        ('datasets/val', dict(type='PairFaceDataset'), r"datasets\.val\.type: .* did you mean 'PairedFaceDataset'"),
        ('val/metrics/psnr', dict(type='calculate_psnrr'), r"val\.metrics\.psnr\.type: .*'calculate_psnr'"),
        ('val/metrics', dict(psnr=dict(type='calculate_psnr')), r'val\.metrics\.psnr\.crop_border: .* missing'),
        ('val', dict(metrics=['psnr']), r'val\.metrics: .* must be a section'),
        ('train/optim_g', dict(lr='3e-3'), r'train\.optim_g\.lr: YAML reads 3e-3 as text; write !!float 3e-3'),
        ('train/optim_g', dict(betas=0.9), r'train\.optim_g\.betas: 0\.9 must be two numbers'),
        ('datasets/train', dict(num_worker_per_gpu=0), r'persistent_workers: there are no workers .* write false'),
        ('datasets/train', dict(num_worker_per_gpu=-1), r'train\.num_worker_per_gpu: -1 must be a whole number, 0 or'),
        ('datasets/train', dict(batch_size_per_gpu=2.0), r'batch_size_per_gpu: 2\.0 must be .* write 2\.'),
        ('datasets/train', dict(dataset_enlarge_ratio='x'), r"dataset_enlarge_ratio: 'x' must be a number, 0 or more"),
        ('datasets/train', dict(prefetch_mode='cuda'), r'prefetch_mode: cuda needs a GPU and pin_memory: true'),
        (
            'datasets',
            dict(valid=dict(name='v', type='PairedFaceDataset')),
            r'datasets\.valid: unknown phase; use train',
        ),
        ('', dict(name='a/b'), r"name: 'a/b' must be a text without"),
        ('', dict(name=5), r'name: 5 must be a text'),
        ('', dict(manual_seed='x'), r"manual_seed: 'x' must be a whole number"),
        ('', dict(num_gpu='one'), r"num_gpu: 'one' must be 'auto' or a number"),
        ('logger', dict(print_freq=0), r'logger\.print_freq: 0 must be a whole number, 1 or more'),
        ('logger', dict(wandb=dict(project='p')), r'logger\.use_tb_logger: it must be true for logger\.wandb'),
        ('val', dict(val_freq=0), r'val\.val_freq: 0 must be a whole number, 1 or more'),
        ('val', dict(save_img='false'), r"val\.save_img: 'false' must be true or false"),
        ('train', dict(warmup_iter='x'), r"train\.warmup_iter: 'x' must be a whole number"),
        ('train', dict(ema_decay=2), r'train\.ema_decay: 2 must be a number from 0 to below 1'),
        ('train', dict(scheduler=None), r'train\.scheduler: this key is missing; SRModel learns by it'),
        (
            'train',
            dict(scheduler=dict(type='LinearDecayLR', decay_from=1)),
            r'there are CosineAnnealing.*, MultiStepLR',
        ),
        ('train', dict(scheduler=dict(type='MultiStepLR', milestone=[3])), r"scheduler\.milestone: .*'milestones'"),
        ('train/pixel_opt', dict(los_weight=1.0), r"train\.pixel_opt\.los_weight: unknown key; .*'loss_weight'"),
        ('train/optim_g', dict(type='AdamW'), r'train\.optim_g\.type: SRModel cannot make AdamW: write Adam, or use'),
        ('train/pixel_opt', dict(reduction='none'), r'train\.pixel_opt\.reduction: none gives .* write mean'),
        (
            'train/pixel_opt',
            dict(type='FlowTVLoss'),
            r'train\.pixel_opt\.type: FlowTVLoss is no loss of an image against another',
        ),
        ('train/pixel_opt', dict(type='WeightedTVLoss'), r'WeightedTVLoss is no .* write CharbonnierLoss or L1Loss'),
        (
            '',
            dict(model_type='VideoBaseModel'),
            r'model_type: VideoBaseModel learns from films, .* use SRModel or SRGANModel',
        ),
        ('', dict(model_type='SwinIRModel'), r'network_g\.window_size: .* missing; SwinIRModel reads it: use SRModel'),
        (
            'path',
            dict(experiments_root='mine'),
            r'path\.experiments_root: .* writes .* experiments/tiny, .* leave it out',
        ),
        ('train/pixel_opt', dict(type='L7Loss'), r"train\.pixel_opt\.type: unknown name .*'L1Loss'"),
    ],
)
def test_what_basicsr_ends_at_with_a_traceback(trained, capsys, section, changes, message):
    found = trained
    for key in filter(None, section.split('/')):
        found = found[key]
    found.update(changes)
    assert re.search(message, refused(capsys, trained))
    assert not Path('experiments').exists()


@pytest.mark.parametrize(
    'entry, reads',
    [
        (
            'val:metrics:mine={type: calculate_psnr, crop_border: 0}',
            "reads this value as the text '{type: calculate_psnr, ",
        ),
        ('train:warmup_iter=-1', "reads this value as the text '-1'"),
        ('name=a=b', 'cannot read this value'),
    ],
)
def test_overrides_that_basicsr_reads_otherwise(trained, capsys, entry, reads):
    """It reads them for itself: a metric given so is text, at which the first validation ends."""
    message = refused(capsys, trained, '--force_yml', 'train:total_iter=1', 'train:total_iter=2', entry)
    assert f'--force_yml {entry}: BasicSR, whose loop runs SRModel, {reads}' in message
    assert message.endswith('write it in the option file.')


@pytest.mark.parametrize(
    'content, remedy',
    [
        (lambda weights: dict(params_ema=weights), 'write param_key_g: params_ema'),
        (lambda weights: weights, 'write param_key_g: ~'),
    ],
)
def test_weights_under_another_key(tested, capsys, content, remedy):
    file = tested['path']['pretrain_network_g'] = 'other.pth'
    torch.save(content(small_network(widths=[8, 8], num_block=1).state_dict()), file)
    message = refused(capsys, tested, entry=test_entry)
    assert f"path.pretrain_network_g: {file} has no weights under the key 'params': {remedy}." in message
    tested['path']['param_key_g'] = yaml.safe_load(remedy.split(': ')[1])
    start(tested, entry=test_entry)


def test_only_the_network_that_restores_must_have_the_scale_of_the_run(trained, capsys):
    trained['network_teacher'] = dict(type='SelfCondSRNet', widths=[8, 8, 8], num_block=1)
    trained['datasets']['val']['dataroot_gt'] = 'data/nowhere'
    assert 'datasets.val: ' in refused(capsys, trained)  # which is looked at after the networks


@pytest.mark.parametrize('batch, ratio', [(12, 1), (24, 2)])
def test_a_batch_of_all_images_is_a_whole_one(trained, capsys, batch, ratio):
    trained['datasets']['train'].update(batch_size_per_gpu=batch, dataset_enlarge_ratio=ratio)
    trained['datasets']['val']['dataroot_gt'] = 'data/nowhere'
    assert 'datasets.val: ' in refused(capsys, trained)  # which is looked at after the training data


def test_metrics_are_tried(trained, capsys):
    trained['val']['metrics'] = dict(mine=dict(type='calculate_identity', weights='none.pth'))
    assert 'val.metrics.mine: there is no file none.pth' in refused(capsys, trained)


def test_metrics_are_tried_on_the_images_that_there_are(trained, capsys):
    trained['val']['metrics'] = dict(natural=dict(type='calculate_niqe', crop_border=0, better='lower'))
    assert re.search(
        r'val\.metrics\.natural: it cannot be computed for the images of datasets\.val \(64x64\): ',
        refused(capsys, trained),
    )


def test_which_values_of_a_metric_are_better_is_said(trained, capsys):
    """BasicSR's loop keeps the worst for the best without it, and says nothing."""
    settings = trained['val']['metrics']['blur'] = dict(type='calculate_blur')
    remedy = 'val.metrics.blur.better: this key is missing; SRModel takes higher values for better without it'
    assert remedy in (message := refused(capsys, trained)) and message.endswith('write better: lower.')
    settings['better'] = 'higher'
    assert 'val.metrics.blur: better: higher is wrong for calculate_blur' in refused(capsys, trained)


BASICSRS = dict(
    name='theirs', type='PairedImageDataset', dataroot_gt='data/hr', dataroot_lq='data/lr', io_backend=dict(type='disk')
)


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(io_backend=None), r'datasets\.train\.io_backend: this key is missing; PairedImageDataset reads it'),
        (dict(gt_size=None), r'datasets\.train\.gt_size: this key is missing'),
        (dict(gt_size=128), r'datasets\.train: LQ \(16, 16\) is smaller than patch size \(32, 32\)'),
        (dict(dataroot_gt='data/test_hr'), r'datasets\.train: .*different number of images: 9, 3'),
    ],
)
def test_data_sets_of_basicsr(trained, capsys, changes, message):
    """What they end at with a traceback, some when a batch is read."""
    for extra in ('009', '010', '011'):
        Path(f'data/hr/{extra}.png').unlink()
    kept = {key: trained['datasets']['train'][key] for key in ('batch_size_per_gpu', 'use_hflip')}
    settings = dict(BASICSRS, **kept, gt_size=64, use_rot=False, num_worker_per_gpu=0)
    trained['datasets']['train'] = {key: value for key, value in {**settings, **changes}.items() if value is not None}
    assert re.search(message, refused(capsys, trained))
    assert not Path('experiments').exists()


def test_data_sets_of_basicsr_without_ground_truth(tested, capsys):
    tested['datasets']['test'] = dict(
        name='theirs', type='SingleImageDataset', dataroot_lq='data/lr', io_backend=dict(type='disk')
    )
    assert 'val.metrics.psnr: it compares with a ground truth, and datasets.test has none' in refused(
        capsys, tested, entry=test_entry
    )
    tested['val']['metrics'] = None
    start(tested, entry=test_entry)
    assert len(list(Path('results/tiny/visualization/theirs').glob('*.png'))) == 9


def test_a_test_runs_with_what_is_asked_for(tested):
    start(tested, entry=test_entry)
    assert len(list(Path('results/tiny/visualization/demo_val').glob('*_tiny.png'))) == 3


@pytest.mark.parametrize(
    'section, key, message',
    [
        ('path', 'pretrain_network_g', 'path.pretrain_network_g: this key is missing; testing needs the weights'),
        ('val', 'suffix', 'val.suffix: this key is missing; .* write suffix: ~'),
        ('val', 'save_img', 'val.save_img: this key is missing'),
    ],
)
@pytest.mark.parametrize('whose_network', ['ours', "BasicSR's"])
def test_a_test_lacks_something(tested, capsys, whose_network, section, key, message):
    if whose_network != 'ours':
        tested['network_g'] = dict(type='MSRResNet', num_in_ch=3, num_out_ch=3, num_feat=4, num_block=1, upscale=4)
    del tested[section][key]
    assert re.search(message, refused(capsys, tested, entry=test_entry))
    assert not Path('results').exists()


def test_the_key_of_our_own_option_files_is_not_basicsrs(tested, capsys):
    """``param_key_g: ~``, as options/test_selfsr_real.yml has it, lets BasicSR look for weights called 'params'."""
    tested['path']['param_key_g'] = None
    message = refused(capsys, tested, entry=test_entry)
    assert 'path.param_key_g: with ~ BasicSR takes g.pth for bare weights' in message
    tested['path']['param_key_g'] = re.search(r'write param_key_g: (\w+)\.', message)[1]
    start(tested, entry=test_entry)


def test_a_test_of_a_network_that_is_random_in_part(tested, capsys):
    """BasicSR warns of ``strict_load_g: false`` and goes on, and the figures are those of a half random network."""
    tested['path']['strict_load_g'] = False
    start(tested, entry=test_entry)
    tested['network_g']['num_block'] = 2
    message = refused(capsys, tested, entry=test_entry)
    assert re.search(r'path\.pretrain_network_g: g\.pth has no weights of this shape for \d+ parameters', message)
    assert 'the first of them levels.0.blocks.1.' in message


def test_a_test_without_ground_truth(tested, capsys):
    test = tested['datasets']['test']
    test.update(type='LRFaceDataset', dataroot_lq='data/lr')
    del test['dataroot_gt']
    assert 'val.metrics.psnr: it compares with a ground truth, and datasets.test has none' in refused(
        capsys, tested, entry=test_entry
    )
    tested['val']['metrics'] = None
    start(tested, entry=test_entry)
    test.update(type='HRFaceDataset', dataroot_gt='data/hr')
    del test['dataroot_lq']
    assert 'datasets.test.type: SRModel needs pairs' in refused(capsys, tested, entry=test_entry)


def test_what_basicsrs_own_option_files_hold(trained, monkeypatch):
    seen = []
    monkeypatch.setattr('basicsr.train.train_pipeline', seen.append)
    trained['logger'].update(save_checkpoint_freq=5e3, wandb=dict(project=None, resume_id=None))
    trained['val'].update(val_freq=5e3, pbar=True, suffix=None)
    trained['train'].update(total_iter=1e6, warmup_iter=-1, ema_decay=0.999, perceptual_opt=None)
    trained['train']['scheduler'] = dict(type='MultiStepLR', milestones=[2e5, 400000], gamma=0.5)
    trained['datasets']['train'].update(dataset_enlarge_ratio=100, prefetch_mode=None, use_shuffle=True)
    trained.update(dist_params=dict(backend='nccl', port=29500), manual_seed=0)
    start(trained)
    cosine = dict(type='CosineAnnealingRestartLR', periods=[250000] * 4, restart_weights=[1] * 4, eta_min=1e-7)
    trained['train']['scheduler'] = cosine
    start(trained)
    assert len(seen) == 2


def test_processes_that_were_not_started_so(trained, capsys, monkeypatch):
    """BasicSR's meet on GPUs alone; what is said of them is of those."""
    alone = (
        'several processes of BasicSR meet on GPUs alone (NCCL), and there is none here: start one, without torchrun'
    )
    assert alone in refused(capsys, trained, '--launcher', 'pytorch')
    with monkeypatch.context() as patched:
        patched.setenv('WORLD_SIZE', '2')
        assert alone in refused(capsys, trained)
        patched.setattr(torch.cuda, 'is_available', lambda: True)
        assert 'torchrun started 2 processes, and without --launcher each' in refused(capsys, trained)
        assert 'was not started by torchrun (RANK is not set)' in refused(capsys, trained, '--launcher', 'pytorch')
        assert 'was not started by srun (SLURM_PROCID' in refused(capsys, trained, '--launcher', 'slurm')
    trained['num_gpu'] = 1
    assert 'num_gpu: 1 GPUs are asked for and this machine shows none' in refused(capsys, trained)
    assert not Path('experiments').exists()


def test_what_a_run_would_go_on_from(trained, capsys, monkeypatch):
    """BasicSR writes under the final names, takes the newest state as it is, and needs a GPU to read it."""
    states, models = Path('experiments/tiny/training_states'), Path('experiments/tiny/models')
    for folder in (states, models):
        folder.mkdir(parents=True)
    torch.save(dict(iter=8, optimizers=[], schedulers=[]), states / '8.state')
    torch.save(dict(params=dict(a=torch.zeros(1))), models / 'net_g_8.pth')
    goes_on = []
    monkeypatch.setattr('basicsr.train.train_pipeline', lambda root: goes_on.append(root))
    message = refused(capsys, trained, '--auto_resume')
    assert '--auto_resume: SRModel is of BasicSR, which goes on from a checkpoint on a GPU alone' in message
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    start(trained, '--auto_resume')
    assert len(goes_on) == 1
    whole = (states / '8.state').read_bytes()
    (states / '12.state').write_bytes(whole[: len(whole) // 2])
    message = refused(capsys, trained, '--auto_resume')
    assert re.search(r'--auto_resume: \S*/12\.state cannot be read .* or remove \S*/12\.state: then it is', message)
    torch.save(dict(iter=12), states / '12.state')
    assert 'there is no checkpoint' in (message := refused(capsys, trained, '--auto_resume')) and 'net_g_12' in message
    (states / 'notes.state').write_bytes(b'')
    assert 'notes.state for a checkpoint, and its name is no iteration' in refused(capsys, trained, '--auto_resume')
    trained['path']['resume_state'] = 'none.state'
    assert 'path.resume_state: there is no checkpoint none.state: give another' in refused(capsys, trained)
    assert len(goes_on) == 1


def test_what_ends_basicsrs_loop_is_a_sentence(trained, capsys, monkeypatch):
    models = Path('experiments/tiny/models')

    def full_disk(root):  # BasicSR warns, and goes on
        models.mkdir(parents=True)
        torch.save(dict(params={}), models / 'net_g_4.pth')
        (models / 'net_g_8.pth').write_bytes(b'')
        (models / 'net_g_latest.pth').write_bytes((models / 'net_g_4.pth').read_bytes()[:-20])

    monkeypatch.setattr('basicsr.train.train_pipeline', full_disk)
    message = refused(capsys, trained)
    assert 'models/net_g_latest.pth was not saved whole' in message and 'the newest that was is net_g_4.pth.' in message

    def ends(root):
        raise KeyboardInterrupt

    monkeypatch.setattr('basicsr.train.train_pipeline', ends)
    with pytest.raises(SystemExit) as caught:
        start(trained)
    assert caught.value.code == 130 and capsys.readouterr().err.splitlines()[-1].startswith('error: interrupted')


@pytest.mark.parametrize('traceback', [[], ['--traceback']])
def test_basicsr_is_given_its_own_command_line(workplace, monkeypatch, traceback):  # noqa: F811
    """--traceback is ours, and BasicSR's parser would end at it."""
    seen = []
    monkeypatch.setattr(sys, 'argv', ['train'])
    monkeypatch.setattr('basicsr.train.train_pipeline', lambda root: seen.append(sys.argv[1:]))
    model = dict(model_type='SRModel', network_g=dict(type='MSRResNet'))
    start(model, '--launcher', 'none', *traceback)
    assert seen == [['-opt', 'options.yml', '--launcher', 'none', '-opt', 'options.yml']]
    start(model, '--force_yml', 'a=1', *traceback, '--force_yml', 'b=2')  # of which it would take the last alone
    assert seen[1][-3:] == ['--force_yml', 'a=1', 'b=2']
