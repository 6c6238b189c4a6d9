"""Loading of image files, with errors that name the file."""

from typing import Any

import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray

from hyperbolic_seg.images import MAX_PIXELS, Levels, decode_any, read_file


def read_image(
    path: str,
    *,
    max_pixels: int = MAX_PIXELS,
    backend_args: dict[str, Any] | None = None,
    levels: Levels | None = None,
) -> NDArray[np.uint8]:
    """Read an image file and decode it with :func:`~hyperbolic_seg.images.decode_any`.

    Args:
        path: The file, or its name at the file backend.
        max_pixels: Limit of its pixels.
        backend_args: Arguments of MMEngine's file backend.
        levels: What is known of the levels of its camera.

    Returns:
        BGR image, (H, W, 3).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not regular, or not a readable image; the message names it.
        ImportError: The package that reads the format is missing.
    """
    if backend_args is None and '://' not in path:
        return read_file(path, max_pixels=max_pixels, levels=levels)
    content = bytes(fileio.get(path, backend_args=backend_args))
    return decode_any(content, path, max_pixels=max_pixels, levels=levels)


@TRANSFORMS.register_module()
class LoadVerifiedImage(BaseTransform):
    """Load an image file as 8-bit BGR with :func:`read_image`; an array under ``img`` is used as it is.

    Args:
        to_float32: Convert the values to float32.
        max_pixels: Limit of the pixels of an image.
        backend_args: Arguments of the file backend.
    """

    def __init__(
        self, to_float32: bool = False, max_pixels: int = MAX_PIXELS, backend_args: dict[str, Any] | None = None
    ) -> None:
        self.to_float32 = to_float32
        self.max_pixels = max_pixels
        self.backend_args = backend_args

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``img``, ``img_shape`` and ``ori_shape``.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is not a readable image; the message names it.
        """
        if 'img' not in results:
            path = results['img_path']
            results['img'] = read_image(path, max_pixels=self.max_pixels, backend_args=self.backend_args)
        if self.to_float32:
            results['img'] = results['img'].astype(np.float32)
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(to_float32={self.to_float32}, max_pixels={self.max_pixels})'
