"""Places: which houses, trees, hills and masts stand around a camera."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hyperbolic_seg.sky.renderer.camera import stable
from hyperbolic_seg.sky.renderer.foreground.buildings import Building, house, observatory
from hyperbolic_seg.sky.renderer.foreground.canvas import Canvas
from hyperbolic_seg.sky.renderer.foreground.daylight import Daylight
from hyperbolic_seg.sky.renderer.foreground.rays import Rays
from hyperbolic_seg.sky.renderer.foreground.skyline import hills, woods
from hyperbolic_seg.sky.renderer.foreground.structures import mast, parapet, rail, wires
from hyperbolic_seg.sky.renderer.foreground.terrain import Ridge, earth, slopes
from hyperbolic_seg.sky.renderer.foreground.trees import Tree, TreeRow, foliage, tree
from hyperbolic_seg.sky.renderer.noise import generator
from hyperbolic_seg.sky.renderer.scene import SKYLINES, Camera, Ground


class Element(Protocol):
    """Thing in front of the sky."""

    @property
    def distance(self) -> float:
        """Distance in meters, by which nearer things hide farther ones."""

    def draw(self, canvas: Canvas, rays: Rays, day: Daylight) -> None:
        """Paint it."""


@dataclass(frozen=True)
class _Site:
    """Where things are put: ``eye`` is the height of the camera above the ground in meters."""

    rng: np.random.Generator
    ground: Ground
    camera: Camera
    eye: float

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.rng.random()

    def azimuth(self) -> float:
        """Draw the direction of a thing that is in the picture if it is high enough."""
        if self.camera.kind == 'fisheye':
            return 360 * self.rng.random()
        return self.camera.azimuth + self.camera.field_of_view * self.between(-0.55, 0.55)

    def azimuths(self, count: int) -> list[float]:
        """Draw directions about equally far apart, as many as ``count`` around the whole horizon."""
        fisheye, field = self.camera.kind == 'fisheye', self.camera.field_of_view
        wide = 360.0 if fisheye else min(360.0, 1.6 * field + 20)
        first = 0.0 if fisheye else self.camera.azimuth - wide / 2
        count = math.ceil(count * wide / 360)
        return [first + wide * (number + self.rng.random()) / count for number in range(count)]

    def house(
        self,
        azimuth: float,
        distance: float,
        top: float,
        *,
        turn: float = 0.0,
        width: float | None = None,
        high: bool = False,
    ) -> list[Building]:
        snow, eye = self.ground.snow, self.eye
        return house(self.rng, azimuth, distance, top, eye=eye, turn=turn, width=width, high=high, snow=snow)

    def tree(self, azimuth: float, distance: float, top: float, *, wide: float = 0.0) -> Tree:
        return tree(self.rng, azimuth, distance, top, bare=self.ground.bare, wide=wide)

    def row(self, height: float) -> TreeRow:
        """Draw far trees up to about an elevation in degrees."""
        distance = 60 + 500 * self.rng.random() ** 2
        skyline = woods(self.rng, _tangent(height), ragged=self.between(0.3, 1.5))
        bare = self.ground.bare and self.rng.random() < 0.7
        color = foliage(self.rng, bare=bare)
        return TreeRow(skyline, distance, color, bare, -self.eye / distance, int(self.rng.random() * 2**31))


def place_of(seed: int, ground: Ground, camera: Camera) -> list[Element]:
    """Return the things around a camera, the farthest first.

    Raises:
        ValueError: The skyline is unknown.
    """
    if ground.skyline not in SKYLINES:
        raise ValueError(f'skyline must be one of {", ".join(SKYLINES)}, got {ground.skyline!r}')
    rng = generator(seed, 3, SKYLINES.index(ground.skyline))
    town = ground.skyline in ('buildings', 'street', 'near')
    eye = 1.5 + 8 * rng.random() ** 2 if town else 2 + 15 * rng.random()
    elements: list[Element] = [earth(generator(seed, 3, 10), eye=eye, snow=ground.snow, town=town)]
    elements += _DRAWN[ground.skyline](_Site(rng, ground, camera, eye))
    elements += _poles(_Site(generator(seed, 3, 11), ground, camera, eye))
    return sorted(elements, key=lambda element: -element.distance)


def _tangent(degrees: float) -> float:
    return stable(math.tan(math.radians(min(degrees, 80.0))))


def _nothing(site: _Site) -> list[Element]:
    return []


def _hills(site: _Site) -> list[Element]:
    rng, ground = site.rng, site.ground
    peaks, count, color = rng.random() < 0.5, 1 + int(rng.random() * 4), slopes(rng)
    elements: list[Element] = []
    for number in range(count):
        nearness, high = number / count, rng.random()
        skyline = hills(rng, _tangent(ground.height) * (1 - 0.7 * nearness), peaks=peaks and nearness < 0.5)
        snow = (0.0 if ground.snow and high < 0.6 else 0.2 + 0.5 * high) if peaks or ground.snow else 1.0
        distance = 25_000 * (1 - nearness) ** 2 * site.between(0.3, 1) + 1600
        elements.append(Ridge(skyline, distance, color, snow, int(rng.random() * 2**31)))
    if rng.random() < 0.4:
        elements.append(site.row(0.4 * ground.height))
    return elements


def _woods(site: _Site) -> list[Element]:
    rng, height = site.rng, site.ground.height
    elements: list[Element] = [site.row(height * site.between(0.6, 1.2))]
    for azimuth in site.azimuths(int(rng.random() * 16)):
        elements.append(site.tree(azimuth, site.between(10, 70), height * (0.5 + 0.9 * rng.random() ** 2)))
    if rng.random() < 0.25:
        elements += site.house(site.azimuth(), site.between(25, 65), 0.6 * height)
    return elements


def _houses(site: _Site) -> list[Element]:
    rng, height = site.rng, site.ground.height
    elements: list[Element] = [site.row(0.4 * height)]
    high = rng.random() < 0.4
    for azimuth in site.azimuths(8 + int(rng.random() * 16)):
        distance, top = site.between(12, 80), height * site.between(0.35, 1.15)
        elements += site.house(azimuth, distance, top, turn=site.between(-40, 40), high=high)
    for azimuth in site.azimuths(int(rng.random() * 7)):
        elements.append(site.tree(azimuth, site.between(8, 70), height * site.between(0.5, 1.5)))
    return elements


def _street(site: _Site) -> list[Element]:
    """Return a street: houses on one side or two, perhaps trees on the other, and what closes its ends."""
    rng, height = site.rng, site.ground.height
    axis = site.azimuth() + (0.0 if site.camera.kind == 'fisheye' else site.between(-30, 30))
    elements = _terrace(site, axis + 90)
    elements += _avenue(site, axis - 90) if rng.random() < 0.45 else _terrace(site, axis - 90)
    for end in (axis, axis + 180):
        if rng.random() < 0.6:
            top, turn = height * site.between(0.15, 0.65), site.between(-30, 30)
            elements += site.house(end + site.between(-15, 15), site.between(30, 70), top, turn=turn, high=True)
        if rng.random() < 0.5:
            elements.append(site.tree(end + site.between(-25, 25), 15.0, site.between(15, 45)))
    return elements


def _terrace(site: _Site, azimuth: float) -> list[Element]:
    """Return houses side by side along a line at right angles to an azimuth."""
    away = site.between(7, 30)
    start, stop = -away * site.between(1.5, 4.5), away * site.between(1.5, 4.5)
    elements: list[Element] = []
    while start < stop:
        width, back = away * site.between(0.8, 3.3), away + site.between(0, 1.5)
        aside, height = start + width / 2, away * _tangent(site.ground.height * site.between(0.75, 1.05))
        angle, distance = math.degrees(math.atan(aside / back)), math.hypot(aside, back)
        top = math.degrees(math.atan(height / distance))
        if site.rng.random() < 0.88:
            elements += site.house(azimuth + angle, distance, top, turn=-angle, width=width, high=True)
        start += width
    return elements


def _avenue(site: _Site, azimuth: float) -> list[Element]:
    """Return trees side by side towards an azimuth, as high as houses."""
    elements: list[Element] = []
    for _ in range(3 + int(site.rng.random() * 5)):
        aside = site.between(-75, 75)
        top = site.ground.height * site.between(0.5, 1.05) * (1 - 0.004 * abs(aside))
        elements.append(site.tree(azimuth + aside, site.between(4, 16), top, wide=site.between(20, 55)))
    elements.append(site.row(0.45 * site.ground.height))
    return elements


def _close(site: _Site) -> list[Element]:
    """Return something high close by, a house, trees or an observatory, and what is low behind it."""
    rng, ground = site.rng, site.ground
    low = 3 + 0.2 * ground.height * rng.random()
    far = Ground('trees', low, 0, snow=ground.snow, bare=ground.bare)
    elements = (_hills, _woods, _houses)[int(rng.random() * 3)](_Site(rng, far, site.camera, site.eye))
    azimuth, kind = site.azimuth(), rng.random()
    if kind < 0.4:
        high = rng.random() < 0.5
        elements += site.house(azimuth, site.between(3, 15), ground.height, turn=site.between(-45, 45), high=high)
    elif kind < 0.75:
        elements.append(site.tree(azimuth, site.between(4, 14), ground.height, wide=site.between(15, 45)))
        for _ in range(int(rng.random() * 4)):
            top, wide = ground.height * site.between(0.5, 1), site.between(15, 45)
            elements.append(site.tree(azimuth + site.between(-40, 40), site.between(4, 14), top, wide=wide))
    else:
        elements += observatory(rng, azimuth, site.between(5, 20), 0.7 * ground.height, eye=site.eye)
    if rng.random() < 0.35:
        elements.append(rail(rng, site.azimuth(), site.between(1.5, 5.5), site.between(0.3, 1.1)))
    elif rng.random() < 0.3:
        distance = site.between(2, 8)
        elements += parapet(rng, distance, distance * _tangent(site.between(2, 14)))
    return elements


_DRAWN = dict(none=_nothing, hills=_hills, trees=_woods, buildings=_houses, street=_street, near=_close)


def _poles(site: _Site) -> list[Element]:
    rng, elements = site.rng, list[Element]()
    for _ in range(site.ground.poles):
        wired, overhead = rng.random() < 0.25, rng.random() < 0.3
        distance = site.between(1, 4) if wired and overhead else site.between(5, 35)
        top = distance * _tangent(min(site.ground.height, 35.0) * site.between(1.3, 2.8) + 4)
        if wired and overhead:
            top = site.between(4, 9)
        elements.append((wires if wired else mast)(rng, site.azimuth(), distance, top))
    return elements
