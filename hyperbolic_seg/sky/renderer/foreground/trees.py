"""Trees: crowns of leaves with gaps, conifers, palms, bare branches, and rows of trees at the horizon."""

import math
from dataclasses import dataclass

import numpy as np

from hyperbolic_seg.sky.renderer.atmosphere import Color, mix, scale
from hyperbolic_seg.sky.renderer.camera import Vector, direction, stable
from hyperbolic_seg.sky.renderer.foreground.canvas import Canvas
from hyperbolic_seg.sky.renderer.foreground.daylight import Daylight, spread, tint
from hyperbolic_seg.sky.renderer.foreground.rays import Rays, bar, edge
from hyperbolic_seg.sky.renderer.foreground.skyline import Skyline
from hyperbolic_seg.sky.renderer.foreground.sprites import VARIANTS, sample
from hyperbolic_seg.sky.renderer.labels import SkyLabel
from hyperbolic_seg.sky.renderer.noise import Field, fractal_tile, generator, sample_tile, smoothstep

KINDS = ('leafy', 'conifer', 'bare', 'palm')
_HALF = np.float32(0.5)
_BARK: Color = (0.05, 0.065, 0.08)
_GREEN: tuple[Color, ...] = (
    (0.035, 0.11, 0.07),
    (0.03, 0.15, 0.09),
    (0.05, 0.1, 0.075),
    (0.02, 0.07, 0.045),
    (0.06, 0.2, 0.16),
)
_AUTUMN: tuple[Color, ...] = ((0.03, 0.2, 0.35), (0.02, 0.1, 0.32), (0.03, 0.16, 0.22))


