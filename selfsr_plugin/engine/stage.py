"""The base of the models: a stage on BasicSR's terms, with the work of each update left to the engine."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from os import path as osp
from pathlib import Path
from typing import Any, ClassVar

import torch
from basicsr.utils import get_root_logger
from torch import Tensor, nn

from ..errors import UserError
from ..schema import parse
from . import checkpoint
from .checkpoint import weights_path
from .lr_scheduler import LinearDecayLR
from .networks import build_network, load_weights
from .stage_options import StageOptions
from .update import Batch, Update, Updater
from .validation import ValidatedModel


class Stage(ValidatedModel):
    """Base of the models.

    A subclass names its networks, builds them with :meth:`build_net`, and says what an update computes::

        trained                       labels of the networks that learn: 'g' is network_g, optim_g and net_g_*.pth
        prepare(iteration)            the batch, from what feed_data has put into place
        updates(iteration)            which networks learn from which loss, in order
        make_evaluation(data)         validation of one image
        extra_state, load_extra_state what else a resumed run needs

    Everything that is done around that, in every stage alike, is in :class:`Updater` and here. A loss term is added
    in one place: in the function that returns the loss, or in a subclass (docs/extending.md).
    """

    trained: ClassVar[tuple[str, ...]] = ()
    options_class: ClassVar[type[StageOptions]] = StageOptions  # what the section 'train' of an option file may hold

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        self.log_dict: dict[str, Any] = OrderedDict()
        self.iterations_before = 0  # those of an earlier stage of the run, for messages
        if self.is_train:
            warn_of_other_loop(opt)
            self.options = parse(self.options_class, opt['train'], 'train')
        # File names in 'models', beside the networks of its own iteration, without which a state is of no use.
        self.needed_weights: set[str] = set()

    # ----- networks -----

    def build_net(self, label: str) -> nn.Module:
        """:func:`build_network` of this run, said in the log."""
        net = build_network(self.opt, label, self.device)
        self.print_network(net)
        return net

    # ----- optimizers -----

    def start_training(self) -> None:
        """Make the optimizers and schedulers of the networks in ``trained``, and the updater."""
        for label in self.trained:
            # Over all parameters: those of levels that are not reached yet have no gradient and so no state, and
            # growing needs no surgery.
            optimizer = make_optimizer(
                getattr(self.options, f'optim_{label}'), getattr(self, f'net_{label}').parameters()
            )
            setattr(self, f'optimizer_{label}', optimizer)
            self.optimizers.append(optimizer)
        self.schedulers = [self._scheduler(optimizer) for optimizer in self.optimizers if self.options.scheduler]
        self.updater = Updater(
            {label: getattr(self, f'net_{label}') for label in self.trained},
            {label: getattr(self, f'optimizer_{label}') for label in self.trained},
            self.device,
            self.opt['dist'],
            self.options.accum_iter,
            self.options.nonfinite,
            self.options.precision,
            self.compilable() if self.options.compile else (),
            self.options.channels_last,
            self.options.cuda_graphs,
        )

    def _scheduler(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        settings = dict(self.options.scheduler)
        kind = settings.pop('type')
        if kind == 'LinearDecayLR':
            return LinearDecayLR(optimizer, self.options.total_iter, settings['decay_from'])
        return self.options.scheduler.target(kind)(optimizer, **settings)

    # ----- an iteration -----

    def feed_data(self, data: dict[str, Any]) -> None:
        """Take a batch of a loader: its tensors become ``self.data``, on the device."""
        self.data = {
            key: value.to(self.device, non_blocking=True) for key, value in data.items() if torch.is_tensor(value)
        }

    def prepare(self, current_iter: int) -> Batch:
        """The batch of an iteration, from what ``feed_data`` was given; without gradients."""
        raise NotImplementedError(f'{type(self).__name__} does not say what its updates are given.')

    def updates(self, current_iter: int) -> Sequence[Update]:
        """The updates of an iteration, in order."""
        raise NotImplementedError(f'{type(self).__name__} does not say what its networks learn from.')

    @property
    def gan_type(self) -> str | None:
        """The kind of BasicSR's GANLoss that the discriminators learn by; None without one."""
        gan_opt = getattr(self.options, 'gan_opt', None)
        return gan_opt['gan_type'] if gan_opt else None

    def compilable(self) -> Sequence[str]:
        """Labels of the networks that ``compile: true`` compiles.

        Not one that R1 is taken of where several processes train: DistributedDataParallel holds one form of a network,
        and R1 needs the one that is not compiled.
        """
        return ()

    def averages(self) -> Sequence[tuple[nn.Module, nn.Module, float]]:
        """Moving averages to keep: (average, network, decay)."""
        return ()

    def optimize_parameters(self, current_iter: int) -> None:
        """One iteration: every update in turn, then the moving averages."""
        batch = self._begin(current_iter)
        terms: dict[str, Any] = OrderedDict()
        logged: dict[str, Any] = OrderedDict()
        for update in self.updates(current_iter):
            loss = self.updater.run(update, batch, self.iterations_before + current_iter)
            batch.update(loss.made)
            terms.update(loss.terms)
            logged.update(loss.logged)
        for average, net, decay in self.averages():
            move_average(average, net, decay)
        self.log_dict = {
            **self.log_dict,
            **terms,
            **logged,
        }  # a term that is not computed each time keeps its last value

    def _begin(self, current_iter: int) -> Batch:
        with torch.no_grad():
            return self.prepare(current_iter)

    def rehearse(self, current_iter: int, data: dict[str, Any]) -> None:
        """Compute what an iteration computes and leave everything as it was: a lack of memory, or options that cannot
        be computed, show at once and not when the run gets there.

        Args:
            current_iter: the iteration.
            data: a batch as ``feed_data`` takes it.
        """
        before = deepcopy(self.extra_state()), self.log_dict
        buffers = {
            buffer: buffer.clone() for label in self.trained for buffer in getattr(self, f'net_{label}').buffers()
        }
        try:
            with torch.random.fork_rng():
                self.feed_data(data)
                batch = self._begin(current_iter)
                for update in self.updates(current_iter):
                    batch.update(self.updater.rehearse(update, batch).made)
        finally:
            for optimizer in self.optimizers:
                optimizer.zero_grad(set_to_none=True)
            for buffer, value in buffers.items():
                buffer.copy_(value)
            extra_state, self.log_dict = before
            self.load_extra_state(extra_state)

    def update_learning_rate(self, current_iter: int, warmup_iter: int | None = None) -> None:
        """The rates of an iteration: the schedule's, and before iteration ``train.warmup_iter`` a rising share of them.

        BasicSR writes the lowered rates where its schedulers look for the rates to go on from; here the scheduled rates
        are kept beside them, in the optimizer and so in checkpoints. ``warmup_iter`` is what BasicSR's loop hands over;
        a stage looks into its own options, which may be those of one of two stages.
        """
        warmup_iter = self.options.warmup_iter
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for group in groups:
            group['lr'] = group.pop('scheduled_lr', group['lr'])
        if current_iter > 1:
            for scheduler in self.schedulers:
                scheduler.step()
        if current_iter < warmup_iter:
            for group in groups:
                group['scheduled_lr'] = group['lr']
                group['lr'] = group['lr'] * current_iter / warmup_iter

    # ----- saving and resuming -----

    def weights_to_save(self, label: str) -> dict[str, nn.Module]:
        """The networks that go into ``net_<label>_*.pth``, by BasicSR's keys 'params' and 'params_ema'."""
        return {'params': getattr(self, f'net_{label}')}

    def extra_state(self) -> dict[str, Any]:
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
            NonFiniteError: see :meth:`Updater.check`; nothing is saved.
        """
        self.updater.check()
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
            'updater': self.updater.state_dict(),
            'run_options': self.opt.get('run_options'),
            'training_images': self.opt.get('training_images'),
            'weights': sorted(
                {osp.basename(weights_path(self.opt, label, current_iter)) for label in self.trained}
                | self.needed_weights
            ),
        }
        checkpoint.save_checkpoint(state, state_file)

    def save_weights(self, label: str, nets: Mapping[str, nn.Module], current_iter: int) -> None:
        """Write the file of one network: ``nets`` by the keys of the file, 'params' and perhaps 'params_ema'."""
        checkpoint.save_networks(weights_path(self.opt, label, current_iter), nets, *self.growth_of(label))

    def growth_of(self, label: str) -> tuple[int | None, float | None]:
        """Level and alpha of a network that grows, for its file."""
        return None, None

    def resume_training(self, resume_state: dict[str, Any]) -> None:
        """Load the networks, optimizers and schedulers of a saved training state.

        Raises:
            FileNotFoundError, ValueError: networks are missing or broken, or the state is not of such a run.
        """
        read = resume_state.pop('networks', {})  # not kept: they would fill the memory for the rest of the run
        for label in self.trained:
            path = weights_path(self.opt, label, resume_state['iter'])
            content = read.get(osp.basename(path)) or checkpoint.load_checkpoint(path)
            for key, net in self.weights_to_save(label).items():
                load_weights(net, path, True, key, content)
        for optimizer, state in zip(self.optimizers, resume_state['optimizers']):
            for group, saved in zip(optimizer.param_groups, state['param_groups']):
                saved.update({key: group[key] for key in _IMPLEMENTATIONS if key in group})
        try:
            super().resume_training(resume_state)
        except ValueError as error:
            raise UserError(
                f'the training state of iteration {resume_state["iter"]} is of networks with other parameters, '
                'those of another version of this package: start a new run from its weights with '
                f'path.pretrain_network_*. ({error})'
            ) from error
        for optimizer in self.optimizers:
            lay_out_as_parameters(optimizer)
        if resume_state.get('best_metric_results'):
            self.best_metric_results = resume_state['best_metric_results']
        self.load_extra_state(resume_state.get('extra', {}))
        self.updater.load_state_dict(resume_state.get('updater', {}))

    def check_processes_agree(self) -> None:
        """Compare the parameters of all processes, bit for bit; buffers are those of process 0.

        Raises:
            UserError: in every process, naming those that differ.
        """
        if not self.opt['dist']:
            return
        digests = [None] * self.opt['world_size']
        nets = [net for label in self.trained for net in self.weights_to_save(label).values()]
        torch.distributed.all_gather_object(digests, [digest(dict(net.named_parameters())) for net in nets])
        odd = [rank for rank, each in enumerate(digests) if each != digests[0]]
        if odd:
            raise UserError(
                f'the weights of processes {odd} are not those of process 0: what came after the last '
                'checkpoint cannot be trusted and is not saved; resume with --auto_resume.'
            )

    # ----- logging -----

    def get_current_log(self) -> dict[str, float]:
        """The last losses, averaged over the processes. Reading them waits for the device.

        Raises:
            NonFiniteError: see :meth:`Updater.check`.
        """
        self.updater.check()
        losses = OrderedDict((k, v.detach()) for k, v in self.log_dict.items() if torch.is_tensor(v))
        log = OrderedDict(self.reduce_loss_dict(losses)) if losses else OrderedDict()
        log.update((k, v) for k, v in self.log_dict.items() if not torch.is_tensor(v))
        if self.updater.skipped_steps:
            log['skipped_steps'] = self.updater.skipped_steps
        return log


# Arguments of torch's optimizers that choose how a step is computed, not what; a resumed run has its own.
_IMPLEMENTATIONS = ('fused', 'foreach', 'capturable', 'differentiable')


def make_optimizer(settings: Mapping[str, Any], parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """An optimizer of torch from a section with its ``type`` and arguments.

    Adam and AdamW are fused unless the section chooses otherwise: one pass over the memory, and a step that is to be
    left out is left out on the device (:class:`Updater`). torch has fused others too: SGD's starts its momentum with
    what the memory holds when its first step is left out.
    """
    arguments = {name: value for name, value in settings.items() if name != 'type'}
    if settings['type'] in ('Adam', 'AdamW') and not any(arguments.get(name) for name in _IMPLEMENTATIONS):
        arguments['fused'] = True
    return getattr(torch.optim, settings['type'])(parameters, **arguments)


def lay_out_as_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Averages of an optimizer that was saved with the channels elsewhere (channels_last): fused steps count on it."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if torch.is_tensor(value) and value.shape == parameter.shape and value.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)


def warn_of_other_loop(opt: dict[str, Any]) -> None:
    """Say in the log, once for these options, that a model is not trained by this package's loop.

    That loop names ``run_options``.
    """
    if 'run_options' in opt:
        return
    opt['run_options'] = None
    get_root_logger().warning(
        f'{opt["model_type"]} is not trained by the loop of selfsr_plugin: options are not checked, a resumed run is '
        'not exact, and Ctrl-C loses what came after the last checkpoint; start the run with python -m '
        "selfsr_plugin.train -opt FILE, or from a script by selfsr_plugin.train's main()."
    )


def move_average(average: nn.Module, net: nn.Module, decay: float) -> None:
    """``average = decay * average + (1 - decay) * net`` for parameters; buffers are copied."""
    parameters, buffers = dict(net.named_parameters()), dict(net.named_buffers())
    with torch.no_grad():
        averages = dict(average.named_parameters())
        torch._foreach_mul_(list(averages.values()), decay)
        torch._foreach_add_(list(averages.values()), [parameters[name] for name in averages], alpha=1 - decay)
        for name, value in average.named_buffers():
            value.copy_(buffers[name])


def digest(tensors: Mapping[str, Tensor]) -> str:
    """A checksum of tensors and their names: equal for equal bits only."""
    found = hashlib.blake2b(digest_size=16)
    for name, value in tensors.items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def to_signed(images: Tensor) -> Tensor:
    """From [0, 1] to [-1, 1], the range in which the losses and their weights are stated."""
    return images * 2 - 1


def frozen_state(label: str, net: nn.Module) -> dict[str, str]:
    """What a checkpoint holds of network_<label>, which helps to train and does not learn: which weights it has."""
    return {f'net_{label}': digest(net.state_dict())}


def refuse_other_weights(label: str, net: nn.Module, state: Mapping[str, Any]) -> None:
    """Raise UserError where a run was trained with other weights of network_<label>, as far as its checkpoint says."""
    if state.get(f'net_{label}', digest(net.state_dict())) != digest(net.state_dict()):
        raise UserError(
            f'path.pretrain_network_{label}: these are not the weights that this run was trained with so far; give '
            'those, or start a new run under another name.'
        )
