"""Stars and planets of a place and time, drawn where they are between pixels."""

import numpy as np

from hyperbolic_seg.sky.renderer.camera import View, direction
from hyperbolic_seg.sky.renderer.noise import Field
from hyperbolic_seg.sky.renderer.scene import PointLight, SkyScene

_LIGHT = 1.0  # light of a star of magnitude 0, of a pixel that is as white as a sunlit cloud
_SPREAD = 0.7  # standard deviation of its image in pixels
_REACH = 3  # pixels around it that are drawn
_AIR = 0.2  # magnitudes that the air takes at the zenith
_CITY = 0.8  # share of the light that is lost against the brightest sky of a city


def starlight(scene: SkyScene, view: View) -> Field:
    """Return the light of the points of a scene, (H, W)."""
    field = np.zeros_like(view.z)
    for point in scene.points:
        if point.elevation > 0 and (place := _pixel(point, view)) is not None:
            _draw(field, place, _brightness(point) * (1 - _CITY * scene.city_light))
    return field


def _brightness(point: PointLight) -> float:
    """Return the light of a point behind as much air as there is at its elevation."""
    sine = float(np.sin(np.radians(point.elevation)))
    air = 1 / (sine + 0.025 * np.exp(-11 * sine))  # Rozenberg (1966)
    return float(_LIGHT * 10 ** (-0.4 * (point.magnitude + _AIR * air)))


def _pixel(point: PointLight, view: View) -> tuple[float, float] | None:
    """Return row and column of a direction between pixels, ``None`` if it is out of sight.

    The rays next to the nearest one tell how many pixels the direction is from it.
    """
    there = np.array(direction(point.azimuth, point.elevation))
    rays = np.stack([view.x, view.y, view.z], -1)
    cosine = np.where(view.inside, rays @ there.astype(np.float32), -2)
    row, column = np.unravel_index(int(cosine.argmax()), cosine.shape)
    height, width = cosine.shape
    if not (0 < row < height - 1 and 0 < column < width - 1):
        return None
    near = rays[row - 1 : row + 2, column - 1 : column + 2].astype(np.float64)
    steps = np.stack([(near[2, 1] - near[0, 1]) / 2, (near[1, 2] - near[1, 0]) / 2], 1)
    down, right = np.linalg.lstsq(steps, there - near[1, 1], rcond=None)[0]
    return (row + down, column + right) if max(abs(down), abs(right)) <= 1 else None


def _draw(field: Field, place: tuple[float, float], light: float) -> None:
    """Add the image of a point to a field."""
    row, column = (round(at) for at in place)
    top, left = max(row - _REACH, 0), max(column - _REACH, 0)
    part = field[top : row + _REACH + 1, left : column + _REACH + 1]
    rows, columns = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]]
    off = (rows - place[0]) ** 2 + (columns - place[1]) ** 2
    part += (light / (2 * np.pi * _SPREAD**2) * np.exp(-off / (2 * _SPREAD**2))).astype(np.float32)
