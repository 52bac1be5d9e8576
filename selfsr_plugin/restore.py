"""Super-resolve a folder or an LMDB of LR faces.

``python -m selfsr_plugin.restore --input DIR --output DIR --model FILE``
"""
import argparse
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple

import torch
from tqdm import tqdm

import selfsr_plugin  # before basicsr: applies the alias that its import needs

from basicsr.utils import imwrite, tensor2img

from .archs import SelfCondSRNet
from .data.face_images import FaceImages
from .errors import UserError, one_sentence_errors


def parse(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m selfsr_plugin.restore', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--input', required=True, metavar='DIR', help='folder of LR faces, or LMDB')
    parser.add_argument('--output', required=True, type=Path, metavar='DIR', help='<name>.png go there')
    parser.add_argument('--model', required=True, metavar='FILE', help='net_g_*.pth of a SelfCondSRNet')
    parser.add_argument('--key', choices=['params', 'params_ema'],
                        help='which weights of the file; by default params_ema if it has them')
    parser.add_argument('--lq-size', type=int, metavar='PIXELS',
                        help='resize the faces to this side first, as lq_size in an option file does; 16 for the paper')
    parser.add_argument('--batch', type=int, default=16, help='images at once, if of one size (default 16)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='a device of torch; by default the GPU if there is one')
    parser.add_argument('--debug', action='store_true', help='full tracebacks')
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Restore as the command line says (that of the process by default)."""
    args = parse(argv)
    with one_sentence_errors(args.debug):
        try:
            run(args)
        except UserError:
            raise
        except (OSError, ValueError) as error:
            raise UserError(str(error)) from error


def run(args: argparse.Namespace) -> None:
    """Restore every image; what was written before an error stays."""
    if args.batch < 1 or (args.lq_size is not None and args.lq_size < 1):
        raise UserError('--batch and --lq-size must be whole numbers, 1 or more.')
    try:
        device = torch.device(args.device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f'--device {args.device} cannot be used here: {str(error).splitlines()[0]}') from error
    net = selfsr_plugin.load(args.model, args.key, SelfCondSRNet)
    net.to(device)
    faces = FaceImages(dict(dataroot_lq=args.input, phase='test'), 'dataroot_lq', args.lq_size)
    if args.output.resolve() == Path(args.input).expanduser().resolve():
        raise UserError(f'--output {args.output} is the input folder, whose images would be replaced: give another.')
    args.output.mkdir(parents=True, exist_ok=True)
    with torch.no_grad(), tqdm(total=len(faces), unit='image') as progress:
        for names, batch in batches(faces, args.batch):
            for name, image in zip(names, net(batch.to(device)).cpu()):
                imwrite(tensor2img(image), str(args.output / f'{name}.png'))
            progress.update(len(names))
    grown = '' if net.level == net.num_level else f' (the file was saved at level {net.level} of {net.num_level})'
    print(f'{len(faces)} faces restored, x{net.scale}{grown}, on {device}: {args.output}')


def batches(faces: FaceImages, size: int) -> Iterator[Tuple[List[str], torch.Tensor]]:
    """(names, (N, 3, h, w)) in order, up to ``size`` images that follow each other and have one size."""
    names: List[str] = []
    images: List[torch.Tensor] = []
    for index, name in enumerate(faces.names):
        image = faces.read(index)
        if images and (len(images) == size or image.shape != images[0].shape):
            yield names, torch.stack(images)
            names, images = [], []
        names.append(name)
        images.append(image)
    yield names, torch.stack(images)


if __name__ == '__main__':
    main()
