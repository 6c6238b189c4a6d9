"""Shapes of convective clouds: cumulus, from below and from the side, and cumulonimbus."""

import math

import numpy as np

from hyperbolic_seg.sky.renderer.camera import View, direction, dot, stable
from hyperbolic_seg.sky.renderer.heaps import Heap, add_heap, lobes
from hyperbolic_seg.sky.renderer.noise import (
    cell_tile,
    fractal_tile,
    puff_tile,
    sample_tile,
    smooth_tile,
    smoothstep,
)
from hyperbolic_seg.sky.renderer.scene import Camera, CloudLayer
from hyperbolic_seg.sky.renderer.sheets import (
    HALF,
    Cloud,
    fade,
    offsets,
    sun_on_plane,
)

_OVERHEAD = (0.42, 0.62)
"""Sines of the elevations between which the side view of clouds fades into the view from below."""


def cumulus(layer: CloudLayer, camera: Camera, view: View, rng: np.random.Generator) -> Cloud:
    """Draw cumulus: puffs overhead, heaps with flat bases towards the horizon."""
    seeds = rng.integers(0, 2**31, 2)
    below, beside = (np.random.Generator(np.random.PCG64(int(seed))) for seed in seeds)
    opacity, shade = np.zeros_like(view.z), np.ones_like(view.z)
    highest, lowest = float(view.z.max()), float(view.z.min())
    if highest > _OVERHEAD[0]:
        opacity, shade = _from_below(layer, view, below)
        width = _OVERHEAD[1] - _OVERHEAD[0]
        ramp = (view.z - np.float32(_OVERHEAD[0])) * np.float32(1 / width)
        opacity = opacity * smoothstep(ramp * np.float32(2))
    if lowest < _OVERHEAD[1]:
        cloud = Cloud(np.ascontiguousarray(opacity), np.ascontiguousarray(shade))
        for heap in _heaps(layer, camera, beside):
            add_heap(cloud, heap, layer, view, beside)
        return cloud
    return Cloud(opacity, shade)


def cumulonimbus(layer: CloudLayer, camera: Camera, view: View, rng: np.random.Generator) -> Cloud:
    """Draw a tower with its anvil if the camera sees the horizon, otherwise a dark mass overhead."""
    if camera.kind == 'planar' and camera.elevation < 42:
        cloud = Cloud(np.zeros_like(view.z), np.ones_like(view.z))
        for heap in _towers(layer, camera, rng):
            add_heap(cloud, heap, layer, view, rng)
        return cloud
    return _dark_mass(layer, camera, view, rng)


def _from_below(layer: CloudLayer, view: View, rng: np.random.Generator) -> Cloud:
    """Draw puffs with thin, bright edges and shaded centers."""
    cell = layer.cell
    x, y = view.plane
    places = [offsets(rng) for _ in range(4)]
    steepness, blotches = 1.2 + 3.8 * rng.random(), rng.random()
    mass = sample_tile(fractal_tile(), x, y, period=3.6 * cell, offset=places[0])
    warp = sample_tile(smooth_tile(), x, y, period=2.5 * cell, offset=places[1]) - HALF
    shift = warp * np.float32(0.12 * cell)
    height, east, north = sample_tile(puff_tile(), x + shift, y - shift, period=3.0 * cell, offset=places[2])
    relief = (height - HALF) * np.float32(0.55)
    thickness = mass + relief * fade(view, 0.1 * cell) - np.float32(1.02 - layer.cover)
    edge = np.float32(1.6 + 6.6 * (1 - layer.roughness))
    opacity = smoothstep(thickness * edge)
    # Shreds around the heap are too thin to be white.
    shreds = smoothstep((thickness + np.float32(0.16)) * np.float32(3.2))
    opacity = np.maximum(opacity, shreds * np.float32(0.45 * layer.roughness))
    opacity *= np.float32(layer.opacity)
    sun_x, sun_y = sun_on_plane(view, 90)
    slope = (east - HALF) * np.float32(-sun_x) + (north - HALF) * np.float32(sun_y)
    bulk = smoothstep(thickness * np.float32(steepness))
    shade = np.float32(1.05) - bulk * np.float32(layer.shading)
    blotch = sample_tile(fractal_tile(), x, y, period=2.2 * cell, offset=places[3]) - HALF
    shade += blotch * np.float32(1.1 * blotches * layer.shading)
    shade += slope * np.float32(0.45) + relief * np.float32(0.5)
    return Cloud(opacity, shade)


