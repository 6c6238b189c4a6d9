"""Stars and planets in the pictures of a night: which point of light is which, without any idea of north or tilt."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hyperbolic_seg.sky.camera.calibration.bodies import Directions
from hyperbolic_seg.sky.camera.calibration.clock import Bodies
from hyperbolic_seg.sky.camera.calibration.consensus import Found, align, rays
from hyperbolic_seg.sky.camera.calibration.fit import Fit
from hyperbolic_seg.sky.camera.calibration.points import Point
from hyperbolic_seg.sky.camera.calibration.sightings import Sightings
from hyperbolic_seg.sky.camera.lens import PROJECTIONS
from hyperbolic_seg.sky.camera.night import night_sky
from hyperbolic_seg.sky.camera.sun import Place

Array = NDArray[np.float64]

LOWEST = 5.0
"""Elevation in degrees of the lowest stars that are used: lower ones are behind too much air."""
PICTURES, FEWEST = 48, 3
"""Pictures of nights that are used, and that are needed."""

_POINTS, _MOST = 4, 40  # moving points that a picture needs to count, and that are used, the brightest
_STILL = ((0.006, 0.3), (0.017, 0.5))  # radii, of the longer side, and shares of pictures with a point in them
_AIR = 0.2  # magnitudes that the air takes at the zenith
_SEARCHED, _BRIGHTEST, _TARGETS = 12, 8, 40  # pictures, points of each, and stars of each to search with
_NAMED = 16  # brightest stars of each picture that a point of a pair may be
_TRIES = 500  # pairs to try for each lens, with every third picture
_FIRST, _BEST = 3, 40  # that number, and of the pairs those that are tried with all pictures
_APART = 20.0  # degrees between the two of a pair at least
_NEAR = 3.0  # degrees within which a point agrees in the search


class StarField(NamedTuple):
    """Moving points of light in T pictures of nights, and the stars that were up."""

    points: Array
    """Pixels (x, y) of M points, sorted by picture, the brightest first, (M, 2)."""
    pictures: NDArray[np.int64]
    """Number of the picture of each among the T, (M,)."""
    directions: Array
    """Elevations and azimuths of N stars and planets in degrees, the brightest first, (T, N, 2); NaN if not up."""
    times: tuple[datetime, ...]
    """When each was taken, T."""
    place: Place
    """Where the camera is."""
    lowest: float
    """Elevation in degrees of the lowest stars."""

    @property
    def vectors(self) -> Array:
        """Unit vectors (east, north, up) of the stars, (T, N, 3)."""
        flat = self.directions.reshape(-1, 2)
        return Directions(flat[:, 0], flat[:, 1]).vectors().reshape(*self.directions.shape[:2], 3)


class Matches(NamedTuple):
    """Points of light that are stars."""

    points: Array
    """Pixels (x, y), (M, 2)."""
    directions: Array
    """Elevation and azimuth of each in degrees, (M, 2)."""


def star_field(
    points: Sequence[Sequence[Point]],
    times: Sequence[datetime | None],
    place: Place,
    *,
    side: int,
    lowest: float = LOWEST,
) -> StarField | None:
    """Return the points of light that move, and the stars and planets at their times.

    Args:
        points: Points of each picture; none by day.
        times: When each was taken; ``None`` if unknown.
        place: Where the camera is.
        side: Longer side of the pictures in pixels.
        lowest: Elevation in degrees of the lowest stars; -90 for all, because a wrong time or place shows others.

    Returns:
        The field of at most 48 pictures; ``None`` if less than 3 have four points that move.

    Raises:
        ImportError: pyerfa or pvlib is not installed.
    """
    dark = [(own, time) for own, time in zip(points, times, strict=True) if len(own) >= _POINTS and time is not None]
    if len(dark) < FEWEST:
        return None
    dark = dark[:: -(-len(dark) // PICTURES)]
    places = np.array([point.center for own, _ in dark for point in own])
    owners = np.repeat(np.arange(len(dark)), [len(own) for own, _ in dark])
    moving = ~_still(places, owners, side)
    moving &= _rank(owners, moving) < _MOST
    enough = np.flatnonzero(np.bincount(owners[moving], minlength=len(dark)) >= _POINTS)
    if len(enough) < FEWEST:
        return None
    kept = moving & np.isin(owners, enough)
    when = tuple(dark[number][1] for number in enough)
    owners = np.searchsorted(enough, owners[kept])
    return StarField(places[kept], owners, _directions(when, place, lowest), when, place, lowest)


def _rank(owners: NDArray[np.int64], counted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many of the points before one in its own picture are counted, (M,)."""
    before: NDArray[np.int64] = np.cumsum(counted) - counted
    return np.asarray(before - before[np.searchsorted(owners, owners)])


