"""Random scenes: clouds that occur together, time, camera and sensor."""

import math
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from hyperbolic_seg.sky.renderer.camera import stable
from hyperbolic_seg.sky.renderer.captions import sample_overlay
from hyperbolic_seg.sky.renderer.genera import STYLES
from hyperbolic_seg.sky.renderer.labels import GENUS_NAMES, SkyLabel
from hyperbolic_seg.sky.renderer.light_path import (
    aim_at,
    sample_day_moon,
    sample_drops,
    sample_flare,
    sample_flyers,
    sample_halo,
    sample_night,
)
from hyperbolic_seg.sky.renderer.noise import generator
from hyperbolic_seg.sky.renderer.scene import (
    CAMERAS,
    SKYLINES,
    TIMES,
    Camera,
    CloudLayer,
    Ground,
    Sensor,
    SkyScene,
    Sun,
)

_CLEAR, _OVERCAST = 0.1, 0.1
_OVERCAST_GENERA = (
    SkyLabel.NIMBOSTRATUS,
    SkyLabel.NIMBOSTRATUS,
    SkyLabel.STRATUS,
    SkyLabel.STRATUS,
    SkyLabel.ALTOSTRATUS,
    SkyLabel.STRATOCUMULUS,
)

_FISHEYE_GROUNDS = (0.15, 0.1, 0.3)
"""Shares of fisheye pictures of a street, of something high close by, and of an open horizon."""

_PLANAR_GROUNDS = (0.06, 0.14, 0.5)
"""The same of planar pictures; a raised camera does not see a low skyline."""

_FREQUENCY: tuple[dict[SkyLabel, float], ...] = (
    {SkyLabel.CIRRUS: 1.3, SkyLabel.CIRROCUMULUS: 1.0, SkyLabel.CIRROSTRATUS: 0.9},
    {SkyLabel.ALTOCUMULUS: 1.6, SkyLabel.ALTOSTRATUS: 0.8, SkyLabel.NIMBOSTRATUS: 0.5},
    {
        SkyLabel.STRATOCUMULUS: 1.1,
        SkyLabel.STRATUS: 0.7,
        SkyLabel.CUMULUS: 1.8,
        SkyLabel.CUMULONIMBUS: 0.9,
    },
)
"""Relative frequencies of the genera in each level."""


def sample_scene(
    seed: int,
    *,
    camera: str | None = None,
    time: str | None = None,
    genera: Collection[str] | None = None,
    skyline: str | None = None,
) -> SkyScene:
    """Draw the parameters of an image.

    Args:
        seed: Non-negative integer; equal seeds give equal scenes on every machine.
        camera: ``'planar'`` or ``'fisheye'``; random by default.
        time: ``'day'``, ``'dusk'`` or ``'night'``; random by default.
        genera: Genera to show, one layer each, by :data:`GENUS_NAMES`; empty for a clear sky; random by default.
        skyline: What stands around the camera, one of :data:`SKYLINES`; random by default.

    Raises:
        ValueError: The seed is negative, or a camera, time, genus or skyline is unknown.
    """
    check_seed(seed)
    _check('camera', camera, CAMERAS)
    _check('time', time, TIMES)
    _check('skyline', skyline, SKYLINES)
    if isinstance(genera, str):
        raise ValueError(f'genera must be a collection of names, got the string {genera!r}')
    labels = None if genera is None else [_label(name) for name in dict.fromkeys(genera)]
    rng = generator(seed, 0, 0)
    drawn_camera = 'fisheye' if rng.random() < 1 / 3 else 'planar'
    drawn_time = ('day', 'day', 'dusk', 'night')[int(rng.random() * 4)]
    kind, hour = camera or drawn_camera, time or drawn_time
    if labels is None:
        labels = _weather(generator(seed, 0, 1))
    return _scene(seed, kind, hour, labels, skyline)


def check_seed(seed: int) -> None:
    """Raise ``ValueError`` unless ``seed`` is a non-negative integer."""
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f'seed must be a non-negative integer, got {seed!r}')


