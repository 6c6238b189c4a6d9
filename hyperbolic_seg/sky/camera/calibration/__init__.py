"""Calibration of a sky camera from its own pictures."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.sky.camera.calibration.bodies import Directions, moon_directions, sun_directions

__all__ = ['Directions', 'moon_directions', 'sun_directions']
__getattr__ = attach(__name__, dict(Directions='bodies', moon_directions='bodies', sun_directions='bodies'))
