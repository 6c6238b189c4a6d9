"""Drawing of the foreground over a rendered sky."""

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.atmosphere import Light, glare, paint
from hyperbolic_seg.sky.renderer.camera import View
from hyperbolic_seg.sky.renderer.foreground.canvas import Canvas
from hyperbolic_seg.sky.renderer.foreground.daylight import daylight_of
from hyperbolic_seg.sky.renderer.foreground.place import place_of
from hyperbolic_seg.sky.renderer.foreground.rays import Rays
from hyperbolic_seg.sky.renderer.foreground.rim import paint_rim, rim_of
from hyperbolic_seg.sky.renderer.labels import SkyLabel
from hyperbolic_seg.sky.renderer.noise import Field
from hyperbolic_seg.sky.renderer.scene import SkyScene

_SCATTER = 0.3  # share of the glare in the sky that comes from the lens


def draw_foreground(
    seed: int, scene: SkyScene, light: Light, view: View, *, radiance: Field, labels: NDArray[np.uint8]
) -> None:
    """Draw what stands in front of the sky, and the rim of the lens, in place.

    Args:
        seed: Seed of the place: the same one gives the same outlines in any light.
        scene: Parameters of the picture.
        light: Colors of its light.
        view: Directions of the pixels.
        radiance: Linear light of the sky, (3, H, W).
        labels: Labels of the sky, (H, W).
    """
    day, canvas, rays = daylight_of(scene, light), Canvas(radiance), Rays.of(view)
    for element in place_of(seed, scene.ground, scene.camera):
        element.draw(canvas, rays, day)
    canvas.label(labels)
    _veil(scene, light, view, canvas)
    rim = rim_of(scene, view)
    if rim.any():
        np.copyto(radiance, paint_rim(seed, scene, view, day.sky), where=rim)
        labels[rim] = SkyLabel.OUTSIDE_THE_LENS


def _veil(scene: SkyScene, light: Light, view: View, canvas: Canvas) -> None:
    """Add the light of a visible sun that the lens scatters over things beside it, in place."""
    hidden = canvas.hidden
    open_ = 1 - float(hidden.flat[int(np.argmax(view.sun_cosine))])
    if scene.sun.glare and open_ > 0 and hidden.any():
        canvas.radiance += paint(light.aureole, glare(scene, view) * hidden * np.float32(_SCATTER * open_))
