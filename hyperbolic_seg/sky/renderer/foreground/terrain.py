"""Terrain: ridges that fade into haze, and the ground below the horizon."""

from dataclasses import dataclass

import numpy as np

from hyperbolic_seg.sky.renderer.atmosphere import Color, mix, scale
from hyperbolic_seg.sky.renderer.camera import direction
from hyperbolic_seg.sky.renderer.foreground.canvas import Canvas
from hyperbolic_seg.sky.renderer.foreground.daylight import Daylight, spread
from hyperbolic_seg.sky.renderer.foreground.rays import Rays, bar, edge
from hyperbolic_seg.sky.renderer.foreground.skyline import Skyline
from hyperbolic_seg.sky.renderer.labels import SkyLabel
from hyperbolic_seg.sky.renderer.noise import Field, fractal_tile, generator, sample_tile, smoothstep

SNOW: Color = (0.9, 0.88, 0.86)
_EARTH: tuple[Color, ...] = (
    (0.04, 0.1, 0.07),
    (0.06, 0.1, 0.1),
    (0.1, 0.14, 0.18),
    (0.15, 0.22, 0.26),
    (0.14, 0.15, 0.16),
)
_ASPHALT: Color = (0.11, 0.11, 0.11)
_LINES: Color = (0.7, 0.72, 0.72)
_SURFACES: dict[str, tuple[Color, ...]] = {
    'grass': ((0.04, 0.16, 0.1), (0.08, 0.22, 0.2), (0.1, 0.2, 0.22)),
    'paved': ((0.2, 0.2, 0.2), (0.35, 0.36, 0.37), (0.1, 0.1, 0.1)),
    'sand': ((0.3, 0.42, 0.5), (0.12, 0.18, 0.26)),
    'water': ((0.05, 0.05, 0.04),),
    'snow': (SNOW,),
}


@dataclass(frozen=True)
class Ridge:
    """Hills or mountains around the horizon.

    Attributes:
        skyline: Their tops.
        distance: Distance in meters.
        color: Albedo of woods and rock.
        snow: Share of the height that is below the snow, in [0, 1]; 1 for no snow.
        seed: Seed of the texture.
    """

    skyline: Skyline
    distance: float
    color: Color
    snow: float
    seed: int

    def draw(self, canvas: Canvas, rays: Rays, day: Daylight) -> None:
        """Paint the ridge."""
        near = rays.above(self.skyline.top)
        if near is None:
            return
        bearing, slope, top = self.skyline.place(near), near.slope, self.skyline.height(near)
        size = np.float32(near.pixel) * (np.float32(1) + slope * slope)
        rng = generator(self.seed, 0)
        places = [(rng.random(), rng.random()) for _ in range(2)]
        high = slope * np.float32(1400)
        rock = sample_tile(fractal_tile(), bearing + high * np.float32(0.4), high, period=420, offset=places[0])
        # Valleys run down the slopes; one of their sides is lit.
        aside = sample_tile(
            fractal_tile(), bearing + np.float32(9) + high * np.float32(0.4), high, period=420, offset=places[0]
        )
        right = (near.y * np.float32(day.source[0]) - near.x * np.float32(day.source[1])) / near.across
        lit = np.clip(np.float32(0.4 * day.source[2]) + np.float32(0.2) + (rock - aside) * right * np.float32(3), 0, 1)
        albedo = spread(self.color) * (np.float32(0.6) + rock * np.float32(0.8))
        if self.snow < 1:
            line = np.float32(self.snow * self.skyline.top) + (rock - np.float32(0.5)) * np.float32(
                0.7 * self.skyline.top
            )
            white = smoothstep((slope - line) / np.float32(0.12 * self.skyline.top + 1e-4))
            albedo = albedo + (spread(SNOW) - albedo) * white
        color = albedo * (spread(day.ambient) + spread(day.direct) * lit)
        color = day.through(color, self.distance)
        canvas.cover(near, SkyLabel.TERRAIN, edge(top - slope, size), color)


