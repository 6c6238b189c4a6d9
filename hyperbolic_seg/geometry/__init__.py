"""Hyperbolic geometry in tangent coordinates at the origin: pure functions on tensors."""

from hyperbolic_seg.geometry.charts import from_ball, to_ball
from hyperbolic_seg.geometry.distances import polar_distance
from hyperbolic_seg.geometry.hyperplanes import polar_mlr_logits
from hyperbolic_seg.geometry.tangent import (
    cosine_similarity,
    distance,
    mlr_logits,
    pairwise_distance,
    radius,
    safe_norm,
    unit,
)

__all__ = [
    'cosine_similarity',
    'distance',
    'from_ball',
    'mlr_logits',
    'pairwise_distance',
    'polar_distance',
    'polar_mlr_logits',
    'radius',
    'safe_norm',
    'to_ball',
    'unit',
]
