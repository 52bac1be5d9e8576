"""Scores of folders of images: image by image in pairs of equal names, or of whole sets."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from basicsr.metrics import calculate_metric
from tqdm import tqdm

from .data.image_source import CorruptImageError, ImageSource, open_image_source, spelt_alike
from .errors import UserError
from .files import printable
from .metrics.feature_statistics import FeatureStatistics
from .metrics.frechet import (
    FeatureNetwork,
    is_statistics_file,
    reference_statistics,
    score,
    small_sample_warning,
    source_statistics,
)
from .metrics.identity_metric import face_similarity
from .metrics.requirements import WEIGHTS


class Face(NamedTuple):
    """A restored image, and its partners in the folders it is compared with; None where there is no such folder."""

    name: str
    restored: int
    reference: int | None
    lq: int | None


class Folders(NamedTuple):
    """What is scored, and what it is compared with image by image."""

    restored: ImageSource
    reference: ImageSource | None
    lq: ImageSource | None


def match(folders: Folders, suffix: str) -> list[Face]:
    """The restored images with their partners of equal names, after ``suffix`` is cut off the restored ones.

    Raises:
        UserError: naming every image without its partner.
    """
    restored = folders.restored
    without = [name for name in restored.names if not name.endswith(suffix)]
    if without:
        raise UserError(
            f'--suffix {suffix}: {len(without)} of {len(restored)} names in {restored.root} do not end '
            f'with it: {_listed(without)}.'
        )
    here = {name[: len(name) - len(suffix)]: index for index, name in enumerate(restored.names)}
    partners = [
        _partners(here, restored, other, called, suffix)
        for other, called in ((folders.reference, 'reference'), (folders.lq, 'LR face'))
    ]
    return [Face(name, here[name], *(there.get(name) for there in partners)) for name in sorted(here)]


def _partners(
    here: Mapping[str, int], restored: ImageSource, other: ImageSource | None, called: str, suffix: str
) -> dict[str, int]:
    if other is None:
        return {}
    there = {name: index for index, name in enumerate(other.names)}
    extra, missing = sorted(here.keys() - there), sorted(there.keys() - here)
    if extra or missing:
        parts = []
        if missing:
            parts.append(
                f'{len(missing)} of {len(there)} images of {other.root} are missing in {restored.root} '
                f'({_listed(missing)})'
            )
        if extra:
            parts.append(f'{len(extra)} of {len(here)} images of {restored.root} have no {called} ({_listed(extra)})')
        hint = _guess_suffix(extra, missing, suffix) or spelt_alike(extra, missing)
        raise UserError(
            f'{" and ".join(parts)}: pairs need equal names without extension{hint}. Sets of other '
            'images can be compared by --metrics fid or frechet_alex.'
        )
    return there


def _listed(names: Sequence[str]) -> str:
    return ', '.join(map(printable, names))


def _guess_suffix(extra: list[str], missing: list[str], suffix: str) -> str:
    ends = {long[len(short) :] for long in extra for short in missing if short and long.startswith(short + '_')}
    common = [end for end in ends if all(long.endswith(end) and long[: -len(end)] in missing for long in extra)]
    return f' (is --suffix {common[0]}{suffix} meant?)' if common else ''


def score_faces(
    folders: Folders, faces: Sequence[Face], metrics: Mapping[str, Mapping[str, Any]], problems: list[str]
) -> dict[str, dict[str, float]]:
    """The values of every image by its name.

    Args:
        folders: where ``faces`` have their images.
        faces: what to score.
        metrics: settings as in an option file, by the metric's name. ``identity_lq`` has no ``type``: it compares with
            the LR face, which is smaller.
        problems: gets '<path>: <reason>' for each image that cannot be read, differs in size or is too small for a
            metric; it has no values.

    Raises:
        UserError: a value of a network that is no number.
    """
    rows = {}
    for face in tqdm(faces, unit='image', leave=False, disable=None):  # None: no bar in a log file
        try:
            image, truth, lq = (
                None if source is None or index is None else source.read(index)
                for source, index in zip(folders, face[1:])
            )
        except CorruptImageError as error:
            problems.append(str(error))
            continue
        if truth is not None and image.shape != truth.shape:
            problems.append(
                f'{folders.restored.path(face.restored)} is {image.shape[1]}x{image.shape[0]} and '
                f'{folders.reference.path(face.reference)} is {truth.shape[1]}x{truth.shape[0]}: restored '
                'and reference images must be of one size'
            )
            continue
        row = {}
        for name, settings in metrics.items():
            if name == 'identity_lq':
                value = face_similarity(image, lq, settings.get('weights'))
            else:
                value = calculate_metric(
                    dict(img=image) if truth is None else dict(img=image, img2=truth), dict(settings)
                )
            if math.isnan(value):
                what = f'{name} of {folders.restored.path(face.restored)} is not a number'
                if settings.get('type', 'calculate_identity') in WEIGHTS:
                    raise UserError(f'{what}: the weights that it uses are broken, give others.')
                problems.append(f'{what}: {image.shape[1]}x{image.shape[0]} pixels are too few for it')
                break
            row[name] = float(value)
        else:
            rows[face.name] = row
    return rows


def summarise(values: Sequence[float]) -> dict[str, Any]:
    """Mean and number of images. Equal images have an infinite PSNR, and with them the mean is infinite."""
    return {'value': math.fsum(values) / len(values), 'n': len(values)}


def score_set(
    network: FeatureNetwork, restored: ImageSource, reference: str, weights: str | None, problems: list[str]
) -> tuple[dict[str, Any], FeatureStatistics]:
    """The distance of two sets with the numbers of images it rests on, and the statistics of the reference.

    ``problems`` gets a line for each image that cannot be read and is left out of its set.
    """
    if is_statistics_file(reference):
        theirs = reference_statistics(network, reference, weights)  # first: what is wrong with a file shows at once
    else:
        theirs = source_statistics(network, open_image_source(reference), weights, problems)
    ours = source_statistics(network, restored, weights, problems)
    found = {'value': score(network, ours, theirs), 'n': ours.count, 'n_reference': theirs.count}
    warning = small_sample_warning(network, ours.count, theirs.count)
    return {**found, 'warning': warning} if warning else found, theirs
