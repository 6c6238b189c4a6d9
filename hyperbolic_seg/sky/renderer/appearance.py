"""Thickness and brightness of rendered clouds, as numbers and as the values that their words mean."""

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.atmosphere import Light
from hyperbolic_seg.sky.renderer.genera import STYLES
from hyperbolic_seg.sky.renderer.labels import CLOUDS
from hyperbolic_seg.sky.renderer.noise import Field

_THIN = 0.25  # share of the light from behind that a thin cloud lets through at least
_OPAQUE = 0.018  # share that an opaque one lets through at most; the sun is not seen through it
_WHITE, _DARK = 0.75, 0.45  # luminance over that of the sunlit parts of clouds
_MARGIN = 1.2  # within this factor of the limits of thickness both values are possible
_FAINTEST = 1e-4
_LUMINANCE = np.array([0.114, 0.587, 0.299], np.float32)  # of blue, green and red


class Appearance(IntFlag):
    """Values of the attributes of a cloud that are possible at a pixel; none of an attribute where it is not told.

    The bits are the places of the learned attribute values in the vocabulary ``sky.yaml``.
    """

    THIN = 1
    """Optical thickness below 1.4: a quarter of the light from behind passes."""
    THICK = 2
    OPAQUE = 4
    """Optical thickness above 4: the sun is hidden."""
    WHITE = 8
    DARK = 16


def optical_thickness(clear: Field) -> Field:
    """Return the optical thickness (H, W) of clouds with a transparency (H, W); at most 9.2."""
    thickness: Field = -np.log(np.maximum(clear, np.float32(_FAINTEST)))
    return thickness


def appearance_of(
    labels: NDArray[np.uint8], clear: Field, sky: Field, light: Light, *, dark: bool
) -> NDArray[np.uint8]:
    """Return the possible values of :class:`Appearance` of every pixel, (H, W); 0 beside clouds.

    Args:
        labels: Values of :class:`SkyLabel`, (H, W).
        clear: Transparency of all clouds together, (H, W).
        sky: Light of the sky with its clouds, (3, H, W).
        light: Colors of the light.
        dark: It is night, when nothing tells a white cloud from a dark one.
    """
    values = np.zeros(labels.shape, np.uint8)
    values[clear > _THIN / _MARGIN] |= np.uint8(Appearance.THIN)
    values[(clear < _THIN * _MARGIN) & (clear > _OPAQUE / _MARGIN)] |= np.uint8(Appearance.THICK)
    values[clear < _OPAQUE * _MARGIN] |= np.uint8(Appearance.OPAQUE)
    if not dark:
        lit = np.ones(labels.shape, np.float32)
        for genus in CLOUDS:
            lit[labels == genus] = np.dot(light.lit[STYLES[genus].level], _LUMINANCE)
        brightness = np.tensordot(_LUMINANCE, sky, 1) / lit
        values[brightness > _WHITE] |= np.uint8(Appearance.WHITE)
        values[brightness < _DARK] |= np.uint8(Appearance.DARK)
    values[~np.isin(labels, CLOUDS)] = 0
    return values
