"""The project as users get it: built, installed into throw-away environments, used with the real BasicSR, removed."""

import ast
import importlib.metadata
import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.install
ROOT = Path(__file__).parents[1]
ASKED_FOR = {'dlib'}  # in a sentence, by what needs it: its weights may not be used commercially

USE = """
import sys
assert 'torch' not in sys.modules
with open('ours.yml', 'w') as file:
    file.write('model_type: SelFSRModel')
sys.argv = ['-m', '-opt', 'ours.yml']
import basicsr
from basicsr.utils.registry import ARCH_REGISTRY
assert 'SelfCondSRNet' in ARCH_REGISTRY and 'RRDBNet' in ARCH_REGISTRY

import inspect, pickle, runpy, types, warnings
assert 'def train_pipeline' in inspect.getsource(basicsr.train)
assert pickle.loads(pickle.dumps(basicsr.train.train_pipeline)) is basicsr.train_pipeline
for name in ('train', 'test'):
    ran = []
    sys.modules[f'selfsr_plugin.{name}'] = types.SimpleNamespace(main=lambda: ran.append(name))
    with warnings.catch_warnings(record=True) as caught:
        runpy.run_module(f'basicsr.{name}', run_name='__main__')
    assert ran == [name] and not caught, caught
print(sys.modules['selfsr_plugin'].__file__)
"""


@pytest.fixture(scope='module')
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in ``src`` with its wheel in ``wheel``, its editable wheel and its source distribution.

    Built by the installed setuptools as pip and uv do it, less the download of a setuptools of their own.
    """
    pytest.importorskip('setuptools', reason='wheels are built with setuptools, which is not installed')
    folder = tmp_path_factory.mktemp('install')
    source = folder / 'src'
    shutil.copytree(ROOT / 'selfsr_plugin', source / 'selfsr_plugin', ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copytree(ROOT / 'tests', source / 'tests', ignore=shutil.ignore_patterns('__pycache__'))
    for file in ROOT.iterdir():
        if file.suffix in ('.py', '.toml', '.in', '.cff', '.md') or file.name == 'LICENSE':
            shutil.copy(file, source)
    (source / 'selfsr_plugin/weights').mkdir(exist_ok=True)
    (source / 'selfsr_plugin/weights/face_x4.safetensors').touch()  # in a clone that has no network yet
    code = (
        'from setuptools import build_meta\n'
        'build_meta.build_editable("../editable")\nbuild_meta.build_wheel("../wheel")\n'
        'build_meta.build_sdist("../sdist")\n'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_wheel_holds_the_packages_and_the_hook_and_nothing_else(built: Path) -> None:
    (wheel,) = (built / 'wheel').glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if '.dist-info/' not in name}
        assert any(
            name.endswith('.dist-info/licenses/LICENSE') or name.endswith('.dist-info/LICENSE')
            for name in archive.namelist()
        )
        hook = archive.read('_selfsr_autoload.py')
        pth = archive.read('selfsr_autoload.pth').decode()
        start = archive.read('selfsr_autoload.start').decode()
    modules = {path.relative_to(built / 'src').as_posix() for path in (built / 'src/selfsr_plugin').rglob('*.py')}
    weights = {path.relative_to(built / 'src').as_posix() for path in (built / 'src/selfsr_plugin/weights').iterdir()}
    assert names == modules | weights | {'_selfsr_autoload.py', 'selfsr_autoload.pth', 'selfsr_autoload.start'}
    assert hook == (ROOT / 'selfsr_plugin/hook/autoload.py').read_bytes()
    assert pth.startswith('import ') and pth.count('\n') == 1  # site.py runs such lines only, one by one
    assert start == '_selfsr_autoload:install\n'  # PEP 829: package.module:callable


def test_the_source_distribution_holds_the_packages_and_the_network(built: Path) -> None:
    (archive,) = (built / 'sdist').glob('*.tar.gz')
    with tarfile.open(archive) as tar:
        names = {name.split('/', 1)[1] for name in tar.getnames() if '/' in name}
    package = {
        path.relative_to(built / 'src').as_posix()
        for path in (built / 'src/selfsr_plugin').rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    }
    assert package <= names and 'selfsr_plugin/weights/face_x4.safetensors' in package


def lend_packages(venv: Path, folder: Path) -> None:
    """Let ``venv`` import what is installed beside these tests, except for an installation of this project."""
    folder.mkdir()
    for lender in {sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}:
        for entry in Path(lender).iterdir():
            if 'selfsr' not in entry.name:
                (folder / entry.name).symlink_to(entry)
    site = next(venv.glob('lib/python*/site-packages'))
    (site / 'borrowed.pth').write_text(f'{folder}\n')
    if sys.version_info >= (3, 12):  # BasicSR imports distutils, for which setuptools has a .pth file as well
        shutil.copy(folder / 'distutils-precedence.pth', site)


@pytest.mark.parametrize('kind', ['wheel', 'editable'])
def test_install_use_uninstall_by_pip(built: Path, tmp_path: Path, kind: str) -> None:
    pytest.importorskip('pip', minversion='22.3')  # the first with --python
    (wheel,) = (built / kind).glob('*.whl')
    venv = tmp_path / 'venv'
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', venv], check=True)  # its own costs seconds
    python = venv / 'bin/python'
    pip = [sys.executable, '-m', 'pip', '--python', python]
    subprocess.run([*pip, 'install', '--quiet', '--no-index', '--no-deps', wheel], check=True)
    lend_packages(venv, tmp_path / 'lent')

    used = subprocess.run([python, '-c', USE], cwd=tmp_path, capture_output=True, text=True)
    assert used.returncode == 0, used.stderr
    home = built / 'src' if kind == 'editable' else venv
    assert Path(used.stdout.splitlines()[-1]).is_relative_to(home)

    subprocess.run([*pip, 'uninstall', '--quiet', '--yes', 'selfsr_plugin'], check=True)
    assert [str(path) for path in venv.rglob('*selfsr*')] == []


@pytest.mark.parametrize('kind', ['wheel', 'editable'])
def test_install_uninstall_by_uv(built: Path, tmp_path: Path, kind: str) -> None:
    uv = shutil.which('uv', path=Path(sys.executable).parent) or shutil.which('uv')
    if uv is None:
        pytest.skip('uv is not installed')
    (wheel,) = (built / kind).glob('*.whl')
    venv = tmp_path / 'venv'
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', venv], check=True)
    python = venv / 'bin/python'
    subprocess.run([uv, 'pip', 'install', '--quiet', '--offline', '--no-deps', '--python', python, wheel], check=True)
    code = 'import sys; assert "_selfsr_autoload" in sys.modules and "torch" not in sys.modules'
    subprocess.run([python, '-c', code], check=True)
    subprocess.run([uv, 'pip', 'uninstall', '--quiet', '--python', python, 'selfsr_plugin'], check=True)
    assert [str(path) for path in venv.rglob('*selfsr*')] == []


# As BasicSR's setup.py does it, and what must go on as it is.
OLD_EXEC = """
def get_version():
    exec(compile('__version__ = "1.4.2"', 'basicsr/version.py', 'exec'))
    return locals()['__version__']

