"""Development of linear light, as sensors measure it, into the 8-bit colors that a model and a person expect."""

import math

import numpy as np
from numpy.typing import NDArray

_FULL = 2**16 - 1
_BRIGHT, _TARGET = 90, 0.4  # the level below which 90 percent of the pixels lie is brought up to 0.4, but not down
_LARGEST_NOISE = 0.02  # about five of 255 levels
_LARGEST_GAIN = 16.0
_ENOUGH = 1_000_000  # pixels for a percentile


def develop(light: NDArray[np.uint16], *, step: float = 1.0) -> NDArray[np.uint8]:
    """Return the picture of linear light: as sRGB shows it, and brighter if the scene is dark.

    Light is encoded by the transfer function of sRGB (IEC 61966-2-1). A frame whose level at the 90th percentile of
    green is above 0.4 of white after that, as any by day, is done. A darker one is brightened by the midtones transfer
    function of astronomers, ``(m - 1) x / ((2 m - 1) x - m)``, as far as that level becomes 0.4. Its slope at
    black, ``(1 - m) / m``, is at most 16, and so small that the noise does not exceed a standard deviation of five
    levels of 255. So a frame of noise alone, behind a lens cap, stays dark.

    Args:
        light: BGR image, (H, W, 3); 0 is black and 65535 the largest level that the sensor tells apart.
        step: Distance of two levels of the sensor in units of ``light``, whose rounding counts as noise.

    Returns:
        BGR image, (H, W, 3).
    """
    encoded = _encode(np.arange(_FULL + 1) / _FULL)
    green = encoded[light[:: max(1, light[..., 1].size // _ENOUGH), :, 1]]
    slope = min(_LARGEST_GAIN, _LARGEST_NOISE / _noise(green, float(_encode(np.array(step / _FULL)))))
    bright = float(np.percentile(green, _BRIGHT))
    wanted = _midtones(np.array(bright), _TARGET) if bright > 0 else 0.0
    middle = min(0.5, max(float(wanted), 1 / (1 + slope)))
    table = np.rint(255 * _midtones(encoded, middle)).astype(np.uint8)
    return table[light]


def _encode(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return light from 0 to 1 encoded as sRGB."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def _midtones(level: NDArray[np.float64], middle: float) -> NDArray[np.float64]:
    """Return levels from 0 to 1 with ``middle`` moved to 0.5, and 0 and 1 kept.

    With ``middle`` and ``level`` swapped it returns the middle that moves one level to another.
    """
    return (middle - 1) * level / ((2 * middle - 1) * level - middle)


def _noise(green: NDArray[np.float64], rounding: float) -> float:
    """Return the standard deviation of the noise, from the differences of pixels two columns apart, (H, W).

    Neighbors share levels where the color was interpolated. 68 percent of normal differences are below the square root
    of two standard deviations; few edges and stars do not change that.
    """
    apart = np.abs(green[:, 2:] - green[:, :-2])
    measured = float(np.percentile(apart, 68.27)) / math.sqrt(2) if apart.size else 0.0
    return max(measured, rounding / math.sqrt(12))
