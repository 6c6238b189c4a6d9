"""Decoding of raw photographs, by LibRaw: DNG, CR2, CR3, NEF, ARW, RAF, ORF, RW2."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.images.pictures import MAX_PIXELS
from hyperbolic_seg.images.stretch import develop


def decode_raw(content: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode a raw photograph, turn it upright, and develop it by :func:`~hyperbolic_seg.images.develop`.

    Black level, white level, white balance and colors are those that the camera states.

    Args:
        content: The content of a file.
        name: Name of the image in errors.
        max_pixels: Limit of the pixels.

    Returns:
        BGR image, (H, W, 3).

    Raises:
        ValueError: It is no raw photograph that LibRaw knows, damaged, cut short or too large; the message names it.
        ImportError: rawpy is not installed.
    """
    try:
        import rawpy
    except ImportError as error:
        raise ImportError(f"{name}: raw photographs need rawpy: pip install 'hyperbolic-seg[app]'") from error

    try:
        with rawpy.imread(io.BytesIO(content)) as raw:
            sizes = raw.sizes
            width, height = max(sizes.raw_width, sizes.width), max(sizes.raw_height, sizes.height)
            if width * height > max_pixels:
                raise ValueError(f'{name} has {width} x {height} pixels: expected at most {max_pixels}; reduce it')
            light = _linear(raw, rawpy)
            step = np.iinfo(np.uint16).max / max(1, raw.white_level - min(raw.black_level_per_channel, default=0))
    except rawpy.LibRawError as error:
        raise ValueError(f'{name} is not a readable raw photograph: {_reason(error)}') from error
    return develop(np.ascontiguousarray(light[..., ::-1]), step=step)


def _linear(raw: Any, rawpy: Any) -> NDArray[np.uint16]:
    """Return linear light as RGB with the primaries of sRGB, (H, W, 3), without any guess by the content."""
    light = raw.postprocess(
        output_bps=16,
        gamma=(1, 1),
        no_auto_bright=True,
        adjust_maximum_thr=0.0,
        use_camera_wb=True,
        output_color=rawpy.ColorSpace.sRGB,
    )
    return np.asarray(light if light.shape[2] == 3 else light[..., :1].repeat(3, 2), np.uint16)


def _reason(error: Exception) -> str:
    first = error.args[0] if error.args else ''
    return first.decode('ascii', 'replace') if isinstance(first, bytes) else str(first)
