"""What the models of this package share: building, stepping, saving, resuming and logging on BasicSR's terms."""
import hashlib
import inspect
import zlib
from collections import OrderedDict
from os import path as osp
from pathlib import Path
from typing import Any, ClassVar, Dict, FrozenSet, Mapping, Sequence, Set, Tuple, Type

import torch
from basicsr.archs import build_network
from basicsr.utils import get_root_logger
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import UserError
from .checkpoint import load_checkpoint, save_checkpoint
from .lr_scheduler import LinearDecayLR
from .stage_options import StageOptions
from .validation import ValidatedModel

# Our buffers never change. torch has renamed the option and warns about the old name.
_SYNC_BUFFERS = next(name for name in ('forward_sync_buffers', 'broadcast_buffers')
                     if name in inspect.signature(DistributedDataParallel).parameters)
MAX_SKIPPED_IN_A_ROW = 100  # ours: after so many skipped steps the weights are beyond help


class NonFiniteError(UserError):
    """A loss or a gradient is NaN or infinite; the message names it."""


class PluginModel(ValidatedModel):
    """Base of the models.

    A subclass lists the networks it trains, builds them with :meth:`build_net`, and implements ``feed_data``,
    ``optimize_parameters`` and ``evaluate``. Networks are kept bare; where gradients of several processes must be
    averaged, the subclass runs them through :meth:`distribute`.
    """
    trained: ClassVar[Tuple[str, ...]] = ()  # labels: 'g' is network_g, optim_g and net_g_*.pth
    options_class: ClassVar[Type[StageOptions]] = StageOptions  # what the section 'train' of an option file may hold
    # For the check of option files: what the section 'train' may hold, and which network_* there may be.
    train_keys: ClassVar[FrozenSet[str]] = frozenset({'total_iter', 'warmup_iter', 'scheduler', 'nonfinite'})
    network_labels: ClassVar[FrozenSet[str]] = frozenset()

    def __init__(self, opt: Dict[str, Any]) -> None:
        super().__init__(opt)
        self.log_dict: Dict[str, Any] = OrderedDict()
        # File names in 'models', beside the networks of its own iteration, without which a state is of no use.
        self.needed_weights: Set[str] = set()
        self.skipped_steps = 0  # since the start or resumption of this process
        self._skipped_in_a_row: Dict[str, int] = {}

    # ----- networks -----

    def build_net(self, label: str) -> nn.Module:
        """Build ``network_<label>``, load ``path.pretrain_network_<label>`` if given, and put it on the device.

        The initial weights are a function of ``manual_seed`` and the label alone: every process has the same, and a
        network that is built late (stage 2 of SelFSRModel) does not depend on what ran before.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(zlib.crc32(f'{self.opt.get("manual_seed", 0)} {label}'.encode()))
            net = build_network(self.opt[f'network_{label}'])
        path_opt = self.opt['path']
        load_path = path_opt.get(f'pretrain_network_{label}')
        if load_path is not None:
            self.load_network(net, load_path, path_opt.get(f'strict_load_{label}', True),
                              path_opt.get(f'param_key_{label}', 'params'))
        net.to(self.device)
        self.print_network(net)
        return net

    def distribute(self, net: nn.Module) -> nn.Module:
        """The network to run a training step through: averages gradients over the processes if there are several."""
        if not self.opt['dist']:
            return net
        devices = [self.device.index if self.device.index is not None else torch.cuda.current_device()
                   ] if self.device.type == 'cuda' else None
        return DistributedDataParallel(net, device_ids=devices, **{_SYNC_BUFFERS: False})

    def load_network(self, net: nn.Module, load_path: str, strict: bool = True, param_key: str = 'params') -> None:
        """Load weights saved by BasicSR or by us.

        Raises:
            FileNotFoundError, ValueError: naming the file, when it is missing, broken, or of another network.
        """
        content = load_checkpoint(load_path)
        if param_key is not None and not (isinstance(content, Mapping) and param_key in content):
            if not (isinstance(content, Mapping) and 'params' in content):
                raise ValueError(f"{load_path} has no weights under the key '{param_key}'.")
            get_root_logger().info(f"{load_path} has no '{param_key}'; its 'params' are loaded.")
            param_key = 'params'
        weights = content if param_key is None else content[param_key]
        if not isinstance(weights, Mapping):
            raise ValueError(f"{load_path} holds no weights{'' if param_key is None else f' under {param_key!r}'}.")
        weights = {key.removeprefix('module.'): value for key, value in weights.items()}
        for name in getattr(net, 'constant_buffers', ()):
            saved, built = weights.get(name), getattr(net, name)
            if saved is not None and not torch.equal(saved.cpu(), built.cpu()):
                raise ValueError(f'{load_path} was trained with {name}: {saved.item()}, and the option file describes a '
                                 f'{type(net).__name__} with {name}: {built.item()}; make the two equal.')
        self._print_different_keys_loading(net, weights, strict)
        try:
            net.load_state_dict(weights, strict=strict)
        except RuntimeError as error:
            raise ValueError(f'{load_path} does not fit {type(net).__name__} as the option file describes it: '
                             f'{" ".join(str(error).split())[:600]}') from error
        get_root_logger().info(f'Loaded {type(net).__name__} from {load_path}, key {param_key}.')

    # ----- optimizers -----

    def setup_optimizers(self) -> None:
        """One optimizer for each trained network, over all of its parameters.

        Parameters of levels that are not reached yet have no gradient and so no state: growing needs no surgery.
        """
        for label in self.trained:
            settings = dict(self.opt['train'][f'optim_{label}'])
            net = getattr(self, f'net_{label}')
            optimizer = self.get_optimizer(settings.pop('type'), net.parameters(), **settings)
            setattr(self, f'optimizer_{label}', optimizer)
            self.optimizers.append(optimizer)

    def step(self, labels: Sequence[str], terms: Mapping[str, Tensor], total: Tensor) -> bool:
        """Backward, and a step of each ``optimizer_<label>`` unless something is NaN or infinite.

        Checked are the loss terms and the gradient, over all processes and before the weights change. ``train.nonfinite``
        says what follows: 'stop' (default) or 'skip' this step, which is counted.

        Args:
            labels: of the networks that learn from ``total``.
            terms: scalars by the names that the log uses.
            total: their weighted sum.

        Returns:
            Whether the step was taken.

        Raises:
            NonFiniteError: with the term; or too many skipped steps in a row.
        """
        total.backward()
        values = {name: value.detach() for name, value in terms.items()}
        for label in labels:
            gradients = [each.grad for each in getattr(self, f'net_{label}').parameters() if each.grad is not None]
            values[f'gradient of network_{label}'] = torch.nn.utils.get_total_norm(gradients, float('inf'))
        finite = torch.stack([value.to(self.device) for value in values.values()]).isfinite()
        fine = finite.all().int()
        if self.opt['dist']:  # alike in all processes, or they would part
            torch.distributed.all_reduce(fine, torch.distributed.ReduceOp.MIN)
        if fine.item():
            for label in labels:
                getattr(self, f'optimizer_{label}').step()
            self._skipped_in_a_row[labels[0]] = 0
            return True
        bad = [f'{name} is {value.item()}' for (name, value), good in zip(values.items(), finite) if not good]
        found = f'{bad[0] if bad else "a loss of another process is not finite"}'
        if self.opt['train'].get('nonfinite', 'stop') == 'stop':
            raise NonFiniteError(found)
        self.skipped_steps += 1
        self._skipped_in_a_row[labels[0]] = self._skipped_in_a_row.get(labels[0], 0) + 1
        get_root_logger().warning(f'{found}: this step of network_{" and network_".join(labels)} is skipped, '
                                  f'{self.skipped_steps} so far.')
        if self._skipped_in_a_row[labels[0]] >= MAX_SKIPPED_IN_A_ROW:
            raise NonFiniteError(f'{found}, as in the {MAX_SKIPPED_IN_A_ROW} steps before')
        return False

    def setup_schedulers(self) -> None:
        """BasicSR's schedulers, and LinearDecayLR; without ``train.scheduler`` the rate stays constant."""
        settings = self.opt['train'].get('scheduler')
        if settings is None:
            return
        if settings['type'] != 'LinearDecayLR':
            self.opt['train']['scheduler'] = dict(settings)  # BasicSR takes the type out of it
            return super().setup_schedulers()
        for optimizer in self.optimizers:
            self.schedulers.append(
                LinearDecayLR(optimizer, self.opt['train']['total_iter'], settings['decay_from']))

    # ----- saving and resuming -----

    def weights_to_save(self, label: str) -> Dict[str, nn.Module]:
        """The networks that go into ``net_<label>_*.pth``, by BasicSR's keys 'params' and 'params_ema'."""
        return {'params': getattr(self, f'net_{label}')}

    def extra_state(self) -> Dict[str, Any]:
        """What else a subclass needs to go on exactly: tensors and plain values, the same in every process."""
        return {}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`extra_state` gave.

        Raises:
            ValueError: it does not fit this run.
        """

    def save(self, epoch: int, current_iter: int) -> None:
        """Save networks, then the training state, so that a state on disk always has its networks.

        ``current_iter`` -1 means the end of training: networks only, named 'latest'. Only process 0 writes.

        Raises:
            OSError: naming the file that cannot be written.
        """
        if self.opt['rank'] != 0:
            return
        state_file = Path(self.opt['path']['training_states']) / f'{current_iter}.state'
        state_file.unlink(missing_ok=True)  # else a kill in here could leave it with networks that are not its own
        for label in self.trained:
            self.save_weights(label, self.weights_to_save(label), current_iter)
        if current_iter == -1:
            return
        state = {
            'epoch': epoch,
            'iter': current_iter,
            'optimizers': [optimizer.state_dict() for optimizer in self.optimizers],
            'schedulers': [scheduler.state_dict() for scheduler in self.schedulers],
            'best_metric_results': getattr(self, 'best_metric_results', {}),
            'extra': self.extra_state(),
            'run_options': self.opt.get('run_options'),
            'weights': sorted({osp.basename(weights_path(self.opt, label, current_iter)) for label in self.trained}
                              | self.needed_weights),
        }
        save_checkpoint(state, state_file)

    def check_processes_agree(self) -> None:
        """Compare the weights of all processes, bit for bit.

        Raises:
            UserError: in every process, naming those that differ.
        """
        if not self.opt['dist']:
            return
        digests = [None] * self.opt['world_size']
        nets = [net for label in self.trained for net in self.weights_to_save(label).values()]
        torch.distributed.all_gather_object(digests, [digest(net) for net in nets])
        odd = [rank for rank, each in enumerate(digests) if each != digests[0]]
        if odd:
            raise UserError(f'the weights of processes {odd} are not those of process 0: what came after the last '
                            'checkpoint cannot be trusted and is not saved; resume with --auto_resume.')

    def save_weights(self, label: str, nets: Mapping[str, nn.Module], current_iter: int) -> None:
        content = {key: {name: value.cpu() for name, value in net.state_dict().items()} for key, net in nets.items()}
        save_checkpoint(content, weights_path(self.opt, label, current_iter))

    def resume_training(self, resume_state: Dict[str, Any]) -> None:
        """Load the networks, optimizers and schedulers of a saved training state.

        Raises:
            FileNotFoundError, ValueError: networks are missing or broken, or the state is not of such a run.
        """
        for label in self.trained:
            for key, net in self.weights_to_save(label).items():
                self.load_network(net, weights_path(self.opt, label, resume_state['iter']), param_key=key)
        super().resume_training(resume_state)
        if resume_state.get('best_metric_results'):
            self.best_metric_results = resume_state['best_metric_results']
        self.load_extra_state(resume_state.get('extra', {}))

    # ----- logging -----

    def get_current_log(self) -> Dict[str, float]:
        """The last losses, averaged over the processes. Read only when printed: reading stalls a GPU."""
        losses = OrderedDict((k, v.detach()) for k, v in self.log_dict.items() if torch.is_tensor(v))
        log = OrderedDict(self.reduce_loss_dict(losses)) if losses else OrderedDict()
        log.update((k, v) for k, v in self.log_dict.items() if not torch.is_tensor(v))
        if self.skipped_steps:
            log['skipped_steps'] = self.skipped_steps
        return log


def weights_path(opt: Mapping[str, Any], label: str, current_iter: int) -> str:
    """BasicSR's name for the weights of one network at one iteration; -1 is 'latest'."""
    return osp.join(opt['path']['models'], f'net_{label}_{"latest" if current_iter == -1 else current_iter}.pth')


def digest(net: nn.Module) -> str:
    """A checksum of all weights and buffers: equal for equal bits only."""
    found = hashlib.blake2b(digest_size=16)
    for name, value in net.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def to_signed(images: Tensor) -> Tensor:
    """From [0, 1] to [-1, 1], the range in which the losses and their weights are stated."""
    return images * 2 - 1
