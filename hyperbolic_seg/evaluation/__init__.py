"""Metrics."""

from hyperbolic_seg.evaluation.iou_metric import CloudIoUMetric

__all__ = ['CloudIoUMetric']
