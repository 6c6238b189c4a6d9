"""IoU of predictions whose vocabulary may differ from that of the labels."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from hyperbolic_seg.text import Concept, Vocabulary


@METRICS.register_module()
class VocabularyIoUMetric(IoUMetric):
    """:class:`mmseg.evaluation.IoUMetric` that follows the vocabulary of the model and reports every class.

    A predicted concept counts as the class of the dataset with its name, or else as its nearest ancestor among the
    classes: "car" is right where the label is "vehicle". In addition to ``mIoU``, ``mAcc`` and ``aAcc`` it reports
    ``IoU/NAME`` for every class that occurs, in percent.
    """

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
        intersect, union, *_ = (sum(areas) for areas in zip(*results, strict=True))
        for name, hit, area in zip(self.dataset_meta['classes'], intersect.tolist(), union.tolist(), strict=True):
            if area:
                metrics[f'IoU/{name}'] = round(100 * hit / area, 2)
        return metrics


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
