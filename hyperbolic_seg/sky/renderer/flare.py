"""Light of the sun that strays in the lens and on the dome: bloom, rays, streaks, ghosts and glitter."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.atmosphere import Color, lorentzian, paint
from hyperbolic_seg.sky.renderer.camera import View, stable
from hyperbolic_seg.sky.renderer.noise import Field, generator, look_up
from hyperbolic_seg.sky.renderer.scene import SkyScene

_SATURATED = np.float32(2.2)
"""Exposed light of about 240 gray levels, where nothing else is told apart."""
_VISIBLE = np.float32(0.06)
"""Exposed light of about 60 gray levels, below which a streak hides nothing."""
_STREAKS = 256  # entries of the table of streaks

_ONE = np.float32(1)


@dataclass(frozen=True)
class _Source:
    """Where the sun is in the image, and its visible share."""

    row: np.float32
    column: np.float32
    seen: float

    def offsets(self, view: View, turn: float) -> tuple[Field, Field]:
        """Return the distances from the sun along and across a direction in the image, in degrees."""
        c, s = (np.float32(stable(f(math.radians(turn)))) for f in (math.cos, math.sin))
        down, right = view.row - self.row, view.column - self.column
        return right * c + down * s, down * c - right * s


def stray_light(seed: int, scene: SkyScene, view: View, *, color: Color, disk: Field) -> Field | None:
    """Return the light that strays in the lens, (3, H, W), or None where the sun is not seen.

    Args:
        seed: Seed of ghosts, streaks and glitter.
        scene: Parameters of the image.
        view: Directions of the pixels.
        color: Color of the light around the sun.
        disk: Share of every pixel that the visible disk fills, dimmed by thin cloud, (H, W).
    """
    seen = float(disk.max())
    if seen < 0.02:
        return None
    place = int(np.argmax(np.where(view.inside, view.sun_cosine, np.float32(-1))))
    source = _Source(view.row.flat[place], view.column.flat[place], seen)
    flare, rng = scene.flare, generator(seed, 24)
    white = _bloom(scene, view)
    if flare.star:
        white += _star(scene, view, source)
    if flare.smear:
        white += _smear(scene, view, source, rng)
    if flare.glitter:
        white += _glitter(scene, view, source, generator(seed, 25))
    light = paint(color, white)
    if flare.ghosts:
        _add_ghosts(light, flare.ghosts, view, source, generator(seed, 26))
    light *= np.float32(seen)
    return light


def blinded(scene: SkyScene, *, radiance: Field, stray: Field, glare: Field) -> NDArray[np.bool_]:
    """Return True where stray light hides what is behind, (H, W).

    That is where it is more than half of the light, or where the image is saturated and it is so with the glare.

    Args:
        scene: Parameters of the image.
        radiance: All light, (3, H, W).
        stray: Share of it that strays in the lens, (3, H, W).
        glare: Light around the sun that is not hidden, (H, W).
    """
    exposure = np.float32(scene.sensor.exposure)
    half = radiance[1] * np.float32(0.5)
    rays = (stray[1] > half) & (stray[1] * exposure > _VISIBLE)
    blue, green, red = (
        channel * np.float32(gain) for channel, gain in zip(radiance, scene.sensor.white_balance, strict=True)
    )
    darkest = np.minimum(np.minimum(blue, green), red) * exposure
    blind: NDArray[np.bool_] = rays | ((darkest > _SATURATED) & (stray[1] + glare > half))
    return blind


def _bloom(scene: SkyScene, view: View) -> Field:
    peak = lorentzian(view.sun_cosine, 1.3 * scene.sun.radius)
    bloom: Field = peak * peak * peak * np.float32(12 * scene.flare.bloom)
    return bloom


def _star(scene: SkyScene, view: View, source: _Source) -> Field:
    """Return the rays of the diffraction star, which taper towards their ends."""
    flare = scene.flare
    lines = flare.blades if flare.blades % 2 else flare.blades // 2  # each line gives two rays
    total = np.zeros_like(view.z)
    for line in range(lines):
        along, across = source.offsets(view, flare.turn + 180 * line / lines)
        reach = _ONE / (_ONE + along * along * np.float32(40))
        off = across * np.float32(110)
        total += reach * reach * reach / (_ONE + off * off)
    star: Field = total * np.float32(1.8 * flare.star)
    return star


def _smear(scene: SkyScene, view: View, source: _Source, rng: np.random.Generator) -> Field:
    """Return a bundle of streaks that spread a little from the sun on both sides."""
    dice = rng.random(_STREAKS)
    dice *= dice
    streaks = (dice * dice).astype(np.float32)
    along, across = source.offsets(view, scene.flare.smear_turn)
    distance = np.abs(along)
    spread = across / (distance + np.float32(0.05)) * np.float32(1 / 0.12)
    bundle = np.maximum(_ONE - np.abs(spread), np.float32(0))
    reach = _ONE / (_ONE + distance * distance * np.float32(4))
    texture = look_up(streaks, (spread + _ONE) * np.float32(_STREAKS / 2))
    smear: Field = bundle * reach * texture * np.float32(0.8 * scene.flare.smear)
    return smear


def _glitter(scene: SkyScene, view: View, source: _Source, rng: np.random.Generator) -> Field:
    """Return bright specks of dust, which are dense near the sun."""
    height, width = view.z.shape
    half = max(height, width) / 2
    dice = rng.random((120, 4)) - 0.5
    spread = 0.9 * dice[:, 2] * dice[:, 2] + 0.08
    total = np.zeros_like(view.z)
    for down, right, reach, bright in zip(dice[:, 0], dice[:, 1], spread, dice[:, 3] + 0.5, strict=True):
        row = int((float(source.row) + 4 * reach * down) * half + height / 2)
        column = int((float(source.column) + 4 * reach * right) * half + width / 2)
        if 0 <= row < height and 0 <= column < width:
            side = max(1, round(half / 128))
            total[row : row + side, column : column + side] += np.float32(2.5 * bright * bright * scene.flare.glitter)
    return total


def _add_ghosts(light: Field, strength: float, view: View, source: _Source, rng: np.random.Generator) -> None:
    """Add disks, hexagons and rings on the line through the sun and the center of the image, in place."""
    for _ in range(2 + int(5 * rng.random())):
        step, size, power, shape, hue, ring = (rng.random() for _ in range(6))
        place = np.float32(0.9 - 2.1 * step)
        down, right = view.row - source.row * place, view.column - source.column * place
        radius = 0.015 + 0.13 * size * size
        far2 = _hexagon(down, right) if shape < 0.4 else down * down + right * right
        far2 = far2 * np.float32(1 / radius**2)
        ghost = np.clip((_ONE - far2) * np.float32(2 + 5 * shape), np.float32(0), _ONE)
        if ring > 0.6:
            ghost *= np.minimum(far2 + np.float32(0.15), _ONE)
        bright = strength * (0.12 + 0.9 * power * power * power)
        light += paint(_tint(hue), ghost * np.float32(bright))


def _hexagon(down: Field, right: Field) -> Field:
    """Return the squared distance in which hexagons are the circles."""
    a, b = np.abs(right), np.abs(down)
    far = np.maximum(a, a * np.float32(0.5) + b * np.float32(0.8660254))
    squared: Field = far * far
    return squared


def _tint(hue: float) -> Color:
    """Return the color of a coating, from green over white to violet and red, as (blue, green, red)."""
    if hue < 0.4:
        return 0.55, 1.0, 0.45 + hue
    if hue < 0.7:
        return 0.95, 1.0, 0.95
    return 0.9 - 2 * (hue - 0.7), 0.5, 1.0
