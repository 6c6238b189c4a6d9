"""Least squares of a lens to the suns and moons that its pictures show."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares
from scipy.spatial.transform import Rotation

from hyperbolic_seg.sky.camera.calibration.consensus import Found
from hyperbolic_seg.sky.camera.calibration.extent import shift_of
from hyperbolic_seg.sky.camera.calibration.sightings import Sightings
from hyperbolic_seg.sky.camera.lens import PROJECTIONS, Lens, Projection

Array = NDArray[np.float64]

PARAMETERS = ('x', 'y', 'focal', 'north', 'tilt north', 'tilt east')
"""Parameters of a fit: center in pixels, relative focal length, and the rest in degrees."""
TILT = 6.0
"""Degrees by which a camera leans that was leveled by hand; before the fit, the standard deviation."""

_WELL = 0.05  # degrees: no disk is measured better than this
_ROUGH = 0.3  # degrees: error of a disk before it is known
_FOCAL = 0.3  # of itself: what is known of a focal length at first
_OUTLIERS = 3.5  # standard deviations
_ENOUGH = 6  # sightings of a kind that tell its errors
_FAR = 30.0  # degrees: error of a body that the lens cannot see


class Center(NamedTuple):
    """What is known of the pixel of the optical axis before the fit."""

    pixel: tuple[float, float]
    """Column and row."""
    error: float
    """Standard deviation of each in pixels."""
    radius: float | None = None
    """Radius of the dome in pixels; ``None`` if the image shows no dome."""


@dataclass(frozen=True)
class Fit:
    """A lens fitted to sightings.

    Attributes:
        projection: Name of the projection.
        east_left: Side of east.
        values: Column and row of the center and focal length in pixels, north, and the tilt to the north and to the
            east in degrees, (6,).
        covariance: Their covariance from the Jacobian, (6, 6).
        chosen: Positions of the sightings that agree, (K,).
        errors: Angles between where they are and where they should be, degrees, (K,).
        cost: Sum of squares of all errors over their standard deviations, with what was known before.
    """

    projection: str
    east_left: bool
    values: Array
    covariance: Array
    chosen: NDArray[np.int64]
    errors: Array
    cost: float

    @property
    def rms(self) -> float:
        """Root of the mean square error, degrees."""
        return float(np.sqrt((self.errors**2).mean()))

    @property
    def lens(self) -> Lens:
        """The lens, with the widest limit that the projection allows."""
        return lens_of(self.values, self.projection, self.east_left)

    @property
    def tilt(self) -> tuple[float, float]:
        """Angle between the optical axis and the zenith, and its azimuth, degrees."""
        north, east = self.values[4:]
        return float(np.hypot(north, east)), float(np.degrees(np.arctan2(east, north)) % 360)

    def sigma(self, name: str) -> float:
        """Return the standard deviation of a parameter."""
        place = PARAMETERS.index(name)
        return float(np.sqrt(self.covariance[place, place]))

    @property
    def tilt_sigma(self) -> float:
        """Standard deviation of the tilt in the worse direction, degrees."""
        return float(np.sqrt(np.linalg.eigvalsh(self.covariance[4:, 4:])[-1]))


def lens_of(values: Array, projection: str, east_left: bool) -> Lens:
    """Return the lens of parameters."""
    x, y, focal, north, lean_north, lean_east = (float(value) for value in values)
    chosen = PROJECTIONS[projection]
    return Lens(
        (x, y),
        (focal, focal),
        chosen,
        limit=float(np.degrees(chosen.widest)),
        north=north % 360,
        east_left=east_left,
        tilt=min(float(np.hypot(lean_north, lean_east)), 90.0),
        tilt_azimuth=float(np.degrees(np.arctan2(lean_east, lean_north))),
    )


def start_of(found: Found, center: Center) -> Array:
    """Return the parameters of a lens of an orientation that was searched, (6,)."""
    axis = found.rotation[:, 2]
    tilt = np.arccos(np.clip(axis[2], -1, 1))
    across = np.array([-axis[1], axis[0], 0.0])
    size = np.linalg.norm(across)
    lean = Rotation.from_rotvec(across / size * tilt if size > 0 else np.zeros(3))
    upper = lean.inv().apply(found.rotation[:, 1])  # where the upper edge of the image points, once the camera is level
    north = np.degrees(np.arctan2(upper[0], upper[1])) * (1 if found.east_left else -1)
    toward = axis[:2] / size if size > 0 else np.zeros(2)
    lean_east, lean_north = toward * np.degrees(tilt)
    return np.array([*center.pixel, found.focal, north, lean_north, lean_east])


def fit(
    sightings: Sightings,
    bodies: Array,
    start: Array,
    *,
    projection: str,
    east_left: bool,
    center: Center,
    free: tuple[str, ...] = PARAMETERS,
) -> Fit | None:
    """Fit a lens by least squares with a loss that outliers do not rule, again and again with those that agree.

    A sun behind thin cloud is seen some tenths of a degree off, so that errors have the long tails of Cauchy's
    distribution.

    Args:
        sightings: Candidates in P pictures.
        bodies: Direction of the body in every picture in degrees, elevation and azimuth, (P, 2); NaN where none is up.
        start: Values of all parameters, (6,).
        projection: Name of the projection.
        east_left: Side of east.
        center: What is known of the center.
        free: Names of the parameters to fit.

    Returns:
        The fit; ``None`` if less sightings agree than there are parameters.
    """
    start = start.copy()
    if projection == 'orthographic':  # of the same scale at half of the widest angle
        start[2] *= 1.2
    options: dict[str, Any] = dict(projection=projection, east_left=east_left)
    values, spread, limit = start, np.full(len(sightings.points), _ROUGH), np.full(len(sightings.points), 8.0)
    result = None
    for loss in ('soft_l1', 'soft_l1', 'cauchy', 'cauchy', 'cauchy'):
        errors = angles(sightings, bodies, values, **options)
        chosen = sightings.best(np.where(errors <= limit, errors, np.inf))
        if len(chosen) < len(PARAMETERS):
            return None
        own = sightings.of(chosen)
        residuals = partial(
            _residuals, start=start, own=own, bodies=bodies, center=center, spread=spread[chosen], free=free, **options
        )
        at = [PARAMETERS.index(name) for name in free]
        result = least_squares(residuals, values[at], loss=loss, x_scale=_scales(start)[at])
        values = start.copy()
        values[at] = result.x
        errors = angles(own, bodies, values, **options)
        for kind in (sightings.are_points, ~sightings.are_points):
            # A star is measured better than a sun behind thin cloud. Few of a kind are as good as all together.
            some = errors[kind[chosen]] if kind[chosen].sum() >= _ENOUGH else errors
            spread[kind] = max(1.4826 * float(np.median(some)) / 1.1774, _WELL)  # in two directions: Rayleigh's
        limit = _OUTLIERS * spread + 0.1
    return _as_fit(result, values, free, chosen, errors, projection, east_left)


def angles(sightings: Sightings, bodies: Array, values: Array, *, projection: str, east_left: bool) -> Array:
    """Return the distances of sightings from the body in degrees, (M,); infinite where none is up."""
    offsets = _offsets(sightings, bodies, values, projection=projection, east_left=east_left)
    return np.asarray(np.nan_to_num(np.hypot(*offsets.T), nan=np.inf))


def _offsets(sightings: Sightings, bodies: Array, values: Array, *, projection: str, east_left: bool) -> Array:
    elevation, azimuth = bodies[sightings.pictures].T
    lens = lens_of(values, projection, east_left)
    there = np.stack(lens.pixels(90 - elevation, azimuth), 1)
    if sightings.spreads is not None:
        there += _shifts(there - values[:2], lens.projection, float(values[2]), sightings.spreads)
    return np.asarray(np.degrees((there - sightings.points) / values[2]))


def _shifts(off: Array, projection: Projection, focal: float, spreads: Array) -> Array:
    """Return how far the middles of disks are from the images of their centers in pixels, (M, 2)."""
    distance = np.maximum(np.hypot(*off.T), 1e-9)
    angles_up = np.linspace(0, projection.widest, 1024)
    angle = np.interp(distance / focal, projection.radius(angles_up), angles_up)
    outward = focal * shift_of(projection, angle, spreads / focal)
    return np.asarray(off / distance[:, None] * outward[:, None])


def _residuals(
    given: Array,
    *,
    start: Array,
    own: Sightings,
    bodies: Array,
    center: Center,
    spread: Array,
    free: tuple[str, ...],
    projection: str,
    east_left: bool,
) -> Array:
    values = start.copy()
    values[[PARAMETERS.index(name) for name in free]] = given
    if values[2] <= 0.05 * start[2]:
        return np.full(2 * len(own.points) + 6, _FAR / float(spread.min()))
    seen = np.nan_to_num(_offsets(own, bodies, values, projection=projection, east_left=east_left), nan=_FAR)
    before = [
        *(values[:2] - np.array(center.pixel)) / center.error,
        np.log(values[2] / start[2]) / _FOCAL,
        *values[4:] / TILT,
        _beyond(float(values[2]), projection, center),
    ]
    return np.concatenate([(seen / spread[:, None]).ravel(), before])


def _beyond(focal: float, projection: str, center: Center) -> float:
    """Return by how much the dome is larger than what the projection can show, in standard deviations of its edge."""
    widest = PROJECTIONS[projection].widest
    largest = focal * float(PROJECTIONS[projection].radius(np.array(widest)))
    return 0.0 if center.radius is None else max(center.radius - largest, 0.0) / center.error


def _scales(start: Array) -> Array:
    return np.array([1.0, 1.0, 0.01 * start[2], 1.0, 1.0, 1.0])


def _as_fit(
    result: OptimizeResult,
    values: Array,
    free: tuple[str, ...],
    chosen: NDArray[np.int64],
    errors: Array,
    projection: str,
    east_left: bool,
) -> Fit:
    covariance = np.zeros((len(PARAMETERS),) * 2)
    at = [PARAMETERS.index(name) for name in free]
    covariance[np.ix_(at, at)] = np.linalg.pinv(result.jac.T @ result.jac)
    return Fit(projection, east_left, values, covariance, chosen, errors, 2 * float(result.cost))
