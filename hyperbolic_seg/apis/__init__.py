"""What a user imports."""

from hyperbolic_seg import plugin  # noqa: F401  a model may be built of anything that is registered
from hyperbolic_seg.apis.inferencer import HyperSegInferencer

__all__ = ['HyperSegInferencer']
