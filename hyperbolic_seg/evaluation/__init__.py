"""Metrics, and the statistics they are made of."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.evaluation.hierarchical_metric import HierarchicalMetric
    from hyperbolic_seg.evaluation.iou_metric import VocabularyIoUMetric
    from hyperbolic_seg.evaluation.statistics import (
        area_under_risk_coverage,
        bootstrap,
        expected_calibration_error,
        mean_iou,
    )

__all__ = [
    'HierarchicalMetric',
    'VocabularyIoUMetric',
    'area_under_risk_coverage',
    'bootstrap',
    'expected_calibration_error',
    'mean_iou',
]
__getattr__ = attach(
    __name__,
    dict(
        HierarchicalMetric='hierarchical_metric',
        VocabularyIoUMetric='iou_metric',
        area_under_risk_coverage='statistics',
        bootstrap='statistics',
        expected_calibration_error='statistics',
        mean_iou='statistics',
    ),
)
