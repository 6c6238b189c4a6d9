"""Rendering of images of the sky with a label for every pixel."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer import atmosphere, clouds, drops, flare, flyers, moon, night, sensor, sun
from hyperbolic_seg.sky.renderer.appearance import appearance_of, optical_thickness
from hyperbolic_seg.sky.renderer.camera import View, look
from hyperbolic_seg.sky.renderer.foreground.foreground import draw_foreground
from hyperbolic_seg.sky.renderer.labels import CLOUDS, SkyLabel
from hyperbolic_seg.sky.renderer.noise import Field, generator
from hyperbolic_seg.sky.renderer.overlays import draw_overlay
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
        attributes: Possible values of :class:`Appearance`, (H, W) uint8; 0 beside clouds.
        optical_thickness: Optical thickness of all clouds together, (H, W); 0 beside clouds.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    scene: SkyScene
    attributes: NDArray[np.uint8]
    optical_thickness: NDArray[np.float32]


def render_sky(
    seed: int, size: tuple[int, int] | int = 256, *, scene: SkyScene | None = None, ground_seed: int | None = None
) -> RenderedSky:
    """Render a ground-based image of the sky with the genus of every pixel.

    The same arguments give the same labels on every machine, and the same image up to the rounding of JPEG. The shapes
    of the letters in overlays are those of the installed version of OpenCV.

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
    radiance, labels, disk, clear = _render_sky(seed, scene, view, light)
    attributes = appearance_of(labels, clear, radiance, light, dark=scene.time == 'night')
    labels[flyers.draw_flyers(scene, light, radiance)] = SkyLabel.STRUCTURE
    draw_foreground(ground_seed, scene, light, view, radiance=radiance, labels=labels)
    labels[~view.inside] = SkyLabel.OUTSIDE_THE_LENS
    _pass_the_lens(seed, scene, view, light, radiance=radiance, labels=labels, disk=disk)
    drawing = draw_overlay(seed, scene, view)
    if drawing is not None:
        labels[drawing.visible] = SkyLabel.OVERLAY
    cloud = np.isin(labels, CLOUDS)
    return RenderedSky(
        sensor.develop(seed, scene, view, radiance, drawing),
        labels,
        scene,
        np.where(cloud, attributes, 0).astype(np.uint8),
        np.where(cloud, optical_thickness(clear), 0).astype(np.float32),
    )


def _shape(size: tuple[int, int] | int) -> tuple[int, int]:
    shape = (size, size) if isinstance(size, int | np.integer) else size
    if (
        not isinstance(shape, tuple | list)
        or len(shape) != 2
        or not all(isinstance(side, int | np.integer) and side >= _SMALLEST for side in shape)
    ):
        raise ValueError(f'size must be a side or (height, width) of at least {_SMALLEST} pixels, got {size!r}')
    return int(shape[0]), int(shape[1])


def _render_sky(
    seed: int, scene: SkyScene, view: View, light: atmosphere.Light
) -> tuple[Field, NDArray[np.uint8], Field, Field]:
    """Return light (3, H, W), labels, the visible share of the disk of sun or moon, and the transparency of clouds."""
    sky = atmosphere.clear_sky(scene, light, view)
    dark = scene.time == 'night'
    disk = sun.sun_disk(scene, view)
    shining = moon.moon_disk(scene.sun, view) if dark and scene.sun.glare else disk
    sky += atmosphere.paint(light.aureole, atmosphere.glare(scene, view) + shining * np.float32(12))
    stars = starlight(scene, view) if scene.points else night.lights(seed, scene, view)
    if stars is not None:
        sky += stars
    pale = None if scene.moon is None else moon.pale_moon(scene.moon, view)
    if pale is not None:
        sky += pale[0]
    layers = [clouds.draw(layer, scene, view, generator(seed, 1, int(layer.genus))) for layer in scene.layers]
    labels, clear = clouds.compose(scene, light, view, sky, layers, disk)
    town = night.town_glow(scene, view, clear)
    if town is not None:
        sky += town
    if pale is not None:
        labels[(pale[1] * clear >= np.float32(_LABELED_SUN)) & (labels == SkyLabel.CLEAR_SKY)] = SkyLabel.MOON
    seen = shining * clear
    labels[seen >= np.float32(_LABELED_SUN)] = SkyLabel.MOON if dark else SkyLabel.SUN
    return sky, labels, seen, clear


def _pass_the_lens(
    seed: int,
    scene: SkyScene,
    view: View,
    light: atmosphere.Light,
    *,
    radiance: Field,
    labels: NDArray[np.uint8],
    disk: Field,
) -> None:
    """Add drops on the dome and light that strays in the lens, in place.

    ``disk`` is the share of every pixel that the disk of the sun or moon fills where nothing on the ground hides it.
    """
    outside = labels == SkyLabel.OUTSIDE_THE_LENS
    disk = disk * ((labels < SkyLabel.OBSTRUCTION) | (labels == SkyLabel.MOON))
    stray = flare.stray_light(seed, scene, view, color=light.aureole, disk=disk)
    drops.wet(seed, scene, light, view, radiance=radiance, labels=labels)
    if stray is not None:
        radiance += stray
        aureole = atmosphere.glare(scene, view) * np.float32(disk.max())
        blind = flare.blinded(scene, radiance=radiance, stray=stray, glare=aureole)
        labels[blind & (labels != SkyLabel.SUN) & (labels != SkyLabel.MOON)] = SkyLabel.LENS_FLARE
    labels[outside] = SkyLabel.OUTSIDE_THE_LENS
