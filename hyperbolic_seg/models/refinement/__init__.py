"""What makes masks follow an image: its edges and its colors."""

from hyperbolic_seg.models.refinement.color_likelihood import weigh_colours
from hyperbolic_seg.models.refinement.guided_filter import guided_log_softmax, guided_logarithms, guided_upsample

__all__ = ['guided_log_softmax', 'guided_logarithms', 'guided_upsample', 'weigh_colours']