def _scene(seed: int, kind: str, time: str, labels: list[SkyLabel], skyline: str | None) -> SkyScene:
    streams = [generator(seed, 0, stage) for stage in range(2, 7)]
    ordered = sorted(labels, key=lambda label: -STYLES[label].altitude)
    camera = _camera(streams[0], kind, ordered)
    rng = streams[2]
    city_light = 0.2 + 0.8 * rng.random()
    turbidity = 1.5 + 5.5 * rng.random() ** 1.5
    city_light = city_light if rng.random() < 0.8 else 1.0
    ground = _ground(streams[3], camera, skyline)
    return SkyScene(
        camera=camera,
        time=time,
        sun=aim_at(_sun(streams[1], time, camera), seed, camera, time),
        turbidity=turbidity,
        city_light=city_light,
        skylight=rng.random(),
        layers=tuple(_layer(generator(seed, 0, 7, int(label)), label, ordered, kind) for label in ordered),
        ground=ground,
        sensor=_metered(streams[3], ground, _sensor(streams[4], kind, time), time=time),
        moon=sample_day_moon(seed, camera, time),
        halo=sample_halo(seed, ordered),
        flare=sample_flare(seed, kind, time),
        night=sample_night(seed, time, city_light),
        flyers=sample_flyers(seed, camera, time),
        drops=sample_drops(seed),
        overlay=sample_overlay(seed, kind, time),
    )


def _check(what: str, given: str | None, known: tuple[str, ...]) -> None:
    if given is not None and given not in known:
        raise ValueError(f'{what} must be one of {", ".join(known)}, got {given!r}')


def _label(name: str) -> SkyLabel:
    if name not in GENUS_NAMES:
        raise ValueError(f'genus must be one of {", ".join(GENUS_NAMES)}, got {name!r}')
    return SkyLabel[name.upper()]


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return low + (high - low) * rng.random()


def _weather(rng: np.random.Generator) -> list[SkyLabel]:
    """Draw the genera in the sky."""
    fate = rng.random()
    if fate < _CLEAR:
        return [SkyLabel.CONTRAIL] if rng.random() < 0.1 else []
    if fate < _CLEAR + _OVERCAST:
        return [_OVERCAST_GENERA[int(rng.random() * len(_OVERCAST_GENERA))]]
    wanted = [rng.random() < chance for chance in (0.5, 0.4, 0.55)]
    if not any(wanted):
        wanted[int(rng.random() * 3)] = True
    labels: list[SkyLabel] = []
    for weights, want in zip(_FREQUENCY, wanted, strict=True):
        order = _weighted_order(rng, weights)
        another = rng.random() < 0.15
        if want:
            labels += order[: 2 if another else 1]
    if rng.random() < 0.15:
        labels.append(SkyLabel.CONTRAIL)
    if SkyLabel.NIMBOSTRATUS in labels:  # it hides all clouds above
        low = [label for label in labels if STYLES[label].level == 2]
        return [SkyLabel.NIMBOSTRATUS, *low]
    return labels


def _weighted_order(rng: np.random.Generator, weights: dict[SkyLabel, float]) -> list[SkyLabel]:
    """Draw all genera without replacement, weighted by frequency (Efraimidis and Spirakis, 2006)."""
    keys = {label: stable(math.log(1 - rng.random()) / weight) for label, weight in weights.items()}
    return sorted(keys, key=lambda label: -keys[label])


def _layer(rng: np.random.Generator, label: SkyLabel, labels: list[SkyLabel], kind: str) -> CloudLayer:
    style = STYLES[label]
    cover = _between(rng, *style.cover)
    # Lower layers leave gaps that show the higher ones.
    if label != labels[0]:
        cover = min(cover, _between(rng, 0.3, 0.7))
    # A fisheye image of a few hundred pixels does not resolve elements smaller than a degree.
    coarser = 1.6 if kind == 'fisheye' and label == SkyLabel.CIRROCUMULUS else 1.0
    return CloudLayer(
        genus=label,
        cover=cover,
        opacity=_between(rng, *style.opacity),
        cell=_between(rng, *style.cell) * coarser,
        stretch=_between(rng, *style.stretch),
        heading=360 * rng.random(),
        shading=_between(rng, *style.shading),
        roughness=_between(rng, *style.roughness),
    )


def _camera(rng: np.random.Generator, kind: str, labels: list[SkyLabel]) -> Camera:
    azimuth, zoom, tilt, lean = 360 * rng.random(), rng.random(), rng.random(), rng.random()
    if kind == 'fisheye':
        radius = 0.9 + 0.12 * zoom
        ring, shine, outside = (rng.random() for _ in range(3))
        rim = 0.01 + 0.07 * (ring / 0.4) ** 2 if ring < 0.4 else 0.0
        surround = (255, 255, 40, 128)[int(outside / 0.12 * 4)] if outside < 0.12 else 0
        return Camera(
            kind, 90.0, 0.0, 150 + 35 * tilt, 360 * lean, radius, rim=rim, rim_light=shine * shine, surround=surround
        )
    field = 25 + 55 * zoom
    if SkyLabel.CIRROCUMULUS in labels:
        field = 28 + 32 * zoom
    lowest = 0.2 * field
    elevation = lowest + (90 - lowest) * tilt**0.8
    if SkyLabel.CUMULONIMBUS in labels or SkyLabel.CUMULUS in labels:
        elevation = lowest + (90 - lowest) * tilt**1.4
    return Camera(kind, elevation, azimuth, field, (lean - 0.5) * 8)


