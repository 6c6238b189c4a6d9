"""Random things in the way of the light: flares, moon, lights of the night, flyers and drops."""

from dataclasses import replace

import numpy as np

from hyperbolic_seg.sky.renderer.labels import SkyLabel
from hyperbolic_seg.sky.renderer.noise import generator
from hyperbolic_seg.sky.renderer.scene import Camera, Drops, Flare, Flyer, Night, Sun

_GHOSTS, _STAR, _SMEAR, _GLITTER = 0.15, 0.3, 0.1, 0.12
_HALO, _DAY_MOON, _FLYERS, _DROPS = 0.4, 0.06, 0.04, 0.06
"""Shares of the images that have them; of ghosts and halos the shares of those with sun and with cirrostratus."""

_AIMED = dict(day=0.12, dusk=0.0, night=0.4)
"""Shares of the planar images in whose field of view the sun or moon is put; dusk has its own."""


def throw(rng: np.random.Generator, count: int) -> list[float]:
    """Draw numbers in [0, 1)."""
    return [float(x) for x in rng.random(count)]


def sample_halo(seed: int, genera: list[SkyLabel]) -> float:
    """Draw the strength of the halo."""
    present, strength = throw(generator(seed, 0, 20), 2)
    return 0.15 + 0.5 * strength if SkyLabel.CIRROSTRATUS in genera and present < _HALO else 0.0


def sample_flare(seed: int, kind: str, time: str) -> Flare:
    """Draw what lens and dome make of the sun; the moon is too faint for ghosts and streaks."""
    dice = throw(generator(seed, 0, 21), 12)
    sunny, dome = time != 'night', kind == 'fisheye'
    return Flare(
        bloom=(0.2 + 0.8 * dice[0] * dice[0]) * (1.0 if sunny else 0.2),
        star=(0.3 + 1.2 * dice[2]) * (1.0 if sunny else 0.3) if dice[1] < _STAR else 0.0,
        blades=5 + int(5 * dice[3]),
        turn=180 * dice[4],
        smear=0.3 + dice[6] if sunny and dice[5] < (2 * _SMEAR if dome else 0.4 * _SMEAR) else 0.0,
        smear_turn=180 * dice[7],
        ghosts=0.3 + 0.7 * dice[9] if sunny and dice[8] < _GHOSTS else 0.0,
        glitter=0.2 + 0.8 * dice[11] if sunny and dice[10] < (2 * _GLITTER if dome else 0.5 * _GLITTER) else 0.0,
    )


def sample_phase(seed: int) -> tuple[float, float]:
    """Draw the lit share of the moon, and the direction of its lit side in degrees."""
    lit, limb = throw(generator(seed, 0, 22), 2)
    return 1 - 0.9 * lit * lit, 360 * limb


def aim_at(sun: Sun, seed: int, camera: Camera, time: str) -> Sun:
    """Move the sun or moon into the field of view of a share of the planar cameras, and give the moon its phase."""
    if time == 'night':
        lit, limb = sample_phase(seed)
        sun = replace(sun, lit=lit, limb=limb)
    aimed, rise, aside = throw(generator(seed, 0, 28), 3)
    if camera.kind != 'planar' or aimed >= _AIMED[time]:
        return sun
    elevation, azimuth = _in_view(camera, rise, aside)
    return replace(sun, elevation=min(max(elevation, 12.0), 80.0), azimuth=azimuth)


def _in_view(camera: Camera, rise: float, aside: float) -> tuple[float, float]:
    """Return the elevation and azimuth of a place in the image of a planar camera, by two numbers in [0, 1)."""
    elevation = min(max(camera.elevation + 0.6 * camera.field_of_view * (rise - 0.5), 5.0), 85.0)
    return elevation, camera.azimuth + 0.7 * camera.field_of_view * (aside - 0.5)


def sample_day_moon(seed: int, camera: Camera, time: str) -> Sun | None:
    """Draw the pale moon of a day, in the field of view."""
    present, height, side, size, strength = throw(generator(seed, 0, 23), 5)
    if time == 'night' or present >= _DAY_MOON:
        return None
    lit, limb = sample_phase(seed)
    elevation, azimuth = 15 + 65 * height, 360 * side
    if camera.kind == 'planar':
        elevation, azimuth = _in_view(camera, height, side)
    radius = 0.8 + 0.7 * size if camera.kind == 'fisheye' else 0.3 + 0.6 * size
    return Sun(elevation, azimuth, radius, 0.5 + 0.5 * strength, lit, limb)


def sample_night(seed: int, time: str, city_light: float) -> Night:
    """Draw the lights of the night; stars fade in the light of a city."""
    if time != 'night':
        return Night()
    dice = throw(generator(seed, 0, 24), 9)
    dark = max(0.0, 1 - city_light)
    return Night(
        stars=int((10 + 500 * dice[0] * dice[0]) * dark * dark) if city_light <= 0.7 else 0,
        milky_way=0.4 + 0.8 * dice[2] if dark > 0.5 and dice[1] < 0.5 else 0.0,
        pole=(360 * dice[3], 60 * dice[4] - 10),
        town=0.15 + 0.6 * dice[6] if dice[5] < 0.35 else 0.0,
        town_azimuth=360 * dice[7],
        warmth=dice[8],
        satellites=int(1 + 2 * dice[1]) if dice[2] < 0.08 else 0,
    )


def sample_flyers(seed: int, camera: Camera, time: str) -> tuple[Flyer, ...]:
    """Draw an aeroplane, by day as often a few birds."""
    rng = generator(seed, 0, 25)
    present, kind, number = throw(rng, 3)
    if present >= _FLYERS:
        return ()
    bird = time != 'night' and kind < 0.5
    far = 0.6 if camera.kind == 'fisheye' else 1.0
    column, row, size, heading = throw(rng, 4)
    middle = (1.5 * (column - 0.5) * far, 1.5 * (row - 0.5) * far)
    flyers = []
    for _ in range(1 + int(7 * number * number) if bird else 1):
        right, down, larger, turn, pose = throw(rng, 5)
        span = (0.025 + 0.06 * size * size) * (0.7 + 0.6 * larger) * far
        place = (middle[0] + 0.5 * (right - 0.5) * bird, middle[1] + 0.4 * (down - 0.5) * bird)
        flyers.append(Flyer('bird' if bird else 'aeroplane', *place, span, 360 * heading + 50 * (turn - 0.5), pose))
    return tuple(flyers)


def sample_drops(seed: int) -> Drops | None:
    """Draw rain, dew, snow or dirt."""
    present, kind, number, size, strength, sharpness = throw(generator(seed, 0, 26), 6)
    if present >= _DROPS:
        return None
    sharp = 1 + 4 * sharpness * sharpness
    if kind < 0.4:
        return Drops('rain', 3 + int(35 * number * number), 0.03 + 0.08 * size * size, 0.6 + 0.4 * strength, sharp)
    if kind < 0.65:
        return Drops('dew', 80 + int(320 * number), 0.012 + 0.02 * size, 0.5 + 0.5 * strength, sharp)
    if kind < 0.75:
        return Drops('snow', 0, 0.1 + 0.3 * size, 0.15 + 0.5 * strength, 3 + 5 * sharpness)
    return Drops('dirt', 1 + int(14 * number * number), 0.012 + 0.03 * size, 0.3 + 0.65 * strength, sharp)
