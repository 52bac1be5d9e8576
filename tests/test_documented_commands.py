"""The commands that README and docs print are run as printed, each in a folder of its own that holds what it names.

What they read is stood in for by a few small faces and untrained networks; the detector of faces, whose weights cannot
be had everywhere, by one that finds two in every photo. Long trainings and tests are taken as far as the check of their
options: all option files are run for a while in test_experiments.py.
"""

import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from selfsr_plugin.preparation.faces import Face

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md')), ROOT / 'datasets/demo/README.md']
OURS = re.compile(
    r'^(?:\w+=\S+ )*(?:python|torchrun|srun)\b.*?(?:-m (selfsr_plugin\.\w+|basicsr\.\w+)|(scripts/\w+\.py))\s?(.*)$'
)
# Run by tests of their own, or for hours.
ELSEWHERE = {
    'scripts/install_basicsr.py': 'test_install.py',
    'scripts/benchmark_threads.py': 'for minutes',
    'scripts/benchmark_lmdb.py': 'for minutes',
    'scripts/benchmark_loader.py': 'for minutes',
    'scripts/benchmark_import.py': 'for minutes',
    'scripts/benchmark_training.py': 'for an hour',
    'scripts/benchmark_inference.py': 'for minutes',
    'scripts/benchmark_versions.py': 'for minutes',
    'scripts/mutate.py': 'for an hour',
    'scripts/make_demo_data.py': 'test_demo_data.py',
    'scripts/make_portrait_pairs.py': 'test_portrait_pairs.py',
    'scripts/figure_web_page.py': 'test_figures.py, and a browser',
    'scripts/reproduce.py': 'test_reproduce.py',
    'scripts/results_page.py': 'test_results_page.py',
    'scripts/demo_report.py': 'quickstart.sh',
    'scripts/short_runs.py': 'test_experiments.py',
    'scripts/make_options.py': 'test_make_options.py',
}


def documented() -> list:
    """(page, module or script, arguments) of every command that is complete as printed."""
    found = {}
    for page in PAGES:
        text = re.sub(r'\\\n\s*', ' ', page.read_text('utf-8'))
        lines = [
            line.split(' #')[0] for block in re.findall(r'```\w*\n(.*?)```', text, re.S) for line in block.splitlines()
        ]
        lines += re.findall(r'`([^`\n]+)`', re.sub(r'```.*?```', '', text, flags=re.S))
        for line in map(str.strip, lines):
            match = OURS.match(line)
            if match and match[3] and '...' not in line and 'FILE' not in match[3].split():
                target = match[1] or match[2]
                found.setdefault((target, ' '.join(match[3].split())), page.name)
    return [
        pytest.param(target, arguments, id=f'{page}: {target} {arguments[:60]}')
        for (target, arguments), page in found.items()
    ]


COMMANDS = documented()


def test_they_are_found():
    """Or this file tests nothing."""
    targets = [parameters.values[0] for parameters in COMMANDS]
    assert len(COMMANDS) > 40 and {
        'basicsr.train',
        'selfsr_plugin.restore',
        'selfsr_plugin.split_faces',
        'basicsr.test',
        'scripts/figure_flow.py',
    } <= set(targets)


def two_faces(image, _):
    height, width = image.shape[:2]
    side = 0.4 * min(height, width)
    points = np.array([[0.34, 0.4], [0.66, 0.4], [0.5, 0.57], [0.37, 0.74], [0.63, 0.74]])
    return [
        Face(
            box=(x + 0.2 * side, y + 0.1 * side, x + 0.8 * side, y + 0.9 * side),
            landmarks=points * side + (x, y),
            score=0.99,
        )
        for x, y in ((0.05 * width, 0.1 * height), (0.5 * width, 0.5 * height))
    ]


def faces(folder: Path, side: int, suffix: str = '') -> None:
    folder.mkdir(parents=True)
    for path in sorted((ROOT / 'datasets/demo/test_hr').glob('*.png')):
        cv2.imwrite(str(folder / f'{path.stem}{suffix}.png'), cv2.resize(cv2.imread(str(path)), (side, side)))


def photos(folder: Path, side: int = 450) -> None:
    folder.mkdir(parents=True)
    for number in range(40):  # enough for a part of one twentieth
        coarse = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f'{number:06d}.jpg'), cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR))


