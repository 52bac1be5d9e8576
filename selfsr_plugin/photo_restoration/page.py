"""The web page: what it shows, and what it answers. Only :func:`build` needs gradio."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..data.decoding import CorruptImageError
from ..errors import UserError, is_out_of_memory
from ..files import cannot_write
from ..pictures import draw_sheet
from .background import bicubic
from .photo_file import read_photo_file
from .restorer import PhotoFace, PhotoRestorer
from .run import check_memory, encode_result
from .sources import OutputNames, Source

WARNING = """**What this must not be used for:** a restored face shows a plausible person, not evidence of who was
photographed. Most of what identifies somebody is gone from a small face, and the network replaces it by what is common
in the faces it was trained on. Do not identify people by it. Faces of kinds that are rare there come out worse.

Photos stay on this machine, and are deleted from it when the page is closed down."""
_SHOWN = 1600  # pixels: longer side of the photos as they are shown; the file for download has all of them
_FACE = 320  # pixels: side of a face that was clicked at
_RESTORED, _LEFT_ALONE = (60, 200, 90), (150, 150, 150)  # RGB: outlines


@dataclass(frozen=True)
class Answer:
    """What the page shows of a photo.

    Attributes:
        sentence: what became of it, or why it was refused; the other attributes are None then.
        before, after: (H, W, 3) uint8, RGB, of one size.
        outlined: the photo with its faces outlined, as large as it is shown.
        file: the restored photo.
        faces: all that were found.
        shown: how large a pixel of the photo is in ``outlined``.
    """

    sentence: str
    before: np.ndarray | None = None
    after: np.ndarray | None = None
    outlined: np.ndarray | None = None
    file: str | None = None
    faces: tuple[PhotoFace, ...] = ()
    shown: float = 1.0


class Page:
    """Answers what a browser asks.

    Args:
        make: makes the restorer for a network's file (None: that of the command line), an enlargement, and whether only
            the face in the middle is meant.
        folder: for results, which the caller deletes.
    """

    def __init__(self, make: Callable[[str | None, int, bool], PhotoRestorer], folder: str) -> None:
        self._make, self._folder = make, folder

    def restore(self, path: str, model: str | None, upscale: int, only_center_face: bool) -> Answer:
        """Restore the photo in a file; whatever cannot be used is a sentence."""
        name = os.path.basename(path)
        try:
            return self._restore(Path(path), name, self._make(model, upscale, only_center_face))
        except (CorruptImageError, UserError) as error:
            folder = os.path.join(os.path.dirname(model or ''), '')
            return Answer(str(error).replace(folder, '') if model else str(error))  # where uploads lie is of no use
        except OSError as error:
            return Answer(str(cannot_write(error.filename or self._folder, error) if error.errno else error))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return Answer(f'{name}: it needs more memory than there is.')

    def _restore(self, path: Path, name: str, restorer: PhotoRestorer) -> Answer:
        try:
            data = path.read_bytes()
        except OSError as error:  # uploads are deleted after an hour
            raise CorruptImageError(name, f'it is not here any more ({error.strerror}): give it again') from error
        check_memory(data, name, restorer.upscale)
        photo = read_photo_file(data, name)
        result = restorer(photo.pixels, keep_faces=True)
        try:
            encoded, kind = encode_result(data, photo, result, None)
        except ValueError as error:
            raise CorruptImageError(name, str(error)) from error
        source = Source(name, name, lambda: data)
        file = Path(tempfile.mkdtemp(dir=self._folder)) / OutputNames([source])(source, kind)
        file.write_bytes(encoded)
        shown = min(1.0, _SHOWN / max(photo.pixels.shape[:2]))
        before = photo.pixels if restorer.upscale == 1 else bicubic(photo.pixels, restorer.upscale)
        return Answer(
            _sentence(name, result.faces, [] if encoded is data else photo.notes),
            _shown(before),
            _shown(result.image),
            _outlined(photo.pixels, result.faces, shown),
            str(file),
            tuple(result.faces),
            shown,
        )


def pick(answer: Answer, x: float, y: float) -> tuple[np.ndarray | None, str]:
    """The face of ``answer.outlined`` at (x, y), or the one nearest to it.

    Returns:
        LR and restored face side by side, (H, W, 3) uint8, RGB, or None; and what to say.
    """
    if not answer.faces:
        return None, 'no face was found in this photo.'
    x, y = x / answer.shown, y / answer.shown

    def distance(face: PhotoFace) -> float:
        frame = face.frame
        return max(abs(frame.left + frame.side / 2 - x), abs(frame.top + frame.side / 2 - y)) / frame.side

    face = min(answer.faces, key=distance)
    if face.lq is None:
        return None, f'this face of {face.frame.side} pixels was left alone: {face.reason}.'
    pair = draw_sheet([[face.lq, face.restored]], ('', ''), _FACE)  # the page's label stands there
    return pair[..., ::-1], (
        f'{face.frame.side} pixels in the photo, {face.lq_size} into the network, {face.restored.shape[0]} out of it; '
        f'{round(100 * face.share)} % of what came out pasted; score {face.face.score:.2f}.'
    )


def _sentence(name: str, faces: list[PhotoFace], notes: list[str]) -> str:
    restored = sum(face.lq is not None for face in faces)
    parts = [f'{name}: no face found.' if not faces else f'{name}: {restored} of {len(faces)} faces restored.']
    reasons = sorted({face.reason for face in faces if face.reason})
    parts += [f'{sum(face.reason == reason for face in faces)} left alone: {reason}.' for reason in reasons]
    return ' '.join(parts + [f'{note[:1].upper()}{note[1:]}.' for note in notes])


def _shown(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(_shrunk(image, min(1.0, _SHOWN / max(image.shape[:2]))), cv2.COLOR_BGR2RGB)


def _outlined(photo: np.ndarray, faces: list[PhotoFace], shown: float) -> np.ndarray:
    image = cv2.cvtColor(_shrunk(photo, shown), cv2.COLOR_BGR2RGB)
    for face in faces:
        left, top, side = (round(edge * shown) for edge in (face.frame.left, face.frame.top, face.frame.side))
        colour = _RESTORED if face.lq is not None else _LEFT_ALONE
        cv2.rectangle(image, (left, top), (left + side - 1, top + side - 1), colour, max(1, round(side / 40)))
    return image


def _shrunk(image: np.ndarray, shrink: float) -> np.ndarray:
    size = tuple(max(1, round(side * shrink)) for side in image.shape[1::-1])  # of a stripe no pixel may be left
    return image if shrink == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def build(page: Page) -> Any:
    """The page as gradio's Blocks."""
    import gradio

    def restore(photo: str | None, model: str | None, upscale: int, only_center_face: bool) -> tuple:
        if photo is None:
            return 'Give a photo first.', None, None, None, None, None, ''
        answer = page.restore(photo, model, upscale, only_center_face)
        slider = None if answer.before is None else (answer.before, answer.after)
        return answer.sentence, slider, answer.outlined, answer.file, answer, None, ''

    def choose(answer: Answer | None, event: gradio.SelectData) -> tuple:
        return (None, '') if answer is None else pick(answer, *event.index)

    with gradio.Blocks(title='selfsr_plugin', analytics_enabled=False, delete_cache=(600, 3600)) as blocks:
        gradio.Markdown('# Photo in, face out\n\n' + WARNING)
        with gradio.Row():
            with gradio.Column(scale=1):
                photo = gradio.File(label='Photo', elem_id='photo')
                model = gradio.File(label='Another network (.pth, .safetensors)', elem_id='model', height=160)
                upscale = gradio.Radio([1, 2, 3, 4], value=1, label='Enlarge the photo')
                center = gradio.Checkbox(label='Only the face nearest to the middle')
                button = gradio.Button('Restore', variant='primary', elem_id='restore')
                file = gradio.File(label='Download', interactive=False, elem_id='result')
            with gradio.Column(scale=3):
                sentence = gradio.Markdown(elem_id='sentence')
                slider = gradio.ImageSlider(
                    label='Before | after',
                    elem_id='slider',
                    interactive=False,
                    format='png',  # not gradio's WebP, which loses what was restored
                    buttons=['fullscreen'],
                    max_height=700,
                )
                with gradio.Row():
                    outlined = gradio.Image(
                        label='Click a face', elem_id='outlined', interactive=False, format='png', buttons=[]
                    )
                    with gradio.Column():
                        pair = gradio.Image(
                            label='LR | restored', elem_id='pair', interactive=False, format='png', buttons=[]
                        )
                        about = gradio.Markdown(elem_id='about')
        answer = gradio.State()
        outputs = [sentence, slider, outlined, file, answer, pair, about]
        gradio.on([photo.upload, button.click], restore, [photo, model, upscale, center], outputs)
        outlined.select(choose, [answer], [pair, about])
    return blocks
