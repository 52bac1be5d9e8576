"""Make a small unpaired face data set, with a simulated "wild" domain, from a folder of portraits.

    python scripts/make_demo_data.py --input my_portraits --output datasets/my_demo

The input holds one portrait per person and the file name names the person. Every person goes to exactly one of

    train_hr       64x64 faces: what a high-resolution face looks like
    train_wild_lr  16x16 simulated wild faces of other people, without any high-resolution counterpart
    test_hr,       64x64 faces of yet other people, and under the same names
    test_wild_lr   their 16x16 simulated wild images, to measure on

manifest.csv, next to them, tells for every image where it was cut and, for the simulated ones, how they were degraded.
The training never reads the manifest: the degradation is what it has to find out.

The split and the degradation of a person depend on the person's name alone. So the same portraits give the same files,
and portraits that are added later move nobody from training to testing.
"""

import argparse
import csv
import hashlib
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from tqdm import tqdm

import selfsr_plugin  # noqa: F401  facexlib may import basicsr, which needs the plugin's alias first
from selfsr_plugin.arguments import add_weights, weights_by_name
from selfsr_plugin.errors import UserError
from selfsr_plugin.files import encode_image
from selfsr_plugin.ops import resize_array, to_uint8
from selfsr_plugin.preparation.detection import NETWORK, FaceDetector
from selfsr_plugin.preparation.faces import LANDMARKS, Refused
from selfsr_plugin.preparation.framing import Box, frame
from selfsr_plugin.preparation.photos import read_photo

HR_SIZE = 64
LR_SIZE = 16
SPLITS = ('train_hr', 'train_wild_lr', 'test_hr', 'test_wild_lr')
EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')

# Share of the people in each part; the others are the people of train_hr.
TEST_SHARE = 0.08
WILD_SHARE = 0.23

# Detection. RetinaFace is trained on photos of about this size; larger ones are shrunk for it, and only for it.
DETECTION_SIZE = 640
FIND_SCORE = 0.5  # from here on a detection counts as a face: two of them make the person ambiguous
MIN_SCORE = 0.9  # the one face must be at least this certain

MAX_SHIFT = 0.12  # a square that leaves the photo is moved back inside; the face may move by this share of the side

# Framing jitter of the simulated wild images for training, shares of the side: what another detector would differ by.
WILD_PER_PERSON = 4
JITTER_SHIFT = 0.04
JITTER_SCALE = 0.06

# Simulated degradation; all are ranges of uniform draws.
BLUR_ANGLE = (-15.0, 15.0)  # degrees from the horizontal: a camera that pans, or people who walk past it
BLUR_LENGTH = (2.5, 3.5)  # path of the camera during the exposure, in low-resolution pixels
READ_NOISE = (0.5, 1.5)  # standard deviation in black, in grey levels of 255
SHOT_NOISE = (1.0, 3.0)  # the same in white, without the read noise; the variance grows linearly with brightness
JPEG_QUALITY = (75, 95)  # libjpeg's scale, both ends included


@dataclass(frozen=True)
class Portrait:
    """The one face of a portrait: its detection score, the five landmarks (5, 2) in pixels, and its frame."""

    score: float
    landmarks: np.ndarray
    box: Box


@dataclass(frozen=True)
class Degradation:
    """What was done to one simulated wild image. Units as for the ranges above; the angle is in degrees."""

    blur_length: float
    blur_angle: float
    read_noise: float
    shot_noise: float
    jpeg_quality: int

    @classmethod
    def draw(cls, rng: np.random.RandomState) -> 'Degradation':
        return cls(
            blur_length=rng.uniform(*BLUR_LENGTH),
            blur_angle=rng.uniform(*BLUR_ANGLE),
            read_noise=rng.uniform(*READ_NOISE),
            shot_noise=rng.uniform(*SHOT_NOISE),
            jpeg_quality=int(rng.randint(JPEG_QUALITY[0], JPEG_QUALITY[1] + 1)),
        )


# ---- Names decide


def split_of(person: str) -> str:
    """'test', 'train_wild_lr' or 'train_hr': a function of the name alone, like a draw with the shares above."""
    draw = int.from_bytes(hashlib.sha256(person.encode()).digest()[:8], 'big') / 2**64
    if draw < TEST_SHARE:
        return 'test'
    return 'train_wild_lr' if draw < TEST_SHARE + WILD_SHARE else 'train_hr'


def rng_of(name: str) -> np.random.RandomState:
    """The random numbers of one image. NumPy promises never to change RandomState's stream; default_rng's it may."""
    digest = hashlib.sha256(('degradation of ' + name).encode()).digest()
    return np.random.RandomState(int.from_bytes(digest[:4], 'big'))


# ---- Framing


