"""MMSegmentation modules: backbones, heads, losses and segmentors."""

from mmseg.registry import MODELS

from hyperbolic_seg.models import layers  # noqa: F401
from hyperbolic_seg.models.backbones import OpenCLIPVisionBackbone, ProxyCLIPBackbone, TimmUNet
from hyperbolic_seg.models.decode_heads import CostAggregationHead, HyperCLIPHead, SEDHead, hyperbolic_head
from hyperbolic_seg.models.losses import (
    AttributeLoss,
    HierarchicalCrossEntropyLoss,
    MultilabelCrossEntropyLoss,
    TextEntailmentLoss,
    TextRadiusLoss,
)
from hyperbolic_seg.models.segmentors import HyperCLIPSegmentor, HyperCLIPTTAModel
from hyperbolic_seg.text import OpenCLIPTextEncoder, RadiusTuner

# The text modules do not depend on MMSegmentation; here they get names for its configs.
for module in (OpenCLIPTextEncoder, RadiusTuner):
    MODELS.register_module(module=module)

__all__ = [
    'AttributeLoss',
    'CostAggregationHead',
    'HierarchicalCrossEntropyLoss',
    'HyperCLIPHead',
    'HyperCLIPSegmentor',
    'HyperCLIPTTAModel',
    'MultilabelCrossEntropyLoss',
    'OpenCLIPVisionBackbone',
    'ProxyCLIPBackbone',
    'SEDHead',
    'TextEntailmentLoss',
    'TextRadiusLoss',
    'TimmUNet',
    'hyperbolic_head',
]
