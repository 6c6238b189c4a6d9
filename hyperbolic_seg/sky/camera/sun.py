"""Position of the sun, pixels near it, and phase of the day."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.lens import Directions

DUSK, NIGHT = -0.833, -12.0
"""Elevations of the center of the sun in degrees, at sunset and at the end of nautical twilight."""


class Place(NamedTuple):
    """Location of a camera: degrees north and east, meters above sea level."""

    latitude: float
    longitude: float
    altitude: float = 0.0


class Sun(NamedTuple):
    """Apparent direction of the sun in degrees: elevation above the horizon, and azimuth clockwise from north."""

    elevation: float
    azimuth: float

    @property
    def phase(self) -> str:
        """``'day'``, ``'dusk'`` (civil and nautical twilight, also in the morning) or ``'night'``."""
        return 'day' if self.elevation > DUSK else 'dusk' if self.elevation > NIGHT else 'night'


def check_moment(time: datetime, place: Place) -> None:
    """Refuse a time without a time zone, and a place that is not on Earth.

    Raises:
        ValueError: It is such a time or place.
    """
    if time.tzinfo is None:
        raise ValueError(f'the time {time} has no time zone: give one, such as UTC')
    if not (-90 <= place.latitude <= 90 and -180 <= place.longitude <= 180):
        raise ValueError(f'{place}: expected a latitude of -90 to 90 and a longitude of -180 to 180 degrees')


def sun_at(time: datetime, place: Place) -> Sun:
    """Return the apparent direction of the sun by pvlib's solar position algorithm (Reda and Andreas, 2004).

    The elevation is the apparent one: it includes refraction.

    Args:
        time: Time with a time zone.
        place: Location of the camera.

    Raises:
        ValueError: The time has no time zone, or the place is not on Earth.
        ImportError: pvlib is not installed.
    """
    return suns_at([time], place)[0]


def suns_at(times: Sequence[datetime], place: Place) -> list[Sun]:
    """Return the apparent direction of the sun at several times, see :func:`sun_at`.

    Raises:
        ValueError: A time has no time zone, or the place is not on Earth.
        ImportError: pvlib is not installed.
    """
    for time in times:
        check_moment(time, place)
    import pandas as pd
    from pvlib.solarposition import get_solarposition

    found = get_solarposition(pd.to_datetime(list(times), utc=True), *place)
    return [
        Sun(float(up), float(around)) for up, around in zip(found['apparent_elevation'], found['azimuth'], strict=True)
    ]


def around_sun(directions: Directions, sun: Sun, *, angle: float = 5.0) -> NDArray[np.bool_]:
    """Return True for pixels within an angle in degrees of the sun, (H, W); none if the sun is below the horizon."""
    if sun.elevation <= DUSK:
        return np.zeros(directions.zenith.shape, bool)
    return np.asarray(directions.separations(elevation=sun.elevation, azimuth=sun.azimuth) < angle)
