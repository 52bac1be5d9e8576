"""What scripts/reproduce.py measures of a row: scores of the test faces, curves over a training, what a face costs."""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from selfsr_plugin import evaluate, files
from selfsr_plugin.baselines.complexity import complexity
from selfsr_plugin.basicsr_compat.root import results_root
from selfsr_plugin.data.face_images import FaceImages
from selfsr_plugin.data.image_source import open_image_source
from selfsr_plugin.errors import UserError
from selfsr_plugin.inference import find_device, run_network
from selfsr_plugin.loading import load
from selfsr_plugin.ops import bicubic_downsample, to_image
from selfsr_plugin.pictures import Images, resize
from torch import nn

from reproduce_baselines import TABLE1, TABLE2
from reproduce_rows import TABLE4

LR_SIDE = 16
BATCH = 16  # LR faces at once
TIMED = 5  # batches, of which the median counts

Options = dict[str, Any]
Scores = dict[str, dict[str, Any]]


def models(name: str) -> Path:
    """The folder of the networks of a run."""
    return Path(results_root()) / 'experiments' / name / 'models'


def network_labels(opt: Options) -> list[str]:
    """The networks that a face goes through to be restored, in order: Maeda's corrects it first."""
    return ['clean', 'g'] if opt['model_type'] == 'PseudoSupervisionModel' else ['g']


def restoring_network(opt: Options, iteration: int | str = 'latest') -> nn.Module:
    """From LR faces (N, 3, 16, 16) to restored ones, in [0, 1], as saved at an iteration; in evaluation mode."""
    return nn.Sequential(
        *(load(models(opt['name']) / f'net_{label}_{iteration}.pth') for label in network_labels(opt))
    ).eval()


# ----- scores -----


def score(row: str, name: str, opt: Options | None, args: argparse.Namespace) -> Scores:
    """Restore the test faces and compare; the entries of evaluate's summary by names of this script."""
    sets = ['frechet_alex'] + ['fid'] * ('fid' in args.weights)
    if not is_of_real_faces(row):
        restore_faces('data/test_clean_x8', name, name, opt)
        return compare(f'restored/{name}', 'data/test_gt_x8', ['psnr', 'ssim', 'lpips', *sets], args)
    restore_faces('data/test_lq', name, name, opt)
    restore_faces('data/test_clean_x4', f'{name}_clean', name, opt)
    scores = compare(f'restored/{name}', 'data/test_gt_x4', sets, args)
    scores['psnr_clean'] = compare(f'restored/{name}_clean', 'data/test_gt_x4', ['psnr'], args)['psnr']
    if row in TABLE2:
        return scores
    degraded = 'data/test_clean_x4'  # what trained the rows without a degradation network
    if opt is not None and 'degradation' in opt['train']:
        degraded = f'degraded/{name}'
        net = load(models(name) / f'net_deg_{opt["train"]["degradation"]["total_iter"]}.pth')
        run_on(net, 'data/test_clean_x4', degraded)
    scores.update({f'{key}_lq': value for key, value in compare(degraded, 'data/test_lq', sets, args).items()})
    return scores


def restore_faces(lq: str, target: str, name: str, opt: Options | None) -> None:
    if opt is None:
        for face, image in Images(lq).items():
            files.write_image(f'restored/{target}/{face}.png', resize(image, LR_SIDE * int(name[-1])))
    else:
        run_on(restoring_network(opt), lq, f'restored/{target}')


def run_on(net: nn.Module, faces: str, target: str, side: int | None = None) -> None:
    """Write what a network makes of a folder of faces; enlarged to ``side`` where it makes them smaller."""
    found = FaceImages(dict(dataroot_lq=faces, phase='test'), 'dataroot_lq', None)
    for result in run_network(net, found, BATCH, find_device(None)):
        if result.output is None:
            raise UserError(result.problem)
        image = to_image(result.output)
        files.write_image(f'{target}/{found.names[result.index]}.png', image if side is None else resize(image, side))


def compare(restored: str, reference: str, metrics: Sequence[str], args: argparse.Namespace) -> Scores:
    files = {**args.weights, 'frechet_alex': args.weights['lpips']}
    weights = [f'{name}={files[name]}' for name in metrics if name in files]
    output = Path('scores') / f'{restored.replace("/", "_")}_{metrics[0]}'
    evaluate.run(
        evaluate.parse(
            [
                '--restored',
                restored,
                '--reference',
                reference,
                '--metrics',
                *metrics,
                *(['--weights', *weights] if weights else []),
                '--output',
                str(output),
            ]
        )
    )
    return json.loads((output / 'scores.json').read_text())['metrics']


# ----- curves -----

CLEAN = ('psnr', 'lpips', 'frechet_alex')
Point = dict[str, Any]


