"""Drawing of the foreground over a rendered sky."""

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.atmosphere import Light
from hyperbolic_seg.sky.renderer.camera import View
from hyperbolic_seg.sky.renderer.foreground.canvas import Canvas
from hyperbolic_seg.sky.renderer.foreground.daylight import daylight_of
from hyperbolic_seg.sky.renderer.foreground.place import place_of
from hyperbolic_seg.sky.renderer.foreground.rays import Rays
from hyperbolic_seg.sky.renderer.foreground.rim import paint_rim, rim_of
from hyperbolic_seg.sky.renderer.labels import SkyLabel
from hyperbolic_seg.sky.renderer.noise import Field
from hyperbolic_seg.sky.renderer.scene import SkyScene


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
    rim = rim_of(scene, view)
    if rim.any():
        np.copyto(radiance, paint_rim(seed, scene, view, day.sky), where=rim)
        labels[rim] = SkyLabel.OUTSIDE_THE_LENS
