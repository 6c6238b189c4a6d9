"""Directions of pixels in the sky, computed by exact elementwise arithmetic."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.noise import Field
from hyperbolic_seg.sky.renderer.scene import Camera, Sun

Vector = tuple[float, float, float]

_HORIZON = 0.03
"""Addend to the sine of the elevation: layers curve down at the horizon, as on Earth, and end at a finite distance."""


def stable(x: float) -> float:
    """Round to a grid coarser than the differences between math libraries."""
    return math.floor(x * 2**20 + 0.5) / 2**20


def direction(azimuth: float, elevation: float) -> Vector:
    """Return the unit vector (east, north, up) of an azimuth and an elevation in degrees."""
    a, e = math.radians(azimuth), math.radians(elevation)
    east, north = math.sin(a) * math.cos(e), math.cos(a) * math.cos(e)
    return stable(east), stable(north), stable(math.sin(e))


def dot(fields: tuple[Field, Field, Field], vector: Vector) -> Field:
    """Return the inner product of a field of vectors with one vector."""
    x, y, z = (np.float32(component) for component in vector)
    product: Field = fields[0] * x + fields[1] * y + fields[2] * z
    return product


@dataclass(frozen=True)
class View:
    """Directions of all pixels.

    Attributes:
        x, y, z: Unit vectors (east, north, up), (H, W) each; arbitrary outside the dome.
        inside: True for pixels inside the dome, (H, W).
        row, column: Position in the image, in [-1, 1] along the wider side, (H, W).
        pixel_angle: Angle between neighboring pixels at the center, in radians.
        sun: Unit vector to the sun or moon.
    """

    x: Field
    y: Field
    z: Field
    inside: NDArray[np.bool_]
    row: Field
    column: Field
    pixel_angle: float
    sun: Vector

    @cached_property
    def _reach(self) -> Field:
        reach: Field = np.float32(1) / (np.maximum(self.z, np.float32(0)) + np.float32(_HORIZON))
        return reach

    @cached_property
    def plane(self) -> tuple[Field, Field]:
        """Points where the rays meet a layer, east and north of the camera, in heights of the layer."""
        return self.x * self._reach, self.y * self._reach

    @cached_property
    def footprint(self) -> Field:
        """Length of a pixel on the layer, along the line of sight, in heights of the layer."""
        length: Field = self._reach * self._reach * np.float32(self.pixel_angle)
        return length

    @cached_property
    def sun_cosine(self) -> Field:
        """Cosine of the angle to the sun."""
        return dot((self.x, self.y, self.z), self.sun)


def look(camera: Camera, sun: Sun, size: tuple[int, int]) -> View:
    """Return the directions of the pixels of an (H, W) image."""
    height, width = size
    scale = 2 / max(height, width)
    rows = ((np.arange(height, dtype=np.float32) + 0.5) - height / 2) * np.float32(scale)
    columns = ((np.arange(width, dtype=np.float32) + 0.5) - width / 2) * np.float32(scale)
    row, column = (np.ascontiguousarray(grid, np.float32) for grid in np.meshgrid(rows, columns, indexing='ij'))
    sky = _fisheye if camera.kind == 'fisheye' else _planar
    rays, inside, pixel_angle = sky(camera, row, column, scale)
    to_sun = direction(sun.azimuth, sun.elevation)
    return View(*rays, inside, row, column, pixel_angle, to_sun)


def _planar(
    camera: Camera, row: Field, column: Field, scale: float
) -> tuple[tuple[Field, Field, Field], NDArray[np.bool_], float]:
    tangent = stable(math.tan(math.radians(camera.field_of_view / 2)))
    cos_roll = stable(math.cos(math.radians(camera.roll)))
    sin_roll = stable(math.sin(math.radians(camera.roll)))
    ahead = direction(camera.azimuth, camera.elevation)
    above = direction(camera.azimuth, camera.elevation + 90)
    right = direction(camera.azimuth + 90, 0)
    u = column * np.float32(cos_roll * tangent) - row * np.float32(sin_roll * tangent)
    v = column * np.float32(-sin_roll * tangent) - row * np.float32(cos_roll * tangent)
    norm = np.float32(1) / np.sqrt(np.float32(1) + u * u + v * v)
    rays = tuple(
        (np.float32(a) + u * np.float32(r) + v * np.float32(b)) * norm
        for a, r, b in zip(ahead, right, above, strict=True)
    )
    return rays, np.ones(row.shape, bool), tangent * scale


def _fisheye(
    camera: Camera, row: Field, column: Field, scale: float
) -> tuple[tuple[Field, Field, Field], NDArray[np.bool_], float]:
    """Project the dome; outside of it the direction of the rim keeps unit length."""
    half = min(row.shape) * scale / 2
    rim = camera.dome_radius * half
    angle = math.radians(camera.field_of_view / 2)
    u = (column - np.float32(camera.center[0] * half)) * np.float32(1 / rim)
    v = (row - np.float32(camera.center[1] * half)) * np.float32(-1 / rim)
    radius2 = u * u + v * v
    sine, z = _SHRINK[camera.projection](np.minimum(radius2, np.float32(1)), angle)
    shrink = sine / np.sqrt(np.maximum(radius2, np.float32(1)))
    right, up = u * shrink, v * shrink
    c, s = (np.float32(stable(f(math.radians(camera.roll)))) for f in (math.cos, math.sin))
    east, north = right * c - up * s, right * s + up * c
    rays = _leaned((-east if camera.east_left else east, north, z), camera.tilt, camera.tilt_azimuth)
    return rays, radius2 <= 1, angle / rim * scale


def _leaned(rays: tuple[Field, Field, Field], tilt: float, azimuth: float) -> tuple[Field, Field, Field]:
    """Turn rays by the smallest rotation that leans the zenith by an angle towards an azimuth."""
    if not tilt:
        return rays
    x, y, _ = direction(azimuth, 0)
    sine, cosine = (np.float32(stable(f(math.radians(tilt)))) for f in (math.sin, math.cos))
    along = dot(rays, (x, y, 0.0))
    more = along * (cosine - np.float32(1)) + rays[2] * sine
    up = rays[2] * cosine - along * sine
    return rays[0] + more * np.float32(x), rays[1] + more * np.float32(y), up


def _equidistant(radius2: Field, angle: float) -> tuple[Field, Field]:
    theta2 = radius2 * np.float32(angle * angle)
    over_theta = _polynomial(theta2, (1, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800))
    z = _polynomial(theta2, (1, -1 / 2, 1 / 24, -1 / 720, 1 / 40320, -1 / 3628800))
    return np.float32(angle) * over_theta, z


def _equisolid(radius2: Field, angle: float) -> tuple[Field, Field]:
    rim = stable(2 * math.sin(angle / 2))
    half2 = radius2 * np.float32(rim * rim / 4)
    return np.float32(rim) * np.sqrt(np.float32(1) - half2), np.float32(1) - np.float32(2) * half2


def _stereographic(radius2: Field, angle: float) -> tuple[Field, Field]:
    rim = stable(2 * math.tan(angle / 2))
    half2 = radius2 * np.float32(rim * rim / 4)
    return np.float32(rim) / (np.float32(1) + half2), (np.float32(1) - half2) / (np.float32(1) + half2)


def _orthographic(radius2: Field, angle: float) -> tuple[Field, Field]:
    rim = stable(math.sin(angle))
    return np.full_like(radius2, rim), np.sqrt(np.maximum(np.float32(1) - radius2 * np.float32(rim * rim), 0))


_SHRINK = dict(equidistant=_equidistant, equisolid=_equisolid, stereographic=_stereographic, orthographic=_orthographic)
"""By projection a function of the squared distance from the center, 1 at the rim, and of the angle of the rim.

It returns the sine of the zenith angle over that distance, and the cosine, (H, W) each."""


def _polynomial(x: Field, coefficients: tuple[float, ...]) -> Field:
    total = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total *= x
        total += np.float32(coefficient)
    return total
