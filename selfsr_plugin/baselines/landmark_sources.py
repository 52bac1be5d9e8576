"""Where the landmarks of face images come from: networks that find them, and files that have them."""

import csv
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data.decoding import CorruptImageError
from ..data.image_source import ImageSource
from ..errors import UserError, why_not_loaded
from ..files import printable
from ..preparation.annotations import read_annotations, refuse_other_separators
from ..preparation.detection import FaceDetector
from ..preparation.manifest import MANIFEST_FILE, read_manifest
from ..preparation.settings import CROP_THRESHOLD
from .landmarks import COMPARED, COUNTS, is_landmark_file, read_landmarks, refuse_other_faces

Detect = Callable[[np.ndarray], np.ndarray | None]  # (H, W, 3) uint8 BGR -> (P, 2) pixels, or None
Given = Mapping[str, np.ndarray | None]  # name -> the same

ALIGNED_CELEBA = (178, 218)  # width and height
FAN_URL = 'https://github.com/xinntao/facexlib/releases/download/v0.1.0/alignment_WFLW_4HG.pth'


# ----- networks -----


def retinaface(weights: str | None, device: str) -> Detect:
    """Five points, by the detector of prepare_faces; of several faces the one nearest to the middle."""
    detect = FaceDetector(weights, device)

    def five(image: np.ndarray) -> np.ndarray | None:
        middle = np.array(image.shape[1::-1]) / 2
        found = [face.landmarks for face in detect(image, CROP_THRESHOLD)]
        return min(found, key=lambda points: np.abs(points.mean(0) - middle).sum(), default=None)

    return five


def fan(weights: str | None, device: str) -> Detect:
    """68 points, from the 98 of facexlib's awing_fan; it looks at the whole image, which must be a face."""
    file = facexlib_file('fan', weights, FAN_URL)
    from facexlib.alignment import FAN, landmark_98_to_68

    net = FAN(num_modules=4, num_landmarks=98, device=device)
    load_facexlib(net, 'fan', file, FAN_URL, 'state_dict')
    net.to(device).eval()

    @torch.no_grad()
    def points(image: np.ndarray) -> np.ndarray:
        return landmark_98_to_68(net.get_landmarks(image))

    return points


def facexlib_file(name: str, weights: str | None, url: str) -> str:
    """The file of a network of facexlib: the one given, or that in facexlib's own folder, into which it is downloaded.

    Raises:
        UserError: there is no such file, or it cannot be downloaded.
    """
    if weights is None:
        from facexlib import utils

        try:
            return utils.load_file_from_url(url, model_dir='facexlib/weights', progress=True)
        except OSError as error:  # urllib's errors are OSErrors
            raise UserError(
                f'the file of {name} cannot be downloaded ({error}): get it from {url} elsewhere and give it as '
                f'--weights {name}=FILE.'
            ) from error
    if not Path(weights).is_file():
        raise UserError(
            f'--weights {name}={printable(weights)}: there is no such file; get it from {url}, or leave --weights out '
            'to download it.'
        )
    return weights


def load_facexlib(net: torch.nn.Module, name: str, file: str, url: str, key: str | None = None) -> None:
    """Fill a network from its file, of which ``key`` names the part that holds the weights.

    Raises:
        UserError: it is not of this network.
    """
    try:
        state = torch.load(file, map_location='cpu', weights_only=True)
        net.load_state_dict(state[key] if key else state)
    except Exception as error:  # the unpickler of a file of rubbish raises anything
        raise UserError(
            f'{name} cannot be loaded from {printable(file)} ({why_not_loaded(error)}): get the file again from {url}.'
        ) from error


def dlib_68(weights: str | None, device: str) -> Detect:
    """68 points, by dlib's predictor as the package face_recognition_models brings it, in the face that dlib finds.

    The predictor learnt from iBUG 300-W, whose terms exclude commercial use.
    """
    missing = [name for name in ('dlib', 'face_recognition_models') if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f'--detector dlib: {" and ".join(missing)} not installed; pip install dlib-bin '
            'face_recognition_models==0.3.0 (not for commercial use: the predictor learnt from iBUG 300-W).'
        )
    import dlib

    # Not through the package's own code, which imports pkg_resources.
    folder = Path(importlib.util.find_spec('face_recognition_models').submodule_search_locations[0])
    find, predict = (
        dlib.get_frontal_face_detector(),
        dlib.shape_predictor(weights or str(folder / 'models/shape_predictor_68_face_landmarks.dat')),
    )

    def points(image: np.ndarray) -> np.ndarray | None:
        rgb = np.ascontiguousarray(image[..., ::-1])
        boxes = find(rgb, 1)  # enlarged once: it knows no faces below 80 pixels
        if not boxes:
            return None
        found = predict(rgb, max(boxes, key=lambda box: box.area()))
        return np.array([(point.x, point.y) for point in found.parts()], np.float64)

    return points


DETECTORS: dict[str, Callable[[str | None, str], Detect]] = {'retinaface': retinaface, 'fan': fan, 'dlib': dlib_68}


# ----- files -----


def given_landmarks(path: Path) -> Given:
    """The landmarks that a file has, in pixels of the images, by their names without extension.

    It may be CelebA's ``list_landmarks_align_celeba.txt`` (five points), the manifest of prepare_faces (five points,
    or all of its annotations,
    carried over into its crops), a file of :mod:`~selfsr_plugin.baselines.landmarks`, or a plain CSV with a name and
    5, 68 or 194 points a line, x and y in turn, with a header or without.

    Raises:
        UserError: it is none of these, or cannot be read.
    """
    if path.name == MANIFEST_FILE:
        return _of_manifest(path)
    try:
        with open(path, encoding='utf-8-sig', errors='surrogateescape') as file:
            lines = [line.rstrip('\r\n') for line in file]
    except OSError as error:
        raise UserError(f'--annotations: {printable(path)} cannot be read ({error.strerror}).') from error
    refuse_other_separators(path, lines)
    if is_landmark_file(path):
        return {name: face.points for name, face in read_landmarks(path).items()}
    if ',' in ''.join(lines[:2]):
        return _of_plain_csv(path, lines)
    return {Path(name).stem: faces[0].landmarks for name, faces in read_annotations(path).items() if faces}


