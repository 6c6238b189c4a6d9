"""Parts of the sky, between angles."""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.lens import Directions
from hyperbolic_seg.sky.camera.sun import DUSK, Sun
from hyperbolic_seg.text import shown

Limits = tuple[float, float]
"""Lower and upper limit in degrees."""

MAX_REGIONS = 100
"""Limit of the number of regions of a camera."""

_LONGEST = 100  # characters of a name
_BOUNDS = dict(zenith_angle=(0, 180), elevation=(-90, 90), azimuth=(-360, 360), sun_distance=(0, 180))


@dataclass(frozen=True)
class Region:
    """A part of the sky, which is where all of its limits hold. Limits are degrees.

    Args:
        zenith_angle: Limits of the angle from the zenith, 0 to 180.
        elevation: Limits of the angle above the horizon, -90 to 90, instead of those from the zenith.
        azimuth: First and last azimuth, clockwise from north. The first may be the larger one: (315, 45), or (-45, 45),
            goes through north. The last is that of the next region, so that sectors side by side share no pixel.
        sun_distance: Limits of the angle from the sun, 0 to 180.

    Raises:
        ValueError: There is no limit, or limits are out of range, equal or reversed.
    """

    zenith_angle: Limits | None = None
    elevation: Limits | None = None
    azimuth: Limits | None = None
    sun_distance: Limits | None = None

    def __post_init__(self) -> None:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        if all(limits is None for limits in given.values()):
            raise ValueError(f'no limits: expected some of {", ".join(given)}, such as zenith_angle: [0, 30]')
        if self.zenith_angle is not None and self.elevation is not None:
            raise ValueError('zenith_angle and elevation are limits of the same angle: give one of them')
        for name, limits in given.items():
            if limits is not None:
                _check_limits(name, limits)

    def mask(self, directions: Directions, sun: Sun | None) -> NDArray[np.bool_] | None:
        """Return True for pixels inside, (H, W).

        Returns:
            ``None`` if the region lies about a sun that is not known or is below the horizon.
        """
        zenith, azimuth = directions
        inside = ~np.isnan(zenith)
        if self.zenith_angle is not None:
            inside &= _within(zenith, self.zenith_angle)
        if self.elevation is not None:
            inside &= _within(90 - zenith, self.elevation)
        if self.azimuth is not None:
            first, last = self.azimuth
            inside &= (azimuth - first) % 360 < _clockwise(first, last)
        if self.sun_distance is not None:
            if sun is None or sun.elevation <= DUSK:
                return None
            away = directions.separations(elevation=sun.elevation, azimuth=sun.azimuth)
            inside &= _within(away, self.sun_distance)
        return inside


def read_regions(content: Any) -> dict[str, Region]:
    """Return the regions of a camera file.

    Args:
        content: Mapping from names to mappings from limits of :class:`~hyperbolic_seg.sky.camera.Region` to numbers.

    Raises:
        ValueError: It is something else, a name or region is invalid, or names differ only in case and blanks.
    """
    if not isinstance(content, dict) or len(content) > MAX_REGIONS:
        raise ValueError(
            f'regions: {shown(content)}: expected up to {MAX_REGIONS} names with their limits, such as '
            '{zenith: {zenith_angle: [0, 30]}}'
        )
    found: dict[str, str] = {}
    for name in map(_name, content):
        if (other := found.setdefault(' '.join(name.casefold().split()), name)) is not name:
            raise ValueError(f'the regions {shown(other)} and {shown(name)} have the same name: rename one')
    return {name: _region(name, limits) for name, limits in content.items()}


def _name(name: Any) -> str:
    if not (isinstance(name, str) and name.strip() and len(name) <= _LONGEST):
        raise ValueError(f'the region {shown(name)}: expected a name of up to {_LONGEST} characters, in quotes')
    return name


def _region(name: Any, content: Any) -> Region:
    known = [field.name for field in fields(Region)]
    if not isinstance(content, dict):
        raise ValueError(f'the region {shown(name)}: {shown(content)}: expected limits of {", ".join(known)}')
    if unknown := [key for key in content if key not in known]:
        raise ValueError(f'the region {shown(name)} has {shown(unknown[0])}: expected limits of {", ".join(known)}')
    for key, limits in content.items():
        if not (isinstance(limits, list) and len(limits) == 2 and all(type(each) in (int, float) for each in limits)):
            raise ValueError(f'the region {shown(name)}: {key}: {shown(limits)}: expected two numbers, in brackets')
    try:
        return Region(**{key: (limits[0], limits[1]) for key, limits in content.items()})
    except ValueError as error:
        raise ValueError(f'the region {shown(name)}: {error}') from error


def _check_limits(name: str, limits: Limits) -> None:
    (least, most), (first, last) = _BOUNDS[name], limits
    if not all(least <= each <= most for each in limits):
        raise ValueError(f'{name}: {shown(list(limits))}: expected degrees from {least} to {most}')
    if name == 'azimuth' and (_clockwise(first, last) == 0 or abs(last - first) > 360):
        raise ValueError(f'azimuth: {shown(list(limits))}: expected two azimuths, such as [315, 45] through north')
    if name != 'azimuth' and first >= last:
        raise ValueError(f'{name}: {shown(list(limits))}: expected the smaller limit first, and two that differ')


def _clockwise(first: float, last: float) -> float:
    """Return the angle from an azimuth clockwise to another, degrees; infinity for a whole turn, such as (0, 360)."""
    return math.inf if last - first == 360 else (last - first) % 360


def _within(angles: NDArray[np.float64], limits: Limits) -> NDArray[np.bool_]:
    return (angles >= limits[0]) & (angles <= limits[1])
