"""Make the pairs of options/train_face_x4*.yml, from the folder of portraits that made the demo's faces.

    python scripts/make_portrait_pairs.py --input my_portraits --output datasets/portrait_pairs

The input is as for scripts/make_demo_data.py, and so is who is a test person: the demo's test people are in no file
here. Of the others, one in twelve is held back for validation. The output has

    train_hr, train_lr          64x64 and 16x16 images of equal names, several of each person
    train_large_hr, _large_lr   the same of 96x96 and 24x24, other views
    val_hr                      64x64 faces of the people held back, framed like the demo's
    val_wild_lr                 their LR images, degraded like the demo's
    val_large_hr                96x96 faces of the people held back, about as large as the portraits have them

A photo has faces of other sizes than 16 pixels, and other degradations than one. So of the training images some are
whole faces, moved and scaled a little, and some show a part of a face or its surroundings, as a face of 12 to 32 pixels
would; what to make of a whole face of 24 pixels, the larger images teach. Some LR images are the bicubic ones, and the
others are blurred, noisy and compressed. The portraits have one light and blue backgrounds, so brightness and colour of
half of the pairs are changed. All numbers are ours. Every image is a function of the person's name, so the same
portraits give the same files.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from selfsr_plugin.arguments import add_weights, weights_by_name
from selfsr_plugin.errors import UserError
from selfsr_plugin.files import encode_image
from selfsr_plugin.ops import resize_array, to_uint8
from selfsr_plugin.preparation.detection import NETWORK
from selfsr_plugin.preparation.faces import Refused
from selfsr_plugin.preparation.framing import Box
from selfsr_plugin.preparation.photos import read_photo
from tqdm import tqdm

from make_demo_data import (
    HR_SIZE,
    LR_SIZE,
    FaceFinder,
    degrade,
    find_photos,
    inside,
    jitter,
    motion_kernel,
    rng_of,
    split_of,
)

LARGE_SIZE = 96  # of the larger HR images; the squares that hold a face in these portraits measure 90 to 130 pixels
FOLDERS = ('train_hr', 'train_lr', 'train_large_hr', 'train_large_lr', 'val_hr', 'val_wild_lr', 'val_large_hr')
SCALE = HR_SIZE // LR_SIZE
PER_PERSON = 32  # views for training, of each size
HELD_BACK = 12  # one person in so many
WHOLE_SHARE = 0.6  # of the training images: a whole face; the others
FACE_SIZES = (12.0, 32.0)  # show a square of a face of so many LR pixels, drawn evenly on a logarithmic scale
RELIT_SHARE = 0.5  # of the training images: with another light, uniform draws of
GAMMA = (0.7, 1.5)  # brightness, as a power of values in [0, 1], and
GAIN = (0.8, 1.2)  # a factor for each colour
CLEAN_SHARE = 0.35  # of the LR images: bicubic

# Degradation of the others, uniform draws; lengths in LR pixels, noise in grey levels of 255.
MOTION_SHARE = 0.6  # blurred by a motion, the others by a lens
MOTION_LENGTH = (0.5, 4.0)
LENS_SIGMA = (0.2, 0.9)
READ_NOISE = (0.0, 3.0)
SHOT_NOISE = (0.0, 5.0)
JPEG_QUALITY = (60, 98)


def view(box: Box, hr_size: int, rng: np.random.RandomState, height: int, width: int) -> Box:
    """What one training image shows: the whole face, or a square somewhere about it of another size."""
    if rng.uniform() < WHOLE_SHARE:
        return jitter(box, rng, height, width)
    face = math.exp(rng.uniform(*np.log(FACE_SIZES)))
    side = min(max(round(box.side * hr_size / SCALE / face), hr_size), height, width)
    reach = abs(box.side - side) / 2
    shift_x, shift_y = rng.uniform(-reach, reach, size=2)
    border = (box.side - side) / 2
    return inside(box.left + border + shift_x, box.top + border + shift_y, side, height, width)


def relight(face: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """The photo (H, W, 3) uint8 in another light, or as it is."""
    if rng.uniform() >= RELIT_SHARE:
        return face
    gamma, gain = rng.uniform(*GAMMA), rng.uniform(*GAIN, size=3)
    return to_uint8(((face / 255) ** gamma * gain * 255).clip(0, 255))


def lens_kernel(sigma: float) -> np.ndarray:
    """A Gaussian of this many pixels, (K, K) float64, K odd, sum 1."""
    column = cv2.getGaussianKernel(2 * math.ceil(3 * sigma) + 1, sigma, cv2.CV_64F)
    return column @ column.T


def shrink(face: np.ndarray, sharp: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """The LR image of a training pair.

    Args:
        face: (S, S, 3) uint8, cut from the photo at full resolution.
        sharp: (H, H, 3) uint8, the HR image of the pair, whose bicubic image a clean one is.
        rng: decides.

    Returns:
        (H / SCALE, H / SCALE, 3) uint8.
    """
    lr_size = sharp.shape[0] // SCALE
    if rng.uniform() < CLEAN_SHARE:
        return to_uint8(resize_array(sharp, lr_size))
    pixel = face.shape[0] / lr_size
    if rng.uniform() < MOTION_SHARE:
        kernel = motion_kernel(rng.uniform(*MOTION_LENGTH) * pixel, rng.uniform(-90, 90))
    else:
        kernel = lens_kernel(rng.uniform(*LENS_SIGMA) * pixel)
    blurred = cv2.filter2D(face.astype(np.float64), -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    small = resize_array(blurred, lr_size).clip(0, 255)
    read, shot = rng.uniform(*READ_NOISE), rng.uniform(*SHOT_NOISE)
    noisy = to_uint8(small + np.sqrt(read**2 + shot**2 * small / 255) * rng.standard_normal(small.shape))
    quality = int(rng.randint(JPEG_QUALITY[0], JPEG_QUALITY[1] + 1))
    return cv2.imdecode(cv2.imencode('.jpg', noisy, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def is_held_back(person: str) -> bool:
    return rng_of('held back ' + person).randint(HELD_BACK) == 0


def images_of(person: str, photo: np.ndarray, box: Box) -> Iterator[tuple[str, np.ndarray]]:
    """All images of one person, none for the demo's test people: (file below the output folder, image)."""
    if split_of(person) == 'test':
        return
    if is_held_back(person):
        face = box.cut(photo)
        yield f'val_hr/{person}.png', to_uint8(resize_array(face, HR_SIZE))
        yield f'val_wild_lr/{person}.png', degrade(face, person)[0]
        yield f'val_large_hr/{person}.png', to_uint8(resize_array(face, LARGE_SIZE))
        return
    for folder, hr_size in (('train', HR_SIZE), ('train_large', LARGE_SIZE)):
        for index in range(PER_PERSON):
            name = f'{person}_{index:02d}'
            rng = rng_of(('pair ' if folder == 'train' else 'large pair ') + name)
            face = relight(view(box, hr_size, rng, *photo.shape[:2]).cut(photo), rng)
            sharp = to_uint8(resize_array(face, hr_size))
            yield f'{folder}_hr/{name}.png', sharp
            yield f'{folder}_lr/{name}.png', shrink(face, sharp, rng)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--input', type=Path, required=True, help='folder of portraits, one per person')
    parser.add_argument('--output', type=Path, required=True, help='folder to write to, new or empty')
    add_weights(parser, 'as for prepare_faces')
    options = parser.parse_args(arguments)

    photos = find_photos(options.input)
    if options.output.exists() and (not options.output.is_dir() or any(options.output.iterdir())):
        sys.exit(f'--output: {options.output} is there and not an empty folder; give another.')
    try:
        finder = FaceFinder(weights_by_name(options.weights, [NETWORK]).get(NETWORK))
    except UserError as error:
        sys.exit(str(error))
    for folder in FOLDERS:
        (options.output / folder).mkdir(parents=True, exist_ok=True)
    for path in tqdm(photos, desc='portraits', unit='image'):
        try:
            photo = read_photo(path)
            box = finder(photo).box
        except Refused as why:
            print(f'refused {path.name}: {why}.')
            continue
        for file, image in images_of(path.stem, photo, box):
            (options.output / file).write_bytes(encode_image(image, '.png'))
    for folder in FOLDERS:
        print(f'{folder}: {len(list((options.output / folder).iterdir()))} images')


if __name__ == '__main__':
    main()
