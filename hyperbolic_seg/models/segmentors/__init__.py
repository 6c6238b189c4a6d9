"""Segmentors."""

from hyperbolic_seg.models.segmentors.class_chunks import at_original_size
from hyperbolic_seg.models.segmentors.feature_cache import FeatureCache
from hyperbolic_seg.models.segmentors.hyperclip_segmentor import HyperCLIPSegmentor
from hyperbolic_seg.models.segmentors.tta_model import HyperCLIPTTAModel

__all__ = ['FeatureCache', 'HyperCLIPSegmentor', 'HyperCLIPTTAModel', 'at_original_size']
