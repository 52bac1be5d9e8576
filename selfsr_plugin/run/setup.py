"""What training and testing have in common before and around the work."""
import argparse
import logging
import random
from os import path as osp
from typing import Any, Dict, List, Mapping, Optional, Tuple

import torch
from basicsr.data import build_dataset
from basicsr.utils import get_env_info, get_root_logger, get_time_str, set_random_seed
from basicsr.utils.logger import initialized_logger
from basicsr.utils.options import dict2str
from basicsr.utils.registry import MODEL_REGISTRY

from ..basicsr_compat.distributed import init_distributed
from ..basicsr_compat.root import results_root
from ..errors import UserError
from ..metrics import check_set_size
from ..option_check import check_options, shorten_options
from ..options import apply_overrides, complete_options, read_option_file
from ..registration import is_ours, is_registered, uses_plugin
from ..schema import one_of


def load_options(args: argparse.Namespace, is_train: bool) -> Dict[str, Any]:
    """Read, override and, if it is for one of this package's models, check the option file.

    Raises:
        UserError: with what is wrong.
    """
    opt = read_option_file(args.opt)
    apply_overrides(opt, args.force_yml)
    if is_plugin_model(opt):
        try:
            check_options(opt, is_train)
        except UserError as error:
            raise UserError(f'{args.opt}: {error}') from None
        if args.shorten and is_train:
            # A section of the options, so that the log shows it and a resumed run compares it.
            opt['shortened'] = {'by': args.shorten, **shorten_options(opt, args.shorten)}
    elif not isinstance(opt.get('model_type'), str):
        raise UserError(f'{args.opt}: model_type: this key is missing, or no text; it names the model that is trained, such '
                        'as SelFSRModel.')
    elif opt['model_type'] not in MODEL_REGISTRY:
        one_of(opt['model_type'], sorted(name for name in MODEL_REGISTRY.keys() if is_ours('MODEL_REGISTRY', name)),
               f'{args.opt}: model_type')
    if args.shorten and not (is_train and is_plugin_model(opt)):
        raise UserError("--shorten: it is for the training of this package's models; leave it out.")
    return opt


def is_plugin_model(opt: Dict[str, Any]) -> bool:
    """Whether ``model_type`` is one of this package's models or derives from one; our own loops run those."""
    return is_ours('MODEL_REGISTRY', opt.get('model_type'))


def basicsr_root(opt: Dict[str, Any]) -> str:
    """The root that BasicSR's own pipelines get: BasicSR's own choice for option files that use nothing of ours."""
    import basicsr
    return results_root() if uses_plugin(opt) else osp.dirname(osp.dirname(osp.abspath(basicsr.__file__)))


def set_up(opt: Dict[str, Any], args: argparse.Namespace, is_train: bool) -> None:
    """Join the process group and complete the options."""
    rank, world_size = init_distributed(args.launcher)
    complete_options(opt, args, results_root(), is_train, rank, world_size)
    torch.backends.cudnn.benchmark = True


def seed_generators(opt: Dict[str, Any], resumed: Optional[Mapping[str, Any]] = None) -> None:
    """Seed the generators alike in every process, with ``manual_seed`` or, if that is left out, at random.

    No process draws anything else than the others, so that several processes compute what one does. A drawn seed is
    written to the options, and a resumed run takes that of the run before (``resumed``, its ``run_options``).
    """
    if opt.get('manual_seed') is None:
        shared = [resumed['manual_seed'] if resumed else random.randint(1, 10000)]
        if opt['dist']:
            torch.distributed.broadcast_object_list(shared, src=0)
        opt['manual_seed'] = shared[0]
    set_random_seed(opt['manual_seed'])


def start_log(opt: Dict[str, Any], prefix: str) -> logging.Logger:
    """BasicSR's logger, writing to the folder of the run; the options go first.

    Data sets were built before the folder existed, and BasicSR fixes its logger, without a file, at the first use.
    """
    initialized_logger.clear()
    logging.getLogger('basicsr').handlers.clear()
    log_file = osp.join(opt['path']['log'], f'{prefix}_{opt["name"]}_{get_time_str()}.log')
    logger = get_root_logger(logger_name='basicsr', log_level=logging.INFO, log_file=log_file)
    logger.info(get_env_info())
    logger.info(dict2str(opt))
    return logger


def build_datasets(opt: Dict[str, Any], phase: str) -> List[Tuple[str, Any]]:
    """The data sets of one phase ('train', 'val', 'test') with their keys in the option file.

    Raises:
        UserError: a data set cannot be used, with its key.
    """
    built = []
    for key, settings in opt['datasets'].items():
        if settings['phase'] != phase:
            continue
        try:
            dataset = build_dataset(settings)
            if phase != 'train':
                for metric in ((opt.get('val') or {}).get('metrics') or {}).values():
                    check_set_size(metric, len(dataset))
            built.append((key, dataset))
        except (ValueError, OSError) as error:
            raise UserError(f'datasets.{key}: {error}') from error
    return built
