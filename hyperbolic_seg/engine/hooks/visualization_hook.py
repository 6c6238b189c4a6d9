"""Panels of predictions during validation and test."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.runner import Runner
from mmseg.engine.hooks import SegVisualizationHook
from mmseg.registry import HOOKS
from mmseg.structures import SegDataSample

__all__ = ['PanelVisualizationHook']


@HOOKS.register_module()
class PanelVisualizationHook(SegVisualizationHook):
    """Draws the images of the batch, where :class:`mmseg.engine.SegVisualizationHook` reads their files.

    So it also draws images without a file, such as rendered ones, and reads nothing for images that it does not draw.
    Arguments are those of the original; ``interval`` counts images and holds for tests too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tested = 0

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict[str, Any], outputs: Sequence[SegDataSample]
    ) -> None:
        """Draw the first image of every ``interval``-th batch."""
        if self.draw and batch_idx % self.interval == 0:
            self._draw('val', data_batch['inputs'][0], outputs[0], step=runner.iter)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict[str, Any], outputs: Sequence[SegDataSample]
    ) -> None:
        """Draw every ``interval``-th image."""
        if not self.draw:
            return
        images = data_batch['inputs']
        if isinstance(images[0], (list, tuple)):  # test-time augmentation: draw the first view
            images = images[0]
        for image, sample in zip(images, outputs, strict=True):
            if self._tested % self.interval == 0:
                self._draw('test', image, sample, step=self._tested)
            self._tested += 1

    def _draw(self, phase: str, image: torch.Tensor, sample: SegDataSample, *, step: int) -> None:
        resized = F.interpolate(image[None].float(), sample.ori_shape, mode='bilinear', align_corners=False)
        rgb = resized[0].flip(0).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
        stem = sample.img_path.rsplit('/', 1)[-1].rsplit('.', 1)[0]
        self._visualizer.add_datasample(
            f'{phase}_{stem}', rgb, data_sample=sample, show=self.show, wait_time=self.wait_time, step=step
        )
