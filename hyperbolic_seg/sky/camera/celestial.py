"""Directions of things in the sky as seen from a place, by the routines of ERFA."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.sun import Place, check_moment

Array = NDArray[np.float64]

EPOCH = 2440587.5
"""Julian date of the time 0 of Unix."""

_TT = 69.184  # seconds by which terrestrial time is ahead of UTC since 2017; the moon moves 0.01 degrees a minute
_TEMPERATURE = 12.0  # degrees Celsius, that of pvlib's sun
_REFRACTION = 0.5667  # degrees at sunset, that of pvlib's sun


@dataclass(frozen=True)
class Sky:
    """The celestial axes as seen from a place at N times.

    It needs no table of the rotation of the Earth, which would have to be downloaded: UTC stands for UT1, from which it
    differs by less than 0.9 seconds or 0.004 degrees.

    Attributes:
        place: Where it is seen from.
        terrestrial: Terrestrial time, days since :data:`EPOCH`, (N,).
        turned: Rotations from celestial axes to those of the Earth, (N, 3, 3).
        here: The place on the axes of the Earth, meters, (3,).
    """

    place: Place
    terrestrial: Array
    turned: Array
    here: Array

    @classmethod
    def at(cls, times: Sequence[datetime], place: Place) -> 'Sky':
        """Return the sky at times from 1900 to 2099.

        Raises:
            ValueError: A time has no time zone or is of another century, or the place is not on Earth.
            ImportError: pyerfa is not installed.
        """
        for time in times:
            check_moment(time, place)
            if not 1900 <= time.year < 2100:
                raise ValueError(
                    f'the time {time}: expected a year from 1900 to 2099, is the clock of the camera right?'
                )
        erfa = load_erfa()
        seconds = np.array([time.timestamp() for time in times], np.float64)
        universal, terrestrial = seconds / 86400, (seconds + _TT) / 86400
        turned = erfa.pnm06a(EPOCH, terrestrial)  # from celestial axes to those of equator and equinox of date
        turned = erfa.rz(erfa.gst06a(EPOCH, universal, EPOCH, terrestrial), turned)  # and to those of the Earth
        longitude, latitude = np.radians(place.longitude), np.radians(place.latitude)
        return cls(place, terrestrial, turned, erfa.gd2gc(1, longitude, latitude, place.altitude))  # 1 is WGS84

    def directions(self, vectors: Array) -> tuple[Array, Array]:
        """Return apparent elevations and azimuths in degrees, with the refraction of pvlib's sun.

        Args:
            vectors: From the place, on the axes of the Earth, (..., 3).

        Raises:
            ImportError: pvlib is not installed.
        """
        from pvlib.atmosphere import alt2pres
        from pvlib.spa import atmospheric_refraction_correction

        erfa = load_erfa()
        angle, declination = erfa.c2s(vectors)
        longitude, latitude = np.radians(self.place.longitude), np.radians(self.place.latitude)
        azimuth, elevation = np.degrees(erfa.hd2ae(longitude - angle, declination, latitude))
        pressure = alt2pres(self.place.altitude) / 100
        elevation = elevation + atmospheric_refraction_correction(pressure, _TEMPERATURE, elevation, _REFRACTION)
        return elevation, azimuth % 360


def load_erfa() -> Any:
    """Return the module ``erfa``.

    Raises:
        ImportError: pyerfa is not installed.
    """
    try:
        import erfa
    except ImportError as error:
        raise ImportError("moon, planets and stars need pyerfa: pip install 'hyperbolic-seg[app]'") from error
    return erfa
