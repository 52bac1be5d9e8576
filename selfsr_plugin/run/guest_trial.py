"""One pair of images through the networks of a model of BasicSR's, before its loop renames a folder and starts."""

from collections.abc import Mapping
from typing import Any

import torch
from basicsr.models.hifacegan_model import HiFaceGANModel
from basicsr.models.sr_model import SRModel
from basicsr.models.srgan_model import SRGANModel
from torch import Tensor

from ..engine.validation import sentence
from ..errors import UserError
from ..registration import is_ours
from ..schema import registered


def try_networks(opt: Mapping[str, Any], sample: Mapping[str, Any]) -> None:
    """Run what SRModel and SRGANModel run in an iteration, on the CPU.

    Args:
        opt: the options; their networks are checked.
        sample: an item of the training set; one without a pair is left alone.

    Raises:
        UserError: a network cannot be run, the generator makes no image of the size of the HR image, or the
            discriminator judges images of another size, or one at a time where the model gives it two.
    """
    model = registered('MODEL_REGISTRY', opt['model_type'])
    if issubclass(model, HiFaceGANModel) and is_ours('ARCH_REGISTRY', opt['network_d']['type']):
        raise UserError(
            f'network_d.type: {opt["network_d"]["type"]} judges an image, and {opt["model_type"]} shows its '
            'discriminator the LR image with it, and learns from every layer: use HiFaceGANDiscriminator.'
        )
    settings = getattr(model, 'init_training_settings', None)
    if settings not in (SRModel.init_training_settings, SRGANModel.init_training_settings):
        return
    if not {'lq', 'gt'} <= sample.keys():
        return
    lq, gt = sample['lq'][None], sample['gt'][None]
    _try_generator(opt, lq, gt)
    if settings is SRGANModel.init_training_settings:
        _run(opt, 'network_d', gt.expand(2, *gt.shape[1:]))  # two, for whoever normalizes over the batch


def _try_generator(opt: Mapping[str, Any], lq: Tensor, gt: Tensor) -> None:
    kind, model = opt['network_g']['type'], opt['model_type']
    output = _run(opt, 'network_g', lq)
    if output is None:
        return
    if not isinstance(output, Tensor):
        raise UserError(f'network_g.type: {kind} gives more than one image, and {model} learns from one: use another.')
    if output.shape != gt.shape:
        small, made, large = (f'{image.shape[-1]}x{image.shape[-2]}x{image.shape[1]}' for image in (lq, output, gt))
        raise UserError(
            f'network_g.type: {kind} makes {made} of an LR image of {small}, and {model} compares it with the '
            f'HR image of {large}: use a network that enlarges {opt["scale"]} times, such as SelfCondSRNet.'
        )


def _run(opt: Mapping[str, Any], key: str, images: Tensor) -> Any:
    section = opt[key]
    try:
        net = registered('ARCH_REGISTRY', section['type'])(
            **{name: value for name, value in section.items() if name != 'type'}
        )
        with torch.no_grad():
            return net(images)
    except Exception as error:
        if not (is_ours('ARCH_REGISTRY', section['type']) or isinstance(error, AssertionError)):
            return None  # of BasicSR's and others', some run on a GPU alone
        size = f'images of {images.shape[-1]}x{images.shape[-2]}'
        raise UserError(
            f'{key}: {section["type"]} cannot be run with {size}, which datasets.train gives it: '
            f'{sentence(error, "it says").rstrip(".")}.'
        ) from error
