"""Disk of the sun, and the halo of ice crystals around it."""

import math

import numpy as np

from hyperbolic_seg.sky.renderer.camera import View, stable
from hyperbolic_seg.sky.renderer.noise import Field
from hyperbolic_seg.sky.renderer.scene import SkyScene

HALO_ANGLE = 22.0
"""Angle in degrees between the sun and the inner edge of the halo of hexagonal ice crystals."""

_HALO_COLORS = ((1.0, 0.5), (0.95, 0.2), (0.9, 0.0))
"""Strength of blue, green and red, and how much further out each begins, in degrees: red is refracted least."""


def sun_disk(scene: SkyScene, view: View) -> Field:
    """Return the share of every pixel that the saturated disk covers, (H, W)."""
    if not scene.sun.glare:
        return np.zeros_like(view.z)
    rim = stable(1 - math.cos(math.radians(scene.sun.radius)))
    inside = np.float32(1.4) - (np.float32(1) - view.sun_cosine) * np.float32(1 / rim)
    share: Field = np.clip(inside * np.float32(1.6), np.float32(0), np.float32(1))
    return share


def halo(view: View) -> Field:
    """Return the ring around the sun, (3, H, W): sharp and reddish on its inner side, fading outward."""
    ring = np.empty((3, *view.z.shape), np.float32)
    for channel, (strength, outward) in zip(ring, _HALO_COLORS, strict=True):
        edge = stable(math.cos(math.radians(HALO_ANGLE + outward)))
        depth = (view.sun_cosine - np.float32(edge)) * np.float32(1 / 0.006)
        channel[:] = np.where(depth > 0, np.float32(1) - depth, np.float32(1) + depth * np.float32(0.12))
        channel *= np.float32(strength)
    light: Field = np.maximum(ring, np.float32(0))
    return light