def curve(
    row: str, trainings: Sequence[Options], started: float | None, args: argparse.Namespace, known: Sequence[Point] = ()
) -> list[Point]:
    """What every checkpoint that is there of a network that restores scores on people held back.

    A point has the iteration of the row, the minutes since its start (None where it was resumed), PSNR-Y, LPIPS and
    Frechet distance on the clean LR faces of --val-gt, and with --val-lq ``frechet_alex_real``, of these faces restored
    against --val-gt, for rows that are about real faces. What points of ``known`` have is not measured again.
    """
    points = {point['iteration']: dict(point) for point in known}
    if args.val_gt is not None:
        before = 0
        for opt in trainings:
            found = {int(path.stem.rpartition('_')[2]): path for path in models(opt['name']).glob('net_g_[0-9]*.pth')}
            for iteration, path in sorted(found.items()):
                minutes = None if started is None else (path.stat().st_mtime - started) / 60
                point = points.setdefault(before + iteration, dict(iteration=before + iteration, minutes=minutes))
                measure(point, opt, iteration, args.val_lq is not None and is_of_real_faces(row), args)
            before += opt['train']['total_iter']
    return [points[iteration] for iteration in sorted(points)]


def measure(point: Point, opt: Options, iteration: int, real: bool, args: argparse.Namespace) -> None:
    """Add to a point what it lacks, by the networks that a run saved at an iteration of its own."""
    lacking = [key for key in CLEAN if key not in point], real and 'frechet_alex_real' not in point
    if not any(lacking):
        return
    make_validation_faces(opt['scale'], args)
    net, target = restoring_network(opt, iteration), f'restored/{opt["name"]}_curve/{iteration}'
    side, reference = LR_SIDE * opt['scale'], f'data/val_gt_x{opt["scale"]}'
    if lacking[0]:
        run_on(net, f'data/val_clean_x{opt["scale"]}', target, side)
        point.update({key: each['value'] for key, each in compare(target, reference, lacking[0], args).items()})
    if lacking[1]:
        run_on(net, 'data/val_lq', f'{target}_real', side)
        found = compare(f'{target}_real', reference, ['frechet_alex'], args)
        point['frechet_alex_real'] = found['frechet_alex']['value']


def is_of_real_faces(row: str) -> bool:
    """Whether a row restores real LR faces in the paper, Tables II and III, and not those that bicubic made."""
    return row not in TABLE4 and row not in TABLE1 and row != 'bicubic_x8'


def make_validation_faces(scale: int, args: argparse.Namespace) -> None:
    """data/val_gt_x<scale>, data/val_clean_x<scale> and data/val_lq, where they are not there."""
    for side in ('gt', 'clean'):
        folder = Path(f'data/val_{side}_x{scale}')
        if not folder.exists():
            faces = FaceImages(dict(dataroot_gt=args.val_gt, phase='test'), 'dataroot_gt', LR_SIDE * scale)
            for index, face_name in enumerate(faces.names):
                face = faces.read(index)
                image = to_image(face if side == 'gt' else bicubic_downsample(face, scale))
                files.write_image(folder / f'{face_name}.png', image)
    if args.val_lq is not None and not Path('data/val_lq').exists():
        cut_lq_faces(args.val_lq, Path('data/val_lq'), args.lq_crop)


def cut_lq_faces(source: str, folder: Path, crop: Sequence[float]) -> None:
    """Write the real LR faces of a folder or LMDB cut to ``crop`` (left, top, side in shares) and 16x16."""
    left, top, side = crop
    faces = open_image_source(source)
    folder.mkdir(parents=True)
    for index, name in enumerate(faces.names):
        face = Image.fromarray(faces.read(index)[..., ::-1])
        box = [share * length for share, length in zip((left, top, left + side, top + side), face.size * 2)]
        face.resize((LR_SIDE, LR_SIDE), Image.BICUBIC, box=box).save(folder / f'{name}.png')


# ----- costs -----


def cost(opt: Options) -> dict[str, float]:
    """What restoring a face takes: parameters, multiply-adds, and faces in a second on this machine, of batches of 16
    that are in its memory."""
    net = restoring_network(opt)
    parameters, multiply_adds = complexity(net, (1, 3, LR_SIDE, LR_SIDE))
    return dict(parameters=parameters, multiply_adds=multiply_adds, faces_per_second=faces_per_second(net))


@torch.no_grad()
def faces_per_second(net: nn.Module) -> float:
    device = find_device(None)
    net, faces = net.to(device), torch.rand(BATCH, 3, LR_SIDE, LR_SIDE, device=device)
    seconds = []
    for _ in range(1 + TIMED):  # the first obtains memory
        began = time.perf_counter()
        net(faces)[0, 0, 0, 0].item()  # waits for a GPU
        seconds.append(time.perf_counter() - began)
    return BATCH / sorted(seconds[1:])[TIMED // 2]
