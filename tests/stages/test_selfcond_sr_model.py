"""Stage 2: what is trained against what (Eqs. 7 to 11), growth, R1, the moving average, validation."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from basicsr.utils import tensor2img
from model_kit import (
    NETWORKS,
    assert_identical,
    batch,
    files_below,
    give_heads_weights,
    images,
    loader,
    options,
    resized,
    snapshot,
    stage2_options,
    stage2_train,
    start,
    train,
)

from selfsr_plugin.engine.checkpoint import load_checkpoint


def l1(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference in [-1, 1] of images in [0, 1]."""
    return (2 * (a - b)).abs().mean()


class Watch:
    """Records the input and output of the generator's training forward."""

    def __init__(self, model) -> None:
        model.net_g.register_forward_hook(self._record, with_kwargs=True)

    def _record(self, _, inputs, keywords, output) -> None:
        self.lq, self.keywords, self.fake = inputs[0].detach(), keywords, output.detach()


# ----- the three supervisions -----


@pytest.mark.parametrize('iteration, level', [(1, 1), (4, 2)])
@pytest.mark.parametrize(
    'supervision, has_lq',
    [('paired', True), ('paired', False), ('unpaired', True), ('pseudo', False), ('pseudo', True)],
)
def test_input_and_losses(tmp_path, supervision, has_lq, iteration, level):
    asked = dict(lq_from_gt=True) if supervision == 'paired' and not has_lq else {}
    model = start(stage2_options(tmp_path, supervision=supervision, **asked))
    watch, data = Watch(model), batch(iteration)
    if not has_lq:
        del data['lq']
    net_d = deepcopy(model.net_d)
    model.feed_data(data)
    model.optimize_parameters(iteration)
    log = model.get_current_log()

    clean = resized(data['gt'], 0.25).clamp(0, 1)
    expected_lq = clean
    if supervision == 'pseudo':
        expected_lq = model.net_deg(clean)
        assert (expected_lq - clean).abs().max() > 0.05
    elif has_lq:
        expected_lq = data['lq']
    torch.testing.assert_close(watch.lq, expected_lq, rtol=0, atol=1e-5)
    assert watch.keywords == dict(level=level, alpha=1.0)
    assert watch.fake.shape[-1] == 16 * 2**level

    real = data['gt'] if level == 2 else resized(data['gt'], 0.5).clamp(0, 1)
    if supervision == 'unpaired':
        expected = {'l_g_cyc': 20 * l1(resized(watch.fake, 0.5**level), data['lq'])}
    else:
        expected = {'l_g_rec': 20 * l1(watch.fake, real)}
    with torch.no_grad():
        judged_fake, judged_real = net_d(watch.fake, level), net_d(real, level)
    expected['l_g_adv'] = -0.5 * judged_fake.mean()
    expected['l_d_real'] = (1 - judged_real).clamp(min=0).mean()
    expected['l_d_fake'] = (1 + judged_fake).clamp(min=0).mean()
    assert set(log) == set(expected) | {'l_d_r1', 'level', 'alpha'}
    for name, value in expected.items():
        assert log[name] == pytest.approx(value.item(), rel=1e-4, abs=1e-5), name
    assert (log['level'], log['alpha']) == (level, 1.0)


@pytest.mark.parametrize('supervision', ['paired', 'pseudo'])
def test_shrunk_images_are_clamped_as_stored_images_are(tmp_path, supervision):
    # The bicubic kernel overshoots at an edge between black and white.
    asked = dict(lq_from_gt=True) if supervision == 'paired' else {}
    model = start(
        stage2_options(tmp_path, supervision=supervision, **asked), seed_heads=False
    )  # the degradation is none
    watch, judged = Watch(model), []
    model.net_d.register_forward_hook(lambda _, inputs, __: judged.append(inputs[0].detach()))
    gt = torch.zeros(2, 3, 64, 64)
    gt[..., :32] = 1
    model.feed_data(dict(gt=gt))
    model.optimize_parameters(1)
    assert resized(gt, 0.5).min() < -0.01 and resized(gt, 0.25).max() > 1.01
    for shrunk in (watch.lq, judged[1]):
        assert shrunk.min() > -1e-5 and shrunk.max() < 1 + 1e-5


