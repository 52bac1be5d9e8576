"""What would show hours later shows before the first iteration; what shows later all the same costs nothing."""

import re
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from basicsr.archs import build_network
from basicsr.data import build_dataset
from basicsr.models import build_model
from common_kit import write_faces
from run_kit import ROOT, log_text, options, refused, stage_2, start, weights, workplace  # noqa: F401

from selfsr_plugin import memory
from selfsr_plugin import test as test_entry
from selfsr_plugin.engine.update import Updater
from selfsr_plugin.engine.validation import ValidatedModel
from selfsr_plugin.run import rehearsal, training
from selfsr_plugin.run.progress import parts
from selfsr_plugin.run.training_data import TrainingData
from selfsr_plugin.stages import SelfCondSRModel


@pytest.fixture
def earlier(workplace):  # noqa: F811
    """A run of the name was there before."""
    Path('experiments/tiny').mkdir(parents=True)
    Path('experiments/tiny/kept.txt').write_text('')
    yield workplace
    assert Path('experiments/tiny/kept.txt').exists() and not list(Path('experiments').glob('*archived*'))


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            dict(val__metrics=dict(niqe=dict(type='calculate_niqe', crop_border=0))),
            r'val\.metrics\.niqe: it cannot be computed for the images of datasets\.val \(64x64\): NIQE needs 192',
        ),
        (
            dict(val__metrics=dict(mine=dict(type='calculate_psnr', crop_border='4'))),
            r"val\.metrics\.mine: crop_border: '4' must be a whole number",
        ),
        (
            dict(val__metrics=dict(mine=dict(type='calculate_psnr', crop_border=40))),
            r'val\.metrics\.mine: it cannot be computed .*it comes to no number \(NaN\)',
        ),
        (dict(train__sr__optim_g=dict(type='Adam', lr='0,003')), r'optim_g'),
        (dict(network_g__num_block=[1]), r'num_block|cannot be built|network_g'),
        (
            dict(
                network_d=dict(type='VGGStyleDiscriminator', num_in_ch=3, num_feat=4, input_size=128),
                train__sr__grow_at=[],
                train__sr__r1_reg_weight=0,
                train__sr__net_d_reg_every=1,
            ),
            r'cannot be computed with these options: Input size must be identical to input_size',
        ),
        (
            dict(train__sr__pixel_opt=dict(type='L1Loss', reduction='none')),
            r'train\.sr\.pixel_opt\.reduction: none gives a value for each pixel',
        ),
        (dict(logger__wandb=dict(project='x'), logger__use_tb_logger=False), r'logger\.wandb'),
    ],
)
def test_refused_before_anything_is_renamed(earlier, capsys, changes, message):
    assert re.search(message, refused(capsys, options(**changes)))


def test_every_validation_image_is_looked_at(earlier, capsys):
    file = Path('data/test_hr/002.png')  # the last of three
    file.write_bytes(file.read_bytes()[:200])
    assert 'datasets.val: 1 of 3 images cannot be used: data/test_hr/002.png: ' in refused(capsys, options())


def test_the_model_is_tried_on_every_size(earlier, capsys):
    """Stage 1 shrinks HR images by the scale; the data set does not know."""
    write_faces(earlier / 'data/odd', 2, 61, 3)
    val = dict(name='odd', type='HRFaceDataset', dataroot_gt='data/odd')
    assert re.search(
        r'datasets\.val: of 1 sizes of images, 1 cannot be restored: data/odd/000\.png, 61x61: .*leave such images out',
        refused(capsys, options(datasets__val=val)),
    )


SRRESNET = dict(type='MSRResNet', num_feat=4, num_block=1)


@pytest.mark.parametrize(
    'network, message',
    [
        (
            dict(type='RCAN', num_in_ch=3, num_out_ch=3, num_feat=8, num_group=1, num_block=1, upscale=4),
            r'000\.png, 16x16: .*\. Correct the options of the network, or leave such images out\.$',
        ),
        (
            dict(SRRESNET, upscale=2),
            r'network_g \(MSRResNet\) makes images of 32x32 of images of 16x16, and scale: 4 asks for 64x64: adapt',
        ),
    ],
)
def test_a_network_that_cannot_be_run_is_not_blamed_on_images(earlier, capsys, network, message):
    assert re.search(message, refused(capsys, stage_2(network_g=network)))


