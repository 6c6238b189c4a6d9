"""Skylines: the height of far things by bearing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.foreground.rays import Rays
from hyperbolic_seg.sky.renderer.noise import Field, look_up

BEARINGS = 4096
"""Samples of a skyline."""


@dataclass(frozen=True)
class Skyline:
    """Tangent of the elevation by bearing, (4096,)."""

    profile: Field

    @property
    def top(self) -> float:
        """Tangent of the elevation of the highest point."""
        return float(self.profile.max())

    @staticmethod
    def place(rays: Rays) -> Field:
        """Return the bearings of rays in samples, (h, w)."""
        samples: Field = rays.bearing * np.float32(BEARINGS / 4)
        return samples

    def height(self, rays: Rays) -> Field:
        """Return the height of the skyline at rays, (h, w)."""
        return look_up(self.profile, self.place(rays))


def rugged(rng: np.random.Generator, first: int, count: int, *, fall: float = 0.5) -> NDArray[np.float64]:
    """Return periodic noise by bearing, (4096,), with octaves from ``first`` waves, each weaker by a factor."""
    total = np.zeros(BEARINGS)
    for octave in range(count):
        knots = rng.random(first << octave)
        step = BEARINGS // len(knots)
        weight = (np.arange(step) + 0.5) / step
        weight = weight * weight * (3 - 2 * weight)
        pairs = knots[:, None] * (1 - weight) + np.roll(knots, -1)[:, None] * weight
        total += pairs.ravel() * fall**octave
    return total


def woods(rng: np.random.Generator, height: float, *, ragged: float = 1.0) -> Skyline:
    """Return the tops of trees of about a height, as a tangent."""
    return Skyline((height * (0.15 + 0.75 * np.maximum(0, rugged(rng, 64, 5) - 0.5) * ragged)).astype(np.float32))


def hills(rng: np.random.Generator, height: float, *, peaks: bool) -> Skyline:
    """Return hills, or sharper mountains, of about a height, as a tangent."""
    noise = rugged(rng, 8, 6 if peaks else 5, fall=0.55 if peaks else 0.45)
    if peaks:
        noise = np.maximum(noise, rugged(rng, 16, 6, fall=0.55))
    return Skyline((height * np.maximum(0.0, noise - 0.4)).astype(np.float32))
