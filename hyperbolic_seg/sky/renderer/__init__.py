"""Procedural images of the sky from the ground, with the WMO genus of every pixel."""

from hyperbolic_seg.sky.renderer.labels import CLOUDS, GENUS_NAMES, SkyLabel
from hyperbolic_seg.sky.renderer.render import RenderedSky, render_sky
from hyperbolic_seg.sky.renderer.sampling import sample_scene
from hyperbolic_seg.sky.renderer.scene import (
    Camera,
    CloudLayer,
    Ground,
    Sensor,
    SkyScene,
    Sun,
)

__all__ = [
    'CLOUDS',
    'GENUS_NAMES',
    'Camera',
    'CloudLayer',
    'Ground',
    'RenderedSky',
    'Sensor',
    'SkyLabel',
    'SkyScene',
    'Sun',
    'render_sky',
    'sample_scene',
]
