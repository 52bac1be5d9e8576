"""The picture of the web page in docs/photos.md: a sheet of portraits restored in a headless browser.

    python scripts/figure_web_page.py --portraits my_portraits --weights retinaface=FILE --output docs/web_page.png

--portraits is the folder that made the demo's faces; the sheet shows the first 24 of the demo's test people, whom the
network that comes with the package has not seen. Needs gradio, playwright and a Chromium (Debian: apt-get install
chromium).
"""

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

MANIFEST = Path(__file__).resolve().parents[1] / 'datasets/demo/manifest.csv'
COLUMNS, ROWS = 8, 3
TILE = (44, 54)  # pixels: a portrait; the square that is restored has about 36 of them
CLICKED = (22, 26)  # x and y on the sheet: the first face
WINDOW = (1030, 800)


def test_people() -> list[str]:
    """The names of the demo's test people, sorted."""
    with open(MANIFEST, encoding='utf-8', newline='') as file:
        return sorted(row['person'] for row in csv.DictReader(file) if row['split'] == 'test_hr')


def draw_sheet(portraits: Sequence[Path]) -> Image.Image:
    """Portraits side by side, ``COLUMNS`` in a row, each shrunk to ``TILE``."""
    sheet = Image.new('RGB', (COLUMNS * TILE[0], -(-len(portraits) // COLUMNS) * TILE[1]))
    for number, path in enumerate(portraits):
        tile = Image.open(path).convert('RGB').resize(TILE, Image.Resampling.BICUBIC)
        sheet.paste(tile, (number % COLUMNS * TILE[0], number // COLUMNS * TILE[1]))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--portraits', type=Path, required=True, help='folder of portraits, one per person')
    parser.add_argument('--weights', nargs='+', action='extend', default=[], metavar='NAME=FILE', help='as for restore')
    parser.add_argument('--output', type=Path, default='web_page.png', help='picture to write (default: web_page.png)')
    parser.add_argument('--port', type=int, default=7861, help='where the page is for that while (default: 7861)')
    args = parser.parse_args()
    paths = {path.stem: path for path in args.portraits.glob('*.jpg')}
    people = [paths[name] for name in test_people() if name in paths][: COLUMNS * ROWS]
    if not people:
        sys.exit(f'--portraits: {args.portraits} holds no portrait of the people of datasets/demo/test_hr.')
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if chromium is None:
        sys.exit('there is no Chromium here (Debian: apt-get install chromium).')
    command = [sys.executable, '-m', 'selfsr_plugin.web', '--port', str(args.port)]
    command += ['--weights', *args.weights] if args.weights else []
    with tempfile.TemporaryDirectory() as folder, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as page:
        try:
            draw_sheet(people).save(Path(folder) / 'portraits.jpg', quality=95)
            url = page.stdout.readline().split()
            if not url:
                sys.exit('the page did not start: what it says is above.')
            photograph(url[0], Path(folder) / 'portraits.jpg', chromium, args.output)
        finally:
            page.terminate()
            page.wait()


def photograph(url: str, photo: Path, chromium: str, output: Path) -> None:
    """Restore ``photo`` on the page, enlarged twice, click at a face, and write a picture of the page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=['--no-sandbox'])
        tab = browser.new_page(viewport=dict(zip(('width', 'height'), WINDOW)))
        tab.set_default_timeout(300_000)
        tab.goto(url)
        tab.get_by_label('2', exact=True).check()
        tab.set_input_files('#photo input[type=file]', str(photo))
        tab.wait_for_selector('#slider img')
        shown = tab.locator('#outlined img')
        shrunk = shown.bounding_box()['width'] / (COLUMNS * TILE[0])
        shown.click(position={'x': CLICKED[0] * shrunk, 'y': CLICKED[1] * shrunk})
        tab.wait_for_selector('#pair img')
        tab.wait_for_timeout(1000)  # until what moves has come to rest
        tab.screenshot(path=str(output), full_page=True)
        browser.close()


if __name__ == '__main__':
    main()
