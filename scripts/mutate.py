"""Do the tests notice when the code computes something else? ``python scripts/mutate.py [WORD ...]`` tries it.

Each mutation of scripts/mutations.py (those with a WORD in their name; all by default) is made in a copy of the
project, and the tests named beside it are run there. A mutation is killed if a test fails, survived if none does, and
broken if it left no Python that could be imported. Before the first, the same tests must pass without any mutation.

Ends with status 1 unless every mutation was killed. torch is imported once and the processes of the tests are forked
from there, so that a mutation takes seconds; this needs Linux or macOS.
"""

import argparse
import importlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[1]
COPIED = ('selfsr_plugin', 'tests', 'scripts', 'options', 'pyproject.toml')
LINKED = ('datasets', 'docs', 'README.md')
PRELOADED = ('torch', 'torchvision', 'cv2', 'scipy.stats', 'scipy.ndimage', 'pytest')  # nothing that imports basicsr
TIMEOUT = 900  # seconds; what makes the tests hang is noticed too


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('words', nargs='*', metavar='WORD', help='only mutations with one of these in their name')
    words = parser.parse_args(arguments).words
    chosen = [each for each in MUTATIONS if not words or any(word in each.name for word in words)]
    complaints = [text for each in chosen for text in complaint(each)]
    if complaints or not chosen:
        print(*complaints or ['No mutation has such a name.'], sep='\n', file=sys.stderr)
        return 2

    os.environ.update(PYTHONDONTWRITEBYTECODE='1', OMP_NUM_THREADS='1')
    sys.dont_write_bytecode = True  # two mutations of one second and one length would share their bytecode
    for name in PRELOADED:  # once, not in every process
        importlib.import_module(name)

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copy_project(copy)
        status, output = run_tests(copy, sorted({test for each in chosen for test in each.tests}))
        if status != 0:
            print(output, 'The tests fail without any mutation.', sep='\n', file=sys.stderr)
            return 2
        width = max(len(each.name) for each in chosen)
        counts = dict(killed=0, survived=0, broken=0)
        for each in chosen:
            start = time.monotonic()
            outcome, by = attempt(copy, each)
            counts[outcome] += 1
            print(f'{each.name:{width}}  {outcome:8}  {time.monotonic() - start:5.1f} s  {by}', flush=True)
    print(f'{len(chosen)} mutations: ' + ', '.join(f'{count} {outcome}' for outcome, count in counts.items()))
    return int(counts['killed'] < len(chosen))


def complaint(mutation: Mutation) -> list[str]:
    """What keeps a mutation from being made, or nothing."""
    path = ROOT / 'selfsr_plugin' / mutation.file
    if not path.is_file():
        return [f'{mutation.name}: there is no file {path.relative_to(ROOT)}.']
    count = path.read_text(encoding='utf-8').count(mutation.old)
    return [] if count == 1 else [f'{mutation.name}: {path.relative_to(ROOT)} has {count} times: {mutation.old!r}']


def copy_project(folder: Path) -> None:
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(ROOT / name, folder)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)


def attempt(copy: Path, mutation: Mutation) -> tuple[str, str]:
    """-> what became of a mutation, and the test that noticed it."""
    path = copy / 'selfsr_plugin' / mutation.file
    original = path.read_text(encoding='utf-8')
    path.write_text(original.replace(mutation.old, mutation.new), encoding='utf-8')
    try:
        status, output = run_tests(copy, mutation.tests)
    finally:
        path.write_text(original, encoding='utf-8')
    if status is None:
        return 'killed', f'no end within {TIMEOUT} s'
    lines = output.strip().splitlines() or ['']
    failed = [line.split(' - ')[0].removeprefix('FAILED tests/') for line in lines if line.startswith('FAILED ')]
    if status == 1 and failed:
        return 'killed', failed[0]
    return ('survived', '') if status == 0 else ('broken', lines[-1])


def run_tests(copy: Path, tests: Sequence[str]) -> tuple[int | None, str]:
    """-> pytest's exit status (None: it did not end) and its output."""
    log = copy / 'output.txt'
    process = multiprocessing.get_context('fork').Process(target=_pytest, args=(copy, list(tests), log))
    process.start()
    process.join(TIMEOUT)
    if process.is_alive():
        process.kill()
        process.join()
        return None, ''
    return process.exitcode, log.read_text(encoding='utf-8', errors='replace')


def _pytest(copy: Path, tests: list[str], log: Path) -> None:
    with open(log, 'wb') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(copy)
    os.environ['PYTHONPATH'] = str(copy)  # for the processes that tests start
    sys.path.insert(0, str(copy))
    import pytest
    import selfsr_plugin

    if not Path(selfsr_plugin.__file__).is_relative_to(copy.resolve()):
        sys.exit(f'This would test {selfsr_plugin.__file__} and not the copy.')
    status = pytest.main(['-q', '-x', '-p', 'no:cacheprovider', '--tb=line', *(f'tests/{test}' for test in tests)])
    sys.stdout.flush()
    os._exit(int(status))


if __name__ == '__main__':
    sys.exit(main())
