"""The pages: nothing that is there goes unsaid, and what they point at is there."""

import re

import pytest

# What a module needs for itself.
INTERNAL = (
    'hyperbolic_seg.geometry.numeric',
    'hyperbolic_seg.geometry.numeric',
    'hyperbolic_seg.models.refinement.elimination',
)


@pytest.fixture(scope='module')
def pages(repository):
    docs = repository / 'docs'
    found = [repository / 'README.md', *docs.glob('*.md'), *docs.glob('api/*.md'), *docs.glob('tutorials/*.md')]
    return {path: path.read_text(encoding='utf-8') for path in found}


def test_links_between_files_lead_somewhere(pages):
    for page, text in pages.items():
        for target in re.findall(r'\]\(([^)\s]+)\)', text):
            if re.match(r'[a-z]+:|#', target) or '_figures/' in target:
                continue
            assert (page.parent / target.partition('#')[0]).exists(), f'{page.name} points at {target}'


def test_every_config_is_named(repository, pages):
    reference = pages[repository / 'docs' / 'configs.md']
    for path in (repository / 'configs').rglob('*.py'):
        name = path.relative_to(repository / 'configs').with_suffix('').as_posix()
        assert name.startswith('_base_') or f'| `{name}` |' in reference, name
    for name in re.findall(r'^\| `([^`]+)` \|', reference, re.M):
        assert (repository / 'configs' / f'{name}.py').is_file(), name


def test_every_tool_is_named(repository, pages):
    reference = pages[repository / 'docs' / 'tools.md']
    for path in (repository / 'tools').rglob('*.*'):
        text = path.read_text(encoding='utf-8', errors='ignore')
        if path.suffix == '.sh' or (path.suffix == '.py' and "__name__ == '__main__'" in text):
            assert f'`{path.name}' in reference, path


def test_every_module_has_its_place_in_the_reference(repository, pages):
    package = repository / 'hyperbolic_seg'
    named = set(re.findall(r'automodule:: (\S+)', ''.join(pages.values())))
    for path in package.rglob('*.py'):
        parts = path.relative_to(repository).with_suffix('').parts
        if '.mim' in parts or parts[1] in ('cli', 'web') or path.name.startswith('_') or len(parts) == 2:
            continue
        if not re.search(r'^(def|class) [a-zA-Z]', path.read_text(encoding='utf-8'), re.M):
            continue
        ways = {'.'.join(parts), '.'.join(parts[:-1])}
        assert ways & (named | set(INTERNAL)), f'{".".join(parts)} is not in docs/api'
