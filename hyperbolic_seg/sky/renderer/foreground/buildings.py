"""Buildings: houses with flat and pitched roofs, rows of them along a street, chimneys and domes."""

import math
from dataclasses import dataclass

import numpy as np

from hyperbolic_seg.sky.renderer.atmosphere import Color, mix, scale
from hyperbolic_seg.sky.renderer.camera import Vector, stable
from hyperbolic_seg.sky.renderer.foreground.canvas import Canvas
from hyperbolic_seg.sky.renderer.foreground.daylight import Daylight, spread, tint
from hyperbolic_seg.sky.renderer.foreground.facades import Facade, Wall, draw_facade, paint_facade, shade_of
from hyperbolic_seg.sky.renderer.foreground.rays import Rays, pulse, window
from hyperbolic_seg.sky.renderer.foreground.solids import Face, Hit, ball, lid, meet, pitched, prism
from hyperbolic_seg.sky.renderer.labels import SkyLabel
from hyperbolic_seg.sky.renderer.noise import Field

_ROOFS: tuple[Color, ...] = (
    (0.1, 0.14, 0.32),
    (0.08, 0.08, 0.09),
    (0.14, 0.17, 0.24),
    (0.3, 0.3, 0.3),
    (0.2, 0.24, 0.2),
)
_SNOW: Color = (0.88, 0.86, 0.84)


@dataclass(frozen=True)
class Building:
    """Convex solid of walls and a roof; lengths in meters from the camera.

    Attributes:
        walls: Its walls.
        roof: Its roof: one lid, or pitched faces.
        top: Height of the eave above the camera.
        eye: Height of the camera above the ground.
        facade: Look of the walls.
        tiles: Color of the roof.
        distance: Distance of the middle of its front.
        shadow: Height above the ground of the edge of a shadow, and its slope; none below 0.
    """

    walls: tuple[Face, ...]
    roof: tuple[Face, ...]
    top: float
    eye: float
    facade: Facade
    tiles: Color
    distance: float
    shadow: tuple[float, float] = (-1e3, 0.0)

    def draw(self, canvas: Canvas, rays: Rays, day: Daylight) -> None:
        """Paint the building."""
        near = self._window(rays)
        hit = near and meet((*self.walls, *self.roof, _floor(self.eye)), near)
        if not near or not hit:
            return
        spans = window(hit.coverage > 0, 1, hit.coverage.shape)
        if spans is None:
            return
        near = near.crop(*spans)
        hit = Hit(hit.coverage[spans], hit.nearness[spans], hit.face[spans])
        color = np.zeros((3, *hit.coverage.shape), np.float32)
        for number, face in enumerate((*self.walls, *self.roof)):
            seen = hit.face == number
            part = window(seen & (hit.coverage > 0), 1, seen.shape) if face.distance < 0 else None
            if part is None:
                continue
            paint = self._wall if number < len(self.walls) else self._tiled
            painted = paint(face, near.crop(*part), hit.nearness[part], day)
            np.copyto(color[:, part[0], part[1]], painted, where=seen[part])
        color = day.through(color, self.distance)
        canvas.cover(near, SkyLabel.BUILDING, hit.coverage, color)

    def _window(self, rays: Rays) -> Rays | None:
        """Return the window around the directions of the corners."""
        corners = []
        for one, other in zip(self.walls, self.walls[1:] + self.walls[:1], strict=True):
            corners += [_corner(one, other, height) for height in (-self.eye, self.ridge)]
        return rays.around(*cap(corners))

    @property
    def ridge(self) -> float:
        """Height of the ridge above the camera."""
        rise = [wall.half * 2 for wall in self.walls] if len(self.roof) > 1 else [0.0]
        return self.top + max(rise)

    def _wall(self, face: Face, rays: Rays, nearness: Field, day: Daylight) -> Field:
        along = rays.along(face.right) / nearness - np.float32(face.middle - face.half)
        up = rays.z / nearness + np.float32(self.eye)
        facing = np.maximum(nearness * np.float32(-face.distance), np.float32(1e-3))
        size = np.float32(rays.pixel) / nearness
        wall = Wall(along, up, size * rays.across / facing, size / rays.across)
        low = np.clip(np.float32(1) - up * np.float32(1 / 9), 0, 1)
        picture = paint_facade(
            self.facade, wall, day, day.on((1, 1, 1), face.normal), day.on((1, 1, 1), face.normal, 0.0),
            shade_of(wall, *self.shadow),
        )  # fmt: skip
        if day.time == 'day':
            # Streets darken towards their foot, and below the cornice there is a line of shade.
            picture = picture * (np.float32(1) - low * np.float32(0.3))
        else:
            picture = picture + spread(tint(self.facade.color, day.lamps)) * (np.float32(0.15) + low * low)
        rim = np.clip((np.float32(self.top + self.eye) - up) / np.maximum(wall.pixel_up, np.float32(0.4)), 0, 1)
        painted: Field = picture * (np.float32(0.7) + rim * np.float32(0.3))
        return painted

    def _tiled(self, face: Face, rays: Rays, nearness: Field, day: Daylight) -> Field:
        rise = rays.z / nearness
        size = np.float32(rays.pixel) / nearness
        rows = pulse(rise, size, period=0.25, start=0.0, length=0.06)
        light = spread(day.on(self.tiles, face.normal))
        color: Field = light * (np.float32(1) - rows * np.float32(0.4))
        return color