def refuse_other_framing(path: Path, source: ImageSource) -> None:
    """Look whether landmarks are of the images as they are, not as they were cut or resized elsewhere under the same
    names, as far as the file tells: a plain CSV does not.

    Args:
        path: as for :func:`given_landmarks`, which has read it; it has some of the images.
        source: the images.

    Raises:
        UserError: they are of others.
    """
    said = f'--annotations: {printable(path)}'
    if path.name == MANIFEST_FILE:
        there, here = (_faces_by_name(folder) for folder in (path.parent, source.root))
        for name in source.names:
            if any(there[name][key] != here[name][key] for key in ('crop', 'size') if name in there and name in here):
                raise UserError(
                    f'{said} is of other crops: {printable(name)} was cut otherwise in {source.root}: give '
                    f'{printable(Path(source.root) / MANIFEST_FILE)}.'
                )
        _refuse_other_sizes(source, {name: 2 * (face['size'],) for name, face in there.items()}, said)
    elif is_landmark_file(path):
        faces = read_landmarks(path)
        used = [index for index, name in enumerate(source.names) if name in faces]
        refuse_other_faces(faces, source, used, source.read, said)
    elif path.name.startswith('list_landmarks_align_celeba'):
        _refuse_other_sizes(source, dict.fromkeys(source.names, ALIGNED_CELEBA), said)


def _faces_by_name(folder: str | Path) -> dict[str, Any]:
    return {Path(face['file']).stem: face for line in read_manifest(folder)[1] for face in line['faces']}


def _refuse_other_sizes(source: ImageSource, sizes: Mapping[str, tuple[int, int]], said: str) -> None:
    """Hold some images against the (width, height) that landmarks of their names are of."""
    known = [index for index, name in enumerate(source.names) if name in sizes]
    for index in known[:COMPARED]:
        try:
            height, width = source.read(index).shape[:2]
        except CorruptImageError:  # named when its turn comes
            continue
        size = sizes[source.names[index]]
        if (width, height) != size:
            raise UserError(
                f'{said} is of images of {size[0]}x{size[1]}, and {source.path(index)} is {width}x{height}: let '
                f'prepare_faces cut the faces, and give the {MANIFEST_FILE} that it leaves beside them.'
            )


def _of_plain_csv(path: Path, lines: list[str]) -> Given:
    found: dict[str, np.ndarray | None] = {}
    for number, line in enumerate(lines, 1):
        try:
            name, *values = (value.strip() for value in next(csv.reader([line]), ['']))
        except csv.Error as error:
            raise UserError(f'--annotations: line {number} of {printable(path)} is no CSV ({error}).') from error
        if not name and not values:
            continue
        try:
            numbers = np.array([float(value) for value in values])
        except ValueError:
            if number == 1:
                continue  # its header
            numbers = np.empty(0)
        points = numbers.reshape(-1, 2) if len(numbers) % 2 == 0 else np.empty((0, 2))
        if len(points) not in COUNTS or not np.isfinite(points).all() or len(points) != _count(found, points):
            raise UserError(
                f'--annotations: line {number} of {printable(path)} must hold a name and the x and y of 5, 68 or 194 '
                'points, as many in each line.'
            )
        if Path(name).stem in found:
            raise UserError(
                f'--annotations: line {number} of {printable(path)} is the second for an image called '
                f'{printable(Path(name).stem)} (without folders and extension): leave one line for each image.'
            )
        found[Path(name).stem] = points
    if not found:
        raise UserError(f'--annotations: {printable(path)} holds no landmarks.')
    return found


def _count(found: Given, points: np.ndarray) -> int:
    return len(next(iter(found.values()), points))


def _of_manifest(path: Path) -> Given:
    """Landmarks in photos, moved into the crops: what lies at the crop's left edge is at 0."""
    _, lines = read_manifest(path.parent)
    faces = [face for line in lines for face in line['faces']]
    key = 'points' if any('points' in face for face in faces) else 'landmarks'  # all of them, or the five
    found = {}
    for face in faces:
        points = face.get(key)
        found[Path(face['file']).stem] = (
            None if points is None else _in_crop(np.array(points), face['crop'], face['size'])
        )
    if not any(points is not None for points in found.values()):
        raise UserError(f'--annotations: {printable(path)} has no landmarks: its faces were annotated as boxes.')
    return found


def _in_crop(points: np.ndarray, crop: Mapping[str, Any], size: int) -> np.ndarray:
    """Pixels of the photo, counted from its edge as detectors do, to those of the crop, from the first's middle."""
    if 'angle' not in crop:
        sides = np.array([crop.get('width', crop.get('side')), crop.get('height', crop.get('side'))])
        return (points - (crop['left'], crop['top'])) * (size / sides) - 0.5
    turn = np.exp(-1j * np.radians(crop['angle']))
    turned = ((points[:, 0] - crop['centre_x']) + 1j * (points[:, 1] - crop['centre_y'])) * turn
    middle = crop['side'] / 2
    return np.stack([turned.real + middle, turned.imag + middle], 1) * (size / crop['side']) - 0.5
