"""Validation on BasicSR's terms: images, metrics, averages over the processes, the best values so far."""

import contextlib
import math
from copy import deepcopy
from os import path as osp
from typing import Any, ClassVar, NamedTuple
from collections.abc import Mapping

import numpy as np
import torch
from basicsr.metrics import calculate_metric
from basicsr.models.base_model import BaseModel
from basicsr.utils import get_root_logger, tensor2img
from torch import Tensor, nn
from torch.utils.data import default_collate
from tqdm import tqdm

from ..data.image_source import CorruptImageError
from ..errors import UserError, is_out_of_memory, lost_a_process
from ..files import printable, write_image
from ..memory import refuse_too_large
from ..metrics import direction, needs_ground_truth


class Evaluation(NamedTuple):
    """One validated image: what is drawn, what BasicSR's metrics see, and figures the model has itself.

    ``image`` is (H, W, 3) uint8 BGR; ``metric_data`` has BasicSR's keys 'img' and, where there is ground truth, 'img2',
    or is None for an image that is no restored one; ``values`` are averaged over the data set and logged.
    """

    image: np.ndarray
    metric_data: dict[str, np.ndarray] | None
    values: dict[str, float]


def to_image(output: Tensor) -> np.ndarray:
    """What a network made, (1, 3, H, W) RGB in [0, 1], as a picture: (H, W, 3) uint8 BGR, clamped.

    Raises:
        ValueError: a value is NaN or infinite, which would be drawn as black.
    """
    if not output.isfinite().all():
        raise ValueError(
            'the output of the network is not finite (NaN or infinity), so nothing is drawn or scored; its '
            'weights may be broken, take those of another checkpoint'
        )
    return tensor2img(output)


def sr_evaluation(output: Tensor, data: Mapping[str, Any]) -> Evaluation:
    """Of an SR image, (1, 3, H, W) in [0, 1], beside the HR image of the validation sample if it has one."""
    image = to_image(output)
    return Evaluation(image, {'img': image, **({'img2': to_image(data['gt'])} if 'gt' in data else {})}, {})


