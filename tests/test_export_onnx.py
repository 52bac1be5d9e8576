"""An ONNX file is the network, for any batch and size; one that is not is refused."""

from pathlib import Path

import pytest
import torch
from common_kit import refused, save_params, small_network

from selfsr_plugin import export_onnx
from selfsr_plugin.archs import DomainDiscriminator
from selfsr_plugin.errors import UserError


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    pytest.importorskip('onnx')
    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')
    folder = tmp_path_factory.mktemp('onnx')
    save_params(folder / 'g.pth', params=small_network())
    export_onnx.main(['--model', str(folder / 'g.pth'), '--output', str(folder / 'g.onnx')])
    return folder / 'g.onnx'


def test_onnxruntime_gives_torchs_images_for_other_batches_and_sizes(exported):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported), providers=['CPUExecutionProvider'])
    for shape in ((1, 3, 16, 16), (4, 3, 16, 16), (2, 3, 9, 31), (1, 3, 40, 24)):
        lq = torch.rand(shape)
        with torch.no_grad():
            expected = small_network()(lq)
        (found,) = session.run(None, {'lq': lq.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0, atol=1e-4)


def test_half_precision(exported):
    import onnx
    import onnxruntime

    half = exported.with_name('half.onnx')
    export_onnx.main(['--model', str(exported.with_suffix('.pth')), '--output', str(half), '--fp16'])
    weights = [each for each in onnx.load(half).graph.initializer if len(each.dims) == 4]
    assert len(weights) > 20
    assert {each.data_type for each in weights} == {onnx.TensorProto.FLOAT16}
    session = onnxruntime.InferenceSession(str(half), providers=['CPUExecutionProvider'])
    assert [each.type for each in (*session.get_inputs(), *session.get_outputs())] == ['tensor(float)'] * 2
    net, lq = small_network(), torch.rand(2, 3, 9, 31)
    with torch.no_grad():
        expected = net(lq)
        assert 0 < (export_onnx.half_precision(net)(lq) - expected).abs().max() < export_onnx.TOLERANCE_FP16
        assert torch.equal(net(lq), expected)  # the copy is one
    (found,) = session.run(None, {'lq': lq.numpy()})
    assert 0 < (torch.from_numpy(found) - expected).abs().max() < export_onnx.TOLERANCE_FP16
    assert export_onnx.compare(net, half, tolerance=export_onnx.TOLERANCE_FP16) > 1e-5


@pytest.mark.parametrize('limit, tolerance', [(1e-3, 'TOLERANCE'), (1e-2, 'TOLERANCE_FP16')])
def test_a_file_that_differs_by_more_than_is_documented(exported, limit, tolerance):
    """docs/interop/onnx.md: by 1e-3 of the range, in half precision by 1e-2; in one channel half of that may be."""
    net, tolerance = small_network(), getattr(export_onnx, tolerance)
    red = net.levels[-1].to_rgb.bias.data[:1]  # in [-1, 1], twice the range of images
    red += limit
    assert export_onnx.compare(net, exported, tolerance=tolerance) == pytest.approx(limit / 2, rel=0.05)
    red += 2 * limit
    with pytest.raises(UserError, match=r'g\.onnx differs from torch by [\d.e-]+, more than .*: do not use it'):
        export_onnx.compare(net, exported, tolerance=tolerance)


def test_what_half_precision_cannot_hold_is_told_so_and_left_nowhere(exported, capsys, tmp_path):
    net = small_network()
    with torch.no_grad():
        net.levels[1].to_rgb.bias[0] = 1e9
    save_params(tmp_path / 'g.pth', params=net)
    arguments = ['--model', tmp_path / 'g.pth', '--output', tmp_path / 'g.onnx']
    assert '(NaN or infinity): leave --fp16 out.' in refused(capsys, export_onnx.main, *arguments, '--fp16')
    assert not (tmp_path / 'g.onnx').exists()
    (tmp_path / 'g.onnx').write_bytes(b'an earlier one')
    refused(capsys, export_onnx.main, *arguments, '--fp16')
    assert (tmp_path / 'g.onnx').read_bytes() == b'an earlier one'


def test_a_file_of_other_weights_is_caught(exported):
    with pytest.raises(UserError, match='g.onnx differs from torch by'):
        export_onnx.compare(small_network(seed=1), exported)


@pytest.mark.parametrize('broken', ['file', 'network'])
def test_values_that_are_not_finite_are_caught(exported, broken, monkeypatch):
    import onnxruntime

    net = small_network()
    if broken == 'network':
        net.levels[1].to_rgb.bias.data[0] = float('nan')
    else:
        run = onnxruntime.InferenceSession.run
        monkeypatch.setattr(onnxruntime.InferenceSession, 'run', lambda *arguments: [run(*arguments)[0] * float('nan')])
    with pytest.raises(
        UserError, match=f'{"g.onnx" if broken == "file" else "network"} gives values that are not finite'
    ):
        export_onnx.compare(net, exported)


def test_only_a_generator_is_exported(tmp_path, capsys):
    path = save_params(tmp_path / 'd.pth', params=small_network(DomainDiscriminator, num_feat=4))
    message = refused(capsys, export_onnx.main, '--model', path, '--output', tmp_path / 'd.onnx')
    assert 'holds a DomainDiscriminator' in message and not (tmp_path / 'd.onnx').exists()


def test_an_output_that_cannot_be_written(tmp_path, capsys):
    path = save_params(tmp_path / 'g.pth', params=small_network())
    (tmp_path / 'file').write_text('')
    (tmp_path / 'folder.onnx').mkdir()
    for output in (tmp_path / 'file/g.onnx', tmp_path / 'folder.onnx'):
        assert str(output) in refused(capsys, export_onnx.main, '--model', path, '--output', output)


def test_no_checkpoint_is_written_over(tmp_path, capsys):
    path = save_params(tmp_path / 'g.pth', params=small_network())
    before = Path(path).read_bytes()
    assert 'g.pth must end with .onnx' in refused(capsys, export_onnx.main, '--model', path, '--output', path)
    assert Path(path).read_bytes() == before
