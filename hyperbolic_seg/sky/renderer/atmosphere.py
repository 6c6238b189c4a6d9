"""Colors of the clear sky, of the glare of the sun, and of the light on clouds.

Colors are linear light as (blue, green, red), where 1 is the white of a sunlit cloud. They are chosen by eye to
resemble photographs, not computed from a model of scattering.
"""

import math
from dataclasses import dataclass

import numpy as np

from hyperbolic_seg.sky.renderer.camera import View, stable
from hyperbolic_seg.sky.renderer.labels import VISIBLE_OPACITY
from hyperbolic_seg.sky.renderer.noise import Field
from hyperbolic_seg.sky.renderer.scene import SkyScene

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """Colors of the light in a scene.

    Attributes:
        zenith: Clear sky overhead.
        horizon: Clear sky at the horizon, away from the sun.
        glow: Clear sky at the horizon below the sun, added to ``horizon``.
        lit: Sunlit parts of high, middle and low clouds.
        shadow: Shaded parts of the same.
        scatter: Light scattered forward by thin cloud in front of the sun.
        aureole: Light around the sun.
    """

    zenith: Color
    horizon: Color
    glow: Color
    lit: tuple[Color, Color, Color]
    shadow: tuple[Color, Color, Color]
    scatter: Color
    aureole: Color


def mix(a: Color, b: Color, weight: float) -> Color:
    """Interpolate between two colors: ``a`` at weight 0, ``b`` at weight 1."""
    blue, green, red = (x + (y - x) * weight for x, y in zip(a, b, strict=True))
    return blue, green, red


def scale(color: Color, factor: float) -> Color:
    """Multiply a color by a factor."""
    return mix((0.0, 0.0, 0.0), color, factor)


def paint(color: Color, amount: Field) -> Field:
    """Multiply a color by a field (H, W), giving (3, H, W)."""
    return np.array(color, np.float32)[:, None, None] * amount


def light_of(scene: SkyScene) -> Light:
    """Return the colors of a scene."""
    if scene.time == 'night':
        return _night(scene)
    return _day(scene) if scene.time == 'day' else _dusk(scene)


def _day(scene: SkyScene) -> Light:
    haze = min(max((scene.turbidity - 1.5) / 7.5, 0.0), 1.0)
    low = max(0.0, 1 - scene.sun.elevation / 30)
    lit = mix((0.96, 0.99, 1.0), (0.7, 0.88, 1.0), low)
    shadow = mix((0.33, 0.3, 0.28), (0.29, 0.265, 0.25), low)
    shadow = mix(shadow, (0.44, 0.24, 0.15), 0.4 * scene.skylight)
    return Light(
        zenith=mix((0.42, 0.15, 0.05), (0.55, 0.33, 0.2), haze),
        horizon=mix((0.8, 0.56, 0.36), (0.8, 0.76, 0.7), haze),
        glow=scale((0.1, 0.2, 0.26), low),
        lit=(lit, lit, lit),
        shadow=(scale(shadow, 1.6), scale(shadow, 1.1), scale(shadow, 0.9)),
        scatter=(0.9, 0.96, 1.0),
        aureole=mix((0.95, 0.95, 0.9), (0.5, 0.8, 1.0), low),
    )


