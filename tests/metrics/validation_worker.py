"""Validates in two gloo processes and writes what each reports: python validation_worker.py FOLDER ALEXNET REFERENCE.

Its own process, so that the ranks can be forked without what the tests have loaded.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import selfsr_plugin  # noqa: F401  before basicsr
from basicsr.models import build_model

COUNT = 5


class Faces(Dataset):
    """LR faces with or without ground truth: smooth random colours."""

    def __init__(self, has_truth: bool, name: str) -> None:
        self.has_truth, self.opt = has_truth, dict(name=name)

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> dict[str, Any]:
        coarse = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(index))
        gt = nn.functional.interpolate(coarse, size=(32, 32), mode='bilinear')
        sample = dict(lq=nn.functional.avg_pool2d(gt, 4)[0], lq_path=f'/faces/{index}.png')
        return dict(sample, gt=gt[0], gt_path=f'/faces/{index}.png') if self.has_truth else sample


class Recorder:
    """Stands in for TensorBoard's writer."""

    def __init__(self) -> None:
        self.scalars: dict[str, float] = {}

    def add_scalar(self, name: str, value: float, _: Any) -> None:
        self.scalars[name] = value


def options(folder: str, alexnet: str, reference: str, **changes: Any) -> dict[str, Any]:
    metrics = dict(
        psnr=dict(type='calculate_psnr', crop_border=0),
        paired=dict(type='calculate_frechet_alex', weights=alexnet, better='lower'),
        set=dict(type='calculate_frechet_alex', weights=alexnet, better='lower', reference=reference),
    )
    return dict(
        dict(
            name='test',
            model_type='SelfCondSRModel',
            scale=4,
            num_gpu=0,
            manual_seed=5,
            is_train=False,
            dist=False,
            rank=0,
            world_size=1,
            path=dict(visualization=folder),
            network_g=dict(type='SelfCondSRNet', widths=[6, 4], num_block=1),
            val=dict(save_img=False, metrics=metrics),
        ),
        **changes,
    )


def validate(opt: dict[str, Any]) -> dict[str, float]:
    """Figures of a set with ground truth and of one without, which can only be compared with a reference."""
    writer, model = Recorder(), build_model(opt)
    model.validation(DataLoader(Faces(True, 'with')), 1, writer)
    model.validation(DataLoader(Faces(False, 'without')), 1, writer)
    return writer.scalars


def work(folder: Path, rank: int) -> dict[str, Any]:
    alexnet, reference = sys.argv[2:4]
    return validate(options(str(folder), alexnet, reference, rank=rank, world_size=2, dist=True))


if __name__ == '__main__':
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import two_ranks

    two_ranks.run(work)
