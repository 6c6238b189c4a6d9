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

    A pixel whose label is a set of classes (:class:`~hyperbolic_seg.text.LabelSet`) is right if the prediction is in
    the set. It then tells nothing of single classes; a prediction outside counts against its class. Every set that
    labels have gets an ``IoU/NAME`` of its own, such as ``IoU/clear sky or cloud``, over all pixels of which it is
    known whether they are in it, and is a class for ``mIoU`` and ``mAcc``, in place of its members without any label.

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
        samples, sets = [self._translated(sample) for sample in data_samples], self.dataset_meta.get('label_sets', ())
        if self.format_only:
            super().process(data_batch, samples)
            return
        for sample in samples:
            found = sample['pred_sem_seg']['data'].squeeze()
            label = sample['gt_sem_seg']['data'].squeeze().to(found)
            areas = [areas_of_set(found, label, each, sets, self.ignore_index) for each in sets]
            for each in sets:
                label = label.masked_fill((label == each['id']) & _is_in(found, each['inside']), self.ignore_index)
            super().process(data_batch, [sample | dict(gt_sem_seg=dict(data=label))])
            self.results[-1] = (*self.results[-1], torch.tensor(areas, dtype=torch.float64).reshape(len(sets), 5))

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
        if self.format_only:
            formatted: dict[str, float] = super().compute_metrics(results)
            return formatted
        metrics: dict[str, float] = super().compute_metrics([result[:4] for result in results])
        intersect, union, _, of_labels, *of_sets = (sum(areas) for areas in zip(*results, strict=True))
        if self.average_over == 'labels' and 'mIoU' in metrics:
            metrics['mIoU_union'] = metrics['mIoU']
            metrics['mIoU'] = round(100 * mean_iou_of_labels(intersect, union, of_labels), 2)
        for name, hit, area in zip(self.dataset_meta['classes'], intersect.tolist(), union.tolist(), strict=True):
            if area:
                metrics[f'IoU/{name}'] = round(100 * hit / area, 2)
        if of_sets and of_sets[0][:, 3].any():
            self._add_sets(metrics, torch.stack([intersect, union, of_labels], 1).double(), of_sets[0])
        return metrics

    def _add_sets(self, metrics: dict[str, float], of_classes: Tensor, of_sets: Tensor) -> None:
        """Add the IoU of label sets, and count them as classes in the means.

        Args:
            metrics: What is changed.
            of_classes: Right pixels, union and labeled pixels of every class, (K, 3).
            of_sets: Right pixels, union, labeled pixels inside, those with the label itself, and of these those that
                are right, of every set, (sets, 5).
        """
        occurs = of_sets[:, 3] > 0
        chosen = [each for each, there in zip(self.dataset_meta['label_sets'], occurs.tolist(), strict=True) if there]
        told = of_classes[:, 2] > 0
        for each, (hit, union) in zip(chosen, of_sets[occurs][:, :2].tolist(), strict=True):
            metrics[f'IoU/{each["name"]}'] = round(100 * hit / union, 2)
        stands_in = _is_in(torch.arange(len(of_classes)), [i for each in chosen for i in each['inside']])
        kept = told if self.average_over == 'labels' else (of_classes[:, 1] > 0) & (told | ~stands_in)
        rows = torch.cat([of_classes[kept], of_sets[occurs][:, :3]])
        labeled = rows[:, 2] > 0
        right, known = of_classes[:, 0].sum() + of_sets[:, 4].sum(), of_classes[:, 2].sum() + of_sets[:, 3].sum()
        metrics['aAcc'] = round(100 * float(right / known), 2)
        if 'mIoU' in self.metrics:
            metrics['mIoU'] = round(100 * float((rows[:, 0] / rows[:, 1]).mean()), 2)
            metrics['mAcc'] = round(100 * float((rows[labeled, 0] / rows[labeled, 2]).mean()), 2)


def areas_of_set(
    found: Tensor, label: Tensor, label_set: dict[str, Any], others: Sequence[dict[str, Any]], ignore_index: int
) -> list[int]:
    """Return the pixels of a label set that are right, its union, and its labeled pixels.

    Args:
        found: Predicted classes, (H, W).
        label: Classes and ids of label sets, (H, W).
        label_set: The set: ``id``, the classes ``inside`` and those that are ``partly`` inside.
        others: All label sets; pixels of those that are in part inside do not count.
        ignore_index: Label that does not count.

    Returns:
        Right pixels, the union, the pixels labeled as inside; those with the label of the set itself, and of these
        those that are right.
    """
    inside, touches = set(label_set['inside']), {*label_set['inside'], *label_set['partly']}
    within = {*inside, *(each['id'] for each in others if inside.issuperset(each['inside']))}
    open_sets = {each['id'] for each in others if not touches.isdisjoint(each['inside'])} - within
    counted = (label != ignore_index) & ~_is_in(label, [*label_set['partly'], *open_sets])
    predicted, labeled = _is_in(found, [*inside])[counted], _is_in(label, [*within])[counted]
    own = label[counted] == label_set['id']
    right = predicted & labeled
    return [int(part.sum()) for part in (right, predicted | labeled, labeled, own, right & own)]


def _is_in(values: Tensor, chosen: Sequence[int]) -> Tensor:
    return torch.isin(values, torch.tensor(chosen, dtype=values.dtype, device=values.device))


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
