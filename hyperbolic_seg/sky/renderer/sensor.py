"""Development of light into an image: exposure, color, optics, noise and JPEG."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.camera import View
from hyperbolic_seg.sky.renderer.noise import Field, generator, grain_tile, look_up
from hyperbolic_seg.sky.renderer.overlays import Drawing
from hyperbolic_seg.sky.renderer.scene import SkyScene

_TONES = 1024  # entries of the tone curve


def develop(
    seed: int, scene: SkyScene, view: View, radiance: Field, drawing: Drawing | None = None
) -> NDArray[np.uint8]:
    """Return the BGR image, (H, W, 3), of linear light, (3, H, W), with a drawing over it."""
    sensor = scene.sensor
    rng = generator(seed, 4)
    radius2 = view.row * view.row + view.column * view.column
    gain = np.float32(sensor.exposure) * (np.float32(1) - radius2 * np.float32(0.5 * sensor.vignetting))
    light = radiance * (np.array(sensor.white_balance, np.float32)[:, None, None] * gain)
    gray = light[0] * np.float32(0.15) + light[1] * np.float32(0.6) + light[2] * np.float32(0.25)
    light = np.maximum(gray + (light - gray) * np.float32(sensor.saturation), np.float32(0))
    levels = look_up(_tone_curve(sensor.contrast), np.sqrt(light) * np.float32(_TONES / 2))
    for times in range(sensor.softness):
        levels = _blur(levels, 1 << times)
    levels += _grain(levels.shape, rng) * np.float32(sensor.noise / 64)
    image = _as_bytes(levels)
    dark, level = ~view.inside, scene.camera.surround or round(sensor.noise / 2)
    if drawing is not None:
        image[dark] = level
        image, dark = drawing.over(image), dark & (drawing.cover == 0)
    if sensor.jpeg:
        image = _compress(image, sensor.jpeg)
    image[dark] = level
    return image


def _as_bytes(levels: Field) -> NDArray[np.uint8]:
    """Round gray levels (3, H, W) to an image (H, W, 3)."""
    rounded = np.clip(np.floor(levels + np.float32(0.5)), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(rounded.transpose(1, 2, 0))


def _compress(image: NDArray[np.uint8], coarseness: float) -> NDArray[np.uint8]:
    """Encode an image as JPEG and decode it again.

    libjpeg's quantization steps are proportional to 100 - quality, so a coarseness of 1 is quality 75.
    """
    quality = int(np.clip(round(100 - 25 * coarseness), 1, 100))
    _, content = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)


def _tone_curve(contrast: float) -> Field:
    """Return gray levels by the square root of the light, in steps of 2 / 1024."""
    tones = np.arange(_TONES, dtype=np.float64) * (2 / _TONES)
    # A shoulder: linear up to the bend, then ever flatter towards 1.
    bend = 0.72
    over = np.maximum(tones - bend, 0)
    curve = np.minimum(tones, bend) + (1 - bend) * 1.1 * over / (over + (1 - bend) * 1.1)
    curve = np.minimum(curve * 1.03, 1)
    curve = curve + contrast * (curve * curve * (3 - 2 * curve) - curve)
    return (curve * 255).astype(np.float32)


def _blur(levels: Field, step: int) -> Field:
    """Blur (3, H, W) along rows and columns by a binomial kernel of three taps, ``step`` pixels apart."""
    _, height, width = levels.shape
    padded = np.pad(levels, [(0, 0), (step, step), (step, step)], mode='edge')
    rows = padded[:, :height] + padded[:, 2 * step :]
    rows = rows * np.float32(0.25) + padded[:, step : step + height] * np.float32(0.5)
    blurred = rows[:, :, :width] + rows[:, :, 2 * step :]
    smooth: Field = blurred * np.float32(0.25) + rows[:, :, step : step + width] * np.float32(0.5)
    return smooth


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> Field:
    tile = grain_tile()
    y, x = (int(rng.random() * tile.shape[1]) for _ in range(2))
    rows, columns = -(-(y + shape[1]) // tile.shape[1]), -(-(x + shape[2]) // tile.shape[2])
    if rows > 1 or columns > 1:
        tile = np.tile(tile, (1, rows, columns))
    return tile[:, y : y + shape[1], x : x + shape[2]].astype(np.float32)
