"""Metrics."""

from hyperbolic_seg.evaluation.hierarchical_metric import HierarchicalMetric
from hyperbolic_seg.evaluation.iou_metric import CloudIoUMetric

__all__ = ['CloudIoUMetric', 'HierarchicalMetric']
