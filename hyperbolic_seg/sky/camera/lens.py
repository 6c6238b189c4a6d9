"""Fisheye lenses that look up: directions and solid angles of pixels."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import printable, read_regular

MAX_BYTES = 2**20
"""Limit of the size of a calibration file in bytes."""

Array = NDArray[np.float64]

_STEPS = 4096  # rows of the table that inverts a projection
_LARGEST = 1e9  # magnitude of a number in a calibration
_MOST_NODES = 5000  # OpenCV's parsers recurse, and crash the process at some 100,000 levels


class Projection(NamedTuple):
    """Distance from the image center as a function of the angle from the optical axis."""

    radius: Callable[[Array], Array]
    """Distance in focal lengths for an angle in radians."""
    slope: Callable[[Array], Array]
    """Derivative of the distance."""
    widest: float
    """Largest possible angle in radians."""


PROJECTIONS = {
    'equidistant': Projection(lambda a: a, np.ones_like, math.pi),
    'equisolid': Projection(lambda a: 2 * np.sin(a / 2), lambda a: np.cos(a / 2), math.pi),
    'stereographic': Projection(lambda a: 2 * np.tan(a / 2), lambda a: 1 / np.cos(a / 2) ** 2, 0.99 * math.pi),
    'orthographic': Projection(np.sin, np.cos, math.pi / 2),
}
"""Projections by their names in photography; an equisolid lens gives every pixel the same solid angle."""


class Directions(NamedTuple):
    """Directions of the pixels of an image in degrees, NaN beyond the limit of its lens."""

    zenith: Array
    """Zenith angles, (H, W); those above 90 are below the horizon."""
    azimuth: Array
    """Azimuths clockwise from north, (H, W)."""

    def separations(self, *, elevation: float, azimuth: float) -> Array:
        """Return the angle of every pixel from a direction given in degrees, (H, W), degrees; NaN beyond the limit."""
        zenith, cosine = np.radians(self.zenith), np.cos(np.radians(self.azimuth - azimuth))
        cosine *= np.sin(zenith) * math.cos(math.radians(elevation))  # in place: images are large
        cosine += np.cos(zenith) * math.sin(math.radians(elevation))
        return np.degrees(np.arccos(np.clip(cosine, -1, 1, out=cosine), out=cosine), out=cosine)


@dataclass(frozen=True)
class Lens:
    """A fisheye lens that looks straight up, or nearly so.

    A tilted lens is an upright one, turned by the smallest rotation that brings its axis from the zenith to where it
    points. ``north`` and ``east_left`` are those of the upright lens.

    Args:
        center: Pixel of the optical axis, (x, y); (0, 0) is the center of the first pixel.
        focal: Focal length in pixels, along x and along y.
        projection: Projection of angles from the optical axis.
        limit: Largest angle from the optical axis to return, degrees.
        north: Direction of north in the image, degrees clockwise from its upper edge.
        east_left: True if east is left of north, as seen by someone looking up.
        tilt: Angle between the optical axis and the zenith, degrees, 0 to 90.
        tilt_azimuth: Azimuth towards which the axis leans, degrees clockwise from north.

    Raises:
        ValueError: A number is out of range.
    """

    center: tuple[float, float]
    focal: tuple[float, float]
    projection: Projection
    limit: float = 90.0
    north: float = 0.0
    east_left: bool = True
    tilt: float = 0.0
    tilt_azimuth: float = 0.0

    def __post_init__(self) -> None:
        numbers = (*self.focal, *self.center, self.north, self.tilt_azimuth)
        if not (min(self.focal) > 0 and all(map(math.isfinite, numbers))):
            raise ValueError(f'a lens needs a positive focal length and finite numbers, got {self}')
        if not 0 < self.limit <= math.degrees(self.projection.widest) + 1e-9:
            widest = math.degrees(self.projection.widest)
            raise ValueError(f'the zenith angles end at {self.limit} degrees: expected above 0, up to {widest:.0f}')
        if not 0 <= self.tilt <= 90:
            raise ValueError(f'tilt {self.tilt}: expected 0 to 90 degrees between the optical axis and the zenith')

    @classmethod
    def from_dome(
        cls,
        center: tuple[float, float],
        radius: float,
        *,
        projection: str = 'equidistant',
        field_of_view: float = 180.0,
        north: float = 0.0,
        east_left: bool = True,
        tilt: float = 0.0,
        tilt_azimuth: float = 0.0,
    ) -> 'Lens':
        """Make the lens of a dome, the circle that it projects.

        Args:
            center: Center of the circle, (x, y) in pixels.
            radius: Radius of the circle in pixels.
            projection: One of :data:`PROJECTIONS`.
            field_of_view: Field of view from rim to rim, degrees.
            north, east_left, tilt, tilt_azimuth: See :class:`Lens`.

        Raises:
            ValueError: There is no such projection, or a number is out of range.
        """
        if projection not in PROJECTIONS:
            raise ValueError(f'no projection {projection!r}; there are {", ".join(PROJECTIONS)}')
        chosen, rim = PROJECTIONS[projection], math.radians(field_of_view / 2)
        if not (radius > 0 and 0 < rim <= chosen.widest):
            widest = 2 * math.degrees(chosen.widest)
            given = f'radius {radius}, field of view {field_of_view} degrees'
            raise ValueError(f'{given}: expected a positive radius, and degrees up to {widest:.0f} for {projection}')
        focal = radius / float(chosen.radius(np.array(rim)))
        return cls(center, (focal, focal), chosen, field_of_view / 2, north, east_left, tilt, tilt_azimuth)

    @classmethod
    def from_opencv(
        cls,
        file: str | Path,
        *,
        field_of_view: float = 180.0,
        north: float = 0.0,
        east_left: bool = True,
        tilt: float = 0.0,
        tilt_azimuth: float = 0.0,
    ) -> 'Lens':
        """Read a calibration of OpenCV's fisheye module, as written by ``cv2.FileStorage``.

        Args:
            file: YAML, XML or JSON with ``camera_matrix`` or ``K`` (3, 3), and ``distortion_coefficients`` or ``D``,
                the coefficients k1 to k4 of ``theta (1 + k1 theta^2 + k2 theta^4 + k3 theta^6 + k4 theta^8)``.
            field_of_view: Field of view of the lens, degrees.
            north, east_left, tilt, tilt_azimuth: See :class:`Lens`.

        Raises:
            OSError: There is no such file (``FileNotFoundError``), or it cannot be read.
            ValueError: The file is not regular, too large, or not such a calibration, or its distance from the center
                does not grow with the angle.
        """
        matrix, k = _read_calibration(Path(file))
        powers = np.arange(1, 5) * 2

        def radius(a: Array) -> Array:
            return np.asarray(a * (1 + sum(c * a**p for c, p in zip(k, powers, strict=True))))

        def slope(a: Array) -> Array:
            return np.asarray(1 + sum(c * (p + 1) * a**p for c, p in zip(k, powers, strict=True)))

        angles = np.linspace(0, math.radians(field_of_view / 2), _STEPS)
        if not (slope(angles) > 0).all():
            last = math.degrees(angles[np.argmin(slope(angles) > 0)])
            raise ValueError(
                f'in {file} the distance from the center shrinks beyond {last:.0f} degrees: '
                f'give a field of view below {2 * last:.0f} degrees, got {field_of_view}'
            )
        projection = Projection(radius, slope, math.radians(field_of_view / 2))
        center, focal = (matrix[0, 2], matrix[1, 2]), (matrix[0, 0], matrix[1, 1])
        return cls(center, focal, projection, field_of_view / 2, north, east_left, tilt, tilt_azimuth)

    def scaled(self, factor: float, vertical: float | None = None) -> 'Lens':
        """Return the lens in images that are larger by a factor, or by one horizontally and another one vertically."""
        across, down = factor, factor if vertical is None else vertical
        center = (self.center[0] + 0.5) * across - 0.5, (self.center[1] + 0.5) * down - 0.5
        return replace(self, center=center, focal=(self.focal[0] * across, self.focal[1] * down))

    def directions(self, height: int, width: int) -> Directions:
        """Return the directions of the pixels of an image."""
        u, v = self._plane(height, width)
        angle = np.degrees(self._angle(np.hypot(u, v)))
        clockwise = np.degrees(np.arctan2(u, -v)) - self.north  # from the upper edge of the image
        around = np.where(np.isnan(angle), np.nan, (-clockwise if self.east_left else clockwise) % 360)
        return Directions(*_leaned(angle, around, tilt=self.tilt, azimuth=self.tilt_azimuth))

    def pixels(self, zenith: Array, azimuth: Array) -> tuple[Array, Array]:
        """Return the positions of directions in the image, the inverse of :meth:`directions`.

        Args:
            zenith: Zenith angles in degrees, 0 to 180.
            azimuth: Azimuths in degrees clockwise from north, of the same shape.

        Returns:
            Columns x and rows y in pixels, which are no whole numbers, each of that shape; NaN beyond the limit.
        """
        angle, around = _leaned(np.asarray(zenith), np.asarray(azimuth), tilt=-self.tilt, azimuth=self.tilt_azimuth)
        seen = np.where(angle <= self.limit, np.radians(angle), np.nan)
        clockwise = np.radians((-around if self.east_left else around) + self.north)
        radius = self.projection.radius(seen)
        x = self.center[0] + self.focal[0] * radius * np.sin(clockwise)
        return x, self.center[1] - self.focal[1] * radius * np.cos(clockwise)

    def solid_angles(self, height: int, width: int) -> Array:
        """Return the solid angle of every pixel in steradians, (H, W); 0 beyond the limit."""
        angle = self._angle(np.hypot(*self._plane(height, width)))
        # At the rim of an orthographic dome the density is unbounded: the last half pixel gets the value inside of it.
        rim = self._angle(self._table[0][-1] - 0.5 / math.sqrt(math.prod(self.focal)))
        inside = np.clip(angle, 1e-6, rim)  # sin a / radius(a) goes to 1 at the axis
        each = np.sin(inside) / (self.projection.radius(inside) * self.projection.slope(inside) * math.prod(self.focal))
        return np.where(np.isnan(angle), 0.0, each)

    def _plane(self, height: int, width: int) -> tuple[Array, Array]:
        """Return positions of pixels from the zenith in focal lengths: a row (1, W) and a column (H, 1)."""
        columns = (np.arange(width) - self.center[0]) / self.focal[0]
        rows = (np.arange(height) - self.center[1]) / self.focal[1]
        u, v = np.meshgrid(columns, rows, sparse=True)
        return u, v

    @cached_property
    def _table(self) -> tuple[Array, Array]:
        angles = np.linspace(0, math.radians(self.limit), _STEPS)
        return self.projection.radius(angles), angles

    def _angle(self, radius: Array) -> Array:
        """Return angles in radians from the axis for distances in focal lengths; the table is finer than pixels."""
        return np.interp(radius, *self._table, right=np.nan)


def _leaned(zenith: Array, around: Array, *, tilt: float, azimuth: float) -> tuple[Array, Array]:
    """Turn directions by the rotation that leans the zenith by an angle towards an azimuth.

    Args:
        zenith: Zenith angles in degrees.
        around: Azimuths in degrees, of the same shape.
        tilt: Angle of the rotation in degrees; negative for the inverse.
        azimuth: Azimuth towards which the zenith leans, degrees.

    Returns:
        Zenith angles, 0 to 180, and azimuths, 0 to 360, in degrees.
    """
    if tilt == 0:
        return zenith, around
    a, b, t = np.radians(zenith), np.radians(around - azimuth), math.radians(tilt)
    along, across, up = np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a)
    along, up = along * math.cos(t) + up * math.sin(t), up * math.cos(t) - along * math.sin(t)
    turned = np.degrees(np.arctan2(across, along)) + azimuth
    return np.degrees(np.arctan2(np.hypot(along, across), up)), turned % 360


def _read_calibration(file: Path) -> tuple[Array, Array]:
    if not file.exists():
        raise FileNotFoundError(f'no calibration file {file}')
    content = read_regular(file, max_bytes=MAX_BYTES)
    if (nodes := len(re.findall(rb'[\[{<]|[-:?]\s', content))) > _MOST_NODES:
        raise ValueError(f'{file} has {nodes} lists, mappings and elements: expected at most {_MOST_NODES}')
    mode = cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY  # from memory: a file name could select a compressed file
    try:
        storage = cv2.FileStorage(content.decode('utf-8'), mode)
        found = [_first(storage, names) for names in (('camera_matrix', 'K'), ('distortion_coefficients', 'D'))]
        storage.release()
    except (cv2.error, SystemError, ValueError, TypeError, MemoryError) as error:
        reason = printable(' '.join(str(error).split())[:300])
        raise ValueError(f'{file} is not a file of cv2.FileStorage: {reason}') from error
    matrix, k = found
    if matrix is None or k is None or matrix.shape != (3, 3) or k.size != 4:
        shapes = [None if array is None else array.shape for array in found]
        raise ValueError(
            f'{file} is not a calibration of a fisheye: expected camera_matrix (3, 3) and distortion_coefficients with '
            f'4 numbers, got {shapes[0]} and {shapes[1]}'
        )
    if not all((np.abs(array) < _LARGEST).all() for array in (matrix, k)):
        raise ValueError(f'{file} is not a calibration of a fisheye: expected finite numbers below {_LARGEST:.0e}')
    return matrix, k.ravel()


def _first(storage: cv2.FileStorage, names: tuple[str, ...]) -> Array | None:
    for name in names:
        if not (node := storage.getNode(name)).empty():
            # Sizes are checked before memory is allocated. Anything but a matrix has size 0.
            rows, columns = (node.getNode(side).real() for side in ('rows', 'cols'))
            if not (1 <= rows <= 100 and 1 <= columns <= 100):
                raise ValueError(f'{name} has {rows:.0f} x {columns:.0f} numbers')
            return np.asarray(node.mat(), float)
    return None
