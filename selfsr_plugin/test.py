"""Testing: ``python -m basicsr.test -opt ...`` with the start-up hook, ``python -m selfsr_plugin.test`` without.

Option files of this package's models are run here; all others by BasicSR's own ``test_pipeline``.
"""
import sys
from typing import Any, Dict, Optional, Sequence

from torch.utils.data import DataLoader

import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs

from basicsr.models import build_model
from basicsr.test import test_pipeline

from .run.setup import (basicsr_root, build_datasets, is_plugin_model, load_options, seed_generators, set_up,
                        start_log)
from .errors import UserError, one_sentence_errors
from .options import parse_arguments
from .run.processes import barrier
from .run.folder import locked, make_folders


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Test as the option file on the command line says.

    Args:
        argv: the command line without the program's name; that of the process by default.
    """
    args = parse_arguments(argv)
    with one_sentence_errors(args.traceback):
        opt = load_options(args, is_train=False)
        if is_plugin_model(opt):
            set_up(opt, args, is_train=False)
            with locked(opt['path']['results_root'], opt):
                test(opt)
            return
    # BasicSR's own, which reads the command line itself, and shows its own tracebacks.
    sys.argv[1:] = [argument for argument in (sys.argv[1:] if argv is None else argv) if argument != '--traceback']
    test_pipeline(basicsr_root(opt))


def test(opt: Dict[str, Any]) -> None:
    """Restore every test set, write the images and report the metrics."""
    seed_generators(opt)
    test_sets = build_datasets(opt, 'test') + build_datasets(opt, 'val')
    if opt['rank'] == 0:
        make_folders(opt, keep=False)  # earlier results of this name are renamed, not overwritten
    barrier(opt)  # nobody goes on before the folders are there
    logger = start_log(opt, 'test')
    try:
        model = build_model(opt)
    except (ValueError, OSError) as error:  # weights that do not fit
        raise UserError(str(error)) from error
    for key, dataset in test_sets:
        logger.info(f'Testing {dataset.opt["name"]} (datasets.{key}), {len(dataset)} images.')
        try:
            model.validation(DataLoader(dataset), opt['name'], None, opt['val']['save_img'])
        except (ValueError, OSError) as error:
            raise UserError(f'datasets.{key}: {error}') from error
    logger.info(f'The results are in {opt["path"]["results_root"]}.')


if __name__ == '__main__':
    main()
