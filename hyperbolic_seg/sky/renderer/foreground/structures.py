"""Structures: masts, lamps, antennas, cranes, wires and rails, drawn as strokes on an upright plane."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hyperbolic_seg.sky.renderer.atmosphere import Color
from hyperbolic_seg.sky.renderer.camera import Vector
from hyperbolic_seg.sky.renderer.foreground.buildings import cap
from hyperbolic_seg.sky.renderer.foreground.canvas import Canvas
from hyperbolic_seg.sky.renderer.foreground.daylight import Daylight, spread
from hyperbolic_seg.sky.renderer.foreground.rays import Rays, bar, lean, pulse
from hyperbolic_seg.sky.renderer.labels import SkyLabel
from hyperbolic_seg.sky.renderer.noise import Field

Stroke = tuple[float, float, float, float, float]
"""Ends of a bar, across and upwards twice, and half its thickness, in meters."""

_COLORS: tuple[Color, ...] = (
    (0.05, 0.05, 0.05),
    (0.3, 0.31, 0.32),
    (0.75, 0.75, 0.75),
    (0.06, 0.1, 0.16),
    (0.5, 0.5, 0.48),
)


@dataclass(frozen=True)
class Structure:
    """Bars on an upright plane at right angles to an azimuth; lengths in meters from the camera.

    Attributes:
        azimuth: Direction of the plane in degrees.
        distance: Distance of the plane.
        strokes: The bars.
        color: Their albedo.
        pickets: Distance of upright bars between two heights, half their thickness, and the heights; none if 0.
        lamp: Place across and upwards and radius of a lamp; no lamp if the radius is 0.
        label: What it is.
    """

    azimuth: float
    distance: float
    strokes: tuple[Stroke, ...]
    color: Color
    pickets: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    lamp: tuple[float, float, float] = (0.0, 0.0, 0.0)
    label: SkyLabel = SkyLabel.STRUCTURE

    def draw(self, canvas: Canvas, rays: Rays, day: Daylight) -> None:
        """Paint the bars, and the lamp if it is on."""
        ahead, right = lean(self.azimuth)
        near = rays.around(*cap(self._corners(ahead, right)))
        if near is None:
            return
        facing = near.along(ahead)
        seen = facing > np.float32(0.02)
        inverse = np.float32(self.distance) / np.maximum(facing, np.float32(0.02))
        across, up = near.along(right) * inverse, near.z * inverse
        sizes = (
            inverse * near.across / np.maximum(facing, np.float32(0.02)) * np.float32(near.pixel),
            inverse / near.across * np.float32(near.pixel),
        )
        coverage = np.zeros_like(up)
        for stroke in self.strokes:
            coverage = np.maximum(coverage, _share(stroke, across, up, sizes))
        if self.pickets[0]:
            coverage = np.maximum(coverage, self._fence(across, up, sizes))
        normal = (-ahead[0], -ahead[1], 0.0)
        color = spread(day.on(self.color, normal))
        color = day.through(color, self.distance)
        canvas.cover(near, self.label, coverage * seen, color)
        if self.lamp[2] and any(day.lamps):
            self._shine(canvas, near, across, up, sizes)

    def _corners(self, ahead: Vector, right: Vector) -> list[Vector]:
        points = [(s[0], s[1]) for s in self.strokes] + [(s[2], s[3]) for s in self.strokes]
        return [
            (self.distance * ahead[0] + u * right[0], self.distance * ahead[1] + u * right[1], v) for u, v in points
        ]

    def _fence(self, across: Field, up: Field, sizes: tuple[Field, Field]) -> Field:
        period, half, low, high = self.pickets
        bars = pulse(across, sizes[0], period=period, start=0.0, length=2 * half)
        left, right = min(s[0] for s in self.strokes), max(s[2] for s in self.strokes)
        inside = (across > np.float32(left)) & (across < np.float32(right))
        fence: Field = bars * bar(up - np.float32((low + high) / 2), (high - low) / 2, sizes[1]) * inside
        return fence

    def _shine(self, canvas: Canvas, rays: Rays, across: Field, up: Field, sizes: tuple[Field, Field]) -> None:
        u, v, radius = self.lamp
        off = (across - np.float32(u)) ** 2 + (up - np.float32(v)) ** 2
        size = np.float32(radius) + sizes[1]
        glow = np.clip(np.float32(1.5) - off / (size * size), 0, 1)
        halo = np.float32(1) / (np.float32(1) + off / (size * size * np.float32(6)))
        light = spread((0.35, 0.7, 1.0))
        canvas.radiance[:, rays.rows, rays.columns] += light * (halo * halo * np.float32(0.25) + glow)


def _share(stroke: Stroke, across: Field, up: Field, sizes: tuple[Field, Field]) -> Field:
    """Return the share of each pixel that a bar covers, along the axis that it is closer to."""
    u0, v0, u1, v1, half = stroke
    if abs(v1 - v0) >= abs(u1 - u0):
        lean_, (along, aside), (long, wide) = (u1 - u0) / (v1 - v0), (up, across), (sizes[1], sizes[0])
        first, last, origin = v0, v1, (v0, u0)
    else:
        lean_, (along, aside), (long, wide) = (v1 - v0) / (u1 - u0), (across, up), (sizes[0], sizes[1])
        first, last, origin = u0, u1, (u0, v0)
    off = aside - np.float32(origin[1]) - (along - np.float32(origin[0])) * np.float32(lean_)
    ends = bar(along - np.float32((first + last) / 2), abs(last - first) / 2 + half * 0.5, long)
    return bar(off, half * (1 + lean_ * lean_) ** 0.5, wide) * ends


def paint_of(rng: np.random.Generator) -> Color:
    """Draw the color of a structure."""
    return _COLORS[int(rng.random() * len(_COLORS))]


def mast(rng: np.random.Generator, azimuth: float, distance: float, top: float) -> Structure:
    """Return a mast, a street lamp, an antenna or a crane whose top is at a height above the camera in meters."""
    kinds = (_pole, _pole, _lamp, _lamp, _antenna, _antenna, _crane)
    return kinds[int(rng.random() * len(kinds))](rng, azimuth, distance, top)


def _pole(rng: np.random.Generator, azimuth: float, distance: float, top: float) -> Structure:
    half = 0.03 + 0.1 * rng.random()
    return Structure(azimuth, distance, ((0.0, -20.0, 0.0, top, half),), paint_of(rng))


def _lamp(rng: np.random.Generator, azimuth: float, distance: float, top: float) -> Structure:
    side = (1 if rng.random() < 0.5 else -1) * (0.8 + 1.5 * rng.random())
    strokes = (
        (0.0, -20.0, 0.0, top, 0.07),
        (0.0, top, side, top + 0.2, 0.05),
        (side * 0.7, top + 0.15, side, top + 0.2, 0.1),
    )
    return Structure(azimuth, distance, strokes, paint_of(rng), lamp=(side * 0.85, top + 0.1, 0.2))


def _antenna(rng: np.random.Generator, azimuth: float, distance: float, top: float) -> Structure:
    strokes = [(0.0, -20.0, 0.0, top, 0.03)]
    boom = 0.6 + 0.8 * rng.random()
    strokes.append((-boom, top - 0.15, boom, top - 0.15, 0.02))
    for rod in range(7):
        u = boom * (rod / 3 - 1)
        strokes.append((u, top - 0.45, u, top + 0.15, 0.012))
    return Structure(azimuth, distance, tuple(strokes), paint_of(rng))


def _crane(rng: np.random.Generator, azimuth: float, distance: float, top: float) -> Structure:
    distance, top = distance * 6, top * 6
    reach, back = top * (0.6 + 0.5 * rng.random()), top * 0.3
    side = 1 if rng.random() < 0.5 else -1
    strokes = (
        (0.0, -60.0, 0.0, top, 0.7),
        (-side * back, top * 0.93, side * reach, top * 0.93, 0.6),
        (0.0, top, side * reach * 0.7, top * 0.94, 0.12),
        (0.0, top, -side * back, top * 0.94, 0.12),
        (-side * back, top * 0.86, -side * back * 0.8, top * 0.93, 1.3),
        (side * reach * 0.6, top * 0.4, side * reach * 0.6, top * 0.93, 0.08),
    )
    ordered = tuple(s if s[0] <= s[2] else (s[2], s[3], s[0], s[1], s[4]) for s in strokes)
    return Structure(azimuth, distance, ordered, (0.08, 0.45, 0.7) if rng.random() < 0.5 else paint_of(rng))


def wires(rng: np.random.Generator, azimuth: float, distance: float, height: float) -> Structure:
    """Return wires that sag between two poles, at a height above the camera in meters."""
    span, sag = distance * (1.5 + 2 * rng.random()), 0.02 + 0.04 * rng.random()
    strokes = [(side * span, -20.0, side * span, height * 1.1, 0.12) for side in (-1, 1)]
    half = 0.01 + 0.015 * rng.random()
    for wire in range(1 + int(rng.random() * 4)):
        level, steps = height * (1 - 0.07 * wire), 10
        # A catenary this flat is a parabola.
        points = [
            (span * (2 * s / steps - 1), level - span * sag * (1 - (2 * s / steps - 1) ** 2)) for s in range(steps + 1)
        ]
        strokes += [(*one, *other, half) for one, other in pairwise(points)]
    return Structure(azimuth, distance, tuple(strokes), (0.04, 0.04, 0.04))


def rail(rng: np.random.Generator, azimuth: float, distance: float, top: float) -> Structure:
    """Return a rail or a fence whose top is at a height above the camera in meters."""
    half = distance * (1 + 2 * rng.random())
    thick = 0.015 + 0.02 * rng.random()
    levels = [top - 0.35 * level for level in range(1 + int(rng.random() * 3))]
    bars = tuple((-half, level, half, level, thick) for level in levels)
    period = (1.5, 0.15, 0.6)[int(rng.random() * 3)]
    return Structure(azimuth, distance, bars, paint_of(rng), (period, thick * 0.7, top - 1.1, top))


def parapet(rng: np.random.Generator, distance: float, top: float) -> list[Structure]:
    """Return the walls around the edge of a roof on which the camera stands, or the rails on them, in meters."""
    azimuth, color = 360 * rng.random(), paint_of(rng)
    if rng.random() < 0.6:
        solid = ((-distance, top - 2.0, distance, top - 2.0, 2.0),)
        walls = Structure(azimuth, distance, solid, color, label=SkyLabel.BUILDING)
    else:
        rails = tuple((-distance, top - 0.4 * level, distance, top - 0.4 * level, 0.03) for level in range(3))
        walls = Structure(azimuth, distance, rails, color, (1.5, 0.03, top - 1.2, top))
    return [replace(walls, azimuth=azimuth + 90 * turn) for turn in range(4)]
