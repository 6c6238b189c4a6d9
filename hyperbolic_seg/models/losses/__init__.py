"""Losses under MMSegmentation's names."""

from hyperbolic_seg.models.losses.hierarchical import HierarchicalCrossEntropyLoss

__all__ = ['HierarchicalCrossEntropyLoss']
