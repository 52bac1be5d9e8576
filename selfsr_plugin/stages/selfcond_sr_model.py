"""Stage 2: the progressive, self-conditioned GAN (section III-B)."""
import zlib
from collections import OrderedDict
from typing import Any, Dict, List, Mapping, Optional

import torch
from basicsr.archs import build_network
from basicsr.losses import build_loss
from basicsr.utils import get_root_logger, tensor2img
from basicsr.utils.registry import MODEL_REGISTRY
from torch import Tensor, nn

from ..ops import Growth, GrowthSchedule, bicubic_downsample, bicubic_resize, r1_penalty
from ..engine.plugin_model import PluginModel, digest, to_signed
from ..engine.validation import Evaluation


@MODEL_REGISTRY.register()
class SelfCondSRModel(PluginModel):
    """Trains ``network_g`` against ``network_d`` (optional) with one of three supervisions, growing as it goes.

    ``train.supervision`` says where the LR images come from and what the output is held against:

    - 'paired': batches have 'gt' and 'lq', or 'gt' alone, which is then shrunk with the bicubic kernel; Eq. 8.
    - 'unpaired': 'lq' shows other faces than 'gt'; Eq. 11, the output shrunk again against 'lq'.
    - 'pseudo': LR images are made from 'gt' by the frozen ``network_deg``; Eq. 8. The method of the paper.
      ``train.lq_noise`` (ours, 0 by default) adds white noise, its standard deviation in grey levels of 255: the
      degradation network has no random input and cannot imitate a sensor's, which the super-resolution network, having
      seen none, would sharpen.

    Objective (Eq. 10)::

        l_g_adv                 Eq. 7, generator side       train.gan_opt
        l_g_rec or l_g_cyc      Eq. 8 or Eq. 11             train.pixel_opt, images in [-1, 1]
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
    needs = 'lq'
    train_keys = PluginModel.train_keys | {
        'supervision', 'grow_at', 'fade_iter', 'optim_g', 'optim_d', 'pixel_opt', 'gan_opt', 'r1_reg_weight',
        'net_d_reg_every', 'ema_decay', 'lq_noise'
    }
    network_labels = frozenset({'g', 'd', 'deg'})

    def __init__(self, opt: Dict[str, Any], net_deg: Optional[nn.Module] = None) -> None:
        super().__init__(opt)
        self._growth: Optional[Growth] = None  # where training stands; validation looks at the same output
        self.trained = ('g', 'd') if self.is_train and 'network_d' in opt else ('g', )
        self.net_g = self.build_net('g')
        if self.is_train:
            self._init_training(net_deg)

    def _init_training(self, net_deg: Optional[nn.Module]) -> None:
        train_opt = self.opt['train']
        self.supervision = train_opt['supervision']
        self.lq_noise = train_opt.get('lq_noise', 0)
        self.net_d = self.build_net('d') if 'd' in self.trained else None
        if self.supervision == 'pseudo':
            self.net_deg = self.build_net('deg') if net_deg is None else net_deg
            self.net_deg.requires_grad_(False).eval()

        self.schedule = GrowthSchedule(self.opt['scale'].bit_length() - 1, tuple(train_opt.get('grow_at') or ()),
                                       train_opt.get('fade_iter', 0))
        self._check_growth()
        self._phase: Optional[tuple] = None

        self.ema_decay = train_opt.get('ema_decay', 0)
        if self.ema_decay > 0:
            self.net_g_ema = build_network(self.opt['network_g']).to(self.device)
            self.net_g_ema.load_state_dict(self.net_g.state_dict())
            self.net_g_ema.requires_grad_(False).eval()

        self.cri_pix = build_loss(train_opt['pixel_opt']).to(self.device)
        if self.net_d is not None:
            self.cri_gan = build_loss(train_opt['gan_opt']).to(self.device)
        self.r1_reg_weight = train_opt.get('r1_reg_weight', 0)
        self.net_d_reg_every = train_opt.get('net_d_reg_every', 1)
        self.setup_optimizers()
        self.setup_schedulers()

    def _check_growth(self) -> None:
        for label in self.trained:
            net = getattr(self, f'net_{label}')
            if self.schedule.grow_at and not _can_grow(net):
                raise ValueError(f'train.grow_at: network_{label} ({type(net).__name__}) has no levels and cannot '
                                 'grow; set grow_at: [].')
            if _can_grow(net) and net.num_level != self.schedule.num_level:
                raise ValueError(f'scale: {self.opt["scale"]} needs {self.schedule.num_level} levels, but network_'
                                 f'{label} has {net.num_level}; adapt its widths or num_level.')

    def feed_data(self, data: Dict[str, Any]) -> None:
        for key in ('gt', 'lq'):
            setattr(self, key, data[key].to(self.device, non_blocking=True) if key in data else None)

    # ----- training -----

    def optimize_parameters(self, current_iter: int) -> None:
        growth = self._growth = self.schedule.at(current_iter)
        self._enter_phase(growth)
        lq = self._training_input(current_iter)
        real = self._real_images(growth)

        log: Dict[str, Any] = OrderedDict()
        fake = self._step_generator(lq, real, growth, log)
        if self.net_d is not None:
            self._step_discriminator(fake.detach(), real, growth, current_iter, log)
        if self.ema_decay > 0:
            self.model_ema(self.ema_decay)

        log['level'], log['alpha'] = growth
        self.log_dict = {**self.log_dict, **log}  # a lazily computed R1 keeps its last value

    def _enter_phase(self, growth: Growth) -> None:
        """Train exactly the parameters that this level uses.

        DistributedDataParallel fixes its parameters when it is made, so the networks are wrapped again; unfreezing
        alone would silently let the processes drift apart.
        """
        phase = (growth.level, growth.alpha < 1)
        if phase == self._phase:
            return
        self._phase = phase
        self.active: Dict[str, List[nn.Parameter]] = {}
        for label in self.trained:
            net = getattr(self, f'net_{label}')
            if _can_grow(net):
                net.requires_grad_(False)
                for module in net.active_modules(*phase):
                    module.requires_grad_(True)
            else:
                net.requires_grad_(True)
            net.train()
            self.active[label] = [parameter for parameter in net.parameters() if parameter.requires_grad]
            setattr(self, f'train_{label}', self.distribute(net))
        get_root_logger().info(f'Training at level {growth.level} (x{2 ** growth.level})'
                               f'{", fading in" if phase[1] else ""}.')

    @torch.no_grad()
    def _training_input(self, current_iter: int) -> Tensor:
        if self.supervision == 'unpaired' or (self.supervision == 'paired' and self.lq is not None):
            return self.lq
        clean = bicubic_downsample(self.gt, self.opt['scale']).clamp(0, 1)
        if self.supervision == 'paired':
            return clean
        degraded = self.net_deg(clean)
        if self.lq_noise == 0:
            return degraded
        return (degraded + self.lq_noise / 255 * self._white_noise(degraded, current_iter)).clamp(0, 1)

    def _white_noise(self, images: Tensor, current_iter: int) -> Tensor:
        """N(0, 1) of the shape of ``images``: a function of the seed, the iteration and the place in the batch of all
        processes, so that resumed and distributed runs draw the same."""
        generator = torch.Generator().manual_seed(zlib.crc32(f'{self.opt["manual_seed"]} lq_noise {current_iter}'.encode()))
        count, first = len(images), self.opt['rank'] * len(images)
        noise = torch.randn(self.opt['world_size'] * count, *images.shape[1:], generator=generator, dtype=torch.float32)
        return noise[first:first + count].to(images)

    @torch.no_grad()
    def _real_images(self, growth: Growth) -> Tensor:
        """HR images at the resolution of the level; while it fades in, blended like the network's output (ProGAN)."""
        shrink = self.opt['scale'] // 2**growth.level
        real = bicubic_downsample(self.gt, shrink).clamp(0, 1) if shrink > 1 else self.gt
        if growth.alpha < 1:
            coarse = nn.functional.avg_pool2d(real, 2)
            real = nn.functional.interpolate(coarse, scale_factor=2, mode='nearest').lerp(real, growth.alpha)
        return real

    def _step_generator(self, lq: Tensor, real: Tensor, growth: Growth, log: Dict[str, Any]) -> Tensor:
        if self.net_d is not None:
            self.net_d.requires_grad_(False)
        self.optimizer_g.zero_grad(set_to_none=True)
        fake = _run(self.train_g, lq, growth)
        if self.supervision == 'unpaired':
            back = bicubic_downsample(fake, 2**growth.level)
            total = log['l_g_cyc'] = self.cri_pix(to_signed(back), to_signed(lq))
        else:
            total = log['l_g_rec'] = self.cri_pix(to_signed(fake), to_signed(real))
        if self.net_d is not None:
            # Through the bare, frozen discriminator: its gradients are not wanted and must not be exchanged.
            log['l_g_adv'] = self.cri_gan(_run(self.net_d, fake, growth), True, is_disc=False)
            total = total + log['l_g_adv']
        self.step(['g'], log, total)
        return fake

    def _step_discriminator(self, fake: Tensor, real: Tensor, growth: Growth, current_iter: int,
                            log: Dict[str, Any]) -> None:
        for parameter in self.active['d']:
            parameter.requires_grad_(True)
        self.optimizer_d.zero_grad(set_to_none=True)
        regularize = self.r1_reg_weight > 0 and current_iter % self.net_d_reg_every == 0
        signed = to_signed(real).requires_grad_(regularize)  # Eq. 9 is stated for images in [-1, 1]
        prediction = _run(self.train_d, (signed + 1) / 2, growth)
        terms = OrderedDict()
        terms['l_d_real'] = self.cri_gan(prediction, True, is_disc=True)
        terms['l_d_fake'] = self.cri_gan(_run(self.train_d, fake, growth), False, is_disc=True)
        total = terms['l_d_real'] + terms['l_d_fake']
        if regularize:
            terms['l_d_r1'] = self.r1_reg_weight / 2 * r1_penalty(prediction, signed)
            total = total + self.net_d_reg_every * terms['l_d_r1']  # iterations without it are made up for
        self.step(['d'], terms, total)
        log.update(terms)

    def weights_to_save(self, label: str) -> Dict[str, nn.Module]:
        nets = super().weights_to_save(label)
        if label == 'g' and self.ema_decay > 0:
            nets['params_ema'] = self.net_g_ema
        return nets

    def extra_state(self) -> Dict[str, Any]:
        """Where training stands, for validation, and a checksum of the degradation network, which is not trained."""
        state: Dict[str, Any] = {'growth': list(self._growth)}
        if self.supervision == 'pseudo':
            state['net_deg'] = digest(self.net_deg)
        return state

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        if 'growth' in state:
            self._growth = Growth(*state['growth'])
        if self.supervision == 'pseudo' and state.get('net_deg', digest(self.net_deg)) != digest(self.net_deg):
            raise ValueError('path.pretrain_network_deg: these are not the weights that this run was trained with so far; '
                             'give those, or start a new run under another name.')

    # ----- validation -----

    @torch.no_grad()
    def evaluate(self, data: Dict[str, Any]) -> Evaluation:
        """Super-resolve at the level that training has reached; below the full scale, bicubic does the rest."""
        self.feed_data(data)
        net = getattr(self, 'net_g_ema', self.net_g)
        net.eval()
        output = _run(net, self.lq, self._growth) if self._growth else net(self.lq)
        net.train(self.is_train and net is self.net_g)
        full_size = [side * self.opt['scale'] for side in self.lq.shape[-2:]]
        if list(output.shape[-2:]) != full_size:
            output = bicubic_resize(output, tuple(full_size))
        image = tensor2img(output)
        metric_data = {'img': image}
        if self.gt is not None:
            metric_data['img2'] = tensor2img(self.gt)
        return Evaluation(image, metric_data, {})


def _can_grow(net: nn.Module) -> bool:
    return hasattr(net, 'active_modules')


def _run(net: nn.Module, images: Tensor, growth: Growth) -> Tensor:
    bare = net.module if isinstance(net, nn.parallel.DistributedDataParallel) else net
    return net(images, level=growth.level, alpha=growth.alpha) if _can_grow(bare) else net(images)
