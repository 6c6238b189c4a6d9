"""Detection of the dome, the circle that a fisheye lens projects."""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.images import REDUCED_PIXELS, reduced_image

_DARK = 24  # level of 255; brighter pixels are inside
_TRIPLES = 1000  # circles to try
_RAGGED = 0.01  # largest distance of the rim from a circle, relative to the shorter side


class Dome(NamedTuple):
    """A circle: center (x, y) and radius in pixels."""

    center: tuple[float, float]
    radius: float

    def mask(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return True for pixels inside, (H, W)."""
        rows, columns = np.ogrid[:height, :width]
        return (columns - self.center[0]) ** 2 + (rows - self.center[1]) ** 2 <= self.radius**2

    def scaled(self, horizontal: float, vertical: float) -> 'Dome':
        """Return the circle in images that are larger by these factors, which are nearly the same."""
        x, y = (self.center[0] + 0.5) * horizontal - 0.5, (self.center[1] + 0.5) * vertical - 0.5
        return Dome((x, y), self.radius * math.sqrt(horizontal * vertical))


def find_dome(image: NDArray[np.uint8]) -> Dome:
    """Find a bright circle on a dark frame.

    The first and last bright pixel of every row and column are candidates for the rim. Among circles through three of
    them, the one near most candidates is kept and fitted to those by least squares (Fischler and Bolles, "Random sample
    consensus", 1981). Trees at the rim, or a circle cut off by the edge of the image, therefore do little harm.

    Args:
        image: Image by day, (H, W, 3), uint8; better the maximum of many images. A large one is searched at
            :func:`~hyperbolic_seg.images.reduced_size`.

    Raises:
        ValueError: The image shows no dark frame around a circle.
    """
    small = reduced_image(image, max_pixels=REDUCED_PIXELS)
    if small.shape != image.shape:
        return find_dome(small).scaled(image.shape[1] / small.shape[1], image.shape[0] / small.shape[0])
    bright = cv2.medianBlur(np.ascontiguousarray(image.max(axis=2)), 5) > _DARK
    points = _rim(bright)
    if len(points) < 32:
        raise ValueError(f'no dome found: {100 * bright.mean():.0f} % of the image is bright; give center and radius')
    rim = points[_consensus(points, max(1.0, _RAGGED * min(bright.shape)))]
    dome = _fit(rim)
    height, width = bright.shape
    agree = float((dome.mask(height, width) == bright).mean())
    around = np.histogram(np.arctan2(*(rim - dome.center).T), 36, (-np.pi, np.pi))[0]
    seen = float((around > 0).mean())
    if not (0.2 * min(height, width) < dome.radius < max(height, width) and agree > 0.9 and seen > 0.5):
        raise ValueError(
            f'no dome found: {100 * seen:.0f} % of the best circle, {dome}, is a rim, and it separates bright from '
            f'dark in {100 * agree:.0f} % of the image; give center and radius, or use an image by day'
        )
    return dome


def _rim(bright: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the first and last bright pixel of rows and columns as (x, y), (P, 2), without those at the image edge."""
    points = []
    for lines, flipped in ((bright, False), (bright.T, True)):
        held = np.flatnonzero(lines.any(1))
        first = lines[held].argmax(1)
        last = lines.shape[1] - 1 - lines[held, ::-1].argmax(1)
        inside = [(first > 0, first - 0.5), (last < lines.shape[1] - 1, last + 0.5)]
        found = [np.stack([at[ok], held[ok]], 1) for ok, at in inside]
        points += [pair[:, ::-1] if flipped else pair for pair in found]
    return np.concatenate(points).astype(np.float64)


def _consensus(points: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    """Return True for points within a tolerance in pixels of the best circle through three of them, (P,)."""
    triples = points[np.random.default_rng(0).integers(len(points), size=(_TRIPLES, 3))]
    system = np.concatenate([2 * triples, np.ones((_TRIPLES, 3, 1))], 2)
    spans = np.abs(np.linalg.det(system)) > 1.0  # three points on a line define no circle
    solved = np.linalg.solve(system[spans], (triples[spans] ** 2).sum(2)[..., None])[..., 0]
    radii = np.sqrt(np.maximum(solved[:, 2] + (solved[:, :2] ** 2).sum(1), 0))
    off = np.abs(np.linalg.norm(points[None] - solved[:, None, :2], axis=2) - radii[:, None])
    return np.asarray(off[(off <= tolerance).sum(1).argmax()] <= tolerance)


def _fit(points: NDArray[np.float64]) -> Dome:
    """Fit a circle by linear least squares (Kasa, 1976)."""
    x, y = points.T
    system = np.stack([2 * x, 2 * y, np.ones_like(x)], 1)
    (a, b, c), *_ = np.linalg.lstsq(system, x**2 + y**2, rcond=None)
    return Dome((float(a), float(b)), float(np.sqrt(max(c + a * a + b * b, 0.0))))
