"""Rays of a part of the picture, and the share of a pixel that a shape covers, filtered by a box of one pixel."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hyperbolic_seg.sky.renderer.camera import Vector, View, direction, dot, stable
from hyperbolic_seg.sky.renderer.noise import Field

_STRIDE = 4  # pixels between the rays that find the window of an element
_MARGIN = 12  # pixels around it: more than a stride in the widest pixels of any projection


@dataclass(frozen=True)
class Rays:
    """Directions of the pixels of a rectangular window of the picture.

    Attributes:
        x, y, z: Unit vectors (east, north, up), (h, w) each.
        pixel: Angle between neighboring pixels, in radians.
        rows, columns: The window in the picture.
    """

    x: Field
    y: Field
    z: Field
    pixel: float
    rows: slice
    columns: slice

    @classmethod
    def of(cls, view: View) -> 'Rays':
        """Return the rays of a whole picture."""
        height, width = view.z.shape
        return cls(view.x, view.y, view.z, view.pixel_angle, slice(0, height), slice(0, width))

    @cached_property
    def across(self) -> Field:
        """Cosine of the elevation, (h, w), at least 0.001."""
        cosine: Field = np.sqrt(np.maximum(self.x * self.x + self.y * self.y, np.float32(1e-6)))
        return cosine

    @cached_property
    def slope(self) -> Field:
        """Tangent of the elevation, (h, w)."""
        slope: Field = self.z / self.across
        return slope

    @cached_property
    def bearing(self) -> Field:
        """Monotonic function of the azimuth in [0, 4), which is cheaper than an angle, and exact."""
        size = np.maximum(np.abs(self.x) + np.abs(self.y), np.float32(1e-6))
        turn = self.x / size
        half = np.where(self.y >= 0, turn, np.float32(2) - turn)
        bearing: Field = np.where(half < 0, half + np.float32(4), half)
        return bearing

    def along(self, vector: Vector) -> Field:
        """Return the inner products with a vector, (h, w)."""
        return dot((self.x, self.y, self.z), vector)

    def crop(self, rows: slice, columns: slice) -> 'Rays':
        """Return a window of the window."""
        x, y, z = (axis[rows, columns] for axis in (self.x, self.y, self.z))
        top, left = self.rows.start, self.columns.start
        moved = (slice(top + rows.start, top + rows.stop), slice(left + columns.start, left + columns.stop))
        return Rays(x, y, z, self.pixel, *moved)

    def around(self, axis: Vector, angle: float) -> 'Rays | None':
        """Return the window of the rays within an angle in radians of an axis, or None if there are none."""
        limit = stable(math.cos(min(angle + _MARGIN * self.pixel, math.pi)))
        coarse = tuple(part[::_STRIDE, ::_STRIDE] for part in (self.x, self.y, self.z))
        near = dot((coarse[0], coarse[1], coarse[2]), axis) >= np.float32(limit)
        return self.crop(*spans) if (spans := window(near, _STRIDE, self.z.shape)) else None

    def above(self, height: float) -> 'Rays | None':
        """Return the window of the rays with an elevation whose tangent is less than a height."""
        x, y, z = (part[::_STRIDE, ::_STRIDE] for part in (self.x, self.y, self.z))
        coarse = Rays(x, y, z, self.pixel, self.rows, self.columns)
        margin = _MARGIN * self.pixel * (1 + height * height)
        spans = window(coarse.slope <= np.float32(height + margin), _STRIDE, self.z.shape)
        return self.crop(*spans) if spans else None


def window(found: np.ndarray, stride: int, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Return the rows and columns of a picture around the True values of its thinned mask; None if there are none."""
    if not found.any():
        return None
    spans = []
    for axis, side in ((1, shape[0]), (0, shape[1])):
        hits = np.flatnonzero(found.any(axis=axis))
        spans.append(slice(max(0, int(hits[0] - 1) * stride + 1), min(side, int(hits[-1] + 1) * stride)))
    return spans[0], spans[1]


def lean(azimuth: float) -> tuple[Vector, Vector]:
    """Return the horizontal unit vectors towards an azimuth in degrees, and to the right of it."""
    return direction(azimuth, 0), direction(azimuth + 90, 0)


def edge(inside: Field, pixel: Field | float) -> Field:
    """Return the covered share by the distance inside an edge and the size of a pixel, in equal units."""
    share: Field = np.clip(inside / np.asarray(pixel, np.float32) + np.float32(0.5), np.float32(0), np.float32(1))
    return share


def bar(offset: Field, half: Field | float, pixel: Field) -> Field:
    """Return the share of a pixel that a bar covers: exact for a box of one pixel, also if the bar is thinner."""
    half, reach = np.asarray(half, np.float32), pixel * np.float32(0.5)
    size = np.abs(offset)
    overlap = np.minimum(size + reach, half) - np.maximum(size - reach, -half)
    share: Field = np.clip(overlap / np.maximum(pixel, np.float32(1e-6)), np.float32(0), np.float32(1))
    return share


def pulse(position: Field, pixel: Field, *, period: float, start: float, length: float) -> Field:
    """Return the covered share of a pixel for bars ``[start, start + length)`` in each period.

    Args:
        position: Coordinates, (h, w).
        pixel: Size of a pixel in the same unit, (h, w).
        period: Distance between the bars.
        start: Where the first bar begins.
        length: Length of a bar, less than a period.
    """
    phase = (position - np.float32(start)) * np.float32(1 / period)
    width = np.maximum(pixel * np.float32(1 / period), np.float32(1e-4))
    share = np.float32(length / period)
    filled = _filled(phase + width * np.float32(0.5), share) - _filled(phase - width * np.float32(0.5), share)
    covered: Field = np.clip(filled / width, np.float32(0), np.float32(1))
    return covered


def _filled(phase: Field, share: np.float32) -> Field:
    whole = np.floor(phase)
    filled: Field = whole * share + np.minimum(phase - whole, share)
    return filled