class ValidatedModel(BaseModel):
    """A model that says in :meth:`make_evaluation` what becomes of one image, and is validated image by image.

    Its networks are its attributes ``net_*``.
    """

    needs: ClassVar[str] = 'gt'  # what a validation sample must have

    def make_evaluation(self, data: dict[str, Any]) -> Evaluation:
        """Run the model on one validation sample, a batch of one; called by :meth:`evaluate`."""
        raise NotImplementedError(f'{type(self).__name__} does not say how to validate an image.')

    def evaluate(self, data: dict[str, Any]) -> Evaluation:
        """:meth:`make_evaluation` without gradients and with all networks in eval mode, which goes back to what it was.

        Raises:
            UserError: a network is known to need more memory for its images than there is.
        """
        nets = [net for name, net in vars(self).items() if name.startswith('net_') and isinstance(net, nn.Module)]
        modes = [(module, module.training) for net in nets for module in net.modules()]
        with torch.no_grad(), contextlib.ExitStack() as stack:
            for net in nets:
                stack.enter_context(net.eval().register_forward_pre_hook(_refuse_too_large))
            try:
                return self.make_evaluation(data)
            finally:
                for module, training in modes:
                    module.training = training

    def validation(self, dataloader: Any, current_iter: int | str, tb_logger: Any, save_img: bool = False) -> list[str]:
        """Validate a data set, each process its share; the averages are over the whole set.

        Metrics that need ground truth are left out for a data set that has none. What a metric of whole sets returns
        (``metrics.frechet``) adds and divides like a number. An image that cannot be read, restored, scored or written
        is named in the log; the averages are then over the others, and no best value.

        Returns:
            What went wrong, a sentence for each image left out; the same in every process.
        """
        dataset, name = dataloader.dataset, dataloader.dataset.opt['name']
        logger = get_root_logger()
        sample = _first_readable(dataset)
        if sample is not None and self.needs not in sample:
            logger.info(
                f"Validation of {name} skipped: {type(self).__name__} needs '{self.needs}' images, and this "
                f'data set has {", ".join(sorted(sample.keys() & {"gt", "lq"}))}.'
            )
            return []
        asked = self.opt['val'].get('metrics') or {}
        metrics = {
            metric: settings
            for metric, settings in asked.items()
            if sample is None or 'gt' in sample or not needs_ground_truth(settings)
        }
        if len(metrics) < len(asked):
            logger.info(
                f'{name} has no ground truth, without which there is no {", ".join(sorted(asked.keys() - metrics))}.'
            )
        sums: dict[str, Any] = {}
        problems: list[str] = []
        written: set[str] = set()
        shares = range(self.opt['rank'], len(dataset), self.opt['world_size'])
        for index in tqdm(shares, unit='image', disable=not self.opt['val'].get('pbar') or self.opt['rank'] != 0):
            what = f'image {index + 1}'
            try:
                data = default_collate([dataset[index]])
                what = described(data)
                result = self.evaluate(data)
                if save_img:
                    path = self._image_path(data, dataset, index, current_iter, written)
                    write_image(path, result.image)
                _add(sums, {**result.values, **_scores(result, metrics)})
            except Exception as error:  # one image must not cost the others, nor a validation the run
                if isinstance(error, RuntimeError) and lost_a_process(error):
                    raise
                problems.append(sentence(error, what))
        averages, problems = self._gather(sums, len(shares) - len(problems), problems)
        named = problems[:_NAMED] if self.is_train else problems
        for problem in named:
            logger.warning(f'{name}: {problem}')
        if len(problems) > len(named):
            logger.warning(f'{name}: {len(problems) - len(named)} more images could not be used.')
        if not (averages or save_img or problems):
            logger.warning(f'Nothing comes of {name}: write save_img: true, or name metrics that it can be scored by.')
        if averages and self.opt['rank'] == 0:
            self._report(averages, dataset, current_iter, tb_logger, metrics, len(problems))
        return problems

    def _image_path(
        self, data: dict[str, Any], dataset: Any, index: int, current_iter: int | str, written: set[str]
    ) -> str:
        """Where the picture of a validated image goes: where BasicSR writes it, with the folders of an LMDB's keys, and
        while training with a folder for each data set if there are several.

        A name that is in ``written``, which only data sets of others give twice, gets the number of the image.
        """
        name = picture_name(data.get('lq_path', data.get('gt_path'))[0], dataset.opt)
        if name in written:
            name = f'{name}_{index + 1}'
        written.add(name)
        root, set_name = self.opt['path']['visualization'], dataset.opt['name']
        if self.is_train:
            several = sum(str(key).startswith('val') for key in self.opt.get('datasets', {})) > 1
            return osp.join(root, set_name if several else '', name, f'{osp.basename(name)}_{current_iter}.png')
        suffix = self.opt['val'].get('suffix') or self.opt['name']
        return osp.join(root, set_name, f'{name}_{suffix}.png')

    def _gather(self, sums: dict[str, Any], count: int, problems: list[str]) -> tuple[dict[str, float], list[str]]:
        """Averages and problems of all processes, from the sums over ``count`` images of each."""
        shares = [(sums, count, problems)]
        if self.opt['dist']:
            shares *= self.opt['world_size']
            torch.distributed.all_gather_object(shares, (sums, count, problems))
        total: dict[str, Any] = {}
        for share, _, _ in shares:
            _add(total, share)
        count, problems = sum(share[1] for share in shares), [problem for share in shares for problem in share[2]]
        averages = {}
        for key, value in total.items():
            try:
                averages[key] = float(value / count)
            except (
                Exception
            ) as error:  # a metric of whole sets that this set is too small for, or that comes to no number
                problems.append(sentence(error, f'val.metrics.{key}'))
        return averages, problems

    def _report(
        self,
        averages: dict[str, float],
        dataset: Any,
        current_iter: int | str,
        tb_logger: Any,
        metrics: Mapping[str, Any],
        left_out: int,
    ) -> None:
        name = dataset.opt['name']
        some = f', {len(dataset) - left_out} of {len(dataset)} images' if left_out else ''
        lines = [f'Validation {name}{some}']
        for key, value in averages.items():
            line = f'\t # {key}: {value:.4f}'
            if key in metrics and self.is_train and not left_out:
                best = self._best_record(name, key, metrics[key], _kind_of(dataset))
                self._update_best_metric_result(name, key, value, current_iter)
                line += f'\tBest: {best["val"]:.4f} @ {best["iter"]} iter'
            lines.append(line)
            if tb_logger:
                tb_logger.add_scalar(f'metrics/{name}/{key}', value, current_iter)
        get_root_logger().info('\n'.join(lines) + '\n')

    def _best_record(
        self, dataset_name: str, metric: str, settings: Mapping[str, Any], images: dict[str, Any]
    ) -> dict[str, Any]:
        """BasicSR's record of the best value, a new one for a metric new or set otherwise since the run stopped, or
        computed on other images, as far as ``images`` (:func:`_kind_of`) says.

        Paths are not compared: what they lead to may have been moved.
        """
        if not hasattr(self, 'best_metric_results'):
            self.best_metric_results = {}
        records = self.best_metric_results.setdefault(dataset_name, {})
        better = direction(settings) or 'higher'
        asked = {key: value for key, value in settings.items() if key not in ('better', 'weights', 'reference')}
        record = records.get(metric)
        now = dict(better=better, settings=asked, images=images)
        if record is None or any(record.get(key, value) != value for key, value in now.items()):
            worst = float('-inf') if better == 'higher' else float('inf')
            record = records[metric] = dict(val=worst, iter=-1)
        record.update(now)
        return record


