"""Decode heads."""

from hyperbolic_seg.models.decode_heads.cost_aggregation_head import CostAggregationHead
from hyperbolic_seg.models.decode_heads.hyperbolic_head import hyperbolic_head
from hyperbolic_seg.models.decode_heads.hyperclip_head import HyperCLIPHead
from hyperbolic_seg.models.decode_heads.open_vocabulary_head import OpenVocabularyHead
from hyperbolic_seg.models.decode_heads.sed_head import SEDHead

__all__ = ['CostAggregationHead', 'HyperCLIPHead', 'OpenVocabularyHead', 'SEDHead', 'hyperbolic_head']
