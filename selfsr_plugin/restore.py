"""Restore the small faces of photos: each is found, framed as in training, super-resolved and pasted back.

    python -m selfsr_plugin.restore --input PHOTO --output DIR

With --faces, --input holds LR faces that are cut out already, as prepare_faces does it, and each comes out as a file.
An image that cannot be used is passed over and named at the end; the status is 1 then. Results of an earlier run in
--output are replaced; any other file there is left as it is, and named.
"""

from __future__ import annotations

import argparse
import errno
import mimetypes
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import files
from .arguments import add_model, add_traceback, add_weights, positive, refuse_missing, renamed, weights_by_name
from .errors import UserError, one_sentence_errors
from .preparation.settings import PHOTO_THRESHOLD

if TYPE_CHECKING:
    from .data.face_images import FaceImages

FAR = 64  # pixels: four times the 16 that the paper trains on; larger faces are warned of
SUFFIXES = {'.jpg': 'JPEG', '.jpeg': 'JPEG', '.png': 'PNG'}  # of --output, where it names a file
FOR_PHOTOS = dict(
    upscale=1,
    bg_upsampler='bicubic',
    only_center_face=False,
    ext='auto',
    compare=False,
    json=False,
    threshold=PHOTO_THRESHOLD,
    weights=[],
)  # options and their defaults


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, that of the process if ``argv`` is None; a usage error ends the process."""
    parser = argparse.ArgumentParser(
        prog='python -m selfsr_plugin.restore',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '-i',
        '--input',
        required=True,
        type=files.path,
        nargs='+',
        action='extend',
        metavar='PATH',
        help='photos, folders of photos with their subfolders, LMDBs; with --faces one folder or LMDB of LR faces',
    )
    parser.add_argument(
        '-o',
        '--output',
        required=True,
        type=files.path,
        metavar='PATH',
        help='folder for the results, or, for one photo, a name ending in .jpg or .png',
    )
    add_model(parser, shipped=True)
    parser.add_argument(
        '--lq-size',
        type=positive,
        nargs='+',
        action='extend',
        metavar='PIXELS',
        help='side of the LR faces that the network was trained on, or the smallest and the largest (default: '
        '12 24 for the network that comes with the package, otherwise 16): '
        'smaller faces are enlarged to it, none is made smaller, and those with more pixels than the network makes of '
        'it are left alone; with --faces, all are resized to this side first (default: as they are)',
    )
    parser.add_argument(
        '--batch',
        type=positive,
        default=16,
        help='faces at once, if of one size; fewer where memory lacks (default: 16)',
    )
    parser.add_argument('--device', help='a device of torch (default: the GPU if there is one)')
    parser.add_argument('--faces', action='store_true', help='--input holds LR faces, not photos: nothing is detected')
    photos = parser.add_argument_group('photos')
    photos.add_argument(
        '-s', '--upscale', type=positive, default=1, metavar='N', help='enlarge the photo so many times (default: 1)'
    )
    photos.add_argument(
        '--bg_upsampler',
        '--bg-upsampler',
        choices=('bicubic', 'realesrgan'),
        default='bicubic',
        help='by what the rest of the photo is enlarged; realesrgan if that package is installed (default: bicubic)',
    )
    photos.add_argument(
        '--only_center_face',
        '--only-center-face',
        action='store_true',
        help='only the face nearest to the middle of the photo',
    )
    photos.add_argument(
        '--ext', choices=('auto', 'jpg', 'png'), default='auto', help='format of the results (default: the same)'
    )
    photos.add_argument('--compare', action='store_true', help='also NAME.ext.faces.png: the faces, LR | restored')
    photos.add_argument('--json', action='store_true', help='also NAME.ext.json: boxes, scores and sizes of the faces')
    photos.add_argument(
        '--threshold',
        type=float,
        default=PHOTO_THRESHOLD,
        metavar='SCORE',
        help='faces the detector is less certain of do not count (default: %(default)s)',
    )
    add_weights(
        photos,
        "retinaface=FILE: facexlib's detection_mobilenet0.25_Final.pth; realesrgan=FILE: RealESRGAN_x2plus.pth; "
        'without them these packages download their files',
    )
    add_traceback(parser)
    renamed(parser, debug='--traceback')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Restore as the command line says (that of the process by default)."""
    args = parse(argv)
    with one_sentence_errors(args.traceback):
        run(args)


def run(args: argparse.Namespace) -> None:
    """Restore every photo or face that can be used.

    Raises:
        UserError: an option, file or folder that cannot be used, before anything is written; or at the end, naming
            the images that were passed over.
    """
    if args.faces:
        run_on_faces(args)
    else:
        run_on_photos(args)