@dataclass(frozen=True)
class Dome:
    """Dome of an observatory: half a ball, with a slit.

    Attributes:
        center: Center of the ball in meters from the camera.
        radius: Its radius in meters.
        color: Its color.
    """

    center: Vector
    radius: float
    color: Color

    @property
    def distance(self) -> float:
        """Distance in meters of its surface."""
        return math.hypot(self.center[0], self.center[1]) - self.radius

    def draw(self, canvas: Canvas, rays: Rays, day: Daylight) -> None:
        """Paint the dome."""
        reach = math.sqrt(sum(part * part for part in self.center))
        if reach <= 1.05 * self.radius:
            return
        axis = (self.center[0] / reach, self.center[1] / reach, self.center[2] / reach)
        near = rays.around(axis, math.asin(self.radius / reach))
        if near is None:
            return
        coverage, normal = ball(self.center, self.radius, near)
        sx, sy, sz = (np.float32(part) for part in day.source)
        facing = np.maximum(normal[0] * sx + normal[1] * sy + normal[2] * sz, np.float32(0))
        ambient, direct = (spread(tint(self.color, light)) for light in (day.ambient, day.direct))
        color = ambient * (np.float32(0.8) + np.float32(0.4) * normal[2]) + direct * facing
        slit = np.abs(normal[0] * np.float32(0.8) + normal[1] * np.float32(0.6)) < np.float32(0.02)
        color = color * np.where(slit, np.float32(0.6), np.float32(1))
        canvas.cover(near, SkyLabel.BUILDING, coverage * (normal[2] > np.float32(-0.3)), color)


def _floor(eye: float) -> Face:
    return Face((0.0, 0.0, -1.0), eye, (1.0, 0.0, 0.0), 0.0, 0.0)


def cap(corners: list[Vector]) -> tuple[Vector, float]:
    """Return the axis and the angle in radians of a cone around the directions of points."""
    units = [scaled(corner) for corner in corners]
    axis = scaled((sum(u[0] for u in units), sum(u[1] for u in units), sum(u[2] for u in units)))
    cosine = min(sum(a * b for a, b in zip(axis, unit, strict=True)) for unit in units)
    return axis, math.acos(max(-1.0, min(1.0, cosine)))


def scaled(vector: Vector) -> Vector:
    """Return the unit vector of a direction."""
    length = math.sqrt(sum(part * part for part in vector)) or 1.0
    return stable(vector[0] / length), stable(vector[1] / length), stable(vector[2] / length)


def _corner(one: Face, other: Face, height: float) -> Vector:
    (a, b, _), (c, d, _) = one.normal, other.normal
    across = a * d - b * c
    x = (one.distance * d - other.distance * b) / across
    y = (a * other.distance - c * one.distance) / across
    return x, y, height


