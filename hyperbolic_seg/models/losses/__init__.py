"""Losses under MMSegmentation's names."""

from hyperbolic_seg.models.losses.attributes import AttributeLoss
from hyperbolic_seg.models.losses.hierarchical import HierarchicalCrossEntropyLoss
from hyperbolic_seg.models.losses.multilabel import MultilabelCrossEntropyLoss
from hyperbolic_seg.models.losses.text_order import TextEntailmentLoss, TextRadiusLoss

__all__ = [
    'AttributeLoss',
    'HierarchicalCrossEntropyLoss',
    'MultilabelCrossEntropyLoss',
    'TextEntailmentLoss',
    'TextRadiusLoss',
]