def _dusk(scene: SkyScene) -> Light:
    depth = min(max((8 - scene.sun.elevation) / 13, 0.0), 1.0)
    haze = min(max((scene.turbidity - 1.5) / 7.5, 0.0), 1.0)
    dim = 1 - 0.55 * depth
    red = mix((0.32, 0.55, 1.0), (0.14, 0.27, 1.0), min(1.0, depth * 1.5))
    lit_low = mix(red, (0.3, 0.25, 0.3), depth)
    shadow = mix((0.27, 0.2, 0.2), (0.11, 0.075, 0.09), depth)
    return Light(
        zenith=scale(mix((0.38, 0.18, 0.09), (0.34, 0.22, 0.17), haze), dim * dim),
        horizon=scale(mix((0.5, 0.38, 0.36), (0.36, 0.33, 0.42), depth), dim),
        glow=scale(mix((-0.1, 0.2, 0.6), (-0.2, 0.08, 0.75), depth), dim),
        lit=(scale(red, dim + 0.05), scale(red, 0.85 * dim), scale(lit_low, 0.75 * dim)),
        shadow=(scale(shadow, 1.7), shadow, scale(shadow, 0.75)),
        scatter=scale((0.25, 0.6, 1.0), dim),
        aureole=scale((0.22, 0.6, 1.0), dim),
    )


def _night(scene: SkyScene) -> Light:
    city = scene.city_light
    moon = scene.sun.glare
    dark = mix((0.012, 0.007, 0.005), (0.03, 0.026, 0.03), city)
    lamp = mix((0.022, 0.022, 0.024), (0.16, 0.24, 0.34), city)
    moonlit = scale((0.11, 0.1, 0.09), moon)
    low = mix(lamp, moonlit, 0.35) if moon else lamp
    high = mix(scale(lamp, 0.45), moonlit, 0.6) if moon else scale(lamp, 0.5)
    return Light(
        zenith=mix(dark, scale((0.07, 0.04, 0.03), moon), 0.4),
        horizon=mix(scale(dark, 1.6), lamp, 0.35 * city),
        glow=(0.0, 0.0, 0.0),
        lit=(high, mix(high, low, 0.6), low),
        shadow=(scale(high, 0.5), scale(high, 0.35), scale(low, 0.3)),
        scatter=scale((0.28, 0.3, 0.32), moon),
        aureole=scale((0.28, 0.27, 0.25), moon),
    )


def lorentzian(cosine: Field | float, width: float) -> Field:
    """Return a peak around the sun: 1 at its center, one half at ``width`` degrees."""
    half = stable(1 - math.cos(math.radians(width)))
    peak: Field = np.float32(1) / (np.float32(1) + (np.float32(1) - cosine) * np.float32(1 / half))
    return peak


def clear_sky(scene: SkyScene, light: Light, view: View) -> Field:
    """Return the sky without clouds and without the disk of the sun, (3, H, W)."""
    low = np.float32(1) - np.clip(view.z, np.float32(0), np.float32(1))
    low2 = low * low
    share = np.float32(0.72 - 0.03 * scene.turbidity)
    weight = low2 * (np.float32(1) - share) + low2 * low2 * low2 * share
    sky = paint(light.zenith, np.ones_like(weight))
    sky += paint(_gap(light), weight)
    if any(light.glow):
        toward = np.maximum(view.sun_cosine, np.float32(0))
        sky += paint(light.glow, toward * toward * low2 * low2)
    clear: Field = np.maximum(sky, np.float32(0))
    return clear


def _gap(light: Light) -> Color:
    blue, green, red = (h - z for h, z in zip(light.horizon, light.zenith, strict=True))
    return blue, green, red


def glare(scene: SkyScene, view: View) -> Field:
    """Return the strength of the light around the sun, (H, W)."""
    if not scene.sun.glare:
        return np.zeros_like(view.z)
    cosine = view.sun_cosine
    near = lorentzian(cosine, 2.2 * scene.sun.radius)
    wide = lorentzian(cosine, 14.0 + 1.5 * scene.turbidity)
    far = np.float32(0.12) * (np.float32(1) + np.float32(0.15 * scene.turbidity))
    strength: Field = near * near * np.float32(2.5) + wide * wide * far * np.float32(4)
    strength = strength * np.float32(scene.sun.glare * 0.5)
    return strength


def is_visible(opacity: Field) -> np.ndarray:
    """Return True for pixels labeled as cloud, (H, W)."""
    visible: np.ndarray = opacity >= np.float32(VISIBLE_OPACITY)
    return visible
