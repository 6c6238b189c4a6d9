"""Shapes of layered clouds: fibers, cloudlets and veils, drawn on the plane of their layer."""

import math
from typing import NamedTuple

import numpy as np

from hyperbolic_seg.sky.renderer.camera import View, stable
from hyperbolic_seg.sky.renderer.noise import (
    Field,
    cell_tile,
    fractal_tile,
    sample_tile,
    smooth_tile,
    smoothstep,
)
from hyperbolic_seg.sky.renderer.scene import CloudLayer

HALF = np.float32(0.5)


class Cloud(NamedTuple):
    """Opacity in [0, 1], and brightness from 0 (shadow) to 1 (lit), (H, W) each."""

    opacity: Field
    shade: Field


def offsets(rng: np.random.Generator) -> tuple[float, float]:
    """Draw a random position on a tile."""
    return float(rng.random()), float(rng.random())


def turned(x: Field, y: Field, heading: float) -> tuple[Field, Field]:
    """Return coordinates along and across a heading in degrees."""
    c, s = (np.float32(stable(f(math.radians(heading)))) for f in (math.cos, math.sin))
    return x * s + y * c, y * s - x * c


def fade(view: View, detail: float) -> Field:
    """Return the weight of details of a size in heights of the layer: 1 where resolved, 0 where not."""
    weight: Field = np.clip(np.float32(1.3) - view.footprint * np.float32(0.3 / detail), 0, 1)
    return weight


def fibrous(layer: CloudLayer, view: View, rng: np.random.Generator) -> Cloud:
    """Draw patches of filaments, stretched along the wind and bent by large eddies."""
    along, across = turned(*view.plane, layer.heading)
    tile, cell = fractal_tile(), layer.cell
    places = [offsets(rng) for _ in range(6)]
    bend = sample_tile(smooth_tile(), along, across, period=30 * cell, offset=places[0]) - HALF
    across = across + bend * np.float32(cell * 1.5 * layer.roughness)
    long = along * np.float32(1 / layer.stretch)
    patch = sample_tile(tile, along * HALF, across, period=7 * cell, offset=places[1])
    streak = sample_tile(tile, long, across, period=2.6 * cell, offset=places[2])
    # Filaments leave their streak at a slight angle, like ice falling through wind shear.
    slant = long + (streak - HALF) * np.float32(cell * 0.12)
    thread = sample_tile(tile, slant, across, period=0.8 * cell, offset=places[3]) - HALF
    hair = sample_tile(tile, slant * HALF, across, period=0.25 * cell, offset=places[4]) - HALF
    thread = thread * fade(view, 0.05 * cell) + hair * fade(view, 0.02 * cell) * np.float32(0.6)
    field = patch * np.float32(0.8) + streak * np.float32(0.6) + thread * np.float32(0.28)
    body = smoothstep((field - np.float32(1.05 - 0.8 * layer.cover)) * np.float32(1.4))
    veins = np.float32(0.35) + np.float32(0.75) * streak + thread * np.float32(0.7)
    opacity = body * np.clip(veins, np.float32(0.04), 1) * np.float32(layer.opacity)
    return Cloud(opacity, np.float32(1) + thread * np.float32(0.15))


def granular(layer: CloudLayer, view: View, rng: np.random.Generator) -> Cloud:
    """Draw patches of rounded cloudlets, often in rows; they get smaller at the edges of a patch."""
    tile, cell = fractal_tile(), layer.cell
    places = [offsets(rng) for _ in range(5)]
    x, y = view.plane
    warp = sample_tile(smooth_tile(), x, y, period=90 * cell, offset=places[0]) - HALF
    along, across = turned(x, y, layer.heading)
    across = across + warp * np.float32(3.0 * cell)
    along = along + warp * np.float32(1.5 * cell)
    rough = sample_tile(tile, x, y, period=7 * cell, offset=places[1]) - HALF
    jitter = rough * np.float32(0.7 * layer.roughness * cell)
    long = along * np.float32(1 / layer.stretch) + jitter
    bump, east, north = sample_tile(cell_tile(), long, across - jitter, period=32 * cell, offset=places[2])
    resolved = fade(view, cell * 0.6)
    wide = (70 + 80 * rng.random()) * cell
    gauziness, blotches = rng.random(), rng.random()
    patch = sample_tile(smooth_tile(), x, y, period=wide, offset=places[3])
    patch = patch * np.float32(0.75) + (rough + HALF) * np.float32(0.25)
    field = (bump - np.float32(0.55)) * np.float32(2.4) + rough * np.float32(layer.roughness)
    field += _waves(across, 2.2 * cell) * np.float32(0.28 * (layer.stretch - 1))
    field *= resolved
    # Inside a patch cloudlets nearly touch; towards its edge only their centers remain.
    reserve = (patch - np.float32(1 - layer.cover)) * np.float32(2.6)
    closed = 0.9 * max(0.0, layer.cover - 0.5)
    thickness = field + np.clip(reserve, np.float32(-1.4), np.float32(closed))
    edge = np.float32(0.5 + 1.5 * layer.opacity)
    opacity = smoothstep(thickness * edge + np.float32(0.35))
    gauze = smoothstep(thickness * np.float32(0.9) + np.float32(0.6)) * np.float32(0.4 * gauziness)
    opacity = np.maximum(opacity, gauze) * np.float32(layer.opacity)
    sun_along, sun_across = sun_on_plane(view, layer.heading)
    slope = (east - HALF) * np.float32(-sun_along) + (north - HALF) * np.float32(-sun_across)
    shade = _shaded(layer, thickness, slope * resolved, rough)
    blotch = sample_tile(tile, x, y, period=16 * cell, offset=places[4]) - HALF
    return Cloud(opacity, shade + blotch * np.float32(1.3 * blotches * layer.shading))


