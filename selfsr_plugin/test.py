"""Testing: ``python -m basicsr.test -opt ...`` with the start-up hook, ``python -m selfsr_plugin.test`` without.

Option files of this package's models are run by ``run/testing.py``; all others by BasicSR's own ``test_pipeline``.
"""

from collections.abc import Sequence

from .errors import one_sentence_errors
from .options import parse_arguments, read_options


def main(argv: Sequence[str] | None = None) -> None:
    """Test as the option file on the command line says.

    Args:
        argv: the command line without the program's name; that of the process by default.
    """
    args = parse_arguments(argv, 'python -m selfsr_plugin.test', is_train=False)
    with one_sentence_errors(args.traceback):
        opt = read_options(args)
        # Not at the top: help and usage errors are answered before torch and BasicSR are imported.
        from .run.setup import check, is_plugin_model, set_up

        check(opt, args, is_train=False)
        if is_plugin_model(opt):
            from .run.folder import locked
            from .run.testing import test

            set_up(opt, args, is_train=False)
            with locked(opt['path']['results_root'], opt):
                test(opt, args.opt)
            return
    from basicsr.test import test_pipeline

    from .run.guest_loop import run_pipeline

    run_pipeline(test_pipeline, opt, args, argv)


if __name__ == '__main__':
    main()
