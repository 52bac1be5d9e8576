"""Super-resolution learnt from pairs: what RDN and SRGAN are trained by, and the base of the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from basicsr.losses import build_loss
from torch import Tensor

from ...engine.stage import Stage
from ...engine.stage_options import StageOptions, needs_networks
from ...engine.update import Batch, Losses, Update
from ...engine.validation import Evaluation, sr_evaluation
from ...errors import UserError
from ...schema import AdversarialLoss, FeatureLoss, ImageLoss, Optimizer, option, require
from ...stages.adversarial import discriminator_terms


@dataclass(kw_only=True)
class SupervisedSROptions(StageOptions):
    """The section ``train`` of SupervisedSRModel."""

    networks = {'g': 'super-resolution network', 'd': 'HR discriminator; without it there is no GAN'}
    tested = ('g',)
    needs_lq = True  # whether the LR images are those of the data set

    optim_g: Optimizer = option('optimizer of network_g')
    optim_d: Optimizer | None = option('optimizer of network_d', default=None)
    pixel_opt: ImageLoss | None = option(
        'loss between output and HR image in [0, 1]; ~ for none', missing='write pixel_opt: ~ to train without it.'
    )
    perceptual_opt: FeatureLoss | None = option(
        "BasicSR's PerceptualLoss between output and HR image in [0, 1]", default=None, source='basicsr'
    )
    gan_opt: AdversarialLoss | None = option('adversarial loss', default=None)

    def check(self, key: str) -> None:
        super().check(key)
        if self.pixel_opt is None and self.perceptual_opt is None:
            raise UserError(f'{key}.pixel_opt: nothing ties the output to the HR image without it or perceptual_opt.')

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        needs_networks(opt, ('g',), f'{opt["model_type"]} trains it')
        check_scale(opt, 'g')
        section = opt['train']['sr'] if key == 'train.sr' else opt['train']
        if 'network_d' in opt:
            require(section, ('optim_d', 'gan_opt'), key, 'network_d needs it')
        else:
            for name in ('optim_d', 'gan_opt'):
                if section.get(name) is not None:
                    raise UserError(f'{key}.{name}: there is no network_d to use it; add network_d or leave it out.')
        if self.needs_lq and opt['datasets']['train']['type'] == 'HRFaceDataset':
            raise UserError(
                'datasets.train.type: HRFaceDataset gives no LR images; PairedFaceDataset makes them with the bicubic '
                'kernel where there is no dataroot_lq.'
            )


def check_scale(opt: Mapping[str, Any], label: str) -> None:
    """Raises UserError where a network states another scale than the run's."""
    scale = (opt.get(f'network_{label}') or {}).get('scale', opt['scale'])
    if scale != opt['scale']:
        raise UserError(f'network_{label}.scale: {scale!r} must be the scale of the run, {opt["scale"]}.')


class SupervisedSRModel(Stage):
    """Trains ``network_g`` on pairs, and against ``network_d`` if there is one. Batches have 'gt' and 'lq' in [0, 1]::

        l_g_pix                 train.pixel_opt        output and HR image in [0, 1], if there is one
        l_g_percep, l_g_style   train.perceptual_opt   if there is one
        l_g_adv                 train.gan_opt          with network_d
        l_d_real + l_d_fake

    RDN (Zhang et al., CVPR 2018) has the first term alone; SRGAN (Ledig et al., CVPR 2017) has the others, and starts
    with the weights that the first has left. A method with further terms derives from this and gives them in
    :meth:`supervised_terms`.
    """

    options_class = SupervisedSROptions
    needs = 'lq'

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        self.trained = ('g', 'd') if self.is_train and 'network_d' in opt else ('g',)
        self.net_g = self.build_net('g')
        if self.is_train:
            self._init_training()

    def _init_training(self) -> None:
        options = self.options
        self.net_d = self.build_net('d') if 'd' in self.trained else None
        self.cri_pix = build_loss(options.pixel_opt).to(self.device) if options.pixel_opt else None
        self.cri_perceptual = build_loss(options.perceptual_opt).to(self.device) if options.perceptual_opt else None
        if self.net_d is not None:
            self.cri_gan = build_loss(options.gan_opt).to(self.device)
        self.start_training()

    def prepare(self, current_iter: int) -> Batch:
        """'lq' (N, 3, h, w), 'gt' (N, 3, H, W), and whatever else a method learns from."""
        return {'lq': self.data['lq'], 'gt': self.data['gt']}

    def updates(self, current_iter: int) -> list[Update]:
        generator = Update(('g',), self.generator_loss)
        return [generator] if self.net_d is None else [generator, Update(('d',), self.discriminator_loss)]

    def generator_loss(self, batch: Batch) -> Losses:
        """All that ``network_g`` learns from; makes 'fake' of the shape of 'gt'."""
        fake, terms = self.supervised_terms(batch)
        if self.cri_perceptual is not None:
            content, style = self.cri_perceptual(fake, batch['gt'])
            terms |= {
                name: value for name, value in (('l_g_percep', content), ('l_g_style', style)) if value is not None
            }
        if self.net_d is not None:
            terms['l_g_adv'] = self.cri_gan(self.updater.net('d')(fake), True, is_disc=False)
        return Losses(terms, made={'fake': fake})

    def supervised_terms(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The SR image, (N, 3, H, W), and what ties it, and what is made on the way to it, to the truth."""
        fake = self.updater.net('g')(batch['lq'])
        check_size(fake, batch['gt'])
        return fake, {} if self.cri_pix is None else {'l_g_pix': self.cri_pix(fake, batch['gt'])}

    def discriminator_loss(self, batch: Batch) -> Losses:
        """'gt' against 'fake'."""
        return Losses(discriminator_terms('l_d', self.updater.net('d'), self.cri_gan, batch['gt'], batch['fake']))

    def make_evaluation(self, data: dict[str, Any]) -> Evaluation:
        """Super-resolve the LR image."""
        return sr_evaluation(self.net_g(data['lq'].to(self.device)), data)


def check_size(output: Tensor, target: Tensor, net: str = 'network_g') -> None:
    """Raises UserError where the output of a network has not the size of what losses hold it against.

    They would stretch one to the other without a word.
    """
    if output.shape[-2:] != target.shape[-2:]:
        (height, width), (there, across) = output.shape[-2:], target.shape[-2:]
        raise UserError(
            f'{net} makes images of {width}x{height}, and they are held against images of {across}x{there}: adapt its '
            'scale, or gt_size and lq_size of datasets.train.'
        )