def _shaded(layer: CloudLayer, thickness: Field, slope: Field, rough: Field) -> Field:
    """Return the brightness of cloudlets: gray where thick, brighter where they slope towards the sun."""
    bulk = smoothstep(thickness * np.float32(1.4) + np.float32(0.1))
    shade = np.float32(1.05) - bulk * np.float32(1.2 * layer.shading)
    shade += slope * np.float32(layer.shading)
    brightness: Field = shade + rough * np.float32(0.3 * layer.shading)
    return brightness


def veil(layer: CloudLayer, view: View, rng: np.random.Generator) -> Cloud:
    """Draw a sheet with faint, long structures, and with an edge unless it covers the whole sky."""
    tile, cell = fractal_tile(), layer.cell
    places = [offsets(rng) for _ in range(4)]
    along, across = turned(*view.plane, layer.heading)
    long = along * np.float32(1 / layer.stretch)
    broad = sample_tile(smooth_tile(), long, across, period=9 * cell, offset=places[0])
    fine = sample_tile(tile, long, across, period=3 * cell, offset=places[1]) - HALF
    fine *= fade(view, cell * 0.1)
    texture = (broad - HALF) * np.float32(0.6) + fine * np.float32(0.5)
    blotches = 0.4 + 1.2 * rng.random() ** 2
    thin = np.float32(1.1 - layer.opacity) * np.float32(layer.roughness)
    opacity = np.float32(layer.opacity) * (np.float32(1) + texture * thin)
    if layer.cover < 0.97:
        edge = sample_tile(tile, long, across, period=7 * cell, offset=places[2])
        gap = edge + fine * np.float32(0.3) - np.float32(1 - layer.cover)
        opacity = opacity * smoothstep(gap * np.float32(2.5) + HALF)
    shade = np.float32(1 - layer.shading) + texture * np.float32(blotches * layer.roughness)
    return Cloud(np.clip(opacity, 0, 1), shade)


def rain(layer: CloudLayer, view: View, rng: np.random.Generator) -> Cloud:
    """Draw a dark sheet with ragged scud below it, and curtains of rain towards the horizon."""
    sheet = veil(layer, view, rng)
    x, y = view.plane
    scud = sample_tile(fractal_tile(), x, y, period=4 * layer.cell, offset=offsets(rng))
    scud = smoothstep((scud - np.float32(0.55)) * np.float32(2)) * fade(view, 0.2 * layer.cell)
    fall = sample_tile(fractal_tile(), view.column, view.row * np.float32(0.12), period=1.5, offset=offsets(rng))
    low = np.float32(1) - np.clip(view.z * np.float32(2.5), 0, 1)
    shade = sheet.shade - scud * np.float32(0.25 * layer.roughness)
    return Cloud(sheet.opacity, shade + (fall - HALF) * low * np.float32(0.3))


def contrail(layer: CloudLayer, view: View, rng: np.random.Generator) -> Cloud:
    """Draw straight trails: thin and sharp when young, wide and ragged when old."""
    x, y = view.plane
    middle = tuple(axis.shape[0] // 2 for axis in (x, x.T))
    east, north = float(x[middle]), float(y[middle])
    opacity = np.zeros_like(x)
    reach = 0.5 + 0.3 * math.hypot(east, north)
    for _ in range(1 + int(3 * layer.cover)):
        heading = layer.heading + 50 * (rng.random() - 0.5)
        along, across = turned(x - np.float32(east), y - np.float32(north), heading)
        place, age = (rng.random() - 0.5) * 2 * reach, rng.random()
        rough = sample_tile(fractal_tile(), along, across, period=0.8, offset=offsets(rng)) - HALF
        width = layer.cell * (0.4 + 2.2 * age * age)
        start, fading = -(0.3 + 3 * rng.random()) * reach, 0.15 + 0.6 * rng.random()
        drawn_out = np.clip((along - np.float32(start)) * np.float32(fading), 0, 1)
        spread = np.float32(width) * (HALF + drawn_out)
        off = np.abs(across - np.float32(place) + rough * np.float32(1.3 * width * age))
        # A trail thinner than a pixel is spread over the pixel at equal total opacity.
        seen = np.maximum(spread, view.footprint * np.float32(0.8))
        core = np.clip(np.float32(1.5) - off / seen, 0, 1) * (spread / seen)
        alive = np.clip((along - np.float32(start)) * np.float32(30), 0, 1)
        strength = np.float32(layer.opacity * (1 - 0.5 * age)) + rough * np.float32(0.5 * age)
        opacity = np.maximum(opacity, core * alive * strength)
    return Cloud(np.clip(opacity, 0, 1), np.ones_like(opacity))


def sun_on_plane(view: View, heading: float) -> tuple[float, float]:
    """Return the horizontal direction to the sun, along and across a heading in degrees."""
    x, y, _ = view.sun
    c, s = stable(math.cos(math.radians(heading))), stable(math.sin(math.radians(heading)))
    return x * s + y * c, y * s - x * c


def _waves(x: Field, length: float) -> Field:
    """Return a smooth periodic wave in [-1, 1]."""
    phase = x * np.float32(1 / length)
    phase = np.abs(phase - np.floor(phase) - HALF) * np.float32(4) - np.float32(1)
    wave: Field = phase * (np.float32(1.5) - HALF * phase * phase)
    return wave
