"""Predictions judged at every depth of a taxonomy, with their doubt and their cloud fraction."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS
from torch import Tensor

from hyperbolic_seg.evaluation.statistics import (
    Array,
    area_under_risk_coverage,
    bootstrap,
    expected_calibration_error,
    mean_iou,
    oktas,
)
from hyperbolic_seg.options import check_number, check_whole
from hyperbolic_seg.text import Concept, Taxonomy, Vocabulary

_CONFIDENCE_BINS, _RADIUS_BINS = 1000, 1000


class _Image(NamedTuple):
    """What one image adds to the sums."""

    confusions: list[Array]  # of every depth, (C, C + 1): the last column is for predictions that are not deep enough
    calibrations: list[Array]  # of every depth, (3, bins)
    steps: Array  # sum of the distances of mistakes along the tree, mistakes, pixels
    by_confidence: Array  # pixels and mistakes at the first depth by falling confidence, (2, bins)
    by_radius: Array | None  # the same by falling radius
    fractions: Array  # cloud, predicted and labelled


@METRICS.register_module()
class HierarchicalMetric(BaseMetric):
    """How good a segmentation is at every depth of a taxonomy, in percent where it is a share.

    At every depth the prediction is the node there whose classes are together the most probable: what is cirrus or
    cumulus at 0.3 each and clear sky at 0.4 is cloud.

    - ``mIoU/D``: among the nodes at depth D, 1 for the kinds just below the root. A label counts for its node at
      that depth; pixels labelled above it do not count there.
    - ``mistake_steps``: steps along the tree from a label to the prediction at the label's depth, over the pixels that
      are wrong; ``mean_steps`` over all.
    - ``mIoU/seen``, ``mIoU/unseen``, ``mIoU/harmonic``: at the leaves, if ``unseen`` names some.
    - ``ECE/D``: expected calibration error at depth D, with 15 bins.
    - ``AURC/confidence``, ``AURC/radius``: area under the risk-coverage curve at depth 1, where the doubt is the
      probability of the prediction or the hyperbolic radius; the larger one is taken for surer.
    - ``fraction_error``, ``okta_error``: mean absolute error of the cloud fraction of an image in percent, and of its
      cloud cover in oktas; ``fraction_bias``: mean error.

    Every one has ``NAME/low`` and ``NAME/high`` beside it, the ends of its 95 % bootstrap interval over images.

    Args:
        taxonomy: What the ids of the labels mean; predictions are named by its nodes, or by kinds of them.
        cloud: The node whose share of an image is its cloud fraction; ``None`` for none.
        unseen: Leaves that were not trained on.
        largest_radius: The radius at which its bins end.
        draws: Of the bootstrap; 0 leaves the intervals out.
        ignore_index: Label to leave out.
        collect_device: As for :class:`mmengine.evaluator.BaseMetric`.
        prefix: As for :class:`mmengine.evaluator.BaseMetric`.
    """

    def __init__(
        self,
        taxonomy: str | Taxonomy = 'sky',
        *,
        cloud: str | None = 'cloud',
        unseen: Sequence[str] = (),
        largest_radius: float = 20.0,
        draws: int = 1000,
        ignore_index: int = 255,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, **kwargs)
        check_number('largest_radius', largest_radius, above=0)
        check_whole('draws', draws, least=0)
        self.taxonomy = Taxonomy.load(taxonomy)
        self.ignore_index, self.draws, self.largest_radius = ignore_index, draws, largest_radius
        self.cloud = None if cloud is None else self.taxonomy.ids([cloud])[0]
        self._root = self.taxonomy.nodes.index_of(self.taxonomy.root)
        self.unseen = frozenset(self.taxonomy.nodes[i].name for i in self.taxonomy.ids(unseen))
        self.cuts = [self.taxonomy.at_depth(depth) for depth in range(1, int(self.taxonomy.depths.max()) + 1)]

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Add images.

        Raises:
            ValueError: A predicted class is neither a node nor a kind of one, a label is no node, or there are only
                labels and no probabilities.
        """
        for sample in data_samples:
            if 'seg_logits' not in sample:
                raise ValueError(
                    'HierarchicalMetric needs the probabilities of all classes, the model gives labels alone: set '
                    'test_cfg.class_chunk to the number of classes'
                )
            probabilities = sample['seg_logits']['data'].float().softmax(0).cpu()
            label = sample['gt_sem_seg']['data'].squeeze(0).long().cpu()
            radius = sample['pred_radius']['data'].squeeze(0).float().cpu() if 'pred_radius' in sample else None
            names = sample.get('classes') or self.dataset_meta['classes']
            lineages = sample.get('lineages') or tuple((name,) for name in names)
            self.results.append(self._measure(probabilities, label, radius, self._nodes_of(lineages)))

    def _nodes_of(self, lineages: Sequence[Sequence[str]]) -> list[int]:
        """Return the id of the node that every predicted class is, or is a kind of."""
        nodes = self.taxonomy.nodes
        found = [nodes.nearest(Concept(name, ancestors=tuple(above))) for name, *above in lineages]
        for lineage, node in zip(lineages, found, strict=True):
            if node is None:
                raise ValueError(
                    f'the predicted class {lineage[0]!r} is no node of the taxonomy and no kind of one: expected '
                    f'prompts out of {", ".join(nodes.names)}'
                )
        return [node for node in found if node is not None]

    def _measure(self, probabilities: Tensor, label: Tensor, radius: Tensor | None, nodes: list[int]) -> _Image:
        counted = label != self.ignore_index
        label, probabilities = label[counted], probabilities[:, counted]
        if label.numel() and int(label.max()) >= len(self.taxonomy.nodes):
            raise ValueError(
                f'the label {int(label.max())} is no node of the taxonomy, which has ids up to '
                f'{len(self.taxonomy.nodes) - 1}'
            )
        decided = [self._decide(cut, probabilities, nodes) for cut in self.cuts]
        depths = [self._at_depth(cut, *found, label) for cut, found in zip(self.cuts, decided, strict=True)]
        named = torch.stack([torch.full_like(label, self._root), *(node for _, node in decided)])
        confusions, calibrations, doubts = zip(*depths, strict=True)
        confidence, wrong, known = doubts[0]
        by_radius = None
        if radius is not None:
            sure = (radius[counted][known] / self.largest_radius).clamp(0, 1)
            by_radius = _by_falling(sure, wrong, _RADIUS_BINS)
        return _Image(
            list(confusions),
            list(calibrations),
            self._steps(named, label),
            _by_falling(confidence, wrong, _CONFIDENCE_BINS),
            by_radius,
            self._fractions(named, label),
        )

    def _decide(self, cut: Vocabulary, probabilities: Tensor, nodes: list[int]) -> tuple[Tensor, Tensor]:
        """Return the probability and the id of the node that every pixel has at one depth, (pixels,) each.

        Where the classes that are not deep enough are together the most probable, it is the most probable of them.
        """
        place = torch.tensor([_or_beyond(cut.nearest(self.taxonomy.nodes[i]), len(cut)) for i in nodes])
        shares = torch.zeros(len(cut) + 1, probabilities.shape[1]).index_add_(0, place, probabilities)
        confidence, found = shares.max(0)
        above = torch.where((place == len(cut))[:, None], probabilities, -1).argmax(0)
        ids = torch.tensor([*self.taxonomy.ids(cut.names), -1])
        return confidence, torch.where(found < len(cut), ids[found], torch.tensor(nodes)[above])

    def _at_depth(self, cut: Vocabulary, confidence: Tensor, node: Tensor, label: Tensor) -> tuple[Array, Array, tuple]:
        """Confusion, calibration and (confidence, wrong, which pixels count) at one depth."""
        to_cut = torch.tensor([_or_beyond(cut.nearest(node), len(cut)) for node in self.taxonomy.nodes])
        target = to_cut[label]
        known = target < len(cut)
        confidence, found = confidence[known], to_cut[node][known]
        wrong = found != target[known]
        confusion = torch.bincount(target[known] * (len(cut) + 1) + found, minlength=len(cut) * (len(cut) + 1))
        place = (15 * confidence).long().clamp_max(14)
        calibration = torch.stack(
            [
                torch.bincount(place, weights, 15)
                for weights in (torch.ones_like(confidence), confidence, 1.0 - wrong.float())
            ]
        )
        square = confusion.view(len(cut), len(cut) + 1).double().numpy()
        return square, calibration.double().numpy(), (confidence, wrong, known)

    def _steps(self, named: Tensor, label: Tensor) -> Array:
        """Sum of the steps from labels to what is named at their depth, of wrong pixels, and of pixels."""
        predicted = named.gather(0, self.taxonomy.depths[label][None])[0]
        steps = self.taxonomy.distances[label, predicted]
        return np.array([steps.sum().item(), (steps > 0).sum().item(), steps.numel()], np.float64)

    def _fractions(self, named: Tensor, label: Tensor) -> Array:
        if self.cloud is None or not label.numel():
            return np.full(2, np.nan)
        name = self.taxonomy.nodes[self.cloud].name
        is_cloud = torch.tensor([name in node.lineage for node in self.taxonomy.nodes])
        predicted = named[self.taxonomy.depths[self.cloud]]
        return np.array([is_cloud[predicted].double().mean().item(), is_cloud[label].double().mean().item()])

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Sum up the images."""
        images = [_Image(*result) for result in results]
        metrics: dict[str, float] = {}
        for depth, cut in enumerate(self.cuts, 1):
            confusion = np.stack([image.confusions[depth - 1] for image in images])
            self._add(metrics, f'mIoU/{depth}', confusion, lambda total: 100 * mean_iou(total))
            if cut.names == self.taxonomy.leaves.names and self.unseen:
                self._add_unseen(metrics, confusion, np.array([name in self.unseen for name in cut.names]))
            calibration = np.stack([image.calibrations[depth - 1] for image in images])
            self._add(metrics, f'ECE/{depth}', calibration, lambda total: 100 * expected_calibration_error(total))
        steps = np.stack([image.steps for image in images])
        self._add(metrics, 'mistake_steps', steps, lambda total: _ratio(total[0], total[1]))
        self._add(metrics, 'mean_steps', steps, lambda total: _ratio(total[0], total[2]))

        def aurc(total: Array) -> float:
            return 100 * area_under_risk_coverage(total)

        self._add(metrics, 'AURC/confidence', np.stack([image.by_confidence for image in images]), aurc)
        by_radius = [image.by_radius for image in images if image.by_radius is not None]
        if len(by_radius) == len(images):
            self._add(metrics, 'AURC/radius', np.stack(by_radius), aurc)
        self._add_fractions(metrics, np.stack([image.fractions for image in images]))
        print_log(
            '  '.join(f'{k}: {v:.2f}' for k, v in metrics.items() if not k.endswith(('/low', '/high'))), 'current'
        )
        return metrics

    def _add_unseen(self, metrics: dict[str, float], confusion: Array, unseen: np.ndarray) -> None:
        def harmonic(total: Array) -> float:
            seen, other = (mean_iou(total, classes=which) for which in (~unseen, unseen))
            return 100 * _ratio(2 * seen * other, seen + other)

        self._add(metrics, 'mIoU/seen', confusion, lambda total: 100 * mean_iou(total, classes=~unseen))
        self._add(metrics, 'mIoU/unseen', confusion, lambda total: 100 * mean_iou(total, classes=unseen))
        self._add(metrics, 'mIoU/harmonic', confusion, harmonic)

    def _add_fractions(self, metrics: dict[str, float], fractions: Array) -> None:
        predicted, label = fractions[~np.isnan(fractions).any(1)].T
        if not len(label):
            return
        errors = {
            'fraction_error': 100 * np.abs(predicted - label),
            'fraction_bias': 100 * (predicted - label),
            'okta_error': np.abs(oktas(predicted) - oktas(label)).astype(np.float64),
        }
        for name, error in errors.items():
            self._add(
                metrics, name, np.stack([error, np.ones_like(error)], 1), lambda total: _ratio(total[0], total[1])
            )

    def _add(self, metrics: dict[str, float], name: str, sums: Array, statistic: Any) -> None:
        value = statistic(sums.sum(0))
        if np.isnan(value):
            return
        metrics[name] = value
        if self.draws:
            metrics[f'{name}/low'], metrics[f'{name}/high'] = bootstrap(sums, statistic, draws=self.draws)


def _or_beyond(index: int | None, beyond: int) -> int:
    return beyond if index is None else index


def _by_falling(sure: Tensor, wrong: Tensor, count: int) -> Array:
    """Pixels and mistakes in bins of falling sureness, 1 first."""
    place = ((1 - sure) * count).long().clamp(0, count - 1)
    return (
        torch.stack([torch.bincount(place, minlength=count), torch.bincount(place[wrong], minlength=count)])
        .double()
        .numpy()
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float('nan')
