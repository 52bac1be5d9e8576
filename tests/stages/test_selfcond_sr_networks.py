"""Stage 2 with networks of BasicSR, ours in BasicSR's models, and weights from files."""

import pytest
import torch
from basicsr.utils import get_root_logger, tensor2img
from model_kit import ADAM, assert_identical, batch, images, options, snapshot, stage2_options, start, train

from selfsr_plugin.errors import UserError
from selfsr_plugin.ops import bicubic_resize


@pytest.fixture
def basicsr_log(monkeypatch):
    """Lets pytest see what BasicSR's logger is told."""
    monkeypatch.setattr(get_root_logger(), 'propagate', True)


RRDB = dict(type='RRDBNet', num_in_ch=3, num_out_ch=3, scale=4, num_feat=4, num_block=1, num_grow_ch=4)


def fixed_batch_losses(model, iterations, name, data):
    losses = []
    for i in range(1, iterations + 1):
        model.update_learning_rate(i, -1)
        model.feed_data(data)
        model.optimize_parameters(i)
        losses.append(model.get_current_log()[name])
    return losses


def test_basicsrs_network_trains_in_our_model(tmp_path):
    opt = stage2_options(
        tmp_path,
        ('d', 'deg'),
        supervision='pseudo',
        grow_at=[],
        ema_decay=0.5,
        gan_opt=dict(type='GANLoss', gan_type='hinge', loss_weight=1e-3),
    )
    model = start(dict(opt, network_g=RRDB))
    losses = fixed_batch_losses(model, 25, 'l_g_rec', batch(1, size=2))
    assert losses[-1] < 0.7 * losses[0]
    assert all(parameter in model.optimizer_g.state for parameter in model.net_g.parameters())


@pytest.mark.parametrize(
    'label, network', [('g', RRDB), ('d', dict(type='UNetDiscriminatorSN', num_in_ch=3, num_feat=4))]
)
def test_basicsrs_networks_cannot_grow(tmp_path, label, network):
    opt = stage2_options(tmp_path)
    opt[f'network_{label}'] = network
    with pytest.raises(ValueError, match=rf'train.grow_at: network_{label} \({network["type"]}\) has no levels'):
        start(opt)


def test_a_file_of_a_run_in_the_middle_of_a_fade_is_remarked_on(tmp_path, caplog, basicsr_log):
    train(start(stage2_options(tmp_path, fade_iter=4, grow_at=[1])), range(1, 4), save_at=[3])
    opt = dict(stage2_options(tmp_path, ('g',)), is_train=False)
    opt['path']['pretrain_network_g'] = str(tmp_path / 'models/net_g_3.pth')
    start(opt)
    assert 'net_g_3.pth was saved at level 2 of 2, alpha 0.5; what is above has not been trained' in caplog.text


def test_a_file_of_a_growing_run_is_tested_at_its_level(tmp_path, caplog, basicsr_log):
    model = train(start(stage2_options(tmp_path, ema_decay=0.9)), range(1, 5), save_at=[2, 4])
    opt = dict(stage2_options(tmp_path, ('g',)), is_train=False)
    lq, outputs = images(1, 3, 16, 16), {}
    for iteration, words in (
        (2, 'net_g_2.pth was saved at level 1 of 2, alpha 1; what is above has not been trained'),
        (4, ''),
    ):
        caplog.clear()
        opt['path']['pretrain_network_g'] = str(tmp_path / 'models' / f'net_g_{iteration}.pth')
        tester = start(opt)
        assert words in caplog.text and ('was saved at level' in caplog.text) is bool(words)
        outputs[iteration] = tester.evaluate(dict(lq=lq)).image
        level = torch.load(opt['path']['pretrain_network_g'], weights_only=True)['level']
        with torch.no_grad():
            expected = tester.net_g(lq, level)
        assert (outputs[iteration] == tensor2img(bicubic_resize(expected, (64, 64)) if level == 1 else expected)).all()
    assert_identical(snapshot(tester.net_g), snapshot(model.net_g_ema))  # the average, since the file has one
    opt['path']['param_key_g'] = 'params'
    assert_identical(snapshot(start(opt).net_g), snapshot(model.net_g))


def test_weights_of_a_lower_level_are_trained_further(tmp_path):
    """The schedule of the new run says where it stands, and the file is no hindrance."""
    train(start(stage2_options(tmp_path)), [1], save_at=[1])
    opt = stage2_options(tmp_path, grow_at=[])
    opt['path'].update(
        pretrain_network_g=str(tmp_path / 'models/net_g_1.pth'), pretrain_network_d=str(tmp_path / 'models/net_d_1.pth')
    )
    model = start(opt)
    assert model.net_g.level == model.net_d.level == 1
    train(model, [1]).save(0, 9)
    for label in ('g', 'd'):
        content = torch.load(tmp_path / f'models/net_{label}_9.pth', weights_only=True)
        assert (content['level'], content['alpha']) == (2, 1)
    assert model.get_current_log()['level'] == 2


