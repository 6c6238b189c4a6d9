import torch
from torch import nn

from hyperbolic_seg.engine import MemoryFormatHook


def test_weights_are_laid_out_channels_last():
    class Runner:
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))

    inputs = torch.randn(2, 3, 9, 9)
    Runner.model.eval()
    before = Runner.model(inputs)
    MemoryFormatHook().before_run(Runner)
    assert Runner.model[0].weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(Runner.model(inputs), before)