def test_degradation_network_stays_as_it_was(tmp_path):
    model = start(stage2_options(tmp_path, supervision='pseudo'))
    before = snapshot(model.net_deg)
    train(model, range(1, 4))
    assert_identical(snapshot(model.net_deg), before)
    assert not model.net_deg.training
    assert not any(parameter.requires_grad for parameter in model.net_deg.parameters())


def test_degradation_network_comes_from_its_file(tmp_path):
    net_deg = start(stage2_options(tmp_path, supervision='pseudo')).net_deg
    give_heads_weights(net_deg, seed=8)
    torch.save(dict(params=net_deg.state_dict()), tmp_path / 'deg.pth')
    opt = stage2_options(tmp_path, supervision='pseudo')
    opt['path']['pretrain_network_deg'] = str(tmp_path / 'deg.pth')
    assert_identical(snapshot(start(opt, seed_heads=False).net_deg), snapshot(net_deg))


def test_fade_in_blends_the_real_images_as_the_network_blends_its_output(tmp_path):
    model = start(stage2_options(tmp_path, fade_iter=4))
    watch, data, judged = Watch(model), batch(4), []
    model.net_d.register_forward_hook(lambda _, inputs, __: judged.append(inputs[0].detach()))
    train(model, [4])  # the first iteration of level 2: alpha 1/4
    assert watch.keywords == dict(level=2, alpha=0.25)
    gt = data['gt']
    blocks = gt.reshape(4, 3, 32, 2, 32, 2).mean(dim=(3, 5)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    expected = 0.75 * blocks + 0.25 * gt
    torch.testing.assert_close(judged[1], expected, rtol=0, atol=1e-5)
    assert model.get_current_log()['l_g_rec'] == pytest.approx(20 * l1(watch.fake, expected).item(), rel=1e-4)


def test_steps_move_their_own_network(tmp_path, monkeypatch):
    model = start(stage2_options(tmp_path))
    at_step = {}
    for label in ('g', 'd'):
        optimizer = getattr(model, f'optimizer_{label}')

        def step(label=label, run=optimizer.step):
            at_step[label] = {other: snapshot(getattr(model, f'net_{other}')) for other in ('g', 'd')}
            if label == 'g':
                assert all(parameter.grad is None for parameter in model.net_d.parameters())
            return run()

        monkeypatch.setattr(optimizer, 'step', step)
    before = {label: snapshot(getattr(model, f'net_{label}')) for label in ('g', 'd')}
    train(model, [1])
    assert list(at_step) == ['g', 'd']
    assert_identical(at_step['d']['d'], before['d'])
    assert_identical(at_step['d']['g'], snapshot(model.net_g))


def test_generators_gradient_is_equation_10(tmp_path, float64):
    model = start(stage2_options(tmp_path))
    net_g, net_d, data = deepcopy(model.net_g), deepcopy(model.net_d), batch(4)
    train(model, [4])
    fake = net_g(data['lq'])
    (20 * l1(fake, data['gt']) - 0.5 * net_d(fake).mean()).backward()
    for (name, a), (_, b) in zip(net_g.named_parameters(), model.net_g.named_parameters()):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-8, atol=1e-10, msg=name)


# ----- R1 -----


def test_r1_against_finite_differences(tmp_path, float64):
    opt = stage2_options(tmp_path, ('g', 'd'), grow_at=[])
    opt.update(scale=2, network_g=dict(NETWORKS['network_g'], widths=[4]))
    opt['network_d'] = dict(NETWORKS['network_d'], size=8, num_level=1, stddev_group=1)
    model = start(opt)
    net_d, real, h = deepcopy(model.net_d), images(2, 3, 8, 8, seed=4), 1e-6
    model.feed_data(dict(gt=real, lq=images(2, 3, 4, 4, seed=5)))
    model.optimize_parameters(1)
    total = 0.0
    for face in real:
        steps = torch.eye(3 * 8 * 8).reshape(-1, 3, 8, 8) * h / 2  # h in [-1, 1] is h / 2 in [0, 1]
        with torch.no_grad():
            slopes = (net_d(face + steps) - net_d(face - steps)) / (2 * h)
        total += slopes.square().sum()
    # gamma / 2 * E |grad D|^2 with gamma = 10, the gradient taken in [-1, 1]
    assert model.get_current_log()['l_d_r1'] == pytest.approx(10 / 2 * total.item() / 2, rel=1e-5)


