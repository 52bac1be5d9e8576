"""Validation on BasicSR's terms: images, metrics, averages over the processes, the best values so far."""
from copy import deepcopy
from os import path as osp
from typing import Any, ClassVar, Dict, List, Mapping, NamedTuple, Optional

import numpy as np
import torch
from basicsr.metrics import calculate_metric
from basicsr.models.base_model import BaseModel
from basicsr.utils import get_root_logger, imwrite
from torch.utils.data import default_collate
from tqdm import tqdm

from ..errors import UserError
from ..metrics import needs_ground_truth


class Evaluation(NamedTuple):
    """One validated image: what is drawn, what BasicSR's metrics see, and figures the model has itself.

    ``image`` is (H, W, 3) uint8 BGR; ``metric_data`` has BasicSR's keys 'img' and, where there is ground truth, 'img2',
    or is None for an image that is no restored one; ``values`` are averaged over the data set and logged.
    """
    image: np.ndarray
    metric_data: Optional[Dict[str, np.ndarray]]
    values: Dict[str, float]


class ValidatedModel(BaseModel):
    """A model that says in :meth:`evaluate` what becomes of one image, and is validated image by image."""
    needs: ClassVar[str] = 'gt'  # what a validation sample must have

    def evaluate(self, data: Dict[str, Any]) -> Evaluation:
        """Run the model on one validation sample, a batch of one."""
        raise NotImplementedError(f'{type(self).__name__} does not say how to validate an image.')

    def validation(self, dataloader: Any, current_iter: 'int | str', tb_logger: Any, save_img: bool = False) -> None:
        """Validate a data set, each process its share; the averages are over the whole set.

        Images are written where BasicSR writes them. Metrics that need ground truth are left out for a data set
        that has none. What a metric of whole sets returns (``metrics.frechet``) adds and divides like a number.
        """
        dataset, name = dataloader.dataset, dataloader.dataset.opt['name']
        logger = get_root_logger()
        sample_keys = set(dataset[0])
        if self.needs not in sample_keys:
            logger.info(f"Validation of {name} skipped: {type(self).__name__} needs '{self.needs}' images, and this "
                        f'data set has {", ".join(sorted(sample_keys & {"gt", "lq"}))}.')
            return
        val_opt = self.opt['val']
        asked = val_opt.get('metrics') or {}
        metrics = {metric: settings for metric, settings in asked.items()
                   if 'gt' in sample_keys or not needs_ground_truth(settings)}
        if len(metrics) < len(asked):
            logger.info(f'{name} has no ground truth, without which there is no '
                        f'{", ".join(sorted(asked.keys() - metrics))}.')
        sums: Dict[str, Any] = {}
        shares = range(self.opt['rank'], len(dataset), self.opt['world_size'])
        for index in tqdm(shares, unit='image', disable=not val_opt.get('pbar') or self.opt['rank'] != 0):
            data = default_collate([dataset[index]])
            result = self.evaluate(data)
            if save_img:
                _write_image(result.image, self._image_path(data, name, current_iter))
            values = dict(result.values)
            if result.metric_data is not None:
                for metric, settings in metrics.items():
                    try:
                        values[metric] = calculate_metric(dict(result.metric_data), deepcopy(settings))
                    except (UserError, OSError):
                        raise
                    except Exception as error:  # BasicSR's metrics do not check their options, OpenCV does, in its way
                        raise UserError(f'val.metrics.{metric}: {" ".join(str(error).split())}') from error
            _add(sums, values)
        averages = self._average_over_processes(sums, len(dataset))
        if averages and self.opt['rank'] == 0:
            self._report(averages, name, current_iter, tb_logger, metrics)

    def _image_path(self, data: Dict[str, Any], dataset_name: str, current_iter: 'int | str') -> str:
        path = data.get('lq_path', data.get('gt_path'))[0]
        image_name = osp.splitext(osp.basename(path))[0]
        root = self.opt['path']['visualization']
        if self.is_train:
            return osp.join(root, image_name, f'{image_name}_{current_iter}.png')
        suffix = self.opt['val'].get('suffix') or self.opt['name']
        return osp.join(root, dataset_name, f'{image_name}_{suffix}.png')

    def _average_over_processes(self, sums: Dict[str, Any], count: int) -> Dict[str, float]:
        if self.opt['dist']:
            gathered: List[Optional[Dict[str, Any]]] = [None] * self.opt['world_size']
            torch.distributed.all_gather_object(gathered, sums)
            sums = {}
            for share in gathered:
                _add(sums, share)
        return {key: float(value / count) for key, value in sums.items()}

    def _report(self, averages: Dict[str, float], dataset_name: str, current_iter: 'int | str', tb_logger: Any,
                metrics: Mapping[str, Any]) -> None:
        lines = [f'Validation {dataset_name}']
        if metrics and self.is_train:
            self._initialize_best_metric_results(dataset_name)
        for key, value in averages.items():
            line = f'\t # {key}: {value:.4f}'
            if key in metrics and self.is_train:
                self._update_best_metric_result(dataset_name, key, value, current_iter)
                best = self.best_metric_results[dataset_name][key]
                line += f'\tBest: {best["val"]:.4f} @ {best["iter"]} iter'
            lines.append(line)
            if tb_logger:
                tb_logger.add_scalar(f'metrics/{dataset_name}/{key}', value, current_iter)
        get_root_logger().info('\n'.join(lines) + '\n')


def _write_image(image: np.ndarray, path: str) -> None:
    try:
        imwrite(image, path)
    except OSError as error:  # BasicSR's own says neither what nor why
        raise OSError(f'cannot write {path}: {error.strerror or "the disk may be full, or the folder not writable"}.') from error


def _add(sums: Dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        total = sums.get(key, 0.0)
        total += value
        sums[key] = total
