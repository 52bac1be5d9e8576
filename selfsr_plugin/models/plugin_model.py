"""What the models of this package share: building, saving, resuming, logging and validating on BasicSR's terms."""
import zlib
from collections import OrderedDict
from copy import deepcopy
from os import path as osp
from typing import Any, ClassVar, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np
import torch
from basicsr.archs import build_network
from basicsr.metrics import calculate_metric
from basicsr.models.base_model import BaseModel
from basicsr.utils import get_root_logger, imwrite
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import default_collate
from tqdm import tqdm

from .checkpoint import load_checkpoint, save_checkpoint
from .lr_scheduler import LinearDecayLR


class Evaluation(NamedTuple):
    """One validated image: what is drawn, what BasicSR's metrics see, and figures the model has itself.

    ``image`` is (H, W, 3) uint8 BGR; ``metric_data`` has BasicSR's keys 'img' and 'img2', or is None without ground
    truth; ``values`` are averaged over the data set and logged.
    """
    image: np.ndarray
    metric_data: Optional[Dict[str, np.ndarray]]
    values: Dict[str, float]


class PluginModel(BaseModel):
    """Base of the models.

    A subclass lists the networks it trains, builds them with :meth:`build_net`, and implements ``feed_data``,
    ``optimize_parameters`` and :meth:`evaluate`. Networks are kept bare; where gradients of several processes must be
    averaged, the subclass runs them through :meth:`distribute`.
    """
    trained: ClassVar[Tuple[str, ...]] = ()  # labels: 'g' is network_g, optim_g and net_g_*.pth
    needs: ClassVar[str] = 'gt'  # what a validation sample must have
    # For the check of option files: what the section 'train' may hold, and which network_* there may be.
    train_keys: ClassVar[FrozenSet[str]] = frozenset({'total_iter', 'warmup_iter', 'scheduler'})
    network_labels: ClassVar[FrozenSet[str]] = frozenset()

    def __init__(self, opt: Dict[str, Any]) -> None:
        super().__init__(opt)
        self.log_dict: Dict[str, Any] = OrderedDict()

    # ----- networks -----

    def build_net(self, label: str) -> nn.Module:
        """Build ``network_<label>``, load ``path.pretrain_network_<label>`` if given, and put it on the device.

        The initial weights are a function of ``manual_seed`` and the label alone: every process has the same, and a
        network that is built late (stage 2 of SelfSRModel) does not depend on what ran before.
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
        return DistributedDataParallel(net, device_ids=devices, broadcast_buffers=False)

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

    def save(self, epoch: int, current_iter: int) -> None:
        """Save networks, then the training state, so that a state on disk always has its networks.

        ``current_iter`` -1 means the end of training: networks only, named 'latest'.
        """
        if self.opt['rank'] != 0:
            return
        for label in self.trained:
            self.save_weights(label, self.weights_to_save(label), current_iter)
        if current_iter != -1:
            state = {
                'epoch': epoch,
                'iter': current_iter,
                'optimizers': [optimizer.state_dict() for optimizer in self.optimizers],
                'schedulers': [scheduler.state_dict() for scheduler in self.schedulers],
                'extra': self.extra_state(),
            }
            save_checkpoint(state, osp.join(self.opt['path']['training_states'], f'{current_iter}.state'))

    def save_weights(self, label: str, nets: Mapping[str, nn.Module], current_iter: int) -> None:
        content = {key: {name: value.cpu() for name, value in net.state_dict().items()} for key, net in nets.items()}
        save_checkpoint(content, weights_path(self.opt, label, current_iter))

    def extra_state(self) -> Dict[str, Any]:
        """What else a subclass needs to go on exactly: tensors and plain values, the same in every process."""
        return {}

    def load_extra_state(self, state: Dict[str, Any]) -> None:
        """Take back what :meth:`extra_state` gave."""

    def resume_training(self, resume_state: Dict[str, Any]) -> None:
        """Load the networks, optimizers, schedulers and what else is in a saved training state."""
        for label in self.trained:
            for key, net in self.weights_to_save(label).items():
                self.load_network(net, weights_path(self.opt, label, resume_state['iter']), param_key=key)
        super().resume_training(resume_state)
        self.load_extra_state(resume_state.get('extra', {}))

    # ----- logging -----

    def get_current_log(self) -> Dict[str, float]:
        """The last losses, averaged over the processes. Read only when printed: reading stalls a GPU."""
        losses = OrderedDict((k, v.detach()) for k, v in self.log_dict.items() if torch.is_tensor(v))
        log = OrderedDict(self.reduce_loss_dict(losses)) if losses else OrderedDict()
        log.update((k, v) for k, v in self.log_dict.items() if not torch.is_tensor(v))
        return log

    # ----- validation -----

    def evaluate(self, data: Dict[str, Any]) -> Evaluation:
        """Run the model on one validation sample, a batch of one."""
        raise NotImplementedError(f'{type(self).__name__} does not say how to validate an image.')

    def validation(self, dataloader: Any, current_iter: 'int | str', tb_logger: Any, save_img: bool = False) -> None:
        """Validate a data set, each process its share; the averages are over the whole set.

        Images are written where BasicSR writes them. Metrics that need ground truth are left out for a data set
        that has none.
        """
        dataset, name = dataloader.dataset, dataloader.dataset.opt['name']
        logger = get_root_logger()
        sample_keys = set(dataset[0])
        if self.needs not in sample_keys:
            logger.info(f"Validation of {name} skipped: {type(self).__name__} needs '{self.needs}' images, and this "
                        f'data set has {", ".join(sorted(sample_keys & {"gt", "lq"}))}.')
            return
        val_opt = self.opt['val']
        metrics = (val_opt.get('metrics') or {}) if {'gt', 'lq'} <= sample_keys else {}
        sums: Dict[str, float] = {}
        shares = range(self.opt['rank'], len(dataset), self.opt['world_size'])
        for index in tqdm(shares, unit='image', disable=not val_opt.get('pbar') or self.opt['rank'] != 0):
            data = default_collate([dataset[index]])
            result = self.evaluate(data)
            if save_img:
                imwrite(result.image, self._image_path(data, name, current_iter))
            values = dict(result.values)
            if result.metric_data is not None:
                for metric, settings in metrics.items():
                    values[metric] = calculate_metric(dict(result.metric_data), deepcopy(settings))
            for key, value in values.items():
                sums[key] = sums.get(key, 0.0) + float(value)
        averages = self._average_over_processes(sums, len(dataset))
        if averages and self.opt['rank'] == 0:
            self._report(averages, name, current_iter, tb_logger, metrics)

    def _image_path(self, data: Dict[str, Any], dataset_name: str, current_iter: 'int | str') -> str:
        path = data.get('lq_path', data.get('gt_path'))[0]
        image_name = osp.splitext(osp.basename(path))[0]
        root = self.opt['path']['visualization']
        if self.is_train:
            return osp.join(root, image_name, f'{image_name}_{current_iter}.png')
        suffix = self.opt['val'].get('suffix') or self.opt['name']
        return osp.join(root, dataset_name, f'{image_name}_{suffix}.png')

    def _average_over_processes(self, sums: Dict[str, float], count: int) -> Dict[str, float]:
        if self.opt['dist']:
            gathered: List[Optional[Dict[str, float]]] = [None] * self.opt['world_size']
            torch.distributed.all_gather_object(gathered, sums)
            sums = {}
            for share in gathered:
                for key, value in share.items():
                    sums[key] = sums.get(key, 0.0) + value
        return {key: value / count for key, value in sums.items()}

    def _report(self, averages: Dict[str, float], dataset_name: str, current_iter: 'int | str', tb_logger: Any,
                metrics: Mapping[str, Any]) -> None:
        lines = [f'Validation {dataset_name}']
        if metrics and self.is_train:
            self._initialize_best_metric_results(dataset_name)
        for key, value in averages.items():
            line = f'\t # {key}: {value:.4f}'
            if key in metrics and self.is_train:
                self._update_best_metric_result(dataset_name, key, value, current_iter)
                best = self.best_metric_results[dataset_name][key]
                line += f'\tBest: {best["val"]:.4f} @ {best["iter"]} iter'
            lines.append(line)
            if tb_logger:
                tb_logger.add_scalar(f'metrics/{dataset_name}/{key}', value, current_iter)
        get_root_logger().info('\n'.join(lines) + '\n')


def weights_path(opt: Mapping[str, Any], label: str, current_iter: int) -> str:
    """BasicSR's name for the weights of one network at one iteration; -1 is 'latest'."""
    return osp.join(opt['path']['models'], f'net_{label}_{"latest" if current_iter == -1 else current_iter}.pth')


def to_signed(images: Tensor) -> Tensor:
    """From [0, 1] to [-1, 1], the range in which the losses and their weights are stated."""
    return images * 2 - 1
