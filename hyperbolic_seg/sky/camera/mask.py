"""Masks of what hides the sky, from image files as people and programs draw them."""

import io
import warnings
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hyperbolic_seg.files import read_regular
from hyperbolic_seg.images import decode_image

MAX_BYTES = 2**28
"""Limit of the size of a mask in bytes."""

_BETWEEN = 0.02  # share of pixels that may be neither black nor white without a word: edges, and noise of a JPEG
_NEARLY = 32  # levels from black or white


@lru_cache(maxsize=4)
def read_mask(file: str) -> NDArray[np.bool_]:
    """Read a mask; levels below half of white hide the sky.

    What is transparent is the opposite of what is painted: black on transparent hides the sky, white shows it. Values
    of 0 and 1 are black and white.

    Args:
        file: An image.

    Returns:
        True where the sky is seen, (H, W).

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is missing, not regular, no image, or black and white on transparent, which says two things
            about what is transparent.

    Warns:
        UserWarning: Many pixels are neither black nor white.
    """
    if not Path(file).exists():
        raise ValueError(f'the mask {file} is missing')
    try:
        content = read_regular(file, max_bytes=MAX_BYTES)
        gray = np.asarray(cv2.cvtColor(decode_image(content, file), cv2.COLOR_BGR2GRAY), np.uint8)
    except ValueError as error:
        raise ValueError(f'the mask {file} is not a readable image: {error}') from error
    levels = _on_ground(gray, _alpha(content), file)
    if levels.max(initial=0) == 1:
        levels = levels * np.uint8(255)
    between = float(((levels >= _NEARLY) & (levels < 256 - _NEARLY)).mean())
    if between > _BETWEEN:
        warnings.warn(
            f'{between:.0%} of the mask {file} is neither black nor white: pixels below half of white count as hidden',
            stacklevel=2,
        )
    return np.asarray(levels >= 128)


def _alpha(content: bytes) -> NDArray[np.uint8] | None:
    """Return the opacity of an image that was decoded before; ``None`` without transparent pixels."""
    with Image.open(io.BytesIO(content)) as header:
        if 'A' not in header.getbands() and 'transparency' not in header.info:
            return None
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        return None
    alpha = np.asarray(image[..., 3] if image.dtype == np.uint8 else image[..., 3] // 256, np.uint8)
    return None if alpha.min() == 255 else alpha


def _on_ground(levels: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, file: str) -> NDArray[np.uint8]:
    """Return levels on the opposite of what is painted.

    Raises:
        ValueError: Both black and white are painted.
    """
    if alpha is None:
        return levels
    white = levels[alpha >= 128] >= 128
    if white.any() and not white.all():
        raise ValueError(
            f'the mask {file} has black and white on transparent: leave out the transparency, or paint black alone'
        )
    ground, share = 0 if white.any() else 255, alpha.astype(np.float32) / 255
    return np.asarray(np.rint(share * levels + (1 - share) * ground), np.uint8)