def _sun(rng: np.random.Generator, time: str, camera: Camera) -> Sun:
    height, side, size, present = (rng.random() for _ in range(4))
    if time == 'night':
        glare = _between(rng, 0.4, 1.0) if present < 0.3 else 0.0
        return Sun(10 + 75 * height, 360 * side, 0.7 + 1.0 * size, glare)
    elevation = 12 + 65 * height if time == 'day' else -5 + 13 * height
    azimuth = 360 * side
    if camera.kind == 'planar' and time == 'dusk' and present < 0.5:
        azimuth = camera.azimuth + camera.field_of_view * (side - 0.5)
    radius = 1.8 + 3.2 * size if camera.kind == 'fisheye' else 0.8 + 1.4 * size
    glare = _between(rng, 0.7, 1.3) * (0.7 if time == 'dusk' else 1.0)
    if camera.kind == 'fisheye':
        glare *= 2.0  # fisheye optics scatter more light
    return Sun(elevation, azimuth, radius, glare)


def _ground(rng: np.random.Generator, camera: Camera, skyline: str | None) -> Ground:
    """Draw what stands around a camera; about half of the pictures show something, unless a skyline is wanted."""
    fate, size, snow, light = (rng.random() for _ in range(4))
    poles = int(rng.random() * 5) if rng.random() < 0.3 else 0
    season = dict(snow=snow < 0.1, bare=snow < 0.25, light=0.6 + 1.9 * light**1.5)
    low = ('trees', 'buildings', 'hills')[int(rng.random() * 3)]
    shown = skyline or _skyline(fate, camera, low)
    return Ground(shown, _elevation(camera, shown, size), poles, **season)


def _skyline(fate: float, camera: Camera, low: str) -> str:
    """Return the kind of skyline for a number between 0 and 1."""
    street, near, open_ = _FISHEYE_GROUNDS if camera.kind == 'fisheye' else _PLANAR_GROUNDS
    if fate < street:
        return 'street'
    if fate < street + near:
        return 'near'
    return low if fate < street + near + open_ else 'none'


def _elevation(camera: Camera, skyline: str, size: float) -> float:
    """Return how high a skyline rises, in degrees, for a number between 0 and 1."""
    close = skyline in ('street', 'near')
    if camera.kind == 'fisheye':
        horizon = max(0.0, 90 - camera.field_of_view / 2)
        return {'street': 50 + 25 * size, 'near': 20 + 40 * size}.get(skyline, horizon + 2 + 13 * size)
    if not close:
        return 2 + 12 * size
    # The foot of the picture, above which something close by must rise to be seen.
    foot = max(0.0, camera.elevation - 0.35 * camera.field_of_view)
    return min(foot + camera.field_of_view * (0.1 + 0.6 * size), 75.0)


def _metered(rng: np.random.Generator, ground: Ground, sensor: Sensor, *, time: str) -> Sensor:
    """Return a longer exposure where dark things fill the picture, as cameras set it while they can."""
    longer = 2 ** (0.2 + 1.8 * rng.random())
    if time == 'night' or ground.skyline not in ('street', 'near'):
        return sensor
    return replace(sensor, exposure=stable(sensor.exposure * longer))


def _sensor(rng: np.random.Generator, kind: str, time: str) -> Sensor:
    warm, green, _, brighter = (rng.random() for _ in range(4))
    # Cameras tend to a blue tint by day and to an orange one at night.
    tint = {'day': -0.28 + 0.4 * warm, 'dusk': -0.2 + 0.4 * warm, 'night': -0.25 + 0.55 * warm}
    level = {'day': 0.72, 'dusk': 1.1, 'night': 1.9}[time]
    exposure = level * 2 ** (1.3 * (brighter - 0.5))
    if time == 'night':
        exposure *= 2 ** (1.1 * rng.random())
    noise = _between(rng, 0.5, 3) if time == 'day' else _between(rng, 1, 5)
    balance = (1 - tint[time], 0.72 + 0.36 * green, 1 + tint[time])
    return Sensor(
        exposure=stable(exposure),
        white_balance=balance,
        contrast=_between(rng, -0.1, 0.9),
        saturation=_between(rng, 0.7, 1.25),
        vignetting=rng.random() * (1.2 if kind == 'fisheye' else 0.7),
        noise=noise,
        softness=int(rng.random() * (2.7 if time != 'night' else 3.3)),
        jpeg=_between(rng, 0.4, 1.6) if rng.random() < 0.5 else 0.0,
    )
