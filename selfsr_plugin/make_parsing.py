"""Parsing maps of face images, which FSRNet learns from (never needed to restore).

    python -m selfsr_plugin.make_parsing --input faces_hr --output faces_hr_parsing --landmarks faces_hr.csv

From 68 landmarks (polygons, ours), or with --parsenet by facexlib's network, on faces cut as prepare_faces does. Maps
of an earlier run in --output are replaced; any other file there is left as it is, and named.
"""

import argparse
from collections.abc import Sequence

from .arguments import add_traceback, add_weights, refuse_missing, weights_by_name
from .errors import UserError, one_sentence_errors
from .files import OwnResults, cannot_write, encode_image, path, printable, refuse_lmdb_name


def main(arguments: Sequence[str] | None = None) -> None:
    """Make parsing maps as the command line says (that of the process by default)."""
    parser = argparse.ArgumentParser(
        prog='python -m selfsr_plugin.make_parsing',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--input', type=path, required=True, metavar='DIR', help='folder or LMDB of faces, one an image'
    )
    parser.add_argument('--output', type=path, required=True, metavar='DIR', help='folder for the maps')
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--landmarks', type=path, metavar='FILE', help='68 landmarks of the faces, by make_landmarks')
    source.add_argument('--parsenet', action='store_true', help="facexlib's network")
    add_weights(parser, 'parsenet=FILE: its weights; without it facexlib downloads them')
    parser.add_argument('--device', default='cpu', help='of the network: cpu, cuda, cuda:1 (default: %(default)s)')
    add_traceback(parser)
    args = parser.parse_args(arguments)
    with one_sentence_errors(args.traceback):
        make(args)


def make(args: argparse.Namespace) -> None:
    """Make the map of every face, and say of how many there is none."""
    refuse_missing(args, 'input', 'landmarks')
    from tqdm import tqdm

    from .baselines.landmarks import count_of, read_landmarks, refuse_other_faces
    from .baselines.parsing import from_landmarks, parsenet
    from .data.image_source import CorruptImageError, open_image_source
    from .inference import find_device

    source = open_image_source(str(args.input))
    find_device(args.device)
    weights = weights_by_name(args.weights, ['parsenet'], ['parsenet'] * args.parsenet)
    if args.output.resolve() == args.input.resolve():
        raise UserError(f'--output: {printable(args.output)} holds the faces themselves: give another folder.')
    refuse_lmdb_name(args.output)
    faces = None
    if args.landmarks is not None:
        faces = read_landmarks(args.landmarks)
        if count_of(faces) != 68:
            raise UserError(
                f'--landmarks: {printable(args.landmarks)} has {count_of(faces)} points of each face, and the polygons '
                'need 68: make them with --detector fan or dlib.'
            )
        used = [index for index, name in enumerate(source.names) if name in faces]
        if not used:
            raise UserError(
                f'--landmarks: {printable(args.landmarks)} has none of the images in {source.root}: it is of others.'
            )
        refuse_other_faces(faces, source, used, source.read, f'--landmarks: {printable(args.landmarks)}')
    parse = parsenet(weights.get('parsenet'), args.device) if faces is None else None
    results, made, problems = OwnResults(args.output), 0, []
    for index, name in enumerate(tqdm(source.names, desc='faces', unit='face')):
        try:
            if faces is None:
                labels = parse(source.read(index))
            elif name in faces and faces[name].points is not None:
                labels = from_landmarks(faces[name])
            else:
                continue
        except CorruptImageError as error:
            problems.append(str(error))
            continue
        file = args.output / f'{name}.png'
        try:
            results.write(file, encode_image(labels, '.png'))
        except UserError as error:
            problems.append(str(error).rstrip('.'))
            continue
        except OSError as error:
            raise cannot_write(file, error) from error
        made += 1
    print(f'Maps of {made} of {len(source)} faces are in {printable(args.output)}.')
    if problems:
        raise UserError(f'{len(problems)} of {len(source)} images are left out: {"; ".join(problems)}')


if __name__ == '__main__':
    main()
