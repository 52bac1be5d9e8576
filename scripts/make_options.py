"""Write the option files in options/, their JSON schema, and the page docs/options.md.

Users copy whole files, so whole files are what options/ holds; but only four are written by hand, those in examples/,
train_selfsr_real.yml and test_selfsr_real.yml. Each other file is stated in experiment_options.py, those of the methods
compared with in baseline_options_table1.py and baseline_options_table2.py: a base and what it is about, a header and
the keys that differ, with the comment that says why. A key that the base gains is in all of them after

    python scripts/make_options.py

The schema (options/schema.json, for editors: completion and checks while typing) and the page come from the dataclasses
in which the models state their options. A test holds that running this changes nothing.
"""

import argparse
import difflib
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from experiment_options import EXPERIMENTS
from option_reference import json_schema, reference_page

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = ROOT / 'options'
COLUMN = 35  # of comments


class File:
    """An option file as it is read: values, and the comment of each key by its dotted name."""

    def __init__(self, name: str, texts: dict[str, str]) -> None:
        text = texts[name] if name in texts else (OPTIONS / name).read_text('utf-8')
        self.values = json.loads(json.dumps(yaml.safe_load(text)))  # of its own, where the text repeats an *anchor
        self.comments: dict[str, str] = {}
        open_keys: list[tuple[int, str]] = []
        for line in text.splitlines():
            found = re.match(r'( *)(\w+):(.*)', line)
            if not found:
                continue
            indent, key, rest = len(found[1]), found[2], found[3]
            open_keys = [each for each in open_keys if each[0] < indent] + [(indent, key)]
            _, mark, comment = rest.partition('  # ')
            if not mark and rest.startswith(' # '):
                comment = rest[3:]
            if comment:
                self.comments['.'.join(each for _, each in open_keys)] = comment.strip()


def apply(values: dict[str, Any], comments: dict[str, str], about: str) -> str:
    """Carry out the differences of an experiment on values and comments. Returns its header."""
    header, before = [], ''
    for line in about.strip().splitlines():
        if line.startswith('#'):
            header.append(line)
        elif line.startswith('- '):
            _drop(values, line[2:])
        elif ' <- ' in line:
            target, source = line.split(' <- ')
            _move(values, comments, source, target)
            before = target
        else:
            key, rest = line.split(':', 1)
            text, _, comment = rest.partition('# ')
            _set(values, key, yaml.safe_load(text) if text.strip() else None, before, is_section=not text.strip())
            comments.pop(key, None)
            if comment:
                comments[key] = comment
            before = key
    return '\n'.join(header)


def _find(values: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    *above, last = key.split('.')
    for each in above:
        values = values.setdefault(each, {})
    return values, last


def _drop(values: dict[str, Any], key: str) -> None:
    section, last = _find(values, key)
    del section[last]


def _set(values: dict[str, Any], key: str, value: Any, before: str, is_section: bool) -> None:
    section, last = _find(values, key)
    if is_section:
        value = section.get(last) or {}
    above = key.rpartition('.')[0]
    below = before.removeprefix(f'{above}.') if above else before
    neighbour = below.split('.')[0] if not above or below != before else None
    if last in section or neighbour not in section:
        section[last] = value
        return
    items = list(section.items())
    section.clear()
    for name, each in items:
        section[name] = each
        if name == neighbour:
            section[last] = value


def _move(values: dict[str, Any], comments: dict[str, str], source: str, target: str) -> None:
    section, last = _find(values, source)
    moved = section.pop(last)
    holder, name = _find(values, target)
    holder[name] = moved
    for key in [key for key in comments if key.startswith(f'{target}.') and not key.startswith(f'{source}.')]:
        del comments[key]
    for key in [key for key in comments if key == source or key.startswith(f'{source}.')]:
        comments[target + key.removeprefix(source)] = comments.pop(key)


def write(values: dict[str, Any], comments: dict[str, str], compact: bool) -> str:
    """The lines of an option file; with ``compact`` sections with a type, below the top level, take a line each."""
    lines: list[str] = []

    def add(node: dict[str, Any], prefix: str, indent: int) -> None:
        for name, value in node.items():
            key = f'{prefix}.{name}' if prefix else name
            if indent == 0 and (isinstance(value, dict) or key == 'name'):
                lines.append('')
            flat = (
                isinstance(value, dict)
                and indent > 0
                and compact
                and prefix != 'datasets'
                and not any(isinstance(each, dict) for each in value.values())
                and ('type' in value or name == 'wandb')
            )
            flat = flat or isinstance(value, dict) and prefix == 'val.metrics'
            opening = isinstance(value, dict) and not flat
            text = f'{" " * indent}{name}:' + ('' if opening else f' {_yaml(value)}')
            own = [comments[key]] if key in comments else []
            if flat:  # what its keys say stands in the one line
                own += [comments[f'{key}.{each}'] for each in value if f'{key}.{each}' in comments]
            comment = '; '.join(own)
            gap = '    ' if len(text) >= COLUMN - 1 else ' ' * (COLUMN - len(text))
            lines.append(f'{text}{gap}# {comment}' if comment else text)
            if opening:
                add(value, key, indent + 2)

    add(values, '', 0)
    return '\n'.join(lines) + '\n'


def _yaml(value: Any) -> str:
    if isinstance(value, dict):
        return '{' + ', '.join(f'{name}: {_yaml(each)}' for name, each in value.items()) + '}'
    if isinstance(value, list):
        return '[' + ', '.join(map(_yaml, value)) + ']'
    if value is None:
        return '~'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and 0 < abs(value) < 1e-3:
        mantissa, exponent = f'{value:e}'.split('e')
        return f'!!float {float(mantissa):g}e{int(exponent)}'
    return str(value)


def schema_line(name: str) -> str:
    """The first line of an option file: where an editor finds the schema."""
    return f'# yaml-language-server: $schema={"../" * name.count("/")}schema.json'


def option_files() -> dict[str, str]:
    """The text of every generated option file, by its name in options/."""
    texts: dict[str, str] = {}
    for name in EXPERIMENTS:
        _generate(name, texts)
    return texts


def _generate(name: str, texts: dict[str, str]) -> None:
    """Add the text of a file to ``texts``, those of its bases before it, wherever they are stated."""
    if name in texts or name not in EXPERIMENTS:
        return
    experiment = EXPERIMENTS[name]
    _generate(experiment.base, texts)
    base = File(experiment.base, texts)
    comments = base.comments if experiment.comments else {}
    header = apply(base.values, comments, experiment.about)
    texts[name] = f'{schema_line(name)}\n{header}\n' + write(base.values, comments, not experiment.comments)


def everything() -> dict[Path, str]:
    """All that this script writes."""
    found = {OPTIONS / name: text for name, text in option_files().items()}
    found[OPTIONS / 'schema.json'] = json_schema()
    found[ROOT / 'docs/options.md'] = reference_page()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--check', action='store_true', help='write nothing; show what would change and end with status 1'
    )
    check = parser.parse_args().check
    changed = 0
    for path, text in everything().items():
        before = path.read_text('utf-8') if path.exists() else ''
        if text == before:
            continue
        changed += 1
        if check:
            sys.stdout.writelines(
                difflib.unified_diff(before.splitlines(True), text.splitlines(True), str(path), 'generated')
            )
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, 'utf-8')
            print(f'wrote {path.relative_to(ROOT)}')
    if check and changed:
        sys.exit(1)


if __name__ == '__main__':
    main()
