"""Visualizer for MMSegmentation's hooks."""

from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np
from mmengine.dist import master_only
from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer

from hyperbolic_seg.visualization.panels import color_labels, color_values, legend, panel, panel_width


@VISUALIZERS.register_module()
class HyperSegVisualizer(SegLocalVisualizer):
    """Draws input, ground truth, prediction and confidence side by side, with a legend below.

    Class names come from the data sample if it has any, otherwise from the dataset. Arguments are those of
    :class:`mmseg.visualization.SegLocalVisualizer`.
    """

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: SegDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        step: int = 0,
        with_labels: bool | None = True,
        **kwargs: Any,
    ) -> None:
        """Draw a panel for an RGB image (H, W, 3), and save, show or log it."""
        drawn = self.draw(image, data_sample, draw_gt=draw_gt, draw_pred=draw_pred, with_legend=bool(with_labels))
        self.set_image(drawn)
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(drawn[..., ::-1], out_file)
        else:
            self.add_image(name, drawn, step)

    def draw(
        self,
        image: np.ndarray,
        data_sample: SegDataSample | None,
        *,
        draw_gt: bool = True,
        draw_pred: bool = True,
        with_legend: bool = True,
    ) -> np.ndarray:
        """Return the panel as an RGB image."""
        images: list[tuple[str, np.ndarray]] = [('input', image)]
        names, palette = self._words(data_sample)
        scale = None
        if data_sample is not None and draw_gt and 'gt_sem_seg' in data_sample:
            truth = _numpy(data_sample.gt_sem_seg)
            images.append(('ground truth', color_labels(truth, self.dataset_meta['palette'])))
        if data_sample is not None and draw_pred and 'pred_sem_seg' in data_sample:
            images.append(('prediction', color_labels(_numpy(data_sample.pred_sem_seg), palette)))
        if data_sample is not None and draw_pred and 'pred_confidence' in data_sample:
            confidence = _numpy(data_sample.pred_confidence)
            scale = ('probability of the label', float(confidence.min()), float(confidence.max()))
            images.append(('confidence', color_values(confidence, *scale[1:])))
        below = None
        if with_legend and len(images) > 1:
            width = panel_width([image for _, image in images])
            below = legend(names, palette, width, scale=scale)
        return panel(images, below=below)

    def _words(self, data_sample: SegDataSample | None) -> tuple[Sequence[str], Sequence[Sequence[int]]]:
        if data_sample is not None and data_sample.get('classes') is not None:
            return data_sample.classes, data_sample.palette
        return self.dataset_meta['classes'], self.dataset_meta['palette']


def _numpy(data: Any) -> np.ndarray:
    return np.asarray(data.data.squeeze(0).cpu().numpy())
