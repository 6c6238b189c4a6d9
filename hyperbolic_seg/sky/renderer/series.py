"""Series of images of one camera: its place and its foreground stay, sun, moon and clouds move."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import cv2
import numpy as np

from hyperbolic_seg.sky.camera import Lens, Place, moon_at, night_sky, sun_at
from hyperbolic_seg.sky.renderer.labels import SkyLabel
from hyperbolic_seg.sky.renderer.render import RenderedSky, render_sky
from hyperbolic_seg.sky.renderer.sampling import sample_scene
from hyperbolic_seg.sky.renderer.scene import Camera, Ground, PointLight, Sensor, SkyScene, Sun

DAY, NIGHT = 8.0, -12.0
"""Elevations of the sun in degrees above which it is day, and below which it is night."""

_SUN, _MOON = (2.5, 2.0), (1.2, 0.8)
"""Radius of the saturated disk in degrees, and strength of the glare."""
_SENSOR = Sensor(
    exposure=0.72,
    white_balance=(1.0, 0.95, 1.0),
    contrast=0.3,
    saturation=1.0,
    vignetting=0.4,
    noise=1.5,
    softness=1,
    jpeg=0.4,
)
_GAINS = dict(day=1.0, dusk=1.5, night=3.0)


@dataclass(frozen=True)
class Station:
    """A fisheye camera that stays in its place.

    Attributes:
        camera: The camera.
        ground: What stands around it.
        place: Where it is.
        seed: Non-negative seed of the ground; that of the clouds changes with every image.
        text: A text in the images, with the codes of :meth:`datetime.datetime.strftime`; empty for none.
        text_at: Column and row of the left lower corner of the text, as shares of the width and the height.
    """

    camera: Camera
    ground: Ground
    place: Place
    seed: int = 0
    text: str = ''
    text_at: tuple[float, float] = (0.02, 0.06)

    def lens(self, side: int) -> Lens:
        """Return the lens of the camera in square images of a side in pixels."""
        camera = self.camera
        x, y = (side / 2 * (1 + off) - 0.5 for off in camera.center)
        return Lens.from_dome(
            (x, y),
            side / 2 * camera.dome_radius,
            projection=camera.projection,
            field_of_view=camera.field_of_view,
            north=camera.roll,
            east_left=camera.east_left,
            tilt=camera.tilt,
            tilt_azimuth=camera.tilt_azimuth,
        )


def render_station(
    station: Station,
    time: datetime,
    size: tuple[int, int] | int = 256,
    *,
    clouds: int | None = None,
    points: Sequence[PointLight] | None = None,
) -> RenderedSky:
    """Render the image of a station at a time, with the sun, or by night the moon, planets and stars, where they are.

    Args:
        station: The camera and its place.
        time: Time with a time zone.
        size: Height and width in pixels, or the side of a square.
        clouds: Seed of the clouds; ``None`` for a clear sky.
        points: Planets and stars of a night; by default those of :func:`~hyperbolic_seg.sky.camera.night_sky`.

    Returns:
        The image, without what only some images have: drops, overlays, aeroplanes and stray light. The text is labeled
        an overlay, with the rectangle that it is written in.

    Raises:
        ImportError: pvlib, or by night pyerfa, is not installed.
        ValueError: The seed is negative, or the size too small.
    """
    scene = _scene(station, time, clouds, points)
    rendered = render_sky(0 if clouds is None else clouds, size, scene=scene, ground_seed=station.seed)
    if station.text:
        _write(rendered, time.strftime(station.text), station.text_at)
    return rendered


def _scene(station: Station, time: datetime, clouds: int | None, points: Sequence[PointLight] | None) -> SkyScene:
    sun = sun_at(time, station.place)
    phase = 'day' if sun.elevation > DAY else 'dusk' if sun.elevation > NIGHT else 'night'
    body = Sun(sun.elevation, sun.azimuth, *_SUN) if phase != 'night' else _moon(time, station.place)
    genera = () if clouds is None else None
    weather = sample_scene(0 if clouds is None else clouds, camera='fisheye', time=phase, genera=genera)
    sensor = replace(_SENSOR, exposure=_SENSOR.exposure * _GAINS[phase])
    scene = replace(weather.plain(), camera=station.camera, sun=body, ground=station.ground, sensor=sensor)
    if phase != 'night':
        return scene
    return replace(scene, points=_points(time, station.place) if points is None else tuple(points))


def _points(time: datetime, place: Place) -> tuple[PointLight, ...]:
    """Return the planets and stars."""
    sky = night_sky([time], place)
    numbers = zip(sky.elevations[0], sky.azimuths[0], sky.magnitudes[0], strict=True)
    return tuple(PointLight(float(up), float(around), float(magnitude)) for up, around, magnitude in numbers)


def _moon(time: datetime, place: Place) -> Sun:
    """Return the moon, without light if less than half a degree of it is up."""
    moon, (radius, glare) = moon_at(time, place), _MOON
    return Sun(moon.elevation, moon.azimuth, radius, glare * float(moon.illumination > 0.1 and moon.elevation > 0.5))


def _write(rendered: RenderedSky, text: str, at: tuple[float, float]) -> None:
    """Write a white text with a black outline, and label the rectangle around it."""
    height, width = rendered.labels.shape
    place, font, size = (round(at[0] * width), round(at[1] * height)), cv2.FONT_HERSHEY_SIMPLEX, height / 600
    drawn = np.zeros((height, width), np.uint8)
    for color, thickness in ((0, max(1, round(height / 400)) + 2), (255, max(1, round(height / 400)))):
        for image, level in ((rendered.image, (color,) * 3), (drawn, (255,))):
            cv2.putText(image, text, place, font, size, level, thickness, lineType=cv2.LINE_AA)
    left, top, wide, tall = cv2.boundingRect(drawn)
    box = rendered.labels[top : top + tall, left : left + wide]
    box[:] = SkyLabel.OVERLAY
