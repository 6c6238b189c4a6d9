"""Hyperbolic geometry in tangent coordinates at the origin: pure functions on tensors."""

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(f"{error}: pip install 'hyperbolic-seg[torch]'", name=error.name) from error

from hyperbolic_seg.geometry.cones import exterior_angle, half_aperture, pairwise_exterior_angle
from hyperbolic_seg.geometry.distances import polar_distance
from hyperbolic_seg.geometry.gyrovectors import geodesic, mobius_add, transport_from_origin, transport_to_origin
from hyperbolic_seg.geometry.hyperboloid import (
    from_ball,
    from_hyperboloid,
    from_hyperplane_distances,
    rectify,
    to_ball,
    to_hyperboloid,
)
from hyperbolic_seg.geometry.hyperplanes import polar_mlr_logits
from hyperbolic_seg.geometry.kernel import kernel_loaded, load_cpu_kernel
from hyperbolic_seg.geometry.midpoints import hyperboloid_centroid, midpoint, mixed_midpoints
from hyperbolic_seg.geometry.numeric import at_least_float32, full_precision, safe_sqrt
from hyperbolic_seg.geometry.pairwise import pairwise_distance
from hyperbolic_seg.geometry.products import length_and_components
from hyperbolic_seg.geometry.tangent import (
    cosine_similarity,
    distance,
    mlr_logits,
    radius,
    safe_norm,
    unit,
)

__all__ = [
    'at_least_float32',
    'cosine_similarity',
    'distance',
    'exterior_angle',
    'from_ball',
    'from_hyperboloid',
    'from_hyperplane_distances',
    'full_precision',
    'geodesic',
    'half_aperture',
    'hyperboloid_centroid',
    'kernel_loaded',
    'length_and_components',
    'load_cpu_kernel',
    'midpoint',
    'mixed_midpoints',
    'mlr_logits',
    'mobius_add',
    'pairwise_distance',
    'pairwise_exterior_angle',
    'polar_distance',
    'polar_mlr_logits',
    'radius',
    'rectify',
    'safe_norm',
    'safe_sqrt',
    'to_ball',
    'to_hyperboloid',
    'transport_from_origin',
    'transport_to_origin',
    'unit',
]