def network(path: Path) -> None:
    import selfsr_plugin
    from selfsr_plugin.archs import FlowDegradationNet, SelfCondSRNet
    from selfsr_plugin.engine.networks import describe

    settings = (
        dict(type='FlowDegradationNet', num_feat=4, num_block=1)
        if path.name.startswith('net_deg')
        else dict(type='SelfCondSRNet', widths=[8, 8], num_block=1)
    )
    net = {'FlowDegradationNet': FlowDegradationNet, 'SelfCondSRNet': SelfCondSRNet}[settings['type']](
        **{key: value for key, value in settings.items() if key != 'type'}
    )
    net.built_from = describe(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    selfsr_plugin.save(net, path)


def supply(target: str, words: list) -> None:
    """Make what a command reads and is not there."""
    for number, word in enumerate(words):
        flag, value = words[number - 1] if number else '', Path(word.rpartition('=')[2])
        if word.startswith('-') or value.exists():
            continue
        if flag == '--input' and str(value / 'manifest.jsonl') in words:
            photos(Path('photos_of_manifest'))
            importlib.import_module('selfsr_plugin.prepare_faces').main(
                ['--input', 'photos_of_manifest', '--output', str(value)]
            )
        elif value.suffix in ('.pth', '.safetensors') and flag != '--output':
            network(value)
        elif flag == '--annotations' and value.suffix == '.csv':
            points = ','.join(map(str, np.random.default_rng(0).uniform(100, 300, 136)))
            value.write_text(''.join(f'{i:06d}.jpg,{points}\n' for i in range(40)))
        elif flag == '--annotations':
            boxes = ''.join(f'{i:06d}.jpg 120 130 180 130 150 165 125 200 175 200\n' for i in range(40))
            value.parent.mkdir(parents=True, exist_ok=True)
            value.write_text(
                f'40\nlefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y '
                f'rightmouth_x rightmouth_y\n{boxes}'
            )
        elif flag == '--input' and target.endswith('prepare_faces'):
            photos(value, 150 if '--max-face' in words else 450)
        elif flag == '--input' and target.endswith('restore') and '--faces' not in words:
            cv2.imwrite(str(value), np.full((300, 300, 3), 99, np.uint8))
        elif flag == '--input' and target.endswith('split_faces'):
            photos(Path('photos_of_faces'))
            importlib.import_module('selfsr_plugin.prepare_faces').main(
                ['--input', 'photos_of_faces', '--output', str(value)]
            )
        elif flag == '--input' and value.suffix == '.lmdb':
            faces(Path('faces_for_lmdb'), 64)
            importlib.import_module('selfsr_plugin.create_lmdb').main(
                ['--input', 'faces_for_lmdb', '--output', str(value)]
            )
        elif flag == '--landmarks':
            importlib.import_module('selfsr_plugin.make_landmarks').main(
                ['--input', words[words.index('--input') + 1], '--output', str(value), '--detector', 'dlib']
            )
        elif flag in ('--restored', '--reference') or '=results/' in word:
            suffix = words[words.index('--suffix') + 1] if '--suffix' in words and flag == '--restored' else ''
            faces(value, 64, suffix or ('_test_selfsr_demo' if '=results/' in word else ''))
        elif flag in ('--lq', '--faces') or flag == '--input' and target.endswith('restore'):
            faces(value, 16)
        elif flag in ('--input', '--gt'):
            faces(value, 64)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A clone of the project with nothing in it but what git has."""
    from selfsr_plugin import arguments, loading
    from selfsr_plugin.photo_restoration import restorer
    from selfsr_plugin.baselines import landmark_sources
    from selfsr_plugin.preparation import detection, runner

    for name in ('options', 'scripts', 'docs'):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / 'datasets').mkdir()
    (tmp_path / 'datasets/demo').symlink_to(ROOT / 'datasets/demo')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, 'FaceDetector', lambda *_: two_faces)
    monkeypatch.setattr(detection, 'FaceDetector', lambda *_: two_faces)
    monkeypatch.setattr(restorer, 'FaceDetector', lambda *_: two_faces)
    landmarks = np.random.default_rng(0).uniform(16, 48, (68, 2))
    monkeypatch.setitem(landmark_sources.DETECTORS, 'dlib', lambda *_: lambda image: landmarks)
    network(tmp_path / 'installed/face_x4.safetensors')
    for module in (arguments, loading):
        monkeypatch.setattr(module, 'SHIPPED_NETWORK', tmp_path / 'installed/face_x4.safetensors')
    return tmp_path


@pytest.mark.parametrize('target, arguments', COMMANDS)
def test_runs_as_printed(place, monkeypatch, target, arguments):
    if target in ELSEWHERE:
        assert (ROOT / target).is_file()
        return
    # One process: the detector that stands in is this one's alone.
    words = shlex.split(arguments.replace('$part', 'train_hr').replace('--workers 2', '--workers 1'))
    supply(target, words)
    if any(name in arguments for name in ('lpips', 'fid')):
        pytest.skip('needs weights that cannot be shipped')
    if target.rpartition('.')[2] in ('train', 'test'):
        from selfsr_plugin.options import parse_arguments, read_options
        from selfsr_plugin.run.setup import check

        args = parse_arguments(words)
        opt = read_options(args)
        for key, value in (opt.get('path') or {}).items():
            if key.startswith('pretrain_') and value and not Path(value).exists():
                network(Path(value))  # of a run that is documented before
        check(opt, args, is_train=target.endswith('train'))
        return
    torch.manual_seed(0)
    if target.startswith('scripts/'):
        monkeypatch.setattr(sys, 'argv', [target, *words])
        runpy.run_path(str(ROOT / target), run_name='__main__')
    else:
        importlib.import_module(target).main(words)
