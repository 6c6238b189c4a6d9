"""Solids that rays meet: prisms with flat or pitched roofs, and balls."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.camera import Vector, stable
from hyperbolic_seg.sky.renderer.foreground.rays import Rays, edge
from hyperbolic_seg.sky.renderer.noise import Field

_DEEP = 1000.0  # meters below the camera: corners of solids that stand on the ground


class Face(NamedTuple):
    """Plane ``normal . point = distance`` with the solid behind it, in meters from the camera.

    ``right`` is the horizontal unit vector along the face, and ``middle`` the coordinate along it of its center.
    """

    normal: Vector
    distance: float
    right: Vector
    middle: float
    half: float


@dataclass(frozen=True)
class Hit:
    """What rays meet first.

    Attributes:
        coverage: Share of each pixel that the solid covers, (h, w).
        nearness: Inverse distance along the ray, per meter, (h, w); positive where the coverage is.
        face: Index of the face in that of the solid, (h, w).
    """

    coverage: Field
    nearness: Field
    face: NDArray[np.uint8]


def box(middle: tuple[float, float], azimuth: float, sides: tuple[float, float]) -> tuple[Face, ...]:
    """Return the four walls of a house.

    Args:
        middle: East and north of its center in meters.
        azimuth: Direction that the first wall faces, in degrees.
        sides: Its length along the first wall, and its depth.
    """
    return prism(middle, azimuth, (sides[1] / 2, sides[0] / 2) * 2)


def prism(middle: tuple[float, float], azimuth: float, reaches: tuple[float, ...]) -> tuple[Face, ...]:
    """Return walls at equal angles around a center, each at its distance from it."""
    walls = []
    for number, reach in enumerate(reaches):
        turn = math.radians(azimuth + 360 * number / len(reaches))
        x, y = stable(math.sin(turn)), stable(math.cos(turn))
        sides = reaches[number - 1], reaches[(number + 1) % len(reaches)]
        half = sum(sides) / 2 if len(reaches) == 4 else reach * math.tan(math.pi / len(reaches))
        right = (-y, x, 0.0)
        offset = middle[0] * x + middle[1] * y + reach
        walls.append(Face((x, y, 0.0), offset, right, -middle[0] * y + middle[1] * x, half))
    return tuple(walls)


def lid(height: float) -> Face:
    """Return a flat roof at a height above the camera, in meters."""
    return Face((0.0, 0.0, 1.0), height, (1.0, 0.0, 0.0), 0.0, 0.0)


def pitched(wall: Face, eave: float, pitch: float) -> Face:
    """Return the roof that rises from the eave of a wall, in meters above the camera, at a pitch in degrees."""
    sine, cosine = (stable(f(math.radians(pitch))) for f in (math.sin, math.cos))
    normal = (wall.normal[0] * sine, wall.normal[1] * sine, cosine)
    return Face(normal, wall.distance * sine + eave * cosine, wall.right, wall.middle, wall.half)


def meet(faces: tuple[Face, ...], rays: Rays) -> Hit | None:
    """Intersect rays with the convex solid behind all faces; None if the camera is inside of it.

    The inverse distance to a plane is linear in the direction. The silhouette is therefore the intersection of half
    spaces through the camera, one for each face in front and each face behind, whose edges are exact.
    """
    front = [n for n, face in enumerate(faces) if face.distance < 0]
    if not front:
        return None
    vectors = [tuple(part / face.distance for part in face.normal) for face in faces if face.distance]
    fields = [rays.along((v[0], v[1], v[2])) for v in vectors]
    coverage = np.ones_like(rays.z)
    for near in front:
        for far in [None, *(n for n in range(len(faces)) if n not in front)]:
            gap = (
                vectors[near] if far is None else tuple(a - b for a, b in zip(vectors[near], vectors[far], strict=True))
            )
            width = math.sqrt(sum(part * part for part in gap)) * rays.pixel
            inside = fields[near] if far is None else fields[near] - fields[far]
            coverage = np.minimum(coverage, inside * np.float32(1 / width) + np.float32(0.5))
    nearness, face = fields[front[0]], np.full(rays.z.shape, front[0], np.uint8)
    for near in front[1:]:
        farther = fields[near] < nearness
        nearness, face = np.where(farther, fields[near], nearness), np.where(farther, np.uint8(near), face)
    floor = np.float32(1e-4 * max(abs(part) for n in front for part in vectors[n]))
    return Hit(np.maximum(coverage, np.float32(0)), np.maximum(nearness, floor), face)


def ball(center: Vector, radius: float, rays: Rays) -> tuple[Field, tuple[Field, Field, Field]]:
    """Return the covered share of each pixel, and the unit normals where rays meet a ball, (h, w) each."""
    distance = math.sqrt(sum(part * part for part in center))
    axis = (center[0] / distance, center[1] / distance, center[2] / distance)
    sine = radius / distance
    cosine = rays.along(axis)
    coverage = edge(cosine - np.float32(math.sqrt(1 - sine * sine)), sine * rays.pixel)
    depth = np.sqrt(np.maximum(np.float32(sine * sine) - (np.float32(1) - cosine * cosine), np.float32(0)))
    reach = (cosine - depth) * np.float32(distance)
    parts = zip((rays.x, rays.y, rays.z), center, strict=True)
    x, y, z = ((ray * reach - np.float32(part)) * np.float32(1 / radius) for ray, part in parts)
    return coverage, (x, y, z)
