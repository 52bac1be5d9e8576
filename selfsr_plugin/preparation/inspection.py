"""Figures of a set of faces, to see before training whether the HR and LR domains fit together.

All thresholds for warnings are ours.
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from tqdm import tqdm

from ..ops import bicubic_resize, resize_array, to_uint8

from ..data.face_images import is_square
from ..data.decoding import CorruptImageError
from ..data.image_source import ImageSource
from ..files import printable
from .manifest import read_manifest
from .settings import CROP_THRESHOLD

MAX_BITS = 12  # of 256, at most 15: images whose difference hashes are no further apart look alike
MAX_SCALE = 1.08  # faces that are larger by this factor on one side are framed differently
MAX_SHIFT = 0.03  # of the side: half a pixel of 16
MAX_BRIGHTNESS = 15  # grey levels of 255
MAX_LARGE = 0.5  # share of the LR faces that may be as large as the HR faces
MAX_CAST = 6  # the same, between the channels after equal brightness


@dataclass
class DomainFigures:
    """What :func:`measure` finds. Arrays are BGR; colours are in grey levels of 255 at the LR size.

    Attributes:
        root: the folder or LMDB.
        sides: (N, 2) height and width as stored.
        mean, std: (3,) of all pixels, B, G, R.
        sharpness: median over the images of the mean squared 4-neighbour Laplacian of the grey image at the LR size.
        mean_face: (size, size, 3) float64.
        identical: groups of names whose pixels are the same.
        similar: groups of names that look alike (difference hashes at most ``MAX_BITS`` apart) without being identical.
        names, hashes: of the images that are no copies of others; (N, 16) uint16, :func:`difference_hash`.
        bad: '<path>: <reason>' of images that cannot be used.
    """

    root: str
    sides: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    sharpness: float
    mean_face: np.ndarray
    identical: list[list[str]]
    similar: list[list[str]]
    names: list[str]
    hashes: np.ndarray
    bad: list[str] = field(default_factory=list)


def difference_hash(image: np.ndarray) -> np.ndarray:
    """256 bits, one for each pair of neighbours in a row of the image shrunk to 17x16: is the right one brighter?

    It stays the same when an image is resized, brightened or coded again, but for bits that were a close call. The
    usual 64 bits are too few for faces in one frame: people with a dark background on one side came out alike.

    Args:
        image: (H, W, 3) uint8, BGR.

    Returns:
        (16,) uint16, the bits of each row.
    """
    grey = torch.from_numpy(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)).float()
    small = bicubic_resize(grey, (16, 17))
    return np.packbits((small[:, 1:] > small[:, :-1]).numpy(), axis=1).view(np.uint16)[:, 0]


def near_groups(hashes: np.ndarray) -> list[list[int]]:
    """Chains of hashes of which each is at most ``MAX_BITS`` bits from the next: (N, 16) uint16 -> their indices.

    Two hashes that differ in 15 bits or fewer agree in one of their 16 rows, so only hashes with a row in common are
    compared.
    """
    leader = list(range(len(hashes)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for row in hashes.T:
        order = np.argsort(row, kind='stable')
        for bucket in np.split(order, np.flatnonzero(np.diff(row[order])) + 1):
            for place, index in enumerate(bucket[:-1]):
                others = bucket[place + 1 :]
                apart = np.unpackbits((hashes[others] ^ hashes[index]).view(np.uint8), axis=1).sum(1)
                for other in others[apart <= MAX_BITS]:
                    leader[find(int(other))] = find(int(index))
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(hashes)):
        groups[find(index)].append(index)
    return [group for group in groups.values() if len(group) > 1]


def measure(source: ImageSource, size: int) -> DomainFigures:
    """Read every image once. Memory grows by hashes and names only.

    Args:
        source: the faces.
        size: the LR size: every image is brought to it with the paper's bicubic first.

    Raises:
        ValueError: no image can be used.
    """
    total, squares = np.zeros((size, size, 3)), np.zeros(3)
    sides, sharpness, bad = [], [], []
    by_content: dict[bytes, list[str]] = defaultdict(list)
    names: list[str] = []
    hashes: list[np.ndarray] = []
    for index in tqdm(range(len(source)), desc=source.root, unit='image'):
        try:
            image = source.read(index)
        except CorruptImageError as error:
            bad.append(str(error))
            continue
        name = source.names[index]
        content = by_content[hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()]
        content.append(name)
        if len(content) == 1:
            names.append(name)
            hashes.append(difference_hash(image))
        small = resize_array(image, size).clip(0, 255)
        total += small
        squares += (small**2).mean((0, 1))
        sharpness.append(laplacian_energy(small))
        sides.append(image.shape[:2])
    if not sides:
        raise ValueError(f'no image of {source.root} can be used; the first is {bad[0]}.')
    mean_face = total / len(sides)
    mean = mean_face.mean((0, 1))
    std = np.sqrt(np.maximum(squares / len(sides) - mean**2, 0))
    return DomainFigures(
        source.root,
        np.array(sides),
        mean,
        std,
        float(np.median(sharpness)),
        mean_face,
        [group for group in by_content.values() if len(group) > 1],
        [[names[index] for index in group] for group in near_groups(np.array(hashes))],
        names,
        np.array(hashes),
        bad,
    )


def laplacian_energy(image: np.ndarray) -> float:
    """Mean squared 4-neighbour Laplacian of the grey image (plain mean of the channels), borders left out."""
    grey = image.mean(2)
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return float((laplacian**2).mean())


# ---- Framing


@dataclass(frozen=True)
class Framing:
    """Where a detector sees the face in its crop; medians, in shares of the crop's side.

    Attributes:
        tried, found: images looked at, and those in which a face was found.
        width, height: of the detected box.
        distance: between the eyes, plus from the eyes to the mouth.
        x, y: the point between eyes and mouth.
        spread_x: standard deviation of x: large where many heads are turned away or frames are loose.
    """

    tried: int
    found: int
    width: float = 0.0
    height: float = 0.0
    distance: float = 0.0
    x: float = 0.0
    y: float = 0.0
    spread_x: float = 0.0


_DETECT_SIDE = 128  # the crops are enlarged to this for the detector


def measure_framing(source: ImageSource, detect: Callable, count: int, sides: Sequence[int] | None = None) -> Framing:
    """Detect the faces in a sample of the crops.

    Args:
        source: the faces.
        detect: (image (H, W, 3) uint8 BGR, threshold) -> faces with ``box`` and ``landmarks``, the FaceDetector.
        count: size of the sample, always the same one.
        sides: shrink crop number i of the sample to ``sides[i]`` pixels before, so that a detector that sees less in
            few pixels does not make a difference between HR and LR.
    """
    order = random.Random(0).sample(range(len(source)), min(count, len(source)))
    rows, tried = [], 0
    for number, index in enumerate(tqdm(order, desc=f'framing of {source.root}', unit='image')):
        try:
            image = source.read(index)
        except CorruptImageError:
            continue
        tried += 1
        if sides is not None and sides[number % len(sides)] < min(image.shape[:2]):
            image = to_uint8(resize_array(image, sides[number % len(sides)]))
        row = _detect_in_crop(image, detect)
        if row is not None:
            rows.append(row)
    if not rows:
        return Framing(tried, 0)
    table = np.array(rows)
    return Framing(tried, len(rows), *np.median(table, axis=0), table[:, 3].std())


def _detect_in_crop(image: np.ndarray, detect: Callable) -> tuple[float, ...] | None:
    """width, height, distance, x, y of the face nearest to the middle, or None."""
    side, edge = _DETECT_SIDE, _DETECT_SIDE // 2
    # By OpenCV, as detection enlarges photos: a detector should see alike faces alike.
    large = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(large, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(104, 117, 123))
    faces = detect(large, CROP_THRESHOLD)
    if not faces:
        return None
    boxes = (np.array([face.box for face in faces]) - edge) / side
    nearest = np.argmin((((boxes[:, :2] + boxes[:, 2:]) / 2 - 0.5) ** 2).sum(1))
    left, top, right, bottom = boxes[nearest]
    points = (faces[nearest].landmarks - edge) / side
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    distance = np.linalg.norm(points[1] - points[0]) + np.linalg.norm(mouth - eyes)
    x, y = (eyes + mouth) / 2
    return right - left, bottom - top, distance, x, y


# ---- Judgement


def warnings_of(figures: DomainFigures, smallest: int) -> list[str]:
    """What is wrong with one domain; ``smallest`` is the side its images should have at least."""
    found, count = [], len(figures.sides)
    small = int((figures.sides.min(1) < smallest).sum())
    if small:
        found.append(f'{small} of {count} images of {figures.root} are smaller than {smallest} pixels.')
    uneven = sum(not is_square(*sides) for sides in figures.sides)
    if uneven:
        found.append(f'{uneven} of {count} images of {figures.root} are not square, and training refuses them.')
    copies = sum(len(names) - 1 for names in figures.identical)
    if copies:
        found.append(f'{copies} images of {figures.root} are copies of others.')
    if figures.bad:
        found.append(f'{len(figures.bad)} images of {figures.root} cannot be read.')
    return found


def compare(hr: DomainFigures, lq: DomainFigures) -> list[str]:
    """How colours and sharpness of the domains differ, where it is much."""
    found = []
    difference = lq.mean - hr.mean
    brightness, cast = difference.mean(), difference - difference.mean()
    if abs(brightness) > MAX_BRIGHTNESS:
        found.append(
            f'LR is {"brighter" if brightness > 0 else "darker"} than HR by {abs(brightness):.0f} grey levels '
            'of 255: stage 1 learns that as a degradation.'
        )
    if np.abs(cast).max() > MAX_CAST:
        found.append(
            'LR has another colour cast than HR (red {:+.0f}, green {:+.0f}, blue {:+.0f} grey levels after '
            'equal brightness): stage 1 learns that too.'.format(*cast[::-1])
        )
    if lq.sharpness > 1.5 * hr.sharpness:
        found.append(
            f'LR has {lq.sharpness / hr.sharpness:.1f} times the Laplacian energy of HR: noise, or HR faces '
            'that were enlarged.'
        )
    return found


def shared(hr: DomainFigures, lq: DomainFigures) -> list[list[str]]:
    """Groups of faces of both that look alike (difference hashes at most ``MAX_BITS`` apart), HR before LR."""
    names = [f'{name} (HR)' for name in hr.names] + [f'{name} (LR)' for name in lq.names]
    return [
        [names[index] for index in sorted(group)]
        for group in near_groups(np.concatenate([hr.hashes, lq.hashes]))
        if min(group) < len(hr.names) <= max(group)
    ]


def _photos(root: str) -> set[tuple[str, int, int]]:
    """Name, height and width of the photos that faces were cut from, where prepare_faces has left a manifest."""
    return {(line['photo'], line['height'], line['width']) for line in read_manifest(root)[1] if line['faces']}


def warnings_of_pair(hr: DomainFigures, lq: DomainFigures, gt_size: int, lq_size: int) -> list[str]:
    """Whether the LR faces can be real ones: as small, and of other photos than the HR faces."""
    found, count = [], len(lq.sides)
    large = int((lq.sides.min(1) >= gt_size).sum())
    if large > MAX_LARGE * count:
        found.append(
            f'{large} of {count} images of {lq.root} are as large as the HR faces will be ({gt_size} pixels) or '
            f'larger: shrunk to {lq_size} pixels they are nearly clean, and stage 1 learns little. Take smaller faces '
            f'(prepare_faces --max-face {gt_size}).'
        )
    both = shared(hr, lq)
    if both:
        copies = sum(name.endswith('(LR)') for group in both for name in group)
        found.append(
            f'{copies} images of {lq.root} look like images of {hr.root}: LR faces come from other photos than HR '
            'faces, or stage 1 learns how these were made from those.'
        )
    of_hr, of_lq = (_photos(domain.root) for domain in (hr, lq))
    if of_hr & of_lq:
        found.append(
            f'{len(of_hr & of_lq)} of the {len(of_lq)} photos of {lq.root} are, by name and size, photos of {hr.root} '
            f'as well (such as {printable(min(of_hr & of_lq)[0])}): take LR faces from other photos.'
        )
    return found


def compare_framing(hr: Framing, lq: Framing, size: int) -> list[str]:
    """Whether the domains show the face in the same place and size; ``size`` is the LR side, to say it in pixels.

    The first of what it finds, if :func:`differ` says so, is the difference that :func:`options_for` mends.
    """
    if not hr.found or not lq.found:
        return [
            'the framing cannot be compared: the detector finds no face in the '
            f'{"HR" if not hr.found else "LR"} images.'
        ]
    found = []
    if differ(hr, lq):
        ratio, right, down = lq.distance / hr.distance, lq.x - hr.x, lq.y - hr.y
        found.append(
            f'the framing differs: an LR face has {ratio:.2f} times the size of an HR face in its square '
            f'(box width {lq.width / hr.width:.2f}, height {lq.height / hr.height:.2f}) and lies '
            f'{abs(right) * size:.1f} of {size} pixels further {"right" if right > 0 else "left"} and '
            f'{abs(down) * size:.1f} further {"down" if down > 0 else "up"}. Stage 1 will learn this as a flow.'
        )
    if lq.found / lq.tried < 0.9 * hr.found / hr.tried:
        found.append(
            f'a face is found in {lq.found / lq.tried:.0%} of the LR images and in {hr.found / hr.tried:.0%} '
            'of the HR images reduced to the same sides: look for heads turned away and for what is no face.'
        )
    if lq.spread_x > 2 * hr.spread_x:
        found.append(
            f'the middle of LR faces spreads {lq.spread_x / hr.spread_x:.1f} times as much from left to right '
            'as that of HR faces: more heads are turned, or the frames are loose.'
        )
    return found


def differ(one: Framing, other: Framing) -> bool:
    """Whether two sets in both of which faces were found are framed so differently that stage 1 would learn it."""
    ratio = one.distance / other.distance
    return max(ratio, 1 / ratio) > MAX_SCALE or max(abs(one.x - other.x), abs(one.y - other.y)) > MAX_SHIFT


def options_for(wrong: Framing, right: Framing, margin: float, shift_x: float, shift_y: float) -> dict[str, float]:
    """The options of prepare_faces with which the faces of ``wrong`` would be framed as those of ``right`` are.

    Args:
        wrong, right: as measured; faces were found in both.
        margin, shift_x, shift_y: with which ``wrong`` was cut.

    Returns:
        'margin', 'shift_x' and 'shift_y', rounded to thousandths.
    """
    # In shares of the square without margin: distances grow by 1 + 2 margin, places are counted from the middle.
    old = 1 + 2 * margin
    new = old * wrong.distance / right.distance
    return {
        'margin': round((new - 1) / 2, 3),
        'shift_x': round((wrong.x - 0.5) * old + shift_x - (right.x - 0.5) * new, 3),
        'shift_y': round((wrong.y - 0.5) * old + shift_y - (right.y - 0.5) * new, 3),
    }
