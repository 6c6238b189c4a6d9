"""Hyperbolic layers for any PyTorch model: they need torch, numpy and geoopt alone."""

from hyperbolic_seg.layers.classifiers import HyperbolicMLR, HyperbolicPrototypes
from hyperbolic_seg.layers.curvature import Curvature

__all__ = ['Curvature', 'HyperbolicMLR', 'HyperbolicPrototypes']