def test_a_network_of_another_scale_is_found_without_validation(earlier, capsys):
    opt = stage_2(network_g=dict(SRRESNET, upscale=2))
    del opt['datasets']['val'], opt['val']
    assert 'makes images of 32x32 of images of 16x16' in refused(capsys, opt)


def test_images_that_a_data_set_does_not_give(earlier, capsys):
    """BasicSR's do not say which: SingleImageDataset gives LR images, RealESRGANDataset HR images and kernels."""
    theirs = dict(name='theirs', io_backend=dict(type='disk'), batch_size_per_gpu=2, num_worker_per_gpu=0)
    lr_alone = dict(theirs, type='SingleImageDataset', dataroot_lq='data/lr')
    message = (
        "datasets.train.type: the batches of SingleImageDataset have no 'gt', HR images, which SelfCondSRModel learns"
    )
    opt = stage_2()
    opt['datasets']['train'] = lr_alone
    assert message in refused(capsys, opt)

    kernels = {key: [0.5, 1.0] for key in ('blur_sigma', 'betag_range', 'betap_range')}
    kernels.update(blur_kernel_size=21, kernel_list=['iso'], kernel_prob=[1.0], sinc_prob=0.1)
    kernels.update({f'{key}2': value for key, value in kernels.items()}, final_sinc_prob=0.5)
    Path('names.txt').write_text('000.png\n001.png\n')
    hr = dict(
        theirs, type='RealESRGANDataset', dataroot_gt='data/hr', meta_info='names.txt', use_hflip=True, use_rot=False
    )
    opt = stage_2(model_type='SupervisedSRModel', network_g=dict(type='SRResNet', num_feat=4, num_block=1))
    del opt['network_d']
    opt['train'] = dict(total_iter=2, optim_g=opt['train']['optim_g'], pixel_opt=opt['train']['pixel_opt'])
    opt['datasets']['train'] = dict(hr, **kernels)
    message = (
        "the batches of RealESRGANDataset have no 'lq', LR images, which SupervisedSRModel learns from: use a data set"
    )
    assert message in refused(capsys, opt)


def test_folders_given_for_each_other_are_said_before_the_first_iteration(workplace, monkeypatch):  # noqa: F811
    start(options())
    assert 'looked at' not in log_text()
    start(options(datasets__train__dataroot_lq='data/hr', datasets__val__dataroot_gt='data/lr'))
    before = log_text().partition('[epoch:')[0]
    assert (
        'datasets.train.dataroot_lq: 12 of 12 images looked at in data/hr are as large as HR faces are by the options '
        '(64 pixels), one of 64x64: give the folder of the LR faces here, if this is that of the HR faces.' in before
    )
    assert (
        'datasets.val.dataroot_gt: 9 of 9 images looked at in data/lr are smaller than HR faces are by the options '
        '(64 pixels), one of 16x16: give the folder of the HR faces here, if this is that of the LR faces.' in before
    )


def test_lr_faces_are_no_hr_faces(workplace, capsys):  # noqa: F811
    message = refused(capsys, options(datasets__train__dataroot_gt='data/lr'))
    assert 'datasets.train: dataroot_gt: ' in message and 'it is 16x16, smaller than gt_size 64' in message


OUT_OF_MEMORY = [
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of ...'),
]


@pytest.mark.parametrize('error', OUT_OF_MEMORY, ids=['CPU', 'CUDA'])
def test_lack_of_memory_at_the_last_level_shows_at_once(earlier, capsys, monkeypatch, error):
    original = SelfCondSRModel.generator_loss

    def loss(self, batch):
        if self._growth.level == 2:
            raise error
        return original(self, batch)

    monkeypatch.setattr(SelfCondSRModel, 'generator_loss', loss)
    message = refused(capsys, options())
    assert (
        'not enough memory for iteration 5 with datasets.train.batch_size_per_gpu: 2' in message
        and 'accum_iter' in message
    )


def test_a_batch_beyond_the_memory_is_refused_by_what_small_ones_take(earlier, capsys, monkeypatch):
    """No large batch is collected or computed, and the number that is named instead fits."""
    monkeypatch.setattr(rehearsal, 'available_bytes', lambda _: 100_000_000)
    monkeypatch.setattr('selfsr_plugin.run.training.look_at_images', lambda *_: pytest.exit('it is not refused'))
    opt = options(datasets__train__batch_size_per_gpu=4000, train__sr__accum_iter=2)
    message = refused(capsys, opt)
    found = re.search(
        r'batch_size_per_gpu: 4000: iteration \d needs about [\d.]+ GB of memory, and 0\.1 GB are free: '
        r'lower it to (\d+) or less, or cut the batches into parts with accum_iter',
        message,
    )
    opt['datasets']['train']['batch_size_per_gpu'] = int(found[1])
    with pytest.raises(pytest.exit.Exception):
        start(opt)


