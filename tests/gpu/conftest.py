"""Tests of what only a GPU shows. HYPERBOLIC_SEG_TEST_DEVICE=cuda runs them, =cpu rehearses them."""

import os

import pytest

# cuBLAS adds in a fixed order only with a workspace of a fixed size, which it reads when it starts.
os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
import torch

DEVICE = os.environ.get('HYPERBOLIC_SEG_TEST_DEVICE')


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == 'gpu':
            item.add_marker('gpu')


@pytest.fixture
def device():
    """The device of the test."""
    if DEVICE is None:
        pytest.skip('needs a GPU: on a machine with one, HYPERBOLIC_SEG_TEST_DEVICE=cuda runs this test')
    if DEVICE == 'cuda' and not torch.cuda.is_available():
        pytest.fail('HYPERBOLIC_SEG_TEST_DEVICE=cuda, but PyTorch sees no GPU')
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # compared with float32 of the CPU
    yield torch.device(DEVICE)
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
