"""Aeroplanes and birds in front of the sky."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.atmosphere import Color, Light, scale
from hyperbolic_seg.sky.renderer.camera import stable
from hyperbolic_seg.sky.renderer.noise import Field
from hyperbolic_seg.sky.renderer.scene import Flyer, SkyScene

_AEROPLANE = (
    ((0.5, 0.0), (0.42, 0.05), (-0.45, 0.04), (-0.5, 0.0), (-0.45, -0.04), (0.42, -0.05)),
    ((0.12, 0.04), (-0.14, 0.5), (-0.2, 0.5), (-0.08, 0.04)),
    ((0.12, -0.04), (-0.14, -0.5), (-0.2, -0.5), (-0.08, -0.04)),
    ((-0.36, 0.0), (-0.48, 0.18), (-0.52, 0.18), (-0.46, -0.18), (-0.52, -0.18), (-0.48, -0.18)),
)
"""Hull, wings and tail, along and across the flight, in wingspans."""

_SUBPIXELS = 4  # bits


def draw_flyers(scene: SkyScene, light: Light, radiance: Field) -> NDArray[np.bool_]:
    """Draw aeroplanes and birds over the light (3, H, W), in place.

    Returns:
        True for pixels that they fill by at least one half, (H, W).
    """
    shape = radiance.shape[1:]
    hidden = np.zeros(shape, bool)
    for flyer in scene.flyers:
        cover = _silhouette(flyer, shape, night=scene.time == 'night')
        share = cover.astype(np.float32) * np.float32(1 / 255)
        color = np.array(_color(flyer, scene, light), np.float32)[:, None, None]
        radiance += (color - radiance) * share
        hidden |= cover >= 128
    return hidden


def _color(flyer: Flyer, scene: SkyScene, light: Light) -> Color:
    if scene.time == 'night':
        return (0.5, 0.6, 0.9)
    if flyer.kind == 'aeroplane':
        return scale(light.lit[1], 0.15 + 0.75 * flyer.pose)
    return scale(light.shadow[2], 0.1 + 0.3 * flyer.pose)


def _silhouette(flyer: Flyer, shape: tuple[int, ...], *, night: bool) -> NDArray[np.uint8]:
    """Return how far each pixel is filled, (H, W), in [0, 255]; of an aeroplane by night only its lights."""
    height, width = shape
    half = max(height, width) / 2
    middle = np.array([flyer.column * half + width / 2 - 0.5, flyer.row * half + height / 2 - 0.5])
    c, s = (stable(f(math.radians(flyer.heading))) for f in (math.cos, math.sin))
    axes = np.array([[c, s], [-s, c]]) * max(flyer.span * half, 3.0)
    cover = np.zeros(shape, np.uint8)
    if night:
        for along in (-2.0, 0.0, 2.0):
            cv2.circle(cover, _fixed(middle + along * axes[0])[0].tolist(), 20, (255,), -1, cv2.LINE_AA, _SUBPIXELS)
        return cover
    parts = _AEROPLANE if flyer.kind == 'aeroplane' else _bird(flyer.pose)
    for part in parts:
        corners = np.array([middle + along * axes[0] + across * axes[1] for along, across in part])
        cv2.fillPoly(cover, [_fixed(corners)], (255,), cv2.LINE_AA, _SUBPIXELS)
    return cover


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return points (N, 2) in integer subpixels."""
    fixed: NDArray[np.int32] = np.floor(np.atleast_2d(points) * (1 << _SUBPIXELS) + 0.5).astype(np.int32)
    return fixed


def _bird(pose: float) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return the body and the wings, which are raised by the pose."""
    lift = 0.3 * pose
    body = ((0.24, 0.0), (0.1, 0.05), (-0.3, 0.03), (-0.3, -0.03), (0.1, -0.05))
    left = ((0.12, 0.03), (0.16 + lift, 0.25), (-0.05 + lift, 0.5), (0.0 + lift, 0.22), (-0.1, 0.03))
    return body, left, tuple((along, -across) for along, across in left)
