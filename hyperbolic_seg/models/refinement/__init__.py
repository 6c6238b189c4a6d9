"""From coarse logits to labels: edges and colors of the image, averages over windows, probabilities."""

from hyperbolic_seg.models.refinement.bands import in_bands, largest_in_bands
from hyperbolic_seg.models.refinement.chain import Refinement, class_probabilities, decide, enlarge, owned, refine
from hyperbolic_seg.models.refinement.color_likelihood import apply_color_likelihood
from hyperbolic_seg.models.refinement.guided_filter import guided_logarithms, guided_upsample
from hyperbolic_seg.models.refinement.pixel_adaptive import pixel_adaptive

__all__ = [
    'Refinement',
    'apply_color_likelihood',
    'class_probabilities',
    'decide',
    'enlarge',
    'guided_logarithms',
    'guided_upsample',
    'in_bands',
    'largest_in_bands',
    'owned',
    'pixel_adaptive',
    'refine',
]
