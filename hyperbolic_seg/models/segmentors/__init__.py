"""Segmentors."""

from hyperbolic_seg.models.segmentors.hyperclip_segmentor import HyperCLIPSegmentor, kinds

__all__ = ['HyperCLIPSegmentor', 'kinds']
