"""The start-up hook, in a throw-away environment with toy packages, so that each case takes well under a second.

The hook, its ``.pth`` line and the alias are the real ones; torchvision, BasicSR and the plugin's registration,
``entry_points`` and ``train`` are small models of what matters here. test_install.py does the same with the real
packages.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TOYS = {
    'torchvision/__init__.py': '',
    'torchvision/transforms/__init__.py': '',
    'torchvision/transforms/functional.py': 'def rgb_to_grayscale(): return "new"\n',
    # as BasicSR 1.4.2: imports the removed module, registers by import, and imports its own train and test
    'basicsr/__init__.py': 'from .train import *\nfrom .test import *\nfrom .registry import *\n',
    'basicsr/registry.py': 'from torchvision.transforms.functional_tensor import rgb_to_grayscale\nREGISTRY = []\n',
    'basicsr/train.py': 'import sys\n\n\ndef train_pipeline():\n    print("BasicSR trains", sys.argv[1:])\n\n\n'
    'if __name__ == "__main__":\n    train_pipeline()\n',
    'basicsr/test.py': 'if __name__ == "__main__":\n    print("BasicSR tests")\n',
    'selfsr_plugin/__init__.py': 'from .hook.autoload import watch\nwatch()\n',
    'selfsr_plugin/registration.py': 'def register():\n'
    '    from basicsr.registry import REGISTRY\n'
    '    if not REGISTRY:\n'
    '        REGISTRY.append("SelfCondSRNet")\n'
    'def register_in_spandrel():\n'
    '    import selfsr_plugin.spandrel\n',
    'selfsr_plugin/spandrel.py': 'from spandrel import MAIN_REGISTRY\nMAIN_REGISTRY.append("SelfCondSRNet")\n',
    'selfsr_plugin/hook/__init__.py': '',
    'selfsr_plugin/hook/entry_points.py': 'def is_for_us(argv):\n    return "theirs.yml" not in argv\n',
    'spandrel/__init__.py': 'MAIN_REGISTRY = []\n',
    'selfsr_plugin/train.py': 'import sys\n\n\ndef main():\n    print("SelFSR trains", sys.argv[1:])\n',
    'selfsr_plugin/test.py': 'def main():\n    print("SelFSR tests")\n',
}
BROKEN_PLUGIN = 'raise OSError("libfoo.so is missing")\n'
USES_WORKERS = """
import multiprocessing

def work(_):
    from basicsr.registry import REGISTRY
    return REGISTRY

def main():
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        print('SelFSR trains', pool.map(work, [0]))
"""


class Environment:
    """A virtual environment with the hook and the toy packages installed."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / 'bin/python'
        self.site = next(folder.glob('lib/python*/site-packages'))

    def fill(self) -> None:
        subprocess.run(
            [sys.executable, 'setup.py', '-q', 'build_autoload', '--build-lib', self.site], cwd=ROOT, check=True
        )
        self.write(TOYS)
        for name in ('basicsr_compat/aliases.py', 'hook/autoload.py'):
            path = self.site / 'selfsr_plugin' / name
            path.parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / 'selfsr_plugin' / name, path)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.site / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        environment = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'SELFSR_AUTOLOAD')}
        # -B: an edit within the same second would otherwise be hidden by the compiled file
        return subprocess.run(
            [self.python, '-B', *arguments],
            env={**environment, **variables},
            cwd=self.site.parent,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def succeeds(self, *arguments: str, **variables: str) -> str:
        done = self.run(*arguments, **variables)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope='session')
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('autoload') / 'venv'
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', folder], check=True)
    Environment(folder).fill()
    return folder


@pytest.fixture
def env(filled: Path, tmp_path: Path) -> Environment:
    shutil.copytree(filled, tmp_path / 'venv', symlinks=True)
    return Environment(tmp_path / 'venv')


