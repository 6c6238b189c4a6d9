"""Metric of predictions at every depth of a taxonomy, of their calibration and of class fractions."""

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
)
from hyperbolic_seg.options import check_number, check_whole
from hyperbolic_seg.text import WHOLE_IMAGE, Concept, LabelSet, Taxonomy, Vocabulary

_CONFIDENCE_BINS, _RADIUS_BINS = 1000, 1000  # bins of the risk-coverage curves
_CALIBRATION_BINS = 15  # the usual number, as in Guo et al.


class _Image(NamedTuple):
    """Contribution of one image to the sums."""

    confusions: list[Array]  # one per depth, (C, C + 1); the last column counts predictions that are not deep enough
    calibrations: list[Array]  # one per depth, (3, bins)
    steps: Array  # summed tree distance of mistakes, number of mistakes, number of pixels
    by_confidence: Array  # pixels and mistakes at depth 1, by falling confidence, (2, bins)
    by_radius: Array | None  # the same by falling radius
    fractions: Array  # predicted and labeled share of the node ``fraction_of``
    divisions: Array  # one per label set, (sets, 2, 2): outside and inside, as labeled and predicted
    of_sets: Array  # pixels labeled with each set, (sets,)


@METRICS.register_module()
class HierarchicalMetric(BaseMetric):
    """Quality of a segmentation at every depth of a taxonomy; shares are in percent.

    The prediction at a depth is the node whose classes are the most probable together: with probabilities of 0.3 for
    car, 0.3 for bus and 0.4 for road, it is vehicle.

    - ``mIoU/D``: mean IoU of the nodes at depth D, where 1 is just below the root. A label counts as its node at that
      depth; pixels labeled above it do not count.
    - ``IoU/NAME``, ``mIoU/NAME``: IoU of a label set that labels have, such as ``'clear sky or cloud'``, and its mean
      with that of the rest. The prediction is the set where its classes together have more than half of
      the probability. What is labeled with its nodes, or with nodes outside, counts too; labels that leave open
      whether they are in the set do not.
    - ``mistake_steps``: mean steps along the tree from the label to the prediction at its depth, over wrong pixels;
      ``mean_steps``: the same over all pixels. Of a label set the nearest member counts.
    - ``mIoU/seen``, ``mIoU/unseen``, ``mIoU/harmonic``: mean IoU of the leaves, if ``unseen`` names some.
    - ``ECE/D``: expected calibration error at depth D, with 15 bins.
    - ``AURC/confidence``, ``AURC/radius``: area under the risk-coverage curve at depth 1, with pixels ordered by the
      probability of the prediction, or by the hyperbolic radius.
    - ``fraction_error``, ``fraction_bias``: mean absolute error and mean error of the share of an image that the node
      ``fraction_of`` covers, over images without a label set that is in part inside.

    Pixels with label sets do not count for mIoU, ECE and AURC.

    ``NAME/low`` and ``NAME/high`` are the ends of the 95 % bootstrap interval of each, over images.

    Args:
        taxonomy: Meaning of the label ids. Predicted classes are its nodes, or below them.
        fraction_of: Node whose share of an image is compared; ``None`` compares none.
        unseen: Leaves that training did not see.
        largest_radius: End of the last bin of radii.
        draws: Draws of the bootstrap; 0 leaves out the intervals.
        ignore_index: Label to leave out.
        collect_device: Argument of :class:`mmengine.evaluator.BaseMetric`.
        prefix: Argument of :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        ValueError: A named node is not in the taxonomy, or a number is out of bounds.
    """

    def __init__(
        self,
        taxonomy: str | Taxonomy,
        *,
        fraction_of: str | None = None,
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
        self.fraction_of = None if fraction_of is None else self.taxonomy.ids([fraction_of])[0]
        self.label_sets = self.taxonomy.nodes.label_sets
        self._members = self.taxonomy.labels
        self._root = self.taxonomy.nodes.index_of(self.taxonomy.root)
        self.unseen = frozenset(self.taxonomy.nodes[i].name for i in self.taxonomy.ids(unseen))
        self.cuts = [self.taxonomy.at_depth(depth) for depth in range(1, int(self.taxonomy.depths.max()) + 1)]

    def process(self, data_batch: dict[str, Any], data_samples: Sequence[dict[str, Any]]) -> None:
        """Add images.

        Raises:
            ValueError: A predicted class is neither a node nor below one, a label is not a node, or predictions come
                without probabilities.
        """
        for sample in data_samples:
            if 'seg_logits' not in sample:
                raise ValueError(
                    f'{type(self).__name__} needs the probabilities of all classes, the model gives labels alone: set '
                    'test_cfg.class_chunk to the number of classes'
                )
            probabilities = sample['seg_logits']['data'].float().softmax(0).cpu()
            label = sample['gt_sem_seg']['data'].squeeze(0).long().cpu()
            radius = sample['pred_radius']['data'].squeeze(0).float().cpu() if 'pred_radius' in sample else None
            names = sample.get('classes') or self.dataset_meta['classes']
            lineages = sample.get('lineages') or tuple((name,) for name in names)
            self.results.append(self._measure(probabilities, label, radius, self._nodes_of(lineages)))

    def _nodes_of(self, lineages: Sequence[Sequence[str]]) -> list[int]:
        """Return the ids of the nodes that the predicted classes are, or lie below."""
        nodes = self.taxonomy.nodes
        found = [nodes.nearest(Concept(name, ancestors=tuple(above))) for name, *above in lineages]
        for lineage, node in zip(lineages, found, strict=True):
            if node is None:
                raise ValueError(
                    f'the predicted class {lineage[0]!r} is no node of the taxonomy, nor below one: expected '
                    f'prompts out of {", ".join(nodes.names)}'
                )
        return [node for node in found if node is not None]

    def _measure(self, probabilities: Tensor, label: Tensor, radius: Tensor | None, nodes: list[int]) -> _Image:
        counted = label != self.ignore_index
        label, probabilities = label[counted], probabilities[:, counted]
        if unknown := set(label.unique().tolist()) - set(self._members):
            raise ValueError(
                f'the label {max(unknown)} is no node of the taxonomy, which has ids up to '
                f'{len(self.taxonomy.nodes) - 1}, and no label set of it'
            )
        decided = [self._decide(cut, probabilities, nodes) for cut in self.cuts]
        one = label < len(self.taxonomy.nodes)
        depths = [
            self._at_depth(cut, confidence[one], node[one], label[one])
            for cut, (confidence, node) in zip(self.cuts, decided, strict=True)
        ]
        named = torch.stack([torch.full_like(label, self._root), *(node for _, node in decided)])
        confusions, calibrations, doubts = zip(*depths, strict=True)
        confidence, wrong, known = doubts[0]
        by_radius = None
        if radius is not None:
            share = (radius[counted][one][known] / self.largest_radius).clamp(0, 1)
            by_radius = _by_falling(share, wrong, _RADIUS_BINS)
        return _Image(
            list(confusions),
            list(calibrations),
            self._steps(named, label),
            _by_falling(confidence, wrong, _CONFIDENCE_BINS),
            by_radius,
            self._fractions(named, label),
            self._divide(probabilities, nodes, label),
            np.array([(label == label_set.id).sum().item() for label_set in self.label_sets], np.float64),
        )

    def _decide(self, cut: Vocabulary, probabilities: Tensor, nodes: list[int]) -> tuple[Tensor, Tensor]:
        """Return the probability and the node id of every pixel at one depth, (pixels,) each.

        Where classes that are not deep enough are the most probable together, the most probable of them is returned.
        """
        place = torch.tensor([_or_beyond(cut.nearest(self.taxonomy.nodes[i]), len(cut)) for i in nodes])
        shares = torch.zeros(len(cut) + 1, probabilities.shape[1]).index_add_(0, place, probabilities)
        confidence, found = shares.max(0)
        above = torch.where((place == len(cut))[:, None], probabilities, -1).argmax(0)
        ids = torch.tensor([*self.taxonomy.ids(cut.names), -1])
        return confidence, torch.where(found < len(cut), ids[found], torch.tensor(nodes)[above])

    def _at_depth(
        self, cut: Vocabulary, confidence: Tensor, node: Tensor, label: Tensor
    ) -> tuple[Array, Array, tuple[Any, ...]]:
        """Return confusion, calibration and (confidence, mistakes, counted pixels) at one depth."""
        to_cut = torch.tensor([_or_beyond(cut.nearest(node), len(cut)) for node in self.taxonomy.nodes])
        target = to_cut[label]
        known = target < len(cut)
        confidence, found = confidence[known], to_cut[node][known]
        wrong = found != target[known]
        confusion = torch.bincount(target[known] * (len(cut) + 1) + found, minlength=len(cut) * (len(cut) + 1))
        place = (_CALIBRATION_BINS * confidence).long().clamp_max(_CALIBRATION_BINS - 1)
        summands = (torch.ones_like(confidence), confidence, 1.0 - wrong.float())
        calibration = torch.stack([torch.bincount(place, weights, _CALIBRATION_BINS) for weights in summands])
        square = confusion.view(len(cut), len(cut) + 1).double().numpy()
        return square, calibration.double().numpy(), (confidence, wrong, known)

    def _steps(self, named: Tensor, label: Tensor) -> Array:
        """Return the summed steps from labels to predictions at their depth, the number of mistakes and of pixels."""
        tree, steps = self.taxonomy, torch.zeros_like(label)
        for value in label.unique().tolist():
            at, members = label == value, torch.tensor(self._members[value])
            steps[at] = tree.distances[members[:, None], named[tree.depths[members]][:, at]].amin(0)
        return np.array([steps.sum().item(), (steps > 0).sum().item(), steps.numel()], np.float64)

    def _fractions(self, named: Tensor, label: Tensor) -> Array:
        if self.fraction_of is None or not label.numel():
            return np.full(2, np.nan)
        node = self.taxonomy.nodes[self.fraction_of]
        counts = torch.tensor([node.name in other.lineage for other in self.taxonomy.nodes])
        inside = torch.zeros(WHOLE_IMAGE, dtype=torch.bool)
        for value, members in self._members.items():
            inside[value] = counts[list(members)].all()
        open_sets = [s.id for s in self.label_sets if s.overlaps(node, self.taxonomy.nodes) and not inside[s.id]]
        if torch.isin(label, torch.tensor(open_sets, dtype=torch.long)).any():
            return np.full(2, np.nan)
        predicted = named[self.taxonomy.depths[self.fraction_of]]
        return np.array([counts[predicted].double().mean().item(), inside[label].double().mean().item()])

    def _divide(self, probabilities: Tensor, nodes: list[int], label: Tensor) -> Array:
        """Return the confusion of each label set with the rest, (sets, 2, 2), by label and prediction."""
        squares = np.zeros((len(self.label_sets), 2, 2))
        for square, label_set in zip(squares, self.label_sets, strict=True):
            classes = torch.tensor([label_set.holds(self.taxonomy.nodes[node]) for node in nodes])
            found = probabilities[classes].sum(0) > 0.5
            side = self._sides(label_set)[label]
            counted = side >= 0
            pairs = torch.bincount(2 * side[counted] + found[counted], minlength=4)
            square += pairs.view(2, 2).numpy()
        return squares

    def _sides(self, label_set: LabelSet) -> Tensor:
        """Return 1 for labels inside a set, 0 for those outside and -1 for those that leave it open, (values,)."""
        tree, sides = self.taxonomy, torch.full((WHOLE_IMAGE,), -1)
        for value, members in self._members.items():
            inside = [label_set.holds(tree.nodes[node]) for node in members]
            touches = [label_set.overlaps(tree.nodes[node], tree.nodes) for node in members]
            sides[value] = 1 if all(inside) else -1 if any(touches) else 0
        return sides

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Return the metrics of all images."""
        images = [_Image(*result) for result in results]
        metrics: dict[str, float] = {}
        for depth, cut in enumerate(self.cuts, 1):
            confusion = np.stack([image.confusions[depth - 1] for image in images])
            self._add(metrics, f'mIoU/{depth}', confusion, lambda total: 100 * mean_iou(total))
            if cut.names == self.taxonomy.leaves.names and self.unseen:
                self._add_unseen(metrics, confusion, np.array([name in self.unseen for name in cut.names]))
            calibration = np.stack([image.calibrations[depth - 1] for image in images])
            self._add(metrics, f'ECE/{depth}', calibration, lambda total: 100 * expected_calibration_error(total))
        self._add_sets(metrics, images)
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

    def _add_sets(self, metrics: dict[str, float], images: Sequence[_Image]) -> None:
        of_sets = np.sum([image.of_sets for image in images], 0)
        for place, label_set in enumerate(self.label_sets):
            if of_sets[place]:
                sums = np.stack([image.divisions[place] for image in images])
                inside = np.array([False, True])
                self._add(
                    metrics, f'IoU/{label_set.name}', sums, lambda total, i=inside: 100 * mean_iou(total, classes=i)
                )
                self._add(metrics, f'mIoU/{label_set.name}', sums, lambda total: 100 * mean_iou(total))

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
        for name, error in self.fraction_errors(predicted, label).items():
            sums = np.stack([error, np.ones_like(error)], 1)
            self._add(metrics, name, sums, lambda total: _ratio(total[0], total[1]))

    def fraction_errors(self, predicted: Array, label: Array) -> dict[str, Array]:
        """Return the errors of the shares of ``fraction_of``, (images,) each, by the name of their mean.

        Args:
            predicted: Predicted shares, 0 to 1, (images,).
            label: Labeled shares, 0 to 1, (images,).
        """
        error = 100 * (predicted - label)
        return dict(fraction_error=np.abs(error), fraction_bias=error)

    def _add(self, metrics: dict[str, float], name: str, sums: Array, statistic: Any) -> None:
        value = statistic(sums.sum(0))
        if np.isnan(value):
            return
        metrics[name] = value
        if self.draws:
            metrics[f'{name}/low'], metrics[f'{name}/high'] = bootstrap(sums, statistic, draws=self.draws)


def _or_beyond(index: int | None, beyond: int) -> int:
    return beyond if index is None else index


def _by_falling(confidence: Tensor, wrong: Tensor, count: int) -> Array:
    """Return pixels and mistakes in bins of falling confidence, from 1 to 0, (2, bins)."""
    place = ((1 - confidence) * count).long().clamp(0, count - 1)
    bins = torch.stack([torch.bincount(place, minlength=count), torch.bincount(place[wrong], minlength=count)])
    return bins.double().numpy()


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float('nan')
