"""Install BasicSR 1.4.2, and nothing else, into the environment of the Python that runs this.

    python scripts/install_basicsr.py

``pip install .`` does it too, but not on Python 3.13 and later: BasicSR's setup.py counts on names that ``exec`` leaves
in the ``locals()`` of a function, and those are gone since 3.13 (PEP 667). Here it is built with an ``exec`` of the old
meaning. It is built without isolation as well, because its ``setup_requires`` would fetch a second PyTorch just for
that. The environment may have pip or be one of uv; the setuptools that builds lies in a temporary folder, so that yours
stays.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = '1.4.2'  # as in setup.py

# Python runs a sitecustomize.py on its path at every start. A frame's f_locals keeps what is written into it.
SITECUSTOMIZE = """
import builtins
import sys

def exec_into_caller(source, /, globals=None, locals=None, exec=exec, **options):
    if globals is None:
        caller = sys._getframe(1)
        globals, locals = caller.f_globals, caller.f_locals if locals is None else locals
    exec(source, globals, locals, **options)

builtins.exec = exec_into_caller
"""


def installer() -> list[str]:
    """The start of a command that installs into this environment: by pip if it has pip, else by uv."""
    if importlib.util.find_spec('pip') is not None:
        return [sys.executable, '-m', 'pip', 'install', '--quiet', '--use-pep517']
    uv = shutil.which('uv')
    if uv is None:
        sys.exit(
            f'error: {sys.executable} has no pip, and there is no uv on the PATH; install one of them, for example '
            f'with {sys.executable} -m ensurepip'
        )
    return [uv, 'pip', 'install', '--quiet', '--python', sys.executable]


def main() -> None:
    try:
        if importlib.metadata.version('basicsr') == VERSION:
            print(f'BasicSR {VERSION} is installed already in {sys.prefix}.')
            return
    except importlib.metadata.PackageNotFoundError:
        pass
    install = installer()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / 'sitecustomize.py').write_text(SITECUSTOMIZE, encoding='utf-8')
        environment = {**os.environ, 'PYTHONPATH': folder}
        try:
            subprocess.run([*install, '--target', folder, 'setuptools'], check=True)
            subprocess.run(
                [*install, '--no-deps', '--no-build-isolation', f'basicsr=={VERSION}'], env=environment, check=True
            )
        except subprocess.CalledProcessError:
            sys.exit(
                f'error: BasicSR {VERSION} could not be installed; the lines above, by {Path(install[0]).name}, '
                'say why.'
            )
    print(f'BasicSR {VERSION} is installed in {sys.prefix}.')


if __name__ == '__main__':
    main()
