"""HR faces, their LR images, and what is known of the faces: landmarks and parsing maps."""

import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from selfsr_plugin.data.bad_images import read_or_replace
from selfsr_plugin.data.decoding import CorruptImageError
from selfsr_plugin.data.image_source import open_image_source
from selfsr_plugin.data.paired_face_dataset import PairedFaceDataset
from selfsr_plugin.errors import UserError
from selfsr_plugin.files import printable
from selfsr_plugin.option_sections import FaceDatasetOptions
from selfsr_plugin.schema import option

from ..landmarks import check_mirrors, count_of, mirror, read_landmarks, refuse_other_faces
from ..parsing import PARTS, mirror_labels


@dataclass(kw_only=True)
class FacePriorDatasetOptions(FaceDatasetOptions):
    """Keys of FacePriorDataset beside those of all face data sets."""

    landmarks: str | None = option(
        'CSV file of make_landmarks with the landmarks of the HR faces', default=None, decides=False
    )
    dataroot_parsing: str | None = option(
        'parsing maps of make_parsing: folder or LMDB with the names of the HR faces', default=None, decides=False
    )


class FacePriorDataset(PairedFaceDataset):
    """:class:`PairedFaceDataset` with what networks that know faces learn from.

    Items have beside the pair, of whatever the options name, ``landmarks`` float32 (P, 2), (x, y) as shares of the
    sides of 'gt', and ``parsing`` uint8 (gt_size, gt_size), labels of ``baselines/parsing.py``. Both are mirrored with
    the images, left and right changed over. Heatmaps are made of the landmarks on the device, at the size that the
    network gives them (``baselines.landmarks.heatmaps``). Faces in which no landmarks were found, and those without a
    parsing map where most have one, are left out, and said.

    Args:
        opt: data set options: those of PairedFaceDataset, and
            landmarks (str): file of ``make_landmarks``.
            dataroot_parsing (str): folder or LMDB of ``make_parsing``.

    Raises:
        FileNotFoundError, ValueError: bad options or data, in one sentence; landmarks or maps of other faces too.
    """

    option_keys = PairedFaceDataset.option_keys | {'landmarks', 'dataroot_parsing'}
    options_class = FacePriorDatasetOptions

    def __init__(self, opt: Mapping[str, Any]) -> None:
        super().__init__(opt)
        self.faces = range(len(self.gt))  # that are used
        self.shares: dict[int, np.ndarray] | None = None
        self.parsing = None
        if opt.get('landmarks'):
            self._take_landmarks(opt['landmarks'])
        if opt.get('dataroot_parsing'):
            self._open_parsing(opt['dataroot_parsing'])

    def _take_landmarks(self, path: str) -> None:
        known = read_landmarks(path)
        again = 'make them with python -m selfsr_plugin.make_landmarks for this folder'
        missing = [name for name in self.gt.names if name not in known]
        if missing:
            raise UserError(
                f'landmarks: {printable(path)} knows nothing of {len(missing)} of the {len(self.gt)} images in '
                f'{self.gt.root}, such as {printable(missing[0])}: {again}.'
            )
        if self.use_hflip:
            check_mirrors(count_of(known))
        found = [index for index, name in enumerate(self.gt.names) if known[name].points is not None]
        if not found:
            raise UserError(f'landmarks: {printable(path)} has none for any image in {self.gt.root}: {again}.')
        refuse_other_faces(known, self.gt, found, self.gt.read_stored, f'landmarks: {printable(path)}')
        self._leave_out(found, 'landmarks')
        self.shares = {index: known[self.gt.names[index]].shares for index in found}

    def _leave_out(self, used: list[int], what: str) -> None:
        if len(used) < len(self.faces):
            logging.getLogger('basicsr').info(
                f'{len(self.faces) - len(used)} of {len(self.faces)} faces in {self.gt.root} have no {what} and are '
                'not used.'
            )
        self.faces = used

    def _open_parsing(self, root: str) -> None:
        try:
            self.parsing = open_image_source(root)
        except (FileNotFoundError, PermissionError, ValueError) as error:
            raise type(error)(f'dataroot_parsing: {error}') from error
        place = {name: number for number, name in enumerate(self.parsing.names)}
        there = [index for index in self.faces if self.gt.names[index] in place]
        if 2 * len(there) <= len(self.faces):
            missing = next(index for index in self.faces if self.gt.names[index] not in place)
            raise UserError(
                f'dataroot_parsing: {self.parsing.root} has maps of {len(there)} of the {len(self.faces)} faces in '
                f'{self.gt.root} and none of {printable(self.gt.names[missing])}: it is of others; make them with '
                'python -m selfsr_plugin.make_parsing for this folder.'
            )
        self._leave_out(there, 'parsing map')
        self._parsing_at = {index: place[self.gt.names[index]] for index in self.faces}
        try:
            self._labels(self.faces[0])
        except CorruptImageError as error:
            raise UserError(f'dataroot_parsing: {error}.') from error

    def __len__(self) -> int:
        return len(self.faces) if hasattr(self, 'faces') else super().__len__()

    def __getitem__(self, index: int) -> dict[str, Any]:
        bad: list[str] = []
        if self.training:
            (gt, lq, priors), index, bad = read_or_replace(self._read_all, index, len(self), self.gt.tolerated)
        else:
            gt, lq, priors = self._read_all(index)
        if self.use_hflip and random.random() < 0.5:
            gt, lq = gt.flip(-1), lq.flip(-1)
            if 'landmarks' in priors:
                priors['landmarks'] = torch.from_numpy(mirror(priors['landmarks'].numpy()))
            if 'parsing' in priors:
                priors['parsing'] = mirror_labels(priors['parsing'])
        face = self.faces[index]
        item = {'gt': gt, 'lq': lq, 'gt_path': self.gt.path(face), 'lq_path': (self.lq or self.gt).path(face), **priors}
        if self.training:
            item['bad_images'] = self.bad_image_log.note(bad)
        return item

    def _read_all(self, index: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        face = self.faces[index]
        gt, lq = self._read(face)
        priors = {}
        if self.shares is not None:
            priors['landmarks'] = torch.from_numpy(self.shares[face])
        if self.parsing is not None:
            labels = cv2.resize(self._labels(face), gt.shape[:0:-1], interpolation=cv2.INTER_NEAREST)
            priors['parsing'] = torch.from_numpy(labels)
        return gt, lq, priors

    def _labels(self, face: int) -> np.ndarray:
        """The stored labels (H, W) of a face."""
        number = self._parsing_at[face]
        labels = np.ascontiguousarray(self.parsing.read(number)[..., 0])
        if labels.max() > PARTS:
            raise CorruptImageError(
                self.parsing.path(number),
                f'it is no parsing map: it holds the value {labels.max()}, and labels go up to {PARTS}',
            )
        return labels
