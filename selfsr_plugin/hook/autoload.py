"""Start-up hook: ``import basicsr`` also registers selfsr_plugin, ``python -m basicsr.train`` trains our models, and
``import spandrel`` knows our generator.

Installing the project puts a copy of this file beside the packages, as the top-level module ``_selfsr_autoload``, with
a one-line ``.pth`` file, and for Python 3.15 and later a ``.start`` file, that calls ``install`` at every interpreter
start (setup.py, ``build_autoload``). It is a copy because importing it from the package would run
``selfsr_plugin/__init__.py`` in every Python process. For the same reason nothing but ``os`` and ``sys``, which are
loaded by then, is imported before BasicSR or spandrel is.
After editing this file, install again: an editable installation has a copy as well.

``SELFSR_AUTOLOAD=0`` switches the hook off.
"""

import os
import sys

TYPE_CHECKING = False  # typing's own constant, without importing typing at every start
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

# Run by ``python -m``. The guard is for spawned processes, which run the main module again as ``__mp_main__``.
_ENTRY_POINT = """\
if __name__ == '__main__':
    from selfsr_plugin.{name} import main
    main()
"""


def install() -> None:
    """Watch for the imports, unless the user has opted out."""
    if os.environ.get('SELFSR_AUTOLOAD') != '0':
        watch()


def watch() -> None:
    """Watch for ``import basicsr`` and ``import spandrel``.

    A second call does nothing: Python may read ``.pth`` and ``.start`` files twice.

    ``import selfsr_plugin`` calls this in the package's own file, for users who have opted out, and in place of the
    finder that the copy has installed, which may be that of an older version.
    """
    if not any(isinstance(finder, HostFinder) for finder in sys.meta_path):
        names = (HostFinder.__name__, 'BasicSRFinder')  # the second until 0.2.0
        sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ not in names]
        sys.meta_path.insert(0, HostFinder())


class HostFinder:
    """Finds ``basicsr`` and ``spandrel`` wherever the other finders do, and runs our steps around their import."""

    def find_spec(self, name: str, path=None, target=None) -> 'ModuleSpec | None':
        steps = {'basicsr': _import_basicsr, 'spandrel': _import_spandrel}.get(name)
        if steps is None:
            return None
        spec = None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            if spec is None and hasattr(finder, 'find_spec'):
                spec = finder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:  # no loader: a mere folder of that name
            run = spec.loader.exec_module
            # Set on this one loader, made for this one spec, so that it stays a SourceFileLoader to everybody else.
            spec.loader.exec_module = lambda module: steps(module, run)
        return spec


def _import_basicsr(basicsr: 'ModuleType', run: 'Callable[[ModuleType], None]') -> None:
    """Execute the module ``basicsr`` by its own loader's ``run``, with the alias before and our names after."""
    try:
        _load_aliases().alias_functional_tensor()
    except Exception as error:  # BasicSR may not need the alias; where it does, its own error follows
        _warn('prepare the import of BasicSR', error)
    run(basicsr)
    try:
        from selfsr_plugin.registration import register

        register()
    except Exception as error:
        _warn('load itself into BasicSR', error)
    else:
        _take_over_entry_points()


def _import_spandrel(spandrel: 'ModuleType', run: 'Callable[[ModuleType], None]') -> None:
    """Execute the module ``spandrel`` by its own loader's ``run``, with our network after."""
    run(spandrel)
    try:
        from selfsr_plugin.registration import register_in_spandrel

        register_in_spandrel()
    except Exception as error:
        _warn('load itself into spandrel', error)


def _load_aliases() -> 'ModuleType':
    """Load ``basicsr_compat/aliases.py`` from its file alone: BasicSR needs it even if the package is broken."""
    from importlib import util

    package = util.find_spec('selfsr_plugin')
    if package is None:
        raise ModuleNotFoundError("No module named 'selfsr_plugin'")
    path = os.path.join(package.submodule_search_locations[0], 'basicsr_compat', 'aliases.py')
    spec = util.spec_from_file_location('_selfsr_aliases', path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _take_over_entry_points() -> None:
    """Let ``python -m basicsr.train`` and ``python -m basicsr.test`` run our entry points for our models' option files.

    ``basicsr/__init__.py`` imports both modules, so runpy takes their specs from ``sys.modules`` and asks the loader
    for the code to run: BasicSR's own, untouched, for all other option files.
    """
    for name in ('train', 'test'):
        module = sys.modules.get(f'basicsr.{name}')
        if module is None:
            continue
        module.__spec__.loader.get_code = _code_to_run(name, module.__spec__.loader.get_code)
        if sys.argv[:1] in (['-m'], [module.__file__]) and _is_for_us():  # python -m, and a process spawned by that
            # runpy warns that the module would exist twice, which it will not.
            import warnings

            warnings.filterwarnings('ignore', rf"'basicsr\.{name}' found in sys\.modules", RuntimeWarning)


def _code_to_run(name: str, get_code: 'Callable') -> 'Callable':
    """``get_code`` of the loader of ``basicsr.<name>``, with our entry point in its place where the run is ours."""

    def ours_or_own(module_name: str) -> 'CodeType':
        if _is_for_us():
            return compile(_ENTRY_POINT.format(name=name), '<selfsr_plugin>', 'exec')
        return get_code(module_name)

    return ours_or_own


def _is_for_us() -> bool:
    try:
        from selfsr_plugin.hook.entry_points import is_for_us

        return is_for_us(sys.argv[1:])
    except Exception as error:
        _warn('look at the option file for BasicSR', error)
        return False


def _warn(what: str, error: Exception) -> None:
    import warnings

    warnings.warn(
        f'selfsr_plugin could not {what}, which goes on without it. {type(error).__name__}: {error}. '
        '`python -c "import selfsr_plugin"` shows the whole error.',
        stacklevel=2,
    )
