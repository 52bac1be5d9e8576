"""Super-resolve a folder or an LMDB of LR faces.

    python -m selfsr_plugin.restore --input DIR --output DIR [--model FILE]

An image that cannot be used is passed over and named at the end; the status is 1 then.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import files
from .arguments import add_model, add_traceback, renamed
from .errors import UserError, one_sentence_errors

if TYPE_CHECKING:
    import torch

    from .data.face_images import FaceImages

FAR = 64  # pixels: four times the 16 that the paper trains on; larger faces are warned of


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m selfsr_plugin.restore',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--input', required=True, type=files.path, metavar='DIR', help='folder of LR faces, or LMDB')
    parser.add_argument('--output', required=True, type=files.path, metavar='DIR', help='<name>.png go there')
    add_model(parser, shipped=True)
    parser.add_argument(
        '--lq-size',
        type=int,
        metavar='PIXELS',
        help='resize the faces to this side first, as lq_size in an option file does; 16 for the paper',
    )
    parser.add_argument(
        '--batch', type=int, default=16, help='images at once, if of one size; fewer where memory lacks (default: 16)'
    )
    parser.add_argument('--device', help='a device of torch (default: the GPU if there is one)')
    add_traceback(parser)
    renamed(parser, debug='--traceback')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Restore as the command line says (that of the process by default)."""
    args = parse(argv)
    with one_sentence_errors(args.traceback):
        run(args)


def run(args: argparse.Namespace) -> None:
    """Restore every image that can be used.

    Raises:
        UserError: an option, file or folder that cannot be used, before anything is written; or at the end, naming
            the images that were passed over.
    """
    from tqdm import tqdm

    from .archs import SelfCondSRNet
    from .data.face_images import FaceImages
    from .inference import run_network
    from .loading import load
    from .ops import to_image

    if args.batch < 1 or (args.lq_size is not None and args.lq_size < 1):
        raise UserError('--batch and --lq-size must be whole numbers, 1 or more.')
    device = find_device(args.device)
    net = load(args.model, args.key, SelfCondSRNet)
    if net.arguments['num_in_ch'] != 3 or net.arguments['num_out_ch'] != 3:
        raise UserError(f'{args.model}: the network is not one of colour images, and image files are read in colour.')
    faces = FaceImages(dict(dataroot_lq=args.input, phase='test'), 'dataroot_lq', args.lq_size, '--input')
    if args.output.resolve() == args.input.resolve():
        raise UserError(
            f'--output {files.printable(args.output)} is the input folder, whose images would be replaced: '
            'give another.'
        )
    problems, larger = [], {}
    limit = FAR if args.lq_size is None else args.lq_size * net.scale
    with tqdm(total=len(faces), unit='image') as progress:
        for result in run_network(net, faces, args.batch, device):
            progress.update()
            if result.output is None:
                problems.append(result.problem)
                continue
            files.write_image(args.output / f'{faces.names[result.index]}.png', to_image(result.output))
            if max(result.stored) > limit:
                larger[result.index] = result.stored
    done = len(faces) - len(problems)
    grown = '' if net.level == net.num_level else f' (the file was saved at level {net.level} of {net.num_level})'
    print(f'{done} faces restored, x{net.scale}{grown}, on {device}: {files.printable(args.output)}')
    if larger:
        print(f'warning: {size_warning(larger, faces, args.lq_size, net.scale)}', file=sys.stderr)
    if problems:
        raise UserError(f'{len(problems)} of {len(faces)} images were not restored: {"; ".join(problems)}')


def find_device(name: str | None) -> torch.device:
    """The device of that name, by default the GPU if there is one; UserError if it cannot be used."""
    import torch

    if name is None:
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # an empty tensor is made on 'meta', too, where nothing is computed
    except (RuntimeError, AssertionError) as error:
        raise UserError(f'--device {name} cannot be used here: {str(error).splitlines()[0]}') from error
    return device


def size_warning(larger: dict[int, tuple[int, int]], faces: FaceImages, lq_size: int | None, scale: int) -> str:
    """What to say of images that are larger than ``lq_size * scale``, or than what such networks are trained on."""
    index = max(larger, key=lambda index: max(larger[index]))
    height, width = larger[index]
    which = f'{len(larger)} of {len(faces)} images, the largest {faces.path(index)} of {width}x{height},'
    if lq_size is not None:
        side = lq_size * scale
        return (
            f'{which} are larger than the {side}x{side} that come out, and shrunk to {lq_size}x{lq_size} first: the '
            'result has less detail than what went in.'
        )
    return (
        f'{which} are larger than {FAR}x{FAR}, far from the sizes such networks are trained on (16x16 in the paper): '
        'look at the results; faces with that much detail need no super-resolution.'
    )


if __name__ == '__main__':
    main()
