"""IoU of predictions whose vocabulary may differ from that of the labels."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from torch import Tensor

from hyperbolic_seg.text import Concept, Vocabulary

AVERAGES = ('union', 'labels')


@METRICS.register_module()
class VocabularyIoUMetric(IoUMetric):
    """:class:`mmseg.evaluation.IoUMetric` that follows the vocabulary of the model and reports every class.

    A predicted concept counts as the class of the dataset with its name, or else as its nearest ancestor among the
    classes: "car" is right where the label is "vehicle". In addition to ``mIoU``, ``mAcc`` and ``aAcc`` it reports
    ``IoU/NAME`` for every class that occurs, in percent.

    Fields differ in which classes ``mIoU`` is the mean of. MMSegmentation takes all classes that occur in labels or
    predictions, so a class that is predicted by mistake counts as 0. detectron2 takes those that occur in labels, and
    so do the published figures of open vocabularies. For one confusion of 459 classes this is 14.37 or 18.31.

    Args:
        *args: Arguments of :class:`mmseg.evaluation.IoUMetric`.
        average_over: ``'union'``, the rule of MMSegmentation, or ``'labels'``, that of detectron2. With ``'labels'``
            the mean by the other rule is reported too, as ``mIoU_union``.
        **kwargs: Arguments of :class:`mmseg.evaluation.IoUMetric`.

    Raises:
        ValueError: ``average_over`` is neither, or ``'labels'`` without ``mIoU`` among ``iou_metrics``.
    """

    def __init__(self, *args: Any, average_over: str = 'union', **kwargs: Any) -> None:
        if average_over not in AVERAGES:
            raise ValueError(f'average_over={average_over!r}: expected one of {AVERAGES}')
        super().__init__(*args, **kwargs)
        if average_over == 'labels' and 'mIoU' not in self.metrics:
            raise ValueError(
                f"average_over='labels' is a rule for mIoU, and iou_metrics={self.metrics!r} lacks it: add 'mIoU', or "
                'leave average_over out'
            )
        self.average_over = average_over

    def process(self, data_batch: dict[str, Any], data_samples: Sequence[dict[str, Any]]) -> None:
        """Translate predictions into classes of the dataset and count areas.

        Raises:
            ValueError: A predicted concept is neither a class nor below one.
        """
        super().process(data_batch, [self._translated(sample) for sample in data_samples])

    def _translated(self, sample: dict[str, Any]) -> dict[str, Any]:
        classes = tuple(self.dataset_meta['classes'])
        names = sample.get('classes')
        if names is None or tuple(names) == classes:
            return sample
        lineages = sample.get('lineages') or tuple((name,) for name in names)
        prediction = sample['pred_sem_seg']['data']
        table = torch.tensor(translation(tuple(lineages), classes), device=prediction.device)
        return sample | dict(pred_sem_seg=dict(data=table[prediction]))  # a copy: other metrics get the same sample

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Return the metrics, with the IoU of every class."""
        metrics: dict[str, float] = super().compute_metrics(results)
        if self.format_only:
            return metrics
        intersect, union, _, of_labels = (sum(areas) for areas in zip(*results, strict=True))
        if self.average_over == 'labels' and 'mIoU' in metrics:
            metrics['mIoU_union'] = metrics['mIoU']
            metrics['mIoU'] = round(100 * mean_iou_of_labels(intersect, union, of_labels), 2)
        for name, hit, area in zip(self.dataset_meta['classes'], intersect.tolist(), union.tolist(), strict=True):
            if area:
                metrics[f'IoU/{name}'] = round(100 * hit / area, 2)
        return metrics


def mean_iou_of_labels(intersect: Tensor, union: Tensor, labels: Tensor) -> float:
    """Return the mean IoU of the classes that occur in the labels, NaN if there are none; the rule of detectron2.

    Args:
        intersect: Number of pixels of each class that are predicted right, (K,).
        union: Number of pixels of each class in labels or predictions, (K,).
        labels: Number of pixels of each class in the labels, (K,).
    """
    present = labels > 0
    return float((intersect[present].double() / union[present].double()).mean())


@lru_cache(maxsize=32)
def translation(lineages: tuple[tuple[str, ...], ...], classes: tuple[str, ...]) -> list[int]:
    """Return the class index of every predicted concept.

    Args:
        lineages: Name and ancestors of every predicted concept, nearest first.
        classes: Names of the classes.

    Raises:
        ValueError: A concept is neither a class nor below one.
    """
    target = Vocabulary(Concept(name) for name in classes)
    indices = []
    for name, *ancestors in lineages:
        index = target.nearest(Concept(name, ancestors=tuple(ancestors)))
        if index is None:
            raise ValueError(
                f'the prompt {name!r} has no counterpart among the classes {list(classes)} of the dataset: '
                'give prompts that are classes, or lie below one in the vocabulary'
            )
        indices.append(index)
    return indices
