"""Write a trained network as .safetensors or .pth, in half precision if asked.

    python -m selfsr_plugin.convert [--model FILE] --output FILE.safetensors [--fp16]

What is written holds one network and what it is, and nothing else: the moving average, if the file has one, and of a
generator that is still growing the levels that have been trained. It is then read back and compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import files
from .arguments import add_model, add_traceback, refuse_missing
from .errors import UserError, one_sentence_errors

if TYPE_CHECKING:
    from .archs import SelfCondSRNet

SHAPE = (2, 3, 16, 16)  # of the images that are compared; channels as the network has them


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, that of the process if ``argv`` is None; a usage error ends the process."""
    parser = argparse.ArgumentParser(
        prog='python -m selfsr_plugin.convert',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model(parser, 'net_*.pth or .safetensors of any network that selfsr_plugin.load reads', shipped=True)
    parser.add_argument('--output', required=True, type=files.path, metavar='FILE', help='FILE.safetensors or FILE.pth')
    parser.add_argument('--fp16', action='store_true', help='weights in half precision: half the size')
    add_traceback(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert as the command line says (that of the process by default)."""
    args = parse(argv)
    with one_sentence_errors(args.traceback):
        run(args)


def run(args: argparse.Namespace) -> None:
    """Convert, compare and say how the two differ."""
    refuse_missing(args, 'model')
    from .archs import SelfCondSRNet
    from .loading import load, save

    if args.output.resolve() == args.model.resolve():
        raise UserError(f'--output {files.printable(args.output)} is the file that is read: give another.')
    net = load(args.model, args.key)
    kept = ''
    if isinstance(net, SelfCondSRNet):
        if net.alpha < 1:
            kept = f'. Other programs run it without the fading at which it was saved (alpha {net.alpha:g})'
        elif net.level < net.num_level:
            kept = f', the {net.level} of {net.num_level} levels that have been trained'
            net = trained_levels(net)
    try:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        save(net, args.output, args.fp16)
    except OSError as error:
        raise files.cannot_write(args.output, error) from error
    size = f'{args.output.stat().st_size / 1e6:.2f} MB'
    print(f'{files.printable(args.output)}: {type(net).__name__}{kept}, {size}')
    if isinstance(net, SelfCondSRNet):
        print(f'Largest difference of the images from those of --model: {difference(net, load(args.output)):.1e}')


def trained_levels(net: SelfCondSRNet) -> SelfCondSRNet:
    """The network up to the level at which ``net`` runs, which gives the same images and has no other weights.

    Programs that see weights alone, as those with spandrel, would run ``net`` through levels that have not been
    trained.
    """
    from .archs import SelfCondSRNet

    arguments = dict(net.arguments, widths=net.arguments['widths'][: net.level])
    trained = SelfCondSRNet(**arguments)
    weights = net.state_dict()
    trained.load_state_dict({name: weights[name] for name in trained.state_dict()})
    return trained.eval()


def difference(net: SelfCondSRNet, other: SelfCondSRNet) -> float:
    """The largest absolute difference of what two networks make of random images in [0, 1].

    Raises:
        UserError: values that are not finite.
    """
    import torch

    shape = (SHAPE[0], net.arguments['num_in_ch'], *SHAPE[2:])
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = (net(images) - other(images)).abs().max()
    if not torch.isfinite(found):
        raise UserError('the network gives values that are not finite (NaN or infinity): do not use what was written.')
    return found.item()


if __name__ == '__main__':
    main()
