"""Search for the orientation of a camera: which disks are the sun, without any idea of north, tilt or focal length."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.calibration.sightings import Sightings
from hyperbolic_seg.sky.camera.lens import PROJECTIONS

Array = NDArray[np.float64]

_PAIRS = 120  # pairs of sightings to try
_APART = np.cos(np.radians(8.0))  # two suns that are nearer, or as near to opposite, define no rotation
_TRIES = 2500  # pairs drawn, of which the first suitable ones are tried


class Found(NamedTuple):
    """An orientation, and the pictures that agree with it."""

    rotation: Array
    """Rotation from the frame of the camera to (east, north, up), (3, 3)."""
    focal: float
    """Focal length in pixels."""
    east_left: bool
    """True if east is left of north."""
    agree: int
    """Number of pictures with a disk where the body is."""

    @property
    def tilt(self) -> float:
        """Angle between the optical axis and the zenith, degrees."""
        return float(np.degrees(np.arccos(np.clip(self.rotation[2, 2], -1, 1))))

    @property
    def toward(self) -> float:
        """Azimuth towards which the axis leans, degrees."""
        return float(np.degrees(np.arctan2(self.rotation[0, 2], self.rotation[1, 2])) % 360)


def rays(
    points: Array, center: tuple[float, float], focal: float, *, projection: str = 'equidistant', east_left: bool = True
) -> Array:
    """Return unit vectors of pixels in the frame of the camera, whose axis is the third and whose north is up, (M, 3).

    A pixel beyond what the projection can show has NaN.
    """
    x, y = ((points - np.array(center)) / focal).T
    angles = np.linspace(0, 0.999 * PROJECTIONS[projection].widest, 2048)
    angle = np.interp(np.hypot(x, y), PROJECTIONS[projection].radius(angles), angles, right=np.nan)
    around = np.arctan2(-x if east_left else x, -y)
    return np.stack([np.sin(angle) * np.sin(around), np.sin(angle) * np.cos(around), np.cos(angle)], 1)


def search(
    sightings: Sightings,
    bodies: Array,
    center: tuple[float, float],
    *,
    focals: Array,
    projection: str = 'equidistant',
    tolerance: float = 5.0,
) -> list[Found]:
    """Find the orientation of the camera with which most pictures agree, for each side of east.

    Two sightings and the directions of the body define a rotation. Of many such pairs the one is kept with which most
    pictures agree (Fischler and Bolles, "Random sample consensus", 1981); the rotation is then that of all of them by
    least squares (Kabsch, 1976).

    Args:
        sightings: Candidates in P pictures.
        bodies: Direction of the body in every picture as a unit vector, (P, 3); NaN where none is up.
        center: Pixel of the optical axis.
        focals: Focal lengths to try, in pixels.
        projection: Projection to assume.
        tolerance: Degrees within which a picture agrees.

    Returns:
        The best orientation for each side of east, that with more pictures first; none without suitable pairs.
    """
    targets = bodies[sightings.pictures]
    found = []
    for east_left in (True, False):
        each = []
        for focal in focals:
            seen = rays(sightings.points, center, float(focal), projection=projection, east_left=east_left)
            if best := _consensus(sightings, seen, targets, np.cos(np.radians(tolerance))):
                each.append(Found(best[0], float(focal), east_left, best[1]))
        if each:
            found.append(max(each, key=lambda one: one.agree))
    return sorted(found, key=lambda one: -one.agree)


def _consensus(sightings: Sightings, seen: Array, targets: Array, least: float) -> tuple[Array, int] | None:
    """Return the rotation with which most pictures agree, and their number; ``None`` without a suitable pair."""
    known = np.isfinite(seen).all(1) & np.isfinite(targets).all(1)
    if known.sum() < 2:
        return None
    at = np.flatnonzero(known)
    one, other = at[np.random.default_rng(0).integers(len(at), size=(2, _TRIES))]
    pairs = ((seen[one] * seen[other]).sum(1), (targets[one] * targets[other]).sum(1))
    apart, wanted = (np.clip(cosine, -1, 1) for cosine in pairs)
    fits = (np.abs(wanted) < _APART) & (np.abs(np.arccos(apart) - np.arccos(wanted)) < 2 * np.arccos(least))
    one, other = one[fits][:_PAIRS], other[fits][:_PAIRS]
    if not len(one):
        return None
    turned = np.swapaxes(_frames(targets[one], targets[other]), 1, 2) @ _frames(seen[one], seen[other])
    cosines = np.einsum('kij,mj,mi->km', turned, seen[known], targets[known], optimize=True)
    starts = np.unique(sightings.pictures[known], return_index=True)[1]
    agree = (np.maximum.reduceat(cosines, starts, axis=1) > least).sum(1)
    best = int(agree.argmax())
    inside = at[cosines[best] > least]
    return align(seen[inside], targets[inside]), int(agree[best])


def _frames(first: Array, second: Array) -> Array:
    """Return right-handed orthonormal rows for pairs of vectors, (K, 3, 3)."""
    across = np.cross(first, second)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return np.stack([first, across, np.cross(first, across)], 1)


def align(seen: Array, targets: Array) -> Array:
    """Return the rotation that brings vectors (M, 3) nearest to others by least squares, (3, 3) (Kabsch, 1976)."""
    u, _, v = np.linalg.svd(targets.T @ seen)
    return np.asarray(u @ np.diag([1.0, 1.0, np.linalg.det(u @ v)]) @ v)
