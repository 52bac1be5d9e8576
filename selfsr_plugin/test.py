"""Testing: ``python -m basicsr.test -opt ...`` with the start-up hook, ``python -m selfsr_plugin.test`` without.

Option files of this package's models are run here; all others by BasicSR's own ``test_pipeline``.
"""
import sys
from collections.abc import Sequence
from typing import Any

from torch.utils.data import DataLoader

import selfsr_plugin  # noqa: F401  before basicsr: applies the alias that its import needs

from basicsr.test import test_pipeline
from basicsr.utils import get_root_logger

from .run.setup import (basicsr_root, build, build_datasets, is_plugin_model, load_options, log_options, log_to_folder,
                        seed_generators, set_up, start_log)
from .errors import UserError, one_sentence_errors
from .options import parse_arguments
from .run.processes import raise_in_all
from .run.folder import locked, make_folders, refuse_input_inside
from .run.rehearsal import try_metrics


def main(argv: Sequence[str] | None = None) -> None:
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
                test(opt, args.opt)
            return
    # BasicSR's own, which reads the command line itself, and shows its own tracebacks.
    sys.argv[1:] = [argument for argument in (sys.argv[1:] if argv is None else argv) if argument != '--traceback']
    test_pipeline(basicsr_root(opt))


def test(opt: dict[str, Any], option_file: str) -> None:
    """Restore every test set, write the images and report the metrics.

    Raises:
        UserError: something cannot be used; or at the end, images that could not, by name. All others are restored.
    """
    start_log(opt)
    seed_generators(opt)
    test_sets = build_datasets(opt, 'test') + build_datasets(opt, 'val')
    refuse_input_inside(opt, option_file)
    log_options(opt)
    try_metrics(test_sets, opt)
    model = build(opt)
    problem = None
    try:
        if opt['rank'] == 0:
            make_folders(opt, keep=False)  # earlier results of this name are renamed, not overwritten
            log_to_folder(opt, 'test')
    except UserError as error:
        problem = str(error)
    raise_in_all(problem, opt)  # and nobody goes on before the folders are there
    logger = get_root_logger()
    problems = []
    for key, dataset in test_sets:
        logger.info(f'Testing {dataset.opt["name"]} (datasets.{key}), {len(dataset)} images.')
        problems += [f'datasets.{key}: {each}'
                     for each in model.validation(DataLoader(dataset), opt['name'], None, opt['val']['save_img'])]
    logger.info(f'The results are in {opt["path"]["results_root"]}.')
    if problems:
        more = f'; and {len(problems) - 10} more, which the log names' if len(problems) > 10 else ''
        count = sum(len(dataset) for _, dataset in test_sets)
        others = '; the figures are those of the others' if len(problems) < count else ''
        named = '; '.join(problem.rstrip('.') for problem in problems[:10])
        raise UserError(f'{len(problems)} of {count} images are left out{others}: {named}{more}.')


if __name__ == '__main__':
    main()
