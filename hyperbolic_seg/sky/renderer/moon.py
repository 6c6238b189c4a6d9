"""Disk of the moon with its phase, by night and pale by day."""

import math

import numpy as np

from hyperbolic_seg.sky.renderer.camera import View, direction, dot, stable
from hyperbolic_seg.sky.renderer.noise import Field, fractal_tile, sample_tile
from hyperbolic_seg.sky.renderer.scene import Sun

_PALE = (0.42, 0.41, 0.4)
"""Light of the moon by day, added to that of the sky, as (blue, green, red)."""


def moon_disk(moon: Sun, view: View) -> Field:
    """Return the share of every pixel that the lit part of the disk covers, (H, W).

    The terminator is half an ellipse: of a disk of radius 1, at a distance q from the axis through the lit limb, the
    part beyond (1 - 2 k) sqrt(1 - q^2) is lit, which is the share k of the disk.
    """
    along, across, ahead = _on_disk(moon, view)
    pixels = np.float32(math.radians(moon.radius) / view.pixel_angle)
    half = np.float32(0.5)
    far2 = along * along + across * across
    disk = (np.float32(1) - np.sqrt(far2)) * pixels + half
    terminator = np.sqrt(np.maximum(np.float32(1) - across * across, np.float32(0))) * np.float32(1 - 2 * moon.lit)
    lit = (along - terminator) * pixels + half
    share: Field = np.clip(np.minimum(disk, lit), np.float32(0), np.float32(1)) * (ahead > 0)
    return share


def pale_moon(moon: Sun, view: View) -> tuple[Field, Field]:
    """Return the light of the moon by day, (3, H, W), and the share of every pixel that its lit part covers, (H, W)."""
    share = moon_disk(moon, view)
    along, across, _ = _on_disk(moon, view)
    seas = sample_tile(fractal_tile(), along, across, period=4.0, offset=(0.3, 0.6))
    bright = share * (np.float32(1.15) - np.float32(0.5) * seas) * np.float32(moon.glare)
    return np.array(_PALE, np.float32)[:, None, None] * bright, share


def _on_disk(moon: Sun, view: View) -> tuple[Field, Field, Field]:
    """Return the position along and across the axis through the lit limb, in radii, and the cosine to the moon."""
    rays = (view.x, view.y, view.z)
    up, right = direction(moon.azimuth, moon.elevation + 90), direction(moon.azimuth + 90, 0)
    c, s = (stable(f(math.radians(moon.limb))) for f in (math.cos, math.sin))
    scale = np.float32(1 / stable(math.sin(math.radians(moon.radius))))
    rise, aside = dot(rays, up) * scale, dot(rays, right) * scale
    along = rise * np.float32(c) + aside * np.float32(s)
    across = aside * np.float32(c) - rise * np.float32(s)
    return along, across, dot(rays, direction(moon.azimuth, moon.elevation))
