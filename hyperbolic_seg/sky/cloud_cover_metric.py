"""Hierarchical metric of the sky, with the error of cloud cover in oktas."""

from typing import Any

import numpy as np
from mmseg.registry import METRICS

from hyperbolic_seg.evaluation import HierarchicalMetric
from hyperbolic_seg.sky.defaults import CLOUD, TAXONOMY
from hyperbolic_seg.sky.oktas import oktas
from hyperbolic_seg.text import Taxonomy


@METRICS.register_module()
class CloudCoverMetric(HierarchicalMetric):
    """:class:`~hyperbolic_seg.evaluation.HierarchicalMetric` of the sky.

    Next to ``fraction_error`` and ``fraction_bias`` of the cloud fraction it reports ``okta_error``, the mean absolute
    error of the cloud cover in oktas.

    Args:
        taxonomy: Meaning of the label ids.
        fraction_of: Node of all cloud.
        **kwargs: Further arguments of :class:`~hyperbolic_seg.evaluation.HierarchicalMetric`.
    """

    def __init__(self, taxonomy: str | Taxonomy = TAXONOMY, *, fraction_of: str | None = CLOUD, **kwargs: Any) -> None:
        super().__init__(taxonomy, fraction_of=fraction_of, **kwargs)

    def fraction_errors(self, predicted: np.ndarray, label: np.ndarray) -> dict[str, np.ndarray]:
        """Return the errors of cloud fractions, (images,) each, by the name of their mean."""
        error = np.abs(oktas(predicted) - oktas(label)).astype(np.float64)
        return super().fraction_errors(predicted, label) | dict(okta_error=error)