def _still(places: Array, owners: NDArray[np.int64], side: int) -> NDArray[np.bool_]:
    """Return True for points near which many pictures have one: lamps, hot pixels and text, (M,)."""
    tree, count = cKDTree(places), int(owners.max()) + 1
    still = np.zeros(len(places), bool)
    for radius, share in _STILL:
        near = tree.query_ball_point(places, max(radius * side, 1.0))
        seen = np.array([len(np.unique(owners[own])) for own in near])
        still |= seen >= max(share * count, 3)
    return still


def _directions(times: Sequence[datetime], place: Place, lowest: float) -> Array:
    """Return the directions of stars and planets, the brightest of each picture first, (T, N, 2)."""
    sky = night_sky(times, place)
    high = sky.elevations > lowest
    air = 1 / np.sin(np.radians(np.maximum(sky.elevations, LOWEST)))
    order = np.argsort(np.where(high, sky.magnitudes + _AIR * air, np.inf), 1)
    both = np.where(high[..., None], np.stack([sky.elevations, sky.azimuths], -1), np.nan)
    return np.asarray(np.take_along_axis(both, order[..., None], 1))


def search_stars(field: StarField, center: tuple[float, float], focals: dict[str, Array]) -> list[tuple[Found, str]]:
    """Find the orientation of the camera with which most points are stars, for each side of east.

    Two points of a picture and two stars define a rotation. It holds for all pictures, and the one is kept with which
    most of the brightest points are near a star.

    Args:
        field: Points and stars.
        center: Pixel of the optical axis.
        focals: Focal lengths in pixels to try, by projection.

    Returns:
        The best orientation for each side of east and its projection, that with more points first. The number that
        agrees is that of points.
    """
    some = _brightest(field)
    found = []
    for east_left in (True, False):
        each = []
        for projection, lengths in focals.items():
            for focal in lengths:
                seen = rays(some.points, center, float(focal), projection=projection, east_left=east_left)
                if best := _consensus(some, seen):
                    each.append((Found(best[0], float(focal), east_left, best[1]), projection))
        if each:
            found.append(max(each, key=lambda one: one[0].agree))
    return sorted(found, key=lambda one: -one[0].agree)


def _brightest(field: StarField) -> StarField:
    """Return the brightest points and stars of some pictures that are spread evenly."""
    count = len(field.directions)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _SEARCHED)).round().astype(int))
    first = np.searchsorted(field.pictures, field.pictures)  # the position of the brightest point of its picture
    kept = np.isin(field.pictures, chosen) & (np.arange(len(first)) - first < _BRIGHTEST)
    owners = np.searchsorted(chosen, field.pictures[kept])
    when = tuple(field.times[number] for number in chosen)
    return StarField(field.points[kept], owners, field.directions[chosen, :_TARGETS], when, field.place, field.lowest)


def _consensus(field: StarField, seen: Array) -> tuple[Array, int] | None:
    """Return the rotation with which most points are near a star, and their number; ``None`` without a pair."""
    vectors = field.vectors
    pairs = [
        _pairs(seen, np.flatnonzero(field.pictures == number), vectors[number, :_NAMED])
        for number in range(len(vectors))
    ]
    ranks, ours, theirs = (np.concatenate(part) for part in zip(*pairs, strict=True))
    order = np.argsort(ranks, kind='stable')[:_TRIES]
    if not len(order):
        return None
    turned = np.swapaxes(_frames(theirs[order]), 1, 2) @ _frames(ours[order])
    few = np.arange(0, len(vectors), _FIRST)
    first = _agreeing(field.pictures, seen, vectors, turned, numbers=few).sum(1)
    turned = turned[np.argsort(-first, kind='stable')[:_BEST]]
    agree = _agreeing(field.pictures, seen, vectors, turned, numbers=np.arange(len(vectors)))
    best = int(agree.sum(1).argmax())
    inside = np.flatnonzero(agree[best])
    there, up = seen[inside] @ turned[best].T, np.nan_to_num(vectors[field.pictures[inside]])
    nearest = np.einsum('mi,mni->mn', there, up).argmax(1)
    return align(seen[inside], up[np.arange(len(inside)), nearest]), len(inside)


