"""Validation image by image: one that fails costs neither the others nor the run, and no picture replaces another."""

import copy
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from selfsr_plugin.data.image_source import CorruptImageError
from selfsr_plugin.engine.validation import Evaluation, ValidatedModel, _kind_of, picture_name, to_image


class Model(ValidatedModel):
    """Gives back the ground truth; the red of an image says what is to fail."""

    needs = 'gt'

    def make_evaluation(self, data):
        red = data['gt'][0, 0, 0, 0].item()
        if red > 0.85:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to "
                'allocate 8000000000 bytes.'
            )
        image = to_image(data['gt'] * float('nan') if red > 0.75 else data['gt'])
        return Evaluation(image, dict(img=image, img2=image), dict(red=red))


class Images(Dataset):
    """``names``: a path, and what the image is filled with; None cannot be read."""

    def __init__(self, names, name='people', root='/faces'):
        self.opt, self.names = dict(name=name, dataroot_gt=root), names

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        path, value = self.names[index]
        if value is None:
            raise CorruptImageError(path, 'it is empty')
        return dict(gt=torch.full((3, 16, 16), value), gt_path=path)


GOOD = [('/faces/a.png', 0.2), ('/faces/b.png', 0.4)]


@pytest.fixture
def model(tmp_path):
    val = dict(save_img=True, metrics=dict(psnr=dict(type='calculate_psnr', crop_border=0)))
    return Model(
        dict(
            num_gpu=0,
            is_train=True,
            dist=False,
            rank=0,
            world_size=1,
            name='run',
            val=val,
            path=dict(visualization=str(tmp_path)),
            datasets=dict(train={}, val={}),
        )
    )


def validate(model, names, iteration=5, **settings):
    return model.validation(DataLoader(Images(names, **settings)), iteration, None, save_img=True)


def pictures(tmp_path):
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob('*.png'))


def test_bad_images_are_left_out_and_named(model, tmp_path, monkeypatch):
    reported = {}
    monkeypatch.setattr(
        model, '_report', lambda averages, dataset, it, tb, metrics, left_out: reported.update(averages, n=left_out)
    )
    problems = validate(model, [('/faces/cut.png', None), *GOOD, ('/faces/nan.png', 0.8), ('/faces/big.png', 0.9)])
    assert problems == [
        '/faces/cut.png: it is empty',
        '/faces/nan.png, 16x16: the output of the network is not finite (NaN or infinity), so nothing is drawn or '
        'scored; its weights may be broken, take those of another checkpoint',
        '/faces/big.png, 16x16: there is not enough memory to restore it: cut the face out '
        '(python -m selfsr_plugin.prepare_faces).',
    ]
    assert pictures(tmp_path) == ['a/a_5.png', 'b/b_5.png']
    assert reported['red'] == pytest.approx(0.3) and reported['n'] == 3


def test_networks_go_on_in_their_own_mode_after_an_image_that_fails(model):
    model.net_g, model.net_deg = nn.Sequential(nn.BatchNorm2d(3)), nn.Sequential(nn.Dropout()).eval()
    model.make_evaluation = lambda data: model.net_g(data['gt'][:, :2])
    assert len(validate(model, GOOD)) == 2
    assert [module.training for net in (model.net_g, model.net_deg) for module in net.modules()] == [True] * 2 + [
        False
    ] * 2
    assert not model.net_g[0].num_batches_tracked


def test_figures_over_some_images_are_no_best_value(model):
    validate(model, [*GOOD, ('/faces/cut.png', None)])
    assert not getattr(model, 'best_metric_results', {})
    assert validate(model, GOOD) == [] and model.best_metric_results['people']['psnr']['iter'] == 5


def test_a_picture_that_cannot_be_written(model, tmp_path):
    long = 'x' * 250
    (problem,) = validate(model, [*GOOD, (f'/faces/{long}.png', 0.5)])
    assert problem.startswith(f'/faces/{long}.png, 16x16: ') and 'File name too long' in problem
    assert pictures(tmp_path) == ['a/a_5.png', 'b/b_5.png']


def test_a_metric_that_fails_is_named(model):
    model.opt['val']['metrics']['psnr']['crop_border'] = 'x'
    problems = validate(model, GOOD)
    assert len(problems) == 2 and problems[0].startswith('/faces/a.png, 16x16: val.metrics.psnr: ')


def test_a_metric_that_comes_to_no_number_is_named(model):
    model.opt['val']['metrics']['psnr']['crop_border'] = 500  # nothing is left of the image
    problems = validate(model, GOOD)
    assert (
        len(problems) == 2
        and 'val.metrics.psnr: it comes to no number (NaN), perhaps since crop_border 500 leaves' in problems[0]
    )


# ----- pictures -----


def test_sets_have_folders_of_their_own_where_there_are_several(model, tmp_path):
    validate(model, GOOD[:1])
    model.opt['datasets']['val_2'] = {}
    validate(model, GOOD[:1], name='first')
    validate(model, GOOD[:1], name='second')
    assert pictures(tmp_path) == ['a/a_5.png', 'first/a/a_5.png', 'second/a/a_5.png']


def test_keys_with_folders(model, tmp_path):
    names = [(f'/faces/{name}.png', 0.1 * number) for number, name in enumerate(('a/1', 'b/1', 'b/2'), 1)]
    validate(model, names)
    assert pictures(tmp_path) == ['a/1/1_5.png', 'b/1/1_5.png', 'b/2/2_5.png']
    model.is_train = False
    model.opt['val']['suffix'] = 'x'
    validate(model, names, name='set')
    assert pictures(tmp_path)[-3:] == ['set/a/1_x.png', 'set/b/1_x.png', 'set/b/2_x.png']


