"""Lights of the night sky: stars, Milky Way, trails of satellites and the glow of a town."""

import math

import numpy as np

from hyperbolic_seg.sky.renderer.atmosphere import mix, paint
from hyperbolic_seg.sky.renderer.camera import View, direction, dot, stable
from hyperbolic_seg.sky.renderer.noise import Field, fractal_tile, generator, sample_tile
from hyperbolic_seg.sky.renderer.scene import SkyScene

_WHITE, _ORANGE = (0.3, 0.3, 0.29), (0.1, 0.24, 0.42)
"""Light of towns by lamp, as (blue, green, red)."""


def lights(seed: int, scene: SkyScene, view: View) -> Field | None:
    """Return the light from beyond the clouds, (3, H, W), or None if there is none."""
    night = scene.night
    if scene.time != 'night' or not (night.stars or night.milky_way or night.satellites):
        return None
    light = np.zeros((3, *view.z.shape), np.float32)
    if night.milky_way:
        light += paint((0.03, 0.029, 0.03), _milky_way(seed, scene, view))
    if night.satellites:
        light += paint((0.1, 0.1, 0.1), _trails(seed, scene, view))
    _add_stars(light, generator(seed, 21), night.stars)
    return light


def town_glow(scene: SkyScene, view: View, clear: Field) -> Field | None:
    """Return the light of a town in the air and on the clouds, (3, H, W), or None by day.

    Args:
        scene: Parameters of the image.
        view: Directions of the pixels.
        clear: Transparency of the clouds, which reflect more than the air, (H, W).
    """
    if scene.time != 'night' or not scene.night.town:
        return None
    east, north, _ = direction(scene.night.town_azimuth, 0)
    low = np.float32(1) - np.clip(view.z, np.float32(0), np.float32(1))
    toward = np.maximum(np.float32(0.55) + np.float32(0.45) * dot((view.x, view.y, view.z), (east, north, 0.0)), 0)
    glow = low * low * low * toward * toward * (np.float32(2.2) - np.float32(1.2) * clear)
    color = mix(_WHITE, _ORANGE, scene.night.warmth)
    return paint(color, glow * np.float32(scene.night.town))


def _add_stars(light: Field, rng: np.random.Generator, count: int) -> None:
    """Add stars of random brightness and color to the light, in place; few are bright."""
    _, height, width = light.shape
    dice = rng.random((count, 4))
    rows, columns = (dice[:, 0] * height).astype(np.int64), (dice[:, 1] * width).astype(np.int64)
    power = dice[:, 2] * dice[:, 2]
    power = power * power
    warm = (dice[:, 3] - 0.5) * 0.5
    colors = np.stack((1 - warm, np.ones(count), 1 + warm)) * (0.03 + 0.6 * power)
    light[:, rows, columns] = np.maximum(light[:, rows, columns], colors.astype(np.float32))
    bright = power > 0.7  # wider than a pixel
    light[:, rows[bright], np.minimum(columns[bright] + 1, width - 1)] += colors[:, bright].astype(np.float32) / 2


def _milky_way(seed: int, scene: SkyScene, view: View) -> Field:
    """Return the brightness of the band around a great circle, mottled and split by dust, (H, W)."""
    azimuth, elevation = scene.night.pole
    rng = generator(seed, 22)
    rays = (view.x, view.y, view.z)
    latitude = dot(rays, direction(azimuth, elevation))
    along = dot(rays, direction(azimuth, elevation + 90))
    aside = dot(rays, direction(azimuth + 90, 0))
    places = [(float(rng.random()), float(rng.random())) for _ in range(2)]
    clumps = sample_tile(fractal_tile(), along + aside, latitude, period=1.3, offset=places[0])
    dust = sample_tile(fractal_tile(), along - aside, latitude, period=0.9, offset=places[1])
    off = latitude * np.float32(1 / 0.16) + (clumps - np.float32(0.5)) * np.float32(0.5)
    band = np.float32(1) / (np.float32(1) + off * off)
    inner = latitude * np.float32(1 / 0.05) + (dust - np.float32(0.5)) * np.float32(2.5)
    rift = np.float32(1) - np.float32(0.6) / (np.float32(1) + inner * inner) * dust
    strength: Field = band * band * rift * (np.float32(0.5) + clumps) * np.float32(scene.night.milky_way)
    return strength


def _trails(seed: int, scene: SkyScene, view: View) -> Field:
    """Return thin straight lines, each along a part of the image, (H, W)."""
    rng = generator(seed, 23)
    total = np.zeros_like(view.z)
    width = np.float32(1.2 / max(view.z.shape))  # a bit more than half a pixel
    for _ in range(scene.night.satellites):
        angle, place, start, length, bright = (rng.random() for _ in range(5))
        c, s = (np.float32(stable(f(math.pi * angle))) for f in (math.cos, math.sin))
        across = view.row * c - view.column * s - np.float32(1.2 * (place - 0.5))
        along = view.row * s + view.column * c - np.float32(2 * start - 1)
        line = np.maximum(np.float32(1) - np.abs(across) / (np.float32(2) * width), np.float32(0))
        part = (along > 0) & (along < np.float32(0.2 + length))
        total += line * part * np.float32(0.5 + bright)
    return total
