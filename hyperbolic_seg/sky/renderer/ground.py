"""Obstructions in front of the sky: land, trees, buildings and poles."""

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.atmosphere import Light, mix, paint, scale
from hyperbolic_seg.sky.renderer.camera import View
from hyperbolic_seg.sky.renderer.noise import (
    Field,
    fractal_tile,
    generator,
    look_up,
    sample_tile,
)
from hyperbolic_seg.sky.renderer.scene import SkyScene

_BEARINGS = 4096  # samples of the skyline


def obstructions(seed: int, scene: SkyScene, view: View) -> NDArray[np.bool_]:
    """Return True for pixels that show an obstruction, (H, W)."""
    ground = scene.ground
    below = view.z <= np.float32(0)
    if ground.skyline == 'none' and not ground.poles:
        obstructed: NDArray[np.bool_] = below & view.inside
        return obstructed
    bearing = _bearing(view) * np.float32(_BEARINGS / 4)
    across = np.sqrt(np.maximum(view.x * view.x + view.y * view.y, np.float32(1e-6)))
    slope = view.z / across
    profile = _skyline(seed, scene)
    hidden = slope < look_up(profile, bearing)
    if ground.skyline == 'trees':
        rng = generator(seed, 3, 1)
        leaves = sample_tile(fractal_tile(), bearing, slope * np.float32(700), period=250, offset=(rng.random(), 0.0))
        hidden = slope < look_up(profile, bearing) * (np.float32(0.7) + leaves * np.float32(0.5))
    obstructed = (hidden | below) & view.inside
    return obstructed


def paint_ground(seed: int, scene: SkyScene, light: Light, view: View) -> Field:
    """Return the colors of obstructions, (3, H, W)."""
    rng = generator(seed, 3, 2)
    place = (rng.random(), rng.random())
    texture = sample_tile(fractal_tile(), view.column, view.row, period=1.1, offset=place)
    blue, green, red = (0.02 + 0.08 * rng.random() for _ in range(3))
    bright = {'day': 0.3 + 1.8 * rng.random() ** 2, 'dusk': 0.25, 'night': 0.1}[scene.time]
    color = mix(scale((0.7 * blue, green, 0.9 * red), bright), scale(light.horizon, 0.06), 0.4)
    return paint(color, np.float32(0.85) + texture * np.float32(0.3))


def _bearing(view: View) -> Field:
    """Return a monotonic function of the azimuth in [0, 4), which is cheaper than an angle, and exact."""
    size = np.maximum(np.abs(view.x) + np.abs(view.y), np.float32(1e-6))
    turn = view.x / size
    half = np.where(view.y >= 0, turn, np.float32(2) - turn)
    bearing: Field = np.where(half < 0, half + np.float32(4), half)
    return bearing


def _skyline(seed: int, scene: SkyScene) -> Field:
    """Return the tangent of the elevation of the skyline by bearing, (4096,)."""
    ground = scene.ground
    rng = generator(seed, 3, 0)
    height = 0.0175 * ground.height
    shapes = {'trees': _trees, 'buildings': _buildings, 'hills': _hills}
    profile = np.full(_BEARINGS, -1.0)
    if ground.skyline != 'none':
        profile = shapes[ground.skyline](rng) * height
    for _ in range(ground.poles):
        width = 5 + int(rng.random() * 8)
        start = int(rng.random() * (_BEARINGS - width))
        top = height * (1.5 + 3 * rng.random()) + 0.08
        profile[start : start + width] = np.maximum(profile[start : start + width], top)
    return profile.astype(np.float32)


def _octaves(rng: np.random.Generator, first: int, count: int) -> NDArray[np.float64]:
    total = np.zeros(_BEARINGS)
    for octave in range(count):
        knots = rng.random(first << octave)
        step = _BEARINGS // len(knots)
        weight = (np.arange(step) + 0.5) / step
        weight = weight * weight * (3 - 2 * weight)
        pairs = knots[:, None] * (1 - weight) + np.roll(knots, -1)[:, None] * weight
        total += pairs.ravel() * 0.5**octave
    return total


def _trees(rng: np.random.Generator) -> NDArray[np.float64]:
    return 0.15 + 0.75 * np.maximum(0, _octaves(rng, 64, 5) - 0.5)


def _hills(rng: np.random.Generator) -> NDArray[np.float64]:
    return np.maximum(0.0, _octaves(rng, 8, 5) - 0.4)


def _buildings(rng: np.random.Generator) -> NDArray[np.float64]:
    edges = np.sort(rng.integers(0, _BEARINGS, 70))
    heights = rng.random(71)
    heights = 0.15 + heights * heights * 1.3
    return heights[np.searchsorted(edges, np.arange(_BEARINGS), side='right')]
