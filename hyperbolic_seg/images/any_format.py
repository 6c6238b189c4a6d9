"""Decoding of whatever a camera writes: pictures, FITS images and raw photographs."""

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.images.fits import decode_fits
from hyperbolic_seg.images.formats import FITS, RAW, check_format
from hyperbolic_seg.images.levels import Levels
from hyperbolic_seg.images.pictures import MAX_PIXELS, decode_image
from hyperbolic_seg.images.raw import decode_raw


def decode_any(
    content: bytes, name: str, *, max_pixels: int = MAX_PIXELS, levels: Levels | None = None
) -> NDArray[np.uint8]:
    """Decode a picture, a FITS image or a raw photograph, by its content.

    Args:
        content: The content of a file.
        name: Name of the image, in errors and to compare its suffix.
        max_pixels: Limit of the pixels.
        levels: What is known of the levels of the camera.

    Returns:
        BGR image, (H, W, 3).

    Raises:
        ValueError: It is none of these, its name says something else, or it cannot be read; the message names it.
        ImportError: The package that reads the format is missing.
    """
    family, levels = check_format(content, name), levels or Levels()
    if family == FITS:
        return decode_fits(content, name, max_pixels=max_pixels, levels=levels)
    if family == RAW:
        return decode_raw(content, name, max_pixels=max_pixels)
    return decode_image(content, name, max_pixels=max_pixels, bit_depth=levels.bit_depth)
