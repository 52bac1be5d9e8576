"""Export a generator to ONNX.

    python -m selfsr_plugin.export_onnx [--model FILE] --output FILE.onnx [--fp16]

Batch, height and width stay free. The file is then run by onnxruntime and compared with torch.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import errno
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import files
from .arguments import add_model, add_traceback, refuse_missing, renamed
from .errors import UserError, one_sentence_errors

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .archs import SelfCondSRNet

SHAPES = ((1, 16, 16), (3, 16, 16), (2, 20, 13))  # batch, height, width, of the comparison
TOLERANCE = 1e-3  # of the range [0, 1]; a quarter of a step of 8 bit
TOLERANCE_FP16 = 1e-2  # two and a half steps


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, that of the process if ``argv`` is None; a usage error ends the process."""
    parser = argparse.ArgumentParser(
        prog='python -m selfsr_plugin.export_onnx',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model(parser, shipped=True)
    parser.add_argument('--output', required=True, type=files.path, metavar='FILE.onnx')
    parser.add_argument(
        '--fp16', action='store_true', help='compute in half precision: half the size; input and output stay float32'
    )
    add_traceback(parser)
    renamed(parser, debug='--traceback')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Export as the command line says (that of the process by default)."""
    args = parse(argv)
    with one_sentence_errors(args.traceback):
        run(args)


def run(args: argparse.Namespace) -> None:
    """Export, compare and say how the two differ."""
    refuse_missing(args, 'model')
    check_output(args.output)
    from .archs import SelfCondSRNet
    from .loading import load

    net = load(args.model, args.key, SelfCondSRNet)
    # Elsewhere first: what is not good stands under no name, and takes that of no earlier file.
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, args.output.name)
        try:
            export(half_precision(net) if args.fp16 else net, draft)
            worst = (
                compare(net, draft, tolerance=TOLERANCE_FP16, remedy='leave --fp16 out')
                if args.fp16
                else compare(net, draft)
            )
        except ImportError as error:
            raise UserError(
                f"ONNX needs packages that are not installed ({error.name}): pip install 'selfsr-plugin[onnx]'."
            ) from error
        try:
            files.write_file(args.output, draft.read_bytes())
        except OSError as error:
            raise files.cannot_write(args.output, error) from error
    precision = ', float16 in between' if args.fp16 else ''
    print(
        f'{files.printable(args.output)}: input lq (N, {net.arguments["num_in_ch"]}, h, w), RGB in [0, 1]; output sr '
        f'(N, {net.arguments["num_out_ch"]}, {net.scale}h, {net.scale}w){precision}. Largest difference from torch '
        f'over {len(SHAPES)} shapes in onnxruntime: {worst:.1e}'
    )


def check_output(path: Path) -> None:
    """Make the folder of the file to write, before the work.

    Raises:
        UserError: ``path`` can be no file, or its name is not that of an ONNX file, as that of ``--model`` given twice
            is.
    """
    if path.suffix.lower() != '.onnx':
        raise UserError(f'--output {files.printable(path)} must end with .onnx, so that no checkpoint is written over.')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        raise files.cannot_write(path, error) from error


def half_precision(net: SelfCondSRNet) -> nn.Module:
    """A copy of ``net`` that computes in half precision, from and to images in float32.

    The scale of the weights, which Adam needs and nobody else, is multiplied into them before they are rounded; what is
    left is a plain convolution, and torch 2.6 exports no product of half precision and a number.
    """
    import torch
    from torch import nn

    from .archs.layers import EqualizedConv2d

    half = copy.deepcopy(net)
    for module in half.modules():
        if isinstance(module, EqualizedConv2d):
            with torch.no_grad():
                module.weight *= module.weight_scale
            module.__class__ = nn.Conv2d
    half.half()
    half.register_forward_pre_hook(lambda _, images: tuple(each.half() for each in images))
    half.register_forward_hook(lambda _module, _images, output: output.float())
    return half


def export(net: nn.Module, path: Path) -> None:
    """Write ``net`` to ``path``, in one file, with free batch, height and width."""
    import onnx  # noqa: F401  torch's exporter says less clearly what it lacks
    import onnxscript  # noqa: F401
    import torch

    dim = torch.export.Dim
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it reports every step
        warnings.simplefilter('ignore')
        program = torch.onnx.export(
            net,
            (_example(net, 2, 16, 24),),
            input_names=['lq'],
            output_names=['sr'],
            dynamic_shapes=({0: dim('batch'), 2: dim('height', min=2), 3: dim('width', min=2)},),
            dynamo=True,
        )
    try:
        files.write_file(path, program.model_proto.SerializeToString())
    except OSError as error:
        raise files.cannot_write(path, error) from error


def compare(
    net: nn.Module,
    path: Path,
    shapes: Sequence[tuple[int, int, int]] = SHAPES,
    tolerance: float = TOLERANCE,
    remedy: str = 'export an earlier checkpoint',
) -> float:
    """Largest absolute difference of onnxruntime and torch, on the CPU, over random images.

    ``remedy`` is what to do about a file whose values are not finite where those of ``net`` are.

    Raises:
        UserError: they differ by ``tolerance`` or more, or one of them gives values that are not finite.
    """
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=['CPUExecutionProvider'])
    worst = 0.0
    for shape in shapes:
        lq = _example(net, *shape)
        with torch.no_grad():
            expected = net(lq)
        found = torch.from_numpy(session.run(None, {'lq': lq.numpy()})[0])
        if found.shape != expected.shape:
            raise UserError(
                f'{files.printable(path.name)} gives images of {tuple(found.shape)} where torch gives '
                f'{tuple(expected.shape)}: do not use it.'
            )
        for output, where, what in (
            (expected, 'the network', 'export an earlier checkpoint'),
            (found, files.printable(path.name), remedy),
        ):
            if not torch.isfinite(output).all():
                raise UserError(f'{where} gives values that are not finite (NaN or infinity): {what}.')
        worst = max(worst, (found - expected).abs().max().item())
    if worst >= tolerance:
        raise UserError(
            f'{files.printable(path.name)} differs from torch by {worst:.1e}, more than {tolerance:g}: do not use it.'
        )
    return worst


def _example(net: nn.Module, batch: int, height: int, width: int) -> Tensor:
    import torch

    shape = (batch, net.arguments['num_in_ch'], height, width)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


if __name__ == '__main__':
    main()
