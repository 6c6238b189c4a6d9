"""Decode heads."""

from hyperbolic_seg.models.decode_heads.cost_aggregation_head import CostAggregationHead
from hyperbolic_seg.models.decode_heads.hyperbolic_head import hyperbolic_head
from hyperbolic_seg.models.decode_heads.hyperclip_head import HyperCLIPHead

__all__ = ['CostAggregationHead', 'HyperCLIPHead', 'hyperbolic_head']