def elsewhere():
    names = {}
    exec('x = 1', names)
    exec('y = x', names, names)
    return names['y']

exec('z = 3')
print(get_version(), elsewhere(), z)
"""


def test_basicsr_setup_finds_its_version_on_every_python(tmp_path: Path) -> None:
    namespace = runpy.run_path(str(ROOT / 'scripts/install_basicsr.py'))
    (tmp_path / 'sitecustomize.py').write_text(namespace['SITECUSTOMIZE'])
    done = subprocess.run(
        [sys.executable, '-c', OLD_EXEC],
        env={**os.environ, 'PYTHONPATH': str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == '1.4.2 1 3\n', done.stderr
    assert f"'basicsr=={namespace['VERSION']}'" in (ROOT / 'setup.py').read_text('utf-8')


def test_the_tensorboard_command_starts() -> None:
    done = subprocess.run([Path(sys.executable).parent / 'tensorboard', '--version'], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_package_that_is_imported_is_a_declared_dependency(built: Path) -> None:
    (wheel,) = (built / 'wheel').glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith('/METADATA'))
    declared = {line.split()[1].rstrip(';') for line in metadata.splitlines() if line.startswith('Requires-Dist:')}
    declared = {re.split('[<=>]', name)[0] for name in declared}
    distributions = importlib.metadata.packages_distributions()
    if sys.version_info < (3, 11):  # there it leaves out packages without a top_level.txt
        for distribution in importlib.metadata.distributions():
            for file in distribution.files or ():
                distributions.setdefault(file.parts[0], [distribution.name])
    for path in (ROOT / 'selfsr_plugin').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text('utf-8'))):
            if isinstance(node, ast.Import):
                names = {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = {node.module.split('.')[0]}
            else:
                continue
            for name in names - set(sys.stdlib_module_names) - {'selfsr_plugin', *ASKED_FOR}:
                origins = {origin.lower().replace('_', '-') for origin in distributions.get(name, [name])}
                assert origins & declared, f'{path.relative_to(ROOT)} imports {name}, which setup.py does not ask for'
