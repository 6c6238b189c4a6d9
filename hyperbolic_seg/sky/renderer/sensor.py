"""From light to a picture: exposure, colour, optics, noise and block coding."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.camera import View
from hyperbolic_seg.sky.renderer.noise import Field, generator, grain_tile, look_up
from hyperbolic_seg.sky.renderer.scene import SkyScene

_TONES = 1024


def develop(seed: int, scene: SkyScene, view: View, radiance: Field) -> NDArray[np.uint8]:
    """Turn linear light (3, H, W) into a picture (H, W, 3), blue green red."""
    sensor = scene.sensor
    rng = generator(seed, 4)
    radius2 = view.row * view.row + view.column * view.column
    gain = np.float32(sensor.exposure) * (np.float32(1) - radius2 * np.float32(0.5 * sensor.vignetting))
    light = radiance * (np.array(sensor.white_balance, np.float32)[:, None, None] * gain)
    grey = light[0] * np.float32(0.15) + light[1] * np.float32(0.6) + light[2] * np.float32(0.25)
    light = np.maximum(grey + (light - grey) * np.float32(sensor.saturation), np.float32(0))
    picture = look_up(_tone_curve(sensor.contrast), np.sqrt(light) * np.float32(_TONES / 2))
    for times in range(sensor.softness):
        picture = _blur(picture, 1 << times)
    picture += _grain(picture.shape, rng) * np.float32(sensor.noise / 64)
    if sensor.jpeg:
        picture = _block_code(picture, sensor.jpeg)
    picture = np.where(view.inside, picture, np.float32(2 * sensor.noise / 4))
    picture = np.clip(np.floor(picture + np.float32(0.5)), 0, 255)
    return np.ascontiguousarray(picture.astype(np.uint8).transpose(1, 2, 0))


def _tone_curve(contrast: float) -> Field:
    """Grey level for the square root of the light, in steps of 2/1024."""
    tones = np.arange(_TONES, dtype=np.float64) * (2 / _TONES)
    # A shoulder: linear below 0.75, then ever slower towards 1.
    bend = 0.72
    over = np.maximum(tones - bend, 0)
    curve = np.minimum(tones, bend) + (1 - bend) * 1.1 * over / (over + (1 - bend) * 1.1)
    curve = np.minimum(curve * 1.03, 1)
    curve = curve + contrast * (curve * curve * (3 - 2 * curve) - curve)
    return (curve * 255).astype(np.float32)


def _blur(picture: Field, step: int) -> Field:
    """Binomial blur of three taps ``step`` pixels apart along rows and columns, (3, H, W)."""
    _, height, width = picture.shape
    padded = np.pad(picture, [(0, 0), (step, step), (step, step)], mode='edge')
    rows = padded[:, :height] + padded[:, 2 * step :]
    rows = rows * np.float32(0.25) + padded[:, step : step + height] * np.float32(0.5)
    blurred = rows[:, :, :width] + rows[:, :, 2 * step :]
    return blurred * np.float32(0.25) + rows[:, :, step : step + width] * np.float32(0.5)


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> Field:
    tile = grain_tile()
    y, x = (int(rng.random() * tile.shape[1]) for _ in range(2))
    rows, columns = -(-(y + shape[1]) // tile.shape[1]), -(-(x + shape[2]) // tile.shape[2])
    if rows > 1 or columns > 1:
        tile = np.tile(tile, (1, rows, columns))
    return tile[:, y : y + shape[1], x : x + shape[2]].astype(np.float32)


def _block_code(picture: Field, coarseness: float) -> Field:
    """Quantise the cosine transform of 8x8 blocks, and halve the resolution of colour first."""
    _, height, width = picture.shape
    pad = [(0, 0), (0, -height % 16), (0, -width % 16)]
    blue, green, red = np.pad(np.floor(picture + np.float32(0.5)), pad, mode='edge')
    luma = np.floor((blue + green + green + red) * np.float32(0.25))
    planes = [_halve(blue - luma), _halve(red - luma)]
    luma = _quantise(luma - np.float32(128), coarseness) + np.float32(128)
    blue, red = (_double(_quantise(p, coarseness * 1.5)) + luma for p in planes)
    green = (luma * np.float32(4) - blue - red) * np.float32(0.5)
    return np.stack((blue, green, red))[:, :height, :width]


def _halve(plane: Field) -> Field:
    total = plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]
    return np.floor(total * np.float32(0.25))


def _double(plane: Field) -> Field:
    return plane.repeat(2, axis=0).repeat(2, axis=1)


def _quantise(plane: Field, coarseness: float) -> Field:
    """Round the coefficients of 8x8 blocks; all sums are of integers below 2**24, thus exact."""
    basis = _cosines()
    half = _transform(plane, basis, 1 / 16).T
    coefficients = _transform(np.ascontiguousarray(half), basis, 1 / 128).T  # eight times theirs
    index = np.tile(np.arange(8, dtype=np.float32), max(plane.shape) // 8)
    height, width = plane.shape
    steps = np.float32(1) + (index[:height, None] + index[:width]) * np.float32(0.6)
    steps *= np.float32(8 * 6 * coarseness)
    kept = np.floor(coefficients / steps + np.float32(0.5)) * steps
    kept = np.floor(kept + np.float32(0.5))
    half = _transform(np.ascontiguousarray(kept), np.ascontiguousarray(basis.T), 1 / 128).T
    return _transform(np.ascontiguousarray(half), np.ascontiguousarray(basis.T), 1 / 1024).T


def _transform(plane: Field, basis: Field, factor: float) -> Field:
    """Transform each column of blocks of eight rows and round to integers, (H, W).

    One small product per row of blocks stays below the size for which BLAS would start threads.
    """
    product = basis @ plane.reshape(-1, 8, plane.shape[1])
    return np.floor(product * np.float32(factor) + np.float32(0.5)).reshape(plane.shape)


@lru_cache(maxsize=1)
def _cosines() -> Field:
    """Orthonormal cosine basis times 128, rounded to integers, (8, 8)."""
    rows = [[math.floor(64 * math.cos((2 * x + 1) * u * math.pi / 16) + 0.5) for x in range(8)] for u in range(8)]
    basis = np.array(rows, np.float32)
    basis[0] = np.float32(45)
    return basis
