"""Facades: walls of many materials with windows, balconies and courses."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hyperbolic_seg.sky.renderer.atmosphere import Color, mix, scale
from hyperbolic_seg.sky.renderer.foreground.daylight import Daylight, spread
from hyperbolic_seg.sky.renderer.foreground.rays import edge, pulse
from hyperbolic_seg.sky.renderer.noise import Field, fractal_tile, generator, sample_tile

_DICE = 509  # random numbers that rooms take turns with


class Wall(NamedTuple):
    """Coordinates on a wall in meters, and the size of a pixel there, (h, w) each.

    ``along`` runs to the right from the left end, ``up`` from the ground.
    """

    along: Field
    up: Field
    pixel_along: Field
    pixel_up: Field


@dataclass(frozen=True)
class Facade:
    """Look of the walls of a house; lengths in meters, colors as albedo.

    Attributes:
        color: Color of the wall.
        seam: Darkness of the joints of bricks, panels, boards or sheets.
        joints: Distances between the joints, across and upwards; 0 for none.
        glass: Share of the light of the sky that windows mirror.
        frame: Color of the frames and the balconies.
        bay: Width of a bay, with a window each.
        floor: Height of a floor.
        window: Width and height of a window, as shares of its bay and floor; (0, 0) for a blind wall.
        base: Height of the first window sill.
        balcony: Share of the width of a bay that a balcony takes; 0 for none.
        band: Contrast of the band between floors: dark below 0, light above.
        stain: Strength of stains, and of the unevenness of the material.
        lamps: Share of windows that are lit by night.
        seed: Seed of the rooms.
    """

    color: Color
    seam: float
    joints: tuple[float, float]
    glass: float
    frame: Color
    bay: float
    floor: float
    window: tuple[float, float]
    base: float
    balcony: float
    band: float
    stain: float
    lamps: float
    seed: int


_MATERIALS: dict[str, tuple[tuple[Color, ...], float, tuple[float, float], float]] = {
    'render': (
        (
            (0.82, 0.84, 0.85),
            (0.62, 0.76, 0.82),
            (0.7, 0.7, 0.7),
            (0.5, 0.5, 0.5),
            (0.38, 0.6, 0.75),
            (0.35, 0.45, 0.65),
            (0.72, 0.66, 0.6),
        ),
        0.0,
        (0.0, 0.0),
        0.1,
    ),
    'concrete': (((0.45, 0.47, 0.48), (0.33, 0.35, 0.36), (0.58, 0.6, 0.6)), 0.35, (3.0, 3.0), 0.25),
    'tiles': (((0.78, 0.8, 0.82), (0.55, 0.62, 0.7), (0.6, 0.58, 0.55)), 0.3, (0.9, 0.6), 0.12),
    'brick': (((0.13, 0.17, 0.33), (0.1, 0.13, 0.24), (0.25, 0.35, 0.48), (0.3, 0.4, 0.55)), 0.3, (0.0, 0.16), 0.2),
    'metal': (((0.6, 0.6, 0.6), (0.4, 0.38, 0.36), (0.75, 0.77, 0.78), (0.2, 0.2, 0.2)), 0.3, (0.6, 0.0), 0.1),
    'wood': (((0.12, 0.2, 0.32), (0.07, 0.1, 0.15), (0.3, 0.35, 0.38)), 0.4, (0.18, 0.0), 0.25),
    'glass': (((0.1, 0.09, 0.07), (0.14, 0.12, 0.1)), 0.1, (0.0, 0.0), 0.05),
}
"""By material the colors, the darkness of joints, their distances across and upwards, and the stains."""
_USUAL = ('render', 'render', 'render', 'concrete', 'tiles', 'brick', 'metal', 'wood', 'glass')
_HIGH = ('render', 'render', 'render', 'concrete', 'concrete', 'tiles', 'tiles', 'brick', 'brick', 'glass', 'metal')


def draw_facade(rng: np.random.Generator, *, high: bool = False) -> Facade:
    """Draw the look of a house, from what is usual in a street of high houses or elsewhere."""
    kinds = _HIGH if high else _USUAL
    kind = kinds[int(rng.random() * len(kinds))]
    colors, seam, joints, stain = _MATERIALS[kind]
    color = scale(colors[int(rng.random() * len(colors))], 0.85 + 0.3 * rng.random())
    frames = (
        (0.85, 0.85, 0.85),
        (0.85, 0.85, 0.85),
        (0.1, 0.1, 0.1),
        scale(color, 0.7),
        mix(color, (0.9, 0.9, 0.9), 0.6),
    )
    frame = frames[int(rng.random() * len(frames))]
    bay, floor = 1.5 + (2.3 if high else 3.2) * rng.random(), 2.7 + 1.1 * rng.random()
    window = (0.25 + 0.5 * rng.random(), 0.35 + 0.3 * rng.random())
    if kind == 'glass':
        window = (0.9 + 0.07 * rng.random(), 0.75 + 0.22 * rng.random())
    if rng.random() < 0.2:
        window = (0.97, window[1])  # ribbon windows
    if rng.random() < (0.1 if high else 0.25):
        window = (0.0, 0.0)
    balcony, band = rng.random(), rng.random()
    return Facade(
        color=color,
        seam=seam * (0.5 + rng.random()),
        joints=joints,
        glass=0.15 + (0.6 if kind == 'glass' else 0.5) * rng.random(),
        frame=frame,
        bay=bay,
        floor=floor,
        window=window,
        base=0.9 + 0.4 * rng.random(),
        balcony=0.6 + 0.35 * rng.random() if balcony < 0.35 and kind != 'glass' else 0.0,
        band=(band - 0.3) * 0.5 if band < 0.5 else 0.0,
        stain=stain,
        lamps=0.05 + 0.4 * rng.random() ** 2,
        seed=int(rng.random() * 2**31),
    )


def paint_facade(facade: Facade, wall: Wall, day: Daylight, light: Color, shadow: Color, shaded: Field) -> Field:
    """Return the light of a wall, (3, h, w).

    Args:
        facade: Its look.
        wall: Where on it the rays end.
        day: Light that the windows mirror.
        light: Light of a white surface in the sun that faces as the wall does.
        shadow: The same in the shade.
        shaded: Share of each pixel in the shade, (h, w).
    """
    rng = generator(facade.seed, 0)
    on = spread(light) + (spread(shadow) - spread(light)) * shaded
    stain = sample_tile(fractal_tile(), wall.along, wall.up, period=17.0, offset=(rng.random(), rng.random()))
    tone = np.float32(1 - 0.5 * facade.stain) + stain * np.float32(facade.stain)
    tone = tone * (np.float32(1) - _joints(facade, wall) * np.float32(facade.seam))
    if facade.band:
        between = pulse(wall.up, wall.pixel_up, period=facade.floor, start=facade.base - 0.45, length=0.3)
        tone = tone * (np.float32(1) + between * np.float32(facade.band))
        if facade.band > 0:  # a grid of light piers and floors
            piers = pulse(wall.along, wall.pixel_along, period=facade.bay, start=-0.15, length=0.3)
            tone = tone * (np.float32(1) + piers * (np.float32(1) - between) * np.float32(facade.band))
    picture: Field = spread(facade.color) * tone * on
    if facade.window[0]:
        picture = _with_windows(facade, wall, day, picture, on)
    if facade.balcony:
        picture = _with_balconies(facade, wall, picture, on)
    return picture


def _joints(facade: Facade, wall: Wall) -> Field:
    joints = np.zeros_like(wall.up)
    pairs = zip((wall.along, wall.up), (wall.pixel_along, wall.pixel_up), facade.joints, strict=True)
    for position, pixel, step in pairs:
        if step:
            joints = np.maximum(joints, pulse(position, pixel, period=step, start=0.0, length=0.08 * min(step, 1.0)))
    return joints


def _with_windows(facade: Facade, wall: Wall, day: Daylight, picture: Field, on: Field) -> Field:
    """Paint frames, panes that mirror the sky, blinds, and rooms with light by night."""
    wide, high = facade.window[0] * facade.bay, facade.window[1] * facade.floor
    left, sill = (facade.bay - wide) / 2, facade.base
    frame = min(0.12, 0.2 * wide, 0.2 * high)
    opening = _panes(facade, wall, (left, sill), (wide, high))
    pane = _panes(facade, wall, (left + frame, sill + frame), (wide - 2 * frame, high - 2 * frame))
    picture = picture + (spread(facade.frame) * on - picture) * opening
    rooms = generator(facade.seed, 1).random((3, _DICE)).astype(np.float32)
    column = np.floor(wall.along * np.float32(1 / facade.bay)).astype(np.int32)
    row = np.floor((wall.up - np.float32(sill)) * np.float32(1 / facade.floor)).astype(np.int32)
    room = np.mod(column * 31 + row * 17, _DICE)
    mirror, blind, lamp = (dice.take(room) for dice in rooms)
    # The higher part of a pane mirrors the sky, the lower one the houses across the street.
    glass = spread(scale(day.sky, facade.glass)) * (np.float32(0.1) + np.float32(1.7) * mirror * mirror) + spread(
        scale(day.ambient, 0.04)
    )
    shut = np.where(blind < np.float32(0.15), np.float32(0.8), np.float32(0))
    glass = glass + (spread((0.6, 0.65, 0.68)) * on - glass) * shut
    if day.time != 'day':
        bright = np.where(lamp < np.float32(facade.lamps), np.float32(0.25) + mirror, np.float32(0))
        glass = glass + spread((0.22, 0.5, 0.8)) * (bright * np.float32(0.8 if day.time == 'night' else 0.5))
    glazed: Field = picture + (glass - picture) * pane
    return glazed


def _panes(facade: Facade, wall: Wall, corner: tuple[float, float], size: tuple[float, float]) -> Field:
    across = pulse(wall.along, wall.pixel_along, period=facade.bay, start=corner[0], length=size[0])
    return across * pulse(wall.up, wall.pixel_up, period=facade.floor, start=corner[1], length=size[1])


def _with_balconies(facade: Facade, wall: Wall, picture: Field, on: Field) -> Field:
    """Paint parapets that hide the lower part of the windows, and the shade above them."""
    wide = facade.balcony * facade.bay * 2
    across = pulse(wall.along, wall.pixel_along, period=2 * facade.bay, start=facade.bay - wide / 2, length=wide)
    foot = facade.base - 0.9
    shade = across * pulse(wall.up, wall.pixel_up, period=facade.floor, start=foot + 1.1, length=facade.floor - 1.1)
    picture = picture * (np.float32(1) - shade * np.float32(0.45))
    parapet = across * pulse(wall.up, wall.pixel_up, period=facade.floor, start=foot, length=1.1)
    return picture + (spread(mix(facade.color, facade.frame, 0.6)) * on - picture) * parapet


def shade_of(wall: Wall, height: float, lean: float) -> Field:
    """Return the share of each pixel below the edge of a shadow, (h, w), which leans by a tangent along the wall."""
    top = np.float32(height) + wall.along * np.float32(lean)
    return edge(top - wall.up, np.maximum(wall.pixel_up, np.float32(0.05)))
