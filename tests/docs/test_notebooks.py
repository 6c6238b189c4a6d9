"""The tutorials run from top to bottom, in an empty folder, with nothing but the package."""

import nbformat
import pytest
from nbclient import NotebookClient

NAMES = ('quick_start', 'own_data', 'own_model', 'radius_and_hierarchy')


@pytest.mark.parametrize('name', NAMES)
def test_a_tutorial_runs(repository, tmp_path, name):
    notebook = nbformat.read(repository / 'docs' / 'tutorials' / f'{name}.ipynb', as_version=4)
    assert not any(cell.get('outputs') for cell in notebook.cells), 'committed with outputs: clear them'
    NotebookClient(notebook, timeout=600, kernel_name='python3', resources=dict(metadata=dict(path=tmp_path))).execute()
    assert any(cell.get('outputs') for cell in notebook.cells)


def test_every_tutorial_is_run_and_listed(repository):
    folder = repository / 'docs' / 'tutorials'
    assert {path.stem for path in folder.glob('*.ipynb')} == set(NAMES)
    assert set(NAMES) <= set((folder / 'index.md').read_text().split())