_NAMED = 10  # problems of a validation that the log of a training names


def picture_name(path: str, dataset_opt: Mapping[str, Any]) -> str:
    """The name of an image's pictures: its path below the folder or LMDB of its data set, without the extension.

    An image that lies elsewhere goes by its file name alone.
    """
    for key in ('dataroot_lq', 'dataroot_gt'):
        if dataset_opt.get(key):
            root = osp.abspath(printable(osp.expanduser(dataset_opt[key])))
            if osp.abspath(path).startswith(osp.join(root, '')):
                return osp.splitext(osp.relpath(path, root))[0]
    return osp.splitext(osp.basename(path))[0]


def _kind_of(dataset: Any) -> dict[str, Any]:
    """What tells the images of a data set from others under its name, but for their paths."""
    kept = {key: bool(value) if key.startswith('dataroot') else value for key, value in dataset.opt.items()}
    return {
        'number': len(dataset),
        **{key: value for key, value in kept.items() if key == 'type' or key.endswith('_size') or value is True},
    }


def _refuse_too_large(net: nn.Module, given: tuple[Any, ...]) -> None:
    if given and torch.is_tensor(given[0]) and given[0].dim() == 4:
        refuse_too_large(net, given[0])


def _first_readable(dataset: Any) -> dict[str, Any] | None:
    """The first sample that can be read; None if none can."""
    for index in range(len(dataset)):
        try:
            return dataset[index]
        except Exception:  # whatever it is, it shows again when this image's turn comes
            continue
    return None


def _scores(result: Evaluation, metrics: Mapping[str, Any]) -> dict[str, Any]:
    if result.metric_data is None:
        return {}
    return {metric: score(metric, settings, result.metric_data) for metric, settings in metrics.items()}


def score(metric: str, settings: Mapping[str, Any], images: Mapping[str, np.ndarray]) -> Any:
    """A metric of BasicSR's registry on 'img' and, where there is ground truth, 'img2', both (H, W, 3) uint8 BGR.

    Raises:
        UserError: it cannot be computed, with the name that the option file gives it.
    """
    try:
        value = calculate_metric(dict(images), deepcopy(settings))
    except Exception as error:  # BasicSR's metrics do not check their options, OpenCV does, in its way
        raise UserError(f'val.metrics.{metric}: {" ".join(str(error).split())}') from error
    if isinstance(value, float) and math.isnan(value):  # numpy's are floats, too
        border = settings.get('crop_border')
        why = f', perhaps since crop_border {border} leaves nothing of the image' if border else ''
        raise UserError(f'val.metrics.{metric}: it comes to no number (NaN){why}')
    return value


def described(data: Mapping[str, Any]) -> str:
    """'<path>, <width>x<height>' of a sample, as a batch of one."""
    side = 'lq' if 'lq' in data else 'gt'
    height, width = data[side].shape[-2:]
    return f'{data.get(f"{side}_path", [""])[0]}, {width}x{height}'


def sentence(error: Exception, what: str) -> str:
    """What is said of an image that cannot be read, restored, scored or written; ``what`` names it."""
    if is_out_of_memory(error):
        return (
            f'{what}: there is not enough memory to restore it: cut the face out '
            '(python -m selfsr_plugin.prepare_faces).'
        )
    text = ' '.join(str(error).split()).rstrip('.') or type(error).__name__  # it stands within a sentence
    if isinstance(error, (OSError, CorruptImageError)):
        return text  # it names the file
    kind = '' if isinstance(error, (UserError, ValueError)) else f' ({type(error).__name__})'
    return f'{what}: {text}{kind}'


def _add(sums: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        total = sums.get(key, 0.0)
        total += value
        sums[key] = total
