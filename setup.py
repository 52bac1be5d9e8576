"""Installs selfsr_plugin, and the start-up hook that loads it into BasicSR."""

import re
from pathlib import Path

from setuptools import Command, find_packages, setup
from setuptools.command.build import build

ROOT = Path(__file__).parent
HOOK_SOURCE = 'selfsr_plugin/hook/autoload.py'
# Python runs this line at every start. A hook that is broken or gone must never be felt there, hence the try; the exec
# because a line of a .pth file must begin with import and cannot hold a compound statement.
# Python 3.15 and later run the callable that the .start file of the same name gives (PEP 829) in place of the line,
# which 3.18 will no longer run.
START_LINE = '_selfsr_autoload:install'
PTH_LINE = r"import sys; exec('try: import _selfsr_autoload; _selfsr_autoload.install()\nexcept Exception: pass')"


class BuildAutoload(Command):
    """Put the start-up hook at the top of site-packages, and beside it the ``.pth`` and ``.start`` file that run it.

    A build sub-command (``setuptools.command.build.SubCommand``) is the way that works for wheels and for editable
    installations: ``data_files`` are left out of the latter.
    """

    description = 'put the start-up hook beside the packages'
    user_options = [('build-lib=', 'd', 'directory to build into')]
    editable_mode = False

    def initialize_options(self) -> None:
        self.build_lib = None

    def finalize_options(self) -> None:
        self.set_undefined_options('build_py', ('build_lib', 'build_lib'))

    def run(self) -> None:
        target = Path(self.build_lib)
        if self.editable_mode:  # build_lib is thrown away then; what lies in install_lib becomes the wheel
            target = Path(self.get_finalized_command('install').install_lib)
        target.mkdir(parents=True, exist_ok=True)
        (target / '_selfsr_autoload.py').write_bytes((ROOT / HOOK_SOURCE).read_bytes())
        (target / 'selfsr_autoload.pth').write_text(PTH_LINE + '\n', encoding='ascii')
        (target / 'selfsr_autoload.start').write_text(START_LINE + '\n', encoding='ascii')

    def get_outputs(self) -> list[str]:
        if self.editable_mode:  # nothing to link to: run() has put the files where they belong
            return []
        return [
            f'{self.build_lib}/{name}'
            for name in ('_selfsr_autoload.py', 'selfsr_autoload.pth', 'selfsr_autoload.start')
        ]

    def get_output_mapping(self) -> dict[str, str]:
        return {}

    def get_source_files(self) -> list[str]:
        return [HOOK_SOURCE]


class Build(build):
    sub_commands = [*build.sub_commands, ('build_autoload', None)]


METRICS = ['lpips']
ONNX = ['onnx', 'onnxruntime', 'onnxscript']
WANDB = ['wandb']
HEIC = ['pillow-heif']
LANDMARKS = ['dlib-bin', 'face_recognition_models==0.3.0']  # its predictor is not for commercial use
SPANDREL = ['spandrel']
WEB = ['gradio']

setup(
    name='selfsr_plugin',
    version=re.search(r"__version__ = '(.+)'", (ROOT / 'selfsr_plugin/__init__.py').read_text('utf-8')).group(1),
    description='SelFSR face super-resolution (self-conditioned, flow-based degradation) as a plugin for BasicSR',
    long_description=(ROOT / 'README.md').read_text('utf-8'),
    long_description_content_type='text/markdown',
    author='the selfsr_plugin developers',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['selfsr_plugin', 'selfsr_plugin.*']),
    package_data={'selfsr_plugin': ['weights/*']},
    install_requires=[
        # the start-up hook and the models lean on its internals; on Python 3.13 and later it is installed before, by
        # scripts/install_basicsr.py
        'basicsr==1.4.2',
        'facexlib',
        'lmdb',
        'mmcv-lite',
        'numpy',
        'opencv-python',
        'pillow',
        'pyyaml',
        'safetensors',
        'scikit-image',
        # BasicSR imports distutils, which left Python with 3.12 and which setuptools brings back; the tensorboard
        # command of tb-nightly, which BasicSR asks for, imports pkg_resources, which left setuptools with 82
        'setuptools<82',
        'torch>=2.6',  # the first whose torch.load(weights_only=True) withstands crafted files (CVE-2025-32434)
        'torchvision',
        'tqdm',
    ],
    extras_require={
        'metrics': METRICS,
        'onnx': ONNX,
        'wandb': WANDB,
        'heic': HEIC,
        'landmarks': LANDMARKS,
        'spandrel': SPANDREL,
        'web': WEB,
        'realesrgan': ['realesrgan'],  # restore --bg_upsampler
        # setuptools: the tests build wheels; torch-fidelity: FID is compared with it; playwright: drives the system's
        # Chromium over the web page
        'test': [
            *METRICS,
            *ONNX,
            *WANDB,
            *HEIC,
            *SPANDREL,
            *WEB,
            'hypothesis',
            'jsonschema',
            'playwright',
            'PyWavelets',  # the wavelet packets of a baseline are compared with it
            'pytest<9.2',  # with which pytest-xdist 3.8 groups nothing (its issue 1386)
            'pytest-xdist',
            'ruff~=0.17.6',
            'setuptools>=64',
            'torch-fidelity',
        ],
    },
    cmdclass={'build': Build, 'build_autoload': BuildAutoload},
    zip_safe=False,
)