@pytest.mark.parametrize('every', [1, 3])
def test_lazy_r1_makes_up_for_the_iterations_it_skips(tmp_path, float64, every):
    model = start(stage2_options(tmp_path, grow_at=[], net_d_reg_every=every))
    watch = Watch(model)
    for i in (1, 2, 3):
        net_d = deepcopy(model.net_d)
        net_d.requires_grad_(True)
        train(model, [i])
        assert ('l_d_r1' in model.get_current_log()) == (i >= every)
        real = batch(i)['gt'].requires_grad_()
        judged = net_d(real)
        loss = (1 - judged).clamp(min=0).mean() + (1 + net_d(watch.fake)).clamp(min=0).mean()
        if i % every == 0:
            (gradient,) = torch.autograd.grad(judged.sum(), real, create_graph=True)
            # In [0, 1] the gradient is twice that in [-1, 1].
            loss = loss + every * 10 / 2 * (gradient / 2).square().sum() / len(real)
        net_d.zero_grad(set_to_none=True)
        loss.backward()
        for (name, a), (_, b) in zip(net_d.named_parameters(), model.net_d.named_parameters()):
            assert (a.grad is None) == (b.grad is None), name
            if a.grad is not None:
                torch.testing.assert_close(b.grad, a.grad, rtol=1e-7, atol=1e-9, msg=f'{name}, iteration {i}')


def test_without_weight_there_is_no_r1(tmp_path):
    model = train(start(stage2_options(tmp_path, r1_reg_weight=0)), [1])
    assert 'l_d_r1' not in model.get_current_log()


# ----- growth -----


def test_levels_that_are_not_reached_have_no_gradient_no_state_and_do_not_move(tmp_path):
    model = start(stage2_options(tmp_path, grow_at=[2], fade_iter=0))
    later = {
        label: dict(parameters)
        for label, parameters in {
            'g': [(n, p) for n, p in model.net_g.named_parameters() if n.startswith('levels.1.')],
            'd': [(n, p) for n, p in model.net_d.named_parameters() if n.startswith(('blocks.0.', 'from_rgb.0.'))],
        }.items()
    }
    before = {label: {name: p.clone() for name, p in named.items()} for label, named in later.items()}
    train(model, [1, 2])
    for label, named in later.items():
        state = getattr(model, f'optimizer_{label}').state
        for name, parameter in named.items():
            assert parameter.grad is None and parameter not in state and not parameter.requires_grad, name
            assert torch.equal(parameter, before[label][name]), name
        rest = {id(p) for p in named.values()}
        for name, parameter in getattr(model, f'net_{label}').named_parameters():
            assert id(parameter) in rest or parameter in state, name
    train(model, [3])
    for label, named in later.items():
        state = getattr(model, f'optimizer_{label}').state
        for name, parameter in named.items():
            assert state[parameter]['step'] == 1, name
            if name.endswith('weight'):
                assert not torch.equal(parameter, before[label][name]), name


def test_outgrown_outputs_stand_still(tmp_path):
    model = train(start(stage2_options(tmp_path, grow_at=[2])), [1, 2, 3])
    outgrown = (model.net_g.levels[0].to_rgb.weight, model.net_d.from_rgb[1].weight)
    before = [weight.clone() for weight in outgrown]
    train(model, [4, 5])
    assert all(torch.equal(a, b) for a, b in zip(outgrown, before))
    assert model.optimizer_g.state[outgrown[0]]['step'] == 2


def test_fading_trains_the_outputs_of_both_levels(tmp_path):
    model = train(start(stage2_options(tmp_path, grow_at=[2], fade_iter=2)), [1, 2, 3])
    old, new = model.net_g.levels[0].to_rgb.weight, model.net_g.levels[1].to_rgb.weight
    assert model.optimizer_g.state[old]['step'] == 3 and model.optimizer_g.state[new]['step'] == 1
    train(model, [4])  # alpha is 1
    assert model.optimizer_g.state[old]['step'] == 3 and model.optimizer_g.state[new]['step'] == 2


