"""IoU of predictions that may speak another vocabulary than the labels."""

from collections.abc import Sequence

import torch
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from hyperbolic_seg.text import Concept, Vocabulary


@METRICS.register_module()
class CloudIoUMetric(IoUMetric):
    """:class:`mmseg.evaluation.IoUMetric` that follows the vocabulary of the model and reports every class.

    A predicted concept counts for the class of the data set that has its name, or else for its nearest
    ancestor among the classes: a pixel predicted as cumulus is right where the label says cloud. Beside
    ``mIoU``, ``mAcc`` and ``aAcc`` the metrics hold ``IoU/NAME`` for every class that occurs, in percent.
    """

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Translate the predictions into the classes of the data set and count areas.

        Raises:
            ValueError: A predicted concept has no counterpart among the classes.
        """
        for sample in data_samples:
            names = sample.get('classes')
            if names is not None and tuple(names) != tuple(self.dataset_meta['classes']):
                prediction = sample['pred_sem_seg']['data']
                table = torch.tensor(translation(names, self.dataset_meta['classes']), device=prediction.device)
                sample['pred_sem_seg']['data'] = table[prediction]
        super().process(data_batch, data_samples)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Add the IoU of every class to the summary."""
        metrics = super().compute_metrics(results)
        if self.format_only:
            return metrics
        intersect, union, *_ = (sum(areas) for areas in zip(*results, strict=True))
        for name, hit, area in zip(self.dataset_meta['classes'], intersect.tolist(), union.tolist(), strict=True):
            if area:
                metrics[f'IoU/{name}'] = round(100 * hit / area, 2)
        return metrics


def translation(predicted: Sequence[str], classes: Sequence[str]) -> list[int]:
    """Return for every predicted name the index of the class that it counts for.

    Raises:
        ValueError: A name is neither a class nor, by the built-in taxonomy, a kind of one.
    """
    target = Vocabulary(Concept(name) for name in classes)
    indices = []
    for concept in Vocabulary.from_prompts(list(predicted)):
        index = target.nearest(concept)
        if index is None:
            raise ValueError(
                f'the prompt {concept.name!r} has no counterpart among the classes {list(classes)} of the data set: '
                'give prompts that are classes, or kinds of one in the built-in taxonomy'
            )
        indices.append(index)
    return indices
