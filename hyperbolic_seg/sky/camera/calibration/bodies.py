"""Directions of the sun and the moon at many times."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.sun import Place

Array = NDArray[np.float64]

_PRESSURE, _SCALE, _COOL = 1013.25, 8400.0, 10.0
"""Air pressure at sea level in hPa, meters in which it falls to 1/e, and temperature in degrees: for refraction."""


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
    """Return the directions of the sun, as :func:`~hyperbolic_seg.sky.camera.sun_at` does, for many times at once.

    Args:
        times: N times with a time zone.
        place: Location of the camera.

    Raises:
        ImportError: pvlib is not installed.
    """
    try:
        import pandas as pd
        from pvlib.solarposition import get_solarposition
    except ImportError as error:
        raise ImportError("the direction of the sun needs pvlib: pip install 'hyperbolic-seg[app]'") from error
    found = get_solarposition(pd.to_datetime(list(times), utc=True), *place)
    return Directions(found['apparent_elevation'].to_numpy(float), found['azimuth'].to_numpy(float))


def moon_directions(times: Sequence[datetime], place: Place) -> tuple[Directions, Array]:
    """Return the directions of the moon by astropy, with its built-in ephemeris and without any download.

    The built-in ephemeris is that of ERFA (Simon et al., 1994), good to 0.01 degrees. Without recent tables of the
    rotation of the Earth the error is at most that of a second of time, 0.004 degrees.

    Args:
        times: N times with a time zone.
        place: Location of the camera.

    Returns:
        The directions, and the share of the disk that is lit, 0 to 1, (N,).

    Raises:
        ImportError: astropy is not installed.
    """
    try:
        import astropy.units as u
        from astropy.coordinates import AltAz, EarthLocation, get_body, solar_system_ephemeris
        from astropy.time import Time
        from astropy.utils import iers
    except ImportError as error:
        raise ImportError("the direction of the moon needs astropy: pip install 'hyperbolic-seg[app]'") from error
    with (
        iers.conf.set_temp('auto_download', False),
        iers.conf.set_temp('auto_max_age', None),
        iers.conf.set_temp('iers_degraded_accuracy', 'warn'),
        solar_system_ephemeris.set('builtin'),
    ):
        here = EarthLocation.from_geodetic(place.longitude * u.deg, place.latitude * u.deg, place.altitude * u.m)
        when = Time([time.timestamp() for time in times], format='unix')
        pressure = _PRESSURE * np.exp(-place.altitude / _SCALE) * u.hPa
        frame = AltAz(
            obstime=when, location=here, pressure=pressure, temperature=_COOL * u.deg_C, obswl=0.55 * u.micron
        )
        moon, sun = get_body('moon', when, here), get_body('sun', when, here)
        lit = (1 - np.cos(moon.separation(sun, origin_mismatch='ignore').rad)) / 2
        seen = moon.transform_to(frame)
    return Directions(np.asarray(seen.alt.deg, float), np.asarray(seen.az.deg, float)), np.asarray(lit, float)
