"""DeepDeblur (Nah et al., CVPR 2017): the face is restored at several scales, from the coarsest to the finest."""

from dataclasses import dataclass

from torch import Tensor

from ...engine.update import Batch
from ...ops import bicubic_downsample
from ...schema import ImageLoss, option
from .supervised_sr_model import SupervisedSRModel, SupervisedSROptions, check_size


@dataclass(kw_only=True)
class DeepDeblurOptions(SupervisedSROptions):
    """The section ``train`` of DeepDeblurModel."""

    forward_arguments = {'g': ('return_parts', 'DeepDeblur')}

    pixel_opt: ImageLoss = option('loss of the image of each scale, in [0, 1]')


class DeepDeblurModel(SupervisedSRModel):
    """Trains ``network_g`` (DeepDeblur) on its images of all scales: ``l_g_pix`` is the mean over them of
    ``train.pixel_opt`` against the HR image shrunk to the size of each. The image of full size alone is judged by
    ``network_d``, if there is one."""

    options_class = DeepDeblurOptions

    def supervised_terms(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        images = self.updater.net('g')(batch['lq'], return_parts=True).images
        gt = batch['gt']
        check_size(images[0], gt)
        losses = []
        for image in images:
            shrink = gt.shape[-1] // image.shape[-1]
            losses.append(self.cri_pix(image, gt if shrink == 1 else bicubic_downsample(gt, shrink).clamp(0, 1)))
        return images[0], {'l_g_pix': sum(losses) / len(losses)}
