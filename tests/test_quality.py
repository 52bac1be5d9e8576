"""What degradation keeps: known shares, known colours, and a table of them on the page."""

import importlib.util
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from common_kit import refused, save_params, small_network
from reproduce_kit import ROOT, quality_claims, results_page
from skimage.color import rgb2lab

from selfsr_plugin.archs import CycleGANGenerator, FlowDegradationNet
from selfsr_plugin.engine.networks import describe
from selfsr_plugin.loading import save

FACES = ROOT / 'datasets/demo/test_hr'
SMALL = dict(num_feat=4, num_block=1)


def call(arguments, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['quality_claims.py', *map(str, arguments)])
    quality_claims.main()


def described(net, path):
    net.built_from = describe(dict(type=type(net).__name__, **SMALL))
    save(net, path)


def test_shares_of_a_change():
    clean = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    degraded = clean + 0.25
    assert quality_claims.explained(clean, degraded, degraded) == 1
    assert quality_claims.explained(clean, degraded, clean) == 0
    assert quality_claims.explained(clean, degraded, clean + 0.125) == pytest.approx(0.75)  # a quarter of it is left
    assert quality_claims.explained(clean, clean, clean) is None


def test_colours_are_compared_in_cielab_in_the_middle():
    a, b = torch.empty(1, 3, 16, 16), torch.empty(1, 3, 16, 16)
    for images, colour in ((a, (0.8, 0.6, 0.5)), (b, (0.7, 0.65, 0.4))):
        images[:] = torch.tensor(colour)[:, None, None]
    expected = np.linalg.norm(*np.diff([rgb2lab(each[0, :, :1, :1].permute(1, 2, 0)) for each in (a, b)], axis=0))
    assert quality_claims.colour_change(a, b) == pytest.approx(expected, rel=1e-3)
    framed = b.clone()
    framed[..., 0] = 0  # the left border, four pixels from the middle half and two widths of the blur
    assert quality_claims.colour_change(a, framed) == pytest.approx(expected, rel=0.1)


def test_claims_of_both_kinds_of_networks_are_on_the_page(tmp_path, monkeypatch, capsys):
    nothing = SimpleNamespace(util=SimpleNamespace(find_spec=lambda name: None))
    monkeypatch.setattr(quality_claims, 'importlib', nothing)  # no network that knows people
    for seed in (0, 1):
        net = small_network(FlowDegradationNet, seed, **SMALL)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        described(net, tmp_path / f'ff{seed}.pth')
    described(small_network(CycleGANGenerator, **SMALL), tmp_path / 'cyc.pth')
    networks = [
        f'{name}={tmp_path / file}' for name, file in (('ff', 'ff0.pth'), ('ff', 'ff1.pth'), ('cyc', 'cyc.pth'))
    ]
    (tmp_path / 'scores').mkdir()
    output = tmp_path / 'scores/claims.json'
    call(['--faces', FACES, '--networks', *networks, '--output', output, '--count', 3], monkeypatch)
    found = json.loads(output.read_text())
    assert [len(found['claims'][name]) for name in ('ff', 'cyc', 'other people')] == [2, 1, 1]
    ff, (cyc,) = found['claims']['ff'], found['claims']['cyc']
    assert all(each['flow'] > 0 and each['by_flow'] < 1 and each['colour'] > 0 for each in ff)
    assert 'by_flow' not in cyc and cyc['colour'] > 0 and cyc['identity'] is None
    table = results_page.claims_table(found)
    low, high = sorted(each['colour'] for each in ff)
    assert f'| ff | 2 | - | {(low + high) / 2:.2f} ({low:.2f} to {high:.2f}) |' in table
    assert '3 faces of 16x16' in table and 'identity: not measured' in table
    save_params(tmp_path / 'sr.pth', params=small_network())
    wrong = ['--faces', FACES, '--networks', f'sr={tmp_path / "sr.pth"}', '--output', output]
    assert 'holds a SelfCondSRNet' in refused(capsys, lambda _: call(wrong, monkeypatch))


def test_identity_is_that_of_the_same_person(tmp_path, monkeypatch):
    pytest.importorskip('dlib', reason='extra "landmarks" is not installed')
    if importlib.util.find_spec('face_recognition_models') is None:
        pytest.skip('extra "landmarks" is not installed')
    args = SimpleNamespace(faces=FACES, lq_size=16, count=4)
    similar = quality_claims.dlib_similarity(args)
    clean = quality_claims.clean_faces(args)
    assert quality_claims.similarities(clean, clean, similar) == pytest.approx([1.0] * 4)
    slightly = (clean + 4 / 255).clamp(0, 1)
    same = quality_claims.similarities(clean, slightly, similar)
    others = quality_claims.similarities(clean, clean, similar, 2)
    assert min(same) > 0.99 > max(others) > 0.5
