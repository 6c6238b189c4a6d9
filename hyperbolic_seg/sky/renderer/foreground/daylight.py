"""Light on the things in front of the sky, by the sun, the moon, the sky and the lamps of a town."""

from dataclasses import dataclass

import numpy as np

from hyperbolic_seg.sky.renderer.atmosphere import Color, Light, mix, scale
from hyperbolic_seg.sky.renderer.camera import Vector, direction
from hyperbolic_seg.sky.renderer.noise import Field
from hyperbolic_seg.sky.renderer.scene import SkyScene


@dataclass(frozen=True)
class Daylight:
    """Light that falls on things; a white surface that faces a light has the color of it.

    Attributes:
        time: ``day``, ``dusk`` or ``night``.
        ambient: From the sky and the surroundings, on an upright surface.
        direct: From the sun or the moon.
        source: Unit vector to them.
        lamps: From street lamps, at the foot of things.
        sky: Mean color of the sky, which glass and water mirror.
        haze: Color that far things fade to.
        visibility: Distance in meters at which they have half faded.
    """

    time: str
    ambient: Color
    direct: Color
    source: Vector
    lamps: Color
    sky: Color
    haze: Color
    visibility: float

    def facing(self, normal: Vector) -> float:
        """Return the cosine between a normal and the light, 0 if it faces away."""
        return max(0.0, sum(a * b for a, b in zip(normal, self.source, strict=True)))

    def on(self, albedo: Color, normal: Vector, lit: float = 1.0) -> Color:
        """Return the light of a surface; ``lit`` is the share of it that no shadow reaches."""
        strength = self.facing(normal) * lit
        blue, green, red = (
            a * (ambient + direct * strength)
            for a, ambient, direct in zip(albedo, self.ambient, self.direct, strict=True)
        )
        return blue, green, red

    def through(self, color: Field, distance: float) -> Field:
        """Return a color, (3, h, w), as haze lets it be seen at a distance in meters."""
        haze = spread(self.haze)
        seen: Field = color + (haze - color) * np.float32(distance / (distance + self.visibility))
        return seen


def spread(color: Color) -> Field:
    """Return a color as an array, (3, 1, 1)."""
    return np.array(color, np.float32)[:, None, None]


def tint(albedo: Color, light: Color) -> Color:
    """Return the color of a surface in a light."""
    blue, green, red = (a * b for a, b in zip(albedo, light, strict=True))
    return blue, green, red


def daylight_of(scene: SkyScene, light: Light) -> Daylight:
    """Return the light on the foreground of a scene."""
    sky, clear = mix(light.zenith, light.horizon, 0.55), _clearness(scene)
    clouds = mix(light.shadow[2], light.lit[2], 0.45)
    seen = mix(clouds, sky, clear)
    ambient, direct, lamps = {'day': _day, 'dusk': _dusk, 'night': _night}[scene.time](scene, light, seen, clear)
    gain = scene.ground.light
    return Daylight(
        time=scene.time,
        ambient=scale(ambient, gain),
        direct=scale(direct, gain),
        source=direction(scene.sun.azimuth, scene.sun.elevation),
        lamps=lamps,
        sky=seen,
        haze=scale(mix(light.horizon, light.zenith, 0.3), 0.85),
        visibility=120_000 / (0.5 + scene.turbidity) ** 1.3,
    )


def _clearness(scene: SkyScene) -> float:
    clear = 1.0
    for layer in scene.layers:
        clear *= 1 - min(layer.cover, 1.0) * layer.opacity
    return clear


def _day(scene: SkyScene, light: Light, seen: Color, clear: float) -> tuple[Color, Color, Color]:
    gray = (0.3, 0.3, 0.3)
    return scale(mix(seen, gray, 0.6), 0.95), scale(light.lit[2], min(1.0, 1.5 * clear)), (0.0, 0.0, 0.0)


def _dusk(scene: SkyScene, light: Light, seen: Color, clear: float) -> tuple[Color, Color, Color]:
    up = min(max((scene.sun.elevation + 0.5) / 3, 0.0), 1.0)
    lamps = scale((0.1, 0.2, 0.3), scene.city_light * min(max((3 - scene.sun.elevation) / 8, 0.0), 1.0))
    return scale(seen, 0.7), scale(light.lit[2], 0.8 * up * min(1.0, 1.5 * clear)), lamps


def _night(scene: SkyScene, light: Light, seen: Color, clear: float) -> tuple[Color, Color, Color]:
    moonlight = scale((0.13, 0.12, 0.11), scene.sun.glare * (0.3 + 0.7 * clear))
    return scale(light.horizon, 0.6), moonlight, scale((0.14, 0.27, 0.4), scene.city_light**2)
