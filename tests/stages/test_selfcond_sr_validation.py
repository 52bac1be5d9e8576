"""Validation and testing of stage 2."""

import cv2
import numpy as np
import pytest
import torch
from basicsr.metrics import calculate_psnr
from basicsr.utils import tensor2img
from model_kit import (
    Recorder,
    assert_identical,
    batch,
    everything,
    files_below,
    loader,
    resized,
    stage2_options,
    start,
    train,
)

from selfsr_plugin.engine.checkpoint import load_checkpoint


@pytest.mark.parametrize('iteration, level', [(1, 1), (4, 2)])
def test_validation_at_every_level(tmp_path, iteration, level):
    model, writer, faces = start(stage2_options(tmp_path)), Recorder(), loader(['gt', 'lq'])
    train(model, [iteration])
    model.validation(faces, iteration, writer, save_img=True)
    root = tmp_path / 'visualization'
    assert files_below(root) == [f'face{i}/face{i}_{iteration}.png' for i in (0, 1)]
    scores = []
    for i, sample in enumerate(faces):
        with torch.no_grad():
            output = model.net_g(sample['lq'], level)
        expected = tensor2img(output if level == 2 else resized(output, 2))
        written = cv2.imread(str(root / f'face{i}/face{i}_{iteration}.png'))
        assert written.shape == (64, 64, 3)
        assert np.abs(written.astype(int) - expected).max() <= 1
        scores.append(calculate_psnr(written, tensor2img(sample['gt']), crop_border=0, test_y_channel=True))
    assert writer.scalars == {'metrics/faces/psnr': pytest.approx(np.mean(scores))}
    best = model.best_metric_results['faces']['psnr']
    assert (best['better'], best['val'], best['iter']) == ('higher', pytest.approx(np.mean(scores)), iteration)
    assert model.net_g.training


def test_best_result_is_kept(tmp_path):
    model, faces, scores = start(stage2_options(tmp_path, grow_at=[])), loader(['gt', 'lq']), []
    for i in (1, 2, 3):
        writer = Recorder()
        train(model, [i])
        model.validation(faces, i, writer)
        scores.append(writer.scalars['metrics/faces/psnr'])
    best = model.best_metric_results['faces']['psnr']
    assert best['val'] == max(scores) and best['iter'] == 1 + scores.index(max(scores))


def test_validation_without_ground_truth_writes_images_and_no_metrics(tmp_path):
    model, writer = train(start(stage2_options(tmp_path)), [1]), Recorder()
    model.validation(loader(['lq']), 1, writer, save_img=True)
    assert len(files_below(tmp_path / 'visualization')) == 2 and not writer.scalars


def test_validation_skips_data_without_lr_faces(tmp_path):
    model, writer = train(start(stage2_options(tmp_path)), [1]), Recorder()
    model.validation(loader(['gt']), 1, writer, save_img=True)
    assert not files_below(tmp_path / 'visualization') and not writer.scalars


def test_validation_can_leave_the_images_out(tmp_path):
    model, writer = train(start(stage2_options(tmp_path)), [1]), Recorder()
    model.validation(loader(['gt', 'lq']), 1, writer, save_img=False)
    assert not files_below(tmp_path / 'visualization') and 'metrics/faces/psnr' in writer.scalars


def test_validation_does_not_touch_training(tmp_path):
    settings = dict(ema_decay=0.5, net_d_reg_every=2)
    undisturbed = everything(train(start(stage2_options(tmp_path, **settings)), range(1, 5)))
    model = train(start(stage2_options(tmp_path, **settings)), [1, 2, 3])
    model.validation(loader(['gt', 'lq']), 3, None)
    assert_identical(everything(train(model, [4])), undisturbed)


def test_picture_during_fade_in_is_that_of_the_network_being_trained(tmp_path):
    # Early in the fade the new output is nearly untrained; what is trained is the blend.
    model = train(start(stage2_options(tmp_path, fade_iter=1000)), [1, 2, 3, 4])
    data = next(iter(loader(['lq'])))
    with torch.no_grad():
        expected = tensor2img(model.net_g(data['lq'], 2, 0.001))
    assert np.abs(model.evaluate(data).image.astype(int) - expected).max() <= 1


def test_validation_after_a_rehearsal_is_where_training_stands(tmp_path):
    model, data = train(start(stage2_options(tmp_path, fade_iter=2)), [1]), next(iter(loader(['lq'])))
    before = model.evaluate(data).image
    model.rehearse(5, batch(5))
    assert (model.evaluate(data).image == before).all()


def test_validation_before_the_first_iteration_of_a_resumed_run_is_where_training_stands(tmp_path):
    opt, data = stage2_options(tmp_path, fade_iter=4), next(iter(loader(['lq'])))
    for iteration in (1, 4):
        model, resumed = train(start(opt), range(1, iteration + 1), save_at=[iteration]), start(opt)
        resumed.resume_training(load_checkpoint(tmp_path / f'training_states/{iteration}.state'))
        assert (resumed.evaluate(data).image == model.evaluate(data).image).all()


@pytest.mark.parametrize('ema_decay', [0, 0.5])
def test_networks_are_validated_in_eval_mode_and_go_on_in_their_own(tmp_path, ema_decay):
    """Foreign ones may have layers that know the difference."""
    model, modes = train(start(stage2_options(tmp_path, ema_decay=ema_decay)), [1]), []
    validated = model.net_g_ema if ema_decay else model.net_g
    validated.register_forward_hook(lambda net, *_: modes.append(net.training))
    model.evaluate(next(iter(loader(['lq']))))
    assert modes == [False] and model.net_g.training
    assert not ema_decay or not model.net_g_ema.training


def test_test_mode_writes_where_basicsr_does(tmp_path):
    trained = train(start(stage2_options(tmp_path)), range(1, 5), save_at=[4])
    opt = dict(stage2_options(tmp_path), is_train=False)
    opt.pop('train')
    opt['path']['pretrain_network_g'] = str(tmp_path / 'models' / 'net_g_4.pth')
    opt['val']['suffix'] = None
    model, writer = start(opt), Recorder()
    assert not hasattr(model, 'net_d') and not hasattr(model, 'net_deg')
    model.validation(loader(['gt', 'lq'], 'people'), 'test', writer, save_img=True)
    assert files_below(tmp_path / 'visualization') == ['people/face0_test.png', 'people/face1_test.png']
    data = next(iter(loader(['lq'])))
    with torch.no_grad():
        expected = tensor2img(trained.net_g(data['lq']))
    assert (cv2.imread(str(tmp_path / 'visualization/people/face0_test.png')) == expected).all()
    opt['val']['suffix'] = 'mine'
    start(opt).validation(loader(['lq'], 'people', 1), 'test', None, save_img=True)
    assert 'people/face0_mine.png' in files_below(tmp_path / 'visualization')
