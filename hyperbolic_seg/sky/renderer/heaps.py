"""Side views of convective clouds, each drawn on the plane that faces it."""

import math
from dataclasses import dataclass

import numpy as np

from hyperbolic_seg.sky.renderer.camera import View, direction, dot, stable
from hyperbolic_seg.sky.renderer.noise import (
    Field,
    fractal_tile,
    puff_tile,
    sample_tile,
    smoothstep,
)
from hyperbolic_seg.sky.renderer.scene import CloudLayer
from hyperbolic_seg.sky.renderer.sheets import HALF, Cloud, offsets

Lobe = tuple[float, float, float, float]


@dataclass(frozen=True)
class Heap:
    """Cloud seen from the side; lengths in half widths of the cloud, angles in degrees.

    ``lobes`` are ellipses (across, up, width, height). A ``storm`` has a dark shelf along its base, rain below it, and
    an anvil that leans to the left (-1) or to the right (1), or none (0).
    """

    azimuth: float
    base: float
    half_width: float
    height: float
    lobes: tuple[Lobe, ...]
    storm: bool = False
    anvil: int = 0


def lobes(rng: np.random.Generator, count: int, height: float) -> tuple[Lobe, ...]:
    """Draw lobes (across, up, width, height): wide ones at the base, small ones on top and at the sides."""
    parts = [(0.2 * (rng.random() - 0.5), 0.15 * height, 0.7, 0.5 * height)]
    lean = 0.4 * (rng.random() - 0.5)
    for _ in range(count):
        up = rng.random() ** 1.2
        across = (rng.random() * 2 - 1) * (0.82 - 0.5 * up) + lean * up
        size = 0.14 + 0.26 * rng.random() ** 1.5
        parts.append((across, height * (0.08 + 0.7 * up), size, size * (0.6 + 0.5 * rng.random())))
    return tuple(parts)


def add_heap(cloud: Cloud, heap: Heap, layer: CloudLayer, view: View, rng: np.random.Generator) -> None:
    """Draw a heap over the clouds drawn so far, in place."""
    place = offsets(rng)
    box = _bounding_box(heap, view)
    if box is None:
        return
    u, v = _local(heap, view, box)
    rough = sample_tile(fractal_tile(), u, v, period=2.0, offset=place[::-1]) - HALF
    body, shade = _relief(heap, layer, view, u, v, rough, place)
    edge = 2.2 + 6 * (1 - layer.roughness)
    floor = v + rough * np.float32(0.16 * heap.height)
    solid = smoothstep(body * np.float32(edge)) * smoothstep(floor * np.float32(9) + HALF)
    drawn = Cloud(solid * np.float32(layer.opacity), shade)
    if heap.storm:
        drawn = _over(drawn, _anvil(heap, u, v, rough)) if heap.anvil else drawn
        drawn = _over(_shelf(u, v, rough), drawn)
    drawn = _over(drawn, Cloud(cloud.opacity[box], cloud.shade[box]))
    cloud.opacity[box], cloud.shade[box] = drawn


def _relief(
    heap: Heap,
    layer: CloudLayer,
    view: View,
    u: Field,
    v: Field,
    rough: Field,
    place: tuple[float, float],
) -> tuple[Field, Field]:
    """Return body (positive inside) and brightness of a heap: lobes with smaller domes on them."""
    sun = right, up, ahead = _sun_beside(heap, view)
    period = 2.4 if heap.storm else 2.2
    height, east, north = sample_tile(puff_tile(), u, v, period=period, offset=place)
    body, facing = _union(heap, u + rough * np.float32(0.15), v, sun)
    body += (height - np.float32(0.5)) * np.float32(0.7) + rough * np.float32(0.35)
    slope = (east - HALF) * np.float32(-right) + (north - HALF) * np.float32(-up)
    # A storm is dark up to great heights; only its crown and its sunny side are bright.
    slow, dark = (0.85, 1.15 * layer.shading) if heap.storm else (1.25, layer.shading)
    knolls = height * np.float32(0.3) - np.float32(0.02)
    rise = smoothstep(v * np.float32(slow / heap.height) + knolls)
    shade = np.float32(1.02 - dark) + rise * np.float32(dark)
    shade += facing * np.float32(0.2) + slope * np.float32(0.4) + rough * np.float32(0.2)
    shade += (height - HALF) * np.float32(0.35) - np.float32(0.3 * max(0.0, ahead))
    return body, shade


def _over(front: Cloud, back: Cloud) -> Cloud:
    """Compose two clouds, one in front of the other."""
    total = front.opacity + back.opacity * (np.float32(1) - front.opacity)
    share = front.opacity / np.maximum(total, np.float32(1e-3))
    return Cloud(total, back.shade + (front.shade - back.shade) * share)


