"""Procedural images of the sky from the ground, with the WMO genus of every pixel."""

from hyperbolic_seg.sky.renderer.appearance import Appearance
from hyperbolic_seg.sky.renderer.labels import CLOUDS, FOREGROUND, GENUS_NAMES, SkyLabel
from hyperbolic_seg.sky.renderer.render import RenderedSky, render_sky
from hyperbolic_seg.sky.renderer.sampling import sample_scene
from hyperbolic_seg.sky.renderer.scene import (
    PROJECTIONS,
    SKYLINES,
    Camera,
    CloudLayer,
    Drops,
    Flare,
    Flyer,
    Ground,
    Night,
    Overlay,
    PointLight,
    Sensor,
    SkyScene,
    Sun,
    Text,
)
from hyperbolic_seg.sky.renderer.series import Station, render_station

__all__ = [
    'CLOUDS',
    'FOREGROUND',
    'GENUS_NAMES',
    'PROJECTIONS',
    'SKYLINES',
    'Appearance',
    'Camera',
    'CloudLayer',
    'Drops',
    'Flare',
    'Flyer',
    'Ground',
    'Night',
    'Overlay',
    'PointLight',
    'RenderedSky',
    'Sensor',
    'SkyLabel',
    'SkyScene',
    'Station',
    'Sun',
    'Text',
    'render_sky',
    'render_station',
    'sample_scene',
]
