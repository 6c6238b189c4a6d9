"""Adapters: small trainable changes of frozen weights, which can be merged into them."""

from hyperbolic_seg.layers.adapters.base import Adapter
from hyperbolic_seg.layers.adapters.low_rank import LowRank
from hyperbolic_seg.layers.adapters.radius_scaling import RadiusScaling, add_radius_scaling, merge_radius_scaling
from hyperbolic_seg.layers.adapters.rotation import BlockRotation
from hyperbolic_seg.layers.adapters.shared_scaling import ScalingBank, SharedScaling, share_bank
from hyperbolic_seg.layers.adapters.towers import ADAPTERS, add_to_tower, count_parameters, load_tower, merge_tower

__all__ = [
    'ADAPTERS',
    'Adapter',
    'BlockRotation',
    'LowRank',
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
]
