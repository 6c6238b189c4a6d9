import pytest
import torch

from hyperbolic_seg.geometry.numeric import full_precision


def test_full_precision_switches_autocast_off():
    matrix = torch.eye(2)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert (matrix @ matrix).dtype == torch.bfloat16
        with full_precision(matrix.device):
            assert (matrix @ matrix).dtype == torch.float32


@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_full_precision_works_on_every_device(device):
    matrix = torch.eye(2, device=device)
    with full_precision(matrix.device):
        assert (matrix @ matrix).shape == (2, 2)
