"""Stage 2: the progressive, self-conditioned GAN (section III-B)."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from basicsr.archs import build_network
from basicsr.losses import build_loss
from basicsr.utils import get_root_logger
from torch import Tensor, nn

from ..engine.stage import Stage, frozen_state, refuse_other_weights, to_signed
from ..engine.stage_options import StageOptions, needs_lq_images, needs_networks
from ..engine.update import Batch, Losses, Update
from ..engine.validation import Evaluation, sr_evaluation
from ..errors import UserError
from ..ops import Growth, GrowthSchedule, bicubic_downsample, bicubic_resize, log2_of_scale
from ..schema import AdversarialLoss, FeatureLoss, ImageLoss, Optimizer, option, require
from .adversarial import discriminator_terms


@dataclass(kw_only=True)
class SelfCondSROptions(StageOptions):
    """The section ``train`` of SelfCondSRModel, or ``train.sr``."""

    networks = {
        'g': 'super-resolution network, stage 2',
        'd': 'HR discriminator, stage 2; without it there is no GAN',
        'deg': 'degradation network of stage 1, for supervision: pseudo',
    }
    tested = ('g',)

    supervision: Literal['paired', 'unpaired', 'pseudo'] = option(
        'where LR images come from and what the output is held against', source='paper'
    )
    lq_from_gt: bool = option(
        'supervision: paired makes the LR images from the HR images with the bicubic kernel, whatever '
        'else the data set gives',
        default=False,
        source='paper',
    )
    lq_noise: float = option(
        'white noise on the LR images of stage 1, its standard deviation in grey levels of 255',
        default=0,
        least=0,
        below=256,
    )
    grow_at: list[int] = option(
        'iterations after which the next level comes in, one for each after x2; [] for the full scale from the start',
        default=[],
        least=1,
        source='paper',
        unit='iterations',
        expects='a list of iterations, e.g. [60000], or []',
    )
    fade_iter: int = option(
        'iterations over which a new level is faded in, 0 for at once', default=0, least=0, unit='iterations'
    )
    checkpointing: bool = option(
        'network_g keeps the input of each block alone for its gradient and computes the block again, which takes less '
        'memory and more time',
        default=False,
        decides=False,
    )
    optim_g: Optimizer = option('optimizer of network_g', source='paper')
    optim_d: Optimizer | None = option('optimizer of network_d', default=None, source='paper')
    pixel_opt: ImageLoss = option('loss of Eq. 8, or Eq. 11 when unpaired, images in [-1, 1]', source='paper')
    gan_opt: AdversarialLoss | None = option('adversarial loss, Eq. 7', default=None, source='paper')
    perceptual_opt: FeatureLoss | None = option(
        "BasicSR's PerceptualLoss between output and HR image in [0, 1]", default=None, source='basicsr'
    )
    r1_reg_weight: float = option('gamma of Eq. 9 for network_d, images in [-1, 1]', default=0, least=0, source='paper')
    net_d_reg_every: int = option(
        'iterations from one R1 penalty to the next, which is as many times as strong', default=1, least=1
    )
    net_d_iters: int = option('steps of network_d for one of network_g', default=1, least=1, source='basicsr')
    net_d_init_iters: int = option(
        'iterations before the first step of network_g', default=0, least=0, source='basicsr', unit='iterations'
    )
    ema_decay: float = option(
        'decay of a moving average of network_g, which is validated and saved too; 0 for none',
        default=0,
        least=0,
        below=1,
        source='basicsr',
    )

    def check(self, key: str) -> None:
        super().check(key)
        if self.lq_noise and self.supervision != 'pseudo':
            raise UserError(
                f'{key}.lq_noise: it is added to the LR images of stage 1, and supervision: {self.supervision} '
                'uses none; leave it out.'
            )
        if self.lq_from_gt and self.supervision != 'paired':
            raise UserError(
                f'{key}.lq_from_gt: only supervision: paired asks where its LR images come from; leave it out.'
            )
        if self.perceptual_opt is not None and self.supervision == 'unpaired':
            raise UserError(
                f'{key}.perceptual_opt: it compares with the HR image of the same face, and supervision: '
                'unpaired has none; leave it out.'
            )
        if self.grow_at and self.grow_at[-1] >= self.total_iter:
            raise UserError(
                f'{key}.grow_at: the step at {self.grow_at[-1]} is never reached, {key}.total_iter is '
                f'{self.total_iter}.'
            )
        if self.net_d_init_iters >= self.total_iter:
            raise UserError(
                f'{key}.net_d_init_iters: {self.net_d_init_iters} must be below {key}.total_iter '
                f'({self.total_iter}), or network_g never learns.'
            )

    def check_run(self, opt: Mapping[str, Any], key: str) -> None:
        super().check_run(opt, key)
        needs_networks(opt, ('g',), 'SelfCondSRModel trains it')
        section = opt['train']['sr'] if key == 'train.sr' else opt['train']
        if 'network_d' in opt:
            require(section, ('optim_d', 'gan_opt'), key, 'network_d needs it')
        else:
            surplus = sorted(
                {'optim_d', 'gan_opt', 'r1_reg_weight', 'net_d_reg_every', 'net_d_iters', 'net_d_init_iters'}
                & set(section)
            )
            if surplus:
                raise UserError(f'{key}.{surplus[0]}: there is no network_d to use it; add network_d or leave it out.')
        data = opt['datasets']['train']
        size, gt_size = (opt.get('network_d') or {}).get('size'), data.get('gt_size')
        if size is not None and gt_size is not None and size != gt_size:
            raise UserError(
                f'network_d.size: {size!r} must be the side of the HR images, datasets.train.gt_size: {gt_size}.'
            )
        if self.fade_iter and not self.grow_at:
            raise UserError(f'{key}.fade_iter: with {key}.grow_at: [] no level is faded in; write 0.')
        if self.supervision == 'unpaired':
            needs_lq_images(opt, 'supervision: unpaired trains on LR faces')
        if self.supervision == 'pseudo':
            needs_networks(opt, ('deg',), 'supervision: pseudo makes the LR images with it')
            if key == 'train':  # stage 2 alone
                require(
                    opt.get('path') or {},
                    ('pretrain_network_deg',),
                    'path',
                    'supervision: pseudo needs the weights of '
                    'stage 1, experiments/<stage 1 run>/models/net_deg_latest.pth',
                )
        if self.supervision == 'paired' and not self.lq_from_gt and data['type'] == 'HRFaceDataset':
            raise UserError(
                f'{key}.supervision: paired needs LR images, and HRFaceDataset gives none; write {key}.lq_from_gt: '
                'true to have them made from the HR images with the bicubic kernel.'
            )
        try:
            GrowthSchedule(log2_of_scale(opt['model_type'], opt['scale']), tuple(self.grow_at), self.fade_iter)
        except ValueError as error:
            raise UserError(f'{key}.{error}') from None


class SelfCondSRModel(Stage):
    """Trains ``network_g`` against ``network_d`` (optional) with one of three supervisions, growing as it goes.

    ``train.supervision`` says where the LR images come from and what the output is held against:

    - 'paired': batches have 'gt' and 'lq'; with ``train.lq_from_gt`` 'lq' is 'gt' shrunk with the bicubic kernel;
      Eq. 8.
    - 'unpaired': 'lq' shows other faces than 'gt'; Eq. 11, the output shrunk again against 'lq'.
    - 'pseudo': LR images are made from 'gt' by the frozen ``network_deg``; Eq. 8. The method of the paper.
      ``train.lq_noise`` (ours, 0 by default) adds white noise, its standard deviation in grey levels of 255: the
      degradation network has no random input and cannot imitate a sensor's, which the super-resolution network, having
      seen none, would sharpen.

    Objective (Eq. 10)::

        l_g_adv                 Eq. 7, generator side       train.gan_opt
        l_g_rec or l_g_cyc      Eq. 8 or Eq. 11             train.pixel_opt, images in [-1, 1]
        l_g_percep, l_g_style   not in the paper            train.perceptual_opt, images in [0, 1]
        l_d_real + l_d_fake     Eq. 7, discriminator side
        l_d_r1                  Eq. 9                       train.r1_reg_weight (gamma) / 2, images in [-1, 1]

    ``network_g`` and ``network_d`` may be BasicSR's; only networks of this package can grow.

    Args:
        opt: BasicSR's option dictionary; see options/train_selfsr_real_sr.yml for every key.
        net_deg: the trained degradation network for 'pseudo'; by default it is built from ``network_deg`` and
            ``path.pretrain_network_deg``.

    Raises:
        ValueError: ``grow_at`` does not fit the networks, or a network that cannot grow is asked to.
    """

    options_class = SelfCondSROptions
    needs = 'lq'

    def __init__(self, opt: dict[str, Any], net_deg: nn.Module | None = None) -> None:
        super().__init__(opt)
        self.num_level = log2_of_scale(type(self).__name__, opt['scale'])
        self._growth: Growth | None = None  # where training stands; validation looks at the same output
        self.trained = ('g', 'd') if self.is_train and 'network_d' in opt else ('g',)
        self.net_g = self.build_net('g')
        self._check_scale('g')
        if self.is_train:
            self._init_training(net_deg)

    def _init_training(self, net_deg: nn.Module | None) -> None:
        options = self.options
        self.net_d = self.build_net('d') if 'd' in self.trained else None
        if options.supervision == 'pseudo':
            self.net_deg = self.build_net('deg') if net_deg is None else net_deg
            self.net_deg.requires_grad_(False).eval()

        if options.checkpointing:
            if not hasattr(self.net_g, 'use_checkpointing'):
                raise UserError(
                    f'checkpointing: network_g ({type(self.net_g).__name__}) has no such blocks; leave it out, and cut '
                    'the batches into parts with accum_iter.'
                )
            self.net_g.use_checkpointing()
        self.schedule = GrowthSchedule(self.num_level, tuple(options.grow_at), options.fade_iter)
        self._check_growth()
        if self.net_d is not None:
            self._check_scale('d')
        self._phase: tuple[int, bool] | None = None
        self._announced: tuple | None = None  # the phase that the log knows of

        if options.ema_decay > 0:
            self.net_g_ema = build_network(self.opt['network_g']).to(self.device)
            self.net_g_ema.load_state_dict(self.net_g.state_dict())
            self.net_g_ema.requires_grad_(False).eval()
            if options.channels_last:
                self.net_g_ema.to(memory_format=torch.channels_last)

        self.cri_pix = build_loss(options.pixel_opt).to(self.device)
        self.cri_perceptual = build_loss(options.perceptual_opt).to(self.device) if options.perceptual_opt else None
        if self.net_d is not None:
            self.cri_gan = build_loss(options.gan_opt).to(self.device)
        self.start_training()

    def _check_growth(self) -> None:
        for label in self.trained:
            net = getattr(self, f'net_{label}')
            if self.schedule.grow_at and not _can_grow(net):
                raise UserError(
                    f'train.grow_at: network_{label} ({type(net).__name__}) has no levels and cannot '
                    'grow; set grow_at: [].'
                )

    def _check_scale(self, label: str) -> None:
        net = getattr(self, f'net_{label}')
        if _can_grow(net) and net.num_level != self.num_level:
            raise UserError(
                f'scale: {self.opt["scale"]} needs {self.num_level} levels, but network_{label} has '
                f'{net.num_level}; adapt its widths or num_level.'
            )

    def _check_output(self, output: Tensor, lq: Tensor) -> None:
        """A network without levels says nowhere what its scale is; what it makes would be held against other sizes, or
        resized, without a word."""
        full_size = [side * self.opt['scale'] for side in lq.shape[-2:]]
        if not _can_grow(self.net_g) and list(output.shape[-2:]) != full_size:
            (height, width), (rows, columns) = lq.shape[-2:], output.shape[-2:]
            raise UserError(
                f'network_g ({type(self.net_g).__name__}) makes images of {columns}x{rows} of images of '
                f'{width}x{height}, and scale: {self.opt["scale"]} asks for {full_size[1]}x{full_size[0]}: adapt its '
                'options, or scale.'
            )

    def feed_data(self, data: dict[str, Any]) -> None:
        for key in ('gt', 'lq'):
            setattr(self, key, data[key].to(self.device, non_blocking=True) if key in data else None)

    # ----- training -----

    def optimize_parameters(self, current_iter: int) -> None:
        self._enter_phase(self.schedule.at(current_iter))
        if self._phase != self._announced:
            self._announced = self._phase
            level, fading = self._phase
            get_root_logger().info(f'Training at level {level} (x{2**level}){", fading in" if fading else ""}.')
        super().optimize_parameters(current_iter)
        self.log_dict['level'], self.log_dict['alpha'] = self._growth

    def rehearse(self, current_iter: int, data: dict[str, Any]) -> None:
        before = self._growth
        self._enter_phase(self.schedule.at(current_iter))
        super().rehearse(current_iter, data)
        self._growth = before

    def _enter_phase(self, growth: Growth) -> None:
        """Train exactly the parameters that this level uses."""
        self._growth = growth
        phase = (growth.level, growth.alpha < 1)
        if phase == self._phase:
            return
        self._phase = phase
        nets = {label: getattr(self, f'net_{label}') for label in self.trained}
        self.updater.enter_phase(
            {label: net.active_modules(*phase) if _can_grow(net) else [net] for label, net in nets.items()},
            steady=growth.alpha == 1,
        )

    def prepare(self, current_iter: int) -> Batch:
        """'lq' (N, 3, h, w), what the network is given, and 'real' (N, 3, H, W), HR images at the size of the level."""
        if self.gt is None:
            raise KeyError('gt')  # as other stages' data['gt'] does; the rehearsal of a run makes a sentence of it
        return {'lq': self._training_input(current_iter), 'real': self._real_images(self._growth)}

    def updates(self, current_iter: int) -> list[Update]:
        generator = Update(('g',), self.generator_loss)
        if self.net_d is None:
            return [generator]
        options = self.options
        has_r1 = options.r1_reg_weight > 0 and current_iter % options.net_d_reg_every == 0
        discriminator = Update(('d',), partial(self.discriminator_loss, has_r1), self._fakes_if_none, variant=has_r1)
        if current_iter % options.net_d_iters or current_iter <= options.net_d_init_iters:
            return [discriminator]
        return [generator, discriminator]

    def compilable(self) -> list[str]:
        bare = 'd' if self.opt['dist'] and self.options.r1_reg_weight > 0 else None
        return [label for label in self.trained if label != bare]

    def averages(self) -> list[tuple[nn.Module, nn.Module, float]]:
        return [(self.net_g_ema, self.net_g, self.options.ema_decay)] if self.options.ema_decay > 0 else []

    def generator_loss(self, batch: Batch) -> Losses:
        """Eq. 10: super-resolve 'lq'; makes 'fake' of the shape of 'real'."""
        fake = self._run('g', self.updater.net('g'), batch['lq'])
        self._check_output(fake, batch['lq'])
        if self.options.supervision == 'unpaired':
            back = bicubic_downsample(fake, 2**self._growth.level)
            terms = {'l_g_cyc': self.cri_pix(to_signed(back), to_signed(batch['lq']))}
        else:
            terms = {'l_g_rec': self.cri_pix(to_signed(fake), to_signed(batch['real']))}
        if self.cri_perceptual is not None:
            content, style = self.cri_perceptual(fake, batch['real'])
            terms.update(
                {name: value for name, value in (('l_g_percep', content), ('l_g_style', style)) if value is not None}
            )
        if self.net_d is not None:
            terms['l_g_adv'] = self.cri_gan(self._run('d', self.updater.net('d'), fake), True, is_disc=False)
        return Losses(terms, made={'fake': fake})

    def discriminator_loss(self, has_r1: bool, batch: Batch) -> Losses:
        """Eq. 7, discriminator side: 'real' against 'fake'; with Eq. 9 in every ``net_d_reg_every``-th iteration."""
        options = self.options
        terms = discriminator_terms(
            'l_d',
            partial(self._run, 'd', self.updater.net('d')),
            self.cri_gan,
            batch['real'],
            batch['fake'],
            options.r1_reg_weight if has_r1 else 0,
            partial(self._run, 'd', self.updater.net('d', exact=True)),
        )
        return Losses(terms, factors={'l_d_r1': options.net_d_reg_every})  # iterations without it are made up for

    def _fakes_if_none(self, batch: Batch) -> Batch:
        """The generator's images, in an iteration in which it does not learn."""
        return {} if 'fake' in batch else {'fake': self._run('g', self.updater.net('g'), batch['lq'])}

    def _run(self, label: str, net: Callable[..., Tensor], images: Tensor) -> Tensor:
        """``net``, which is network_<label> or its average, at the level where training stands if it has levels."""
        if not _can_grow(getattr(self, f'net_{label}')):
            return net(images)
        return net(images, level=self._growth.level, alpha=self._growth.alpha)

    def _training_input(self, current_iter: int) -> Tensor:
        supervision, lq_noise = self.options.supervision, self.options.lq_noise
        if supervision == 'unpaired' or (supervision == 'paired' and not self.options.lq_from_gt):
            if self.lq is None:
                raise UserError(
                    f'train.supervision: {supervision} needs LR images, and the batches of datasets.train have no '
                    "'lq'; write lq_from_gt: true to have them made from the HR images."
                )
            return self.lq
        clean = bicubic_downsample(self.gt, self.opt['scale']).clamp(0, 1)
        if supervision == 'paired':
            return clean
        degraded = self.net_deg(clean)
        if lq_noise > 0:
            degraded = degraded + lq_noise / 255 * self._white_noise(degraded, current_iter)
        return degraded.clamp(0, 1)  # as a stored image is

    def _white_noise(self, images: Tensor, current_iter: int) -> Tensor:
        """N(0, 1) of the shape of ``images``: a function of the seed, the iteration and the place in the batch of all
        processes, so that resumed and distributed runs draw the same."""
        # On the device, where the images are; a CPU and a GPU draw other numbers.
        generator = torch.Generator(images.device).manual_seed(
            zlib.crc32(f'{self.opt["manual_seed"]} lq_noise {current_iter}'.encode())
        )
        count, first = len(images), self.opt['rank'] * len(images)
        shape = (self.opt['world_size'] * count, *images.shape[1:])
        noise = torch.randn(shape, generator=generator, dtype=torch.float32, device=images.device)
        return noise[first : first + count].to(images.dtype)

    def _real_images(self, growth: Growth) -> Tensor:
        """HR images at the resolution of the level; while it fades in, blended like the network's output (ProGAN)."""
        shrink = self.opt['scale'] // 2**growth.level
        real = bicubic_downsample(self.gt, shrink).clamp(0, 1) if shrink > 1 else self.gt
        if growth.alpha < 1:
            coarse = nn.functional.avg_pool2d(real, 2)
            real = nn.functional.interpolate(coarse, scale_factor=2, mode='nearest').lerp(real, growth.alpha)
        return real

    def weights_to_save(self, label: str) -> dict[str, nn.Module]:
        nets = super().weights_to_save(label)
        if label == 'g' and self.options.ema_decay > 0:
            nets['params_ema'] = self.net_g_ema
        return nets

    def growth_of(self, label: str) -> tuple[int | None, float | None]:
        return self._growth if _can_grow(getattr(self, f'net_{label}')) else (None, None)

    def extra_state(self) -> dict[str, Any]:
        """Where training stands, for validation, and a checksum of the degradation network, which is not trained."""
        state: dict[str, Any] = {'growth': list(self._growth)}
        if self.options.supervision == 'pseudo':
            state.update(frozen_state('deg', self.net_deg))
        return state

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        if 'growth' in state:
            self._growth = Growth(*state['growth'])
        if self.options.supervision == 'pseudo':
            refuse_other_weights('deg', self.net_deg, state)

    # ----- validation -----

    def make_evaluation(self, data: dict[str, Any]) -> Evaluation:
        """Super-resolve at the level that training has reached; below the full scale, bicubic does the rest."""
        self.feed_data(data)
        net = getattr(self, 'net_g_ema', self.net_g)
        output = self._run('g', net, self.lq) if self._growth else net(self.lq)
        self._check_output(output, self.lq)
        full_size = [side * self.opt['scale'] for side in self.lq.shape[-2:]]
        if list(output.shape[-2:]) != full_size:
            output = bicubic_resize(output, tuple(full_size))
        return sr_evaluation(output, data)


def _can_grow(net: nn.Module) -> bool:
    return hasattr(net, 'active_modules')