def test_level_is_a_function_of_the_iteration_alone(tmp_path):
    # A run that starts at iteration 5 without having seen the growth step is at level 2.
    model = start(stage2_options(tmp_path))
    train(model, [5])
    assert model.get_current_log()['level'] == 2


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(scale=8), 'scale: 8 needs 3 levels, but network_g has 2'),
        (dict(network_d=dict(NETWORKS['network_d'], num_level=3)), 'network_d has 3'),
    ],
)
def test_refuses_networks_of_another_scale(tmp_path, changes, message):
    opt = dict(stage2_options(tmp_path, grow_at=[]), **changes)
    with pytest.raises(ValueError, match=message):
        start(opt)


# ----- moving average -----


def test_moving_average_by_hand(tmp_path, float64):
    model = start(stage2_options(tmp_path, ema_decay=0.9, grow_at=[2]))
    expected = snapshot(model.net_g)
    for i in (1, 2, 3, 4):
        train(model, [i])
        now = model.net_g.state_dict()
        expected = {name: 0.9 * value + 0.1 * now[name] for name, value in expected.items()}
    found = model.net_g_ema.state_dict()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-12, atol=1e-14, msg=name)
    assert not torch.equal(found['stem.weight'], now['stem.weight'])


def test_moving_average_is_saved_and_validated(tmp_path):
    model = train(start(stage2_options(tmp_path, ema_decay=0.5)), range(1, 5), save_at=[4])
    content = load_checkpoint(tmp_path / 'models' / 'net_g_4.pth')
    assert_identical(dict(content['params']), snapshot(model.net_g))
    assert_identical(dict(content['params_ema']), snapshot(model.net_g_ema))
    data = next(iter(loader(['lq'])))
    with torch.no_grad():
        expected = tensor2img(model.net_g_ema(data['lq'], 2))
        raw = tensor2img(model.net_g(data['lq'], 2))
    assert (model.evaluate(data).image == expected).all() and (expected != raw).any()


def test_without_discriminator(tmp_path, float64):
    model = start(stage2_options(tmp_path, ('g',)))
    net_g, data = deepcopy(model.net_g), batch(4)
    train(model, [4], save_at=[4])
    assert set(model.get_current_log()) == {'l_g_rec', 'level', 'alpha'}
    (20 * l1(net_g(data['lq']), data['gt'])).backward()
    torch.testing.assert_close(model.net_g.stem.weight.grad, net_g.stem.weight.grad)
    assert files_below(tmp_path / 'models') == ['net_g_4.pth']


def test_scheduler_of_basicsr(tmp_path):
    opt = stage2_options(tmp_path, scheduler=dict(type='MultiStepLR', milestones=[2], gamma=0.5))
    rates = []
    for model in (start(opt), start(opt)):  # the option dictionary serves twice
        for i in range(1, 5):
            train(model, [i])
            rates.append(model.get_current_learning_rate()[0])
    assert rates == pytest.approx([0.003, 0.003, 0.0015, 0.0015] * 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device on this machine')
def test_gpu_equals_cpu_across_a_growth_step(tmp_path, float64):
    # Double precision: Adam turns the last digits of small float32 gradients into whole steps.
    settings = dict(supervision='pseudo', grow_at=[2], fade_iter=2, ema_decay=0.9, net_d_reg_every=2)
    found = []
    for num_gpu in (0, 1):
        model = start(dict(stage2_options(tmp_path, **settings), num_gpu=num_gpu))
        train(model, range(1, 6))
        found.append(
            {
                f'{label}.{key}.{name}': value.cpu()
                for label in model.trained
                for key, net in model.weights_to_save(label).items()
                for name, value in net.state_dict().items()
            }
        )
        assert all(p.device.type == ('cuda' if num_gpu else 'cpu') for p in model.net_g.parameters())
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-6, atol=1e-8, msg=name)


def test_default_training_options_are_complete(tmp_path):
    """Left-out options mean: full scale from the start, no R1, no moving average."""
    settings = {
        key: value
        for key, value in stage2_train().items()
        if key not in ('grow_at', 'fade_iter', 'r1_reg_weight', 'net_d_reg_every', 'ema_decay')
    }
    model = train(start(options(tmp_path, 'SelfCondSRModel', ('g', 'd'), settings)), [1])
    log = model.get_current_log()
    assert log['level'] == 2 and 'l_d_r1' not in log and not hasattr(model, 'net_g_ema')


