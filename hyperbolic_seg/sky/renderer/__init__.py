"""Procedural images of the sky from the ground, with the WMO genus of every pixel."""

from hyperbolic_seg.sky.renderer.labels import CLOUDS, GENUS_NAMES, SkyLabel
from hyperbolic_seg.sky.renderer.render import RenderedSky, render_sky
from hyperbolic_seg.sky.renderer.sampling import sample_scene
from hyperbolic_seg.sky.renderer.scene import (
    PROJECTIONS,
    Camera,
    CloudLayer,
    Ground,
    PointLight,
    Sensor,
    SkyScene,
    Sun,
)
from hyperbolic_seg.sky.renderer.series import Station, render_station

__all__ = [
    'CLOUDS',
    'GENUS_NAMES',
    'PROJECTIONS',
    'Camera',
    'CloudLayer',
    'Ground',
    'PointLight',
    'RenderedSky',
    'Sensor',
    'SkyLabel',
    'SkyScene',
    'Station',
    'Sun',
    'render_sky',
    'render_station',
    'sample_scene',
]
