"""Directions of the sun and the moon at many times."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.moon import moons_at
from hyperbolic_seg.sky.camera.sun import Place, suns_at

Array = NDArray[np.float64]


class Directions(NamedTuple):
    """Apparent directions of a body in degrees, with refraction."""

    elevation: Array
    """Elevations above the horizon, (N,)."""
    azimuth: Array
    """Azimuths clockwise from north, (N,)."""

    def vectors(self) -> Array:
        """Return unit vectors (east, north, up), (N, 3)."""
        a, e = np.radians(self.azimuth), np.radians(self.elevation)
        return np.stack([np.sin(a) * np.cos(e), np.cos(a) * np.cos(e), np.sin(e)], 1)


def sun_directions(times: Sequence[datetime], place: Place) -> Directions:
    """Return the directions of the sun, see :func:`~hyperbolic_seg.sky.camera.sun_at`.

    Args:
        times: N times with a time zone.
        place: Location of the camera.

    Raises:
        ValueError: A time has no time zone, or the place is not on Earth.
        ImportError: pvlib is not installed.
    """
    suns = suns_at(times, place)
    return Directions(np.array([sun.elevation for sun in suns]), np.array([sun.azimuth for sun in suns]))


def moon_directions(times: Sequence[datetime], place: Place) -> tuple[Directions, Array]:
    """Return the directions of the moon, see :func:`~hyperbolic_seg.sky.camera.moon_at`.

    Args:
        times: N times with a time zone, from 1900 to 2099.
        place: Location of the camera.

    Returns:
        The directions, and the share of the disk that is lit, 0 to 1, (N,).

    Raises:
        ValueError: A time has no time zone or is of another century, or the place is not on Earth.
        ImportError: pyerfa or pvlib is not installed.
    """
    elevation, azimuth, lit = np.array(moons_at(times, place), np.float64).reshape(-1, 3).T
    return Directions(elevation, azimuth), lit
