"""Aggregation of cost volumes, after CAT-Seg and SED (Cho et al., Xie et al., CVPR 2024)."""

from hyperbolic_seg.models.cost_aggregation.aggregation import CostAggregation
from hyperbolic_seg.models.cost_aggregation.sed import GradualFusion

__all__ = ['CostAggregation', 'GradualFusion']
