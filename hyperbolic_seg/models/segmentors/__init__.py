"""Segmentors."""

from hyperbolic_seg.models.segmentors.feature_cache import FeatureCache
from hyperbolic_seg.models.segmentors.hyperclip_segmentor import HyperCLIPSegmentor

__all__ = ['FeatureCache', 'HyperCLIPSegmentor']
