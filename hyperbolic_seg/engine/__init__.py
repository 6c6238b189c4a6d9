"""What a Runner is given beside model and data."""

from hyperbolic_seg.engine.hooks import MemoryFormatHook, PanelVisualizationHook

__all__ = ['MemoryFormatHook', 'PanelVisualizationHook']