class FaceFinder:
    """Finds the one face of a portrait, on the CPU. ``weights`` as for :class:`FaceDetector`."""

    def __init__(self, weights: str | None = None) -> None:
        self.detect = FaceDetector(weights, max_side=DETECTION_SIZE)

    def __call__(self, photo: np.ndarray) -> Portrait:
        """Args: photo: (H, W, 3) uint8, BGR. Raises: Refused."""
        found = self.detect(photo, FIND_SCORE)
        if len(found) != 1:
            raise Refused(f'{len(found)} faces found, expected one' if found else 'no face found')
        face = found[0]
        if face.score < MIN_SCORE:
            raise Refused(f'the face is uncertain (score {face.score:.2f}, at least {MIN_SCORE} needed)')
        return Portrait(face.score, face.landmarks, frame_inside(face.landmarks, *photo.shape[:2]))


def frame_inside(landmarks: np.ndarray, height: int, width: int) -> Box:
    """The usual frame, moved into the photo where it leaves it. Raises: Refused."""
    box = frame(landmarks, height, width, HR_SIZE)
    if max(box.beyond(height, width)) > MAX_SHIFT * box.side:
        raise Refused('the face is too close to the edge of the photo')
    return inside(box.left, box.top, box.side, height, width)


def inside(left: float, top: float, side: int, height: int, width: int) -> Box:
    """The square nearest to the wished one that does not leave the photo, for nothing here is to be mirrored."""
    side = min(side, height, width)
    return Box(min(max(round(left), 0), width - side), min(max(round(top), 0), height - side), side)


def jitter(box: Box, rng: np.random.RandomState, height: int, width: int) -> Box:
    """The frame of another detector: moved and scaled a little about its centre."""
    scale = 1 + rng.uniform(-JITTER_SCALE, JITTER_SCALE)
    shift_x, shift_y = rng.uniform(-JITTER_SHIFT, JITTER_SHIFT, size=2) * box.side
    side = max(round(box.side * scale), HR_SIZE)
    border = (box.side - side) / 2
    return inside(box.left + border + shift_x, box.top + border + shift_y, side, height, width)


# ---- Pictures


def motion_kernel(length: float, angle: float) -> np.ndarray:
    """The blur of a straight, even motion.

    Points on the path are spread over their four nearest pixels. The path is symmetric about the middle of the
    odd-sized kernel, so the blurred image does not move against the sharp one.

    Args:
        length: of the path in pixels, from 0.
        angle: degrees from the x axis.

    Returns:
        (K, K) float64, K odd, sum 1.
    """
    radius = math.ceil(length / 2) + 1
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    steps = 16 * radius  # many points per pixel
    along = (np.arange(steps + 1) / steps - 0.5) * length
    x = radius + along * math.cos(math.radians(angle))
    y = radius + along * math.sin(math.radians(angle))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for rows, weight_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for columns, weight_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            np.add.at(kernel, (rows, columns), weight_x * weight_y)
    return kernel / kernel.sum()


