"""Segmentors."""

from hyperbolic_seg.models.segmentors.colour_evidence import weigh_colours
from hyperbolic_seg.models.segmentors.guided_upsampling import guided_log_softmax, guided_upsample
from hyperbolic_seg.models.segmentors.hyperclip_segmentor import HyperCLIPSegmentor, kinds

__all__ = ['HyperCLIPSegmentor', 'guided_log_softmax', 'guided_upsample', 'kinds', 'weigh_colours']
