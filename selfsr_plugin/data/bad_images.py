"""What happens to images that cannot be used while training: replaced, named, counted, and too many stop the run."""

import logging
import os
import random
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from .decoding import CorruptImageError

Item = TypeVar('Item')


def tolerated_bad_images(total: int, max_share: float) -> int:
    """How many of ``total`` images may be bad.

    ``floor(max_share * total)``, but at least one, so that a single broken file never stops a small set, and never
    all of them. A share of 0 tolerates none.

    Raises:
        ValueError: a share outside [0, 1].
    """
    if isinstance(max_share, bool) or not isinstance(max_share, (int, float)) or not 0 <= max_share <= 1:
        raise ValueError(f'max_bad_share must be a number from 0 to 1, got {max_share!r}.')
    if max_share == 0:
        return 0
    return min(max(1, int(max_share * total + 1e-9)), total - 1)  # 0.29 * 100 is 28.999...


def read_or_replace(read: Callable[[int], Item], index: int, total: int, tolerated: int) -> tuple[Item, int, list[str]]:
    """``read(index)``, or for a bad image ``read`` of another index, drawn by Python's ``random``.

    Args:
        read: raises CorruptImageError for a bad image.
        index: the image wanted.
        total: number of images.
        tolerated: how many different bad ones may be met here before giving up.

    Returns:
        the item, its index, and what was wrong with the images it stands in for ('<path>: <reason>' each).

    Raises:
        ValueError: more than ``tolerated`` different bad images.
    """
    bad: dict[int, str] = {}
    while True:
        try:
            return read(index), index, list(bad.values())
        except CorruptImageError as error:
            bad[index] = str(error)
            if len(bad) > tolerated:
                raise ValueError(
                    f'none of the {len(bad)} different images tried in a row can be used, and of all '
                    f'{total} at most {tolerated} may be bad; the last is {error}'
                ) from error
        index = random.randrange(total)


def find_first_good(read: Callable[[int], Item], tolerated: int) -> Item:
    """The first usable image of a set, read before training starts.

    Raises:
        ValueError: the first ``tolerated + 1`` images are all bad, which is more than training would bear.
    """
    bad: list[str] = []
    while True:
        try:
            return read(len(bad))
        except CorruptImageError as error:
            bad.append(str(error))
            if len(bad) > tolerated:
                which = bad[0] if len(bad) == 1 else f'none of the first {len(bad)} images can be used, {bad[0]}'
                raise ValueError(which) from error


class BadImageLog:
    """Counts the bad images of a training set. Every data set for training has one as ``bad_image_log``.

    Our training reads the ``bad_images`` of the batches and counts in its own process, over all workers. BasicSR's does
    not, so there the data set itself counts and warns, in each worker. With several ranks each counts what it meets
    itself; the first to meet too many stops the run.

    Attributes:
        handed_over: whether whoever reads the batches calls :meth:`update`.

    Args:
        totals: number of images in every folder or LMDB of the set.
        max_share: option ``max_bad_share``: see :func:`tolerated_bad_images`. It holds for each folder by itself, so
            that a large set of HR faces does not cover for a broken set of LR faces.
    """

    def __init__(self, totals: Mapping[str, int], max_share: float) -> None:
        self.totals = dict(totals)
        self.max_share = max_share
        self.bad: dict[str, set[str]] = {root: set() for root in totals}
        self._seen: set[str] = set()
        self.handed_over = False

    def note(self, bad_images: list[str]) -> str:
        """The ``bad_images`` of an item, from what was wrong with the images that it stands in for.

        Raises:
            ValueError: as :meth:`update`, unless that is called elsewhere.
        """
        if not self.handed_over:
            self.update(bad_images)
        return '\n'.join(bad_images)

    def update(self, bad_images: Iterable[str]) -> None:
        """Take a batch's ``bad_images``: per item '' or '<path>: <reason>' lines. Warns once about each bad image.

        Raises:
            ValueError: a folder has more bad images than tolerated.
        """
        for line in '\n'.join(bad_images).split('\n'):
            if line and line not in self._seen:
                self._seen.add(line)
                self._add(line)

    def _add(self, line: str) -> None:
        # A folder may lie inside the other one: the longest match is the one that holds the image.
        root = max((root for root in self.totals if line.startswith(os.path.join(root, ''))), key=len)
        self.bad[root].add(line)
        count, total = len(self.bad[root]), self.totals[root]
        tolerated = tolerated_bad_images(total, self.max_share)
        # BasicSR's logger, without importing BasicSR
        logging.getLogger('basicsr').warning(
            f'Bad image, another takes its place: {line} '
            f'({count} of {total} images so far, at most {tolerated} tolerated).'
        )
        if count > tolerated:
            raise ValueError(
                f'{count} of {total} images in {root} cannot be used and at most {tolerated} may be bad: '
                f'repair or remove them, or raise max_bad_share ({self.max_share}); the last is {line}'
            )
