"""From coarse logits to labels: edges and colors of the image, averages over windows, probabilities."""

from hyperbolic_seg.models.refinement.bands import in_bands, largest_in_bands
from hyperbolic_seg.models.refinement.chain import Refinement, class_probabilities, decide, enlarge, owned, refine
from hyperbolic_seg.models.refinement.color_likelihood import apply_color_likelihood, color_features
from hyperbolic_seg.models.refinement.guided_filter import guided_logarithms, guided_upsample
from hyperbolic_seg.models.refinement.levels import levels_of
from hyperbolic_seg.models.refinement.odds import Odds, OddsChange, apply_odds, fit_odds
from hyperbolic_seg.models.refinement.pixel_adaptive import pixel_adaptive

__all__ = [
    'Odds',
    'OddsChange',
    'Refinement',
    'apply_color_likelihood',
    'apply_odds',
    'class_probabilities',
    'color_features',
    'decide',
    'enlarge',
    'fit_odds',
    'guided_logarithms',
    'guided_upsample',
    'in_bands',
    'largest_in_bands',
    'levels_of',
    'owned',
    'pixel_adaptive',
    'refine',
]
