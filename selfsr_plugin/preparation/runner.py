"""From a folder of photos to face crops and a manifest, in one process or several, from where the last run stopped."""

import errno
import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing.connection import wait as wait_for_sentinel
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from ..errors import UserError
from ..files import encode_image, write_file
from ..ops import resize_array, to_uint8
from .annotations import read_annotations
from .detection import FaceDetector, limit_threads
from .faces import Face, Refused
from .framing import Frame, frame_face
from .manifest import Manifest
from .photos import crop_stems, find_photos, read_photo
from .settings import Settings

Detector = Callable[[np.ndarray, float], list[Face]]


class PhotoCutter:
    """Cuts the faces out of one photo after the other.

    Args:
        root: the folder of photos.
        output: the folder that gets the crops.
        settings: see :class:`Settings`.
        detect: gives the faces of a photo (H, W, 3) uint8, BGR, for a threshold; None if all faces are annotated.
    """

    def __init__(self, root: Path, output: Path, settings: Settings, detect: Detector | None) -> None:
        self.root, self.output, self.settings, self.detect = root, output, settings, detect

    def __call__(self, name: str, stem: str, annotated: list[Face] | None) -> dict[str, Any]:
        """Write the crops ``stem``_000.png, ... of a photo and return its line of the manifest.

        Raises:
            OSError: the crops cannot be written.
        """
        line: dict[str, Any] = {'photo': name, 'faces': [], 'left_out': [], **_identity(self.root / name)}
        try:
            photo = read_photo(self.root / name)
            line['height'], line['width'] = photo.shape[:2]
            faces = self.detect(photo, self.settings.threshold) if annotated is None else annotated
            if not faces:
                raise Refused('no face found' if annotated is None else 'no face is annotated')
            framed = self._frame(faces, photo, line['left_out'])
            if not framed:
                first = line['left_out'][0]['reason']
                raise Refused(
                    first
                    if len(faces) == 1
                    else f'none of its {len(faces)} faces can be used; of the first one, {first}'
                )
        except Refused as why:
            line['refused'] = str(why)
            return line
        for number, (face, box) in enumerate(framed):
            file = f'{stem}_{number:03d}.png'
            image = box.cut(photo)
            size = self.settings.size or box.side
            if self.settings.framing == 'dic':
                image = np.asarray(Image.fromarray(image).resize((size, size), Image.BICUBIC))  # as DIC does
            elif box.side != size:
                image = to_uint8(resize_array(image, size))
            data = encode_image(image, '.png', [cv2.IMWRITE_PNG_COMPRESSION, 3])
            write_file(self.output / file, data)
            line['faces'].append(
                {
                    'file': file,
                    **_describe(face),
                    'crop': asdict(box),
                    'size': size,
                    'padded': list(box.beyond(*photo.shape[:2])),
                    'sha256': hashlib.sha256(data).hexdigest(),
                }
            )
        return line

    def _frame(self, faces: list[Face], photo: np.ndarray, left_out: list[dict[str, Any]]) -> list[tuple[Face, Frame]]:
        """The usable faces, the largest ``max_faces`` of them, in the order they came; the others go to left_out."""
        settings, framed = self.settings, []
        for face in faces:
            try:
                box = frame_face(
                    face,
                    settings.framing,
                    *photo.shape[:2],
                    settings.smallest,
                    settings.margin,
                    (settings.shift_x, settings.shift_y),
                )
                if settings.max_face is not None and box.side > settings.max_face:
                    raise Refused(f'the face fills {box.side} pixels, at most {settings.max_face} wanted')
                framed.append((face, box))
            except Refused as why:
                left_out.append({**_describe(face), 'reason': str(why)})
        if settings.max_faces is not None and len(framed) > settings.max_faces:
            kept = sorted(range(len(framed)), key=lambda index: -framed[index][1].side)[: settings.max_faces]
            left_out += [
                {**_describe(face), 'reason': f'the photo has {settings.max_faces} larger faces'}
                for index, (face, _) in enumerate(framed)
                if index not in kept
            ]
            framed = [framed[index] for index in sorted(kept)]
        return framed


def _identity(photo: Path) -> dict[str, Any]:
    """What tells a photo from another that has taken its name: size, time of change and digest of the file."""
    try:
        state = photo.stat()
        return {'bytes': state.st_size, 'changed': state.st_mtime_ns, 'digest': _digest(photo)}
    except OSError:
        return {'bytes': None}


def _digest(photo: Path) -> str:
    return hashlib.sha256(photo.read_bytes()).hexdigest()


def _is_other(photo: Path, line: Mapping[str, Any]) -> bool:
    """Whether a file is another than the one of a line of the manifest; read only where its time differs, as in a copy.

    Manifests of before tell the size alone, or nothing.
    """
    try:
        state = photo.stat()
        if line.get('bytes') in (None, state.st_size):
            return line.get('changed', state.st_mtime_ns) != state.st_mtime_ns and line['digest'] != _digest(photo)
    except OSError:
        return line.get('bytes') is not None
    return True


def _describe(face: Face) -> dict[str, Any]:
    return {
        'box': None if face.box is None else [round(edge, 2) for edge in face.box],
        'landmarks': None if face.landmarks is None else face.landmarks.round(2).tolist(),
        'score': None if face.score is None else round(face.score, 4),
        **({} if face.points is None else {'points': face.points.round(2).tolist()}),
    }