@dataclass(frozen=True)
class Tree:
    """Tree, drawn on the plane that touches the sphere of directions at the middle of its crown.

    Attributes:
        azimuth, elevation: Middle of the crown in degrees.
        wide, high: Half its width and height, as tangents.
        distance: Distance in meters.
        kind: One of :data:`KINDS`.
        color: Albedo of the leaves.
        gaps: How much sky is seen through the crown, in [0, 1].
        seed: Seed of its shape.
    """

    azimuth: float
    elevation: float
    wide: float
    high: float
    distance: float
    kind: str
    color: Color
    gaps: float
    seed: int

    def draw(self, canvas: Canvas, rays: Rays, day: Daylight) -> None:
        """Paint the tree."""
        trunk = 0.0 if self.kind in ('bare', 'palm') else 2.5 * self.high
        near = rays.around(self._axes()[0], math.atan(1.5 * max(self.wide, self.high + trunk)))
        if near is None:
            return
        across, up, ahead, pixel = self._plane(near)
        relief, leaves = self._texture(across, up, day)
        color = _colors(self.color, day, relief * np.float32(self._front(day)), leaves)
        wood = self._wood(across, up, pixel)
        if self.kind == 'palm':
            coverage = wood
        elif self.kind == 'bare':
            coverage, color = wood, self._bark(day)
        else:
            crown = self._crown(across, up, pixel, leaves)
            share = np.clip(wood * (np.float32(1.2) - crown), 0, 1)
            coverage, color = np.maximum(crown, wood), color + (self._bark(day) - color) * share
        canvas.cover(near, SkyLabel.TREE, coverage * ahead, day.through(color, self.distance))

    def _axes(self) -> tuple[Vector, Vector, Vector]:
        return (
            direction(self.azimuth, self.elevation),
            direction(self.azimuth + 90, 0),
            direction(self.azimuth, self.elevation + 90),
        )

    def _plane(self, rays: Rays) -> tuple[Field, Field, Field, Field]:
        """Return the coordinates across and upwards from the middle, 1 in front of the camera, and the pixel's size."""
        axis, right, upward = self._axes()
        cosine = rays.along(axis)
        ahead = (cosine > np.float32(0.15)).astype(np.float32)
        inverse = np.float32(1) / np.maximum(cosine, np.float32(0.15))
        return rays.along(right) * inverse, rays.along(upward) * inverse, ahead, np.float32(rays.pixel) * inverse

    @property
    def _size(self) -> float:
        return min(self.wide, self.high)

    def _lobes(self, across: Field, up: Field, step: tuple[float, float] = (0.0, 0.0)) -> Field:
        rng, period = generator(self.seed, 1), 3.2 * self._size
        x, y = across + np.float32(step[0]), up + np.float32(step[1])
        return sample_tile(fractal_tile(), x, y, period=period, offset=(rng.random(), rng.random()))

    def _texture(self, across: Field, up: Field, day: Daylight) -> tuple[Field, Field]:
        """Return how much of the light reaches each point, and the leaves, from dark to bright, (h, w) each."""
        rng = generator(self.seed, 2)
        places = [(rng.random(), rng.random()) for _ in range(2)]
        tufts = sample_tile(fractal_tile(), across, up, period=1.1 * self._size, offset=places[0])
        fine = sample_tile(fractal_tile(), up, across, period=0.23 * self._size, offset=places[1])
        leaves = tufts * np.float32(0.45) + fine * np.float32(0.55)
        rise = self._lobes(across, up) - self._lobes(across, up, self._lean(day))
        relief = np.clip(rise * np.float32(2.6) + np.float32(0.42), 0, 1) * (np.float32(2.4) * leaves - np.float32(0.4))
        return relief, leaves

    def _crown(self, across: Field, up: Field, pixel: Field, leaves: Field) -> Field:
        """Return the share of each pixel that leaves cover: gaps are anywhere, more of them at the edge."""
        envelope, lobes = self._envelope(across, up), self._lobes(across, up)
        # Steeper outside, so that no lobe reaches the edge of the window.
        field = np.minimum(np.minimum(envelope, envelope * np.float32(2.5)), np.float32(0.55)) + (
            lobes - _HALF
        ) * np.float32(1.7)
        field = field + (leaves - _HALF) * np.float32(1.1 + 0.9 * self.gaps) + np.float32(0.38 - 0.55 * self.gaps)
        # A leaf is as sharp as the picture shows it.
        crown: Field = np.clip(field * np.minimum(np.float32(0.25 * self._size) / pixel, np.float32(9)) + _HALF, 0, 1)
        return crown

    def _wood(self, across: Field, up: Field, pixel: Field) -> Field:
        """Return the share of each pixel that the trunk and the branches cover, or the whole of a palm."""
        size, variant = max(self.wide, self.high), int(generator(self.seed, 0).integers(VARIANTS))
        kind = 'twigs' if self.kind == 'leafy' else self.kind
        wood = np.zeros_like(up)
        if kind != 'conifer':
            x, y = across * np.float32(1 / size), up * np.float32(1 / size) + np.float32(1)
            wood = sample(kind, variant, x, y, float(pixel.min()) / size)
        if kind == 'twigs':
            wood = wood * edge(self._envelope(across, up) - np.float32(0.3), np.float32(0.4))
        if self.kind in ('leafy', 'conifer'):
            foot = np.float32(-0.2 * self.high)
            wood = np.maximum(wood, bar(across, self.wide * 0.04, pixel) * (up < foot))
        return wood

    def _envelope(self, across: Field, up: Field) -> Field:
        p, q = across * np.float32(1 / self.wide), up * np.float32(1 / self.high)
        if self.kind == 'conifer':
            taper = (np.float32(1.05) - q) * _HALF
            envelope: Field = np.minimum((taper - np.abs(p)) * np.float32(2.2), np.float32(1.2) + q)
        else:
            envelope = np.float32(1) - p * p - q * q
        envelope = np.maximum(envelope, np.float32(-3))
        return envelope

    def _lean(self, day: Daylight) -> tuple[float, float]:
        """Return the step on the plane towards the light."""
        _, right, upward = self._axes()
        steps = [sum(a * b for a, b in zip(axis, day.source, strict=True)) for axis in (right, upward)]
        return 0.12 * steps[0] * self._size, 0.12 * steps[1] * self._size

    def _front(self, day: Daylight) -> float:
        """Return the share of the lit side that is seen: little of it in front of the sun."""
        cosine = sum(a * b for a, b in zip(self._axes()[0], day.source, strict=True))
        return 0.62 - 0.5 * cosine

    def _bark(self, day: Daylight) -> Field:
        return spread(day.on(_BARK, day.source, 0.3))


def _colors(albedo: Color, day: Daylight, lit: Field, leaves: Field) -> Field:
    """Return the light of leaves, (3, h, w), of which a share is in the sun."""
    blue, green, red = albedo
    sunny = (0.9 * blue, 1.25 * green, 1.35 * red)
    ambient = spread(tint(albedo, day.ambient))
    direct = spread(tint(sunny, day.direct))
    lamps = spread(tint(albedo, day.lamps))
    color: Field = (
        ambient * (np.float32(0.05) + leaves * leaves * np.float32(2.2))
        + direct * lit * np.float32(1.8)
        + lamps * leaves
    )
    return color


