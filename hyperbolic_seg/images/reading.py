"""Reading of image files on this machine."""

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import open_regular, read_bounded
from hyperbolic_seg.images.any_format import decode_any
from hyperbolic_seg.images.levels import Levels
from hyperbolic_seg.images.pictures import MAX_BYTES, MAX_PIXELS


def read_file(
    path: str, *, max_pixels: int = MAX_PIXELS, levels: Levels | None = None, file: BinaryIO | None = None
) -> NDArray[np.uint8]:
    """Read an image file and decode it with :func:`~hyperbolic_seg.images.decode_any`.

    Args:
        path: The file.
        max_pixels: Limit of its pixels.
        levels: What is known of the levels of its camera.
        file: The file, if it is open already, by :func:`~hyperbolic_seg.files.open_regular`; it is closed.

    Returns:
        BGR image, (H, W, 3).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not regular, or not a readable image; the message names it.
        ImportError: The package that reads the format is missing.
    """
    with open_regular(path) if file is None else file as opened:
        content = read_bounded(opened, path, max_bytes=MAX_BYTES)
    return decode_any(content, path, max_pixels=max_pixels, levels=levels)