def test_what_a_file_says_and_what_the_options_say(tmp_path):
    train(start(stage2_options(tmp_path)), [1], save_at=[1])
    opt = stage2_options(tmp_path)
    opt['path']['pretrain_network_d'] = str(tmp_path / 'models/net_d_1.pth')
    opt['network_d']['stddev_group'] = 4  # the shapes are the same
    message = 'net_d_1.pth holds a ProgressiveDiscriminator with stddev_group: 2, and .* with stddev_group: 4; make'
    with pytest.raises(UserError, match=message):
        start(opt)
    opt['path']['strict_load_d'] = False  # takes what fits
    start(opt)
    opt['path']['pretrain_network_d'] = str(tmp_path / 'models/net_g_1.pth')
    opt['path'].pop('strict_load_d')
    with pytest.raises(
        UserError, match='net_g_1.pth holds a SelfCondSRNet, and .* describes a ProgressiveDiscriminator'
    ):
        start(opt)
    assert torch.load(tmp_path / 'models/net_g_1.pth', weights_only=True)['architecture'] == dict(
        type='SelfCondSRNet', num_in_ch=3, num_out_ch=3, widths=[6, 4], num_block=1, cond_ratio=2, condition='scale'
    )


def test_without_strict_what_fits_is_taken(tmp_path, caplog, basicsr_log):
    net = start(dict(stage2_options(tmp_path), manual_seed=77)).net_g
    weights = net.state_dict()
    del weights['levels.1.conv.bias']
    weights['levels.1.conv.weight'] = weights['levels.1.conv.weight'][:, 1:]
    torch.save(weights, tmp_path / 'net.pth')
    opt = stage2_options(tmp_path)
    built = start(opt).net_g
    opt['path'].update(pretrain_network_g=str(tmp_path / 'net.pth'), strict_load_g=False)
    found = start(opt).net_g
    assert 'net.pth has no weights of this shape for 2 of' in caplog.text
    assert torch.equal(found.stem.weight, net.stem.weight)
    assert torch.equal(found.levels[1].conv.weight, built.levels[1].conv.weight)
    torch.save({'other.weight': torch.zeros(1)}, tmp_path / 'net.pth')
    with pytest.raises(UserError, match='net.pth has no weight that fits SelfCondSRNet'):
        start(opt)


def test_our_network_trains_in_basicsrs_model(tmp_path):
    opt = options(
        tmp_path,
        'SRModel',
        ('g',),
        dict(
            total_iter=25,
            optim_g=ADAM,
            scheduler=dict(type='MultiStepLR', milestones=[20], gamma=0.5),
            ema_decay=0.9,
            pixel_opt=dict(type='L1Loss', loss_weight=1.0, reduction='mean'),
        ),
    )
    model, data = start(opt), batch(1, size=2)
    losses = fixed_batch_losses(model, 25, 'l_pix', data)
    assert losses[-1] < 0.8 * losses[0]
    assert all(
        p.grad is not None
        for n, p in model.net_g.named_parameters()
        if n != 'levels.0.to_rgb.weight' and n != 'levels.0.to_rgb.bias'
    )  # SRModel trains the full scale

    # What BasicSR saved, we test with.
    model.save(0, 25)
    opt = dict(stage2_options(tmp_path, ('g',)), is_train=False)
    opt['path'].update(pretrain_network_g=str(tmp_path / 'models' / 'net_g_25.pth'))
    tester = start(opt)
    with torch.no_grad():
        expected = tensor2img(model.net_g_ema(data['lq'][:1]))
    assert (tester.evaluate(dict(lq=data['lq'][:1])).image == expected).all()


@pytest.mark.parametrize(
    'content, message',
    [
        (dict(params=dict(stem=torch.zeros(3))), 'does not fit SelfCondSRNet'),
        (dict(weights=1), 'holds no weights of a network'),
        (torch.zeros(3), 'holds no weights of a network'),
        (dict(params=3), "holds no weights of a network under 'params'"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, content, message):
    torch.save(content, tmp_path / 'net.pth')
    opt = stage2_options(tmp_path)
    opt['path']['pretrain_network_g'] = str(tmp_path / 'net.pth')
    with pytest.raises(ValueError, match=message) as caught:
        start(opt)
    assert 'net.pth' in str(caught.value)


def test_weights_of_data_parallel_networks_load(tmp_path):
    net = start(dict(stage2_options(tmp_path), manual_seed=77)).net_g
    torch.save(dict(params={f'module.{k}': v for k, v in net.state_dict().items()}), tmp_path / 'net.pth')
    opt = stage2_options(tmp_path)
    opt['path']['pretrain_network_g'] = str(tmp_path / 'net.pth')
    assert_identical(snapshot(start(opt).net_g), snapshot(net))
