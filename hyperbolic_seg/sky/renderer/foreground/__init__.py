"""Foreground of the sky: buildings, trees, terrain and structures around the camera, and the rim of its lens."""

from hyperbolic_seg.sky.renderer.foreground.foreground import draw_foreground

__all__ = ['draw_foreground']