def test_start_loads_nothing_but_the_hook(env: Environment) -> None:
    loaded = env.succeeds('-c', 'import sys; print(*sys.modules)').split()
    without = env.succeeds('-I', '-S', '-c', 'import site, sys; print(*sys.modules)').split()
    assert '_selfsr_autoload' in loaded
    assert 'selfsr_plugin' not in loaded and 'basicsr' not in loaded
    site_itself = {'sitecustomize', 'usercustomize', '_distutils_hack', 'encodings.utf_8_sig'}  # the last since 3.13
    assert set(loaded) - set(without) <= {'_selfsr_autoload', *site_itself}


def test_the_finder_is_there_once(env: Environment) -> None:
    names = env.succeeds('-c', 'import sys; print(*[type(finder).__name__ for finder in sys.meta_path])').split()
    assert names.count('HostFinder') == 1


def test_the_start_file_and_the_pth_file_install_one_finder(env: Environment) -> None:
    """Python 3.15 and later go by the ``.start`` file (PEP 829) and may read it twice.

    A later ``import`` changes nothing.
    """
    code = """
import pkgutil, sys
from pathlib import Path
count = lambda: [type(finder).__name__ for finder in sys.meta_path].count('HostFinder')
before = count()
if sys.argv[2] == 'start alone':  # as it is where import lines of .pth files are not run
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != 'HostFinder']
line, = Path(sys.argv[1]).read_text('utf-8').splitlines()
for _ in range(2):
    pkgutil.resolve_name(line)()
import selfsr_plugin, basicsr
print(before, count(), basicsr.REGISTRY)
"""
    start = env.site / 'selfsr_autoload.start'
    for case in ('both', 'start alone'):
        assert env.succeeds('-c', code, start, case) == "1 1 ['SelfCondSRNet']"
    assert env.run('-c', code, start, 'both', SELFSR_AUTOLOAD='0').stdout.startswith('0 1')  # opted out; then by import


def test_the_hook_of_an_older_version_is_replaced(env: Environment) -> None:
    """An editable installation keeps the copy of the version that was installed."""
    hook = env.site / '_selfsr_autoload.py'
    hook.write_text(hook.read_text().replace('from selfsr_plugin.registration import register', 'raise OSError("old")'))
    code = (
        'import selfsr_plugin, basicsr, sys; '
        'print(basicsr.REGISTRY, len([f for f in sys.meta_path if "selfsr" in str(f)]))'
    )
    assert env.succeeds('-c', code) == "['SelfCondSRNet'] 1"


def test_a_broken_or_missing_hook_is_not_felt(env: Environment) -> None:
    for hook in ('raise OSError', 'this is no Python', ''):
        env.write({'_selfsr_autoload.py': hook})
        assert env.succeeds('-c', 'print("ok")') == 'ok'
    (env.site / '_selfsr_autoload.py').unlink()
    assert env.succeeds('-c', 'print("ok")') == 'ok'


def test_import_basicsr_registers_the_plugin(env: Environment) -> None:
    assert env.succeeds('-c', 'import basicsr; print(basicsr.REGISTRY)') == "['SelfCondSRNet']"
    assert env.succeeds('-c', 'import basicsr.registry as r; print(r.REGISTRY)') == "['SelfCondSRNet']"


@pytest.mark.parametrize('variables', [{}, {'SELFSR_AUTOLOAD': '0'}])
def test_import_of_the_plugin_first(env: Environment, variables: dict[str, str]) -> None:
    code = 'import selfsr_plugin, basicsr; print(basicsr.REGISTRY)'
    assert env.succeeds('-c', code, **variables) == "['SelfCondSRNet']"


def test_import_spandrel_registers_the_plugin(env: Environment) -> None:
    expected = "['SelfCondSRNet']"
    assert env.succeeds('-c', 'from spandrel import MAIN_REGISTRY; print(MAIN_REGISTRY)') == expected
    for first in ('selfsr_plugin', 'selfsr_plugin.spandrel'):
        both = f'import {first}, spandrel; print(spandrel.MAIN_REGISTRY)'
        for variables in ({}, {'SELFSR_AUTOLOAD': '0'}):
            assert env.succeeds('-c', both, **variables) == expected
    alone = 'import sys, spandrel; print(spandrel.MAIN_REGISTRY, "selfsr_plugin" in sys.modules)'
    assert env.succeeds('-c', alone, SELFSR_AUTOLOAD='0') == '[] False'
    env.write({'selfsr_plugin/registration.py': BROKEN_PLUGIN})
    done = env.run('-c', 'import spandrel; print(spandrel.MAIN_REGISTRY)')
    assert done.returncode == 0 and done.stdout.strip() == '[]'
    assert 'load itself into spandrel, which goes on without it. OSError: libfoo.so is missing' in done.stderr


