import os
from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def parity_folder(repository) -> Path:
    """Folder of what the released code of other projects computes, beside that of the development data."""
    data = Path(os.environ.get('HYPERBOLIC_SEG_DATA', repository.parent / 'shared' / 'data'))
    folder = data.parent / 'parity'
    if not folder.is_dir():
        pytest.skip(f'no records of released code in {folder}: set HYPERBOLIC_SEG_DATA to the data folder beside them')
    return folder