def _agreeing(
    pictures: NDArray[np.int64], seen: Array, vectors: Array, turned: Array, *, numbers: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which points are near a star by each of K rotations in some of the pictures, (K, M)."""
    near, known = np.zeros((len(turned), len(seen)), bool), np.isfinite(seen).all(1)
    for number in numbers:
        own = np.flatnonzero((pictures == number) & known)
        up = np.nan_to_num(vectors[number]).astype(np.float32)
        there = (seen[own] @ np.swapaxes(turned, 1, 2)).astype(np.float32)
        near[:, own] = (there @ up.T).max(2) > np.cos(np.radians(_NEAR))
    return near


def _pairs(seen: Array, own: NDArray[np.int64], stars: Array) -> tuple[Array, Array, Array]:
    """Return pairs of points of a picture and of stars that are as far apart: ranks (K,), and vectors (K, 2, 3) each.

    The sum of their differences in rank is small for the right ones: the brightest point is the brightest star.
    """
    own = own[np.isfinite(seen[own]).all(1)]
    up = np.flatnonzero(np.isfinite(stars).all(1))
    ours, theirs = seen[own], stars[up]
    a, b = _angles(ours), _angles(theirs)
    fits = np.abs(a[:, :, None, None] - b) < 2 * _NEAR
    fits &= (np.triu(a, 1) > _APART)[:, :, None, None] & (b > _APART)
    i, j, k, m = np.nonzero(fits)
    ranks = np.abs(i - k) + np.abs(j - m) + 0.5 * (i + j)
    return ranks, ours[np.stack([i, j], 1)], theirs[np.stack([k, m], 1)]


def _angles(vectors: Array) -> Array:
    return np.asarray(np.degrees(np.arccos(np.clip(vectors @ vectors.T, -1, 1))))


def _frames(pairs: Array) -> Array:
    """Return right-handed orthonormal rows for pairs of vectors, (K, 3, 3), even-handed to the errors of both."""
    middle, across = pairs.sum(1), np.cross(pairs[:, 0], pairs[:, 1])
    middle = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    across = across / np.linalg.norm(across, axis=1, keepdims=True)
    return np.stack([middle, across, np.cross(middle, across)], 1)


def scrambled(field: StarField, seed: int) -> StarField:
    """Return a field whose stars are those of random times, another one for each picture.

    The same shift for all would do nothing, because it turns the sky as a whole, and the camera with it.
    """
    hours = np.random.default_rng(seed).uniform(1, 23, len(field.times))
    times = [time + timedelta(hours=float(later)) for time, later in zip(field.times, hours, strict=True)]
    return field._replace(directions=_directions(times, field.place, field.lowest))


def found_of(fit: Fit) -> Found:
    """Return the orientation of a lens that was fitted."""
    zenith, azimuth = np.repeat([20.0, 50.0], 6), np.tile(np.arange(0, 360, 60.0), 2)
    points = np.stack(fit.lens.pixels(zenith, azimuth), 1)
    center, focal = (float(fit.values[0]), float(fit.values[1])), float(fit.values[2])
    seen = rays(points, center, focal, projection=fit.projection, east_left=fit.east_left)
    known = np.isfinite(seen).all(1)
    rotation = align(seen[known], Directions(90 - zenith, azimuth).vectors()[known])
    return Found(rotation, focal, fit.east_left, len(fit.chosen))


def match(field: StarField, seen: Array, rotation: Array, *, near: float, brightest: int) -> Matches:
    """Return the points that are nearest to a star, which has no nearer point.

    Args:
        field: Points and stars.
        seen: Unit vectors of the points in the frame of the camera, (M, 3); NaN beyond its lens.
        rotation: From that frame to (east, north, up), (3, 3).
        near: Degrees that a point may be from its star.
        brightest: Number of stars of each picture to use.
    """
    chosen, directions = [], []
    there, vectors = np.nan_to_num(seen @ rotation.T), field.vectors[:, :brightest]
    for number in range(len(vectors)):
        own = np.flatnonzero(field.pictures == number)
        cosines = there[own] @ np.nan_to_num(vectors[number]).T
        star = cosines.argmax(1)
        mutual = (cosines.argmax(0)[star] == np.arange(len(own))) & (cosines.max(1) > np.cos(np.radians(near)))
        chosen.append(own[mutual])
        directions.append(field.directions[number, star[mutual]])
    return Matches(field.points[np.concatenate(chosen)], np.concatenate(directions))


def joined(sightings: Sightings, bodies: Bodies, matches: Matches) -> tuple[Sightings, Bodies]:
    """Return sightings of sun and moon in P pictures together with those of M stars, and where each is.

    Every star counts as a picture of its own, which follow on the P pictures.
    """
    count, more = len(bodies.moons), len(matches.points)
    spreads = np.zeros(len(sightings.points)) if sightings.spreads is None else sightings.spreads
    together = Sightings(
        np.concatenate([sightings.points, matches.points]),
        np.concatenate([sightings.pictures, count + np.arange(more)]),
        np.concatenate([spreads, np.zeros(more)]),
    )
    directions = np.concatenate([bodies.directions, matches.directions])
    stars = np.concatenate([bodies.stars, np.ones(more, bool)])
    return together, Bodies(directions, np.concatenate([bodies.moons, np.zeros(more, bool)]), stars)


def focals_of(lengths: Array, radius: float | None) -> dict[str, Array]:
    """Return focal lengths to try for each projection.

    Args:
        lengths: Focal lengths of an equidistant lens in pixels.
        radius: Radius of the dome in pixels; ``None`` without one.
    """
    if radius is None:
        return {name: lengths for name in PROJECTIONS}
    rims = radius / lengths
    return {
        name: radius / projection.radius(rims[rims < 1.001 * projection.widest].clip(max=0.999 * projection.widest))
        for name, projection in PROJECTIONS.items()
    }
