"""Export a generator to ONNX: ``python -m selfsr_plugin.export_onnx --model FILE --output FILE.onnx``.

Batch, height and width stay free. The file is then run by onnxruntime and compared with torch.
"""
import argparse
import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Optional, Sequence, Tuple

import torch
from torch import nn

import selfsr_plugin  # before basicsr: applies the alias that its import needs

from .archs import SelfCondSRNet
from .errors import UserError, one_sentence_errors

SHAPES = ((1, 16, 16), (3, 16, 16), (2, 20, 13))  # batch, height, width, of the comparison
TOLERANCE = 1e-3  # of the range [0, 1]; a quarter of a step of 8 bit


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Export as the command line says (that of the process by default)."""
    parser = argparse.ArgumentParser(prog='python -m selfsr_plugin.export_onnx', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', required=True, metavar='FILE', help='net_g_*.pth of a SelfCondSRNet')
    parser.add_argument('--output', required=True, type=Path, metavar='FILE.onnx')
    parser.add_argument('--key', choices=['params', 'params_ema'],
                        help='which weights of the file; by default params_ema if it has them')
    parser.add_argument('--debug', action='store_true', help='full tracebacks')
    args = parser.parse_args(argv)
    with one_sentence_errors(args.debug):
        try:
            net = selfsr_plugin.load(args.model, args.key, SelfCondSRNet)
            export(net, args.output)
            worst = compare(net, args.output)
        except ImportError as error:
            raise UserError(f"ONNX needs packages that are not installed ({error.name}): "
                            "pip install 'selfsr-plugin[onnx]'.") from error
        except OSError as error:
            raise UserError(str(error)) from error
        print(f'{args.output}: input lq (N, {net.arguments["num_in_ch"]}, h, w), RGB in [0, 1]; output sr (N, '
              f'{net.arguments["num_out_ch"]}, {net.scale}h, {net.scale}w). Largest difference from torch over '
              f'{len(SHAPES)} shapes in onnxruntime: {worst:.1e}')


def export(net: nn.Module, path: Path) -> None:
    """Write ``net`` to ``path``, in one file, with free batch, height and width."""
    import onnx  # noqa: F401  torch's exporter says less clearly what it lacks
    import onnxscript  # noqa: F401
    dim = torch.export.Dim
    path.parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it reports every step
        warnings.simplefilter('ignore')
        torch.onnx.export(net, (_example(net, 2, 16, 24), ), str(path), input_names=['lq'], output_names=['sr'],
                          dynamic_shapes=({0: dim('batch'), 2: dim('height', min=2), 3: dim('width', min=2)}, ),
                          dynamo=True, external_data=False)


def compare(net: nn.Module, path: Path, shapes: Sequence[Tuple[int, int, int]] = SHAPES) -> float:
    """Largest absolute difference of onnxruntime and torch, on the CPU, over random images.

    Raises:
        UserError: they differ by more than rounding.
    """
    import onnxruntime
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    worst = 0.0
    for shape in shapes:
        lq = _example(net, *shape)
        with torch.no_grad():
            expected = net(lq)
        found = torch.from_numpy(session.run(None, {'lq': lq.numpy()})[0])
        if found.shape != expected.shape:
            raise UserError(f'{path} gives images of {tuple(found.shape)} where torch gives {tuple(expected.shape)}: '
                            'do not use it.')
        worst = max(worst, (found - expected).abs().max().item())
    if not worst < TOLERANCE:
        raise UserError(f'{path} differs from torch by {worst:.1e}, more than {TOLERANCE:g}: do not use it.')
    return worst


def _example(net: nn.Module, batch: int, height: int, width: int) -> torch.Tensor:
    shape = (batch, net.arguments['num_in_ch'], height, width)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


if __name__ == '__main__':
    main()