def run_on_photos(args: argparse.Namespace) -> None:
    """Restore the faces of photos. Raises as :func:`run`."""
    sizes = args.lq_size or []
    if len(sizes) > 2:
        raise UserError('--lq-size: give one size, or the smallest and the largest.')
    if args.bg_upsampler != 'bicubic' and args.upscale == 1:
        raise UserError(f'--bg_upsampler {args.bg_upsampler} has nothing to enlarge: give --upscale as well.')
    refuse_missing(args, 'input', 'model')
    from .inference import find_device
    from .photo_restoration import background
    from .photo_restoration.restorer import PhotoRestorer
    from .photo_restoration.run import Wanted, raise_problems, report, restore_photos
    from .photo_restoration.sources import check_output, find_sources
    from .preparation.detection import NETWORK

    enlarges = [background.REALESRGAN] * (args.bg_upsampler == 'realesrgan')
    weights = weights_by_name(args.weights, [NETWORK, background.REALESRGAN], [NETWORK, *enlarges])
    sources, others = find_sources(args.input)
    check_output(args.input, args.output)
    kind, file = {'auto': None, 'jpg': 'JPEG', 'png': 'PNG'}[args.ext], None
    if args.output.suffix.lower() in SUFFIXES and len(args.input) == 1 and not args.input[0].is_dir():
        given, kind, file = kind, SUFFIXES[args.output.suffix.lower()], args.output
        if given not in (None, kind):
            raise UserError(f'--ext {args.ext}: --output {files.printable(file)} says another format: leave --ext out.')
    elif (mimetypes.guess_type(args.output.name)[0] or '').startswith('image/') and not args.output.is_dir():
        raise UserError(
            f'--output {files.printable(args.output)}: a result is a .jpg or .png, of one photo; for several, and for '
            'other formats, name a folder.'
        )
    device = find_device(args.device)
    enlarge = background.bicubic
    if args.bg_upsampler == 'realesrgan':
        enlarge = background.realesrgan(weights.get(background.REALESRGAN), device)
    restorer = PhotoRestorer(
        args.model,
        upscale=args.upscale,
        lq_size=(min(sizes), max(sizes)) if sizes else None,
        only_center_face=args.only_center_face,
        detector_weights=weights.get(NETWORK),
        threshold=args.threshold,
        background=enlarge,
        batch=args.batch,
        device=device,
        key=args.key,
    )
    tally = restore_photos(restorer, sources, args.output, Wanted(kind, args.compare, args.json), file)
    print('\n'.join(report(tally, restorer, args.output)))
    if others:
        print(f'--input holds more than photos: {others}.')
    raise_problems(tally, len(sources))


def run_on_faces(args: argparse.Namespace) -> None:
    """Restore LR faces. Raises as :func:`run`."""
    given = [f'--{name}' for name, default in FOR_PHOTOS.items() if getattr(args, name) != default]
    if given:
        raise UserError(f'{", ".join(given)}: of photos only, not with --faces.')
    if len(args.input) > 1 or len(args.lq_size or [0]) > 1:
        raise UserError('with --faces, give one folder or LMDB as --input, and one --lq-size.')
    if args.output.suffix.lower() in SUFFIXES and not args.output.is_dir():
        raise UserError(
            f'--output {files.printable(args.output)}: with --faces the results are a picture of each face: name a '
            'folder.'
        )
    refuse_missing(args, 'input', 'model')
    from tqdm import tqdm

    from .data.face_images import FaceImages
    from .inference import find_device, run_network
    from .loading import load_for_images
    from .ops import to_image

    files.refuse_lmdb_name(args.output)
    (root,), lq_size = args.input, args.lq_size[0] if args.lq_size else None
    device = find_device(args.device)
    net = load_for_images(args.model, args.key)
    faces = FaceImages(dict(dataroot_lq=root, phase='test'), 'dataroot_lq', lq_size, '--input')
    if args.output.resolve() == root.resolve():
        raise UserError(
            f'--output {files.printable(args.output)} is the input folder, whose images would be replaced: '
            'give another.'
        )
    results, problems, larger = files.OwnResults(args.output), [], {}
    limit = FAR if lq_size is None else lq_size * net.scale
    with tqdm(total=len(faces), unit='image') as progress:
        for result in run_network(net, faces, args.batch, device):
            progress.update()
            if result.output is None:
                problems.append(result.problem)
                continue
            path = args.output / f'{faces.names[result.index]}.png'
            try:
                results.write(path, files.encode_image(to_image(result.output), '.png'))
            except UserError as error:
                problems.append(str(error).rstrip('.'))
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise files.cannot_write(path, error) from error
                problems.append(str(files.cannot_write(path, error)).rstrip('.'))  # of this face alone
            if max(result.stored) > limit:
                larger[result.index] = result.stored
    done = len(faces) - len(problems)
    grown = '' if net.level == net.num_level else f' (the file was saved at level {net.level} of {net.num_level})'
    print(f'{done} faces restored, x{net.scale}{grown}, on {device}: {files.printable(args.output)}')
    if larger:
        print(f'warning: {size_warning(larger, faces, lq_size, net.scale)}', file=sys.stderr)
    if problems:
        raise UserError(f'{len(problems)} of {len(faces)} images were not restored: {"; ".join(problems)}')


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