def _shelf(u: Field, v: Field, rough: Field) -> Cloud:
    """Return the dark base of a storm, and the rain below it."""
    low = (v - np.float32(0.04)) * np.float32(1 / 0.26)
    wide = u * np.float32(1 / 1.45)
    body = np.float32(1) - wide * wide - low * low + rough * np.float32(1.3)
    base = smoothstep(body * np.float32(1.6))
    slant = np.abs(u + v * np.float32(0.25) + rough * np.float32(0.3))
    fall = smoothstep((np.float32(0.85) - slant) * np.float32(1.8))
    fall *= smoothstep(v * np.float32(-9)) * np.float32(0.72)
    opacity = np.maximum(base * np.float32(0.97), fall)
    shade = np.float32(-0.18) + rough * np.float32(0.25) + (np.float32(1) - base) * np.float32(0.2)
    return Cloud(opacity, shade)


def _anvil(heap: Heap, u: Field, v: Field, rough: Field) -> Cloud:
    """Return the fibrous sheet of ice that spreads from the top of the tower, mostly to one side."""
    top = np.float32(max(rise + 0.6 * tall for _, rise, _, tall in heap.lobes))
    out = (u - np.float32(0.4 * heap.anvil)) * np.float32(1 / 1.3)
    out2 = out * out
    lift = top + out2 * np.float32(0.06)
    thick = np.float32(0.26) * np.maximum(np.float32(1.1) - out2, np.float32(0.05))
    body = np.float32(1) - np.abs(v - lift) / thick + rough * np.float32(0.9)
    sheet = smoothstep(body * np.float32(1.3))
    sheet *= smoothstep((np.float32(1.05) - out2) * np.float32(4)) * np.float32(0.95)
    return Cloud(sheet, np.float32(0.85) + rough * np.float32(0.3) + (v - lift) * np.float32(0.9))


def _union(heap: Heap, u: Field, v: Field, sun: tuple[float, float, float]) -> tuple[Field, Field]:
    """Return the union of the lobes (positive inside), and the light on the lobe in front."""
    right, up, _ = sun
    body, light = np.full_like(u, -9), np.zeros_like(u)
    for across, rise, width, height in heap.lobes:
        du = (u - np.float32(across)) * np.float32(1 / width)
        dv = (v - np.float32(rise)) * np.float32(1 / height)
        inside = np.float32(1) - du * du - dv * dv
        front = inside > body
        light = np.where(front, du * np.float32(right) + dv * np.float32(up), light)
        body = np.maximum(body, inside)
    return body, np.clip(light, -1, 1)


def _axes(heap: Heap) -> tuple[tuple[float, float, float], ...]:
    ahead = direction(heap.azimuth, heap.base)
    right = direction(heap.azimuth + 90, 0)
    above = direction(heap.azimuth, heap.base + 90)
    return ahead, right, above


def _sun_beside(heap: Heap, view: View) -> tuple[float, float, float]:
    """Return the direction to the sun in the axes of the heap: right, up and behind it."""
    ahead, right, above = (sum(a * b for a, b in zip(axis, view.sun, strict=True)) for axis in _axes(heap))
    return right, above, ahead


def _local(heap: Heap, view: View, box: tuple[slice, slice]) -> tuple[Field, Field]:
    """Return coordinates on the plane that faces the heap, right of and above its base, in half widths."""
    rays = (view.x[box], view.y[box], view.z[box])
    ahead, right, above = _axes(heap)
    tangent = stable(math.tan(math.radians(heap.half_width)))
    depth = np.float32(1 / tangent) / np.maximum(dot(rays, ahead), np.float32(0.05))
    return dot(rays, right) * depth, dot(rays, above) * depth


def _bounding_box(heap: Heap, view: View) -> tuple[slice, slice] | None:
    """Return rows and columns that can show the heap, from a coarse grid; ``None`` if there are none."""
    step = 4
    grid = (slice(step // 2, None, step), slice(step // 2, None, step))
    u, v = _local(heap, view, grid)
    wide, deep = (1.9, 3.0) if heap.storm else (1.3, 0.3)
    hit = (np.abs(u) < wide) & (v > -deep) & (v < heap.height + 0.7)
    hit &= dot((view.x[grid], view.y[grid], view.z[grid]), _axes(heap)[0]) > 0.05
    rows, columns = np.flatnonzero(hit.any(axis=1)), np.flatnonzero(hit.any(axis=0))
    if not rows.size:
        return None
    return (
        slice(max(0, (int(rows[0]) - 1) * step), (int(rows[-1]) + 2) * step),
        slice(max(0, (int(columns[0]) - 1) * step), (int(columns[-1]) + 2) * step),
    )