def _heaps(layer: CloudLayer, camera: Camera, rng: np.random.Generator) -> list[Heap]:
    """Scatter clouds over the plane as far as the horizon, the farthest first."""
    fisheye = camera.kind == 'fisheye'
    sector = 360.0 if fisheye else min(360.0, camera.field_of_view * 1.5)
    count = int((8 + 30 * layer.cover) * (1.8 if fisheye else 1.0))
    spread = np.sort(rng.random(count))[::-1]
    distances = (0.35 * spread + 0.65 * spread * spread) * 11 + 1.7
    heaps = []
    for distance in distances.tolist():
        azimuth = camera.azimuth + sector * (rng.random() - 0.5)
        base = stable(math.degrees(math.atan(1 / distance)))
        width = layer.cell * (0.35 + 0.9 * rng.random() ** 2)
        half_width = stable(math.degrees(math.atan(width / math.hypot(distance, 1))))
        height = 0.4 + 0.6 * rng.random()
        heaps.append(Heap(azimuth, base, half_width, height, lobes(rng, 10, height)))
    return heaps


def _towers(layer: CloudLayer, camera: Camera, rng: np.random.Generator) -> list[Heap]:
    """Place one storm that fills much of the view, with smaller heaps in front of and behind it."""
    field = camera.field_of_view
    base = max(2.0, camera.elevation - field * (0.4 - 0.12 * rng.random()))
    heaps = []
    for size in (0.25, 0.35, 0.9 + 0.5 * rng.random(), 0.2):
        storm = size > 0.5
        azimuth = camera.azimuth + field * (rng.random() - 0.5) * (0.5 if storm else 1.0)
        half_width = min(40.0, field * 0.42 * size)
        height = 1.15 + 0.5 * rng.random() if storm else 0.5 + 0.4 * rng.random()
        parts = lobes(rng, 26 if storm else 10, height)
        anvil = 0
        if storm and rng.random() < 0.6:
            anvil = 1 if rng.random() < 0.5 else -1
        heaps.append(Heap(azimuth, base, half_width, height, parts, storm, anvil))
    return heaps


def _dark_mass(layer: CloudLayer, camera: Camera, view: View, rng: np.random.Generator) -> Cloud:
    """Draw the base of a storm: a bright, ragged rim and a nearly black center with hanging pouches."""
    azimuth, elevation = 360 * rng.random(), 25 + 45 * rng.random()
    if camera.kind == 'planar':
        azimuth = camera.azimuth + camera.field_of_view * 0.4 * (rng.random() - 0.5)
        elevation = camera.elevation + camera.field_of_view * 0.4 * (rng.random() - 0.5)
    center = direction(azimuth, min(elevation, 89.0))
    away = np.float32(1) - dot((view.x, view.y, view.z), center)
    reach = stable(1 - math.cos(math.radians(35 + 50 * layer.cover)))
    if camera.kind == 'planar':
        reach = stable(1 - math.cos(math.radians(camera.field_of_view * (0.4 + 0.4 * layer.cover))))
    x, y = view.plane
    places = [offsets(rng) for _ in range(3)]
    rough = sample_tile(fractal_tile(), x, y, period=4.5, offset=places[0]) - HALF
    rough *= fade(view, 0.15)
    height, east, north = sample_tile(puff_tile(), x, y, period=1.6, offset=places[1])
    pouch = sample_tile(cell_tile(), x, y, period=32 * layer.cell, offset=places[2])[0] - HALF
    body = np.float32(1) - away * np.float32(1 / reach)
    body += rough * np.float32(1.8) + (height - HALF) * np.float32(0.5)
    opacity = smoothstep(body * np.float32(6)) * np.float32(layer.opacity)
    deep = smoothstep(body * np.float32(1.3))
    shade = np.float32(0.95) - deep * np.float32(1.1 * layer.shading)
    slope = (east - HALF) * np.float32(-view.sun[0]) + (north - HALF) * np.float32(view.sun[1])
    shade += slope * (np.float32(1) - deep) + pouch * fade(view, layer.cell) * np.float32(0.18)
    shade += rough * np.float32(0.3) * deep
    return Cloud(opacity, shade)
