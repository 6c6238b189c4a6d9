"""Periodic noise tiles and their sampling, with equal results on every machine.

A tile holds small integers and is sampled at multiples of 1/32 texel. OpenCV's bilinear interpolation is then exact in
float32 (22 of 24 bits), whatever the vector width and the number of threads. All else is elementwise arithmetic.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

TILE_SIZE = 512
"""Texels per side of a tile."""

_LEVELS = 4095
_TILE_SEED = 20170323
_SUBTEXELS = np.float32(32)


def generator(seed: int, *stage: int) -> np.random.Generator:
    """Return the random generator of one stage; new stages do not change the existing ones."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=stage)))


def smoothstep(x: Field) -> Field:
    """Map [0, 1] to [0, 1] with zero slope at both ends; other values are clamped first."""
    x = np.clip(x, np.float32(0), np.float32(1))
    step: Field = x * x * (np.float32(3) - np.float32(2) * x)
    return step


def look_up(table: Field, position: Field) -> Field:
    """Return the entries of ``table`` at the integer parts of ``position``, clamped to the table."""
    index = np.clip(position, 0, len(table) - 1).astype(np.int32)
    return table.take(index)


def sample_tile(tile: Field, x: Field, y: Field, *, period: float, offset: tuple[float, float] = (0.0, 0.0)) -> Field:
    """Sample a tile that repeats every ``period`` units of the coordinates.

    Args:
        tile: Tile of one of the functions below, (513, 513) or (513, 513, C).
        x: Coordinates, (H, W).
        y: Coordinates, (H, W).
        period: Side of the tile in units of the coordinates.
        offset: Shift in sides of the tile, in [0, 1).

    Returns:
        Values in [0, 1], (H, W) for one channel and (C, H, W) for more.
    """
    maps = [_texels(axis, period, shift) for axis, shift in zip((x, y), offset, strict=True)]
    values = cv2.remap(tile, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    scaled = np.asarray(values, np.float32) * np.float32(1 / _LEVELS)
    return scaled if scaled.ndim == 2 else np.ascontiguousarray(scaled.transpose(2, 0, 1))


def _texels(x: Field, period: float, shift: float) -> Field:
    turns = x * np.float32(1 / period) + np.float32(shift)
    turns -= np.floor(turns)
    turns *= np.float32(TILE_SIZE) * _SUBTEXELS
    texels: Field = np.floor(turns) * (np.float32(1) / _SUBTEXELS)
    return texels


@lru_cache(maxsize=1)
def fractal_tile() -> Field:
    """Return fractal noise of seven octaves with uniformly distributed values, (513, 513)."""
    rng = generator(_TILE_SEED, 0)
    total = np.zeros((TILE_SIZE, TILE_SIZE))
    for octave in range(7):
        total += _spline_noise(rng, 4 << octave) * 0.56**octave
    ranks = np.empty(total.size)
    ranks[np.argsort(total, axis=None, kind='stable')] = np.arange(total.size)
    return _pack(ranks.reshape(total.shape) / (total.size - 1))


@lru_cache(maxsize=1)
def smooth_tile() -> Field:
    """Return noise of two octaves, 8 and 16 waves per tile, with uniformly distributed values, (513, 513)."""
    rng = generator(_TILE_SEED, 1)
    total = _spline_noise(rng, 16) + 0.5 * _spline_noise(rng, 32)
    ranks = np.empty(total.size)
    ranks[np.argsort(total, axis=None, kind='stable')] = np.arange(total.size)
    return _pack(ranks.reshape(total.shape) / (total.size - 1))


@lru_cache(maxsize=1)
def cell_tile() -> Field:
    """Return rounded cloudlets, 32 per side: height, east slope, north slope (0.5 is flat), (513, 513, 3)."""
    rng = generator(_TILE_SEED, 2)
    large, small = (_domes(rng, cells) for cells in (32, 64))
    height = 0.72 * large + 0.28 * small
    height = _softened(height, 2)
    return _pack(_with_slopes(height / height.max(), 2.2))


@lru_cache(maxsize=1)
def puff_tile() -> Field:
    """Return a relief of domes on domes: height, east slope, north slope (0.5 is flat), (513, 513, 3)."""
    rng = generator(_TILE_SEED, 3)
    height = np.zeros((TILE_SIZE, TILE_SIZE))
    for octave in range(4):
        height += 0.55**octave * np.sqrt(_domes(rng, 8 << octave))
    height = _softened(height - height.min(), 1)
    return _pack(_with_slopes(height / height.max(), 10.0))


@lru_cache(maxsize=1)
def grain_tile() -> NDArray[np.int16]:
    """Return white noise, close to a normal distribution of standard deviation 64, (3, 512, 512)."""
    rng = generator(_TILE_SEED, 4)
    dice = rng.integers(0, 111, size=(4, 3, TILE_SIZE, TILE_SIZE), dtype=np.int16)
    noise: NDArray[np.int16] = (dice[0] + dice[1] + dice[2] + dice[3] - 220).astype(np.int16)
    return noise


def _spline_noise(rng: np.random.Generator, lattice: int) -> NDArray[np.float64]:
    """Return a random lattice, enlarged to the size of the tile as a periodic quadratic B-spline."""
    values = rng.random((lattice, lattice)) - 0.5
    while values.shape[0] < TILE_SIZE:
        for axis in (0, 1):
            before, after = np.roll(values, 1, axis), np.roll(values, -1, axis)
            pair = np.stack((values * 0.75 + before * 0.25, values * 0.75 + after * 0.25), axis + 1)
            shape = list(values.shape)
            shape[axis] *= 2
            values = pair.reshape(shape)
    return values


def _domes(rng: np.random.Generator, cells: int) -> NDArray[np.float64]:
    """Return paraboloids of different sizes around jittered points, about one per cell, in [0, 1]."""
    points = rng.random((cells, cells, 2))
    girth = rng.random((cells, cells)) * 0.7 + 0.6
    step = TILE_SIZE // cells
    inside = (np.arange(step) + 0.5) / step
    height = np.zeros((cells, step, cells, step))
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            near, size = (np.roll(a, (-row, -column), (0, 1)) for a in (points, girth))
            dy = near[:, None, :, None, 0] + row - inside[None, :, None, None]
            dx = near[:, None, :, None, 1] + column - inside[None, None, None, :]
            size = size[:, None, :, None]
            height = np.maximum(height, size * (1 - (dx * dx + dy * dy) / (size * size)))
    return np.minimum(height.reshape(TILE_SIZE, TILE_SIZE) / 1.3, 1)


def _softened(height: NDArray[np.float64], times: int) -> NDArray[np.float64]:
    for axis in (0, 1) * times:
        height = (np.roll(height, 1, axis) + np.roll(height, -1, axis)) / 4 + height / 2
    return height


def _with_slopes(height: NDArray[np.float64], gain: float) -> NDArray[np.float64]:
    east = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) * gain
    north = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) * gain
    slopes = [np.clip(0.5 + slope, 0, 1) for slope in (east, north)]
    return np.stack((height, *slopes), axis=2)


def _pack(values: NDArray[np.float64]) -> Field:
    """Quantize [0, 1] to integers in float32, and repeat the first row and column at the end."""
    levels = np.floor(np.clip(values, 0, 1) * _LEVELS + 0.5).astype(np.float32)
    pad = [(0, 1), (0, 1)] + [(0, 0)] * (levels.ndim - 2)
    return np.ascontiguousarray(np.pad(levels, pad, mode='wrap'))
