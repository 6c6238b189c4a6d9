"""Channels-last weights."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS


@HOOKS.register_module()
class MemoryFormatHook(Hook):
    """Lay out convolution weights channels-last, which convolutions of the same layout then pass on.

    Faster on CPUs and on GPUs with tensor cores; the results are those of the usual layout to rounding.
    """

    def before_run(self, runner: Runner) -> None:
        """Convert the model's 4-d parameters and buffers."""
        runner.model.to(memory_format=torch.channels_last)
