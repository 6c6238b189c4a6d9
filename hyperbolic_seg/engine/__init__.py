"""What a Runner is given beside model and data."""

from hyperbolic_seg.engine.hooks import MemoryFormatHook, PanelVisualizationHook
from hyperbolic_seg.engine.optimizers import CPUAmpOptimWrapper, RiemannianAdam, RiemannianSGD

__all__ = ['CPUAmpOptimWrapper', 'MemoryFormatHook', 'PanelVisualizationHook', 'RiemannianAdam', 'RiemannianSGD']
