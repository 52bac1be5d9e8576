"""Testing of this package's models."""

from typing import Any

from basicsr.utils import get_root_logger
from torch.utils.data import DataLoader

from ..errors import UserError
from ..files import printable
from .folder import make_folders, refuse_input_inside
from .processes import raise_in_all
from .rehearsal import try_metrics, warn_of_sizes
from .setup import build, build_datasets, log_options, log_to_folder, seed_generators, start_log


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
    warn_of_sizes(test_sets, opt)
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
        problems += [
            f'datasets.{key}: {each}'
            for each in model.validation(DataLoader(dataset), opt['name'], None, opt['val']['save_img'])
        ]
    logger.info(f'The results are in {printable(opt["path"]["results_root"])}.')
    if problems:
        more = f'; and {len(problems) - 10} more, which the log names' if len(problems) > 10 else ''
        count = sum(len(dataset) for _, dataset in test_sets)
        others = '; the figures are those of the others' if len(problems) < count else ''
        named = '; '.join(problem.rstrip('.') for problem in problems[:10])
        raise UserError(f'{len(problems)} of {count} images are left out{others}: {named}{more}.')