def house(
    rng: np.random.Generator,
    azimuth: float,
    distance: float,
    elevation: float,
    *,
    eye: float,
    turn: float = 0.0,
    width: float | None = None,
    high: bool = False,
    snow: bool = False,
) -> list[Building]:
    """Return a house, with what stands on its roof.

    Args:
        rng: Source of its look.
        azimuth: Direction of the middle of the wall that faces the camera, in degrees.
        distance: Distance of that wall in meters.
        elevation: Elevation of the top of that wall in degrees.
        eye: Height of the camera above the ground in meters.
        turn: Angle between the wall and the line of sight's right angle, in degrees.
        width: Length of that wall in meters.
        high: Whether it is a high house of a town.
        snow: Whether there is snow on the roof.
    """
    facade = draw_facade(rng, high=high)
    top = distance * stable(math.tan(math.radians(min(elevation, 80.0))))
    width = width or (8 + 25 * rng.random() if high else 6 + 14 * rng.random())
    depth = 8 + 10 * rng.random()
    facing = azimuth + 180 + turn
    walls = _standing(azimuth, distance, facing, (width, depth))
    shadow = (facade.floor * 6 * rng.random(), rng.random() - 0.5) if rng.random() < 0.3 else (-1e3, 0.0)
    tiles = _SNOW if snow else _ROOFS[int(rng.random() * len(_ROOFS))]
    pitch, gabled, steps = 20 + 30 * rng.random(), rng.random() < (0.15 if high else 0.65), rng.random()
    if gabled:
        # The ridge runs along the front or across it.
        sloped = walls[0::2] if rng.random() < 0.5 else walls[1::2]
        roof = tuple(pitched(wall, top, pitch) for wall in sloped)
        main = Building(walls, roof, top, eye, facade, tiles, distance, shadow)
        return [main, *_chimneys(rng, main, azimuth, distance, depth, pitch)]
    main = Building(walls, (lid(top),), top, eye, facade, tiles, distance, shadow)
    if steps < 0.35:
        smaller = (width * (0.3 + 0.4 * rng.random()), depth * 0.6)
        walls = _standing(azimuth, distance + depth * 0.2, facing, smaller)
        higher = top + 2.5 + 3 * rng.random()
        return [Building(walls, (lid(higher),), higher, eye, facade, tiles, distance + 0.1), main]
    return [main]


def _standing(azimuth: float, distance: float, facing: float, sides: tuple[float, float]) -> tuple[Face, ...]:
    """Return walls of which the first has its middle at an azimuth and a distance."""
    sight, front = math.radians(azimuth), math.radians(facing)
    x = stable(math.sin(sight)) * distance - stable(math.sin(front)) * sides[1] / 2
    y = stable(math.cos(sight)) * distance - stable(math.cos(front)) * sides[1] / 2
    return prism((x, y), facing, (sides[1] / 2, sides[0] / 2) * 2)


def _chimneys(
    rng: np.random.Generator, main: Building, azimuth: float, distance: float, depth: float, pitch: float
) -> list[Building]:
    chimneys = []
    for _ in range(int(rng.random() * 3)):
        away = distance + depth * (0.35 + 0.4 * rng.random())
        side = azimuth + math.degrees((rng.random() - 0.5) * 6 / max(away, 6.0))
        rise = main.top + depth / 2 * math.tan(math.radians(pitch)) + 0.8 + 0.8 * rng.random()
        size = 0.5 + 0.5 * rng.random()
        plain = Facade((0.16, 0.2, 0.3), 0.2, (0.0, 0.16), 0.1, (0, 0, 0), 1, 1, (0, 0), 0, 0, 0, 0.2, 0, 1)
        walls = _standing(side, away, azimuth + 180, (size, size))
        height = stable(rise)
        chimneys.append(
            Building(walls, (lid(height),), height, main.eye, plain, scale(main.tiles, 0.8), distance + 0.1)
        )
    return chimneys


def observatory(
    rng: np.random.Generator, azimuth: float, distance: float, elevation: float, *, eye: float
) -> list[Building | Dome]:
    """Return a round tower with a dome, whose top is at an elevation in degrees."""
    radius = distance * (0.12 + 0.25 * rng.random())
    top = distance * stable(math.tan(math.radians(elevation))) - radius * 0.8
    white = mix((0.85, 0.85, 0.85), (0.5, 0.5, 0.52), rng.random() ** 2)
    sight = math.radians(azimuth)
    center = (stable(math.sin(sight)) * (distance + radius), stable(math.cos(sight)) * (distance + radius))
    facade = draw_facade(rng)
    walls = prism(center, azimuth + 180, (radius * 0.97,) * 12)
    tower = Building(walls, (lid(top),), top, eye, facade, white, distance)
    return [Dome((*center, top), radius, white), tower]
