"""Orientation of a camera by the stars and planets of its nights, together with what is known of sun and moon."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.calibration.clock import Bodies
from hyperbolic_seg.sky.camera.calibration.consensus import Found, rays
from hyperbolic_seg.sky.camera.calibration.fit import Center, Fit
from hyperbolic_seg.sky.camera.calibration.orientation import STEEPEST, Orientation, orient
from hyperbolic_seg.sky.camera.calibration.sightings import Sightings
from hyperbolic_seg.sky.camera.calibration.stars import (
    Matches,
    StarField,
    focals_of,
    found_of,
    joined,
    match,
    scrambled,
    search_stars,
)

Array = NDArray[np.float64]

_STARS = 20  # stars that have to agree
_TIMES = 2.0  # factor by which more points have to be stars than at random times, or in a mirrored picture
_SCRAMBLES = 3
_ROUNDS = ((4.0, 25), (1.5, 60), (0.5, 200))  # degrees that a point may be from its star, and the number of stars


class Night(NamedTuple):
    """An orientation by stars, sun and moon."""

    found: Found
    """Direction of the axis and north."""
    orientation: Orientation | None
    """The fit; ``None`` if the camera would look down or nearly so, as with a time that is wrong by many hours."""
    sightings: Sightings
    """Candidates for the sun or the moon, and stars; each star counts as a picture of its own."""
    bodies: Bodies
    """Where sun, moon or star was, of P pictures and M stars."""


def orient_by_stars(
    field: StarField,
    sightings: Sightings,
    bodies: Bodies,
    *,
    center: Center,
    focals: Array,
    start: Fit | None,
) -> Night:
    """Find which points of light are stars, and fit the lens to them, to the sun and to the moon.

    Args:
        field: Points and stars.
        sightings: Candidates for the sun or the moon in P pictures.
        bodies: Where it was.
        center: What is known of the center.
        focals: Focal lengths of an equidistant lens to try, in pixels.
        start: Lens by sun and moon; ``None`` to search for one.

    Raises:
        ValueError: Too few points are stars, or as many would be at random times or in a mirrored picture.
    """
    found, projection = _known(field, start) if start else _searched(field, center, focals)
    pixel = (float(start.values[0]), float(start.values[1])) if start else center.pixel
    night = Night(found, None, sightings, bodies)
    for near, brightest in _ROUNDS:
        if found.tilt > STEEPEST:
            break
        seen = rays(field.points, pixel, found.focal, projection=projection, east_left=found.east_left)
        matches = match(field, seen, found.rotation, near=near, brightest=brightest)
        night, fit = _fit(sightings, bodies, matches, found, center)
        found, projection, pixel = night.found, fit.projection, (float(fit.values[0]), float(fit.values[1]))
    return night


def _fit(sightings: Sightings, bodies: Bodies, matches: Matches, found: Found, center: Center) -> tuple[Night, Fit]:
    together, all_bodies = joined(sightings, bodies, matches)
    orientation = orient(together, all_bodies.directions, [found], center)
    stars = 0
    if orientation is not None:
        stars = int(all_bodies.stars[together.pictures[orientation.fit.chosen]].sum())
    if orientation is None or stars < _STARS:
        raise ValueError(f'only {stars} points of light agree with a star: expected {_STARS}, of clear nights')
    return Night(found_of(orientation.fit), orientation, together, all_bodies), orientation.fit


def _searched(field: StarField, center: Center, focals: Array) -> tuple[Found, str]:
    """Search for an orientation, and check it by random times and by mirrored pictures."""
    sides = search_stars(field, center.pixel, focals_of(focals, center.radius))
    if not sides:
        raise ValueError('no two points of light are as far apart as two bright stars')
    found, projection = sides[0]
    lens = {projection: np.array([found.focal])}
    for seed in range(_SCRAMBLES):
        by_chance = search_stars(scrambled(field, seed), center.pixel, lens)
        _check(found.agree, max((one.agree for one, _ in by_chance), default=0), 'at random times')
    if len(sides) > 1:
        _check(found.agree, sides[1][0].agree, 'in a mirrored picture')
    return found, projection


def _known(field: StarField, start: Fit) -> tuple[Found, str]:
    """Return an orientation by the sun, after a check that stars are where it says."""
    found, pixel = found_of(start), (float(start.values[0]), float(start.values[1]))
    seen = rays(field.points, pixel, found.focal, projection=start.projection, east_left=found.east_left)
    fields = [field, *(scrambled(field, seed) for seed in range(_SCRAMBLES))]
    agree = [len(match(one, seen, found.rotation, near=2.0, brightest=30).points) for one in fields]
    _check(agree[0], max(agree[1:]), 'at random times')
    return found, start.projection


def _check(agree: int, by_chance: int, when: str) -> None:
    if agree < max(_STARS, _TIMES * by_chance):
        raise ValueError(
            f'{agree} of the brightest points of light are near a star, and {by_chance} {when}: expected at least '
            f'{_STARS} and {_TIMES:g} times as many, of clear nights over some hours'
        )
