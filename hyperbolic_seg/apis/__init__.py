"""What a user imports."""

from hyperbolic_seg.apis.inferencer import HyperSegInferencer

__all__ = ['HyperSegInferencer']
