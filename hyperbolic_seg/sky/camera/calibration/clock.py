"""Times, places and pictures that contradict each other: wrong time zones, signs and mirrors, by what they do."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.calibration.bodies import Directions, moon_directions, sun_directions
from hyperbolic_seg.sky.camera.calibration.consensus import Found, search
from hyperbolic_seg.sky.camera.calibration.fit import Fit
from hyperbolic_seg.sky.camera.calibration.sightings import Sightings
from hyperbolic_seg.sky.camera.sun import Place

Array = NDArray[np.float64]

LEANS = 5.0
"""Tilt in degrees above which a camera that is said to look up is rather one whose times or place are wrong."""

_UPRIGHT = 0.8  # of that tilt, by which a camera leans at most if another reading is right
_TWILIGHT, _MOONLESS = -6.0, 0.1  # elevation of the sun below which the moon counts, and lit share of a moon too thin
_UP = 0.5  # degrees above the horizon that a body is seen at
_AGREE = 0.75  # share of the pictures of the best reading that another one has to explain
_NEARLY_ALL = 0.6  # share of the pictures above which no other search is needed
_CLEARLY = 1.3  # factor by which the search without a lens has to explain more pictures than that with it
_HALF_HOURS = 28
_SIDEREAL = 15.041  # degrees by which the sky turns in an hour
_PICTURES, _FEWEST = 48, 8  # pictures to compare readings by, and pictures that have to agree


class Reading(NamedTuple):
    """A way to read times and place."""

    hours: float
    """Hours that the pictures were taken later than their times say."""
    south: bool = False
    """The sign of the latitude is the other one."""
    west: bool = False
    """The sign of the longitude is the other one."""

    @property
    def words(self) -> str:
        """The reading, for people."""
        if self.south or self.west:
            both = [name for name, wrong in (('latitude', self.south), ('longitude', self.west)) if wrong]
            return f'the sign of the {" and the ".join(both)} is wrong'
        if not self.hours:
            return 'times and place are right'
        zone = -self.hours
        hours = f'{abs(zone):g} hour{"" if abs(zone) == 1 else "s"}'
        ahead = 'ahead of' if zone > 0 else 'behind'
        return f'the clock of the camera is {hours} {ahead} the time zone that was given'


RIGHT = Reading(0.0)
"""Times and place as they are given."""


class Leeway(NamedTuple):
    """What the clock may be wrong by without any picture telling: sun, moon and stars turn with the camera.

    A wrong clock turns the whole sky about its pole, on every day by as much. So neither errors of the fit nor more
    days limit it, but only that the camera was set up to look at the zenith.
    """

    behind: float
    """Minutes that the clock may be behind; negative if it would have to be ahead."""
    ahead: float
    """Minutes that it may be ahead."""
    north: float
    """Degrees that north may be wrong by with it."""

    @property
    def words(self) -> str:
        """The leeway, for people."""
        return (
            f'any clock from {self.behind:.0f} minutes behind to {self.ahead:.0f} minutes ahead fits as well with a '
            f'camera that leans by up to {LEANS:g} degrees, and north changes with it by up to {self.north:.1f} degrees'
        )


class Bodies(NamedTuple):
    """The brightest body in each of P pictures, the sun or by night the moon; each star is a picture of its own."""

    directions: Array
    """Elevation and azimuth in degrees, (P, 2); NaN where neither is up, or the time is unknown."""
    moons: NDArray[np.bool_]
    """True where it is the moon, (P,)."""
    stars: NDArray[np.bool_]
    """True where it is a star or a planet, (P,)."""

    @property
    def vectors(self) -> Array:
        """Unit vectors (east, north, up), (P, 3)."""
        return Directions(*self.directions.T).vectors()


def bodies_at(times: Sequence[datetime | None], place: Place, *, moon: bool = True) -> Bodies:
    """Return the brightest body in every picture.

    Args:
        times: When each of P pictures was taken; ``None`` if unknown.
        place: Where the camera is.
        moon: Take the moon by night.

    Raises:
        ImportError: pvlib, or by night pyerfa, is not installed.
    """
    bodies = Bodies(np.full((len(times), 2), np.nan), np.zeros(len(times), bool), np.zeros(len(times), bool))
    known = np.array([number for number, time in enumerate(times) if time is not None], int)
    if not len(known):
        return bodies
    given = [time for time in times if time is not None]
    sun = np.stack(sun_directions(given, place), 1)
    bodies.directions[known] = np.where(sun[:, :1] > _UP, sun, np.nan)
    dark = np.flatnonzero(sun[:, 0] < _TWILIGHT)
    if moon and len(dark):
        there, lit = moon_directions([given[number] for number in dark], place)
        seen = (there.elevation > _UP) & (lit > _MOONLESS)
        bodies.directions[known[dark]] = np.where(seen[:, None], np.stack(there, 1), np.nan)
        bodies.moons[known[dark]] = seen
    return bodies


def _read_by(
    times: Sequence[datetime | None], place: Place, readings: Sequence[Reading], *, moon: bool
) -> list[Bodies]:
    """Return the bodies of each reading of times and place, for P pictures each."""
    found: dict[Reading, Bodies] = {}
    for signs in dict.fromkeys((reading.south, reading.west) for reading in readings):
        own = [reading for reading in readings if (reading.south, reading.west) == signs]
        here = place._replace(
            latitude=place.latitude * (-1 if signs[0] else 1), longitude=place.longitude * (-1 if signs[1] else 1)
        )
        # All at once: the moon of a few times costs as much as that of a thousand.
        later = [timedelta(hours=reading.hours) for reading in own]
        together = bodies_at(
            [None if time is None else time + more for more in later for time in times], here, moon=moon
        )
        for number, reading in enumerate(own):
            part = slice(number * len(times), (number + 1) * len(times))
            found[reading] = Bodies(together.directions[part], together.moons[part], together.stars[part])
    return [found[reading] for reading in readings]


def readings() -> list[Reading]:
    """Return the readings to compare: whole and half hours, and other signs."""
    shifts = [Reading(half / 2) for half in sorted(range(-_HALF_HOURS, _HALF_HOURS + 1), key=abs)]
    return shifts + [Reading(0.0, *signs) for signs in ((True, False), (False, True), (True, True))]


def readings_of_axis(tilt: float, toward: float, place: Place, *, leans: float = LEANS) -> list[Reading]:
    """Return readings of times and place with which a camera that was fitted to stars looks straight up.

    The stars tell above which point of the Earth the axis points. A clock that is wrong by an hour moves it by 15
    degrees of longitude.

    Args:
        tilt: Angle between the axis and the zenith by times and place as they are, degrees.
        toward: Azimuth towards which the axis leans, degrees.
        place: Where the camera is.
        leans: Degrees that the camera leans at most if times and place are right.

    Returns:
        The readings by which it leans no more, whole hours first, then those by which it leans least.
    """
    latitude, further_east = _below(tilt, toward, place)
    longitude = place.longitude + further_east
    off = []
    for reading in readings():
        there = np.radians(-place.latitude if reading.south else place.latitude)
        apart = np.radians((-1 if reading.west else 1) * place.longitude + _SIDEREAL * reading.hours - longitude)
        cosine = np.sin(latitude) * np.sin(there) + np.cos(latitude) * np.cos(there) * np.cos(apart)
        off.append((float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))), reading))
    close = [(angle, one) for angle, one in off if angle <= leans and one != RIGHT]
    return [one for _, one in sorted(close, key=lambda pair: (pair[1].hours % 1, pair[0]))]


def leeway_of(tilt: float, toward: float, place: Place) -> Leeway | None:
    """Return which clocks are as good for a fitted camera, because it leans by no more with them than a camera may.

    Args:
        tilt: Angle between the axis and the zenith by the times as they are, degrees.
        toward: Azimuth towards which the axis leans, degrees.
        place: Where the camera is.

    Returns:
        The clocks; ``None`` if the camera leans by more already, so that nothing limits them.
    """
    if tilt > LEANS:
        return None
    latitude, further_east = _below(tilt, toward, place)
    own = np.radians(place.latitude)
    cosine = (np.cos(np.radians(LEANS)) - np.sin(own) * np.sin(latitude)) / max(np.cos(own) * np.cos(latitude), 1e-9)
    half = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))  # near a pole every clock is as good
    behind, ahead = (60 * (half + sign * further_east) / _SIDEREAL for sign in (1, -1))
    return Leeway(behind, ahead, max(behind, ahead) / 60 * _SIDEREAL * abs(float(np.sin(own))))


def _below(tilt: float, toward: float, place: Place) -> tuple[float, float]:
    """Return the point of the Earth above which an axis points: its latitude, and how many degrees further east it is.

    The latitude is in radians.
    """
    east, north, up = Directions(np.array([90 - tilt]), np.array([toward])).vectors()[0]
    own = np.radians(place.latitude)
    latitude = np.arcsin(np.clip(np.sin(own) * up + np.cos(own) * north, -1, 1))
    return float(latitude), float(np.degrees(np.arctan2(east, np.cos(own) * up - np.sin(own) * north)))


def better_readings(
    sightings: Sightings,
    times: Sequence[datetime | None],
    place: Place,
    lens: Fit | None,
    *,
    focals: Array,
    center: tuple[float, float],
    leans: float = LEANS,
) -> list[tuple[Reading, Found]]:
    """Return readings of times and place with which the camera looks straight up and the suns are where they should be.

    A clock that is wrong turns the sky about its pole, as does a wrong place. So the suns fit a camera that leans by
    about 15 degrees for each hour; that no camera does which was set up to look at the zenith.

    Args:
        sightings: Candidates in P pictures.
        times: When each was taken.
        place: Where the camera is.
        lens: Lens that fits times and place as they are; ``None`` if there is none.
        focals: Focal lengths to try without it.
        center: Pixel of the optical axis.
        leans: Degrees that the camera leans at most if times and place are right.

    Returns:
        The readings, those of a picture that is not mirrored first, then whole hours, then the most upright; none if
        times and place as they are do as well.
    """
    some, when = _some(sightings, times)
    tried = readings()
    # Without a moon by times and place as they are, the few by another reading would only cost time.
    moon = bool(bodies_at(when, place).moons.any())
    bodies = _read_by(when, place, tried, moon=moon)
    lenses: list[tuple[tuple[float, float], dict[str, Any]]] = [(center, dict(focals=focals[::2], tolerance=6.0))]
    if lens is not None:  # the angles between suns do not depend on times and place, so the lens is right if they fit
        own = float(lens.values[0]), float(lens.values[1])
        lenses.insert(0, (own, dict(focals=lens.values[2:3], projection=lens.projection, tolerance=2.0)))
    best: list[tuple[Reading, Found]] = []
    for number, (pixel, options) in enumerate(lenses):
        found = [
            (reading, one)
            for reading, own_bodies in zip(tried, bodies, strict=True)
            for one in search(some, own_bodies.vectors, pixel, **options)
        ]
        good = _with_most(found)
        tilts = [one.tilt if lens is None else lens.tilt[0] for reading, one in good if reading == RIGHT]
        if number == 0 and tilts and min(tilts) <= leans:
            return []
        others = _with_most(
            [(reading, one) for reading, one in good if one.tilt <= _UPRIGHT * leans and reading != RIGHT]
        )
        if _most(others) >= max(_FEWEST, _CLEARLY * _most(best)):
            best = others
        if _most(best) >= _NEARLY_ALL * len(when):
            break
    return sorted(best, key=lambda pair: (not pair[1].east_left, pair[0].hours % 1, pair[1].tilt))


def _most(found: list[tuple[Reading, Found]]) -> int:
    return max((one.agree for _, one in found), default=0)


def _with_most(found: list[tuple[Reading, Found]]) -> list[tuple[Reading, Found]]:
    """Return the readings that explain nearly as many pictures as the one that explains most."""
    return [(reading, one) for reading, one in found if one.agree >= _AGREE * _most(found)]


def _some(sightings: Sightings, times: Sequence[datetime | None]) -> tuple[Sightings, list[datetime | None]]:
    """Return the candidates of at most 48 pictures, and their times."""
    owners = np.unique(sightings.pictures)
    kept = owners[:: max(1, -(-len(owners) // _PICTURES))]
    chosen = np.isin(sightings.pictures, kept)
    numbers = np.searchsorted(kept, sightings.pictures[chosen])
    return sightings.of(np.flatnonzero(chosen))._replace(pictures=numbers), [times[number] for number in kept]