def degrade(face: np.ndarray, name: str) -> tuple[np.ndarray, Degradation]:
    """Simulate how a poor camera would have seen a face: motion blur, few pixels, sensor noise, JPEG.

    Works on the stored (gamma-coded) values. The blur is applied at full resolution, where the camera moved.

    Args:
        face: (S, S, 3) uint8, cut from a photo at full resolution.
        name: names the random numbers.

    Returns:
        (LR_SIZE, LR_SIZE, 3) uint8, and what was done.
    """
    rng = rng_of(name)
    how = Degradation.draw(rng)
    kernel = motion_kernel(how.blur_length * face.shape[0] / LR_SIZE, how.blur_angle)
    blurred = cv2.filter2D(face.astype(np.float64), -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    small = resize_array(blurred, LR_SIZE).clip(0, 255)
    deviation = np.sqrt(how.read_noise**2 + how.shot_noise**2 * small / 255)
    noisy = to_uint8(small + deviation * rng.standard_normal(small.shape))
    code = cv2.imencode('.jpg', noisy, [cv2.IMWRITE_JPEG_QUALITY, how.jpeg_quality])[1]
    return cv2.imdecode(code, cv2.IMREAD_COLOR), how


def images_of(
    person: str, photo: np.ndarray, face: Portrait
) -> Iterator[tuple[str, np.ndarray, Box, dict[str, object]]]:
    """All images of one person: (file below the output folder, image, frame, degradation or nothing)."""
    split = split_of(person)
    if split == 'train_wild_lr':
        for index in range(WILD_PER_PERSON):
            name = f'{person}_{index}'
            box = jitter(face.box, rng_of('framing of ' + name), *photo.shape[:2])
            image, how = degrade(box.cut(photo), name)
            yield f'{split}/{name}.png', image, box, asdict(how)
        return
    sharp = to_uint8(resize_array(face.box.cut(photo), HR_SIZE))
    if split == 'train_hr':
        yield f'{split}/{person}.png', sharp, face.box, {}
        return
    image, how = degrade(face.box.cut(photo), person)
    yield f'test_hr/{person}.png', sharp, face.box, {}
    yield f'test_wild_lr/{person}.png', image, face.box, asdict(how)


# ---- Files

COLUMNS = (
    'file',
    'split',
    'person',
    'left',
    'top',
    'side',
    'score',
    *(f'{point}_{axis}' for point in LANDMARKS for axis in 'xy'),
    *Degradation.__dataclass_fields__,
)


def make(photos: Sequence[Path], finder: FaceFinder, output: Path) -> tuple[list[dict[str, object]], list[str]]:
    """Write the images and the manifest of all photos.

    Returns:
        The rows of the manifest, and one line for every photo that was refused.
    """
    rows: list[dict[str, object]] = []
    refused: list[str] = []
    for split in SPLITS:
        (output / split).mkdir(parents=True, exist_ok=True)
    for path in tqdm(photos, desc='portraits', unit='image'):
        try:
            photo = read_photo(path)
            face = finder(photo)
        except Refused as why:
            refused.append(f'{path.name}: {why}.')
            continue
        points = {
            f'{point}_{axis}': f'{value:.1f}'
            for point, pair in zip(LANDMARKS, face.landmarks)
            for axis, value in zip('xy', pair)
        }
        for file, image, box, how in images_of(path.stem, photo, face):
            (output / file).write_bytes(encode_image(image, '.png', [cv2.IMWRITE_PNG_COMPRESSION, 9]))
            how = {key: f'{value:.2f}' if isinstance(value, float) else value for key, value in how.items()}
            rows.append(
                {
                    'file': file,
                    'split': file.split('/')[0],
                    'person': path.stem,
                    **asdict(box),
                    'score': f'{face.score:.3f}',
                    **points,
                    **how,
                }
            )
    rows.sort(key=lambda row: (SPLITS.index(row['split']), row['file']))
    with open(output / 'manifest.csv', 'w', newline='', encoding='utf-8') as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
    return rows, refused


def find_photos(folder: Path) -> list[Path]:
    """The portraits in a folder, sorted; exits with one sentence if there are none or if two share a name."""
    if not folder.is_dir():
        sys.exit(f'--input: there is no folder {folder}; give the folder that holds the portraits.')
    photos = sorted(path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS)
    if not photos:
        sys.exit(f'--input: {folder} holds no images ({", ".join(EXTENSIONS)}).')
    people: dict[str, Path] = {}
    for path in photos:
        other = people.setdefault(path.stem, path)
        if other is not path:
            sys.exit(f'--input: {other.name} and {path.name} name the same person; keep one portrait per person.')
    return photos


def prepare_output(folder: Path, overwrite: bool) -> None:
    """Leave no image of an earlier run behind: the old images are removed, or the script exits with one sentence."""
    if folder.exists() and not folder.is_dir():
        sys.exit(f'--output: {folder} is not a folder.')
    old = [path for split in SPLITS for path in (folder / split).glob('*.png')]
    if old and not overwrite:
        sys.exit(f'--output: {folder} already holds a data set; add --overwrite to replace it.')
    for path in old:
        path.unlink()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description='Make a small unpaired face data set (64x64 faces, and 16x16 faces of other people with a '
        'simulated degradation) from a folder of portraits.'
    )
    parser.add_argument('--input', type=Path, required=True, help='folder of portraits, one per person')
    parser.add_argument('--output', type=Path, required=True, help='folder to write to')
    add_weights(parser, 'as for prepare_faces')
    parser.add_argument('--overwrite', action='store_true', help='replace the data set that --output holds')
    options = parser.parse_args(arguments)

    photos = find_photos(options.input)
    try:
        weights = weights_by_name(options.weights, [NETWORK]).get(NETWORK)
        finder = FaceFinder(weights)
    except UserError as error:
        sys.exit(str(error))
    prepare_output(options.output, options.overwrite)

    rows, refused = make(photos, finder, options.output)
    for line in refused:
        print('refused', line)
    if not rows:
        sys.exit(f'none of the {len(photos)} portraits in {options.input} can be used; the reasons are above.')
    for split in SPLITS:
        mine = [row for row in rows if row['split'] == split]
        print(f'{split}: {len(mine)} images of {len({row["person"] for row in mine})} people')
    print(f'{len(refused)} of {len(photos)} portraits refused; the data set is in {options.output}')


if __name__ == '__main__':
    main()
