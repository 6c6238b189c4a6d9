"""The public face: what a user imports, how little that costs, and where the version is."""

import re
import subprocess
import sys

import pytest

import hyperbolic_seg
from hyperbolic_seg import apis

HEAVY = ('torch', 'torchvision', 'mmseg', 'mmengine', 'mmcv', 'open_clip', 'timm', 'numpy')


def imported(code):
    """Packages that a fresh interpreter imports for some code."""
    report = f'import sys; {code}; print(*sorted({{name.partition(".")[0] for name in sys.modules}}))'
    return set(
        subprocess.run([sys.executable, '-c', report], capture_output=True, text=True, check=True).stdout.split()
    )


def test_the_package_imports_nothing_heavy():
    assert not set(HEAVY) & imported('import hyperbolic_seg, hyperbolic_seg.apis')
    assert not set(HEAVY[:-1]) & imported('from hyperbolic_seg import Vocabulary; Vocabulary.load("voc20")')


@pytest.mark.parametrize('package', [hyperbolic_seg, apis], ids=lambda package: package.__name__)
def test_every_name_is_there(package):
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing


def test_the_package_is_typed(repository):
    assert (repository / 'hyperbolic_seg' / 'py.typed').is_file()
    assert 'py.typed' in (repository / 'pyproject.toml').read_text(encoding='utf-8')


def test_the_version_is_in_one_place(repository):
    files = ['pyproject.toml', 'CITATION.cff', 'README.md', *(repository / 'docs').glob('*.md')]
    version = re.escape(hyperbolic_seg.__version__)
    stated = re.compile(rf'^version\s*[:=]\s*[\'"]?\d|hyperbolic[-_]seg(==|-){version}', re.M)
    for file in files:
        assert not stated.search((repository / file).read_text(encoding='utf-8')), f'{file} repeats the version'