def test_equal_names_of_foreign_data_sets_do_not_replace_each_other(model, tmp_path):
    validate(model, [('/one/a.png', 0.1), ('/two/a.png', 0.9 * 0.8)], root='/elsewhere')
    first, second = (cv2.imread(str(tmp_path / name)) for name in ('a/a_5.png', 'a_2/a_2_5.png'))
    assert len(pictures(tmp_path)) == 2 and not np.array_equal(first, second)


@pytest.mark.parametrize(
    'path, root, name',
    [
        ('/faces/x.png', '/faces', 'x'),
        ('/faces/a/x.y.png', '/faces/', 'a/x.y'),
        ('/faces/../x.png', '/faces', 'x'),
        ('/other/a/x.png', '/faces', 'x'),
        ('faces/a/x.png', './faces', 'a/x'),
        ('/facesx/a.png', '/faces', 'a'),
    ],
)
def test_picture_name(path, root, name):
    assert picture_name(path, dict(dataroot_lq=root)) == name


def test_pictures_are_called_after_the_lr_image_where_one_folder_lies_in_the_other():
    roots = dict(dataroot_gt='/faces', dataroot_lq='/faces/lq')
    assert picture_name('/faces/lq/a/b.png', roots) == 'a/b' and picture_name('/faces/c.png', roots) == 'c'


# ----- the best values of a resumed run -----


def test_a_record_for_each_metric_that_is_new_or_set_otherwise(model):
    metrics = model.opt['val']['metrics']
    assert validate(model, GOOD, 5) == []
    saved = copy.deepcopy(model.best_metric_results)
    assert saved['people']['psnr'] == dict(
        better='higher',
        val=float('inf'),
        iter=5,
        settings=dict(type='calculate_psnr', crop_border=0),
        images=dict(number=2, dataroot_gt=True),
    )
    metrics['ssim'] = dict(type='calculate_ssim', crop_border=0)
    model.best_metric_results['people']['psnr']['val'] = 1e9
    validate(model, GOOD, 6)
    assert model.best_metric_results['people']['ssim']['iter'] == 6
    model.best_metric_results['people']['ssim']['val'] = 1e9  # out of reach
    metrics['ssim']['crop_border'] = 1
    validate(model, GOOD, 7)
    assert model.best_metric_results['people']['ssim']['iter'] == 7
    model.best_metric_results['people']['ssim'].update(better='lower', val=-1.0)  # as a run without directions saved it
    validate(model, GOOD, 8)
    assert model.best_metric_results['people']['ssim']['better'] == 'higher'
    assert model.best_metric_results['people']['ssim']['val'] == pytest.approx(1.0)


@pytest.mark.parametrize(
    'metric, best, at', [('calculate_psnr', 0.5, 10), ('calculate_lpips', 0.3, 20), ('calculate_niqe', 0.3, 20)]
)
def test_the_best_value_is_the_highest_or_the_lowest_as_the_metric_has_it(model, metric, best, at):
    metrics = dict(figure=dict(type=metric))
    for iteration, value in ((10, 0.5), (20, 0.3), (30, 0.4)):
        model._report(dict(figure=value), Images(GOOD), iteration, None, metrics, 0)
    record = model.best_metric_results['people']['figure']
    assert (record['val'], record['iter']) == (best, at)


def test_records_of_before_go_on(model):
    model.best_metric_results = dict(people=dict(psnr=dict(better='higher', val=float('inf'), iter=3)))
    model.opt['val']['metrics']['psnr']['crop_border'] = 0
    validate(model, [('/faces/a.png', 0.2)], 9)
    assert model.best_metric_results['people']['psnr']['iter'] == 9  # equal counts as better, as in BasicSR


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_one_value_that_is_not_finite_is_enough_to_draw_nothing(value):
    output = torch.zeros(1, 3, 4, 4)
    output[0, 1, 2, 3] = value
    with pytest.raises(ValueError, match='not finite'):
        to_image(output)


def test_a_best_value_outlives_a_move_of_files_and_no_other_change():
    model = SimpleNamespace()
    settings = dict(type='calculate_lpips', weights='a.pth')

    def best(settings, **images):
        return ValidatedModel._best_record(model, 'faces', 'lpips', settings, _kind_of(Images(GOOD, **images)))

    record = best(settings)
    assert record['val'] == float('inf') and record['better'] == 'lower'
    record['val'] = 0.25
    for same in (dict(weights='b.pth'), dict(better='lower'), dict(reference='c')):
        assert best({**settings, **same})['val'] == 0.25
    assert best(settings, root='/moved')['val'] == 0.25
    assert best(dict(settings, crop_border=4))['val'] == float('inf')


def test_a_best_value_is_that_of_its_images(model):
    """A run is resumed with more of them, or with other LR images."""
    validate(model, GOOD, 5)
    records = model.best_metric_results['people']
    for iteration, change in enumerate((dict(names=GOOD[:1]), dict(lq='/bicubic')), start=6):
        records['psnr']['val'] = 1e9  # out of reach
        dataset = Images(change.get('names', GOOD))
        dataset.opt['dataroot_lq'] = change.get('lq')
        model._report(dict(psnr=1.0), dataset, iteration, None, model.opt['val']['metrics'], 0)
        assert records['psnr']['iter'] == iteration
