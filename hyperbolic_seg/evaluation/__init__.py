"""Metrics."""

from hyperbolic_seg.evaluation.hierarchical_metric import HierarchicalMetric
from hyperbolic_seg.evaluation.iou_metric import VocabularyIoUMetric

__all__ = ['HierarchicalMetric', 'VocabularyIoUMetric']
