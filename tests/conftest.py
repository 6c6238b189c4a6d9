import os
from pathlib import Path

import pytest
import torch

# Set before any module of a hub client is imported: tests never wait for a network.
os.environ['HF_HUB_OFFLINE'] = '1'
os.environ['CUDA_VISIBLE_DEVICES'] = ''
torch.set_num_threads(2)

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope='session')
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope='session', autouse=True)
def embedding_cache(tmp_path_factory):
    """One cache of text embeddings for the run, apart from the user's."""
    folder = tmp_path_factory.mktemp('embeddings')
    os.environ['HYPERBOLIC_SEG_CACHE'] = str(folder)
    return folder


@pytest.fixture(scope='session')
def real_data() -> Path:
    """Real sky images; see the contributor notes in the README for their layout."""
    folder = Path(os.environ.get('HYPERBOLIC_SEG_DATA', REPOSITORY.parent / 'shared' / 'data'))
    if not folder.is_dir():
        pytest.skip(f'real sky images are not at {folder}; set HYPERBOLIC_SEG_DATA to their folder')
    return folder
