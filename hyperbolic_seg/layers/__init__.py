"""Hyperbolic layers for any PyTorch model; they need only torch, numpy and geoopt."""

import hyperbolic_seg.geometry  # noqa: F401, first, as it names the extra where torch is missing
from hyperbolic_seg.layers.adapters import (
    ADAPTERS,
    Adapter,
    BlockRotation,
    LowRank,
    RadiusScaling,
    ScalingBank,
    SharedScaling,
    add_radius_scaling,
    add_to_tower,
    count_parameters,
    load_tower,
    merge_radius_scaling,
    merge_tower,
    share_bank,
)
from hyperbolic_seg.layers.attention import HyperbolicAttention
from hyperbolic_seg.layers.blocks import HyperbolicAvgPool2d, HyperbolicReLU, HyperbolicResidual
from hyperbolic_seg.layers.classifiers import EntailmentCones, HyperbolicMLR, HyperbolicPrototypes
from hyperbolic_seg.layers.conv import HyperbolicConv2d
from hyperbolic_seg.layers.curvature import Curvature
from hyperbolic_seg.layers.freezing import train_only
from hyperbolic_seg.layers.hyperboloid import HyperboloidConv2d, HyperboloidLinear, HyperboloidMLR
from hyperbolic_seg.layers.linear import HyperbolicLinear
from hyperbolic_seg.layers.losses import (
    CompositionalLoss,
    ContrastiveLoss,
    EntailmentLoss,
    HierarchyLoss,
    RadiusLoss,
)
from hyperbolic_seg.layers.norm import HyperbolicBatchNorm2d
from hyperbolic_seg.layers.sync_norm import HyperbolicSyncBatchNorm

__all__ = [
    'ADAPTERS',
    'Adapter',
    'BlockRotation',
    'CompositionalLoss',
    'ContrastiveLoss',
    'Curvature',
    'EntailmentCones',
    'EntailmentLoss',
    'HierarchyLoss',
    'HyperbolicAttention',
    'HyperbolicAvgPool2d',
    'HyperbolicBatchNorm2d',
    'HyperbolicConv2d',
    'HyperbolicLinear',
    'HyperbolicMLR',
    'HyperbolicPrototypes',
    'HyperbolicReLU',
    'HyperbolicResidual',
    'HyperbolicSyncBatchNorm',
    'HyperboloidConv2d',
    'HyperboloidLinear',
    'HyperboloidMLR',
    'LowRank',
    'RadiusLoss',
    'RadiusScaling',
    'ScalingBank',
    'SharedScaling',
    'add_radius_scaling',
    'add_to_tower',
    'count_parameters',
    'load_tower',
    'merge_radius_scaling',
    'merge_tower',
    'share_bank',
    'train_only',
]