@dataclass(frozen=True)
class TreeRow:
    """Trees around the horizon, too far to be told apart.

    Attributes:
        skyline: Their tops.
        distance: Distance in meters.
        color: Albedo of the leaves.
        bare: Whether they have lost their leaves.
        foot: Tangent of the elevation of their foot.
        seed: Seed of the texture.
    """

    skyline: Skyline
    distance: float
    color: Color
    bare: bool
    foot: float
    seed: int

    def draw(self, canvas: Canvas, rays: Rays, day: Daylight) -> None:
        """Paint the row."""
        near = rays.above(self.skyline.top * 1.3)
        if near is None:
            return
        bearing, slope = self.skyline.place(near), near.slope
        rng = generator(self.seed, 0)
        places = [(rng.random(), rng.random()) for _ in range(2)]
        high = slope * np.float32(700)
        leaves = sample_tile(fractal_tile(), bearing, high, period=250, offset=places[0])
        crowns = sample_tile(fractal_tile(), bearing, high, period=130, offset=places[1])
        top = self.skyline.height(near) * (np.float32(0.7) + leaves * _HALF)
        size = np.float32(near.pixel) * (np.float32(1) + slope * slope)
        coverage = np.minimum(edge(top - slope, size), edge(slope - np.float32(self.foot), size))
        if self.bare:
            inner = smoothstep((top - slope) / np.maximum(top * np.float32(0.6), size))
            coverage = coverage * np.clip(inner * np.float32(1.7) + leaves - np.float32(0.55), 0, 1)
        shade = np.clip((crowns - np.float32(0.3)) * np.float32(1.3), 0, 1)
        sx, sy = np.float32(day.source[0]), np.float32(day.source[1])
        back = (near.x * sx + near.y * sy) / near.across
        color = _colors(self.color, day, shade * (np.float32(0.45) - back * np.float32(0.3)), leaves)
        color = day.through(color, self.distance)
        canvas.cover(near, SkyLabel.TREE, coverage, color)


def foliage(rng: np.random.Generator, *, bare: bool = False) -> Color:
    """Draw the color of leaves, or of twigs without them."""
    autumn, place = rng.random() < 0.08, rng.random()
    if bare:
        return mix((0.06, 0.075, 0.09), (0.12, 0.14, 0.16), place)
    colors = _AUTUMN if autumn else _GREEN
    color = scale(colors[int(place * len(colors))], 0.7 + 0.6 * rng.random())
    # Leaves are glossy: from below they are seen by as much white light as green.
    return mix(color, (0.09, 0.1, 0.095), 0.6 * rng.random())


def tree(
    rng: np.random.Generator,
    azimuth: float,
    distance: float,
    elevation: float,
    *,
    bare: bool = False,
    wide: float = 0.0,
) -> Tree:
    """Return a tree whose top is at an elevation in degrees.

    Args:
        rng: Source of its look.
        azimuth: Its direction in degrees.
        distance: Distance in meters.
        elevation: Elevation of its top in degrees.
        bare: Whether broad-leaved trees have lost their leaves.
        wide: Least width of the crown in degrees.
    """
    dice = rng.random()
    kind = 'conifer' if dice < 0.2 else 'palm' if dice < 0.26 else 'bare' if bare else 'leafy'
    half = max(elevation * (0.25 + 0.2 * rng.random()), 0.5)
    high = stable(math.tan(math.radians(half)))
    spread = {'conifer': 0.35 + 0.25 * rng.random(), 'leafy': 0.7 + 0.7 * rng.random()}.get(kind, 1.0)
    if kind in ('bare', 'palm'):
        half = elevation * 0.5
        high = stable(math.tan(math.radians(half)))
    side = max(high * spread, stable(math.tan(math.radians(wide / 2))) if kind == 'leafy' else 0.0)
    return Tree(
        azimuth=azimuth,
        elevation=elevation - half,
        wide=side,
        high=high,
        distance=distance,
        kind=kind,
        color=foliage(rng),
        gaps=rng.random() ** 1.3,
        seed=int(rng.random() * 2**31),
    )
