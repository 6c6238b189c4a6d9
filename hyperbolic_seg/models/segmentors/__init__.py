"""Segmentors."""

from hyperbolic_seg.models.segmentors.hyperclip_segmentor import HyperCLIPSegmentor

__all__ = ['HyperCLIPSegmentor']
