"""Options of several values that are given twice: all of them count."""

import ast
from pathlib import Path

import pytest
from common_kit import write_faces

from selfsr_plugin import evaluate, split_faces
from selfsr_plugin.hook.entry_points import is_for_us
from selfsr_plugin.options import parse_arguments

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted([*(ROOT / 'selfsr_plugin').rglob('*.py'), *(ROOT / 'scripts').glob('[!m]*.py')])


def options_of_several_values():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text('utf-8'))):
            if isinstance(node, ast.Call) and getattr(node.func, 'attr', '') == 'add_argument':
                keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
                if keywords.get('nargs') in ("'+'", "'*'") and ast.unparse(node.args[0]).startswith("'-"):
                    yield f'{path.name} {ast.unparse(node.args[0])}', keywords


def test_none_replaces_what_was_given_before():
    """argparse keeps the last of them alone and says nothing; a default that is no empty list would be added to."""
    found = dict(options_of_several_values())
    assert "options.py '--force_yml'" in found and len(found) >= 10
    for option, keywords in found.items():
        assert keywords.get('action') == "'extend'", option
        assert keywords.get('default') in (None, '[]'), option


def test_overrides(tmp_path):
    given = ['--force_yml', 'name=mine', 'scale=2', '--force_yml', 'scale=4']
    assert parse_arguments(['-opt', 'a.yml', *given]).force_yml == ['name=mine', 'scale=2', 'scale=4']
    file = tmp_path / 'options.yml'
    file.write_text('model_type: SRModel\n')
    assert is_for_us(['-opt', str(file), '--force_yml', 'model_type=SelFSRModel', '--force_yml', 'name=mine'])


def test_metrics_and_shares(tmp_path, capsys):
    for name in ('restored', 'reference'):
        write_faces(tmp_path / name, 4, 64, 0)
    evaluate.main(
        [
            *('--restored', str(tmp_path / 'restored'), '--reference', str(tmp_path / 'reference')),
            *('--metrics', 'psnr', '--metrics', 'ssim'),
        ]
    )
    printed = capsys.readouterr().out
    assert '| psnr |' in printed and '| ssim |' in printed
    parts = ['--input', str(tmp_path / 'restored'), '--output', str(tmp_path / 'PART'), '--person', '.*']
    split_faces.main([*parts, '--shares', 'a=0.5', '--shares', 'b=0.5'])
    assert {path.name for path in tmp_path.iterdir() if path.name in 'ab'} == {'a', 'b'}
    with pytest.raises(SystemExit):
        split_faces.main([*parts, '--shares', 'a=0.5'])
