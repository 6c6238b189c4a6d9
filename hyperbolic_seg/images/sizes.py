"""Sizes of images that are too large to be worked on pixel by pixel."""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

LARGE_PIXELS = 2**24
"""Pixels above which an image is large: it is decoded without a copy, and shown reduced to as many."""
REDUCED_PIXELS = 2**21
"""Pixels of a large image that are enough for its means, such as the cover of the sky."""


def reduced_size(height: int, width: int, *, max_pixels: int = REDUCED_PIXELS) -> tuple[int, int]:
    """Return height and width of an image that is reduced to a number of pixels; a smaller one keeps its size."""
    factor = math.sqrt(max_pixels / (height * width))
    return (height, width) if factor >= 1 else (max(int(height * factor), 1), max(int(width * factor), 1))


def reduced_image(image: NDArray[np.uint8], *, max_pixels: int = LARGE_PIXELS) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) reduced to a number of pixels by averages; a smaller one as it is."""
    height, width = reduced_size(*image.shape[:2], max_pixels=max_pixels)
    if (height, width) == image.shape[:2]:
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def image_within(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) reduced by averages to a longer side in pixels; a smaller one as it is."""
    height, width = image.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return image
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) at a size, width and height, as ``Resize(backend='pillow')`` of MMCV makes it.

    Bilinear, with averages where the image shrinks. OpenCV's bilinear interpolation looks at four pixels for each new
    one and leaves out the others, so noise and fine structures of a large image become other structures.
    """
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def labels_at(labels: NDArray[Any], size: Sequence[int]) -> NDArray[Any]:
    """Return labels (H, W) at another size, height and width, each the nearest one."""
    if labels.shape == tuple(size):
        return labels
    return np.asarray(cv2.resize(labels, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT))
