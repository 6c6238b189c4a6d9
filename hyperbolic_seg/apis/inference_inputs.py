"""Images that are given to an inferencer, as the start of its pipeline."""

from typing import Any

import numpy as np
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray

from hyperbolic_seg.datasets.loading import read_image


def pixels_of(image: Any) -> NDArray[np.uint8]:
    """Return the pixels, (H, W, 3), BGR, of a file name or of an array, which stays as it is."""
    return read_image(image) if isinstance(image, str) else image


def as_sample(image: Any) -> dict[str, Any]:
    """Return the input of the pipeline for a file name or an array.

    Raises:
        ValueError: An array is no image.
    """
    if isinstance(image, str):
        return dict(img_path=image)
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8:
        return dict(img=image, img_path='array', img_shape=image.shape[:2], ori_shape=image.shape[:2])
    shape = f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray) else repr(image)
    raise ValueError(f'an image is a file name or an (H, W, 3) uint8 BGR array, got {shape}')


class UnlessDecoded:
    """MMSegmentation's own loader, left out for an image that is decoded already."""

    def __init__(self, step: dict[str, Any]) -> None:
        self._load = TRANSFORMS.build(step)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Return the results with an image under ``img``."""
        return results if 'img' in results else self._load(results)
