"""The circle that a fisheye lens draws, found in a picture."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

_DARK = 24  # of 255: brighter is inside
_TRIPLES = 1000
_RAGGED = 0.01  # of the shorter side: how far from a circle the rim may lie


class Dome(NamedTuple):
    """A circle: its middle (x, y) and its radius, in pixels."""

    center: tuple[float, float]
    radius: float

    def mask(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the pixels inside, (H, W)."""
        rows, columns = np.ogrid[:height, :width]
        return (columns - self.center[0]) ** 2 + (rows - self.center[1]) ** 2 <= self.radius**2


def find_dome(image: NDArray[np.uint8]) -> Dome:
    """Find the circle that is brighter than what is around it.

    Its rim is looked for along the rows and columns of the picture, where the first and the last bright pixel lie. Of
    circles through three of these, the one that most others lie near is fitted to them by least squares (Fischler and
    Bolles: Random sample consensus, 1981); so trees at the rim, and a circle that the picture cuts off, do little harm.

    Args:
        image: By day, (H, W, 3), uint8; better the brightest of many (``np.maximum``).

    Raises:
        ValueError: There is no dark frame with a circle in it.
    """
    bright = cv2.medianBlur(np.ascontiguousarray(image.max(axis=2)), 5) > _DARK
    points = _rim(bright)
    if len(points) < 32:
        raise ValueError(f'no dome found: {100 * bright.mean():.0f} % of the picture is bright; give center and radius')
    rim = points[_consensus(points, max(1.0, _RAGGED * min(bright.shape)))]
    dome = _fit(rim)
    height, width = bright.shape
    agree = float((dome.mask(height, width) == bright).mean())
    around = np.histogram(np.arctan2(*(rim - dome.center).T), 36, (-np.pi, np.pi))[0]
    seen = float((around > 0).mean())
    if not (0.2 * min(height, width) < dome.radius < max(height, width) and agree > 0.9 and seen > 0.5):
        raise ValueError(
            f'no dome found: of the best circle, {dome}, {100 * seen:.0f} % is a rim, and it tells bright from dark in '
            f'{100 * agree:.0f} % of the picture; give center and radius, or take a picture by day'
        )
    return dome


def _rim(bright: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the first and last bright pixels of rows and columns, (P, 2) as (x, y), if not at the picture's edge."""
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
    """Return which points the best circle through three of them passes by at most so many pixels, (P,)."""
    triples = points[np.random.default_rng(0).integers(len(points), size=(_TRIPLES, 3))]
    system = np.concatenate([2 * triples, np.ones((_TRIPLES, 3, 1))], 2)
    spans = np.abs(np.linalg.det(system)) > 1.0  # three points in a line make no circle
    solved = np.linalg.solve(system[spans], (triples[spans] ** 2).sum(2)[..., None])[..., 0]
    radii = np.sqrt(np.maximum(solved[:, 2] + (solved[:, :2] ** 2).sum(1), 0))
    off = np.abs(np.linalg.norm(points[None] - solved[:, None, :2], axis=2) - radii[:, None])
    return np.asarray(off[(off <= tolerance).sum(1).argmax()] <= tolerance)


def _fit(points: NDArray[np.float64]) -> Dome:
    """Fit a circle by linear least squares (Kasa 1976)."""
    x, y = points.T
    system = np.stack([2 * x, 2 * y, np.ones_like(x)], 1)
    (a, b, c), *_ = np.linalg.lstsq(system, x**2 + y**2, rcond=None)
    return Dome((float(a), float(b)), float(np.sqrt(max(c + a * a + b * b, 0.0))))
