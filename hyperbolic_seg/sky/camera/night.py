"""Apparent directions of the bright planets and stars."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.bright_stars import bright_stars
from hyperbolic_seg.sky.camera.celestial import EPOCH, Sky, load_erfa
from hyperbolic_seg.sky.camera.sun import Place

Array = NDArray[np.float64]

PLANETS = ('Venus', 'Mars', 'Jupiter', 'Saturn')
"""Planets that are as bright as bright stars."""

_NUMBERS = np.array([2, 4, 5, 6])  # of these planets in ERFA
_AU, _LIGHT = 1.495978707e11, 173.144632674  # meters, and astronomical units a day
_SATURN = np.radians((40.589, 83.537))  # right ascension and declination of its north pole, degrees (IAU, 2015)
_HIPPARCOS = 2448349.0625  # Julian date of the epoch J1991.25
_MILLIARCSECOND = np.radians(1 / 3.6e6)


class NightSky(NamedTuple):
    """Planets and stars at T times, N of them, above and below the horizon."""

    names: tuple[str, ...]
    """Names, the planets first, N."""
    magnitudes: Array
    """Apparent magnitudes without the absorption of the air, (T, N)."""
    elevations: Array
    """Apparent elevations in degrees, with refraction, (T, N)."""
    azimuths: Array
    """Azimuths clockwise from north, degrees, (T, N)."""


def night_sky(times: Sequence[datetime], place: Place) -> NightSky:
    """Return the bright planets and stars at several times, as seen from a place.

    Stars are those of :func:`~hyperbolic_seg.sky.camera.bright_stars.bright_stars` with proper motion and aberration.
    Planets are those of Simon et al. ("Numerical expressions for precession formulae and mean elements for the Moon and
    the planets", 1994) by the routines of ERFA, right to 0.03 degrees, without any table that would have to be
    downloaded. Their magnitudes are those of Meeus ("Astronomical Algorithms", 1998, chapter 41), right to 0.3.

    Args:
        times: Times with a time zone, from 1900 to 2099.
        place: Location of the camera.

    Raises:
        ValueError: A time has no time zone or is of another century, or the place is not on Earth.
        ImportError: pyerfa or pvlib is not installed.
    """
    erfa, sky = load_erfa(), Sky.at(times, place)
    stars = bright_stars()
    heliocentric, barycentric = erfa.epv00(EPOCH, sky.terrestrial)
    planets, magnitudes = _planets(sky.terrestrial[:, None], heliocentric['p'][:, None])
    fixed = np.broadcast_to(_star_vectors(sky.terrestrial), (len(times), len(stars), 3))
    far = np.linalg.norm(planets, axis=-1, keepdims=True), np.ones((*fixed.shape[:2], 1))
    distances = np.concatenate(far, 1)
    speed = barycentric['v'][:, None] / _LIGHT
    seen = erfa.ab(
        np.concatenate([planets, fixed], 1) / distances,
        speed,
        np.linalg.norm(heliocentric['p'], axis=-1)[:, None],
        np.sqrt(1 - (speed**2).sum(-1)),
    )
    there = erfa.rxp(sky.turned[:, None], seen)
    near = len(PLANETS)  # stars are so far that the place does not count
    there[:, :near] = there[:, :near] * distances[:, :near] * _AU - sky.here
    elevations, azimuths = sky.directions(there)
    bright = np.broadcast_to([star.magnitude for star in stars], fixed.shape[:2])
    names = (*PLANETS, *(star.name for star in stars))
    return NightSky(names, np.concatenate([magnitudes, bright], 1), elevations, azimuths)


def _star_vectors(terrestrial: Array) -> Array:
    """Return unit vectors of the stars on celestial axes, (T, N, 3)."""
    numbers = np.array([star[2:6] for star in bright_stars()])
    a, d = np.radians(numbers[:, :2]).T
    east = np.stack([-np.sin(a), np.cos(a), np.zeros_like(a)], 1)
    north = np.stack([-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)], 1)
    there = np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], 1)
    motion = (numbers[:, 2:3] * east + numbers[:, 3:4] * north) * _MILLIARCSECOND
    moved = there + motion * (terrestrial + EPOCH - _HIPPARCOS)[:, None, None] / 365.25
    return np.asarray(moved / np.linalg.norm(moved, axis=-1, keepdims=True))


def _planets(terrestrial: Array, earth: Array) -> tuple[Array, Array]:
    """Return the planets as seen from the center of the Earth on celestial axes, and their magnitudes.

    Args:
        terrestrial: Terrestrial times, days since the epoch, (T, 1).
        earth: The Earth as seen from the Sun in astronomical units, (T, 1, 3).

    Returns:
        Vectors in astronomical units, (T, 4, 3), and magnitudes, (T, 4).
    """
    erfa = load_erfa()
    away = np.zeros((len(terrestrial), len(_NUMBERS)))
    for _ in range(2):  # light left the planet a while ago; where it then was is known to a second after two rounds
        planets = erfa.plan94(EPOCH, terrestrial - away / _LIGHT, _NUMBERS)['p']
        away = np.linalg.norm(planets - earth, axis=-1)
    return planets - earth, _planet_magnitudes(planets, planets - earth)


def _planet_magnitudes(from_sun: Array, from_earth: Array) -> Array:
    """Return the magnitudes of the planets by their vectors in astronomical units, (T, 4) each."""
    erfa = load_erfa()
    distances = np.linalg.norm(from_sun, axis=-1) * np.linalg.norm(from_earth, axis=-1)
    venus, mars, jupiter, saturn = np.degrees(erfa.sepp(from_sun, from_earth)).T  # angles of the phase
    pole = erfa.s2c(*_SATURN)
    rings = np.abs((from_earth[:, 3] * pole).sum(-1)) / np.linalg.norm(from_earth[:, 3], axis=-1)
    own = [
        -4.40 + 0.0009 * venus + 2.39e-4 * venus**2 - 6.5e-7 * venus**3,
        -1.52 + 0.016 * mars,
        -9.40 + 0.005 * jupiter,
        -8.88 + 0.044 * saturn - 2.60 * rings + 1.25 * rings**2,
    ]
    return np.asarray(np.stack(own, 1) + 5 * np.log10(distances))
