"""Rendering of images of the sky with a label for every pixel."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer import atmosphere, clouds, ground, sensor
from hyperbolic_seg.sky.renderer.camera import View, look
from hyperbolic_seg.sky.renderer.labels import SkyLabel
from hyperbolic_seg.sky.renderer.noise import Field, generator
from hyperbolic_seg.sky.renderer.sampling import check_seed, sample_scene
from hyperbolic_seg.sky.renderer.scene import SkyScene
from hyperbolic_seg.sky.renderer.starlight import starlight

_SMALLEST = 32  # side in pixels
_LABELED_SUN = 0.5  # least visible share of the disk in a pixel labeled as sun


@dataclass(frozen=True)
class RenderedSky:
    """Rendered image with its labels.

    Attributes:
        image: BGR image, (H, W, 3) uint8.
        labels: Values of :class:`SkyLabel`, (H, W) uint8.
        scene: Parameters of the image.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    scene: SkyScene


def render_sky(
    seed: int, size: tuple[int, int] | int = 256, *, scene: SkyScene | None = None, ground_seed: int | None = None
) -> RenderedSky:
    """Render a ground-based image of the sky with the genus of every pixel.

    The same arguments give the same labels on every machine, and the same image up to the rounding of JPEG.

    Args:
        seed: Non-negative seed of the textures, and of the scene if none is given.
        size: Height and width in pixels, or the side of a square; at least 32.
        scene: Parameters of the image; by default :func:`sample_scene` draws them.
        ground_seed: Seed of the obstructions, the same for all images of a place; by default that of the textures.

    Raises:
        ValueError: A seed is negative, or a side is shorter than 32 pixels.
    """
    check_seed(seed)
    ground_seed = seed if ground_seed is None else ground_seed
    check_seed(ground_seed)
    shape = _shape(size)
    scene = sample_scene(seed) if scene is None else scene
    view = look(scene.camera, scene.sun, shape)
    light = atmosphere.light_of(scene)
    radiance, labels = _render_sky(seed, scene, view, light)
    hidden = ground.obstructions(ground_seed, scene, view)
    if hidden.any():
        earth = ground.paint_ground(ground_seed, scene, light, view)
        radiance = np.where(hidden, earth, radiance)
        labels[hidden] = SkyLabel.OBSTRUCTION
    labels[~view.inside] = SkyLabel.OUTSIDE_THE_LENS
    return RenderedSky(sensor.develop(seed, scene, view, radiance), labels, scene)


def _shape(size: tuple[int, int] | int) -> tuple[int, int]:
    shape = (size, size) if isinstance(size, int | np.integer) else size
    if (
        not isinstance(shape, tuple | list)
        or len(shape) != 2
        or not all(isinstance(side, int | np.integer) and side >= _SMALLEST for side in shape)
    ):
        raise ValueError(f'size must be a side or (height, width) of at least {_SMALLEST} pixels, got {size!r}')
    return int(shape[0]), int(shape[1])


def _render_sky(seed: int, scene: SkyScene, view: View, light: atmosphere.Light) -> tuple[Field, NDArray[np.uint8]]:
    sky = atmosphere.clear_sky(scene, light, view)
    glare = atmosphere.glare(scene, view)
    disk = atmosphere.sun_disk(scene, view)
    sky += atmosphere.paint(light.aureole, glare + disk * np.float32(12))
    stars = starlight(scene, view) if scene.points else atmosphere.stars(seed, scene, view)
    if stars is not None:
        sky += stars
    layers = [clouds.draw(layer, scene, view, generator(seed, 1, int(layer.genus))) for layer in scene.layers]
    labels, clear = clouds.compose(scene, light, view, sky, layers, disk)
    seen = disk * clear
    if scene.sensor.flare:
        sky += atmosphere.paint((0.7, 1.0, 0.6), atmosphere.flare(scene, view, float(seen.max())))
    labels[seen >= np.float32(_LABELED_SUN)] = SkyLabel.SUN
    return sky, labels
