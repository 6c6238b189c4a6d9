"""Hooks of the Runner."""

from hyperbolic_seg.engine.hooks.memory_format_hook import MemoryFormatHook
from hyperbolic_seg.engine.hooks.time_budget_hook import TimeBudgetHook, TimedCheckpointHook
from hyperbolic_seg.engine.hooks.visualization_hook import PanelVisualizationHook

__all__ = ['MemoryFormatHook', 'PanelVisualizationHook', 'TimeBudgetHook', 'TimedCheckpointHook']
