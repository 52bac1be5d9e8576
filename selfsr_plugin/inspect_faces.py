"""Look at the faces before training: framing, colours, sharpness, sizes, duplicates, on one page.

    python -m selfsr_plugin.inspect_faces --hr faces_hr --lr faces_lr.lmdb --output report

Writes report.png and report.md. The framing is measured with the detector of prepare_faces.py on a sample.
"""
import argparse
from pathlib import Path
from typing import List, Optional, Sequence

import cv2
import numpy as np
import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs
from selfsr_plugin.data import ImageSource, open_image_source
from selfsr_plugin.data.decoding import CorruptImageError
from selfsr_plugin.preparation.inspection import (DomainFigures, Framing, compare, compare_framing, measure, measure_framing,
                                           warnings_of)
from selfsr_plugin.ops import to_uint8
from selfsr_plugin.preparation.detection import FaceDetector
from selfsr_plugin.errors import UserError, one_sentence_errors
from selfsr_plugin.pictures import draw_sheet

SHOWN = 48  # faces of each domain on the page
LISTED = 20  # groups of duplicates in the text


def main(arguments: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--hr', required=True, help='folder or LMDB of HR faces')
    parser.add_argument('--lr', help='folder or LMDB of LR faces, to compare with')
    parser.add_argument('--output', type=Path, required=True, help='folder for report.png and report.md')
    parser.add_argument('--lr-size', type=int, default=16, metavar='PIXELS', help='side of the LR images in training; '
                        'the domains are compared at it (default: %(default)s)')
    parser.add_argument('--gt-size', type=int, default=64, metavar='PIXELS', help='side of the HR images in training '
                        '(default: %(default)s)')
    parser.add_argument('--sample', type=int, default=400, metavar='N', help='faces of each domain whose framing is '
                        'measured; 0 measures none and needs no detector (default: %(default)s)')
    parser.add_argument('--weights', type=Path, metavar='DIR', help="folder with the detector's file, as for "
                        'prepare_faces.py')
    parser.add_argument('--debug', action='store_true', help='show where an error came from')
    args = parser.parse_args(arguments)
    with one_sentence_errors(args.debug):
        try:
            report(args)
        except (OSError, ValueError) as error:
            raise error if isinstance(error, UserError) else UserError(str(error)) from error


def report(args: argparse.Namespace) -> None:
    """Measure, draw and write."""
    for name in ('lr_size', 'gt_size'):
        if getattr(args, name) < 3:
            raise UserError(f'--{name.replace("_", "-")}: {getattr(args, name)} is less than 3 pixels.')
    sources = [open_image_source(root) for root in (args.hr, args.lr) if root]
    args.output.mkdir(parents=True, exist_ok=True)
    detect = FaceDetector(args.weights) if args.sample > 0 else None
    domains = [measure(source, args.lr_size) for source in sources]
    warnings = warnings_of(domains[0], args.gt_size)
    framings: List[Framing] = []
    if args.lr:
        warnings += warnings_of(domains[1], args.lr_size) + compare(*domains)
    if detect:
        sides = domains[-1].sides.min(1)
        sides = np.random.RandomState(0).permutation(sides).tolist() if args.lr else None
        framings = [measure_framing(sources[0], detect, args.sample, sides)]
        if args.lr:
            framings.append(measure_framing(sources[1], detect, args.sample))
            warnings += compare_framing(*framings, args.lr_size)
    text = describe(domains, framings, warnings, args.lr_size)
    (args.output / 'report.md').write_text(text, encoding='utf-8')
    page = draw_page(sources, domains)
    if not cv2.imwrite(str(args.output / 'report.png'), page):
        raise UserError(f'{args.output / "report.png"} cannot be written.')
    print(f'\n{text}\nPicture: {args.output / "report.png"}\nText:    {args.output / "report.md"}')


def describe(domains: Sequence[DomainFigures], framings: Sequence[Framing], warnings: Sequence[str],
             lr_size: int) -> str:
    """The Markdown summary: warnings first."""
    lines = ['# Faces before training', '']
    lines += [f'- **{warning}**' for warning in warnings] or ['No warnings.']
    titles = ['HR', 'LR'][:len(domains)]
    lines += ['', '| | ' + ' | '.join(titles) + ' |', '|---' * (len(domains) + 1) + '|']

    def row(title: str, cells: Sequence[str]) -> None:
        lines.append(f'| {title} | ' + ' | '.join(cells) + ' |')

    row('root', [domain.root for domain in domains])
    row('images', [str(len(domain.sides)) for domain in domains])
    row('shorter side: least, median, most', [
        '{:.0f}, {:.0f}, {:.0f}'.format(*np.percentile(domain.sides.min(1), (0, 50, 100))) for domain in domains])
    row(f'mean R, G, B at {lr_size}x{lr_size}', ['{:.1f}, {:.1f}, {:.1f}'.format(*domain.mean[::-1]) for domain in domains])
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
        lines += ['', 'Framing: medians over a sample, in shares of the side of the crop'
                  + ('; the HR faces were first reduced to sides drawn from those of the LR faces.'
                     if len(framings) > 1 else '.')]
    for title, domain in zip(titles, domains):
        for kind, groups in (('copies', domain.identical), ('look-alikes', domain.similar)):
            lines += [f'\n{title} {kind}{f" (the first {LISTED} groups)" if len(groups) > LISTED else ""}:\n'
                      ] * bool(groups)
            lines += ['- ' + ', '.join(group) for group in groups[:LISTED]]
        lines += [f'\n{title} unreadable:\n'] * bool(domain.bad) + [f'- {line}' for line in domain.bad]
    return '\n'.join(lines) + '\n'


def draw_page(sources: Sequence[ImageSource], domains: Sequence[DomainFigures]) -> np.ndarray:
    """Mean faces, size histograms and contact sheets, HR to the left of LR; BGR."""
    columns = []
    for title, source, domain in zip(('HR', 'LR'), sources, domains):
        top = draw_sheet([[to_uint8(domain.mean_face), draw_histogram(domain.sides.min(1), 256)]],
                         [f'{title}: mean of {len(domain.sides)}', 'shorter side in pixels'], tile=256)
        faces = sample_faces(source)
        faces += [np.full((8, 8, 3), 255, np.uint8)] * (-len(faces) % 6)
        sheet = draw_sheet([faces[start:start + 6] for start in range(0, len(faces), 6)],
                           [f'{title}: faces'] + [''] * 5, tile=82)
        height = top.shape[0] + sheet.shape[0]
        column = np.full((height, 540, 3), 255, np.uint8)
        column[:top.shape[0], :top.shape[1]] = top
        column[top.shape[0]:, :sheet.shape[1]] = sheet
        columns.append(column)
    height = max(column.shape[0] for column in columns)
    return np.hstack([np.pad(column, ((0, height - column.shape[0]), (0, 0), (0, 0)), constant_values=255)
                      for column in columns])


def sample_faces(source: ImageSource) -> List[np.ndarray]:
    """Faces spread evenly over the set, BGR; unreadable ones are left out."""
    faces = []
    for index in np.linspace(0, len(source) - 1, min(SHOWN, len(source))).astype(int):
        try:
            faces.append(source.read(int(index)))
        except CorruptImageError:
            continue
    return faces


def draw_histogram(values: np.ndarray, side: int) -> np.ndarray:
    """Bars of the counts in 16 bins, (side, side, 3) uint8, with the least and the largest value below."""
    image = np.full((side, side, 3), 255, np.uint8)
    counts, _ = np.histogram(values, bins=16)
    for number, count in enumerate(counts):
        height = round((side - 40) * count / counts.max())
        cv2.rectangle(image, (number * side // 16 + 1, side - 24 - height), ((number + 1) * side // 16 - 2, side - 24),
                      (160, 110, 60), -1)
    low, high = str(values.min()), str(values.max())
    for text, left in ((low, 2), (high, side - 9 * len(high) - 2)):
        cv2.putText(image, text, (left, side - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return image


if __name__ == '__main__':
    main()
