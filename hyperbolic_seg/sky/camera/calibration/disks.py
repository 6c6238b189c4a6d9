"""Detection of bright disks in an image: the sun or the moon, and what looks like them."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

MOST = 3
"""Number of disks for each edge. The sun is nearly always among them; a lamp or a white wall may be larger."""

_CONTRAST = 48.0  # levels of 255 that a disk is above the image around it
_SHARES = (0.97, 0.85)  # of the way from the median to the brightest level, where the edge of a disk is put
_LARGEST = (
    0.12  # radius of a disk, of the shorter side: a larger one is a bright cloud, or all the glare around the sun
)
_SMALLEST = 4.0  # pixels of a disk; fewer are noise, or a star
_COMPACT = 0.85  # share of a blob within 1.3 times the radius of a disk of its size


class Disk(NamedTuple):
    """A bright disk, in pixels."""

    center: tuple[float, float]
    """Center of mass (x, y)."""
    radius: float
    """Radius of a circle of the same area."""
    spread: float
    """Root of the mean square distance of its light from the center."""


def find_disks(image: NDArray[np.uint8]) -> list[Disk]:
    """Find the bright compact blobs of an image, those with the brightest edge first, and of these the largest.

    The sun saturates a camera, and the blob of its glare is round unless a cloud or a roof cuts it: the edge is put at
    two levels, so that one of the blobs is whole. The center is that of mass of all levels above the edge, within one
    and a half radii, so that rays and ghosts of the lens weigh little.

    Args:
        image: BGR image, (H, W, 3).

    Returns:
        At most three disks for each edge; none if nothing in the image is bright, compact and small.
    """
    levels = np.asarray(
        cv2.GaussianBlur(image.min(axis=2), (3, 3), 0), np.uint8
    )  # white has a high level in all colors
    floor, peak = float(np.median(levels)), float(levels.max())
    if peak - floor < _CONTRAST:
        return []
    edges = (floor + share * (peak - floor) for share in _SHARES)
    return [disk for edge in edges for disk in _blobs(levels, edge, peak)[:MOST]]


def _blobs(levels: NDArray[np.uint8], edge: float, peak: float) -> list[Disk]:
    """Return the compact blobs above an edge, the largest first."""
    count, blobs, boxes, centers = cv2.connectedComponentsWithStats((levels > edge).astype(np.uint8), connectivity=8)
    largest = _LARGEST * min(levels.shape)
    order = sorted(range(1, count), key=lambda blob: -boxes[blob, cv2.CC_STAT_AREA])
    found: list[Disk] = []
    for blob in order[: 4 * MOST]:
        area = float(boxes[blob, cv2.CC_STAT_AREA])
        radius = float(np.sqrt(area / np.pi))
        if area >= _SMALLEST and radius <= largest and _is_compact(blobs, blob, boxes[blob], radius):
            center, spread = _center(levels, edge, peak, centers[blob], radius)
            found.append(Disk(center, radius, spread))
    return found


def _is_compact(blobs: NDArray[Any], blob: int, box: NDArray[Any], radius: float) -> bool:
    """Return whether most of a blob is near its middle, which rays from it leave where it is."""
    left, top, width, height = (int(number) for number in box[:4])
    own = blobs[top : top + height, left : left + width] == blob
    rows, columns = np.nonzero(own)
    off = np.hypot(rows - np.median(rows), columns - np.median(columns))
    return bool((off <= 1.3 * radius + 0.5).mean() >= _COMPACT)


def _center(
    levels: NDArray[np.uint8], edge: float, peak: float, start: NDArray[np.float64], radius: float
) -> tuple[tuple[float, float], float]:
    """Return the center of mass of the levels above an edge within a circle that moves with it, and their spread."""
    reach = 1.5 * radius + 1
    x, y = (float(number) for number in start)
    spread = 0.0
    for _ in range(3):
        left, top = max(int(x - reach), 0), max(int(y - reach), 0)
        window = levels[top : int(y + reach) + 2, left : int(x + reach) + 2].astype(np.float64)
        rows, columns = np.mgrid[top : top + window.shape[0], left : left + window.shape[1]]
        weights = np.clip((window - edge) / max(peak - edge, 1.0), 0, 1)
        weights[np.hypot(rows - y, columns - x) > reach] = 0
        if not weights.sum() > 0:
            break
        x, y = float((weights * columns).sum() / weights.sum()), float((weights * rows).sum() / weights.sum())
        square = (weights * ((rows - y) ** 2 + (columns - x) ** 2)).sum() / weights.sum()
        spread = float(np.sqrt(square))
    return (x, y), spread
