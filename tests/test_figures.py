"""The figure scripts: what is drawn where, and what is refused."""

import os
import shutil
import sys

import cv2
import numpy as np
import pytest
import torch
from basicsr.metrics import calculate_psnr
from basicsr.utils import tensor2img
from figure_kit import DEMO, enlarged, refused_by, run, script, tile

from selfsr_plugin.archs import CycleGANGenerator, FlowDegradationNet, SelfCondSRNet
from selfsr_plugin.engine.checkpoint import save_networks
from selfsr_plugin.engine.networks import describe
from selfsr_plugin.errors import UserError
from selfsr_plugin.loading import load
from selfsr_plugin.pictures import Images, read_faces

comparison, flow, condition, worst = (script(f'figure_{name}') for name in ('comparison', 'flow', 'condition', 'worst'))


def save(net, path, **arguments):
    net.built_from = describe(dict(type=type(net).__name__, **arguments))
    save_networks(path, {'params': net})
    return str(path)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Weights of small networks, untrained but for heads that would be zero."""
    folder = tmp_path_factory.mktemp('weights')
    torch.manual_seed(0)
    small, sr = dict(num_feat=4, num_block=1), dict(widths=[8, 4], num_block=2)
    concat = dict(widths=[8, 4], num_block=1, condition='concat')
    net_deg = FlowDegradationNet(**small)
    for head in (net_deg.image_head, net_deg.flow_head):
        torch.nn.init.normal_(head.weight, std=0.3)
    return dict(
        deg=save(net_deg, folder / 'deg.pth', **small),
        cyc=save(CycleGANGenerator(**small), folder / 'cyc.pth', **small),
        g=save(SelfCondSRNet(**sr), folder / 'g.pth', **sr),
        concat=save(SelfCondSRNet(**concat), folder / 'concat.pth', **concat),
    )


# ----- Fig. 8 -----


def test_flow_that_is_not_disturbed_gives_what_the_network_gives(files):
    net = load(files['deg'])
    clean = read_faces(DEMO / 'test_hr', 16, 2, [])
    assert len(clean) == 2
    sheet = flow.flow_figure(net, clean, noise=1.0, seed=0, tile=64)
    with torch.no_grad():
        parts = net(clean, return_parts=True)
    assert parts.flow.abs().max() > 0.5
    for i in range(2):
        for column, image in ((0, clean[i]), (1, parts.degraded[i]), (2, parts.intermediate[i])):
            assert np.array_equal(tile(sheet, 2 * i, column, 64), enlarged(tensor2img(image), 64))
        assert (tile(sheet, 2 * i + 1, 2, 64) == 255).all()  # no flow is white
        assert not np.array_equal(tile(sheet, 2 * i, 4, 64), tile(sheet, 2 * i, 1, 64))
    assert np.array_equal(sheet, flow.flow_figure(net, clean, noise=1.0, seed=0, tile=64))
    assert not np.array_equal(sheet, flow.flow_figure(net, clean, noise=1.0, seed=1, tile=64))


def test_disturbed_flows():
    right = torch.zeros(1, 2, 16, 16)
    right[:, 0] = 1
    flows = flow.disturbed_flows(right, 0.5, torch.Generator().manual_seed(0))
    for name, vector in (
        ('estimated', (1, 0)),
        ('none', (0, 0)),
        ('x 0.5', (0.5, 0)),
        ('x 2', (2, 0)),
        ('turned 90', (0, 1)),
        ('turned 180', (-1, 0)),
    ):  # clockwise: from right to down
        torch.testing.assert_close(flows[name], torch.tensor(vector).float()[:, None, None].expand(1, 2, 16, 16))
    noise = flows['+ noise 1'] - right
    assert 0.2 < noise.std() < 0.8 and noise.diff(dim=3).abs().mean() < noise.std() / 3  # smooth


def test_wheel_shows_the_colour_of_each_direction():
    wheel = flow.colour_wheel(65)
    assert (wheel[32, 32] > 240).all() and (wheel[0, 0] == 255).all()
    for place, direction in (((32, 63), (1, 0)), ((63, 32), (0, 1)), ((32, 1), (-1, 0)), ((1, 32), (0, -1))):
        field = np.array(direction, np.float32)[:, None, None] * 0.97
        assert np.abs(wheel[place].astype(int) - flow.draw_flow(field, 1.0)[0, 0]).max() < 12


# ----- Fig. 9 -----


def test_condition_maps_are_the_sigma_of_equation_6(files):
    net = load(files['g'])
    faces = read_faces(DEMO / 'test_wild_lr', 16, 2, [])
    output, maps = condition.condition_maps(net, faces)
    assert list(maps) == ['x2 shallow', 'x2 deep', 'x4 shallow', 'x4 deep']
    with torch.no_grad():
        torch.testing.assert_close(output, net(faces))
        for name in maps:
            scale, index = (2, 0) if name.startswith('x2') else (4, 1)
            y = torch.nn.functional.interpolate(faces * 2 - 1, scale_factor=scale, mode='bicubic')
            block = net.levels[index].blocks[0 if 'shallow' in name else 1]
            sigma = (block.sigma1 if 'shallow' in name else block.sigma2)(y)
            torch.testing.assert_close(maps[name], sigma)
    assert not any(module._forward_hooks for module in net.modules())


def test_channels_that_vary_are_drawn_bright_where_large():
    sigma = torch.ones(2, 3, 4, 4)
    sigma[:, 1, :, 2:] = 3  # half of the image
    sigma[:, 2] *= 50  # large but flat
    sigma[:, 0, 0, 0] = 1.1
    assert condition.liveliest_channels(sigma, 2) == [1, 0]
    drawn = condition.draw_maps(sigma[:, 1])
    grey = [cv2.cvtColor(each, cv2.COLOR_BGR2GRAY) for each in drawn]
    assert all((each[:, 2:] > each[:, :2].max() + 100).all() for each in grey)


def test_condition_figure_from_the_command_line(files, tmp_path, monkeypatch, capsys):
    run(
        condition,
        monkeypatch,
        '--model',
        files['g'],
        '--lq',
        DEMO / 'test_wild_lr',
        '--count',
        3,
        '--maps',
        1,
        '--tile',
        64,
        '--output',
        tmp_path / 'c.png',
    )
    sheet = cv2.imread(str(tmp_path / 'c.png'))
    assert sheet.shape == (24 + 3 * 68, 6 * 68, 3)
    net = load(files['g'])
    faces = read_faces(DEMO / 'test_wild_lr', 16, 3, [])
    with torch.no_grad():
        assert np.abs(tile(sheet, 2, 5, 64).astype(int) - tensor2img(net(faces)[2])).max() <= 1
    assert 'condition: concat, which has no condition branch' in refused_by(
        condition, monkeypatch, capsys, '--model', files['concat'], '--lq', DEMO / 'test_wild_lr'
    )


# ----- Fig. 10 -----


@pytest.mark.parametrize('metric, order', [('psnr', ['c', 'a', 'd']), ('lpips', ['b', 'd', 'a'])])
def test_worst_come_first_whichever_way_the_metric_counts(metric, order, monkeypatch):
    grey = {name: np.full((8, 8, 3), value, np.uint8) for name, value in zip('abcd', (10, 20, 30, 40))}
    cases = [
        worst.Case(score, name, grey[name][:2, :2], grey[name], grey[name])
        for name, score in zip('abcd', (21.0, 30.0, 20.0, 25.0))
    ]
    captions = []
    monkeypatch.setattr(worst, 'draw_sheet', lambda rows, titles, tile, blocks, captions: (rows, captions))
    rows, captions = worst.worst_figure(cases, metric, 3, 8)
    assert [caption.split(':')[0] for caption in captions] == order
    assert [int(row[3][0, 0, 0]) for row in rows] == [int(grey[name][0, 0, 0]) for name in order]
    assert all('mean of 4: 24' in caption for caption in captions)


def test_worst_figure_from_the_command_line(files, tmp_path, monkeypatch):
    run(
        worst,
        monkeypatch,
        '--model',
        files['g'],
        '--gt',
        DEMO / 'test_hr',
        '--lq',
        DEMO / 'test_wild_lr',
        '--count',
        2,
        '--tile',
        64,
        '--output',
        tmp_path / 'w.png',
    )
    sheet = cv2.imread(str(tmp_path / 'w.png'))
    net = load(files['g'])
    scores = {}
    for path in (DEMO / 'test_hr').iterdir():
        lq = cv2.imread(str(DEMO / 'test_wild_lr' / path.name))
        with torch.no_grad():
            out = tensor2img(net(torch.from_numpy(lq[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255))
        scores[path.stem] = calculate_psnr(out, cv2.imread(str(path)), 0, test_y_channel=True)
    for row, face in enumerate(sorted(scores, key=scores.get)[:2]):
        assert np.array_equal(tile(sheet, row, 3, 64, caption=24), cv2.imread(str(DEMO / f'test_hr/{face}.png')))
        assert np.array_equal(
            tile(sheet, row, 0, 64, caption=24), enlarged(cv2.imread(str(DEMO / f'test_wild_lr/{face}.png')), 64)
        )


def test_the_worst_leaves_out_what_does_not_fit_into_memory(files, tmp_path, monkeypatch, capsys):
    shutil.copytree(DEMO / 'test_hr', tmp_path / 'gt')
    cv2.imwrite(str(tmp_path / 'gt/photo.png'), np.zeros((480, 480, 3), np.uint8))
    monkeypatch.setattr('selfsr_plugin.memory.available_bytes', lambda device: 10**7)
    arguments = ['--model', files['g'], '--gt', tmp_path / 'gt', '--output', tmp_path / 'w.png']
    message = refused_by(worst, monkeypatch, capsys, *arguments)
    assert 'photo.png: it needs about' in message and (tmp_path / 'w.png').exists()


def test_a_second_demo_report_keeps_the_first(files, tmp_path, monkeypatch):
    faces, models = tmp_path / 'results/visualization/demo_test', tmp_path / 'models'
    faces.mkdir(parents=True)
    models.mkdir()
    for path in sorted((DEMO / 'test_hr').iterdir())[:2]:
        shutil.copy(path, faces / f'{path.stem}_test_selfsr_demo.png')
    shutil.copy(files['deg'], models / 'net_deg_2.pth')
    arguments = ['--results', tmp_path / 'results', '--models', models]
    run(script('demo_report'), monkeypatch, *arguments)
    results = tmp_path / 'results'
    (results / 'scores.md').write_text('with LPIPS')
    run(script('demo_report'), monkeypatch, *arguments)
    assert [path.read_text() for path in results.glob('scores_archived_*.md')] == ['with LPIPS']
    assert '| SelFSR | ' in (results / 'scores.md').read_text()
    assert len(list(results.glob('sheet_*.png'))) == 4 and len(list(results.glob('sheet_*_archived_*.png'))) == 2
    for path in models.iterdir():
        path.unlink()
    with pytest.raises(SystemExit):
        run(script('demo_report'), monkeypatch, *arguments)
    assert (results / 'scores.md').exists()  # nothing is renamed by a report that fails


# ----- files -----


def test_weights_of_another_network_are_refused(files):
    for cls, label in ((FlowDegradationNet, 'g'), (FlowDegradationNet, 'cyc'), (SelfCondSRNet, 'deg')):
        with pytest.raises(UserError, match=rf'{label}\.pth holds a \w+, and a {cls.__name__} is needed'):
            load(files[label], expected=cls)


def test_scripts_end_with_one_sentence(files, tmp_path, monkeypatch, capsys):
    (tmp_path / 'broken.pth').write_bytes(b'no checkpoint')
    faces = ['--faces', DEMO / 'test_hr']
    for module, arguments, message in (
        (flow, ['--model', tmp_path / 'none.pth', *faces], 'none.pth'),
        (flow, ['--model', tmp_path / 'broken.pth', *faces], 'broken.pth cannot be read as a checkpoint'),
        (flow, ['--model', files['g'], *faces], 'and a FlowDegradationNet is needed'),
        (flow, ['--model', files['deg'], '--faces', tmp_path / 'nowhere'], 'nowhere'),
        (flow, ['--model', files['deg'], *faces, '--output', tmp_path / 'x.txt'], 'x.txt names no format of pictures'),
        (
            worst,
            ['--model', files['g'], '--gt', DEMO / 'test_hr', '--metric', 'lpips', '--weights', 'lpips=no.pth'],
            'there is no file no.pth',
        ),
        (worst, ['--model', files['g'], '--gt', DEMO / 'test_hr', '--weights', 'no.pth'], 'write NAME=FILE'),
        (worst, ['--model', files['g'], '--gt', DEMO / 'test_hr', '--weights', 'lpips=no.pth'], 'lpips is not used'),
    ):
        assert message in refused_by(module, monkeypatch, capsys, *arguments)


@pytest.mark.parametrize(
    'module, old, new',
    [
        (comparison, '--hr', '--gt'),
        (worst, '--hr', '--gt'),
        (worst, '--lpips-weights', '--weights lpips=FILE'),
        (flow, '--weights', '--model'),
        (flow, '--side', '--lq-size'),
        (condition, '--faces', '--lq'),
    ],
)
def test_options_of_before_are_answered_with_their_new_names(module, old, new, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(module, monkeypatch, old, 'x')
    assert capsys.readouterr().err.endswith(f'{old} is now {new}\n')


@pytest.fixture
def faces(tmp_path):
    """Four faces of which the third is broken and the first has a name that is not UTF-8; their LR faces."""
    for kind, source in (('gt', 'test_hr'), ('lq', 'test_wild_lr')):
        (tmp_path / kind).mkdir()
        for name, path in zip((b'caf\xe9', b'k', b'm', b'z'), sorted((DEMO / source).iterdir())):
            (tmp_path / kind / os.fsdecode(name + b'.png')).write_bytes(path.read_bytes() if name != b'm' else b'x')
    return tmp_path


def test_bad_images_are_passed_over_and_named(files, faces, monkeypatch, capsys):
    gt, lq = faces / 'gt', faces / 'lq'
    for module, rows, arguments in (
        (comparison, 3, ['--gt', gt, '--lq', lq, f'A={gt}']),
        (flow, 6, ['--model', files['deg'], '--faces', gt]),
        (condition, 3, ['--model', files['g'], '--lq', lq]),
    ):
        output = faces / f'{module.__name__}.png'
        message = refused_by(module, monkeypatch, capsys, *arguments, '--tile', 32, '--count', 6, '--output', output)
        assert (
            message.startswith(f'error: 1 images could not be used and are not in {output}: ') and 'm.png: ' in message
        )
        assert cv2.imread(str(output)).shape[0] == 24 + rows * 36
    output = faces / 'worst.png'
    message = refused_by(
        worst,
        monkeypatch,
        capsys,
        '--model',
        files['g'],
        '--gt',
        gt,
        '--lq',
        lq,
        '--tile',
        32,
        '--count',
        3,
        '--output',
        output,
    )
    assert f'1 images could not be used and are not in {output}' in message and 'm.png: ' in message
    assert cv2.imread(str(output)).shape[0] == 24 + 3 * (36 + 24)  # a caption each


def test_the_moving_average_is_drawn_where_there_is_one(files, tmp_path, monkeypatch):
    torch.manual_seed(5)
    ema = SelfCondSRNet(widths=[8, 4], num_block=2)
    torch.save({'params': load(files['g']).state_dict(), 'params_ema': ema.state_dict()}, tmp_path / 'both.pth')
    torch.save({'params': ema.state_dict()}, tmp_path / 'ema.pth')
    sheets = {}
    for name, key in (('both', None), ('ema', None), ('both', 'params')):
        output = tmp_path / f'{name}_{key}.png'
        run(
            condition,
            monkeypatch,
            '--model',
            tmp_path / f'{name}.pth',
            '--lq',
            DEMO / 'test_wild_lr',
            '--count',
            1,
            '--output',
            output,
            *(['--key', key] if key else []),
        )
        sheets[name, key] = cv2.imread(str(output))
    assert np.array_equal(sheets['both', None], sheets['ema', None])
    assert not np.array_equal(sheets['both', 'params'], sheets['ema', None])


@pytest.mark.parametrize('module', [comparison, flow, condition, worst])
def test_counts_below_1_are_refused(module, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(module, monkeypatch, '--count', '0')
    assert 'argument --count: 0 must be 1 or more' in capsys.readouterr().err


def test_images_come_in_bgr_as_opencv_reads_them():
    images = Images(str(DEMO / 'test_hr'))
    name = next(iter(images))
    assert len(images) == 37 and np.array_equal(images[name], cv2.imread(str(DEMO / f'test_hr/{name}.png')))


def test_no_figure_is_written_among_the_faces_it_is_drawn_from(files, tmp_path, monkeypatch, capsys):
    shutil.copytree(DEMO / 'test_hr', tmp_path / 'hr')
    (tmp_path / 'link').symlink_to('hr')
    first = next((tmp_path / 'hr').iterdir())
    before = first.read_bytes()
    for module, arguments in (
        (comparison, ['--gt', DEMO / 'test_hr', f'A={tmp_path}/hr']),
        (worst, ['--model', files['g'], '--gt', tmp_path / 'hr']),
        (flow, ['--model', files['deg'], '--faces', tmp_path / 'hr']),
        (condition, ['--model', files['g'], '--lq', tmp_path / 'hr']),
    ):
        output = tmp_path / 'link' / first.name
        assert 'whose images are read: give another folder' in refused_by(
            module, monkeypatch, capsys, *arguments, '--output', output
        )
        assert 'w.pgn names no format of pictures' in refused_by(  # before the faces are restored
            module, monkeypatch, capsys, *arguments, '--output', tmp_path / 'w.pgn'
        )
    assert first.read_bytes() == before


def test_the_sheet_of_the_web_page_shows_test_people_alone(tmp_path, monkeypatch, capsys):
    page = script('figure_web_page')
    people = page.test_people()
    assert people == sorted(path.stem for path in (DEMO / 'test_hr').iterdir())
    for number, name in enumerate(people[:10]):
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.full((275, 225, 3), 20 * number, np.uint8))
    sheet = np.asarray(page.draw_sheet([tmp_path / f'{name}.png' for name in people[:10]]))
    assert sheet.shape == (108, 352, 3) and sheet[80, 66, 0] == 180 and sheet[80, 300, 0] == 0
    monkeypatch.setattr(sys, 'argv', ['figure_web_page.py', '--portraits', str(tmp_path)])
    with pytest.raises(SystemExit, match='holds no portrait of the people of datasets/demo/test_hr'):
        page.main()  # they are not .jpg
    (tmp_path / f'{people[0]}.jpg').write_bytes(b'')
    monkeypatch.setenv('PATH', '')
    with pytest.raises(SystemExit, match='there is no Chromium here'):
        page.main()