def test_the_alias_is_made_only_where_missing(env: Environment) -> None:
    code = 'import basicsr; from torchvision.transforms import functional_tensor as t; print(t.rgb_to_grayscale())'
    assert env.succeeds('-c', code) == 'new'
    env.write({'torchvision/transforms/functional_tensor.py': 'def rgb_to_grayscale(): return "torchvision\'s own"\n'})
    assert env.succeeds('-c', code) == "torchvision's own"


def test_opt_out(env: Environment) -> None:
    done = env.run('-c', 'import basicsr', SELFSR_AUTOLOAD='0')
    assert done.returncode == 1 and 'functional_tensor' in done.stderr  # plain BasicSR on a new torchvision
    env.write({'torchvision/transforms/functional_tensor.py': 'def rgb_to_grayscale(): pass\n'})
    assert env.succeeds('-c', 'import basicsr; print(basicsr.REGISTRY)', SELFSR_AUTOLOAD='0') == '[]'
    done = env.run('-m', 'basicsr.train', '-opt', 'x.yml', SELFSR_AUTOLOAD='0')
    assert done.returncode == 0 and done.stdout.strip() == "BasicSR trains ['-opt', 'x.yml']"


def test_a_plugin_that_fails_is_named_and_basicsr_goes_on(env: Environment) -> None:
    env.write({'selfsr_plugin/__init__.py': BROKEN_PLUGIN})
    done = env.run('-c', 'import basicsr; print(basicsr.REGISTRY)')
    assert done.returncode == 0 and done.stdout.strip() == '[]'
    assert 'UserWarning: selfsr_plugin' in done.stderr and 'OSError: libfoo.so is missing' in done.stderr
    done = env.run('-m', 'basicsr.train')
    assert done.returncode == 0 and done.stdout.strip() == 'BasicSR trains []'


def test_a_hook_left_without_its_plugin_lets_basicsr_be(env: Environment) -> None:
    shutil.rmtree(env.site / 'selfsr_plugin')
    env.write({'torchvision/transforms/functional_tensor.py': 'def rgb_to_grayscale(): pass\n'})
    done = env.run('-c', 'import basicsr; print(basicsr.REGISTRY)')
    assert done.returncode == 0 and done.stdout.strip() == '[]' and 'UserWarning: selfsr_plugin' in done.stderr


def test_an_error_of_basicsr_stays_an_error(env: Environment) -> None:
    env.write({'basicsr/registry.py': 'raise OSError("disk")\n'})
    done = env.run('-c', 'import basicsr')
    assert done.returncode == 1 and done.stderr.strip().endswith('OSError: disk')


@pytest.mark.parametrize('module, printed', [('train', "SelFSR trains ['-opt', 'x.yml']"), ('test', 'SelFSR tests')])
def test_python_m_runs_the_plugins_entry_point(env: Environment, module: str, printed: str) -> None:
    # runpy would warn of basicsr.train being imported already; the warning as an error would stop the run
    assert env.succeeds('-W', 'error', '-m', f'basicsr.{module}', '-opt', 'x.yml') == printed


@pytest.mark.parametrize('module', ['train', 'test'])
def test_an_option_file_of_basicsr_is_run_as_without_us(env: Environment, module: str) -> None:
    env.write(
        {
            'torchvision/transforms/functional_tensor.py': 'def rgb_to_grayscale(): pass\n',
            'selfsr_plugin/train.py': 'raise SystemExit("our training code is imported")\n',
        }
    )
    if module == 'train':  # an error keeps its traceback
        with open(env.site / 'basicsr/train.py', 'a') as file:
            file.write('    open("nowhere")\n')
    ours = env.run('-m', f'basicsr.{module}', '-opt', 'theirs.yml')
    without = env.run('-m', f'basicsr.{module}', '-opt', 'theirs.yml', SELFSR_AUTOLOAD='0')
    assert (ours.returncode, ours.stdout, ours.stderr) == (without.returncode, without.stdout, without.stderr)
    assert ours.stdout.startswith('BasicSR')


