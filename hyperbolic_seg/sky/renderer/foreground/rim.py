"""Rim of a fisheye camera: the ring inside the border of the dome, and what surrounds it."""

import numpy as np

from hyperbolic_seg.sky.renderer.atmosphere import Color, paint, scale
from hyperbolic_seg.sky.renderer.camera import View
from hyperbolic_seg.sky.renderer.noise import Field, fractal_tile, generator, sample_tile
from hyperbolic_seg.sky.renderer.scene import SkyScene


def rim_of(scene: SkyScene, view: View) -> np.ndarray:
    """Return True for pixels of the ring, (H, W)."""
    camera = scene.camera
    if camera.kind != 'fisheye' or not camera.rim:
        return np.zeros(view.z.shape, bool)
    inner = np.float32((1 - camera.rim) ** 2)
    ring: np.ndarray = view.inside & (_radius2(scene, view) > inner)
    return ring


def paint_rim(seed: int, scene: SkyScene, view: View, sky: Color) -> Field:
    """Return the light of the ring, (3, H, W): it mirrors the sky in front of it, more at some bearings."""
    rng = generator(seed, 3, 5)
    place = (rng.random(), rng.random())
    shine = sample_tile(fractal_tile(), view.column, view.row, period=2.5, offset=place)
    edge = np.float32(1) - _radius2(scene, view)
    glint = np.clip(edge * np.float32(4 / scene.camera.rim) - np.float32(3), 0, 1)
    return paint(scale(sky, scene.camera.rim_light), shine * shine + glint * np.float32(0.5))


def _radius2(scene: SkyScene, view: View) -> Field:
    camera = scene.camera
    half = min(view.row.shape) / max(view.row.shape)
    scale = np.float32(1 / (camera.dome_radius * half))
    u = (view.column - np.float32(camera.center[0] * half)) * scale
    v = (view.row - np.float32(camera.center[1] * half)) * scale
    radius2: Field = u * u + v * v
    return radius2
