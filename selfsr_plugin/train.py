"""Training: ``python -m basicsr.train -opt ...`` with the start-up hook, ``python -m selfsr_plugin.train`` without.

Option files of this package's models are run by ``run/training.py``; all others by BasicSR's own ``train_pipeline``.
"""

import sys
from collections.abc import Sequence
from contextlib import ExitStack

from .errors import one_sentence_errors, terminated_as_interrupted
from .options import parse_arguments, read_options


def main(argv: Sequence[str] | None = None) -> None:
    """Train as the option file on the command line says.

    Args:
        argv: the command line without the program's name; that of the process by default.
    """
    args = parse_arguments(argv, 'python -m selfsr_plugin.train')
    with one_sentence_errors(args.traceback):
        opt = read_options(args)
        # Not at the top: help and usage errors are answered before torch and BasicSR are imported.
        from .run.setup import check, is_plugin_model, set_up

        check(opt, args, is_train=True)
        if is_plugin_model(opt):
            from .run.folder import locked
            from .run.training import train

            set_up(opt, args, is_train=True)
            with terminated_as_interrupted(), locked(opt['path']['experiments_root'], opt), ExitStack() as at_end:
                stopped_by = train(opt, args.opt, at_end)
                if stopped_by is not None:
                    sys.exit(128 + stopped_by)  # as a shell reports a process that the signal ended
            return
    from basicsr.train import train_pipeline

    from .run.guest_loop import run_pipeline

    run_pipeline(train_pipeline, opt, args, argv)


if __name__ == '__main__':
    main()
