"""Aggregation of cost volumes, after CAT-Seg (Cho et al., CVPR 2024)."""

from hyperbolic_seg.models.cost_aggregation.aggregation import CostAggregation

__all__ = ['CostAggregation']
