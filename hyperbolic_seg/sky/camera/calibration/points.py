"""Detection of points of light in an image: stars and planets, and what looks like them."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST = 150
"""Number of points of an image that are kept, the brightest; lamps and lit leaves are often brighter than stars."""

_BACKGROUND = 11  # side in pixels of the window whose median is the sky around a star
_SIGMAS, _LEVELS = 5.0, 4.0  # least height above it: standard deviations of the noise, and levels of 255
_FAR, _DROP = 4, 0.4  # pixels from a star at which all around it has fallen to this share of its height
_REACH = 2.5  # radius in pixels within which the center of mass is taken


class Point(NamedTuple):
    """A point of light: center (x, y) in pixels, and its light above the background in levels."""

    center: tuple[float, float]
    light: float


def find_points(image: NDArray[np.uint8]) -> list[Point]:
    """Find points of light, the brightest first.

    A point is a local maximum above the median around it from which the light falls off in all directions. An edge, a
    wire or the rim of a cloud stays bright along itself.

    Args:
        image: BGR image, (H, W, 3).

    Returns:
        At most :data:`MOST` points.
    """
    levels = np.asarray(cv2.transform(image, np.full((1, 3), 1 / 3, np.float32)), np.uint8)
    above = cv2.GaussianBlur(image.astype(np.float32).mean(2), (0, 0), 0.8) - cv2.medianBlur(levels, _BACKGROUND)
    noise = 1.4826 * float(np.median(np.abs(above - np.median(above))))
    highest = cv2.dilate(above, np.ones((5, 5), np.uint8))
    peaks = (above >= highest) & (above > max(_SIGMAS * noise, _LEVELS)) & (_around(above) < _DROP * above)
    edge = _FAR + 1
    peaks[:edge], peaks[-edge:], peaks[:, :edge], peaks[:, -edge:] = (False,) * 4
    found = [_measure(above, int(row), int(column)) for row, column in np.argwhere(peaks)]
    return sorted(found, key=lambda point: -point.light)[:MOST]


def _around(above: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the highest value on a circle around each pixel."""
    rows, columns = np.mgrid[-_FAR : _FAR + 1, -_FAR : _FAR + 1]
    circle = np.abs(np.hypot(rows, columns) - _FAR) < 0.6
    return np.asarray(cv2.dilate(above, circle.astype(np.uint8)), np.float32)


def _measure(above: NDArray[np.float32], row: int, column: int) -> Point:
    """Return the center of mass around a maximum, within a circle that moves with it, and the light in it."""
    side = _FAR
    rows, columns = np.mgrid[row - side : row + side + 1, column - side : column + side + 1]
    window = np.maximum(above[row - side : row + side + 1, column - side : column + side + 1], 0).astype(np.float64)
    x, y, light = float(column), float(row), 0.0
    for _ in range(3):
        weights = window * np.clip(_REACH + 0.5 - np.hypot(rows - y, columns - x), 0, 1)
        light = float(weights.sum())
        x, y = float((weights * columns).sum() / light), float((weights * rows).sum() / light)
    return Point((x, y), light)