@dataclass(frozen=True)
class Earth:
    """Ground below the horizon.

    Attributes:
        surface: ``grass``, ``paved``, ``sand``, ``water`` or ``snow``.
        color: Its albedo.
        eye: Height of the camera above it in meters.
        road: Unit vector across a road, and the distance of its middle; no road if it is the null vector.
        seed: Seed of the texture.
    """

    surface: str
    color: Color
    eye: float
    road: tuple[float, float, float]
    seed: int

    @property
    def distance(self) -> float:
        """Distance in meters up to which things stand on it: hills are behind."""
        return 1500.0

    def draw(self, canvas: Canvas, rays: Rays, day: Daylight) -> None:
        """Paint the ground."""
        near = rays.above(0.0)
        if near is None:
            return
        reach = np.float32(self.eye) / np.maximum(-near.z, np.float32(2e-3))
        rng = generator(self.seed, 0)
        place = (rng.random(), rng.random())
        stretch = np.float32(1 if self.surface != 'water' else 0.3)
        rough = sample_tile(fractal_tile(), near.x * reach * stretch, near.y * reach, period=30, offset=place)
        rough = rough - np.float32(0.5)
        rough *= np.clip(np.float32(40) / reach, 0, 1)
        up = (0.0, 0.0, 1.0)
        albedo = self._paved(near, reach) * (np.float32(1) + rough * np.float32(0.5))
        color = albedo * (spread(day.on((1, 1, 1), up)) + spread(day.lamps))
        if self.surface == 'water':  # mirrors the sky, the more the flatter it is seen
            flat = np.clip(np.float32(1) + near.z * np.float32(2), np.float32(0.1), 1)
            color = color + spread(scale(day.sky, 0.7)) * flat * (np.float32(1) + rough * np.float32(0.6))
        far = reach / (reach + np.float32(day.visibility))
        color = color + (spread(day.haze) - color) * far
        canvas.cover(near, SkyLabel.TERRAIN, edge(-near.z, near.pixel), color)

    def _paved(self, rays: Rays, reach: Field) -> Field:
        """Return the albedo with a road and its lines, (3, h, w) or (3, 1, 1)."""
        x, y, away = (np.float32(part) for part in self.road)
        if not x and not y:
            return spread(self.color)
        across, size = (rays.x * x + rays.y * y) * reach - away, reach * np.float32(rays.pixel)
        lines = np.maximum(bar(across, 0.08, size), bar(np.abs(across) - np.float32(3.2), 0.08, size))
        albedo = spread(self.color) + (spread(_ASPHALT) - spread(self.color)) * bar(across, 3.5, size)
        lined: Field = albedo + (spread(_LINES) - albedo) * lines
        return lined


def earth(rng: np.random.Generator, *, eye: float, snow: bool = False, town: bool = False) -> Earth:
    """Draw the ground around a camera at a height in meters."""
    kinds = ('snow',) if snow else ('paved', 'paved', 'grass') if town else ('grass', 'grass', 'sand', 'water', 'paved')
    surface = kinds[int(rng.random() * len(kinds))]
    colors = _SURFACES[surface]
    color = scale(colors[int(rng.random() * len(colors))], 0.8 + 0.3 * rng.random())
    across, away = direction(360 * rng.random(), 0), 30 * rng.random() - 15
    roaded = surface in ('grass', 'sand', 'snow') and rng.random() < 0.5
    road = (across[0], across[1], away) if roaded else (0.0, 0.0, 0.0)
    return Earth(surface, color, eye, road, int(rng.random() * 2**31))


def slopes(rng: np.random.Generator) -> Color:
    """Draw the color of far woods, fields or rock."""
    one, other = (_EARTH[int(rng.random() * len(_EARTH))] for _ in range(2))
    return mix(one, other, rng.random())
