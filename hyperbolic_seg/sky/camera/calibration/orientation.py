"""Choice of projection and side of east, and what the suns tell for certain."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.calibration.consensus import Found
from hyperbolic_seg.sky.camera.calibration.fit import TILT, Center, Fit, angles, fit, start_of
from hyperbolic_seg.sky.camera.calibration.sightings import Sightings
from hyperbolic_seg.sky.camera.lens import PROJECTIONS

Array = NDArray[np.float64]

LEAST = 8
"""Pictures that have to agree."""
LIMIT = 1.0
"""Largest uncertainty in degrees of an angle that is written to a camera file."""
CERTAIN = 0.5
"""Largest uncertainty in degrees of an angle that is not called uncertain."""
STEEPEST = 80.0
"""Degrees by which a camera of the sky leans at most; the tilt of a lens ends at 90."""

_ROUGHEST = 1.5  # degrees: what agrees no better is no sun
_CAP = 3.5  # standard deviations that an outlier counts for
_MARGIN, _SHARE = 9.0, 0.15  # by which the cost of another model has to be larger: 3 sigma, and a share of the smaller
_ZENITH = 80.0  # degrees from the axis up to which lenses are compared


class Uncertainty(NamedTuple):
    """Standard deviations in degrees, with the differences to the projections that fit as well."""

    north: float
    tilt: float
    lens: float
    """Of the angle of a pixel from the optical axis, the largest one up to 80 degrees, and of the axis in the image."""


@dataclass(frozen=True)
class Orientation:
    """What the suns and moons tell about a camera.

    Attributes:
        fit: The best fit.
        rivals: Fits of other projections that are as good.
        uncertainty: How well angles are known.
        mirrored: The best fit with the other side of east, if it is as good, so that neither is known.
        arc: Largest angle between two of the bodies that were seen, degrees.
        pictures: Number of pictures with a body up and something bright in them.
    """

    fit: Fit
    rivals: tuple[Fit, ...]
    uncertainty: Uncertainty
    mirrored: Fit | None
    arc: float
    pictures: int


def orient(sightings: Sightings, bodies: Array, found: list[Found], center: Center) -> Orientation | None:
    """Fit each projection and side of east from where a search ended, and compare them.

    Args:
        sightings: Candidates in P pictures.
        bodies: Elevation and azimuth of the body in every picture, degrees, (P, 2); NaN where none is up.
        found: Orientations to start from.
        center: What is known of the center.

    Returns:
        The orientation; ``None`` if less than 8 pictures agree with any.
    """
    fits = [
        one
        for start in found
        for name in PROJECTIONS
        if (
            one := fit(
                sightings,
                bodies,
                start_of(start, center),
                projection=name,
                east_left=start.east_left,
                center=center,
            )
        )
        and len(one.chosen) >= LEAST
        and one.rms <= _ROUGHEST
        and one.tilt[0] < STEEPEST
        and _holds_dome(one, center)
    ]
    if not fits:
        return None
    most = max(len(one.chosen) for one in fits)
    best = min((one for one in fits if len(one.chosen) >= 0.6 * most), key=lambda one: one.rms)
    spread = max(best.rms / np.sqrt(2), 0.05)
    costs = {id(one): _capped(sightings, bodies, one, spread) for one in fits}
    best = min(fits, key=lambda one: costs[id(one)])
    allowed = costs[id(best)] + max(_MARGIN, _SHARE * float(((best.errors / spread) ** 2).sum()))
    as_good = [one for one in fits if one is not best and costs[id(one)] <= allowed]
    rivals = tuple(one for one in as_good if one.east_left == best.east_left)
    mirrored = next((one for one in as_good if one.east_left != best.east_left), None)
    seen = np.unique(sightings.pictures[np.isfinite(bodies[sightings.pictures]).all(1)])
    arc = arc_of(bodies[sightings.pictures[best.chosen]])
    return Orientation(best, rivals, _uncertainty(best, rivals), mirrored, arc, len(seen))


def _holds_dome(one: Fit, center: Center) -> bool:
    """Return whether the projection reaches as far as the dome."""
    chosen = PROJECTIONS[one.projection]
    return center.radius is None or center.radius / one.values[2] <= 1.02 * float(
        chosen.radius(np.array(chosen.widest))
    )


def _capped(sightings: Sightings, bodies: Array, one: Fit, spread: float) -> float:
    """Return the sum of squares of the errors of the best candidates, in standard deviations up to a cap.

    A lens that leans adds to it, because the other side of east often fits a short arc if the camera leans far.
    """
    errors = angles(sightings, bodies, one.values, projection=one.projection, east_left=one.east_left)
    best = sightings.best(np.where(np.isfinite(errors), errors, np.inf))
    own = np.minimum(errors[best] / spread, _CAP) ** 2
    return float(own.sum() + ((one.values[4:] / TILT) ** 2).sum())


def arc_of(bodies: Array) -> float:
    """Return the largest angle between two directions given by elevation and azimuth, degrees."""
    e, a = np.radians(bodies).T
    vectors = np.stack([np.sin(a) * np.cos(e), np.cos(a) * np.cos(e), np.sin(e)], 1)
    return float(np.degrees(np.arccos(np.clip((vectors @ vectors.T).min(), -1, 1))))


def _uncertainty(best: Fit, rivals: tuple[Fit, ...]) -> Uncertainty:
    north, tilt = best.sigma('north'), best.tilt_sigma
    chosen, far = best.lens.projection, np.array(np.radians(min(_ZENITH, 0.99 * best.lens.limit)))
    # Of all pixels at an angle, that in the direction of the shift has the whole of it.
    shift, stretch = np.hypot(best.sigma('x'), best.sigma('y')), best.sigma('focal') * chosen.radius(far)
    lens = float(np.degrees(np.hypot(shift, stretch) / best.values[2] / chosen.slope(far)))
    for rival in rivals:
        north = max(north, abs((rival.values[3] - best.values[3] + 180) % 360 - 180))
        tilt = max(tilt, float(np.hypot(*(rival.values[4:] - best.values[4:]))))
        lens = max(lens, _between(best, rival))
    return Uncertainty(float(north), float(tilt), float(lens))


def _between(one: Fit, other: Fit) -> float:
    """Return the largest difference of the angles from the axis that two lenses give the same pixel, degrees."""
    angles_of_one = np.radians(np.linspace(0, min(_ZENITH, one.lens.limit), 81))
    wide = np.linspace(0, 0.999 * PROJECTIONS[other.projection].widest, 2048)
    radius = PROJECTIONS[one.projection].radius(angles_of_one) * one.values[2] / other.values[2]
    seen = np.interp(radius, PROJECTIONS[other.projection].radius(wide), wide)
    return float(np.degrees(np.abs(seen - angles_of_one).max()))


def axis_angles(one: Fit, bodies: Array) -> Array:
    """Return the angles of bodies from the optical axis, degrees, (N,).

    Args:
        one: A fit.
        bodies: Elevations and azimuths in degrees, (N, 2).
    """
    tilt, toward = one.tilt
    e, a, t = np.radians(bodies[:, 0]), np.radians(bodies[:, 1] - toward), np.radians(tilt)
    return np.asarray(np.degrees(np.arccos(np.clip(np.sin(e) * np.cos(t) + np.cos(e) * np.cos(a) * np.sin(t), -1, 1))))
