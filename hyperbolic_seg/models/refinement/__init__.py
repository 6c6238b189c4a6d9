"""What makes masks follow an image: its edges and its colors."""

from hyperbolic_seg.models.refinement.color_likelihood import apply_color_likelihood
from hyperbolic_seg.models.refinement.guided_filter import guided_log_softmax, guided_logarithms, guided_upsample

__all__ = ['apply_color_likelihood', 'guided_log_softmax', 'guided_logarithms', 'guided_upsample']
