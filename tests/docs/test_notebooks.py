"""The tutorials run from top to bottom, in an empty folder, with nothing but the package."""

import nbformat
import pytest

from tests import processes

NAMES = ('quick_start', 'own_data', 'own_model', 'radius_and_hierarchy')


@pytest.mark.parametrize('name', NAMES)
def test_a_tutorial_runs(repository, tmp_path, name):
    path = repository / 'docs' / 'tutorials' / f'{name}.ipynb'
    cells = nbformat.read(path, as_version=4).cells
    assert not any(cell.get('outputs') for cell in cells), 'committed with outputs: clear them'
    done = processes.run('IPython', '--no-banner', '--colors=NoColor', path, cwd=tmp_path, MPLBACKEND='Agg')
    assert done.returncode == 0 and done.stdout, done.stdout[-3000:] + done.stderr[-1000:]


def test_every_tutorial_is_run_and_listed(repository):
    folder = repository / 'docs' / 'tutorials'
    assert {path.stem for path in folder.glob('*.ipynb')} == set(NAMES)
    assert set(NAMES) <= set((folder / 'index.md').read_text().split())
