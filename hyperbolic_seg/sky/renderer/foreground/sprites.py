"""Silhouettes of bare branches and of palms, drawn once as integers and sampled exactly."""

import math
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np

from hyperbolic_seg.sky.renderer.camera import stable
from hyperbolic_seg.sky.renderer.noise import Field, generator

VARIANTS = 4
"""Silhouettes of each kind."""

_SIDE, _SUB, _LEVELS = 512, 16, 255
_SEED = 20261128


@lru_cache(maxsize=64)
def silhouette(kind: str, variant: int, side: int) -> Field:
    """Return the covered share of a silhouette in a square, 0 to 255, whole numbers, (side, side).

    The foot of the trunk is at the middle of the last row.

    Args:
        kind: ``bare``, ``twigs`` or ``palm``; twigs are branches that start in the middle.
        variant: Which one, less than :data:`VARIANTS`.
        side: Side in pixels: 512 or a half, a quarter, ... of it.
    """
    drawn = np.zeros((_SIDE, _SIDE), np.uint8)
    rng = generator(_SEED, ('bare', 'twigs', 'palm').index(kind), variant)
    {'bare': _tree, 'twigs': _twigs, 'palm': _palm}[kind](drawn, rng)
    times = _SIDE // side
    shares = drawn.reshape(side, times, side, times).astype(np.int64).sum(axis=(1, 3))
    # Twigs thinner than a pixel do not vanish: they are a little wider than drawn.
    widened: Field = np.minimum(shares * 3 // (2 * times * times), _LEVELS).astype(np.float32)
    return widened


def sample(kind: str, variant: int, across: Field, up: Field, pixel: float) -> Field:
    """Return the covered share by coordinates across [-1, 1] and upwards [0, 2], (h, w); ``pixel`` is their step."""
    side = _SIDE
    while side > 16 and 2 / side < pixel * 0.7:
        side //= 2
    tile = silhouette(kind, variant, side)
    columns, rows = (across + np.float32(1)) * np.float32(side / 2), (np.float32(2) - up) * np.float32(side / 2)
    maps = [
        np.floor(np.clip(axis - np.float32(0.5), -2, side + 2) * np.float32(32)) * np.float32(1 / 32)
        for axis in (columns, rows)
    ]
    found = cv2.remap(tile, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    share: Field = np.asarray(found, np.float32) * np.float32(1 / _LEVELS)
    return share


def _line(drawn: np.ndarray, start: tuple[float, float], end: tuple[float, float], width: float) -> None:
    points = [tuple(math.floor(part * _SUB + 0.5) for part in point) for point in (start, end)]
    cv2.line(drawn, points[0], points[1], 255, max(1, round(width)), cv2.LINE_8, 4)


def _tree(drawn: np.ndarray, rng: np.random.Generator) -> None:
    _branch(drawn, rng, (_SIDE / 2, _SIDE), 0.0, _SIDE * 0.2, 13.0)


def _twigs(drawn: np.ndarray, rng: np.random.Generator) -> None:
    for turn in range(5):
        _branch(drawn, rng, (_SIDE / 2, _SIDE / 2), turn * 72 + 50 * rng.random(), _SIDE * 0.16, 7.0)


def _branch(
    drawn: np.ndarray, rng: np.random.Generator, start: tuple[float, float], turn: float, length: float, width: float
) -> None:
    """Draw a branch and its twigs; ``turn`` is the angle from upright in degrees."""
    angle = math.radians(turn)
    end = (start[0] + length * stable(math.sin(angle)), start[1] - length * stable(math.cos(angle)))
    _line(drawn, start, end, width)
    if length < 9:
        return
    for side in (-1, 1, 0)[: 2 + (rng.random() < 0.6)]:
        bend = side * (20 + 30 * rng.random()) + 16 * (rng.random() - 0.5)
        shorter = 0.85 if side == 0 else 0.55 + 0.25 * rng.random()
        _branch(drawn, rng, end, turn + bend, length * shorter, width * (0.8 if side == 0 else 0.62))


def _palm(drawn: np.ndarray, rng: np.random.Generator) -> None:
    crown = (_SIDE / 2 + 60 * (rng.random() - 0.5), _SIDE * 0.35)
    _line(drawn, (_SIDE / 2, _SIDE), crown, 13)
    for frond in range(17):
        angle = math.radians(frond * 360 / 17 + 12 * rng.random())
        reach = _SIDE * (0.26 + 0.08 * rng.random())
        spine = [_frond(crown, angle, reach, step / 12) for step in range(13)]
        for one, other in pairwise(spine):
            _line(drawn, one, other, 3)
            for side in (-0.5, 0.6):
                tip = (other[0] + side * 14, other[1] + 22 + 6 * rng.random())
                _line(drawn, other, tip, 2)
                middle = ((one[0] + other[0]) / 2, (one[1] + other[1]) / 2)
                _line(drawn, middle, (middle[0] + side * 14, middle[1] + 22 + 6 * rng.random()), 2)


def _frond(crown: tuple[float, float], angle: float, reach: float, share: float) -> tuple[float, float]:
    """Return a point of a frond, which its weight bends down."""
    sine, cosine = stable(math.sin(angle)), stable(math.cos(angle))
    sag = 0.55 * share * share
    return crown[0] + reach * share * sine, crown[1] - reach * (share * cosine - sag)
