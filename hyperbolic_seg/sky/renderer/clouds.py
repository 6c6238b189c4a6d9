"""Cloud layers: drawn by genus, lit, and composed from the highest to the lowest."""

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.atmosphere import (
    Light,
    is_visible,
    lorentzian,
    mix,
    paint,
    scale,
)
from hyperbolic_seg.sky.renderer.camera import View
from hyperbolic_seg.sky.renderer.convective import cumulonimbus, cumulus
from hyperbolic_seg.sky.renderer.genera import STYLES
from hyperbolic_seg.sky.renderer.labels import SkyLabel
from hyperbolic_seg.sky.renderer.noise import Field, smoothstep
from hyperbolic_seg.sky.renderer.scene import CloudLayer, SkyScene
from hyperbolic_seg.sky.renderer.sheets import (
    Cloud,
    contrail,
    fibrous,
    granular,
    rain,
    veil,
)
from hyperbolic_seg.sky.renderer.sun import halo

_SHEETS = ('veil', 'rain', 'fog')


def draw(layer: CloudLayer, scene: SkyScene, view: View, rng: np.random.Generator) -> Cloud:
    """Draw one layer."""
    shape = STYLES[layer.genus].shape
    if shape == 'cumulus':
        return cumulus(layer, scene.camera, view, rng)
    if shape == 'cumulonimbus':
        return cumulonimbus(layer, scene.camera, view, rng)
    flat = {'fibrous': fibrous, 'granular': granular, 'contrail': contrail, 'rain': rain}
    return flat.get(shape, veil)(layer, view, rng)


def compose(
    scene: SkyScene,
    light: Light,
    view: View,
    sky: Field,
    clouds: list[Cloud],
    disk: Field,
) -> tuple[NDArray[np.uint8], Field]:
    """Draw the layers over the sky, in place.

    Args:
        scene: Parameters of the image.
        light: Colors of the light.
        view: Directions of the pixels.
        sky: Clear sky with sun and stars, (3, H, W); changed in place.
        clouds: Clouds of every layer, the highest first.
        disk: Share of every pixel that the disk of the sun covers, (H, W).

    Returns:
        Labels (H, W), and the transparency of all clouds together (H, W).
    """
    labels = np.zeros(view.z.shape, np.uint8)
    clear = np.ones_like(view.z)
    low = np.float32(1) - np.clip(view.z, 0, 1)
    distance = low * low * low
    distance *= distance * np.float32(0.3 + 0.05 * scene.turbidity)
    haze = paint(mix(light.horizon, light.zenith, 0.15), np.ones_like(distance))
    shaded = 0.0
    for layer, cloud in zip(scene.layers, clouds, strict=True):
        color = _color(layer, scene, light, view, cloud, clear, shaded)
        color += (haze - color) * distance
        opacity = cloud.opacity
        if STYLES[layer.genus].diffusing:  # like ground glass: a glow without a disk
            opacity = opacity + (np.float32(1) - opacity) * disk * smoothstep(opacity)
        sky += (color - sky) * opacity
        clear = clear * (np.float32(1) - opacity)
        labels[is_visible(opacity)] = layer.genus
        if STYLES[layer.genus].shape in _SHEETS:
            shaded = max(shaded, min(layer.cover, 1.0) * layer.opacity)
    return labels, clear


def _color(
    layer: CloudLayer,
    scene: SkyScene,
    light: Light,
    view: View,
    cloud: Cloud,
    clear: Field,
    shaded: float,
) -> Field:
    """Return the color of a layer, (3, H, W); ``shaded`` is the opacity of the sheets above it."""
    style = STYLES[layer.genus]
    shadow = scale(light.shadow[style.level], 1 - style.gloom)
    lit = light.lit[style.level]
    if scene.time == 'dusk' and style.shape in _SHEETS:
        lit = mix(lit, light.horizon, 0.55 * min(layer.cover, 1.0))  # a wide sheet hides the low sun
    lit = mix(lit, mix(shadow, lit, 0.35), shaded * shaded)
    shade = np.clip(cloud.shade, np.float32(-0.2), np.float32(1.25))
    if scene.time == 'night':
        shade = _lit_from_below(shade, scene.city_light)
    gap = (lit[0] - shadow[0], lit[1] - shadow[1], lit[2] - shadow[2])
    color = paint(gap, shade) + np.array(shadow, np.float32)[:, None, None]
    if scene.sun.glare:
        thin = np.float32(1) - cloud.opacity
        near = lorentzian(view.sun_cosine, 9.0)
        wide = lorentzian(view.sun_cosine, 28.0) * np.float32(0.8)
        forward = near * (np.float32(style.translucency) + np.float32(2) * thin) + wide * thin
        scattered = paint(light.scatter, forward)
        if layer.genus == SkyLabel.CIRROSTRATUS and scene.halo:
            scattered += halo(view) * np.float32(scene.halo)
        color += scattered * (clear * np.float32(scene.sun.glare))
    darkest = np.array(shadow, np.float32)[:, None, None] * np.float32(0.55)
    bright: Field = np.maximum(color, darkest)
    return bright


def _lit_from_below(shade: Field, city_light: float) -> Field:
    """Return the brightness of clouds above a city: thick parts, dark by day, reflect most of its light."""
    weight = np.float32(min(1.0, 1.5 * city_light))
    lit: Field = shade + (np.float32(1.15) - np.float32(1.75) * shade) * weight
    return lit