def test_noise_on_the_pseudo_pairs(tmp_path):
    """Standard deviation as stated, another draw in every iteration, the same when it is asked for again."""
    model = start(stage2_options(tmp_path, supervision='pseudo', lq_noise=8.0), seed_heads=False)
    grey = torch.full((16, 3, 64, 64), 0.5)  # the untrained degradation network gives it back

    def drawn(iteration):
        model.feed_data(dict(gt=grey))
        return model._training_input(iteration) * 255 - 127.5

    first = drawn(1)
    assert first.std().item() == pytest.approx(8.0, rel=0.03) and abs(first.mean().item()) < 0.3
    assert not torch.equal(first, drawn(2)) and torch.equal(first, drawn(1))
    channels = first.transpose(0, 1).flatten(1)
    assert torch.corrcoef(channels).triu(1).abs().max() < 0.05
    model.options = replace(model.options, lq_noise=0)
    assert drawn(1).abs().max() < 1e-4


def test_pseudo_pairs_are_clamped_without_noise_too(tmp_path):
    """A degradation network whose image leaves [0, 1] gives what a stored image would hold."""
    model = start(stage2_options(tmp_path, supervision='pseudo'), seed_heads=False)
    model.net_deg.image_head.bias.data.fill_(3.0)
    model.feed_data(dict(gt=torch.rand(2, 3, 64, 64)))
    assert model.net_deg(torch.rand(1, 3, 16, 16)).max() > 1.5
    assert model._training_input(1).max() == 1


def test_lq_images_that_are_not_there_are_not_made_unasked(tmp_path):
    """A data set of HR images and blur kernels, say: shrinking them with the bicubic kernel is another experiment."""
    model = start(stage2_options(tmp_path, supervision='paired'))
    model.feed_data(dict(gt=torch.rand(2, 3, 64, 64)))
    with pytest.raises(ValueError, match='write lq_from_gt: true'):
        model.optimize_parameters(1)


def test_lq_images_from_gt_where_that_is_asked_for(tmp_path):
    model = start(stage2_options(tmp_path, supervision='paired', lq_from_gt=True))
    model.feed_data(batch(1))
    torch.testing.assert_close(model._training_input(1), resized(batch(1)['gt'], 0.25).clamp(0, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize('with_style', [False, True])
def test_perceptual_term_compares_with_the_hr_image(tmp_path, monkeypatch, with_style):
    """As BasicSR's PerceptualLoss, in images in [0, 1]; here with one that needs no VGG, and once with a style term."""
    import selfsr_plugin.stages.selfcond_sr_model as module

    class Content(torch.nn.Module):
        def forward(self, x, gt):
            assert x.requires_grad and not gt.requires_grad  # BasicSR's takes the features of gt without gradients
            return 3 * (x - gt).square().mean(), 5 * (x.mean() - gt.mean()).square() if with_style else None

    build = module.build_loss
    monkeypatch.setattr(
        module, 'build_loss', lambda settings: Content() if settings['type'] == 'PerceptualLoss' else build(settings)
    )
    weights = dict(type='PerceptualLoss', layer_weights={'conv5_4': 1})
    model = start(stage2_options(tmp_path, perceptual_opt=weights))
    plain = start(stage2_options(tmp_path))
    watch, data = Watch(model), batch(4)
    for each in (model, plain):
        each.feed_data(data)
        each.optimize_parameters(4)
    log = model.get_current_log()
    assert log['l_g_percep'] == pytest.approx(3 * (watch.fake - data['gt']).square().mean().item(), rel=1e-5)
    assert log['l_g_adv'] == plain.get_current_log()['l_g_adv'] and ('l_g_style' in log) == with_style
    if with_style:
        expected = 5 * (watch.fake.mean() - data['gt'].mean()).square().item()
        assert log['l_g_style'] == pytest.approx(expected, rel=1e-4)
    moved = [
        name
        for name, value in model.net_g.state_dict().items()
        if not torch.equal(value, plain.net_g.state_dict()[name])
    ]
    assert moved
