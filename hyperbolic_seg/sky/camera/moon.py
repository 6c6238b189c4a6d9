"""Position and phase of the moon, and pixels in its glare."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.celestial import EPOCH, Sky, load_erfa
from hyperbolic_seg.sky.camera.lens import Directions
from hyperbolic_seg.sky.camera.sun import Place, Sun

DARK = -6.0
"""Elevation of the sun in degrees below which the moon glares, that of the end of civil twilight.

Twilight lights the ground with 3.4 lux there and with 0.01 at -12 degrees, a full moon with up to 0.3: in between the
moon becomes the brightest light, and a mask that comes a little early costs no more than the pixels in it.
"""
LIT = 0.1
"""Illuminated fraction from which the moon glares; a crescent of that size gives 1 % of the light of a full moon."""

_AU = 1.495978707e11  # meters


class Moon(NamedTuple):
    """Apparent direction of the moon in degrees, and its phase."""

    elevation: float
    """Elevation of the center above the horizon."""
    azimuth: float
    """Azimuth clockwise from north."""
    illumination: float
    """Illuminated fraction of the disk, 0 to 1."""


def moon_at(time: datetime, place: Place) -> Moon:
    """Return the apparent direction and phase of the moon, as seen from a place; see :func:`moons_at`.

    Raises:
        ValueError: The time has no time zone or is of another century, or the place is not on Earth.
        ImportError: pyerfa or pvlib is not installed.
    """
    return moons_at([time], place)[0]


def moons_at(times: Sequence[datetime], place: Place) -> list[Moon]:
    """Return the apparent direction and phase of the moon at several times, as seen from a place.

    The position is Meeus' ("Astronomical Algorithms", 1998, chapter 47) by the routines of ERFA, which are the built-in
    ephemeris of astropy, less that of the place. It needs no table of the rotation of the Earth, which would have to be
    downloaded: UTC stands for UT1, from which it differs by less than 0.9 seconds or 0.004 degrees. Refraction is that
    of the sun. Above the horizon, positions agree with JPL Horizons within 0.02 degrees.

    Args:
        times: Times with a time zone, from 1900 to 2099.
        place: Location of the camera.

    Raises:
        ValueError: A time has no time zone or is of another century, or the place is not on Earth.
        ImportError: pyerfa or pvlib is not installed.
    """
    erfa, sky = load_erfa(), Sky.at(times, place)
    moon = _AU * erfa.rxp(sky.turned, erfa.moon98(EPOCH, sky.terrestrial)['p'])
    sun = -_AU * erfa.rxp(sky.turned, erfa.epv00(EPOCH, sky.terrestrial)[0]['p'])
    elevation, azimuth = sky.directions(moon - sky.here)
    lit = (1 + np.cos(erfa.sepp(sun - moon, sky.here - moon))) / 2
    found = zip(elevation, azimuth, lit, strict=True)
    return [Moon(float(up), float(around), float(share)) for up, around, share in found]


def around_moon(directions: Directions, moon: Moon, *, sun: Sun, angle: float = 5.0) -> NDArray[np.bool_]:
    """Return True for pixels within an angle in degrees of a moon that glares, (H, W).

    None are if the sun is above :data:`DARK`, or the moon is below the horizon or lit by less than :data:`LIT`.
    """
    if sun.elevation > DARK or moon.elevation <= 0 or moon.illumination < LIT:
        return np.zeros(directions.zenith.shape, bool)
    return np.asarray(directions.separations(elevation=moon.elevation, azimuth=moon.azimuth) < angle)