def test_a_look_that_fails_leaves_the_run_to_basicsr(env: Environment) -> None:
    env.write({'selfsr_plugin/hook/entry_points.py': 'import yamml\n'})
    done = env.run('-m', 'basicsr.train')
    assert (
        done.returncode == 0 and done.stdout.strip() == 'BasicSR trains []' and "No module named 'yamml'" in done.stderr
    )


def test_an_error_in_the_entry_point_is_shown_and_fails_the_run(env: Environment) -> None:
    env.write({'selfsr_plugin/train.py': 'def main():\n    raise SystemExit("no such file")\n'})
    done = env.run('-m', 'basicsr.train')
    assert done.returncode == 1 and done.stderr.strip() == 'no such file'


def test_spawned_workers_load_the_plugin_and_do_not_train_again(env: Environment) -> None:
    env.write({'selfsr_plugin/train.py': USES_WORKERS})
    assert env.succeeds('-m', 'basicsr.train') == "SelFSR trains [['SelfCondSRNet']]"


def test_the_module_itself_is_left_as_it_was(env: Environment) -> None:
    code = """
import importlib, inspect, pickle, sys
import basicsr
assert inspect.getsource(basicsr.train).startswith('import sys')
assert inspect.getsource(basicsr.train.train_pipeline).startswith('def train_pipeline')
assert pickle.loads(pickle.dumps(basicsr.train_pipeline)) is basicsr.train.train_pipeline
assert type(basicsr.__loader__).__name__ == type(basicsr.train.__loader__).__name__ == 'SourceFileLoader'
assert importlib.reload(basicsr.train).train_pipeline
assert basicsr.REGISTRY == ['SelfCondSRNet']
importlib.reload(basicsr)
basicsr.train_pipeline()
"""
    assert env.succeeds('-c', code) == 'BasicSR trains []'


def test_find_spec_imports_nothing(env: Environment) -> None:
    code = """
import importlib.util, sys
print(importlib.util.find_spec('basicsr').origin)
assert not {'basicsr', 'selfsr_plugin', 'torchvision'} & set(sys.modules)
"""
    assert env.succeeds('-c', code) == str(env.site / 'basicsr/__init__.py')


def test_without_basicsr_its_import_fails_as_ever(env: Environment) -> None:
    shutil.rmtree(env.site / 'basicsr')
    done = env.run('-c', 'import basicsr')
    assert done.stderr.strip().endswith("ModuleNotFoundError: No module named 'basicsr'")
    (env.site / 'basicsr').mkdir()  # a mere folder of that name is a namespace package, as ever
    assert env.succeeds('-c', 'import basicsr; print(basicsr.__file__)') == 'None'


def test_basicsr_from_a_checkout(env: Environment, tmp_path: Path) -> None:
    checkout = tmp_path / 'checkout'
    checkout.mkdir()
    shutil.move(env.site / 'basicsr', checkout)
    code = 'import basicsr; print(basicsr.__file__, basicsr.REGISTRY)'
    expected = f"{checkout}/basicsr/__init__.py ['SelfCondSRNet']"
    assert env.succeeds('-c', code, PYTHONPATH=str(checkout)) == expected
    # an editable installation of BasicSR has a finder of its own, which setuptools puts last
    finder = (
        'from importlib.util import spec_from_file_location\n\n\nclass Finder:\n    @classmethod\n'
        '    def find_spec(cls, name, path=None, target=None):\n        if name == "basicsr":\n'
        f'            folder = "{checkout}/basicsr"\n'
        '            return spec_from_file_location(name, folder + "/__init__.py",'
        ' submodule_search_locations=[folder])\n'
    )
    env.write({'editable_basicsr.py': finder})
    env.write({'zz.pth': 'import editable_basicsr, sys; sys.meta_path.append(editable_basicsr.Finder)\n'})
    assert env.succeeds('-c', code) == expected