@pytest.mark.parametrize('compiled', [False, True])
def test_nothing_is_compiled_for_an_estimate(compiled):
    asked = []
    data = SimpleNamespace(sample_batch=asked.append)
    model = SimpleNamespace(device=torch.device('cpu'), rehearse=lambda *_: None)
    opt = options(datasets__train__batch_size_per_gpu=64, train__degradation__compile=compiled, dist=False)
    rehearsal.check_memory(model, data, parts(opt), 0, opt)
    assert bool(asked) is not bool(compiled)


def test_the_memory_of_a_batch_grows_as_it_is_estimated(workplace):  # noqa: F811
    opt = options(path=dict(), dist=False, rank=0, world_size=1, is_train=True)
    opt['path']['resume_state'] = None
    for key in ('train', 'val'):
        opt['datasets'][key].update(phase=key, scale=opt['scale'])
    model = build_model(opt)
    data = TrainingData(build_dataset(opt['datasets']['train']), opt, 0)
    for iteration in (1, 3, 5):  # stage 1 and both levels of stage 2
        two, four, twelve = (rehearsal._bytes_of(model, iteration, data.sample_batch(size)) for size in (2, 4, 12))
        # what is largest at one time may be another thing in a large batch than in a small one, so never less
        assert 0.8 * twelve < two + (four - two) / 2 * 10 <= 1.01 * twelve


