"""What would only show hours later is tried before the first iteration."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import torch
from basicsr.utils import get_root_logger, tensor2img
from torch.utils.data import default_collate

from ..data import PairedFaceDataset
from ..data.face_images import FaceImages
from ..engine.validation import described, score, sentence
from ..errors import UserError, is_out_of_memory, lost_a_process
from ..memory import available_bytes, counted_bytes
from ..metrics import needs_ground_truth
from ..metrics.frechet import FrechetSum, reference_statistics
from ..ops import bicubic_resize
from .processes import raise_in_all
from .progress import Part
from .training_data import TrainingData


_LOOKED_AT = 50  # images of a folder, for the sizes of all


def warn_of_sizes(datasets: Sequence[tuple[str, Any]], opt: dict[str, Any]) -> None:
    """Say in the log where folders seem to be given for each other: LR faces as large as the HR faces are by the
    options, or HR faces smaller than that.

    Only a warning: LR faces may be stored enlarged, and a network may be validated at another size. Pairs are compared
    one by one when they are read.

    Args:
        datasets: with their keys in the option file.
        opt: completed options.
    """
    for key, dataset in datasets:
        sized = opt['datasets'].get('train', opt['datasets'][key])  # in a test, by its own options
        side = sized.get('gt_size') or (sized.get('lq_size') or 0) * opt['scale']
        gt, lq = (getattr(dataset, domain, None) for domain in ('gt', 'lq'))
        if not side or isinstance(dataset, PairedFaceDataset) and lq is not None:
            continue
        for domain, faces, other in (('dataroot_gt', gt, 'smaller than'), ('dataroot_lq', lq, 'as large as')):
            sides = faces.stored_sides(_LOOKED_AT) if isinstance(faces, FaceImages) else []
            odd = [size for size in sides if (min(size) < side) == (faces is gt)]
            if 2 * len(odd) > len(sides):
                (width, height), is_hr = odd[0], faces is gt
                get_root_logger().warning(
                    f'datasets.{key}.{domain}: {len(odd)} of {len(sides)} images looked at in {faces.root} are {other} '
                    f'HR faces are by the options ({side} pixels), one of {width}x{height}: give the folder of the '
                    f'{"HR" if is_hr else "LR"} faces here, if this is that of the {"LR" if is_hr else "HR"} faces.'
                )


def look_at_images(model: Any, datasets: list[tuple[str, Any]], opt: dict[str, Any]) -> None:
    """Read every image of the validation sets, and run the model on the first of each size; each process its share.
    That is less work than one validation.

    Raises:
        UserError: in every process, naming the images that cannot be used.
    """
    problem = None
    for key, dataset in datasets:
        bad, failed, sizes = [], [], set()
        for index in range(opt['rank'], len(dataset), opt['world_size']):
            what = f'image {index + 1}'
            try:
                sample = dataset[index]
                data = default_collate([sample])
                what = described(data)
                size = [sample[side].shape for side in ('gt', 'lq') if side in sample]
            except Exception as error:
                bad.append(sentence(error, what).rstrip('.'))
                continue
            if model.needs in sample and str(size) not in sizes:
                sizes.add(str(size))
                try:
                    model.evaluate(data)
                except Exception as error:
                    failed.append(sentence(error, what).rstrip('.'))
        if bad and problem is None:
            problem = (
                f'datasets.{key}: {len(bad)} of {len(dataset)} images cannot be used: {_first(bad)}. Repair or remove '
                'them.'
            )
        elif failed and problem is None:
            problem = (
                f'datasets.{key}: of {len(sizes)} sizes of images, {len(failed)} cannot be restored: {_first(failed)}. '
                'Correct the options of the network, or leave such images out.'
            )
    raise_in_all(problem, opt)


def _first(problems: Sequence[str]) -> str:
    return '; '.join(problems[:3]) + (f'; and {len(problems) - 3} more' if len(problems) > 3 else '')


def try_metrics(datasets: list[tuple[str, Any]], opt: dict[str, Any]) -> None:
    """Compute every metric of ``val.metrics`` once for each data set that it will be computed for.

    As the restored image serves the ground truth, or where there is none the LR image enlarged; so packages, weights,
    references and the sizes of the images are tried, and the network is not needed.

    Raises:
        UserError: in every process, with the metric that fails and why.
    """
    problem = None
    try:
        for key, dataset in datasets:
            _try_metrics(key, dataset, opt)
    except UserError as error:
        problem = str(error)
    raise_in_all(problem, opt)


def _try_metrics(key: str, dataset: Any, opt: dict[str, Any]) -> None:
    sample = first_readable(dataset)
    if sample is None or 'lq' not in sample:  # then nothing is restored that could be scored
        return
    if 'gt' in sample:
        image = tensor2img(sample['gt'])
        images = dict(img=image, img2=image)
    else:
        height, width = (side * opt['scale'] for side in sample['lq'].shape[-2:])
        images = dict(img=tensor2img(bicubic_resize(sample['lq'], (height, width))))
    for metric, settings in (opt['val'].get('metrics') or {}).items():
        if 'gt' in sample or not needs_ground_truth(settings):
            try:
                value = score(metric, settings, images)
                if isinstance(value, FrechetSum) and value.reference is not None:
                    reference_statistics(value.network, value.reference, value.weights)  # kept for the validations
            except (ValueError, OSError) as error:
                height, width = images['img'].shape[:2]
                text = str(error).removeprefix(f'val.metrics.{metric}: ').rstrip('.')
                why = f'{text}; mend its keys or leave it out'
                if settings['type'] == 'calculate_niqe':  # which fails in torch's words
                    why = 'NIQE needs 192x192 pixels or more: leave it out'
                raise UserError(
                    f'val.metrics.{metric}: it cannot be computed for the images of datasets.{key} '
                    f'({width}x{height}): {why}.'
                ) from error


def first_readable(dataset: Any) -> dict[str, Any] | None:
    """The first item of a data set that can be read; None if none can."""
    return next(filter(None, (_read(dataset, index) for index in range(len(dataset)))), None)


def _read(dataset: Any, index: int) -> dict[str, Any] | None:
    try:
        return dataset[index]
    except Exception:  # a test names it when its turn comes
        return None


def rehearse_training(
    model: Any, batch: dict[str, Any], parts: Sequence[Part], start_iter: int, opt: dict[str, Any]
) -> dict[int, float]:
    """Compute the losses and gradients of each part of the run that is still to come, without a step.

    Args:
        model: ready for iteration ``start_iter + 1``; it is left as it was.
        batch: of that iteration.
        parts: of the run, in order.
        start_iter: iterations already done.
        opt: completed options.

    Returns:
        Seconds that an iteration takes, by the first iteration of its part.

    Raises:
        UserError: a part needs more memory than there is, or cannot be computed with these options.
    """
    seconds = {}
    for part, first, full in _to_come(parts, start_iter, opt['train']['total_iter']):
        plain = _rehearse(model, first, batch, opt)
        more = _rehearse(model, full, batch, opt) - plain if full != first else 0
        seconds[part.first] = plain + more / part.every
    return seconds


def _to_come(parts: Sequence[Part], start_iter: int, total: int) -> Iterator[tuple[Part, int, int]]:
    """Each part that is not over, its next iteration, and the first from there on that computes everything."""
    for part, following in zip(parts, [*(part.first for part in parts[1:]), total + 1]):
        end = min(following, total + 1)
        first = max(part.first, start_iter + 1)
        if first < end:
            yield part, first, part.full if first < part.full < end else first


_SMALL, _LARGE = 2, 4  # images of a part of a batch, of which the memory of larger ones is told
_WORTH_IT = 16  # a part of fewer images is rehearsed about as fast as these two are


def check_memory(model: Any, data: TrainingData, parts: Sequence[Part], start_iter: int, opt: dict[str, Any]) -> None:
    """Estimate what iterations of a large batch take from what small ones do, before a large one is tried: on a CPU
    that takes minutes and may end with the kernel's killing the process, without a word.

    Tensors alone are counted, so that no batch is refused that would have done; the rehearsal finds the rest.

    Args:
        model, parts, start_iter, opt: as of :func:`rehearse_training`.
        data: gives the small batches.

    Raises:
        UserError: in every process; a part needs more memory than there is.
    """
    size = opt['datasets']['train']['batch_size_per_gpu']
    stages = [opt['train'], *(opt['train'].get(name) or {} for name in ('degradation', 'sr'))]
    count = math.lcm(*(stage.get('accum_iter') or 1 for stage in stages))  # parts that both sizes can be cut into
    # What is compiled for batches of several sizes is slower afterwards.
    if size < _WORTH_IT * count or any(stage.get('compile') for stage in stages):
        return
    problem, fits = None, size
    free = available_bytes(model.device)
    for _, _, iteration in _to_come(parts, start_iter, opt['train']['total_iter']):
        try:
            small, large = (
                _bytes_of(model, iteration, data.sample_batch(images * count)) for images in (_SMALL, _LARGE)
            )
        except Exception:  # the rehearsal says what is wrong
            break
        each = (large - small) / ((_LARGE - _SMALL) * count)
        fixed = small - each * _SMALL * count
        if free is not None and fixed + each * fits > free:
            fits = max(count, int((free - fixed) / each) // count * count)
            problem = (
                f'datasets.train.batch_size_per_gpu: {size}: iteration {iteration} needs about '
                f'{(fixed + each * size) / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free: lower it to '
                f'{fits} or less, or cut the batches into parts with accum_iter.'
            )
    raise_in_all(problem, opt)


def _bytes_of(model: Any, iteration: int, batch: dict[str, Any]) -> int:
    with counted_bytes(model.device) as peak:
        model.rehearse(iteration, batch)
    return peak()


def _rehearse(model: Any, iteration: int, batch: dict[str, Any], opt: dict[str, Any]) -> float:
    """Seconds of an iteration, at the second try: at the first, memory is obtained and kernels are chosen."""
    try:
        for _ in range(2):
            began = time.monotonic()
            model.rehearse(iteration, batch)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
    except Exception as error:
        _explain_lacking_images(error, batch, opt)
        raise_explained(error, iteration, opt)
    return time.monotonic() - began


def _explain_lacking_images(error: Exception, batch: dict[str, Any], opt: dict[str, Any]) -> None:
    """UserError where a model asked for images that a data set of BasicSR's or somebody's does not give."""
    key = error.args[0] if isinstance(error, KeyError) else None
    if key in ('gt', 'lq') and key not in batch:
        raise UserError(
            f"datasets.train.type: the batches of {opt['datasets']['train']['type']} have no '{key}', "
            f'{dict(gt="HR", lq="LR")[key]} images, which {opt["model_type"]} learns from: use a data set that gives '
            'them.'
        ) from error


def raise_explained(error: Exception, iteration: int, opt: dict[str, Any]) -> NoReturn:
    """Raise what went wrong in an iteration of a kind that has not been computed before.

    Networks, losses and optimizers of BasicSR and torch find out about an impossible option only when they run.

    Raises:
        UserError: for a lack of memory, and for an option that torch does not take.
        Exception: ``error`` itself, when it is none of these.
    """
    if is_out_of_memory(error):
        size = opt['datasets']['train']['batch_size_per_gpu']
        raise UserError(
            f'there is not enough memory for iteration {iteration} with datasets.train.batch_size_per_gpu: '
            f'{size}: lower it, or cut the batches into parts with accum_iter.'
        ) from error
    if (
        isinstance(error, UserError)
        or isinstance(error, RuntimeError)
        and lost_a_process(error)
        or not isinstance(error, (TypeError, ValueError, AttributeError, RuntimeError, AssertionError))
    ):
        raise error
    raise UserError(
        f'iteration {iteration} cannot be computed with these options: {" ".join(str(error).split())} '
        f'({type(error).__name__}; --traceback shows where)'
    ) from error
