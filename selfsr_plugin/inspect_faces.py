"""Look at the faces before training: framing, colours, sharpness, sizes, duplicates, on one page.

    python -m selfsr_plugin.inspect_faces --gt faces_hr --lq faces_lr.lmdb --output report

Writes report.png and report.md. The framing is measured with the detector of prepare_faces on a
sample; where it differs, the options that would mend it are named.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .arguments import add_traceback, add_weights, refuse_missing, renamed, weights_by_name
from .errors import UserError, one_sentence_errors
from .files import OwnResults, cannot_write, check_writable, encode_image, path, printable
from .preparation.settings import LIMITS

if TYPE_CHECKING:
    from .data import ImageSource
    from .preparation.inspection import DomainFigures, Framing

SHOWN = 48  # faces of each domain on the page
LISTED = 20  # groups of duplicates in the text


def main(arguments: Sequence[str] | None = None) -> None:
    """Inspect as the command line says (that of the process by default)."""
    parser = argparse.ArgumentParser(
        prog='python -m selfsr_plugin.inspect_faces',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--gt', type=path, required=True, metavar='DIR', help='folder or LMDB of HR faces')
    parser.add_argument('--lq', type=path, metavar='DIR', help='folder or LMDB of LR faces, to compare with')
    parser.add_argument('--output', type=path, required=True, metavar='DIR', help='folder for report.png and report.md')
    parser.add_argument(
        '--lq-size',
        type=int,
        default=16,
        metavar='PIXELS',
        help='side of the LR images in training; the domains are compared at it (default: %(default)s)',
    )
    parser.add_argument(
        '--gt-size',
        type=int,
        default=64,
        metavar='PIXELS',
        help='side of the HR images in training (default: %(default)s)',
    )
    parser.add_argument(
        '--sample',
        type=int,
        default=400,
        metavar='N',
        help='faces of each domain whose framing is '
        'measured; 0 measures none and needs no detector (default: %(default)s)',
    )
    add_weights(parser, "retinaface=FILE: the detector's file, as for prepare_faces")
    add_traceback(parser)
    renamed(parser, debug='--traceback', hr='--gt', lr='--lq', lr_size='--lq-size')
    args = parser.parse_args(arguments)
    with one_sentence_errors(args.traceback):
        refuse_missing(args, 'gt', 'lq')
        try:
            report(args)
        except (OSError, ValueError) as error:
            raise error if isinstance(error, (UserError, OSError)) else UserError(str(error)) from error


def report(args: argparse.Namespace) -> None:
    """Measure, draw and write."""
    from .data import open_image_source
    from .preparation.detection import NETWORK, FaceDetector
    from .preparation.inspection import (
        compare,
        compare_framing,
        differ,
        measure,
        measure_framing,
        shared,
        warnings_of,
        warnings_of_pair,
    )

    for name in ('lq_size', 'gt_size'):
        if getattr(args, name) < 3:
            raise UserError(f'--{name.replace("_", "-")}: {getattr(args, name)} is less than 3 pixels.')
    if args.sample < 0:
        raise UserError(f'--sample: {args.sample} is less than 0.')
    sources = [open_image_source(str(root)) for root in (args.gt, args.lq) if root]
    for option, root in (('--gt', args.gt), ('--lq', args.lq)):
        if root and args.output.resolve() == root.resolve():
            raise UserError(
                f'--output {printable(args.output)} is the folder of {option}, where report.png would be taken for '
                'a face: give another.'
            )
    args.output.mkdir(parents=True, exist_ok=True)
    results, files = OwnResults(args.output), [args.output / name for name in ('report.md', 'report.png')]
    for file in files:  # before the work
        results.refuse_foreign(file)
        check_writable(file)
    weights = weights_by_name(args.weights, [NETWORK], [NETWORK] * (args.sample > 0)).get(NETWORK)
    detect = FaceDetector(weights) if args.sample > 0 else None
    domains = [measure(source, args.lq_size) for source in sources]
    warnings = warnings_of(domains[0], args.gt_size)
    framings: list[Framing] = []
    if args.lq:
        warnings += warnings_of(domains[1], args.lq_size)
        warnings += warnings_of_pair(*domains, args.gt_size, args.lq_size) + compare(*domains)
    if detect:
        sides = domains[-1].sides.min(1)
        sides = np.random.RandomState(0).permutation(sides).tolist() if args.lq else None
        framings = [measure_framing(sources[0], detect, args.sample, sides)]
        if args.lq:
            framings.append(measure_framing(sources[1], detect, args.sample))
            warnings += compare_framing(*framings, args.lq_size)
    text = describe(domains, framings, warnings, args.lq_size, shared(*domains) if args.lq else [])
    if len(framings) == 2 and all(framing.found for framing in framings):
        text += '\n' + (advise(args, *framings) if differ(*framings) else 'The two domains are framed alike.') + '\n'
    try:
        for file, content in zip(files, (text.encode(), encode_image(draw_page(sources, domains), '.png'))):
            try:
                results.write(file, content)
            except OSError as error:
                raise cannot_write(file, error) from error
    finally:  # what was measured is not lost where only one of the two can be written
        print(f'\n{text}')
    output = printable(args.output)
    print(f'Picture: {output}/report.png\nText:    {output}/report.md')


def advise(args: argparse.Namespace, hr: Framing, lq: Framing) -> str:
    """How one of the domains can be cut again so that both are framed alike: LR, unless only HR has a manifest."""
    from .preparation.inspection import options_for
    from .preparation.manifest import MANIFEST_FILE, read_manifest

    again = [
        (title, root, read_manifest(root)[0], *measured)
        for title, root, measured in (('LR', args.lq, (lq, hr)), ('HR', args.gt, (hr, lq)))
    ]
    title, root, settings, wrong, right = next((each for each in again if each[2]), again[0])
    found = options_for(wrong, right, *(settings.get(name, 0.0) for name in LIMITS))
    said = ' '.join(f'--{name.replace("_", "-")} {value}' for name, value in found.items())
    if any(not least <= found[name] <= most for name, (least, most) in LIMITS.items()):
        return f'The framing differs too much for prepare_faces to mend it ({said} would be needed).'
    known = (
        ''
        if settings
        else f' (There is no {MANIFEST_FILE} in {printable(root)}: if these were cut with a --margin '
        'or --shift of their own, name the folder that has it.)'
    )
    return (
        f'To frame both alike, cut the {title} faces again from their photos, into a new folder, with the options they '
        f'were cut with and these:\n\n    {said}\n{known}'
    ).rstrip()


def describe(
    domains: Sequence[DomainFigures],
    framings: Sequence[Framing],
    warnings: Sequence[str],
    lq_size: int,
    both: Sequence[Sequence[str]],
) -> str:
    """The Markdown summary: warnings first; ``both`` are groups of faces that both domains show."""
    lines = ['# Faces before training', '']
    lines += [f'- **{warning}**' for warning in warnings] or ['No warnings.']
    titles = ['HR', 'LR'][: len(domains)]
    lines += ['', '| | ' + ' | '.join(titles) + ' |', '|---' * (len(domains) + 1) + '|']

    def row(title: str, cells: Sequence[str]) -> None:
        lines.append(f'| {title} | ' + ' | '.join(cells) + ' |')

    row('root', [domain.root for domain in domains])
    row('images', [str(len(domain.sides)) for domain in domains])
    row(
        'shorter side: least, median, most',
        ['{:.0f}, {:.0f}, {:.0f}'.format(*np.percentile(domain.sides.min(1), (0, 50, 100))) for domain in domains],
    )
    row(
        f'mean R, G, B at {lq_size}x{lq_size}',
        ['{:.1f}, {:.1f}, {:.1f}'.format(*domain.mean[::-1]) for domain in domains],
    )
    row('standard deviation R, G, B', ['{:.1f}, {:.1f}, {:.1f}'.format(*domain.std[::-1]) for domain in domains])
    row('Laplacian energy, median', [f'{domain.sharpness:.0f}' for domain in domains])
    row('copies (same pixels)', [str(sum(len(g) - 1 for g in domain.identical)) for domain in domains])
    row('look-alikes (difference hash)', [str(sum(len(g) - 1 for g in domain.similar)) for domain in domains])
    row('unreadable', [str(len(domain.bad)) for domain in domains])
    if framings:
        row('framing: face found', [f'{framing.found} of {framing.tried}' for framing in framings])
        row('detected box, width x height', [f'{framing.width:.3f} x {framing.height:.3f}' for framing in framings])
        row('between eyes + eyes to mouth', [f'{framing.distance:.3f}' for framing in framings])
        row('point between eyes and mouth, x, y', [f'{framing.x:.3f}, {framing.y:.3f}' for framing in framings])
        row('standard deviation of x', [f'{framing.spread_x:.3f}' for framing in framings])
        lines += [
            '',
            'Framing: medians over a sample, in shares of the side of the crop'
            + (
                '; the HR faces were first reduced to sides drawn from those of the LR faces.'
                if len(framings) > 1
                else '.'
            ),
        ]
    for title, domain in zip([*titles, 'HR and LR'], [*domains, None]):
        kinds = {'look-alikes': both} if domain is None else {'copies': domain.identical, 'look-alikes': domain.similar}
        for kind, groups in kinds.items():
            lines += [f'\n{title} {kind}{f" (the first {LISTED} groups)" if len(groups) > LISTED else ""}:\n'] * bool(
                groups
            )
            lines += ['- ' + ', '.join(map(printable, group)) for group in groups[:LISTED]]
        if domain is not None and domain.bad:
            lines += [f'\n{title} unreadable:\n', *(f'- {line}' for line in domain.bad)]
    return '\n'.join(lines) + '\n'


def draw_page(sources: Sequence[ImageSource], domains: Sequence[DomainFigures]) -> np.ndarray:
    """Mean faces, size histograms and contact sheets, HR to the left of LR; BGR."""
    from .ops import to_uint8
    from .pictures import draw_sheet

    columns = []
    for title, source, domain in zip(('HR', 'LR'), sources, domains):
        top = draw_sheet(
            [[to_uint8(domain.mean_face), draw_histogram(domain.sides.min(1), 256)]],
            [f'{title}: mean of {len(domain.sides)}', 'shorter side in pixels'],
            tile=256,
        )
        faces = sample_faces(source)
        faces += [np.full((8, 8, 3), 255, np.uint8)] * (-len(faces) % 6)
        sheet = draw_sheet(
            [faces[start : start + 6] for start in range(0, len(faces), 6)], [f'{title}: faces'] + [''] * 5, tile=82
        )
        height = top.shape[0] + sheet.shape[0]
        column = np.full((height, 540, 3), 255, np.uint8)
        column[: top.shape[0], : top.shape[1]] = top
        column[top.shape[0] :, : sheet.shape[1]] = sheet
        columns.append(column)
    height = max(column.shape[0] for column in columns)
    return np.hstack(
        [np.pad(column, ((0, height - column.shape[0]), (0, 0), (0, 0)), constant_values=255) for column in columns]
    )


def sample_faces(source: ImageSource) -> list[np.ndarray]:
    """Faces spread evenly over the set, BGR; unreadable ones are left out."""
    from .data import CorruptImageError

    faces = []
    for index in np.linspace(0, len(source) - 1, min(SHOWN, len(source))).astype(int):
        try:
            faces.append(source.read(int(index)))
        except CorruptImageError:
            continue
    return faces


def draw_histogram(values: np.ndarray, side: int) -> np.ndarray:
    """Bars of the counts in 16 bins, (side, side, 3) uint8, with the least and the largest value below."""
    import cv2

    image = np.full((side, side, 3), 255, np.uint8)
    counts, _ = np.histogram(values, bins=16)
    for number, count in enumerate(counts):
        height = round((side - 40) * count / counts.max())
        cv2.rectangle(
            image,
            (number * side // 16 + 1, side - 24 - height),
            ((number + 1) * side // 16 - 2, side - 24),
            (160, 110, 60),
            -1,
        )
    low, high = str(values.min()), str(values.max())
    for text, left in ((low, 2), (high, side - 9 * len(high) - 2)):
        cv2.putText(image, text, (left, side - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return image


if __name__ == '__main__':
    main()