def test_sigterm_before_the_first_iteration_leaves_nothing(workplace, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setattr('selfsr_plugin.run.training.rehearse_training', lambda *_: signal.raise_signal(signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught:
        start(options())
    assert caught.value.code == 143 and capsys.readouterr().err.endswith('what was saved before is unharmed.\n')
    assert not Path('experiments').exists() and signal.getsignal(signal.SIGTERM) is before


def test_the_rehearsal_changes_nothing(workplace, monkeypatch):  # noqa: F811
    start(options())
    expected = weights('net_g_latest'), weights('net_d_latest')
    monkeypatch.setattr('selfsr_plugin.run.training.rehearse_training', lambda *_: {})
    start(options(), '--auto_resume')  # nothing to do
    start(options(name='other'))
    for before, name in zip(expected, ('net_g_latest', 'net_d_latest')):
        found = torch.load(f'experiments/other/models/{name}.pth', weights_only=True)['params']
        assert all(torch.equal(before[key], found[key]) for key in before)


def test_every_part_is_rehearsed_with_all_it_computes(workplace, monkeypatch):  # noqa: F811
    """R1 too, which comes at every third iteration: the full iterations are 2 + 3 of level 1, 2 + 6 of level 2."""
    tried = []
    original = Updater.rehearse

    def rehearse(self, update, batch):
        losses = original(self, update, batch)
        tried.append((update.labels, losses.terms.keys()))
        return losses

    monkeypatch.setattr(Updater, 'rehearse', rehearse)
    opt = options(train__sr__total_iter=8, train__sr__grow_at=[4], train__total_iter=10, train__sr__net_d_reg_every=3)
    monkeypatch.setattr('selfsr_plugin.run.training._open_folder', lambda *_, **__: pytest.exit('no further'))
    with pytest.raises(pytest.exit.Exception):
        start(opt)
    with_r1 = [labels for labels, terms in tried if 'l_d_r1' in terms]
    assert len(with_r1) == 4 and len([labels for labels, _ in tried if labels == ('d',)]) == 8


# ----- later -----


def test_a_failing_validation_costs_nothing(workplace, monkeypatch):  # noqa: F811
    original = ValidatedModel._image_path

    def fails_at_3(self, data, dataset, index, current_iter, written):
        if current_iter == 3:
            raise OSError(28, 'No space left on device')
        return original(self, data, dataset, index, current_iter, written)

    monkeypatch.setattr(ValidatedModel, '_image_path', fails_at_3)
    start(options())
    log = log_text()
    assert 'ERROR: Validation of people at iteration 3: ' in log and 'Training goes on.' in log
    assert (
        log.splitlines()[-1].endswith('(and 2 more)')
        and 'Validations that were not complete: 1.' in log.splitlines()[-1]
    )
    assert Path('experiments/tiny/models/net_g_latest.pth').exists()
    assert not Path('experiments/tiny/visualization/000/000_3.png').exists()
    assert Path('experiments/tiny/visualization/000/000_6.png').exists()


@pytest.mark.parametrize('error', OUT_OF_MEMORY, ids=['CPU', 'CUDA'])
def test_memory_that_others_take_later(workplace, capsys, monkeypatch, error):  # noqa: F811
    """The run ends with what was saved before, and goes on from there to the same weights."""
    start(options())
    expected = weights('net_g_latest')
    original = SelfCondSRModel.optimize_parameters

    def step(self, current_iter):
        if current_iter == 3:  # of stage 2: iteration 5
            raise error
        original(self, current_iter)

    with monkeypatch.context() as patch:
        patch.setattr(SelfCondSRModel, 'optimize_parameters', step)
        message = refused(capsys, options())
    assert 'there is not enough memory for iteration 5' in message
    assert 'The last checkpoint is that of iteration 4; the same command with --auto_resume goes on from it' in message
    start(options(), '--auto_resume')
    assert all(torch.equal(value, expected[key]) for key, value in weights('net_g_latest').items())


def test_memory_that_a_validation_lacks_costs_only_its_image(workplace, monkeypatch):  # noqa: F811
    original = SelfCondSRModel.evaluate

    def evaluate(self, data):
        if log_text() and '001.png' in data['lq_path'][0]:  # not while the images are tried
            raise OUT_OF_MEMORY[1]
        return original(self, data)

    monkeypatch.setattr(SelfCondSRModel, 'evaluate', evaluate)
    start(options())
    log = log_text()
    assert 'data/test_hr/001.png, 16x16: there is not enough memory to restore it' in log and '2 of 3 images' in log


@pytest.fixture
def tested(workplace):  # noqa: F811
    """Options of a test, with weights that nobody trained."""
    opt = yaml.safe_load((ROOT / 'options/test_selfsr_demo.yml').read_text())
    opt['network_g'].update(widths=[8, 8], num_block=1)
    opt['datasets']['test'].update(name='people', dataroot_gt='data/test_hr', dataroot_lq=None)
    opt['path']['pretrain_network_g'] = 'net.pth'
    opt['val']['suffix'] = 'x'
    torch.manual_seed(0)
    torch.save(dict(params=build_network(dict(opt['network_g'])).state_dict()), 'net.pth')
    return opt


def pictures():
    return sorted(path.name for path in Path('results/test_selfsr_demo/visualization').rglob('*.png'))


@pytest.mark.parametrize('bad', ['000', '002'])
def test_a_test_goes_on_after_a_bad_image(tested, capsys, bad):
    Path(f'data/test_hr/{bad}.png').write_bytes(b'no image')
    message = refused(capsys, tested, entry=test_entry)
    assert (
        f'1 of 3 images are left out; the figures are those of the others: datasets.test: data/test_hr/{bad}.png'
        in message
    )
    assert pictures() == [f'{name}_x.png' for name in ('000', '001', '002') if name != bad]
    log = next(Path('results/test_selfsr_demo').glob('*.log')).read_text()
    assert 'Validation people, 2 of 3 images' in log and '# psnr' in log


def test_a_photo_that_does_not_fit_into_memory(tested, capsys, monkeypatch):
    """Before the kernel ends the process, with all results."""
    write_faces(Path('data/photos'), 1, 480, 5)
    Path('data/photos/000.png').rename('data/test_hr/photo.png')
    monkeypatch.setattr(memory, 'available_bytes', lambda device: 10**7)
    message = refused(capsys, tested, entry=test_entry)
    assert re.search(r'1 of 4 images are left out.*data/test_hr/photo\.png, 120x120: it needs about .* GB', message)
    assert len(pictures()) == 3


def test_a_test_with_a_network_of_another_scale(tested, capsys):
    """Its images would be enlarged without a word, and scored."""
    tested['network_g'] = dict(SRRESNET, upscale=2)
    torch.save(dict(params=build_network(dict(tested['network_g'])).state_dict()), 'net.pth')
    message = refused(capsys, tested, entry=test_entry)
    assert '3 of 3 images are left out' in message and 'scale: 4 asks for 64x64' in message and not pictures()


def test_a_test_needs_weights(tested, capsys):
    tested['path']['pretrain_network_g'] = None
    assert 'path.pretrain_network_g: this key is missing' in refused(capsys, tested, entry=test_entry)
    assert not Path('results').exists()


def test_nan_is_not_drawn(tested, capsys):
    content = torch.load('net.pth', weights_only=True)
    weights = next(iter(content['params'].values()))
    torch.save({'params': {**content['params'], next(iter(content['params'])): weights * np.nan}}, 'nan.pth')
    torch.save(content | {'params': {name: value * 1e30 for name, value in content['params'].items()}}, 'net.pth')
    message = refused(capsys, tested, entry=test_entry)
    assert 'left out: datasets.test: data/test_hr/000.png, 16x16: the output of the network is not finite' in message
    assert pictures() == []
    tested['path']['pretrain_network_g'] = 'nan.pth'
    assert 'nan.pth holds values that are not finite (NaN' in refused(capsys, tested, entry=test_entry)


def test_hr_faces_to_test_on_are_said(tested):
    tested['datasets']['test'] = dict(name='people', type='LRFaceDataset', dataroot_lq='data/test_hr', lq_size=16)
    tested['val']['metrics'] = None
    start(tested, entry=test_entry)
    (log,) = Path('results/test_selfsr_demo').glob('*.log')
    assert 'datasets.test.dataroot_lq: 3 of 3 images looked at in data/test_hr are as large as HR' in log.read_text()


def test_earlier_results_are_not_renamed_when_read(tested, capsys):
    start(tested, entry=test_entry)
    tested['datasets']['test'].update(
        type='LRFaceDataset', dataroot_gt=None, dataroot_lq='results/test_selfsr_demo/visualization/people'
    )
    del tested['datasets']['test']['dataroot_gt']
    tested['val']['metrics'] = None
    assert 'give this run another name' in refused(capsys, tested, entry=test_entry)
    assert len(pictures()) == 3


# ----- Weights & Biases -----


def fake_wandb(init):
    return SimpleNamespace(init=init, tensorboard=SimpleNamespace(patch=lambda **_: None, unpatch=lambda: None))


def wandb_options():
    return options(logger__use_tb_logger=True, logger__wandb=dict(project='faces'))


def test_weights_and_biases_that_refuses_costs_nothing(earlier, capsys, monkeypatch):
    def init(**_):
        raise RuntimeError('No API key configured.')

    monkeypatch.setitem(sys.modules, 'wandb', fake_wandb(init))
    message = refused(capsys, wandb_options())
    assert (
        'logger.wandb: No API key configured (RuntimeError). Log in with wandb login, or set WANDB_MODE=offline'
        in message
    )
    assert not Path('tb_logger').exists()
    monkeypatch.setitem(sys.modules, 'wandb', None)
    assert 'logger.wandb: the package is missing: pip install wandb' in refused(capsys, wandb_options())


@pytest.mark.parametrize('ends_well', [True, False])
def test_weights_and_biases_starts_before_tensorboard_and_ends_after_it(workplace, monkeypatch, ends_well):  # noqa: F811
    """It copies what TensorBoard is told, from the beginning to the end, however a run ends."""
    calls = []
    run = SimpleNamespace(id='a1', finish=lambda exit_code: calls.append(exit_code))
    monkeypatch.setitem(sys.modules, 'wandb', fake_wandb(lambda **given: calls.append(given) or run))

    def writer(log_dir):
        calls.append(log_dir)
        return SimpleNamespace(add_scalar=lambda *_: None, close=lambda: calls.append('closed'))

    monkeypatch.setattr('selfsr_plugin.run.writers.init_tb_logger', writer)
    if ends_well:
        start(wandb_options())
        assert 'run a1 of the project faces' in log_text()
    else:
        monkeypatch.setattr(training, 'ProgressLog', lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            start(wandb_options())
    assert calls[0]['project'] == 'faces' and calls[0]['sync_tensorboard']
    assert calls[1:] == [str(workplace / 'tb_logger/tiny'), 'closed', 0 if ends_well else 1]


def test_weights_and_biases_that_cannot_end_costs_nothing(workplace, monkeypatch):  # noqa: F811
    def finish(exit_code):
        raise RuntimeError('no network')

    monkeypatch.setitem(sys.modules, 'wandb', fake_wandb(lambda **_: SimpleNamespace(id='a1', finish=finish)))
    start(wandb_options())
    assert 'Weights & Biases did not end its run: no network' in log_text()
