"""Where the sun is, what of a picture it spoils, and whether it is day."""

from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.lens import Lens

DUSK, NIGHT = -0.833, -12.0
"""Elevations of the sun's centre, degrees: at sunset, and at the end of nautical twilight."""


class Place(NamedTuple):
    """Where a camera stands: degrees north and east, metres above the sea."""

    latitude: float
    longitude: float
    altitude: float = 0.0


class Sun(NamedTuple):
    """Direction of the sun, with refraction, in degrees: elevation above the horizon, azimuth clockwise from north."""

    elevation: float
    azimuth: float

    @property
    def phase(self) -> str:
        """``'day'``, ``'dusk'`` (civil and nautical twilight, in the morning too) or ``'night'``."""
        return 'day' if self.elevation > DUSK else 'dusk' if self.elevation > NIGHT else 'night'


def sun_at(time: datetime, place: Place) -> Sun:
    """Return where the sun is seen, by pvlib's solar position algorithm (Reda and Andreas 2004).

    Args:
        time: With a time zone.
        place: Of the camera.

    Raises:
        ValueError: The time has no zone, or the place is not on Earth.
        ImportError: pvlib is not installed.
    """
    if time.tzinfo is None:
        raise ValueError(f'the time {time} has no zone: give one, such as UTC')
    if not (-90 <= place.latitude <= 90 and -180 <= place.longitude <= 180):
        raise ValueError(f'{place}: expected a latitude of -90 to 90 and a longitude of -180 to 180 degrees')
    import pandas as pd
    from pvlib.solarposition import get_solarposition

    found = get_solarposition(pd.DatetimeIndex([time]), *place).iloc[0]
    return Sun(float(found['apparent_elevation']), float(found['azimuth']))


def around_sun(lens: Lens, sun: Sun, height: int, width: int, *, angle: float = 5.0) -> NDArray[np.bool_]:
    """Return the pixels (H, W) that look at less than so many degrees from the sun; none if it is below the horizon."""
    if sun.elevation <= DUSK:
        return np.zeros((height, width), bool)
    zenith, azimuth = (np.radians(array) for array in lens.directions(height, width))
    cosine = np.cos(zenith) * np.sin(np.radians(sun.elevation))
    cosine += np.sin(zenith) * np.cos(np.radians(sun.elevation)) * np.cos(azimuth - np.radians(sun.azimuth))
    return np.nan_to_num(cosine, nan=-1.0) > np.cos(np.radians(angle))