def prepare(
    root: Path,
    output: Path,
    settings: Settings,
    weights: str | Path | None = None,
    annotations: Path | None = None,
    workers: int = 1,
    device: str = 'cpu',
    retry: bool = False,
    detect: Detector | None = None,
) -> Manifest:
    """Cut the faces out of all photos below ``root``, except those that the manifest in ``output`` has already.

    Args:
        root: folder of photos, searched with its subfolders, or one photo.
        output: folder for crops and manifest.
        settings: see :class:`Settings`.
        weights: the detector's file; None lets facexlib download it.
        annotations: a file of annotated faces, see annotations.py: nothing is detected then.
        workers: processes that read, detect and cut; 1 does it in this one.
        device: where the detector runs.
        retry: do refused photos again.
        detect: a detector to use instead of facexlib's, with one worker.

    Returns:
        the manifest, closed.

    Raises:
        UserError: bad settings or input, a full disk, or a worker that died. What was done until then is kept.
        KeyboardInterrupt: Ctrl-C, saying how many photos are done.
    """
    settings.check()
    if workers < 1:
        raise UserError(f'--workers: {workers} is less than 1.')
    alone = root.is_file()
    if alone:
        root, photos, others = root.parent, [root.name], []
    else:
        photos, others = find_photos(root)
    if not alone and (output.resolve() == root.resolve() or root.resolve() in output.resolve().parents):
        raise UserError(
            f'--output: {output} lies in --input, where its crops would be taken for photos: name a folder elsewhere.'
        )
    annotated = None if annotations is None else read_annotations(annotations)
    if (
        annotated is not None
        and settings.framing == 'similarity'
        and not any(face.landmarks is not None for faces in annotated.values() for face in faces)
    ):
        raise UserError(
            f'--framing similarity needs landmarks, and {annotations} gives boxes only: use square, or '
            'leave --annotations out to detect the faces.'
        )
    all_faces = [face for faces in (annotated or {}).values() for face in faces]
    if settings.framing == 'dic' and not (all_faces and all(face.points is not None for face in all_faces)):
        raise UserError(
            '--framing dic cuts by the box of 68 or 194 landmarks: give them as --annotations, a CSV with the photo '
            'and the points of a face in each line.'
        )
    if settings.framing != 'dic' and any(face.box is None and face.landmarks is None for face in all_faces):
        raise UserError(
            f'--annotations: which of the 194 landmarks of {annotations} are the eyes and the mouth is not known here: '
            'use --framing dic.'
        )
    cutter = PhotoCutter(root, output, settings, detect)
    if annotated is None and detect is None:
        cutter.detect = FaceDetector(weights, device)  # with workers too: it downloads and checks the file once
    stems = crop_stems(photos)
    manifest_settings = {**asdict(settings), 'annotations': None if annotations is None else annotations.name}
    with _full_disk_is_one_sentence(output), Manifest(output, manifest_settings) as manifest:
        done = {name for name, line in manifest.photos.items() if not (retry and 'refused' in line)}
        waiting = [name for name in photos if name not in done]
        manifest.changed = [name for name in photos if name in done and _is_other(root / name, manifest.photos[name])]
        tasks = ((name, stems[name], None if annotated is None else annotated.get(name, [])) for name in waiting)
        try:
            with tqdm(total=len(photos), initial=len(photos) - len(waiting), desc='photos', unit='photo') as bar:
                lines = (
                    (cutter(*task) for task in tasks)
                    if workers == 1
                    else _in_processes(cutter, tasks, min(workers, max(len(waiting), 1)), weights, device)
                )
                for line in lines:
                    manifest.add(line)
                    bar.update()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f'stopped; {len(manifest.photos)} of {len(photos)} photos are done, and the same command '
                'goes on from there.'
            ) from None
        finally:
            if manifest.photos:
                manifest.write_refused(others)
        manifest.find_missing()
    return manifest


@contextmanager
def _full_disk_is_one_sentence(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = 'make room' if error.errno in (errno.ENOSPC, errno.EDQUOT) else 'mend this'
        raise UserError(
            f'{error.filename or output} cannot be written ({error.strerror}): {remedy} and give the same '
            'command again, it goes on from there.'
        ) from error


# ---- Several processes

_worker_cutter: PhotoCutter | None = None


def _start_worker(cutter: PhotoCutter, weights: str | Path | None, device: str, detects: bool) -> None:
    global _worker_cutter
    limit_threads()
    # A worker whose parent was killed would wait for work for ever.
    parent = multiprocessing.parent_process().sentinel
    threading.Thread(target=lambda: (wait_for_sentinel([parent]), os._exit(1)), daemon=True).start()
    cutter.detect = FaceDetector(weights, device) if detects else None
    _worker_cutter = cutter


def _work(*task: Any) -> dict[str, Any]:
    return _worker_cutter(*task)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Processes started here do not get SIGINT, which a terminal sends to all, and each would answer by a traceback."""
    if not hasattr(signal, 'pthread_sigmask'):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _in_processes(
    cutter: PhotoCutter, tasks: Iterator[tuple], workers: int, weights: str | Path | None, device: str
) -> Iterator[dict[str, Any]]:
    """The lines as they are finished; at most a few tasks are under way, so memory does not grow with their number."""
    detects, cutter.detect = cutter.detect is not None, None
    running: dict[Future, str] = {}
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context('spawn'), _start_worker, (cutter, weights, device, detects)
    )
    try:
        exhausted = False
        while running or not exhausted:
            while not exhausted and len(running) < 4 * workers:
                task = next(tasks, None)
                if task is None:
                    exhausted = True
                else:
                    with _without_ctrl_c():  # it may start a process
                        running[pool.submit(_work, *task)] = task[0]
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                line = future.result()
                del running[future]
                yield line
    except BrokenProcessPool as error:
        raise UserError(
            'a worker process died, perhaps for want of memory, while these photos were under way: '
            f'{", ".join(running.values())}. The same command goes on from there; fewer --workers need '
            'less memory.'
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
