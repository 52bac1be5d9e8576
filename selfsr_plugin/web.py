"""A web page on this machine: drop a photo, see it before and after, click a face, download the result.

    python -m selfsr_plugin.web

Needs gradio: pip install 'selfsr_plugin[web]'. It is bound to 127.0.0.1, sends nothing elsewhere and works offline; the
detector's file is downloaded once, or given as --weights retinaface=FILE.
"""

import argparse
import functools
import os
import signal
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .arguments import add_model, add_traceback, add_weights, positive, refuse_missing, weights_by_name
from .errors import UserError, one_sentence_errors, terminated_as_interrupted

if TYPE_CHECKING:
    from .photo_restoration.restorer import PhotoRestorer

HOST, PORT = '127.0.0.1', 7860  # the port is gradio's


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the page until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog='python -m selfsr_plugin.web', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_model(parser, shipped=True)
    parser.add_argument(
        '--lq-size',
        type=positive,
        nargs='+',
        action='extend',
        metavar='PIXELS',
        help='side of the LR faces that networks were trained on, or the smallest and the largest '
        '(default: as for restore)',
    )
    parser.add_argument('--device', help='a device of torch (default: the GPU if there is one)')
    parser.add_argument('--port', type=port, default=PORT, help='where the page is (default: %(default)s)')
    add_weights(
        parser, "retinaface=FILE: facexlib's detection_mobilenet0.25_Final.pth; without it facexlib downloads that file"
    )
    add_traceback(parser)
    args = parser.parse_args(argv)
    with one_sentence_errors(args.traceback), terminated_as_interrupted(signal.SIGHUP):  # a terminal that is closed
        run(args)


def port(text: str) -> int:
    """A number that a port may have, as a type for argparse."""
    number = positive(text)
    if number > 65535:
        raise argparse.ArgumentTypeError(f'{number} must be 65535 or less')
    return number


def run(args: argparse.Namespace) -> None:
    """Serve the page.

    Raises:
        UserError: gradio is not installed, an option or file cannot be used, or the port is taken.
    """
    if len(args.lq_size or []) > 2:
        raise UserError('--lq-size: give one size, or the smallest and the largest.')
    refuse_missing(args, 'model')
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'  # or gradio asks a server for its newest version
    # gradio asks the page itself whether it is there, and would ask a proxy for it
    direct = (os.environ.get('no_proxy') or os.environ.get('NO_PROXY'), HOST)
    os.environ['no_proxy'] = ','.join(filter(None, direct))
    try:
        import gradio
    except ImportError as error:
        raise UserError(
            f"the web page needs gradio ({error}): pip install 'selfsr_plugin[web]', or use python -m "
            'selfsr_plugin.restore.'
        ) from error
    from .photo_restoration.page import Page, build

    with tempfile.TemporaryDirectory(prefix='selfsr_') as folder:
        os.environ['GRADIO_TEMP_DIR'] = folder  # photos of people do not stay behind
        blocks = build(Page(restorers(args), folder))
        try:
            _, url, _ = blocks.launch(
                server_name=HOST,
                server_port=args.port,
                share=False,
                quiet=True,
                ssr_mode=False,
                prevent_thread_lock=True,
                footer_links=[],
                theme=gradio.themes.Base(font=['system-ui', 'sans-serif'], font_mono=['monospace']),
            )
        except OSError as error:
            raise UserError(f'--port {args.port} is taken: give another.') from error
        print(f'{url} (Ctrl-C ends it)', flush=True)
        blocks.block_thread()


def restorers(args: argparse.Namespace) -> 'Callable[[str | None, int, bool], PhotoRestorer]':
    """What makes the restorer for a network's file, an enlargement and one face or all; the last few are kept."""
    from .photo_restoration.finding import ENLARGE, TILE
    from .photo_restoration.restorer import PhotoRestorer
    from .preparation.detection import NETWORK, FaceDetector
    from .inference import find_device

    sizes = args.lq_size or []
    device = find_device(args.device)
    weights = weights_by_name(args.weights, [NETWORK]).get(NETWORK)
    detector = FaceDetector(weights, str(device), TILE, ENLARGE)

    @functools.lru_cache(maxsize=4)
    def make(model: str | None, upscale: int, only_center_face: bool) -> PhotoRestorer:
        return PhotoRestorer(
            model or args.model,
            upscale=upscale,
            lq_size=(min(sizes), max(sizes)) if sizes else None,
            only_center_face=only_center_face,
            detect=detector,
            device=device,
            key=None if model else args.key,
        )

    make(None, 1, False)  # a file that cannot be used is said now
    return make


if __name__ == '__main__':
    main()
